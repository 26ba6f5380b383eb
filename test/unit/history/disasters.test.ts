/** kill -9 and a full file system: what the history promises when everything else fails. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openHistory } from '../../../src/history/reader.js';
import { openSqlite } from '../../../src/history/sqlite.js';
import { needsRoot } from '../../support/own-network.js';
import { Random, seedFromEnvironment } from '../../support/random.js';
import { DAY_MS, T0 } from './history-bench.js';

const ROUNDS = Number(process.env.BACKROUTE_KILLS ?? 8);
const beside = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'backroute-history-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test(`killed ${ROUNDS} times in the middle of it: it opens, it is whole, and every minute acknowledged is there`, async (t) => {
  const seed = seedFromEnvironment();
  t.diagnostic(`seed ${seed}`);
  const random = new Random(seed);
  const directory = folder(t);
  const path = join(directory, 'history.db');
  const acknowledged: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const args = [beside('history-crash-child.js'), directory, String(T0 + round * DAY_MS)];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    const lives = 1 + Math.floor(random.next() * 4);
    let lines = 0;
    for await (const line of createInterface(child.stdout)) {
      acknowledged.push(Number(line));
      lines += 1;
      // At any instant of the minutes that follow.
      if (lines === lives) setTimeout(() => child.kill('SIGKILL'), random.next() * 60);
    }
    await ended;
    assert.ok(lines >= lives, `seed ${seed}: it ended by itself`);

    const file = openSqlite(path, 'write');
    assert.equal(file.value('PRAGMA integrity_check'), 'ok', `seed ${seed}, round ${round}`);
    assert.ok(Number(file.value('SELECT count(*) FROM outages WHERE ended_ms IS NULL')) <= 1, 'former runs left none open');
    file.close();
    const history = openHistory(path);
    const minutes = new Map<number, number>();
    for (const { minuteMs } of history.minutes(0, Number.MAX_SAFE_INTEGER))
      minutes.set(minuteMs, (minutes.get(minuteMs) ?? 0) + 1);
    for (const minute of acknowledged)
      assert.equal(minutes.get(minute), 4, `seed ${seed}, round ${round}: minute ${minute - T0}`);
    // A transaction is there whole or not at all.
    for (const [minute, rows] of minutes) assert.equal(rows, 4, `seed ${seed}, round ${round}: half of minute ${minute - T0}`);
    history.close();
  }
  assert.deepEqual(
    readdirSync(directory).filter((name) => name.includes('damaged')),
    [],
  );
});

test('a full file system: told once, routing would go on, and written when there is space again', { skip: needsRoot }, (t) => {
  const place = folder(t);
  const script = 'mount -t tmpfs -o size=1m,mode=755 history-test "$1" && exec "$2" "$3" "$1"';
  const argv = ['--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', place, process.execPath];
  const output = execFileSync('unshare', [...argv, beside('history-full-disk-child.js')], { encoding: 'utf8' });
  const seen = JSON.parse(output) as {
    whileFull: { told: { severity: string; text: string }[]; problems: string[] };
    afterwards: { told: { severity: string; text: string }[]; problems: string[] };
    grown: string[];
    minutes: number;
  };
  assert.equal(seen.whileFull.told.length, 1, JSON.stringify(seen));
  assert.match(seen.whileFull.told[0]?.text ?? '', /^the history cannot be written, routing goes on: .*full/);
  assert.match(seen.whileFull.problems[0] ?? '', /full/);
  assert.deepEqual(seen.afterwards, {
    told: [{ severity: 'notice', text: 'the history can be written again: nothing is missing' }],
    problems: [],
  });
  assert.match(seen.grown[0] ?? '', /full|I\/O/);
  assert.ok(seen.minutes >= 35, `${seen.minutes} minutes`);
  assert.deepEqual(readdirSync(place), [], 'nothing of it outside');
});
