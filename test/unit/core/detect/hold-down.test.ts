/** The good time that failback demands: grows with repeated failures, shrinks with good time, never jumps in between. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HoldDownConfig } from '../../../../src/core/config.js';
import {
  demandedMs,
  failed,
  failuresLeft,
  type HoldDown,
  leftMs,
  neverFailed,
  recovered,
  unwatched,
} from '../../../../src/core/detect/hold-down.js';

const CONFIG: HoldDownConfig = { factor: 2, maxMs: 600_000, decayMs: 600_000 };
const RECOVER_MS = 30_000;

const left = (holdDown: HoldDown, nowMs: number): number | null =>
  leftMs(holdDown, demandedMs(holdDown.failures, RECOVER_MS, CONFIG), nowMs);

test('a path that never failed may be used at once', () => {
  assert.equal(left(neverFailed, 0), 0);
  assert.equal(left(recovered(neverFailed, 5), 5), 0);
});

test('the first failure demands recover-after, each further one twice as much, up to the limit', () => {
  let holdDown = neverFailed;
  const demanded: number[] = [];
  for (let failure = 0; failure < 7; failure += 1) {
    holdDown = failed(holdDown, CONFIG, failure);
    demanded.push(demandedMs(holdDown.failures, RECOVER_MS, CONFIG));
  }
  assert.deepEqual(demanded, [30_000, 60_000, 120_000, 240_000, 480_000, 600_000, 600_000]);
});

test('a recover-after above the limit is still honoured', () => {
  assert.equal(demandedMs(3, 900_000, CONFIG), 900_000);
});

test('no countdown runs while it is not good', () => {
  assert.equal(left(failed(neverFailed, CONFIG, 0), 1_000_000), null);
});

test('the countdown runs from the recovery, second by second, and ends', () => {
  const holdDown = recovered(failed(neverFailed, CONFIG, 0), 10_000);
  assert.equal(left(holdDown, 10_000), 30_000);
  assert.equal(left(holdDown, 25_000), 15_000);
  assert.equal(left(holdDown, 40_000), 0);
  assert.equal(left(holdDown, 500_000), 0);
});

test('being told again that it is good does not start the countdown anew', () => {
  const holdDown = recovered(failed(neverFailed, CONFIG, 0), 10_000);
  assert.deepEqual(recovered(holdDown, 20_000), holdDown);
});

test('good time forgives a failure each ten minutes, and only good time', () => {
  let holdDown = neverFailed;
  for (let i = 0; i < 4; i += 1) holdDown = failed(holdDown, CONFIG, i);
  assert.equal(failuresLeft(holdDown, CONFIG, 10_000_000), 4, 'nothing is forgiven while it is down');
  const good = recovered(holdDown, 0);
  assert.deepEqual(
    [599_999, 600_000, 1_800_000, 9_000_000].map((now) => failuresLeft(good, CONFIG, now)),
    [4, 3, 1, 0],
  );
  assert.equal(failed(good, CONFIG, 1_200_000).failures, 3, 'two forgiven, one new');
});

test('what is forgiven does not shorten a countdown under way', () => {
  const slow: HoldDownConfig = { factor: 4, maxMs: 10_000_000, decayMs: 60_000 };
  const holdDown = recovered({ failures: 3, goodSinceMs: null }, 0);
  assert.equal(leftMs(holdDown, demandedMs(3, RECOVER_MS, slow), 0), 480_000);
  let last = Number.POSITIVE_INFINITY;
  for (let now = 0; now <= 480_000; now += 1_000) {
    const now_ = leftMs(holdDown, demandedMs(3, RECOVER_MS, slow), now) ?? Number.NaN;
    assert.ok(last === Number.POSITIVE_INFINITY || last - now_ === 1_000, `jump at ${now}`);
    last = now_;
  }
  assert.equal(last, 0);
});

test('time that nobody watched is taken out of the good time', () => {
  const holdDown = unwatched(recovered(failed(neverFailed, CONFIG, 0), 10_000), 20_000);
  assert.equal(left(holdDown, 40_000), 20_000);
  assert.equal(left(holdDown, 60_000), 0);
  const down = failed(neverFailed, CONFIG, 0);
  assert.deepEqual(unwatched(down, 20_000), down);
});
