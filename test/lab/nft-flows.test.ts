/**
 * Our nftables table on real packets: connections stay with the uplink that they began on, replies leave by the one that they
 * came in by, ended ones are reset, and nobody else's bits are touched. Two interfaces; `ip` stands in for the engine. Needs root.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { probeMark } from '../../src/core/config.js';
import { missingRequirement } from '../../src/lab/requirements.js';
import { CLIENT4, CLIENT6, SERVER4, SERVER6 } from '../../src/lab/topologies.js';
import { FAMILIES, FlowLab, NUMBERS } from '../support/flow-lab.js';
import { Talker } from '../support/talker.js';

const SERVER = { 4: SERVER4, 6: SERVER6 } as const;
const CLIENT = { 4: CLIENT4, 6: CLIENT6 } as const;
/** What the world sees of who comes by an uplink: its router's outer address. */
const SEEN = {
  fast: { 4: '212.254.0.2', 6: '2001:db8:1::2' },
  backup: { 4: '212.254.1.2', 6: '2001:db8:2::2' },
} as const;
const WAN2 = { 4: '10.2.0.2', 6: 'fd00:a2::2' } as const;
const IP = { 4: 'ip', 6: 'ip6' } as const;
const PORT = 7000;

describe('flows of a gateway with two interfaces', { skip: missingRequirement()?.message ?? false }, () => {
  let bench: FlowLab;
  let client: Talker;
  let gateway: Talker;
  let internet: Talker;
  let port = PORT;
  before(async () => {
    bench = await FlowLab.create('two-nic');
    [client, gateway, internet] = await Promise.all(
      (['client', 'gateway', 'internet'] as const).map((node) => Talker.start(bench.lab, node)) as [
        Promise<Talker>,
        Promise<Talker>,
        Promise<Talker>,
      ],
    );
  });
  after(() => bench.lab.destroy());

  /** The world's server on a port that no test before had: what conntrack remembers of them does not matter. */
  const served = async (): Promise<number> => {
    port += 1;
    await internet.listen(port);
    return port;
  };

  for (const family of FAMILIES) {
    for (const who of ['client', 'gateway'] as const) {
      test(`IPv${family}, ${who}: what is open stays on wan2, what is new takes wan1`, async () => {
        const talker = who === 'client' ? client : gateway;
        await bench.write({ flows: bench.flows() });
        const at = await served();
        const [byWan1, byWan2] = [
          await bench.watch('out', `oifname wan1 tcp dport ${at}`),
          await bench.watch('out', `oifname wan2 tcp dport ${at}`),
        ];
        await bench.prefer('backup');
        const open = await talker.open(SERVER[family], at);
        assert.equal(await open.say('one'), `${SEEN.backup[family]} one`);
        await bench.prefer('fast');
        const before2 = await byWan2();
        for (const word of ['two', 'three']) assert.equal(await open.say(word), `${SEEN.backup[family]} ${word}`);
        assert.ok((await byWan2()) >= before2 + 2);
        assert.equal(await byWan1(), 0);
        const fresh = await talker.open(SERVER[family], at);
        assert.equal(await fresh.say('new'), `${SEEN.fast[family]} new`);
      });
    }

    test(`IPv${family}: a flow with the probe bit is not remembered, and goes where it was sent`, async () => {
      await bench.write({ flows: bench.flows() });
      await bench.prefer('backup');
      const mark = probeMark(NUMBERS, 0);
      await bench.ip(
        `-${family} rule add priority ${NUMBERS.ruleBase} fwmark ${mark}/${NUMBERS.markMask} lookup ${NUMBERS.tableBase}`,
      );
      const target = bench.lab.uplink('fast')[family === 4 ? 'upstream4' : 'upstream6'];
      const sent = await bench.watch('out', `oifname wan1 ${IP[family]} daddr ${target} meta mark ${mark}`);
      const remembered = await bench.watch('out', `oifname wan1 ${IP[family]} daddr ${target} ct mark != 0`);
      await bench.lab.exec('gateway', ['ping', '-c', '2', '-i', '0.2', '-W', '2', '-m', String(mark), target]);
      assert.equal(await sent(), 2);
      assert.equal(await remembered(), 0);
    });

    for (const server of ['a server of the LAN', 'this machine'] as const) {
      test(`IPv${family}: who comes in by wan2 for ${server} is answered by wan2, while wan1 is active`, async () => {
        port += 1;
        await bench.prefer('fast');
        await (server === 'this machine' ? gateway : client).listen(port);
        await bench.forwardPort('backup', family, port, WAN2[family]);
        if (server !== 'this machine') await bench.forwardPortOn('wan2', family, port, CLIENT[family]);
        await bench.write({ flows: bench.flows() });
        const byWan1 = await bench.watch('out', `oifname wan1 tcp sport ${port}`);
        const open = await internet.open(SEEN.backup[family], port);
        assert.match(await open.say('hello'), / hello$/);
        assert.equal(await byWan1(), 0);
        // Not remembered, the answer takes the active uplink, and whoever asked does not know it.
        await bench.write({ flows: bench.flows({ inbound: false }) });
        const lost = await internet.open(SEEN.backup[family], port);
        assert.equal(lost.opened, 'silence');
        assert.ok((await byWan1()) > 0);
      });
    }

    test(`IPv${family}: the bits of others survive in packets and connections, in both directions`, async () => {
      const at = await served();
      await bench.nft(
        'add table inet others',
        'add chain inet others marks { type filter hook prerouting priority -160; }',
        'add rule inet others marks iifname lan0 meta mark set 0x80000042',
        'add rule inet others marks iifname wan2 meta mark set 0x00000084',
        'add rule inet others marks ct mark set ct mark or 0x80002100',
      );
      try {
        await bench.write({ flows: bench.flows() });
        await bench.prefer('backup');
        const ct = 'ct mark and 0x80ffffff == 0x80002100 ct mark and 0x7f000000 == 0x02000000';
        const there = `tcp dport ${at}`;
        const back = `tcp sport ${at}`;
        const sent = await bench.watch('out', `oifname wan2 ${there}`);
        const whole = await bench.watch('out', `oifname wan2 ${there} meta mark and 0x80ffffff == 0x80000042 ${ct}`);
        const restored = await bench.watch('out', `oifname wan2 ${there} meta mark 0x82000042`);
        const answered = await bench.watch('through', `iifname wan2 ${back}`);
        const wholeBack = await bench.watch('through', `iifname wan2 ${back} meta mark 0x00000084 ${ct}`);
        const open = await client.open(SERVER[family], at);
        await bench.prefer('fast');
        assert.equal(await open.say('x'), `${SEEN.backup[family]} x`);
        const packets = await sent();
        assert.ok(packets >= 3, String(packets));
        assert.equal(await whole(), packets);
        assert.ok((await restored()) >= 2);
        assert.ok((await answered()) >= 2);
        assert.equal(await wholeBack(), await answered());
      } finally {
        await bench.nft('delete table inet others');
      }
    });

    for (const who of ['client', 'gateway'] as const) {
      test(`IPv${family}, ${who}: what is sent on an ended connection is reset, also after the table was replaced`, async () => {
        const talker = who === 'client' ? client : gateway;
        await bench.write({ flows: bench.flows() });
        await bench.prefer('backup');
        const at = await served();
        const [ended, late, other] = [
          await talker.open(SERVER[family], at),
          await talker.open(SERVER[family], at),
          await talker.open(SERVER[family], at),
        ];
        const from = who === 'client' ? CLIENT[family] : WAN2[family];
        for (const talk of [ended, late]) {
          await bench.nft(
            `add element inet backroute dead${family} { ${from} . ${talk.opened} . ${SERVER[family]} . ${at} timeout 30s }`,
          );
          const entry = ['-f', `ipv${family}`, '-p', 'tcp', '--sport', talk.opened];
          await bench.lab.exec('gateway', ['conntrack', '-D', ...entry]);
        }
        assert.equal(await ended.say('x'), 'ECONNRESET');
        await bench.write({ flows: bench.flows() });
        assert.equal(await late.say('x'), 'ECONNRESET');
        assert.match(await other.say('alive'), / alive$/);
        const anew = await talker.open(SERVER[family], at, Number(late.opened));
        assert.equal(anew.opened, late.opened, 'begun anew from the same port');
        assert.match(await anew.say('x'), / x$/);
      });
    }
  }

  for (const family of FAMILIES) {
    test(`IPv${family}: a translated connection that would leave by another uplink is reset, and not forgotten`, async () => {
      const rules = [2, 3].map((n) => `-${family} rule del priority ${NUMBERS.ruleBase + 128 + n}`);
      const [first, second] = (await bench.ip(`-${family} rule show`))
        .split('\n')
        .filter((line) => /^83[01]:/.test(line))
        .map((line) => line.replace(/^(\d+):\s+from all (.*?)(?: \[.*\])?\s*$/, `-${family} rule add priority $1 $2`));
      assert.ok(first !== undefined && second !== undefined);
      try {
        await bench.write({ flows: bench.flows() });
        await bench.prefer('backup');
        const at = await served();
        const [open, other] = [await client.open(SERVER[family], at), await client.open(SERVER[family], at)];
        for (const talk of [open, other]) assert.equal(await talk.say('one'), `${SEEN.backup[family]} one`);
        const astray = await bench.watch('out', `oifname wan1 tcp dport ${at}`);
        // As when the uplink is lost, and its connections are not ended yet.
        await bench.prefer('fast');
        for (const rule of rules) await bench.ip(rule);
        assert.equal(await open.say('two'), 'ECONNRESET');
        assert.equal(await astray(), 0);
        const entries = ['conntrack', '-L', '-f', `ipv${family}`, '-p', 'tcp', '--dport', String(at)];
        const { stdout } = await bench.lab.exec('gateway', entries);
        assert.equal(stdout.trim().split('\n').length, 2, 'the kernel remembers both');
        const fresh = await client.open(SERVER[family], at);
        assert.equal(await fresh.say('new'), `${SEEN.fast[family]} new`);
        // Where connections are kept nobody interferes: the kernel forgets it, and a later packet is a stranger's.
        await bench.write({ flows: bench.flows({ resetAstray: false }) });
        await other.say('two');
        assert.ok((await astray()) > 0);
      } finally {
        for (const rule of [first, second]) await bench.ip(rule);
      }
    });

    test(`IPv${family}: what nobody translates may take another way`, async () => {
      await bench.write({ flows: bench.flows() });
      await bench.prefer('backup');
      const at = await served();
      await bench.nft(`insert rule inet backroute_lab postrouting tcp dport ${at} accept`);
      const { router } = bench.lab.uplink('backup');
      await bench.lab.exec(router, ['ip', `-${family}`, 'route', 'add', CLIENT[family], 'via', WAN2[family], 'dev', 'lan0']);
      const open = await client.open(SERVER[family], at);
      assert.equal(await open.say('one'), `${SEEN.backup[family]} one`);
      const astray = await bench.watch('out', `oifname wan1 tcp dport ${at}`);
      const rule = `-${family} rule add priority 690 fwmark 0x2000000/${NUMBERS.markMask} lookup ${NUMBERS.tableBase}`;
      await bench.ip(rule);
      try {
        await open.say('two');
        assert.ok((await astray()) > 0);
      } finally {
        await bench.ip(rule.replace('rule add', 'rule del'));
      }
    });
  }

  test('our own packets of the mark without an uplink are not tracked', async () => {
    await bench.write({ flows: bench.flows() });
    const { untrackedMark } = bench.flows();
    const sent = await bench.watch('out', `ip daddr ${CLIENT4} icmp type echo-request ct state untracked`);
    await bench.lab.exec('gateway', ['ping', '-c', '1', '-W', '2', '-m', String(untrackedMark), CLIENT4]);
    await bench.lab.exec('gateway', ['ping', '-c', '1', '-W', '2', CLIENT4]);
    assert.equal(await sent(), 1);
  });
});
