/** The history as the daemon has it: with its thread, when it is written, what becomes of it when the disk does not want. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { SCHEMA_VERSION } from '../../../src/history/schema.js';
import { openSqlite } from '../../../src/history/sqlite.js';
import { DAY_MS, entry, HistoryBench, health, LIMITS, silence, switched, T0 } from './history-bench.js';
import { KeeperBench } from './keeper-bench.js';

const FOREVER = [0, Number.MAX_SAFE_INTEGER] as const;

/** Transactions in the journal since it was begun: https://www.sqlite.org/fileformat2.html#walformat */
function commits(path: string): number {
  const journal = readFileSync(`${path}-wal`);
  const frameBytes = 24 + journal.readUInt32BE(8);
  const salt = journal.readUInt32BE(16);
  let count = 0;
  for (let at = 32; at + frameBytes <= journal.length; at += frameBytes) {
    // A commit's frame bears the size of the file; frames of an earlier round another salt.
    if (journal.readUInt32BE(at + 8) === salt && journal.readUInt32BE(at + 4) > 0) count += 1;
  }
  return count;
}

test('in calm one transaction a minute; each minute is in the file when it is over', async () => {
  using bench = new HistoryBench();
  const running = new KeeperBench(bench.directory);
  running.begin();
  await running.minute();
  await running.settle();
  const before = commits(bench.path);
  for (let minute = 0; minute < 10; minute += 1) await running.minute();
  await running.settle();
  assert.equal(commits(bench.path) - before, 10);
  const minutes = [...bench.read().minutes(...FOREVER)];
  assert.equal(minutes.length, 11 * 4);
  assert.ok(minutes.every(({ sent, lost, p50Ms }) => lost === 0 && p50Ms === 20 && (sent === 60 || sent === 50)));
  assert.deepEqual(running.told, []);
  await running.keeper.close();
});

test('a switch is on disk within seconds, and an hour of flapping costs four transactions a minute at most', async () => {
  using bench = new HistoryBench();
  const running = new KeeperBench(bench.directory);
  running.begin();
  await running.minute();
  await running.settle();
  running.clock.advanceTo(running.clock.atMs + 20_000);
  running.keeper.record(switched(running.clock.atMs, 'fast', 'backup'));
  running.clock.advanceTo(running.clock.atMs + 3_500);
  await running.landed();
  assert.equal(bench.read().switches(...FOREVER).length, 1);
  const before = commits(bench.path);
  for (let second = 0; second < 300; second += 1) {
    running.keeper.record(silence(running.clock.atMs - 500, 500, { borne: true }));
    running.clock.advanceTo(running.clock.atMs + 1_000);
    await running.landed();
  }
  const each = (commits(bench.path) - before) / 5;
  assert.ok(each <= 5, `${each} a minute`);
  await running.keeper.close();
});

test('an orderly end writes the minute that runs, and leaves one file without a journal', async () => {
  using bench = new HistoryBench();
  const running = new KeeperBench(bench.directory);
  running.begin();
  await running.minute();
  running.answer(running.ask('a'), 33);
  running.keeper.record(entry('stopping', running.clock.atMs));
  await running.keeper.close();
  assert.deepEqual(readdirSync(bench.directory), ['history.db']);
  const history = bench.read();
  assert.equal([...history.minutes(...FOREVER)].length, 5);
  assert.deepEqual([...history.samples(...FOREVER)].at(-1)?.rttMs, 33);
  assert.equal([...history.events(...FOREVER)].at(-1)?.kind, 'stopping');
  assert.equal(history.watched(...FOREVER)[0]?.toMs, running.clock.atMs);
});

test('a second run goes on in the same file; what was open is closed', async () => {
  using bench = new HistoryBench();
  const first = new KeeperBench(bench.directory);
  first.begin();
  first.keeper.record(health(T0 + 1_000, 'up', 'down', { silentMs: 500 }));
  await first.minute();
  await first.keeper.close();
  const second = new KeeperBench(bench.directory, LIMITS, T0 + DAY_MS);
  second.begin();
  await second.minute();
  await second.keeper.close();
  const history = bench.read();
  const [row, ...others] = history.outages(...FOREVER);
  assert.deepEqual([row?.interrupted, row?.endedMs, others.length], [true, first.clock.atMs, 0]);
  assert.equal(history.paths().length, 2);
  assert.equal(history.watched(...FOREVER).length, 4);
});

