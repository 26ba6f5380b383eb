/** Patience and hold-down learned from an uplink's own silences: what the whole engine makes of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Config } from '../../src/core/config.js';
import type { HistoryRecord, PathView } from '../../src/core/messages.js';
import { makeEngine, story, withDefault } from '../support/story.js';
import { play, ways } from '../support/timeline.js';
import { classic, separate, type Topology } from '../support/topology.js';
import { VirtualWorld } from '../support/virtual-world.js';

const SEED = 20_261_123;
const learned = { failAfterMs: null, recoverAfterMs: null } as const;

function learning(change: Partial<Config> = {}, topology: Topology = withDefault(classic(), '192.168.1.253', 'eth0')): Topology {
  const uplinks = topology.config.uplinks.map((uplink) => ({ ...uplink, ...learned }));
  return { ...topology, config: { ...topology.config, uplinks, ...change } };
}

const played = (timeline: string, topology = learning(), seed = SEED): VirtualWorld => {
  const world = new VirtualWorld(topology, makeEngine, seed);
  play(world, timeline);
  return world;
};

/** Silences of so many seconds, one a minute from the first on. */
const silences = (uplink: string, lengthS: number, count: number, fromS = 20): string =>
  Array.from(
    { length: count },
    (_, i) => `${fromS + 60 * i}s cut ${uplink} upstream\n${fromS + 60 * i + lengthS}s mend ${uplink}`,
  ).join('\n');

const switches = (world: VirtualWorld): HistoryRecord[] => world.records('switch').filter(({ from }) => from !== null);

function pathOf(world: VirtualWorld, uplink: string): PathView {
  const path = world.engine?.view(world.nowMs).uplinks.find(({ name }) => name === uplink)?.paths[0];
  assert.ok(path !== undefined);
  return path;
}

test('one that blips is borne, one that dies for minutes is left sooner: the same program, nothing set', () => {
  const blipping = played(`0s start\n${silences('fast', 1, 40)}\n2500s end`);
  assert.deepEqual(ways(blipping, 4), ['fast'], 'no silence of a second moved anything');
  const dying = played(`0s start\n${silences('fast', 40, 40)}\n2500s end`);
  const borneByThen = (world: VirtualWorld): number => pathOf(world, 'fast').patience.ms;
  assert.ok(borneByThen(blipping) > 1_000 && borneByThen(blipping) < 5_000, `blips: ${borneByThen(blipping)} ms`);
  assert.ok(borneByThen(dying) < 500, `minutes: ${borneByThen(dying)} ms`);
});

test('the patience in force and its ground are told: in status, with the failover and with the failback', () => {
  const world = played(`0s start\n${silences('fast', 1, 12)}\n800s cut fast upstream\n860s mend fast\n1500s end`);
  assert.deepEqual(ways(world, 4), ['fast', 'backup', 'fast']);
  const [away, back] = switches(world);
  assert.match(String(away?.data.ground), /^median silence of this uplink .* s, 9 of 10 end within .* s: waiting .* s$/);
  assert.ok(away?.text.includes(String(away.data.ground)), away?.text);
  assert.match(String(back?.data.ground), /^it failed again within .* after .* of its last 10 recoveries: (staying|coming)/);
  const { patience } = pathOf(world, 'fast');
  assert.equal(patience.learned, true);
  assert.match(patience.ground ?? '', /waiting/);
  assert.equal(patience.leftMs, null);
  const down = world.records('health').find(({ to }) => to === 'down');
  assert.match(String(down?.data.ground), /waiting/);
});

test('each silence is told when it is over, with its cause, length, and whether it was borne', () => {
  const world = played('0s start\n60s cut fast upstream\n61s mend fast\n120s cut fast upstream\n160s mend fast\n500s end');
  const [short, long] = world.records('silence');
  assert.deepEqual([short?.data.borne, long?.data.borne], [true, false]);
  for (const [record, lengthMs] of [
    [short, 1_000],
    [long, 40_000],
  ] as const) {
    assert.equal(record?.data.cause, 'upstream');
    assert.ok(Math.abs(Number(record.data.lengthMs) - lengthMs) <= 1_100, `${record.data.lengthMs} ms of ${lengthMs}`);
  }
});

test('min and max bound what is learned', () => {
  const uplinks = learning().config.uplinks.map((uplink) => ({ ...uplink, patienceBounds: { minMs: 8_000, maxMs: 9_000 } }));
  const world = played(`0s start\n${silences('fast', 40, 6)}\n400s end`, learning({ uplinks }));
  const away = world.records('health').filter(({ to }) => to === 'down');
  assert.equal(away.length, 6);
  for (const { data } of away) assert.ok(Number(data.silentMs) > 7_000 && Number(data.silentMs) < 9_200, `${data.silentMs} ms`);
});

test('what was learned survives kill -9 but for its last minute, and is forgotten when told so', () => {
  const before = `0s start\n${silences('fast', 1, 30)}\n1900s kill`;
  const restarted = played(`${before}\n1910s start\n1940s end`);
  const known = pathOf(restarted, 'fast').patience.ground ?? '';
  assert.match(known, /^median silence of this uplink/);
  const forgot = played(`${before}\n1910s start\n1940s forget\n1950s end`);
  assert.match(pathOf(forgot, 'fast').patience.ground ?? '', /^nothing known of this uplink yet/);
  assert.match(forgot.records('admin').at(-1)?.text ?? '', /forgotten/);
});

