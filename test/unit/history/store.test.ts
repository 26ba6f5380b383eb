import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { test } from 'node:test';
import type { HistoryEntry } from '../../../src/core/entry.js';
import type { Standing } from '../../../src/history/batch.js';
import { MINUTE_MS } from '../../../src/history/schema.js';
import { openSqlite } from '../../../src/history/sqlite.js';
import {
  batch,
  DAY_MS,
  entry,
  HistoryBench,
  health,
  LIMITS,
  minuteOf,
  silence,
  standing,
  switched,
  T0,
} from './history-bench.js';

const DOWN: Partial<Standing> = { health: 'down', reason: 'upstream-silent' };
const FOREVER = [0, Number.MAX_SAFE_INTEGER] as const;

function written(bench: HistoryBench, entries: readonly HistoryEntry[], nowMs: number, change: Partial<Standing> = {}) {
  const store = bench.store();
  store.write(batch(nowMs, { entries, standing: [standing(change)] }));
  store.close(null);
  return bench.read();
}

test('an outage told by health alone: from the silence to the return', () => {
  using bench = new HistoryBench();
  const history = written(
    bench,
    [
      entry('started', T0, { uplink: 'fast', family: 4 }),
      health(T0 + 10_000, 'up', 'down', { silentMs: 2_000 }),
      health(T0 + 70_000, 'down', 'up', { durationMs: 60_000 }),
    ],
    T0 + 90_000,
  );
  assert.deepEqual(history.outages(...FOREVER), [
    {
      uplink: 'fast',
      family: 4,
      beganMs: T0 + 8_000,
      endedMs: T0 + 70_000,
      cause: 'upstream',
      reason: 'upstream-silent',
      severity: 1,
      active: true,
      interrupted: false,
      borne: false,
    },
  ]);
  assert.deepEqual(history.watched(...FOREVER), [{ uplink: 'fast', family: 4, fromMs: T0, toMs: T0 + 90_000 }]);
});

test('the record of the silence makes the same row exact, whichever comes first', () => {
  for (const silenceFirst of [true, false]) {
    using bench = new HistoryBench();
    const up = health(T0 + 70_000, 'down', 'up', { durationMs: 60_000 });
    const exact = { ...silence(T0 + 7_750, 61_900, { cause: 'gateway' }), wallMs: T0 + 70_000 };
    const history = written(
      bench,
      [health(T0 + 10_000, 'up', 'down', { silentMs: 2_000 }), ...(silenceFirst ? [exact, up] : [up, exact])],
      T0 + 90_000,
    );
    const outages = history.outages(...FOREVER);
    assert.equal(outages.length, 1, `silence first: ${silenceFirst}`);
    assert.equal(outages[0]?.beganMs, T0 + 7_750);
    assert.equal(outages[0]?.endedMs, T0 + 69_650);
    assert.equal(outages[0]?.cause, 'gateway');
    assert.equal(outages[0]?.reason, 'upstream-silent');
  }
});

test('a silence that was borne is a row of its own, also right before one that was not', () => {
  using bench = new HistoryBench();
  const history = written(
    bench,
    [
      silence(T0 + 1_000, 800, { borne: true }),
      silence(T0 + 3_000, 900, { borne: true }),
      health(T0 + 6_000, 'up', 'down', { silentMs: 1_500 }),
      silence(T0 + 4_400, 20_000),
      health(T0 + 24_500, 'down', 'up', { durationMs: 18_500 }),
    ],
    T0 + 60_000,
  );
  assert.deepEqual(
    history.outages(...FOREVER).map(({ beganMs, endedMs, borne }) => [beganMs - T0, (endedMs ?? 0) - T0, borne]),
    [
      [1_000, 1_800, true],
      [3_000, 3_900, true],
      [4_400, 24_400, false],
    ],
  );
});

test('loss is told apart from silence, and gets its severity when it is over', () => {
  using bench = new HistoryBench();
  const history = written(
    bench,
    [
      health(T0 + 10_000, 'up', 'degraded'),
      health(T0 + 20_000, 'degraded', 'down', { silentMs: 1_000 }),
      health(T0 + 30_000, 'down', 'degraded', { durationMs: 10_000 }),
      { ...silence(T0 + 9_000, 31_000, { cause: 'loss', severity: 0.4 }), wallMs: T0 + 40_000 },
      health(T0 + 40_000, 'degraded', 'up', { durationMs: 10_000 }),
    ],
    T0 + 60_000,
  );
  const rows = history.outages(...FOREVER).map((row) => [row.cause, row.severity, row.beganMs - T0, (row.endedMs ?? 0) - T0]);
  assert.deepEqual(rows, [
    ['loss', 0.4, 9_000, 40_000],
    ['loss', null, 10_000, 20_000],
    ['upstream', 1, 19_000, 30_000],
  ]);
});

