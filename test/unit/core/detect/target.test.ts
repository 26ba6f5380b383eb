/** What is believed of one target, answer by answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Target } from '../../../../src/core/detect/target.js';
import { PROBE } from './detector-bench.js';

const TIMEOUT = { reason: 'timeout', detail: 'no answer' } as const;
const target = (): Target => new Target({ label: 'a', question: { kind: 'icmp' }, address: '192.0.2.1' }, PROBE);

test('before the first answer the full time is granted, then RTT + 40 ms at least', () => {
  const it = target();
  assert.equal(it.deadlineMs, 1000);
  for (let i = 0; i < 100; i += 1) it.answered(i, 20, null);
  assert.ok(Math.abs(it.deadlineMs - 60) < 0.1);
});

test('three regular misses in a row make it silent, one answer alive again', () => {
  const it = target();
  it.answered(0, 20, null);
  for (const sentMs of [1, 2, 3]) {
    assert.equal(it.silent, false);
    it.missed(sentMs, TIMEOUT, true);
  }
  assert.equal(it.silent, true);
  assert.equal(it.silentSinceMs, 1);
  it.answered(4, 20, null);
  assert.deepEqual([it.silent, it.silentSinceMs, it.lastFailure], [false, null, null]);
});

test('misses of a burst are no regular misses', () => {
  const it = target();
  for (let i = 0; i < 10; i += 1) it.missed(i, TIMEOUT, false);
  assert.equal(it.silent, false);
  assert.equal(it.silentSinceMs, 0);
});

test('a probe older than the newest answer dates no silence', () => {
  const it = target();
  it.answered(1_000, 20, null);
  it.missed(900, TIMEOUT, true);
  assert.equal(it.silentSinceMs, null);
  it.missed(2_000, TIMEOUT, true);
  assert.equal(it.silentSinceMs, 2_000);
});

test('what a router says holds over the silence between two of its rationed errors, not for ever and over no answer', () => {
  const it = target();
  const unreachable = { reason: 'unreachable', detail: 'no route, says 192.0.2.254' } as const;
  it.missed(0, unreachable, true);
  for (const sentMs of [200, 400, 4_800]) {
    it.missed(sentMs, TIMEOUT, true);
    assert.deepEqual(it.lastFailure, unreachable, `${sentMs} ms`);
  }
  it.missed(5_000, TIMEOUT, true);
  assert.deepEqual(it.lastFailure, TIMEOUT);
  it.missed(5_200, unreachable, true);
  it.missed(5_400, { reason: 'no-route', detail: 'ENETUNREACH' }, true);
  assert.equal(it.lastFailure?.reason, 'no-route', 'whatever else is said is news');
  it.missed(5_600, unreachable, true);
  it.answered(5_800, 20, null);
  it.missed(6_000, TIMEOUT, true);
  assert.deepEqual(it.lastFailure, TIMEOUT);
});

test('alive without a trustworthy RTT leaves the estimate alone', () => {
  const it = target();
  it.answered(0, 20, null);
  const before = it.deadlineMs;
  it.alive(10, 'certificate expired');
  assert.equal(it.deadlineMs, before);
  assert.equal(it.note, 'certificate expired');
});
