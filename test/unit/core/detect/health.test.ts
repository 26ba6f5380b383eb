/** Health from what is known: every transition, and the thresholds with their hysteresis. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DegradedConfig } from '../../../../src/core/config.js';
import type { DetectorState } from '../../../../src/core/detect/detector.js';
import { assessHealth, type Evidence, type PathFigures, pathFigures, type Verdict } from '../../../../src/core/detect/health.js';
import { Target } from '../../../../src/core/detect/target.js';
import type { Health } from '../../../../src/core/model.js';
import { PROBE } from './detector-bench.js';

const CONFIG: DegradedConfig = {
  loss: { high: 0.2, low: 0.1 },
  rttMs: { high: 200, low: 150 },
  jitterMs: { high: 50, low: 30 },
  policy: 'yield',
};
const FINE: PathFigures = { loss: 0, lossOfFull: 0, rttMs: 20, jitterMs: 1, answered: 60 };

const verdict = (health: Health): Verdict => ({
  health,
  reason: health === 'up' ? 'answers' : health === 'down' ? 'upstream-silent' : 'starting',
});

function assess(former: Verdict, change: Partial<Evidence>, config: DegradedConfig = CONFIG): Verdict {
  return assessHealth(
    former,
    { linkFault: null, detector: 'answering', patienceOver: false, silentReason: 'gateway-silent', figures: FINE, ...change },
    config,
  );
}

test('a link fault is down at once, whatever the probes say', () => {
  for (const detector of ['idle', 'starting', 'answering', 'suspect', 'silent', 'recovering'] as const) {
    assert.deepEqual(assess(verdict('up'), { linkFault: 'carrier-lost', detector }), { health: 'down', reason: 'carrier-lost' });
  }
});

test('every state of the detector, for every former health', () => {
  const expected: Readonly<Record<DetectorState, Readonly<Record<'unknown' | 'up' | 'down', Health>>>> = {
    // nothing known anew: what was known last stands
    idle: { unknown: 'unknown', up: 'up', down: 'down' },
    starting: { unknown: 'unknown', up: 'up', down: 'down' },
    answering: { unknown: 'up', up: 'up', down: 'up' },
    suspect: { unknown: 'unknown', up: 'up', down: 'down' },
    // a first verdict does not wait for any patience; one that was good does
    silent: { unknown: 'down', up: 'up', down: 'down' },
    recovering: { unknown: 'down', up: 'up', down: 'down' },
  };
  for (const [detector, byFormer] of Object.entries(expected)) {
    for (const [former, health] of Object.entries(byFormer)) {
      const got = assess(verdict(former as Health), { detector: detector as DetectorState });
      assert.equal(got.health, health, `${former}, ${detector}`);
    }
  }
});

test('when patience is over a silence is down, with the reason of the silence', () => {
  for (const detector of ['silent', 'recovering'] as const) {
    assert.deepEqual(assess(verdict('up'), { detector, patienceOver: true }), { health: 'down', reason: 'gateway-silent' });
    assert.equal(assess(verdict('degraded'), { detector, patienceOver: true }).health, 'down');
  }
  assert.equal(assess(verdict('up'), { detector: 'suspect', patienceOver: true }).health, 'up', 'a suspicion is no silence');
});

for (const [what, trip, clear, reason] of [
  ['loss', { loss: 0.25, lossOfFull: 0.2 }, { loss: 0.0999, lossOfFull: 0.0999 }, 'loss-high'],
  ['RTT', { rttMs: 200 }, { rttMs: 149 }, 'latency-high'],
  ['jitter', { jitterMs: 50 }, { jitterMs: 29 }, 'jitter-high'],
] as const) {
  test(`${what} trips at the high mark and clears only below the low one`, () => {
    const bad = assess(verdict('up'), { figures: { ...FINE, ...trip } });
    assert.deepEqual(bad, { health: 'degraded', reason });
    const between = { loss: { loss: 0.15, lossOfFull: 0.15 }, RTT: { rttMs: 170 }, jitter: { jitterMs: 40 } }[what];
    assert.equal(assess(verdict('up'), { figures: { ...FINE, ...between } }).health, 'up', 'between the marks: not tripped');
    assert.equal(assess(bad, { figures: { ...FINE, ...between } }).health, 'degraded', 'between the marks: not cleared');
    assert.equal(assess(bad, { figures: { ...FINE, ...clear } }).health, 'up');
  });
}

test('a short record never looks worse than it is: one lost of two is no loss of half', () => {
  assert.equal(assess(verdict('up'), { figures: { ...FINE, loss: 0.5, lossOfFull: 1 / 60 } }).health, 'up');
});

test('RTT and jitter are not looked at before ten answers', () => {
  const figures = { ...FINE, rttMs: 900, jitterMs: 400 };
  assert.equal(assess(verdict('up'), { figures: { ...figures, answered: 9 } }).health, 'up');
  assert.equal(assess(verdict('up'), { figures: { ...figures, answered: 10 } }).health, 'degraded');
});

test('thresholds that are off never degrade', () => {
  const off: DegradedConfig = { loss: null, rttMs: null, jitterMs: null, policy: 'yield' };
  assert.equal(
    assess(verdict('up'), { figures: { ...FINE, loss: 0.9, lossOfFull: 0.9, rttMs: 9_000, jitterMs: 900 } }, off).health,
    'up',
  );
});

// ---- figures ---------------------------------------------------------------------------------------------------------

/** A target that has lost so many of ten. */
function target(lost: number, rttMs: number): Target {
  const made = new Target({ label: 'x', question: { kind: 'icmp' }, address: 'x' }, { ...PROBE, windowSamples: 10 });
  for (let id = 0; id < 10; id += 1) {
    made.window.sent(id, 100);
    if (id < lost) made.window.lost(id);
    else made.window.answered(id, rttMs);
  }
  return made;
}

test('figures are those of the worst among the best quorum: one bad target alone does no harm', () => {
  const targets = [target(10, 0), target(1, 30), target(0, 20)];
  assert.deepEqual(pathFigures(targets, 1, 10, 200), { loss: 0, lossOfFull: 0, rttMs: 20, jitterMs: 0, answered: 10 });
  const two = pathFigures(targets, 2, 10, 200);
  assert.deepEqual([two.loss, two.rttMs], [0.1, 30]);
  assert.equal(pathFigures(targets, 3, 10, 200).loss, 1);
});

test('a quorum above the number of targets takes the worst of all', () => {
  assert.equal(pathFigures([target(2, 20), target(5, 20)], 9, 10, 200).loss, 0.5);
});

test('no samples: nothing is claimed', () => {
  assert.deepEqual(pathFigures([], 1, 10, 0), { loss: null, lossOfFull: 0, rttMs: null, jitterMs: null, answered: 0 });
});
