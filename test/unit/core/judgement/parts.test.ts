/** Survival estimates, the game and the account, against what can be reckoned by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { goodSteps, silenceSteps } from '../../../../src/core/judgement/forecast.js';
import { GAP_KINDS_S, SILENCE_KINDS_S, silenceAnswer, solve } from '../../../../src/core/judgement/game.js';
import { durationText } from '../../../../src/core/judgement/ground.js';
import { hazards, quantile, stepEdges, stepOf } from '../../../../src/core/judgement/life-table.js';
import { accounted, borne, fullTrust, onUplink, settled, TOLERATED_SWITCHES } from '../../../../src/core/judgement/trust.js';

const COSTS = { switchS: 2.5, backup: 0.02 };
const KINDS = GAP_KINDS_S.length * SILENCE_KINDS_S.length;

test('without a prior the hazards are Kaplan and Meier’s', () => {
  // 6, 6, 6+, 10 of their kind: 2 of 4 end in step 0, one is lost from sight there, the last ends in step 1
  const lives = [
    { step: 0, ended: true, weight: 1 },
    { step: 0, ended: true, weight: 1 },
    { step: 0, ended: false, weight: 1 },
    { step: 1, ended: true, weight: 1 },
  ];
  assert.deepEqual(hazards(lives, [0.5, 0.5], 0), [0.5, 1]);
});

test('where nothing was seen the prior speaks, where much was seen it is silent', () => {
  assert.deepEqual(hazards([], [0.1, 0.2], 2), [0.1, 0.2]);
  const many = Array.from({ length: 1_000 }, () => ({ step: 1, ended: true, weight: 1 }));
  const [first, second] = hazards(many, [0.1, 0.2], 2);
  assert.ok((first ?? 1) < 0.001 && (second ?? 0) > 0.99);
});

test('a length falls into the step that it closes', () => {
  const edges = stepEdges(1, 2, 8);
  assert.deepEqual(edges, [0, 1, 2, 4]);
  assert.deepEqual(
    [0, 0.5, 1, 1.1, 2, 3, 4, 4.1, 1e9].map((s) => stepOf(edges, s)),
    [0, 0, 0, 1, 1, 2, 2, 3, 3],
  );
});

test('quantiles go by weight', () => {
  const lives = [3, 1, 2].map((lengthS) => ({ lengthS, weight: lengthS === 3 ? 10 : 1 }));
  assert.equal(quantile(lives, 0.5), 3);
  assert.equal(quantile([{ lengthS: 7, weight: 0.2 }], 0.9), 7);
  assert.equal(quantile([], 0.5), null);
});

test('certain ends are waited for exactly when that is cheaper than a round trip', () => {
  const endsAt = (step: number) => silenceSteps.edgesS.map((_, i) => (i === step ? 1 : 0.0));
  const neverAgain = goodSteps.edgesS.map(() => 0);
  for (const [step, edgeS] of silenceSteps.edgesS.entries()) {
    if (step > silenceSteps.edgesS.length - 3) break;
    const forecast = {
      silence: Array.from({ length: KINDS }, () => endsAt(step)),
      good: Array.from({ length: KINDS }, () => neverAgain),
    };
    const values = solve(silenceSteps, goodSteps, forecast, 1, COSTS);
    const { afterS } = silenceAnswer(silenceSteps, endsAt(step), 0, 1, values, COSTS);
    const lastsS = (edgeS + (silenceSteps.edgesS[step + 1] ?? 0)) / 2;
    // One who leaves pays two switches and the backup; one who stays pays the silence.
    if (lastsS * 0.98 < 4.9) assert.ok(afterS > edgeS, `${lastsS} s is waited for, not left after ${afterS} s`);
    if (lastsS * 0.98 > 5.1) assert.equal(afterS, 0, `${lastsS} s is not worth waiting`);
  }
});

test('an account: time on the backup is paid as it passes, the way back when it comes', () => {
  const silence = { beganS: 100, lengthS: 20, severity: 1 };
  const left = borne(onUplink, silence, { patienceS: 3, holdS: 50 }, COSTS);
  assert.equal(left.costS, 3 + 2.5);
  const there = settled(left.follower, 140, COSTS);
  assert.ok(Math.abs(there.costS - 0.02 * 37) < 1e-9);
  const stillThere = borne(there.follower, { beganS: 140, lengthS: 10, severity: 1 }, { patienceS: 3, holdS: 50 }, COSTS);
  assert.equal(stillThere.costS, 0);
  const back = settled(stillThere.follower, 1_000, COSTS);
  assert.ok(Math.abs(back.costS - (0.02 * 60 + 2.5)) < 1e-9);
  assert.deepEqual(back.follower, onUplink);
  assert.equal(borne(onUplink, { ...silence, severity: 0.5 }, { patienceS: 30, holdS: 0 }, COSTS).costS, 10);
});

test('trust goes with the account and comes back later than it went; savings are capped', () => {
  const roomS = TOLERATED_SWITCHES * COSTS.switchS;
  const saved = accounted(fullTrust, 0, 1e6, COSTS);
  assert.equal(saved.excessS, -roomS);
  const spent = accounted(saved, 2 * roomS + 1, 0, COSTS);
  assert.equal(spent.believed, false);
  const better = accounted(spent, 0, 0.2 * roomS, COSTS);
  assert.equal(better.believed, false, 'not at once');
  assert.equal(accounted(better, 0, 0.4 * roomS, COSTS).believed, true);
});

test('durations in words', () => {
  const pairs: [number, string][] = [
    [0, '0 s'],
    [860, '0.86 s'],
    [2_000, '2 s'],
    [6_240, '6.2 s'],
    [12_400, '12 s'],
    [90_000, '90 s'],
    [300_000, '5 min'],
    [7_200_000, '2 h'],
  ];
  for (const [ms, text] of pairs) assert.equal(durationText(ms), text);
});