test('a short silence makes a running hold-down begin anew', () => {
  const topology = withDefault(classic(), '192.168.1.253', 'eth0');
  const world = played(
    '0s start\n20s cut fast upstream\n40s mend fast\n60s cut fast upstream\n61.2s mend fast\n120s end',
    topology,
  );
  const back = world.log.find(
    (entry) =>
      entry.type === 'record' && entry.record.kind === 'switch' && entry.record.to === 'fast' && entry.record.from !== null,
  );
  // recover-after is 30 s here: counted from 40 s it would have been over at 70 s.
  assert.ok(back !== undefined && back.atMs > 90_000 && back.atMs < 93_000, `back after ${back?.atMs} ms`);
});

test('a process that sleeps learns no silence', () => {
  const world = played('0s start\n60s stall 20s\n120s suspend 600s\n900s end');
  assert.deepEqual(world.records('silence'), []);
  assert.deepEqual(ways(world, 4), ['fast']);
});

test('a brown-out is left when what is lost has cost enough, and not for a place that is no better', () => {
  const better = played('0s start\n60s loss fast 0.4\n400s end');
  assert.deepEqual(ways(better, 4), ['fast', 'backup']);
  assert.match(String(switches(better)[0]?.data.ground), /waiting/);
  const alike = played('0s start\n60s loss fast 0.3\n60s loss backup 0.3\n1000s end');
  assert.equal(switches(alike).filter(({ reason }) => reason === 'loss-high').length, 0, 'the backup loses as much');
});

test('a brown-out is learned with the share that it lost', () => {
  // With so much loss several are lost in a row now and then: a silence, which ends the lossy time before it, untold.
  const lossy = Array.from({ length: 8 }, (_, i) =>
    played('0s start\n60s loss fast 0.4\n400s loss fast 0\n800s end', learning(), SEED + i)
      .records('silence')
      .filter(({ data }) => data.cause === 'loss'),
  ).flat();
  assert.ok(lossy.length > 0);
  for (const { data } of lossy) {
    assert.ok(Number(data.severity) >= 0.2 && Number(data.severity) <= 0.6, `severity ${data.severity}`);
  }
});

test('nobody moves to a backup that is silent itself; of two the one that works is taken', () => {
  const three = () => learning({}, withDefault(separate(['a', 'b', 'c']), '10.0.0.1', 'wan0'));
  const world = played('0s start\n60s cut b upstream\n100s cut a upstream\n160s mend a\n161s mend b\n900s end', three());
  assert.deepEqual(ways(world, 4).slice(0, 2), ['a', 'c']);
});

test('all silent: it goes to the one whose silences are over soon, not to and fro', () => {
  const topology = learning({}, withDefault(separate(['a', 'b']), '10.0.0.1', 'wan0'));
  // a is away for five minutes each time, b for two seconds.
  const past = Array.from(
    { length: 12 },
    (_, i) =>
      `${1000 * i + 20}s cut a upstream\n${1000 * i + 320}s mend a\n${1000 * i + 500}s cut b upstream\n${1000 * i + 502}s mend b`,
  ).join('\n');
  const world = played(
    `0s start\n${past}\n13000s cut a upstream\n13000s cut b upstream\n13004s mend b\n13300s mend a\n14000s end`,
    topology,
  );
  const late = world.log.flatMap((entry) =>
    entry.type === 'record' && entry.record.kind === 'switch' && entry.atMs > 12_999_000
      ? [`${entry.record.from}>${entry.record.to}`]
      : [],
  );
  assert.ok(late.filter((text) => text !== 'null>null').length <= 2, late.join(' '));
  assert.equal(late.includes('a>b'), true, late.join(' '));
});

story('learned: the tenth blip of a second is borne, the cut of the cable is not', () => ({
  topology: learning(),
  timeline: `
    0s   start
    ${silences('fast', 1, 10)}
    700s cut fast upstream
    1000s mend fast
    1500s end`,
  check(world) {
    assert.deepEqual(ways(world, 4), ['fast', 'backup', 'fast']);
  },
}));

test('after a silence what matters is asked more often for an hour: the one in use, and the preferred one that is awaited', () => {
  const count = (world: VirtualWorld, uplink: string): number => world.prober.sent.get(`${uplink}/4`) ?? 0;
  /** probes a minute to each uplink, well after the last event of the timeline */
  const rates = (timeline: string, atS: number, topology = learning()): number[] => {
    const world = played(`${timeline}\n${atS}s end`, topology);
    const before = ['fast', 'backup'].map((uplink) => count(world, uplink));
    world.runUntil(1_000 * (atS + 60));
    return ['fast', 'backup'].map((uplink, i) => count(world, uplink) - (before[i] ?? 0));
  };
  const near = (found: readonly number[], wanted: readonly number[]): void => {
    for (const [i, rate] of found.entries())
      assert.ok(Math.abs(rate - (wanted[i] ?? 0)) <= 0.15 * (wanted[i] ?? 0), `${found} a minute`);
  };
  // 60 a minute and the gateway's 6.
  const usual = 66;
  near(rates('0s start', 100), [usual, usual]);
  near(rates('0s start\n60s cut fast upstream\n61.5s mend fast', 600), [606, usual]);
  near(rates('0s start\n60s cut fast upstream\n61.5s mend fast', 3_900), [usual, usual]);
  const given = withDefault(classic(), '192.168.1.253', 'eth0');
  near(rates('0s start\n60s cut fast upstream\n61.5s mend fast', 600, given), [usual, usual]);
});