test('an outage that lasts is in the file at once, and is closed as interrupted by the next run', () => {
  using bench = new HistoryBench();
  const store = bench.store();
  const down = health(T0 + 10_000, 'up', 'down', { silentMs: 2_000 });
  store.write(batch(T0 + 12_000, { entries: [down], standing: [standing({ ...DOWN, sinceMs: T0 + 8_000 })] }));
  store.write(batch(T0 + 72_000, { standing: [standing({ ...DOWN, sinceMs: T0 + 8_000 })] }));
  assert.deepEqual(
    bench
      .read()
      .outages(...FOREVER)
      .map(({ beganMs, endedMs, interrupted }) => [beganMs - T0, endedMs, interrupted]),
    [[8_000, null, false]],
  );
  // Killed: the next run finds the row open.
  const next = bench.store();
  next.write(batch(T0 + 200_000, { standing: [standing({ watchedSinceMs: T0 + 199_000 })] }));
  const history = bench.read();
  assert.deepEqual(
    history.outages(...FOREVER).map(({ beganMs, endedMs, interrupted }) => [beganMs - T0, (endedMs ?? 0) - T0, interrupted]),
    [[8_000, 72_000, true]],
  );
  assert.deepEqual(
    history.watched(...FOREVER).map(({ fromMs, toMs }) => [fromMs - T0, toMs - T0]),
    [
      [0, 72_000],
      [199_000, 200_000],
    ],
  );
});

test('what stands wins over what was heard: an outage whose beginning was not told is written all the same', () => {
  using bench = new HistoryBench();
  const history = written(bench, [], T0 + 60_000, { ...DOWN, sinceMs: T0 + 30_000 });
  const [row] = history.outages(...FOREVER);
  assert.equal(row?.beganMs, T0 + 30_000);
  assert.equal(row?.endedMs, null);
});

test('the clock was set back a year while an outage lasted: its length is the measured one', () => {
  using bench = new HistoryBench();
  const later = T0 - 365 * DAY_MS;
  const history = written(
    bench,
    [
      health(T0 + 10_000, 'up', 'down', { silentMs: 2_000 }),
      entry('stall', later, { data: { cause: 'clock-stepped', spanMs: 0 } }),
      health(later + 30_000, 'down', 'up', { durationMs: 50_000 }),
    ],
    later + 60_000,
    { watchedSinceMs: later },
  );
  const [row] = history.outages(...FOREVER);
  assert.equal((row?.endedMs ?? 0) - (row?.beganMs ?? 0), 52_000);
});

test('a switch tells the silence felt before it, and its ground', () => {
  using bench = new HistoryBench();
  const history = written(
    bench,
    [
      health(T0 + 10_000, 'up', 'down', { silentMs: 2_000, data: { ground: 'median silence 1 s: waiting 2 s' } }),
      switched(T0 + 10_000, 'fast', 'backup'),
      health(T0 + 70_000, 'down', 'up', { durationMs: 60_000 }),
      switched(T0 + 100_000, 'backup', 'fast', { reason: 'preferred' }),
      switched(T0 + 110_000, 'fast', 'fast', { reason: 'no-choice' }),
      switched(T0 + 115_000, 'fast', 'backup', { data: { silentMs: 740, ground: null } }),
    ],
    T0 + 120_000,
  );
  assert.deepEqual(
    history.switches(...FOREVER).map(({ atMs, from, to, feltMs, ground }) => [atMs - T0, from, to, feltMs, ground]),
    [
      [10_000, 'fast', 'backup', 2_000, 'median silence 1 s: waiting 2 s'],
      [100_000, 'backup', 'fast', 0, null],
      [115_000, 'fast', 'backup', 740, null],
    ],
  );
});

