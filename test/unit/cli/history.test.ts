import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ExitError } from '../../../src/cli/exit-error.js';
import { csvLines } from '../../../src/cli/history/rows.js';
import { momentOf, monthsOf, zonedTime } from '../../../src/cli/history/time.js';
import { plain } from '../../../src/cli/paint.js';
import { type HistoryOptions, history, type Subject } from '../../../src/cli/verbs/history.js';
import { openSqlite } from '../../../src/history/sqlite.js';
import { batch, DAY_MS, HistoryBench, health, minuteOf, silence, standing, switched, T0 } from '../history/history-bench.js';

// Local times are compared with what these tests say.
process.env.TZ = 'Europe/Zurich';

const NOW = T0 + 2 * DAY_MS;

function filled(): HistoryBench {
  const bench = new HistoryBench();
  const store = bench.store();
  const entries = [
    silence(T0 + 1_000, 800, { borne: true }),
    health(T0 + 10_000, 'up', 'down', { silentMs: 2_000, reason: 'gateway-silent', data: { ground: 'why, "just" then' } }),
    switched(T0 + 10_000, 'fast', 'backup', { reason: 'gateway-silent' }),
    health(T0 + 70_000, 'down', 'up', { durationMs: 60_000 }),
    { ...silence(T0 + 8_000, 62_000, { cause: 'gateway' }), wallMs: T0 + 70_000 },
  ];
  const paths = [standing(), standing({ uplink: 'backup' })];
  store.write(batch(T0 + DAY_MS, { entries, standing: paths, samples: [minuteOf(T0 + DAY_MS, () => 12.5)] }));
  store.close(null);
  return bench;
}

function run(bench: HistoryBench, subject: Subject | null, options: HistoryOptions = {}): string {
  const said: string[] = [];
  const io = { out: (text: string) => void said.push(text), err: () => undefined, paint: plain, isTerminal: false };
  history({ stateDir: bench.directory, configPath: '', runDir: '' }, subject, options, io, NOW);
  return said.join('');
}

test('the report: availability by month, then the outages', () => {
  using bench = filled();
  assert.equal(
    run(bench, null, { uplink: 'fast' }),
    `From 2026-03-01 01:00:00 +01:00 to 2026-03-03 01:00:00 +01:00; months and times are local (UTC+01:00).

month    uplink  available  outages      in all     longest    weak  watched
2026-03  fast    99.927 %   2 (1 short)  1 min 3 s  1 min 2 s  -     all but 1 d (50.0 %)
What nobody watched counts neither as available nor as an outage.

began                       lasted     uplink  in use  what was seen
2026-03-01 01:00:08 +01:00  1 min 2 s  fast    no      the gateway itself does not answer
And one silence that ended before anything was done: list them with --all.
`,
  );
  assert.match(run(bench, 'outages', { all: true }), /01:00:01 \+01:00 {2}800 ms .*nothing beyond the gateway answered/);
});

test('JSON has everything but the minutes, these when asked for; times are UTC', () => {
  using bench = filled();
  const all = JSON.parse(run(bench, null, { json: true })) as Record<string, Record<string, unknown>[]>;
  assert.deepEqual(Object.keys(all), ['version', 'from', 'to', 'availability', 'outages', 'switches']);
  assert.deepEqual(all.outages?.[1], {
    began: '2026-03-01T00:00:08.000Z',
    ended: '2026-03-01T00:01:10.000Z',
    lengthS: 62,
    uplink: 'fast',
    family: 4,
    cause: 'gateway',
    reason: 'gateway-silent',
    severity: 1,
    active: false,
    interrupted: false,
    borne: false,
  });
  const minutes = JSON.parse(run(bench, 'minutes', { json: true })) as Record<string, Record<string, unknown>[]>;
  assert.deepEqual(minutes.minutes?.[0], {
    minute: '2026-03-02T00:00:00.000Z',
    uplink: 'fast',
    family: 4,
    target: '192.0.2.1',
    sent: 60,
    lost: 0,
    p50Ms: 12.5,
    p90Ms: 12.5,
    p99Ms: 12.5,
    maxMs: 12.5,
    jitterMs: 0,
  });
});

