/**
 * One interface for the LAN and both routers: the next hop tells the ways apart, and masquerade makes the gateway see both halves
 * of each connection. Real packets, IPv6 with link-local next hops; `ip` stands in for the engine. Needs root.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Family } from '../../src/core/model.js';
import { missingRequirement } from '../../src/lab/requirements.js';
import { CLIENT4, CLIENT6, SERVER4, SERVER6 } from '../../src/lab/topologies.js';
import { FAMILIES, FlowLab } from '../support/flow-lab.js';
import { Talker } from '../support/talker.js';

const SERVER = { 4: SERVER4, 6: SERVER6 } as const;
const SEEN = {
  fast: { 4: '212.254.0.2', 6: '2001:db8:1::2' },
  backup: { 4: '212.254.1.2', 6: '2001:db8:2::2' },
} as const;
const CLIENT = { 4: CLIENT4, 6: CLIENT6 } as const;
/** The world's own address on the way to the backup's provider. */
const CALLER = { 4: '203.0.113.5', 6: '2001:db8:f1::1' } as const;
const GATEWAY = { 4: '192.168.1.2', 6: 'fd00:1::2' } as const;
const IP = { 4: 'ip', 6: 'ip6' } as const;

describe('flows of a one-armed gateway that masquerades', { skip: missingRequirement()?.message ?? false }, () => {
  let bench: FlowLab;
  let client: Talker;
  let gateway: Talker;
  let internet: Talker;
  let port = 7000;
  before(async () => {
    bench = await FlowLab.create('classic');
    client = await Talker.start(bench.lab, 'client');
    gateway = await Talker.start(bench.lab, 'gateway');
    internet = await Talker.start(bench.lab, 'internet');
  });
  after(() => bench.lab.destroy());

  const served = async (): Promise<number> => {
    port += 1;
    await internet.listen(port);
    return port;
  };
  const whole = (): object => ({ dropNdRedirectsOn: ['lan0'], flows: bench.flows(), masquerade: bench.ways });

  for (const family of FAMILIES) {
    for (const who of ['client', 'gateway'] as const) {
      test(`IPv${family}, ${who}: what is open stays with its router, what is new takes the other, all of it under our address`, async () => {
        const talker = who === 'client' ? client : gateway;
        await bench.write(whole());
        const at = await served();
        const way = (name: 'fast' | 'backup', mark: string): string =>
          `oifname lan0 tcp dport ${at} rt ${IP[family]} nexthop ${bench.way(name, family).gateway} ct mark ${mark}`;
        const byFast = await bench.watch('out', way('fast', '0x01000000'));
        const byBackup = await bench.watch('out', way('backup', '0x02000000'));
        const any = await bench.watch('out', `oifname lan0 tcp dport ${at}`);
        const halves = await bench.watch('through', `iifname lan0 tcp sport ${at}`);
        await bench.prefer('backup');
        const open = await talker.open(SERVER[family], at);
        assert.equal(await open.say('one'), `${SEEN.backup[family]} one`);
        await bench.prefer('fast');
        for (const word of ['two', 'three']) assert.equal(await open.say(word), `${SEEN.backup[family]} ${word}`);
        assert.equal(await byFast(), 0);
        const fresh = await talker.open(SERVER[family], at);
        assert.equal(await fresh.say('new'), `${SEEN.fast[family]} new`);
        assert.ok((await byFast()) >= 3);
        assert.equal((await byFast()) + (await byBackup()), await any());
        if (who === 'client') assert.ok((await halves()) >= 6);
      });
    }

    for (const server of ['a server of the LAN', 'this machine'] as const) {
      test(`IPv${family}: who comes in by the backup's router for ${server} is answered by it, while the other is active`, async () => {
        port += 1;
        await (server === 'this machine' ? gateway : client).listen(port);
        await bench.forwardPort('backup', family, port, GATEWAY[family]);
        if (server !== 'this machine') await bench.forwardPortOn('lan0', family, port, CLIENT[family]);
        await bench.write(whole());
        await bench.prefer('fast');
        const open = await internet.open(SEEN.backup[family], port);
        // Masquerade is for what leaves by a router: the server sees who asks.
        assert.equal(await open.say('hello'), `${CALLER[family]} hello`);
        await bench.write({ ...whole(), flows: bench.flows({ inbound: false }) });
        assert.equal((await internet.open(SEEN.backup[family], port)).opened, 'silence');
      });
    }

    test(`IPv${family}: what is bound for the LAN stays there, also where no router is known by its MAC`, async () => {
      const ways = bench.flows().ways.map((way) => ({ ...way, mac: null }));
      await bench.write({ ...whole(), flows: bench.flows({ ways }) });
      await bench.prefer('backup');
      const at = await served();
      const astray = await bench.watch(
        'out',
        `tcp sport ${at} ct mark 0x02000000 rt ${IP[family]} nexthop ${bench.way('backup', family).gateway}`,
      );
      const open = await client.open(SERVER[family], at);
      assert.equal(await open.say('one'), `${SEEN.backup[family]} one`);
      assert.equal(await astray(), 0);
      // The routers' packets bear the mark as well, here: it is the rule before the table's that keeps them from going back.
      await withoutSpecifics(bench, family, async () => void (await open.say('two')));
      assert.ok((await astray()) > 0);
    });
  }

  test('without masquerade the gateway sees but one half', async () => {
    await bench.write({ dropNdRedirectsOn: ['lan0'] });
    await bench.prefer('fast');
    const at = await served();
    const there = await bench.watch('through', `iifname lan0 tcp dport ${at}`);
    const back = await bench.watch('through', `iifname lan0 tcp sport ${at}`);
    const open = await client.open(SERVER4, at);
    assert.equal(await open.say('one'), `${SEEN.fast[4]} one`);
    assert.ok((await there()) >= 3);
    assert.equal(await back(), 0);
  });
});

/** Takes the rules away that look into main's specific routes first. */
async function withoutSpecifics(bench: FlowLab, family: Family, during: () => Promise<void>): Promise<void> {
  const rule = 'priority 830 fwmark 0x2000000/0x7f000000 lookup main suppress_prefixlength 0';
  await bench.ip(`-${family} rule del ${rule}`);
  try {
    await during();
  } finally {
    await bench.ip(`-${family} rule add ${rule}`);
  }
}