test('where the file cannot be made it is told once, and nothing is missing when it can be', async () => {
  using bench = new HistoryBench();
  const directory = join(bench.directory, 'later');
  const running = new KeeperBench(directory);
  running.begin();
  for (let minute = 0; minute < 5; minute += 1) await running.minute();
  assert.equal(running.told.length, 1);
  assert.equal(running.told[0]?.severity, 'error');
  assert.match(running.told[0]?.text ?? '', /^the history cannot be written, routing goes on: ENOENT/);
  assert.match(running.keeper.problems()[0] ?? '', /^the history cannot be written: ENOENT/);
  mkdirSync(directory);
  await running.minute();
  await running.settle();
  assert.deepEqual(running.told.slice(1), [{ severity: 'notice', text: 'the history can be written again: nothing is missing' }]);
  assert.deepEqual(running.keeper.problems(), []);
  await running.keeper.close();
  const file = openSqlite(join(directory, 'history.db'), 'read');
  assert.equal(file.value('SELECT count(*) FROM minutes'), 6 * 4);
  file.close();
});

test('what gathered in a long time without a disk goes in pieces, so that the loop has its turn between them', async () => {
  using bench = new HistoryBench();
  const directory = join(bench.directory, 'later');
  const running = new KeeperBench(directory);
  running.begin();
  for (let second = 0; second < 480; second += 1) {
    for (let target = 0; target < 126; target += 1) running.answer(running.ask(`t${target}`), 20);
    running.clock.advanceTo(running.clock.atMs + 1_000);
    if (!running.keeper.idle) await running.landed();
  }
  mkdirSync(directory);
  running.clock.advanceTo(T0 + 9 * 60_000);
  await running.landed();
  const file = openSqlite(join(directory, 'history.db'), 'read');
  const minutes = (): number => Number(file.value('SELECT count(*) FROM minutes'));
  assert.ok(minutes() > 0 && minutes() < 8 * 126, `${minutes()} with the first piece`);
  for (let piece = 0; piece < 2; piece += 1) {
    running.clock.advanceTo(running.clock.atMs + 1_000);
    await running.landed();
  }
  assert.equal(minutes(), 8 * 126);
  file.close();
  await running.keeper.close();
});

for (const [what, make, why] of [
  ['a text', (path: string) => writeFileSync(path, 'once upon a time '.repeat(1000)), /is not an SQLite file/],
  [
    "another program's file",
    (path: string) => {
      writeFileSync(path, '');
      const other = openSqlite(path, 'write');
      other.exec('CREATE TABLE bookmarks (url TEXT)');
      other.close();
    },
    /is another program's SQLite file/,
  ],
] as const) {
  test(`${what} in its place is set aside untouched, told, and a new one is begun`, async () => {
    using bench = new HistoryBench();
    make(bench.path);
    const before = readFileSync(bench.path);
    const running = new KeeperBench(bench.directory);
    running.begin();
    await running.minute();
    await running.keeper.close();
    assert.equal(running.told.length, 1, JSON.stringify(running.told));
    assert.match(running.told[0]?.text ?? '', why);
    const [aside = ''] = readdirSync(bench.directory).filter((name) => name.startsWith('history.db.damaged-'));
    assert.deepEqual(readFileSync(join(bench.directory, aside)), before);
    assert.equal([...bench.read().minutes(...FOREVER)].length, 4);
  });
}

