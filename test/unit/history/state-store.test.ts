import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { SavedState } from '../../../src/core/messages.js';
import { ensureWritable, loadState, STATE_FILE, StateStore } from '../../../src/history/state-store.js';
import { until } from '../../../src/lab/until.js';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'backroute-state-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function saved(forced: string | null): SavedState {
  const restore = { bootId: 'boot', routes: [], sysctls: {}, hadDefault: [4] as const };
  return { version: 1, slots: { fast: 0 }, forced, disabled: [], names: {}, active: {}, failures: {}, restore };
}

const silent = (): void => undefined;

test('what was saved is loaded again', async (t) => {
  const dir = folder(t);
  const store = new StateStore(dir, silent);
  store.save(saved('backup'));
  await store.flushed();
  assert.deepEqual(await loadState(dir), { saved: saved('backup'), problem: null });
  assert.deepEqual(readdirSync(dir), [STATE_FILE], 'nothing else is left behind');
});

test('a crowd of wishes ends with the latest', async (t) => {
  const dir = folder(t);
  const store = new StateStore(dir, silent);
  for (let count = 0; count < 200; count += 1) store.save(saved(`n${count}`));
  await store.flushed();
  assert.equal((await loadState(dir)).saved?.forced, 'n199');
});

test('nothing saved is no problem', async (t) => {
  assert.deepEqual(await loadState(folder(t)), { saved: null, problem: null });
});

test('a damaged state is put aside, told, and does not stop the start', async (t) => {
  for (const text of [
    '',
    '{',
    'null',
    '{"version":2}',
    JSON.stringify({ ...saved(null), restore: null }),
    '{"version":1,"slots":{"a":"b"}}',
  ]) {
    const dir = folder(t);
    writeFileSync(join(dir, STATE_FILE), text);
    assert.equal((await loadState(dir, { putAside: false })).saved, null);
    assert.ok(existsSync(join(dir, STATE_FILE)), 'who only looks changes nothing');
    const loaded = await loadState(dir);
    assert.equal(loaded.saved, null);
    assert.match(loaded.problem ?? '', /damaged/);
    assert.equal(readFileSync(join(dir, `${STATE_FILE}.damaged`), 'utf8'), text);
  }
});

test('what the disk refused is written as soon as it takes it, though nothing else changes', async (t) => {
  const dir = folder(t);
  const told: (string | null)[] = [];
  const store = new StateStore(dir, (message) => told.push(message), { retryMs: 10 });
  const aside = join(dir, `${STATE_FILE}.${process.pid}.tmp`);
  mkdirSync(aside);
  for (const name of ['a', 'b']) store.save(saved(name));
  await store.flushed();
  assert.equal(store.refused, true);
  rmSync(aside, { recursive: true });
  assert.ok(await until(async () => (await loadState(dir)).saved?.forced === 'b', 5_000));
  assert.ok(await until(() => !store.refused, 5_000));
  assert.deepEqual([told.length, told[1]], [2, null], 'told when it was refused, and when it was taken');
});

test('a refused write keeps the old state whole and is told once', async (t) => {
  const dir = folder(t);
  const told: (string | null)[] = [];
  const store = new StateStore(dir, (message) => told.push(message));
  store.save(saved('old'));
  await store.flushed();
  // the name of the file written aside is taken by a directory
  const aside = join(dir, `${STATE_FILE}.${process.pid}.tmp`);
  mkdirSync(aside);
  for (const name of ['a', 'b']) {
    store.save(saved(name));
    await store.flushed();
  }
  assert.equal(told.length, 1);
  assert.equal((await loadState(dir)).saved?.forced, 'old');
  rmSync(aside, { recursive: true });
  store.save(saved('new'));
  await store.flushed();
  assert.deepEqual(told.slice(1), [null]);
  assert.equal((await loadState(dir)).saved?.forced, 'new');
});

test('a state directory that cannot be made says why', async (t) => {
  const path = join(folder(t), 'file');
  writeFileSync(path, '');
  await assert.rejects(ensureWritable(join(path, 'below')), { code: 'ENOTDIR' });
  await ensureWritable(join(folder(t), 'a', 'b'));
});
