/**
 * Addresses that our nftables table changes: masquerade, and 1:1 prefixes out and in. Real packets through two interfaces; `ip`
 * stands in for the engine. Needs root.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { PrefixTranslation } from '../../src/core/kernel.js';
import { missingRequirement } from '../../src/lab/requirements.js';
import { SERVER4, SERVER6 } from '../../src/lab/topologies.js';
import { FlowLab } from '../support/flow-lab.js';
import { Talker } from '../support/talker.js';

const INSIDE = 'fd00:1::/64';
const OUTSIDE = { fast: '2001:db8:5::', backup: '2001:db8:6::', 'fast, later': '2001:db8:7::' } as const;

describe('addresses that change on the way out', { skip: missingRequirement()?.message ?? false }, () => {
  let bench: FlowLab;
  let client: Talker;
  let internet: Talker;
  let port = 7000;
  before(async () => {
    bench = await FlowLab.create('two-nic');
    client = await Talker.start(bench.lab, 'client');
    internet = await Talker.start(bench.lab, 'internet');
    for (const [name, prefix] of Object.entries(OUTSIDE)) {
      await delegate(bench, name.startsWith('fast') ? 'fast' : 'backup', `${prefix}/64`);
    }
  });
  after(() => bench.lab.destroy());

  const served = async (): Promise<number> => {
    port += 1;
    await internet.listen(port);
    return port;
  };
  const translated = (fast: keyof typeof OUTSIDE = 'fast'): PrefixTranslation[] => [
    { way: bench.way('fast', 6), inside: INSIDE, outside: `${OUTSIDE[fast]}/64` },
    { way: bench.way('backup', 6), inside: INSIDE, outside: `${OUTSIDE.backup}/64` },
  ];

  test('the LAN behind 1:1 prefixes, though another table masquerades: TCP and ping, by either uplink', async () => {
    await bench.write({ flows: bench.flows(), prefixes: translated(), masquerade: bench.ways });
    for (const uplink of ['fast', 'backup'] as const) {
      await bench.prefer(uplink);
      const at = await served();
      const open = await client.open(SERVER6, at);
      assert.equal(await open.say('hello'), `${OUTSIDE[uplink]}10 hello`);
      await bench.lab.exec('client', ['ping', '-c', '1', '-W', '2', SERVER6]);
      // Other families are the other table's business.
      assert.match(await (await client.open(SERVER4, at)).say('four'), /^212\.254\.[01]\.2 four$/);
    }
  });

  test('inwards: a host of the LAN is reached at its outer address of each uplink, and answers by that one', async () => {
    await bench.write({ flows: bench.flows(), prefixes: translated() });
    await bench.prefer('fast');
    port += 1;
    await client.listen(port);
    for (const uplink of ['fast', 'backup'] as const) {
      const open = await internet.open(`${OUTSIDE[uplink]}10`, port);
      assert.match(await open.say('hello'), / hello$/);
      await bench.lab.exec('internet', ['ping', '-c', '1', '-W', '2', `${OUTSIDE[uplink]}10`]);
    }
  });

  test("this machine's own address within the outer prefix stays its own", async () => {
    await bench.ip(`-6 addr add ${OUTSIDE.fast}77/128 dev wan1 nodad`);
    try {
      await bench.write({ flows: bench.flows(), prefixes: translated() });
      await bench.lab.exec('internet', ['ping', '-c', '1', '-W', '2', `${OUTSIDE.fast}77`]);
    } finally {
      await bench.ip(`-6 addr del ${OUTSIDE.fast}77/128 dev wan1`);
    }
  });

  test('another prefix: what is open keeps the old one, what is new has the new one', async () => {
    await bench.write({ flows: bench.flows(), prefixes: translated() });
    await bench.prefer('fast');
    const at = await served();
    const open = await client.open(SERVER6, at);
    assert.equal(await open.say('one'), `${OUTSIDE.fast}10 one`);
    await bench.write({ flows: bench.flows(), prefixes: translated('fast, later') });
    assert.equal(await open.say('two'), `${OUTSIDE.fast}10 two`);
    assert.equal(await (await client.open(SERVER6, at)).say('new'), `${OUTSIDE['fast, later']}10 new`);
    // The provider takes the old one back: only ending the connection helps.
    await withdraw(bench, 'fast', `${OUTSIDE.fast}/64`);
    assert.equal(await open.say('three'), 'silence');
  });

  test('masquerade, each interface, both families; without it the routers do not know the way back', async () => {
    await bench.nft('delete table inet backroute_lab');
    await bench.write({ flows: bench.flows(), masquerade: bench.ways });
    for (const [uplink, net4] of [
      ['fast', '10.1.0.2'],
      ['backup', '10.2.0.2'],
    ] as const) {
      await bench.prefer(uplink);
      const at = await served();
      const hidden = await bench.watch('out', `ip saddr ${net4} tcp dport ${at}`);
      assert.match(await (await client.open(SERVER4, at)).say('four'), / four$/);
      assert.match(await (await client.open(SERVER6, at)).say('six'), / six$/);
      assert.ok((await hidden()) >= 3);
    }
    await bench.write({ flows: bench.flows() });
    assert.equal((await client.open(SERVER4, await served())).opened, 'silence');
  });
});

/** The provider gives a prefix to the gateway, and nobody on the way translates it any more. */
async function delegate(bench: FlowLab, name: string, prefix: string): Promise<void> {
  const { router, isp, upstream6 } = bench.lab.uplink(name);
  const k = name === 'fast' ? 0 : 1;
  await bench.lab.exec('internet', ['ip', '-6', 'route', 'add', prefix, 'via', `2001:db8:f${k}::2`, 'dev', isp]);
  await bench.lab.exec(isp, ['ip', '-6', 'route', 'add', prefix, 'via', upstream6.replace(/1$/, '2'), 'dev', 'cust0']);
  await bench.lab.exec(router, ['ip', '-6', 'route', 'add', prefix, 'via', 'fe80::2', 'dev', 'lan0']);
  const commands = [
    'flush table inet backroute_lab',
    'add rule inet backroute_lab postrouting meta nfproto ipv4 oifname wan0 masquerade',
    'add rule inet backroute_lab postrouting ip6 saddr fc00::/7 oifname wan0 masquerade',
  ];
  await bench.lab.exec(router, ['nft', commands.join('; ')]);
}

async function withdraw(bench: FlowLab, name: string, prefix: string): Promise<void> {
  await bench.lab.exec('internet', ['ip', '-6', 'route', 'del', prefix, 'dev', bench.lab.uplink(name).isp]);
}