test('damaged at the start, or while it is used: set aside with its journal, and the batch at hand is not lost', async () => {
  for (const when of ['start', 'use'] as const) {
    using bench = new HistoryBench();
    const first = new KeeperBench(bench.directory);
    first.begin();
    for (let minute = 0; minute < 15; minute += 1) {
      first.keeper.record(entry('config', first.clock.atMs, { text: 'x'.repeat(2_000) }));
      await first.minute();
    }
    await first.keeper.close();
    const bytes = readFileSync(bench.path);
    const file = openSqlite(bench.path, 'read');
    const table = when === 'start' ? 'events' : 'samples';
    const pages = file
      .prepare(`SELECT pageno FROM dbstat WHERE name = '${table}'`)
      .all()
      .map(([page]) => Number(page));
    file.close();
    // The root page stays where the damage shall show late: the newest row is looked at when it is opened.
    for (const page of when === 'start' ? pages : pages.slice(1, -1)) bytes.fill(0xa5, (page - 1) * 4096, page * 4096);
    if (when === 'use') {
      const root = pages[0] ?? 0;
      bytes.fill(0xa5, (root - 1) * 4096 + 12, root * 4096 - 64);
    }
    writeFileSync(bench.path, bytes);
    const second = new KeeperBench(bench.directory, LIMITS, T0 + DAY_MS);
    second.begin();
    await second.minute();
    await second.settle();
    await second.minute();
    await second.keeper.close();
    assert.equal(second.told.length, 1, `${when}: ${JSON.stringify(second.told)}`);
    assert.match(second.told[0]?.text ?? '', /is damaged .* set aside as history\.db\.damaged-2026-03-02T/);
    assert.equal(existsSync(`${bench.path}-wal`), false);
    assert.ok([...bench.read().minutes(...FOREVER)].length >= 8, when);
  }
});

test('somebody else holds the file: told, tried again, and the end of the process does not wait for him', async () => {
  using bench = new HistoryBench();
  const running = new KeeperBench(bench.directory);
  running.begin();
  await running.minute();
  await running.settle();
  const other = openSqlite(bench.path, 'write');
  other.exec('BEGIN IMMEDIATE');
  await running.minute();
  await running.minute();
  assert.match(running.keeper.problems()[0] ?? '', /locked/);
  other.exec('ROLLBACK');
  await running.minute();
  await running.settle();
  assert.deepEqual(running.told.at(-1), { severity: 'notice', text: 'the history can be written again: nothing is missing' });
  other.exec('BEGIN IMMEDIATE');
  const before = performance.now();
  await running.keeper.close();
  assert.ok(performance.now() - before < 3_000);
  other.exec('ROLLBACK');
  assert.equal([...bench.read().minutes(...FOREVER)].length, 4 * 4);
});

test('a file of a later version is left alone: told, nothing recorded, nothing gathered', async () => {
  using bench = new HistoryBench();
  const first = new KeeperBench(bench.directory);
  first.begin();
  await first.keeper.close();
  const file = openSqlite(bench.path, 'write');
  file.exec(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`);
  file.value('PRAGMA wal_checkpoint(TRUNCATE)');
  file.close();
  const before = readFileSync(bench.path);
  const second = new KeeperBench(bench.directory);
  second.begin();
  await second.minute();
  await second.minute();
  await second.keeper.close();
  assert.equal(second.told.length, 1);
  assert.match(second.told[0]?.text ?? '', /written by a later version of Backroute: it is left alone/);
  assert.deepEqual(readFileSync(bench.path), before);
});

test('only two damaged files of ours are kept', async () => {
  using bench = new HistoryBench();
  for (let round = 0; round < 4; round += 1) {
    const running = new KeeperBench(bench.directory, LIMITS, T0 + round * DAY_MS);
    running.begin();
    await running.minute();
    await running.keeper.close();
    const bytes = readFileSync(bench.path);
    bytes.fill(0xa5, 4096, 3 * 4096);
    writeFileSync(bench.path, bytes);
  }
  const last = new KeeperBench(bench.directory, LIMITS, T0 + 9 * DAY_MS);
  last.begin();
  await last.minute();
  await last.keeper.close();
  assert.equal(readdirSync(bench.directory).filter((name) => name.includes('damaged')).length, 2);
});

test('off: nothing is gathered or written; it can be switched on and off while running', async () => {
  using bench = new HistoryBench();
  const running = new KeeperBench(bench.directory, null);
  running.begin();
  await running.minute();
  await running.minute();
  assert.deepEqual(readdirSync(bench.directory), []);
  const paths = [
    { uplink: 'fast', family: 4 },
    { uplink: 'backup', family: 4 },
  ] as const;
  running.keeper.configure(LIMITS, paths);
  await running.minute();
  await running.settle();
  assert.equal([...bench.read().minutes(...FOREVER)].length, 4);
  running.keeper.configure(null, paths);
  await running.landed();
  const { size } = statSync(bench.path);
  await running.minute();
  await running.minute();
  await running.keeper.close();
  assert.equal(statSync(bench.path).size, size);
  rmSync(bench.path);
});