test('a time in which the process stood still is not watched', () => {
  using bench = new HistoryBench();
  const store = bench.store();
  store.write(batch(T0 + 60_000, { standing: [standing()] }));
  const stall = entry('stall', T0 + 400_000, { data: { cause: 'suspended', spanMs: 300_000 } });
  const anew = standing({ watchedSinceMs: T0 + 400_000 });
  store.write(batch(T0 + 420_000, { entries: [stall], standing: [anew] }));
  store.write(batch(T0 + 480_000, { standing: [anew] }));
  store.close(null);
  assert.deepEqual(
    bench
      .read()
      .watched(...FOREVER)
      .map(({ fromMs, toMs }) => [fromMs - T0, toMs - T0]),
    [
      [0, 100_000],
      [400_000, 480_000],
    ],
  );
});

test('an uplink that is gone from the configuration is watched no more; the others go on', () => {
  using bench = new HistoryBench();
  const store = bench.store();
  const backup = standing({ uplink: 'backup', ...DOWN });
  store.write(batch(T0 + 60_000, { standing: [standing(), backup] }));
  store.write(batch(T0 + 120_000, { standing: [standing()] }));
  store.close(null);
  const history = bench.read();
  assert.deepEqual(
    history.watched(...FOREVER).map(({ uplink, toMs }) => [uplink, toMs - T0]),
    [
      ['fast', 120_000],
      ['backup', 60_000],
    ],
  );
  const [row] = history.outages(...FOREVER);
  assert.deepEqual([row?.endedMs, row?.interrupted], [T0 + 60_000, true]);
});

test('figures of a minute, and its samples', () => {
  using bench = new HistoryBench();
  const store = bench.store();
  const samples = [
    minuteOf(T0, (s) => (s % 10 === 3 ? null : 10 + s / 10)),
    minuteOf(T0, () => 0.25, { family: 6, label: 'a b' }),
  ];
  store.write(batch(T0 + 66_000, { samples, standing: [standing()] }));
  store.close(null);
  const history = bench.read();
  const [first, second] = [...history.minutes(...FOREVER)];
  assert.deepEqual(first, {
    minuteMs: T0,
    uplink: 'fast',
    family: 4,
    target: '192.0.2.1',
    sent: 60,
    lost: 6,
    p50Ms: 12.9,
    p90Ms: 15.4,
    p99Ms: 15.9,
    maxMs: 15.9,
    jitterMs: 0.111,
  });
  assert.equal(second?.target, 'a b');
  assert.equal(second?.family, 6);
  const raw = [...history.samples(T0, T0 + MINUTE_MS)];
  assert.equal(raw.length, 120);
  assert.deepEqual(raw[3], { atMs: T0 + 3_000, uplink: 'fast', family: 4, target: '192.0.2.1', rttMs: null });
  assert.equal([...history.samples(T0 + 30_000, T0 + 31_000)].length, 2);
  assert.equal([...history.minutes(T0 + 1, T0 + MINUTE_MS)].length, 0);
});

test('a minute that comes in two parts is one minute', () => {
  using bench = new HistoryBench();
  const store = bench.store();
  const whole = minuteOf(T0, (s) => s + 1);
  const half = whole.values.length / 2;
  store.write(batch(T0 + 30_000, { samples: [{ ...whole, values: whole.values.slice(0, half) }] }));
  store.write(batch(T0 + 66_000, { samples: [{ ...whole, values: whole.values.slice(half) }] }));
  store.close(null);
  const [row] = [...bench.read().minutes(...FOREVER)];
  assert.deepEqual([row?.sent, row?.p50Ms, row?.maxMs, row?.jitterMs], [60, 30, 60, 1]);
});

test('by age: samples, then minutes go; never more than a little at once', () => {
  using bench = new HistoryBench();
  const limits = { ...LIMITS, rawMs: 3_600_000, keepMs: 2 * 3_600_000 };
  const store = bench.store();
  for (let minute = 0; minute < 200; minute += 1) {
    const samples = [minuteOf(T0 + minute * MINUTE_MS, () => 10)];
    store.write(batch(T0 + (minute + 1) * MINUTE_MS, { samples, limits }));
  }
  const history = bench.read();
  const [oldestSample] = [...history.samples(...FOREVER)];
  const [oldestMinute] = [...history.minutes(...FOREVER)];
  const age = (atMs: number | undefined): number => (T0 + 200 * MINUTE_MS - (atMs ?? 0)) / MINUTE_MS;
  assert.ok(Math.abs(age(oldestSample?.atMs) - 60) <= 10, `oldest sample ${age(oldestSample?.atMs)} min`);
  assert.ok(Math.abs(age(oldestMinute?.minuteMs) - 120) <= 10, `oldest minute ${age(oldestMinute?.minuteMs)} min`);
  // A clock that is wrong for a moment must not cost everything.
  store.write(batch(T0 + 3_000 * DAY_MS, { limits }));
  assert.ok([...history.minutes(...FOREVER)].length >= 100);
  store.close(null);
});