test('CSV as RFC 4180 has it: a header, CR LF, quotes doubled', () => {
  using bench = filled();
  const lines = run(bench, 'switches', { csv: true }).split('\r\n');
  assert.deepEqual(lines, [
    'at,family,from,to,reason,feltS,ground',
    '2026-03-01T00:00:10.000Z,4,fast,backup,gateway-silent,2,"why, ""just"" then"',
    '',
  ]);
  assert.deepEqual([...csvLines(['a', 'b'], [{ a: 'x\ny', b: null }])], ['a,b\r\n', '"x\ny",\r\n']);
  assert.equal(run(bench, 'outages', { csv: true, since: '1h' }).split('\r\n').length, 2);
});

test('figures of minutes, one line each', () => {
  using bench = filled();
  const [, line] = run(bench, 'minutes').split('\n');
  assert.match(line ?? '', /^2026-03-02 01:00:00 \+01:00 {2}fast\/4 +60 +0 +12\.5 ms/);
});

test('times: so long ago, local, with a zone, and what is neither', () => {
  assert.equal(momentOf('--since', '30d', NOW), NOW - 30 * DAY_MS);
  assert.equal(momentOf('--since', '2026-03-01', NOW), Date.UTC(2026, 1, 28, 23));
  assert.equal(momentOf('--until', '2026-03-01', NOW, true), Date.UTC(2026, 2, 1, 23));
  assert.equal(momentOf('--since', '2026-07-01 14:00', NOW), Date.UTC(2026, 6, 1, 12));
  assert.equal(momentOf('--since', '2026-07-01T14:00:30Z', NOW), Date.UTC(2026, 6, 1, 14, 0, 30));
  assert.equal(momentOf('--since', '2026-07-01T14:00-03:30', NOW), Date.UTC(2026, 6, 1, 17, 30));
  for (const wrong of ['yesterday', '2026-02-30', '2026-13-01', '2026-03-01 25:00', '01.03.2026', '', '30', '-3d']) {
    assert.throws(
      () => momentOf('--since', wrong, NOW),
      (error) => error instanceof ExitError && error.message.includes('--since'),
    );
  }
});

test('months are local ones, also where the clock changes', () => {
  const months = monthsOf(Date.UTC(2026, 1, 27), Date.UTC(2026, 3, 2));
  assert.deepEqual(
    months.map(({ name, fromMs, toMs }) => [name, zonedTime(fromMs), zonedTime(toMs)]),
    [
      ['2026-02', '2026-02-27 01:00:00 +01:00', '2026-03-01 00:00:00 +01:00'],
      ['2026-03', '2026-03-01 00:00:00 +01:00', '2026-04-01 00:00:00 +02:00'],
      ['2026-04', '2026-04-01 00:00:00 +02:00', '2026-04-02 02:00:00 +02:00'],
    ],
  );
});

test('what cannot be read is said, with what can be done', () => {
  const directory = mkdtempSync(join(tmpdir(), 'backroute-history-'));
  const path = join(directory, 'history.db');
  const io = { out: () => assert.fail('nothing is printed'), err: () => undefined, paint: plain, isTerminal: false };
  const attempt = (): void => history({ stateDir: directory, configPath: '', runDir: '' }, null, {}, io, NOW);
  const saying = (message: RegExp) => (error: unknown) => error instanceof ExitError && message.test(error.message);
  try {
    assert.throws(attempt, saying(/^there is no history at /));
    writeFileSync(path, 'once upon a time '.repeat(100));
    assert.throws(attempt, saying(/it is not an SQLite file$/));
    writeFileSync(path, '');
    assert.throws(attempt, saying(/it is not an SQLite file$/));
    rmSync(path);
    writeFileSync(path, '');
    const other = openSqlite(path, 'write');
    other.exec('CREATE TABLE bookmarks (url TEXT)');
    other.close();
    assert.throws(attempt, saying(/an SQLite file of another program$/));
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('options that contradict each other or name nobody are refused', () => {
  using bench = filled();
  assert.throws(() => run(bench, null, { json: true, csv: true }), /only one of them/);
  assert.throws(() => run(bench, null, { since: '1d', until: '2d' }), /after the end/);
  assert.throws(() => run(bench, null, { uplink: 'slow' }), /knows no slow/);
});
