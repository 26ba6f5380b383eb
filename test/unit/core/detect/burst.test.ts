/** The tally of a confirm burst. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Burst } from '../../../../src/core/detect/burst.js';
import { Target } from '../../../../src/core/detect/target.js';
import { PROBE } from './detector-bench.js';

const target = (label: string): Target => new Target({ label, question: { kind: 'icmp' }, address: label }, PROBE);

/** A burst of two steps in which every target was asked twice. */
function sentTo(...targets: readonly Target[]): Burst {
  const burst = new Burst('overdue', 0, 2);
  for (let step = 0; step < 2; step += 1) {
    for (const [i, t] of targets.entries()) burst.sent(step * 10 + i, t);
    burst.stepDone();
  }
  return burst;
}

test('it is complete when every probe of every target has answered or missed, and not before all are sent', () => {
  const a = target('a');
  const early = new Burst('overdue', 0, 2);
  early.sent(1, a);
  early.stepDone();
  early.missed(a, 'timeout');
  assert.equal(early.complete, false);

  const burst = sentTo(a);
  burst.missed(a, 'timeout');
  assert.equal(burst.complete, false);
  burst.answered(a);
  assert.equal(burst.complete, true);
  assert.equal(burst.answeredTargets, 1);
  assert.deepEqual(burst.reasons, ['timeout']);
});

test('targets known to be silent are not waited for, unless there are no others', () => {
  const alive = target('alive');
  const dead = target('dead');
  for (let i = 0; i < 3; i += 1) dead.missed(i, { reason: 'timeout', detail: '' }, true);
  const burst = sentTo(alive, dead);
  burst.missed(alive, 'timeout');
  burst.missed(alive, 'timeout');
  assert.equal(burst.complete, true);

  const alone = sentTo(dead);
  assert.equal(alone.complete, false);
  alone.missed(dead, 'timeout');
  alone.missed(dead, 'timeout');
  assert.equal(alone.complete, true);
});

test('the share answered is counted per target', () => {
  const [a, b, c] = [target('a'), target('b'), target('c')];
  const burst = sentTo(a, b, c);
  burst.answered(a);
  burst.answered(a);
  burst.answered(b);
  assert.equal(burst.targetsAnswering(1), 1);
  assert.equal(burst.targetsAnswering(0.5), 2);
  assert.equal(burst.answeredTargets, 2);
});
