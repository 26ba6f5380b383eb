/**
 * Runs compiled test files with Node's own runner and spec reporter, in the order given (`node --test` sorts them by name, which
 * would leave the longest for the end). Started by test.mjs, with sudo where the tests need root.
 * Arguments: JSON { files, concurrency, timeoutMs, summaryPath }. The summary says how many passed, failed and were skipped.
 */
import { writeFileSync } from 'node:fs';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const { files, concurrency, timeoutMs, summaryPath } = JSON.parse(process.argv[2]);
const ending = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => ending.abort());
const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) ending.abort();
}, 250).unref();

const summary = { passed: 0, failed: [], skipped: 0 };
const stream = run({ files, concurrency, timeout: timeoutMs, signal: ending.signal });
stream.on('test:pass', (data) => {
  if (data.details.type === 'suite') return;
  if (data.skip !== undefined) summary.skipped++;
  else summary.passed++;
});
stream.on('test:fail', (data) => {
  if (data.todo !== undefined) return;
  process.exitCode = 1;
  summary.failed.push(data.name);
});
stream.on('end', () => writeFileSync(summaryPath, JSON.stringify(summary)));
stream.compose(new spec()).pipe(process.stdout);
