import assert from 'node:assert/strict';
import { test } from 'node:test';
import { availabilityOf } from '../../../src/history/availability.js';
import type { OutageRow, PathRow, WatchedRow } from '../../../src/history/rows.js';
import fc from '../../support/properties.js';

const fast = { uplink: 'fast', family: 4 } as const;
const MONTH = { name: '2026-03', fromMs: 0, toMs: 1_000_000 };

function outage(beganMs: number, endedMs: number | null, change: Partial<OutageRow> = {}): OutageRow {
  const reason = 'upstream-silent' as const;
  return {
    ...fast,
    beganMs,
    endedMs,
    cause: 'upstream',
    reason,
    severity: 1,
    active: true,
    interrupted: false,
    borne: false,
    ...change,
  };
}

function watched(fromMs: number, toMs: number): WatchedRow {
  return { ...fast, fromMs, toMs };
}

function pathOf(spans: readonly WatchedRow[]): PathRow {
  const from = spans.map(({ fromMs }) => fromMs);
  const to = spans.map(({ toMs }) => toMs);
  const [{ uplink, family } = fast] = spans;
  return { uplink, family, watched: spans.length === 0 ? null : { fromMs: Math.min(...from), toMs: Math.max(...to) } };
}

function only(outages: readonly OutageRow[], spans: readonly WatchedRow[], months = [MONTH]) {
  const [row] = availabilityOf({ paths: [pathOf(spans)], months, outages, watched: spans });
  assert.ok(row !== undefined);
  return row;
}

test('available is what was watched and was no outage', () => {
  const row = only([outage(100_000, 150_000), outage(300_000, 301_000, { borne: true, reason: null })], [watched(0, 1_000_000)]);
  assert.deepEqual(row, {
    month: '2026-03',
    ...fast,
    share: 1 - 51_000 / 1_000_000,
    outages: 2,
    borne: 1,
    outageMs: 51_000,
    longestMs: 50_000,
    weakMs: 0,
    watchedMs: 1_000_000,
    unknownMs: 0,
  });
});

test('what nobody watched counts neither way, also in the middle of an outage', () => {
  const row = only([outage(100_000, 500_000)], [watched(0, 200_000), watched(400_000, 600_000)]);
  assert.equal(row.watchedMs, 400_000);
  // Also the time since it was watched last.
  assert.equal(row.unknownMs, 600_000);
  assert.equal(row.outageMs, 200_000);
  assert.equal(row.share, 0.5);
});

test('an outage that lasts counts until it was last watched', () => {
  const row = only([outage(600_000, null)], [watched(0, 900_000)]);
  assert.equal(row.outageMs, 300_000);
  assert.equal(row.unknownMs, 0);
});

test('loss is weak time, not an outage; a silence within it is', () => {
  const loss = outage(100_000, 300_000, { cause: 'loss', severity: 0.3, reason: 'loss-high' });
  const row = only([loss, outage(150_000, 170_000)], [watched(0, 1_000_000)]);
  assert.deepEqual([row.outages, row.outageMs, row.weakMs], [1, 20_000, 180_000]);
});

test('when this machine itself was at fault, nothing is known of the uplink', () => {
  const row = only([outage(100_000, 200_000, { reason: 'local-fault' })], [watched(0, 1_000_000)]);
  assert.deepEqual([row.outages, row.outageMs, row.unknownMs, row.share], [0, 0, 100_000, 1]);
});

test('spans that overlap, because the clock was set, count once', () => {
  const row = only([outage(0, 100_000), outage(50_000, 100_000)], [watched(0, 500_000), watched(400_000, 1_000_000)]);
  assert.deepEqual([row.watchedMs, row.outageMs], [1_000_000, 100_000]);
});

test('an outage over the end of a month is in both, each with its part', () => {
  const months = [
    { name: '2026-03', fromMs: 0, toMs: 500_000 },
    { name: '2026-04', fromMs: 500_000, toMs: 1_000_000 },
  ];
  const spans = [watched(0, 900_000)];
  const rows = availabilityOf({ paths: [pathOf(spans)], months, outages: [outage(400_000, 700_000)], watched: spans });
  assert.deepEqual(
    rows.map(({ month, outages, outageMs, watchedMs }) => [month, outages, outageMs, watchedMs]),
    [
      ['2026-03', 1, 100_000, 500_000],
      ['2026-04', 1, 200_000, 400_000],
    ],
  );
});

test('an uplink that is gone from the configuration is not unknown; where nobody watches any more, all are', () => {
  const months = [
    { name: 'a', fromMs: 0, toMs: 100_000 },
    { name: 'b', fromMs: 100_000, toMs: 400_000 },
    { name: 'c', fromMs: 400_000, toMs: 1_000_000 },
  ];
  const other = { uplink: 'other', family: 4 } as const;
  const gone = watched(150_000, 180_000);
  const more = { ...other, fromMs: 150_000, toMs: 720_000 };
  const paths = [pathOf([gone]), pathOf([more])];
  const rows = availabilityOf({ paths, months, outages: [], watched: [gone, more] });
  assert.deepEqual(
    rows.map(({ month, uplink, unknownMs, watchedMs }) => [month, uplink, unknownMs, watchedMs]),
    [
      ['b', 'fast', 0, 30_000],
      ['b', 'other', 0, 250_000],
      ['c', 'other', 280_000, 320_000],
    ],
  );
});

test('against counting every millisecond', () => {
  const span = fc.tuple(fc.nat(60), fc.nat(20)).map(([fromMs, length]) => ({ fromMs, toMs: fromMs + length }));
  fc.assert(
    fc.property(fc.array(span), fc.array(fc.tuple(span, fc.boolean())), (seen, troubles) => {
      const outages = troubles.map(([{ fromMs, toMs }, silent]) =>
        outage(fromMs, toMs, silent ? {} : { severity: 0.2, reason: 'loss-high', cause: 'loss' }),
      );
      const months = [{ name: 'all', fromMs: 0, toMs: 100 }];
      const spans = seen.map((s) => watched(s.fromMs, s.toMs));
      const rows = availabilityOf({ paths: [pathOf(spans)], months, outages, watched: spans });
      const within = (spans: readonly { fromMs: number; toMs: number }[], at: number): boolean =>
        spans.some(({ fromMs, toMs }) => fromMs <= at && at < toMs);
      const counts = { watchedMs: 0, outageMs: 0, weakMs: 0 };
      for (let at = 0; at < 100; at += 1) {
        if (!within(seen, at)) continue;
        counts.watchedMs += 1;
        const silent = within(
          troubles.filter(([, down]) => down).map(([s]) => s),
          at,
        );
        if (silent) counts.outageMs += 1;
        else if (
          within(
            troubles.map(([s]) => s),
            at,
          )
        )
          counts.weakMs += 1;
      }
      const [row] = rows;
      if (row === undefined) assert.equal(counts.watchedMs, 0);
      else assert.deepEqual({ watchedMs: row.watchedMs, outageMs: row.outageMs, weakMs: row.weakMs }, counts);
    }),
  );
});
