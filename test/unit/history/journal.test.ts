import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { HistoryEntry } from '../../../src/core/entry.js';
import { BatchedFile } from '../../../src/history/batched-file.js';
import { EventJournal, JOURNAL_FILE, readJournal } from '../../../src/history/journal.js';
import { entry } from '../../support/status-views.js';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'backroute-journal-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const all = { limit: 1_000, sinceWallMs: null };
const times = (entries: readonly HistoryEntry[]): number[] => entries.map(({ wallMs }) => wallMs);
const silent = (): void => undefined;

test('what one process wrote the next one knows, and asks for by number and time', async (t) => {
  const dir = folder(t);
  const first = new EventJournal(dir, silent);
  for (const wallMs of [1, 2, 3]) first.append(entry(wallMs));
  await first.close();
  const second = new EventJournal(dir, silent);
  second.append(entry(4));
  await second.ready();
  assert.deepEqual(times(second.recent(all)), [1, 2, 3, 4]);
  assert.deepEqual(times(second.recent({ limit: 2, sinceWallMs: null })), [3, 4]);
  assert.deepEqual(times(second.recent({ limit: 10, sinceWallMs: 2 })), [3, 4]);
  assert.deepEqual(times(second.recent({ limit: 0, sinceWallMs: null })), []);
  await second.close();
  assert.deepEqual(times(await readJournal(dir, { limit: 3, sinceWallMs: null })), [2, 3, 4]);
});

test('an entry shows at once, before any disk has it', (t) => {
  const journal = new EventJournal(folder(t), silent);
  journal.append(entry(1));
  assert.deepEqual(times(journal.recent(all)), [1]);
});

test('a line torn by a crash is skipped and does not swallow the next one', async (t) => {
  const dir = folder(t);
  const path = join(dir, JOURNAL_FILE);
  writeFileSync(path, `${JSON.stringify(entry(1))}\n{"wallMs":2,"kind":"hea`);
  const journal = new EventJournal(dir, silent);
  journal.append(entry(3));
  await journal.close();
  assert.deepEqual(times(await readJournal(dir, all)), [1, 3]);
});

test('foreign and binary lines are skipped', async (t) => {
  const dir = folder(t);
  const lines = ['null', '7', '[]', '{}', '{"wallMs":"1","kind":"x","text":"y"}', '\u0000\u0001', JSON.stringify(entry(5))];
  writeFileSync(join(dir, JOURNAL_FILE), `${lines.join('\n')}\n`);
  assert.deepEqual(times(await readJournal(dir, all)), [5]);
});

test('no journal is an empty one', async (t) => {
  assert.deepEqual(await readJournal(join(folder(t), 'missing'), all), []);
});

test('it is bounded: one rotation, and what was rotated is still read', async (t) => {
  const dir = folder(t);
  const journal = new EventJournal(dir, silent, 2_000);
  for (let wallMs = 1; wallMs <= 40; wallMs += 1) {
    journal.append(entry(wallMs));
    await journal.flush();
  }
  await journal.close();
  const path = join(dir, JOURNAL_FILE);
  assert.ok(statSync(path).size <= 2_000);
  assert.ok(statSync(`${path}.1`).size <= 2_000);
  const read = times(await readJournal(dir, all));
  assert.equal(read.at(-1), 40);
  assert.ok(read.length > statSync(path).size / 200, 'the older file counts too');
  assert.deepEqual(
    read,
    read.toSorted((a, b) => a - b),
  );
});

test('a disk that refuses is told once, costs nothing, and is told when it takes lines again', async (t) => {
  const dir = folder(t);
  const path = join(dir, 'sub');
  writeFileSync(path, 'a file where a directory should be');
  const told: (string | null)[] = [];
  const journal = new EventJournal(path, (message) => told.push(message));
  for (const wallMs of [1, 2, 3]) {
    journal.append(entry(wallMs));
    await journal.flush();
  }
  assert.equal(told.length, 1);
  assert.match(told[0] ?? '', /ENOTDIR|EEXIST/);
  assert.deepEqual(times(journal.recent(all)), [1, 2, 3]);
  rmSync(path);
  await journal.flush();
  assert.deepEqual(told.slice(1), [null]);
  await journal.close();
  assert.deepEqual(times(await readJournal(path, all)), [1, 2, 3]);
});

test('a full disk loses the oldest lines beyond a bound, not memory', async (t) => {
  const file = new BatchedFile({
    path: join(folder(t), 'x', '\u0000'),
    rotateBytes: null,
    maxPendingBytes: 100,
    onTrouble: silent,
  });
  for (let count = 0; count < 50; count += 1) {
    file.append(`line ${count}`);
    await file.flush();
  }
  assert.ok(file.dropped >= 35, `${file.dropped} dropped`);
  await file.close();
});

test('/dev/full takes half a line back: nothing is written twice or torn', { skip: !existsSync('/dev/full') }, async () => {
  const told: (string | null)[] = [];
  const file = new BatchedFile({ path: '/dev/full', rotateBytes: null, onTrouble: (message) => told.push(message) });
  file.append('line');
  await file.close();
  assert.match(told[0] ?? '', /ENOSPC/);
});

test('a file moved away by logrotate is not written to any more', async (t) => {
  const path = join(folder(t), 'text.log');
  const file = new BatchedFile({ path, rotateBytes: null, onTrouble: silent });
  file.append('one');
  await file.flush();
  renameSync(path, `${path}.old`);
  file.append('two\nstill two');
  await file.close();
  assert.equal(readFileSync(`${path}.old`, 'utf8'), 'one\n');
  assert.equal(readFileSync(path, 'utf8'), 'two still two\n');
});
