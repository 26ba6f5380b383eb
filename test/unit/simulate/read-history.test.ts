/** The recorded history as links: outages as they were, loss and round trips from the minutes, and what was really in use. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { History } from '../../../src/history/reader.js';
import type { MinuteRow, OutageRow, SwitchRow, WatchedRow } from '../../../src/history/rows.js';
import { fromHistory } from '../../../src/simulate/read/history.js';

const MINUTE = 60_000;
const T0 = Date.UTC(2026, 2, 1, 12);

const outage = (uplink: string, fromS: number, toS: number | null, more: Partial<OutageRow> = {}): OutageRow => ({
  uplink,
  family: 4,
  beganMs: T0 + 1000 * fromS,
  endedMs: toS === null ? null : T0 + 1000 * toS,
  cause: 'upstream',
  reason: 'upstream-silent',
  severity: 1,
  active: true,
  interrupted: false,
  borne: false,
  ...more,
});
const minute = (uplink: string, at: number, lost: number, p50Ms: number | null = 20, target = 'a', sent = 60): MinuteRow => ({
  minuteMs: T0 + at * MINUTE,
  uplink,
  family: 4,
  target,
  sent,
  lost,
  p50Ms,
  p90Ms: p50Ms,
  p99Ms: p50Ms,
  maxMs: p50Ms,
  jitterMs: 1,
});
const moved = (atS: number, from: string | null, to: string, family: 4 | 6 = 4): SwitchRow => ({
  atMs: T0 + 1000 * atS,
  family,
  from,
  to,
  reason: 'upstream-silent',
  feltMs: 0,
  ground: null,
});

function historyOf(
  rows: { outages?: OutageRow[]; minutes?: MinuteRow[]; switches?: SwitchRow[]; watched?: WatchedRow[]; six?: boolean },
  span: { fromMs: number; toMs: number } | null = { fromMs: T0, toMs: T0 + 60 * MINUTE },
): History {
  return {
    span: () => span,
    paths: () => [
      { uplink: 'fast', family: 4, watched: null },
      { uplink: 'slow', family: 4, watched: null },
      ...(rows.six === true ? [{ uplink: 'fast', family: 6 as const, watched: null }] : []),
    ],
    outages: (from, to) => (rows.outages ?? []).filter(({ beganMs, endedMs }) => beganMs < to && (endedMs ?? to) > from),
    switches: (from, to) => (rows.switches ?? []).filter(({ atMs }) => atMs >= from && atMs < to),
    watched: (from, to) => (rows.watched ?? []).filter((row) => row.fromMs < to && row.toMs > from),
    events: () => [],
    minutes: (from, to) => (rows.minutes ?? []).filter(({ minuteMs }) => minuteMs >= from && minuteMs < to),
    samples: () => [],
    close: () => undefined,
  };
}

const NAMES = ['fast', 'slow'];

test('outages as they were, with their cause; one that lasts goes on to the end', async () => {
  const { links, places } = await fromHistory(
    historyOf({
      outages: [
        outage('fast', 10, 12.5, { cause: 'gateway' }),
        outage('slow', 100, 160, { cause: 'other' }),
        outage('fast', 3_000, null, { family: 6 }),
        outage('fast', 3_500, null),
      ],
    }),
    NAMES,
    null,
  );
  assert.deepEqual(places, [0, 1]);
  assert.deepEqual(links[0]?.silences, [
    { fromMs: 10_000, toMs: 12_500, cause: 'gateway' },
    { fromMs: 3_500_000, toMs: 3_600_000, cause: 'upstream' },
  ]);
  assert.deepEqual(links[1]?.silences, [{ fromMs: 100_000, toMs: 160_000, cause: 'upstream' }]);
  assert.equal(links[0]?.originWallMs, T0);
  assert.deepEqual(links[0]?.span, { fromMs: 0, toMs: 3_600_000 });
});

test('loss: of partial outages, and of minutes beyond what silences explain; the best target counts', async () => {
  const { links } = await fromHistory(
    historyOf({
      outages: [outage('fast', 600, 660, { severity: 0.3, cause: 'loss' }), outage('fast', 130, 145)],
      minutes: [
        minute('fast', 1, 6),
        minute('fast', 1, 60, null, 'b'),
        // A quarter of this minute is silent: 15 of 60. 24 were lost, 9 of the 45 others; but a silence brings more probes, and beside it
        // no more is lost than the tenth of the minute before.
        minute('fast', 2, 24),
        minute('fast', 3, 15),
        minute('fast', 4, 0),
        minute('fast', 4, 60, null, 'b'),
        minute('fast', 5, 1, 20, 'a', 2),
      ],
    }),
    NAMES,
    null,
  );
  assert.deepEqual(
    links[0]?.lossy.map(({ fromMs, toMs, share }) => [fromMs, toMs, Math.round(share * 1000) / 1000]),
    [
      [60_000, 120_000, 0.1],
      [120_001, 180_000, 0.1],
      [180_001, 240_000, 0.25],
      [600_000, 660_000, 0.3],
    ],
  );
});

test('round trips from the minutes; what nobody watched is counted', async () => {
  const { links } = await fromHistory(
    historyOf({
      minutes: Array.from({ length: 30 }, (_, i) => minute('fast', i, 0, i < 12 ? 20 : 90)),
      watched: [
        { uplink: 'fast', family: 4, fromMs: T0 - MINUTE, toMs: T0 + 20 * MINUTE },
        { uplink: 'fast', family: 4, fromMs: T0 + 15 * MINUTE, toMs: T0 + 30 * MINUTE },
      ],
    }),
    NAMES,
    null,
  );
  assert.deepEqual(links[0]?.rtts, [
    { fromMs: 0, rttMs: 20 },
    { fromMs: 12 * MINUTE, rttMs: 90 },
  ]);
  assert.equal(links[0]?.unwatchedMs, 30 * MINUTE);
});

test('what was in use, from the switches', async () => {
  const { course } = await fromHistory(
    historyOf({
      switches: [moved(5, 'slow', 'fast'), moved(90, 'fast', 'slow'), moved(95, 'fast', 'slow', 6), moved(200, 'slow', 'gone')],
    }),
    NAMES,
    null,
  );
  assert.deepEqual(course, [
    { atMs: 0, to: 1 },
    { atMs: 5_000, to: 0 },
    { atMs: 90_000, to: 1 },
  ]);
  assert.equal((await fromHistory(historyOf({}), NAMES, null)).course, null);
});

test('since a moment; uplinks that nothing is known of; nothing at all', async () => {
  const since = await fromHistory(historyOf({ outages: [outage('fast', 10, 100)] }), NAMES, T0 + 60_000);
  assert.deepEqual(since.links[0]?.silences, [{ fromMs: 0, toMs: 40_000, cause: 'upstream' }]);
  const more = await fromHistory(historyOf({ six: true }), ['new', 'slow'], null);
  assert.deepEqual([more.places, more.links.map(({ name }) => name)], [[1], ['slow']]);
  assert.match(more.notes.join(), /new: nothing is recorded: taken as never failing/);
  assert.deepEqual((await fromHistory(historyOf({ six: true }), NAMES, null)).notes, ['only IPv4 is played']);
  await assert.rejects(fromHistory(historyOf({}), ['x'], null), { message: /knows nothing of x/, remedy: /It knows fast, slow/ });
  await assert.rejects(fromHistory(historyOf({}, null), NAMES, null), /the history is empty/);
  await assert.rejects(fromHistory(historyOf({}), NAMES, T0 + 100 * MINUTE), /nothing was recorded since then/);
});

test('a long one lets others run, tells how far it is, and can be stopped', async () => {
  const rows = Array.from({ length: 12_000 }, (_, i) => minute('fast', i, 0));
  const history = historyOf({ minutes: rows }, { fromMs: T0, toMs: T0 + 12_000 * MINUTE });
  const shares: number[] = [];
  await fromHistory(history, NAMES, null, { progress: (share) => shares.push(Math.round(100 * share)) });
  assert.deepEqual(shares, [42, 83]);
  const stop = new AbortController();
  await assert.rejects(fromHistory(history, NAMES, null, { signal: stop.signal, progress: () => stop.abort() }), {
    name: 'AbortError',
  });
});
