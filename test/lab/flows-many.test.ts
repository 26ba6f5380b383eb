/**
 * Conntrack entries by mark, family, port and number, in the real kernel: what is deleted is what was meant, and the loop never waits.
 * Needs root.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type EntrySpec, makeEntries, manyConnections } from '../../bench/conntrack.js';
import type { Family } from '../../src/core/model.js';
import { LinuxFlowKeeper } from '../../src/kernel/flows/keeper.js';
import { MASK, NUMBERS, nft, selector, WAN1, WAN2 } from '../support/flow-bench.js';
import { enterOwnNetwork, ip, needsRoot, setSysctl } from '../support/own-network.js';

let keeper: LinuxFlowKeeper;
let asked = 0;

before(() => {
  if (needsRoot !== false) return;
  enterOwnNetwork();
  setSysctl('net.ipv4.ip_forward', '1');
  ip('link add lan index 50 type veth peer name home index 150');
  ip('link set home up');
  ip('link set lan up');
  ip('addr add 192.168.77.254/16 dev lan');
  for (let host = 1; host < 4; host++) ip(`neigh add 192.168.77.${host} lladdr 02:00:00:00:00:0${host} dev lan`);
  nft(`table inet backroute {
    set dead4 { type ipv4_addr . inet_service . ipv4_addr . inet_service; flags timeout; }
    set dead6 { type ipv6_addr . inet_service . ipv6_addr . inet_service; flags timeout; }
  }`);
  keeper = new LinuxFlowKeeper({ numbers: NUMBERS });
});
after(() => keeper?.close());

const count = async (family: Family, mark: number, ports: readonly number[] | null = null) =>
  (await keeper.count({ id: ++asked, selector: selector(family, mark, ports) })).open;
const end = (family: Family, mark: number, ports: readonly number[] | null = null, reset = false) =>
  keeper.end({ id: ++asked, selector: selector(family, mark, ports), reset });

function entry(family: Family, protocol: 'tcp' | 'udp', sourcePort: number, destinationPort: number, mark: number): EntrySpec {
  const address = (last: number): Uint8Array =>
    family === 4
      ? Uint8Array.of(192, 168, 77, last)
      : Uint8Array.from([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
  return { family, protocol, source: address(1), destination: address(99), sourcePort, destinationPort, mark };
}

/** Three of each kind that may be mixed up: family, mark, foreign bits, protocol, port. */
function mixture(): EntrySpec[] {
  const entries: EntrySpec[] = [];
  for (const family of [4, 6] as const) {
    for (const mark of [WAN1, WAN1 | 0x80000042, WAN2, 0, 0x42]) {
      for (const port of [5060, 51820, 53]) {
        const at = entries.length;
        entries.push(entry(family, 'udp', 10_000 + at, port, mark), entry(family, 'tcp', 10_000 + at, port, mark));
      }
    }
  }
  return entries;
}

const total = (): number => mixture().length;

async function remaining(): Promise<number> {
  let left = 0;
  for (const family of [4, 6] as const) {
    for (const mark of [WAN1, WAN2]) left += (await count(family, mark)) ?? Number.NaN;
  }
  return left;
}

test('counted is what bears the mark in this family, whatever the foreign bits', { skip: needsRoot }, async () => {
  makeEntries([...mixture(), { ...entry(4, 'tcp', 9, 9, WAN1), replied: false }]);
  assert.deepEqual(await keeper.count({ id: 7, selector: selector(4, WAN1) }), { id: 7, open: 13, replied: 12 });
  assert.equal(await count(6, WAN1), 12);
  assert.equal(await count(4, WAN2), 6);
  assert.equal(await count(4, WAN1, [5060, 53]), 4);
  assert.equal(await count(4, 0), null, 'unmarked connections are nobody’s');
});

test('deleted is this mark in this family alone', { skip: needsRoot }, async () => {
  const before = await remaining();
  const outcome = await end(4, WAN1);
  assert.equal(outcome.entries, 13);
  assert.deepEqual(outcome.problems, []);
  assert.equal(await remaining(), before - 13);
  assert.equal(await count(4, WAN1), 0);
  assert.equal(await count(6, WAN1), 12, 'the other family');
  assert.equal(await count(4, WAN2), 6, 'the other mark');
  // Six with no mark, or a foreign one alone, in each family: asked with a selector that only a test would use.
  const foreign = await keeper.count({ id: 8, selector: { family: 4, mark: 0x42, mask: MASK | 0x42, udpPorts: null } });
  assert.equal(foreign.open, 6);
});

test('UDP flows by destination port, one by one, with nothing beside them', { skip: needsRoot }, async () => {
  makeEntries(mixture().filter((spec) => spec.family === 4 && (spec.mark & MASK) === WAN1));
  const before = await remaining();
  const outcome = await end(4, WAN1, [5060, 51820], true);
  assert.equal(outcome.entries, 4);
  assert.equal(await remaining(), before - 4);
  assert.equal(await count(4, WAN1, [5060, 51820]), 0);
  assert.equal(await count(4, WAN1, [53]), 2);
  assert.equal((await end(4, WAN1, [])).entries, 0, 'no port is no flow');
  assert.equal((await end(6, WAN1, [5060])).entries, 2);
  assert.equal(total(), 60);
});

test('10,000 UDP flows', { skip: needsRoot }, async (t) => {
  const flows = Array.from({ length: 10_000 }, (_, at) => entry(4, 'udp', 20_000 + at, 4500, WAN2));
  makeEntries(flows);
  const outcome = await end(4, WAN2, [4500]);
  assert.equal(outcome.entries, 10_000);
  t.diagnostic(`${outcome.tookMs.toFixed(0)} ms`);
  assert.equal(await count(4, WAN2), 6);
});

