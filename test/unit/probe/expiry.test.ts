/**
 * Giving up: by one timer, on the clock given, and never ahead of reads that wait.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Expiry } from '../../../src/probe/expiry.js';
import { until } from '../../support/probe-bench.js';

const item = (name: string, into: string[]) => ({ expire: () => void into.push(name) });
const now = () => performance.now();

test('what is due expires, in whatever order it was added; the rest stays', async () => {
  const expired: string[] = [];
  const expiry = new Expiry(now, () => 0);
  const startMs = now();
  expiry.add(item('never', expired), startMs + 3_600_000);
  expiry.add(item('later', expired), startMs + 600);
  expiry.add(item('soon', expired), startMs + 10);
  await until(() => expired.length === 1, 'the first');
  assert.ok(now() - startMs >= 10);
  await until(() => expired.length === 2, 'the second');
  assert.ok(now() - startMs >= 600);
  assert.deepEqual(expired, ['soon', 'later']);
  expiry.close();
});

test('while reads go on nothing expires', async () => {
  const expired: string[] = [];
  let reads = 0;
  let passes = 0;
  // As after a stop of the process: each pass of the loop finds more to read, thirty times.
  const expiry = new Expiry(now, () => (passes++ < 60 ? ++reads : reads));
  expiry.add(item('probe', expired), now() + 1);
  await until(() => expired.length === 1, 'the expiry');
  assert.ok(passes >= 60, 'it waited for the reads');
  expiry.close();
});

test('closed, nothing expires and no timer stays; what expires may add', async () => {
  const expired: string[] = [];
  const expiry = new Expiry(now, () => 0);
  expiry.add({ expire: () => expiry.add(item('second', expired), now() + 1) }, now() + 1);
  await until(() => expired.length === 1, 'what was added in expire()');
  const closed = new Expiry(now, () => 0);
  closed.add(item('closed', expired), now() + 1);
  closed.close();
  expiry.add(item('after', expired), now() + 300);
  await until(() => expired.includes('after'), 'the other one');
  assert.deepEqual(expired, ['second', 'after']);
  expiry.close();
});
