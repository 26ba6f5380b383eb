/** RFC 6298 section 2, by its own arithmetic. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerDeadline, type RttEstimate, smoothRtt } from '../../../../src/core/detect/rtt.js';

const measured = (...rtts: readonly number[]): RttEstimate | null =>
  rtts.reduce<RttEstimate | null>((estimate, rtt) => smoothRtt(estimate, rtt), null);

test('the first measurement sets SRTT to R and RTTVAR to R/2', () => {
  assert.deepEqual(measured(100), { srttMs: 100, rttvarMs: 50 });
});

test('a later one: RTTVAR from the former SRTT, then SRTT (RFC 6298 2.3 names this order)', () => {
  // RTTVAR = 3/4 * 50 + 1/4 * |100 - 180|, SRTT = 7/8 * 100 + 1/8 * 180
  assert.deepEqual(measured(100, 180), { srttMs: 110, rttvarMs: 57.5 });
});

test('an even line has the floor as its patience: RTT + 40 ms', () => {
  const even = measured(...new Array<number>(200).fill(20));
  assert.ok(Math.abs(answerDeadline(even, 40, 1000) - 60) < 0.01);
});

test('an uneven line is granted four deviations', () => {
  const uneven = measured(...Array.from({ length: 400 }, (_, i) => (i % 2 === 0 ? 60 : 140)));
  assert.ok(uneven !== null && uneven.rttvarMs > 30);
  assert.equal(answerDeadline(uneven, 40, 1000), uneven.srttMs + 4 * uneven.rttvarMs);
});

test('before any measurement, and never above, the ceiling holds', () => {
  assert.equal(answerDeadline(null, 40, 1000), 1000);
  assert.equal(answerDeadline(measured(5000), 40, 1000), 1000);
});
