/**
 * Runs compiled test files, each by `node --test` with the spec reporter, some at once, in the order given (`node --test` with
 * many files sorts them by name and shows nothing of the second before the first has ended). Shows each file as it ends, and the
 * runner's closing lines once, added up. Started by test.mjs, with sudo where the tests need root.
 * Arguments: JSON { root, files, concurrency, timeoutMs, summaryPath }. The summary says how many passed, failed and were skipped.
 */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

const { root, files, concurrency, timeoutMs, summaryPath } = JSON.parse(process.argv[2]);
const colour = process.stdout.isTTY === true && !process.env.NO_COLOR;
const totals = { tests: 0, suites: 0, pass: 0, fail: 0, cancelled: 0, skipped: 0, todo: 0 };
const failures = [];
const running = new Set();
const waiting = [...files];
const startedMs = performance.now();
let ended = false;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => end(signal));
const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent && !ended) end('SIGTERM');
}, 250).unref();

/** To the whole group of each: the runner, the test file, and what it has started. */
function end(signal) {
  ended = true;
  waiting.length = 0;
  process.exitCode = 1;
  for (const child of running) {
    try {
      process.kill(-child.pid, signal);
    } catch {
      // It has just ended by itself.
    }
  }
}

function runFile(file) {
  return new Promise((resolve) => {
    const fileStartedMs = performance.now();
    const argv = ['--test', '--test-reporter=spec', `--test-timeout=${timeoutMs}`, file];
    // A runner that is itself run by a test must not take itself for a part of that.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const child = spawn(process.execPath, argv, {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...env, ...(colour && { FORCE_COLOR: '1' }) },
    });
    running.add(child);
    const chunks = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => chunks.push(chunk));
    child.on('close', (code) => {
      running.delete(child);
      tell(file, code, Buffer.concat(chunks).toString(), performance.now() - fileStartedMs);
      resolve();
    });
  });
}

/** Splits what the runner said of a file into its tests, its closing lines, and its list of failures. */
function tell(file, code, text, tookMs) {
  const lines = text.split('\n');
  const plain = lines.map(stripVTControlCharacters);
  const closing = plain.findIndex((line) => /^ℹ tests \d+$/.test(line));
  const last = plain.findIndex((line) => /^ℹ duration_ms /.test(line));
  const name = relative(root, file)
    .replace(/^dist\/test\//, '')
    .replace(/\.test\.m?js$/, '');
  const told = closing < 0 ? text : lines.slice(0, closing).join('\n');
  process.stdout.write(`▪ ${name} (${(tookMs / 1000).toFixed(1)} s)\n${told.trimEnd()}\n`);
  for (const line of closing < 0 ? [] : plain.slice(closing, last)) {
    const [, word, count] = /^ℹ (\w+) (\d+)$/.exec(line) ?? [];
    if (word in totals) totals[word] += Number(count);
  }
  if (code === 0 && closing >= 0) return;
  process.exitCode = 1;
  const list = lines.slice(last + 1).filter((_, at) => !/failing tests:$/.test(plain[last + 1 + at]));
  failures.push(`${name}\n${(closing < 0 ? `the runner ended with ${code} before its time` : list.join('\n')).trim()}`);
}

async function lane() {
  for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) await runFile(file);
}

await Promise.all(Array.from({ length: concurrency }, lane));
for (const [word, count] of Object.entries(totals)) process.stdout.write(`ℹ ${word} ${count}\n`);
process.stdout.write(`ℹ duration_ms ${performance.now() - startedMs}\n`);
if (failures.length > 0) process.stdout.write(`\n✖ failing tests:\n\n${failures.join('\n\n')}\n`);
const failed = Math.max(totals.fail + totals.cancelled, failures.length);
if (!ended) writeFileSync(summaryPath, JSON.stringify({ passed: totals.pass, failed, skipped: totals.skipped }));