test('by bytes: samples go first, the file grows no further, outages stay', () => {
  using bench = new HistoryBench();
  const limits = { ...LIMITS, maxBytes: 3_000_000 };
  const store = bench.store(limits);
  let largest = 0;
  for (let minute = 0; minute < 120; minute += 1) {
    const at = T0 + minute * MINUTE_MS;
    const samples = Array.from({ length: 126 }, (_, i) => minuteOf(at, (s) => 20 + (s % 7), { label: `t${i}` }));
    store.write(
      batch(at + 66_000, { samples, limits, entries: [silence(at + 1_000, 500, { borne: true })], standing: [standing()] }),
    );
    largest = Math.max(largest, statSync(bench.path).size + statSync(`${bench.path}-wal`).size);
  }
  assert.ok(largest <= limits.maxBytes, `${largest} bytes`);
  const history = bench.read();
  assert.equal(history.outages(...FOREVER).length, 120);
  const minutes = [...history.minutes(...FOREVER)].length;
  const withSamples = new Set([...history.samples(...FOREVER)].map(({ atMs }) => Math.floor(atMs / MINUTE_MS))).size;
  assert.ok(withSamples > 30 && withSamples < 90 && minutes === 120 * 126, `${withSamples} and ${minutes / 126} minutes`);
  store.close(null);
});

test('a smaller size in the configuration gives the pages back, a little with each batch', () => {
  using bench = new HistoryBench();
  const store = bench.store();
  for (let minute = 0; minute < 60; minute += 1) {
    const at = T0 + minute * MINUTE_MS;
    store.write(batch(at, { samples: Array.from({ length: 126 }, (_, i) => minuteOf(at, (s) => 30 + s, { label: `t${i}` })) }));
  }
  const limits = { ...LIMITS, maxBytes: 1_000_000 };
  for (let minute = 60; minute < 90; minute += 1) store.write(batch(T0 + minute * MINUTE_MS, { limits }));
  store.close(null);
  assert.ok(statSync(bench.path).size <= limits.maxBytes, `${statSync(bench.path).size} bytes`);
});

test('one transaction a batch, and what was begun is taken back whole when the disk refuses', () => {
  using bench = new HistoryBench();
  const store = bench.store();
  store.write(batch(T0 + 60_000, { standing: [standing()] }));
  assert.equal(store.written, 1);
  const other = openSqlite(bench.path, 'write', 0);
  const down = health(T0 + 70_000, 'up', 'down', { silentMs: 1_000 });
  const bad = batch(T0 + 80_000, {
    entries: [down, { ...down, kind: 'switch', to: 'x', wallMs: Number.NaN }],
    standing: [standing({ ...DOWN, sinceMs: T0 + 69_000 })],
  });
  assert.throws(() => store.write(bad), /NOT NULL/);
  assert.equal(other.value('SELECT count(*) FROM events'), 0);
  store.write(batch(T0 + 90_000, { entries: [down], standing: [standing({ ...DOWN, sinceMs: T0 + 69_000 })] }));
  const history = bench.read();
  assert.equal(history.outages(...FOREVER).length, 1);
  assert.equal(history.watched(...FOREVER).length, 1);
  other.close();
  store.close(null);
});

test('readers see what is written while it is written, and an orderly end leaves one whole file', () => {
  using bench = new HistoryBench();
  const store = bench.store();
  store.write(batch(T0 + 60_000, { entries: [entry('config', T0)], standing: [standing()] }));
  const history = bench.read();
  assert.equal([...history.events(...FOREVER)].length, 1);
  store.write(batch(T0 + 120_000, { entries: [entry('config', T0 + 1)] }));
  assert.deepEqual(
    [...history.events(...FOREVER)].map(({ wallMs }) => wallMs),
    [T0, T0 + 1],
  );
  history.close();
  store.close(batch(T0 + 130_000, { entries: [entry('stopping', T0 + 129_000)], standing: [] }));
  const beside = `${bench.path}-wal`;
  assert.ok(!existsSync(beside) || statSync(beside).size === 0);
  assert.equal([...bench.read().events(...FOREVER)].length, 3);
});