test('100,000 connections: the loop turns, the most recent peers are told, everything is gone', {
  skip: needsRoot,
}, async (t) => {
  const others = (await count(4, WAN1)) ?? Number.NaN;
  makeEntries(manyConnections(100_000, WAN1 | 0x42));
  // A packet ten seconds ago; the others were silent for days.
  const lively = Array.from({ length: 10 }, (_, at) => ({ ...entry(4, 'tcp', 100 + at, 8443, WAN1), timeout: 431_990 }));
  makeEntries(lively);
  const all = 100_000 + lively.length + others;
  const turns = watchLoop();
  const counted = await count(4, WAN1);
  const outcome = await end(4, WAN1, null, true);
  const turned = turns.stop();
  assert.equal(counted, all);
  assert.equal(outcome.entries, all);
  assert.equal(outcome.resets, 16_384);
  assert.match(outcome.problems.join(), /16384 most recently active of 1000\d\d /);
  assert.equal(await count(4, WAN1), 0);
  assert.equal(
    nft('list set inet backroute dead4').match(/ 8443 timeout/g)?.length,
    lively.length,
    'the lively ones are among those told',
  );
  const text = ({ p99, longest }: Spread): string => `p99 ${p99.toFixed(2)} ms, longest ${longest.toFixed(2)} ms`;
  t.diagnostic(
    `end() took ${outcome.tookMs.toFixed(0)} ms; the loop stood still: ${text(turned.stillMs)}; worked: ${text(turned.busyMs)}`,
  );
  assert.ok(turned.stillMs.p99 < 5, `the loop stood still for ${text(turned.stillMs)}`);
  // A busy machine may hold any thread for longer, so the longest is judged by the time on the CPU: the flush alone takes 70 ms of it.
  assert.ok(turned.busyMs.longest < 10, `the loop worked for ${text(turned.busyMs)}`);
});

interface Spread {
  readonly p99: number;
  readonly longest: number;
}

/** The loop's turns beside a timer of 1 ms: how long it stood still while it had a core, and how long it worked (proc(5), schedstat). */
function watchLoop(): { stop(): { stillMs: Spread; busyMs: Spread } } {
  const schedstat = (): number[] => readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'latin1').split(' ').map(Number);
  const look = () => {
    const [ran = 0, queued = 0] = schedstat();
    return { atMs: performance.now(), ranMs: ran / 1e6, queuedMs: queued / 1e6 };
  };
  const still: number[] = [];
  const busy: number[] = [];
  let last = look();
  const timer = setInterval(() => {
    const now = look();
    still.push(Math.max(0, now.atMs - last.atMs - 1 - (now.queuedMs - last.queuedMs)));
    busy.push(now.ranMs - last.ranMs);
    last = now;
  }, 1);
  const spread = (values: number[]): Spread => {
    values.sort((a, b) => a - b);
    return { p99: values[Math.floor(values.length * 0.99)] ?? 0, longest: values.at(-1) ?? 0 };
  };
  return {
    stop() {
      clearInterval(timer);
      return { stillMs: spread(still), busyMs: spread(busy) };
    },
  };
}

test('asks that have not begun are folded, and each is answered', { skip: needsRoot }, async () => {
  makeEntries([entry(4, 'tcp', 1, 1, WAN2)]);
  const answers = await Promise.all([1, 2, 3, 4].map((id) => keeper.end({ id, selector: selector(4, WAN2), reset: false })));
  assert.deepEqual(
    answers.map(({ id }) => id),
    [1, 2, 3, 4],
  );
  assert.equal(answers[0]?.entries, 7);
  assert.equal(answers.at(-1)?.entries, 0);
});

test('without rights nothing is thrown: the remedy is told', { skip: needsRoot }, () => {
  const module = new URL('../../src/kernel/flows/keeper.js', import.meta.url).href;
  const script = `
    const { LinuxFlowKeeper } = await import(${JSON.stringify(module)});
    const keeper = new LinuxFlowKeeper({ numbers: ${JSON.stringify(NUMBERS)} });
    const selector = ${JSON.stringify(selector(4, WAN1))};
    console.log(JSON.stringify([await keeper.end({ id: 1, selector, reset: true }), await keeper.count({ id: 2, selector })]));
    await keeper.close();
    console.log(JSON.stringify(await keeper.end({ id: 3, selector, reset: true })));
    const { NETLINK_NETFILTER, NetlinkPort } = await import(${JSON.stringify(new URL('port.js', module).href)});
    const { addDeadTuples } = await import(${JSON.stringify(new URL('dead-set.js', module).href)});
    const end = { address: Buffer.alloc(4), port: 1 };
    try {
      addDeadTuples(new NetlinkPort(NETLINK_NETFILTER), 4, [{ source: end, destination: end }], 1000);
    } catch (error) {
      console.log(error.errno);
    }`;
  const argv = ['--bounding-set=-all', '--inh-caps=-all', process.execPath, '--input-type=module', '-e', script];
  const { stdout, stderr } = spawnSync('setpriv', argv, { encoding: 'utf8', cwd: fileURLToPath(new URL('.', import.meta.url)) });
  const [first, last, transaction] = stdout.trim().split('\n');
  const [ended, counted] = JSON.parse(first ?? stderr);
  assert.match(ended.problems.join(), /CAP_NET_ADMIN/);
  assert.deepEqual(counted, { id: 2, open: null, replied: null });
  assert.match(JSON.parse(last ?? '').problems.join(), /is ending/);
  assert.equal(transaction, 'EPERM', 'a refused transaction is told at once');
});
