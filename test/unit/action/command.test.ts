/**
 * Programs are run without a shell and never hold anybody up: not by sleeping, forking, filling pipes or ignoring signals.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { commandFailure, runCommand } from '../../../src/action/command.js';
import { until } from '../../../src/lab/until.js';
import { isRunning } from '../../support/is-running.js';

const folder = mkdtempSync(join(tmpdir(), 'backroute-command-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Scripts are for the tests' convenience: what is under test starts programs. */
const shell = (script: string): string[] => ['sh', '-c', script];

async function pidIn(path: string): Promise<number> {
  assert.ok(await until(() => existsSync(path) && readFileSync(path, 'utf8').endsWith('\n'), 5_000), `a process id in ${path}`);
  return Number.parseInt(readFileSync(path, 'utf8'), 10);
}

test('output of both streams, the code, and standard input', async () => {
  const result = await runCommand({ argv: shell('cat; echo wrong >&2; exit 3'), input: 'told\n', timeoutMs: 5_000 });
  assert.deepEqual(
    { ...result, output: result.output.split('\n').sort() },
    { code: 3, signal: null, timedOut: false, aborted: false, spawnError: null, output: ['', 'told', 'wrong'] },
  );
  assert.equal(commandFailure(['/bin/sh'], { ...result, output: 'a\nwrong\n' }), 'sh failed with code 3: wrong');
});

test('words are words: no shell looks at them', async () => {
  const { output } = await runCommand({ argv: ['printf', '%s|', '$HOME', '; exit 1', '*', ''], timeoutMs: 5_000 });
  assert.equal(output, '$HOME|; exit 1|*||');
});

test('the environment is clean but for the facts', async () => {
  process.env.BACKROUTE_TEST_SECRET = 'hidden';
  try {
    const { output } = await runCommand({ argv: ['env'], environment: { BACKROUTE_UPLINK: 'fast' }, timeoutMs: 5_000 });
    const names = output.split('\n').flatMap((line) => (line === '' ? [] : [line.replace(/=.*/, '')]));
    assert.deepEqual(names.sort(), ['BACKROUTE_UPLINK', 'HOME', 'LANG', 'PATH']);
  } finally {
    delete process.env.BACKROUTE_TEST_SECRET;
  }
});

test('the last lines of much output are kept, whole', async () => {
  const { output } = await runCommand({ argv: ['seq', '1', '200000'], timeoutMs: 20_000 });
  assert.ok(output.length <= 64 * 1024 && output.length > 60_000, `${output.length}`);
  assert.ok(output.endsWith('\n199999\n200000\n'));
  assert.match(output, /^\d{6}\n/);
});

test('control characters do not reach a log', async () => {
  const { output } = await runCommand({ argv: ['printf', 'a\\033[31mb\\rc\\td\\n'], timeoutMs: 5_000 });
  assert.equal(output, 'a[31mbc\td\n');
});

test('what cannot be started is told, not thrown', async () => {
  const plain = join(folder, 'plain');
  writeFileSync(plain, 'no program');
  const why = async (argv: string[]): Promise<string | null> => (await runCommand({ argv, timeoutMs: 5_000 })).spawnError;
  assert.equal(await why(['no-such-program-here']), 'no-such-program-here was not found');
  assert.equal(await why([plain]), `${plain} may not be executed`);
  assert.equal(await why([]), 'no program is named');
  assert.match((await why(['true', 'a\0b'])) ?? '', /true cannot be started/);
  assert.match((await why(['true', 'x'.repeat(1 << 22)])) ?? '', /true cannot be started: E2BIG/);
});

test('a program that reads none of a large input is no failure', async () => {
  const result = await runCommand({ argv: ['true'], input: 'x'.repeat(1 << 20), timeoutMs: 5_000 });
  assert.equal(result.code, 0);
});

test('the time limit ends it and its children, also those that ignore SIGTERM', async () => {
  const pidFile = join(folder, 'stubborn');
  const script = `sh -c 'trap "" TERM; echo $$ > ${pidFile}; while :; do sleep 60; done' & wait`;
  const started = performance.now();
  const running = runCommand({ argv: shell(script), timeoutMs: 300, graceMs: 200 });
  const pid = await pidIn(pidFile);
  const result = await running;
  assert.equal(result.timedOut, true);
  assert.equal(result.signal, 'SIGTERM');
  assert.ok(performance.now() - started < 4_000);
  assert.ok(await until(() => !isRunning(pid), 5_000), 'the stubborn child has ended');
  assert.equal(commandFailure(['sh'], result), 'sh did not end in time');
});

test('a program that ignores SIGTERM is killed', async () => {
  const argv = shell('trap "" TERM; while :; do sleep 60; done');
  const result = await runCommand({ argv, timeoutMs: 200, graceMs: 100 });
  assert.deepEqual([result.signal, result.timedOut], ['SIGKILL', true]);
});

test('a child that keeps the pipe open delays nothing and may live on', async () => {
  const pidFile = join(folder, 'daemon');
  const started = performance.now();
  const result = await runCommand({ argv: shell(`sleep 60 & echo $! > ${pidFile}; echo done`), timeoutMs: 30_000 });
  assert.ok(performance.now() - started < 5_000);
  assert.deepEqual([result.code, result.output, result.timedOut], [0, 'done\n', false]);
  const pid = await pidIn(pidFile);
  assert.ok(isRunning(pid));
  process.kill(pid, 'SIGKILL');
});

test('leftovers are ended with it where that is asked for', async () => {
  const pidFile = join(folder, 'leftover');
  const argv = shell(`sleep 60 & echo $! > ${pidFile}`);
  const result = await runCommand({ argv, timeoutMs: 30_000, endLeftovers: true });
  assert.equal(result.code, 0);
  const pid = await pidIn(pidFile);
  assert.ok(await until(() => !isRunning(pid), 5_000), 'the leftover has ended');
});

test('an abort ends it; one that came before starts nothing', async () => {
  const abort = new AbortController();
  const pidFile = join(folder, 'aborted');
  const running = runCommand({ argv: shell(`echo $$ > ${pidFile}; sleep 60`), timeoutMs: 30_000, signal: abort.signal });
  const pid = await pidIn(pidFile);
  abort.abort();
  const result = await running;
  assert.deepEqual([result.aborted, result.timedOut, isRunning(pid)], [true, false, false]);
  const never = await runCommand({ argv: ['touch', join(folder, 'never')], timeoutMs: 5_000, signal: abort.signal });
  assert.equal(never.aborted, true);
  assert.throws(() => readFileSync(join(folder, 'never')), /ENOENT/);
});
