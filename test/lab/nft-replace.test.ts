/**
 * Our nftables table as it is written, read and replaced: by the adapter in a network of its own, and under traffic in a lab.
 * Needs root.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import type { NftRules } from '../../src/core/kernel.js';
import { KernelError } from '../../src/kernel/error.js';
import { readNftTable, writeNftTable } from '../../src/kernel/nft.js';
import { missingRequirement } from '../../src/lab/requirements.js';
import { SERVER4 } from '../../src/lab/topologies.js';
import { FlowLab } from '../support/flow-lab.js';
import { enterOwnNetwork, needsRoot } from '../support/own-network.js';
import { Talker } from '../support/talker.js';

const nft = (...args: string[]): string => execFileSync('nft', args, { encoding: 'utf8', maxBuffer: 1e8, stdio: 'pipe' });
const MASK = 0x7f000000;

function rules(uplinks: number, shared: boolean): NftRules {
  const ways = Array.from({ length: uplinks }, (_, slot) =>
    ([4, 6] as const).map((family) => ({
      family,
      interface: shared ? 'lan0' : `wan${slot + 1}`,
      gateway: shared ? (family === 4 ? `192.168.1.${slot + 1}` : `fe80::${slot + 1}`) : null,
      mac: shared ? `02:00:00:00:00:${(slot + 16).toString(16)}` : null,
      mark: (slot + 1) << 24,
    })),
  ).flat();
  const six = ways.filter((way) => way.family === 6);
  return {
    dropNdRedirectsOn: shared ? ['lan0'] : [],
    flows: { mask: MASK, ways, inbound: true, resetAstray: true, untrackedMark: 0x40000000 },
    masquerade: ways,
    prefixes: six.map((way, k) => ({ way, inside: 'fd00:1::/64', outside: `2001:db8:${k + 1}::/64` })),
  };
}

const DEAD = 20_000;

// Before the lab: what is built from here on lives in namespaces of their own anyway.
describe('the table, written and read', { skip: needsRoot }, () => {
  before(() => enterOwnNetwork());

  test('written, known again, replaced, removed, whatever stood there', async () => {
    assert.equal((await readNftTable()).fingerprint, 'absent');
    for (const [uplinks, shared] of [
      [2, false],
      [63, true],
      [63, false],
      [3, true],
    ] as const) {
      await writeNftTable(`of ${uplinks}`, rules(uplinks, shared));
      assert.equal((await readNftTable()).fingerprint, `of ${uplinks}`);
    }
    await writeNftTable('', null);
    assert.equal((await readNftTable()).fingerprint, 'absent');
    assert.equal(nft('list', 'ruleset'), '');
  });

  test('what nft lists, nft takes again: people keep their firewall in a file', async () => {
    await writeNftTable('kept', rules(2, true));
    const listed = nft('list', 'ruleset');
    nft('flush', 'ruleset');
    nft(listed);
    assert.equal(nft('list', 'ruleset'), listed);
    assert.equal((await readNftTable()).fingerprint, 'kept');
  });

  test("somebody's table of our name is not taken for ours, and gives way", async () => {
    nft('flush ruleset; add table inet backroute; add chain inet backroute output; add table inet theirs');
    assert.equal((await readNftTable()).fingerprint, '');
    nft('add set inet backroute dead4 { type ipv4_addr; }');
    await writeNftTable('ours', rules(2, false));
    assert.equal((await readNftTable()).fingerprint, 'ours');
    assert.match(nft('list', 'tables'), /theirs/);
  });

  test('with the dead of a big failover the fingerprint is read as fast as ever, and they outlive a replacement', async () => {
    await writeNftTable('before', rules(3, false));
    const elements = Array.from({ length: DEAD }, (_, n) => `10.9.${n >> 8}.${n & 255} . 4000 . 198.51.100.10 . 80 timeout 600s`);
    for (let at = 0; at < DEAD; at += 1000)
      nft(`add element inet backroute dead4 { ${elements.slice(at, at + 1000).join(', ')} }`);
    const began = performance.now();
    nft('-j', 'list', 'chain', 'inet', 'backroute', 'dead');
    const chainMs = performance.now() - began;
    const times: number[] = [];
    for (let n = 0; n < 5; n += 1) {
      const from = performance.now();
      assert.equal((await readNftTable()).fingerprint, 'before');
      times.push(performance.now() - from);
    }
    assert.ok(Math.min(...times) < chainMs / 2, `${times} against ${chainMs}`);
    await writeNftTable('after', rules(2, false));
    assert.equal((await readNftTable()).fingerprint, 'after');
    nft(
      'get',
      'element',
      'inet',
      'backroute',
      'dead4',
      elements[DEAD - 1]?.replace(/ timeout.*/, '').replace(/^(.*)$/, '{ $1 }') ?? '',
    );
    await writeNftTable('no flows', { dropNdRedirectsOn: ['lan0'] });
    assert.throws(() => nft('list', 'set', 'inet', 'backroute', 'dead4'));
  });

  test('what nft refuses is told in one line, and all is as it was', async () => {
    await writeNftTable('good', rules(2, false));
    const bad = {
      ...rules(2, false),
      prefixes: [{ way: { family: 6, interface: 'wan1', gateway: null, mac: null }, inside: 'nonsense', outside: 'nonsense/64' }],
    } as const;
    await assert.rejects(
      () => writeNftTable('bad', bad),
      (error: unknown) => error instanceof KernelError && error.errno === 'EINVAL' && !error.message.includes('\n'),
    );
    assert.equal((await readNftTable()).fingerprint, 'good');
  });
});

describe('the table, replaced under traffic', { skip: missingRequirement()?.message ?? false }, () => {
  let bench: FlowLab;
  before(async () => {
    bench = await FlowLab.create('two-nic');
  });
  after(() => bench.lab.destroy());

  test('1,000 packets a second pass, and open connections stay where they are', async () => {
    const client = await Talker.start(bench.lab, 'client');
    const internet = await Talker.start(bench.lab, 'internet');
    await internet.listen(7000);
    await bench.write({ flows: bench.flows() });
    await bench.prefer('backup');
    const open = await client.open(SERVER4, 7000);
    await open.say('one');
    const into = 'iifname lan0 meta l4proto udp';
    const through = await bench.watch('through', into);
    const kept = await bench.watch('out', `${into} oifname wan2 ct mark 0x02000000`);
    const astray = await bench.watch('out', 'oifname wan1 meta l4proto { tcp, udp }');
    const meter = await bench.lab.meter({ intervalMs: 1, graceMs: 500 });
    await bench.prefer('fast');
    for (let n = 0; n < 50; n += 1) {
      await bench.write({ flows: bench.flows(), masquerade: n % 2 === 0 ? bench.ways : [] });
      if (n % 10 === 0) assert.equal(await open.say(`word ${n}`), `212.254.1.2 word ${n}`);
    }
    const { sent, lost } = await meter.stop();
    assert.equal(lost, 0);
    assert.ok(sent > 1000, String(sent));
    assert.deepEqual([await through(), await kept(), await astray()], [sent, sent, 0]);
  });
});
