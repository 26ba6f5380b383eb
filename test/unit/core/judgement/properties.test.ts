/** What holds whatever happens: order, determinism, and what an adversary can do at worst. Seeds are printed on failure. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clairvoyant, type Outage } from '../../../../bench/judge/model.js';
import { seeded } from '../../../../bench/judge/synthetic.js';
import { defaultJudgement, Judgement } from '../../../../src/core/judgement/judgement.js';
import { TOLERATED_SHARE } from '../../../../src/core/judgement/trust.js';
import { WorkFunction } from '../../../../src/core/judgement/work-function.js';
import fc from '../../../support/properties.js';
import { costsOf, patienceAfter, type Told, tell, withCost } from './play.js';

const RUNS = 40;

const lengthMs = fc.double({ min: 0, max: 1, noNaN: true }).map((share) => Math.round(50 * 20_000 ** share));
const told: fc.Arbitrary<Told> = fc.record({
  goodMs: lengthMs,
  silenceMs: lengthMs,
  cause: fc.constantFrom('carrier', 'gateway', 'upstream', 'loss'),
});
const story = fc.array(told, { maxLength: 40 });
const switchCostMs = fc.integer({ min: 0, max: 30_000 });

test('neither patience nor hold falls when the switch cost rises, all else equal', () => {
  fc.assert(
    fc.property(story, switchCostMs, switchCostMs, lengthMs, (past, one, other, goodMs) => {
      const [low, high] = [Math.min(one, other), Math.max(one, other)].map((cost) => {
        const options = withCost(cost);
        const judgement = new Judgement(options);
        tell(judgement, past);
        fc.pre(judgement.saved().believed);
        return { holdMs: judgement.holdMs() ?? 0, patienceMs: patienceAfter(options, past, goodMs) };
      });
      assert.ok(low !== undefined && high !== undefined);
      assert.ok(low.patienceMs <= high.patienceMs, `patience ${low.patienceMs} > ${high.patienceMs}`);
      assert.ok(low.holdMs <= high.holdMs, `hold ${low.holdMs} > ${high.holdMs}`);
    }),
    { numRuns: RUNS },
  );
});

test('the same past, the same decisions; always finite, never negative', () => {
  fc.assert(
    fc.property(story, switchCostMs, fc.double({ min: 0, max: 0.99, noNaN: true }), (past, cost, backupCost) => {
      const options = { ...withCost(cost), backupCost };
      const decisions = [0, 1].map(() => {
        const judgement = new Judgement(options);
        tell(judgement, past);
        return [judgement.holdMs(), patienceAfter(options, past, 1_000), judgement.explain(), judgement.saved()] as const;
      });
      assert.deepEqual(decisions[0], decisions[1]);
      const [holdMs, patienceMs] = decisions[0] ?? [];
      assert.ok(Number.isFinite(patienceMs) && (patienceMs ?? -1) >= 0);
      assert.ok(holdMs === null || (Number.isFinite(holdMs) && (holdMs ?? -1) >= 0));
    }),
    { numRuns: RUNS },
  );
});

/** What an adversary does who sees where traffic is, and how long the next decision waits: lengths of good and bad time, s. */
interface Adversary {
  good(onBackup: boolean, holdS: number, random: () => number): number;
  bad(patienceS: number, random: () => number): number;
}

const JUST_AFTER_S = 0.01;
const ADVERSARIES: Readonly<Record<string, Adversary>> = {
  'fails as soon as traffic is back, recovers as soon as it is gone': {
    good: (onBackup, holdS) => (onBackup ? holdS + JUST_AFTER_S : 0.05),
    bad: (patienceS) => patienceS + JUST_AFTER_S,
  },
  'blips just longer than patience, and long calm': {
    good: (onBackup, holdS, random) => (onBackup ? holdS : 0) + 1 + 5_000 * random(),
    bad: (patienceS) => patienceS + JUST_AFTER_S,
  },
  'fails again at half the hold': {
    good: (onBackup, holdS, random) => (onBackup ? holdS * random() : 20 * random()),
    bad: (patienceS) => patienceS + JUST_AFTER_S,
  },
  'fails for long after calm': {
    good: (_onBackup, holdS, random) => holdS + 5_000 * random(),
    bad: (patienceS, random) => 3 * patienceS + 20 * random(),
  },
  'almost patience': { good: (_onBackup, holdS) => holdS + JUST_AFTER_S, bad: (patienceS) => 0.99 * patienceS },
};

interface Duel {
  readonly cost: number;
  readonly least: number;
}

/** Costs of what followed the training, and the clairvoyant's for that part alone. */
function duel(judge: Decider, switchS: number, adversary: Adversary, training: readonly Outage[], seed: number): Duel {
  const costs = costsOf(withCost(1000 * switchS));
  const random = seeded(seed);
  for (const { startS, lengthS } of training) {
    judge.began(startS);
    judge.ended(startS + lengthS);
  }
  const outages: Outage[] = [];
  let nowS = (training.at(-1)?.startS ?? 0) + 10_000;
  let cost = 0;
  let onBackupSinceS: number | null = null;
  let holdS = 1;
  for (let i = 0; i < 150; i += 1) {
    const goodS = adversary.good(onBackupSinceS !== null, holdS, random);
    if (onBackupSinceS !== null && goodS >= holdS) {
      cost += costs.backup * (nowS + holdS - onBackupSinceS) + switchS;
      onBackupSinceS = null;
    }
    nowS += goodS;
    const patienceS = judge.began(nowS);
    const lengthS = Math.max(0.001, adversary.bad(patienceS, random));
    outages.push({ startS: nowS, lengthS });
    if (onBackupSinceS === null) {
      cost += Math.min(lengthS, patienceS);
      if (lengthS > patienceS) {
        cost += switchS;
        onBackupSinceS = nowS + patienceS;
      }
    }
    nowS += lengthS;
    holdS = judge.ended(nowS);
  }
  if (onBackupSinceS !== null) cost += costs.backup * (nowS - onBackupSinceS);
  return { cost, least: clairvoyant(outages, costs) };
}

interface Decider {
  began(atS: number): number;
  ended(atS: number): number;
}

function learned(switchS: number): Decider {
  const judgement = new Judgement({ ...defaultJudgement, switchCostMs: 1000 * switchS });
  return {
    began: (atS) => {
      judgement.silenceBegan(1000 * atS, 'upstream');
      return (judgement.patienceMs() ?? Number.NaN) / 1000;
    },
    ended: (atS) => {
      judgement.silenceEnded(1000 * atS);
      return (judgement.holdMs() ?? Number.NaN) / 1000;
    },
  };
}

function workFunction(switchS: number): Decider {
  const costs = costsOf(withCost(1000 * switchS));
  const rule = new WorkFunction(2 * switchS);
  let sinceS: number | null = null;
  return {
    began: (atS) => {
      if (sinceS !== null) rule.good(atS - sinceS, costs);
      sinceS = atS;
      return rule.patienceS(1, costs);
    },
    ended: (atS) => {
      rule.silent(atS - (sinceS ?? atS), 1, costs);
      sinceS = atS;
      return rule.holdS(costs);
    },
  };
}

const evenly = (count: number, everyS: number, lengthS: number): Outage[] =>
  Array.from({ length: count }, (_, i) => ({ startS: everyS * (i + 1), lengthS }));
const TRAININGS: Readonly<Record<string, readonly Outage[]>> = {
  nothing: [],
  'short silences': evenly(100, 90, 0.9),
  'long silences': evenly(60, 20_000, 300),
  'an endless flapping': evenly(100, 20, 10),
};

test('the rule for unknown links costs at most 3 times the clairvoyant and a few switches', () => {
  for (const [name, adversary] of Object.entries(ADVERSARIES)) {
    for (const switchS of [0.5, 2.5, 10]) {
      const { cost, least } = duel(workFunction(switchS), switchS, adversary, [], 1);
      assert.ok(cost <= 3 * least + 4 * switchS, `${name}, ${switchS} s: ${cost} against ${least}`);
    }
  }
});

test('before and after learning, no adversary costs more than 3.75 times the clairvoyant and 60 switches', () => {
  const share = 3 * TOLERATED_SHARE;
  for (const [name, adversary] of Object.entries(ADVERSARIES)) {
    for (const [past, training] of Object.entries(TRAININGS)) {
      for (const switchS of [1, 2.5, 5]) {
        const { cost, least } = duel(learned(switchS), switchS, adversary, training, 1);
        assert.ok(cost <= share * least + 60 * switchS, `${name} after ${past}, ${switchS} s: ${cost} against ${least}`);
      }
    }
  }
});

test('nor does one who draws lots among them', () => {
  const all = Object.values(ADVERSARIES);
  fc.assert(
    fc.property(
      fc.integer(),
      fc.constantFrom(1, 2.5, 5),
      fc.constantFrom(...Object.values(TRAININGS)),
      (seed, switchS, training) => {
        const pick = seeded(seed);
        const any = (): Adversary => all[Math.floor(pick() * all.length)] ?? assert.fail('no adversary');
        const mixed: Adversary = { good: (...args) => any().good(...args), bad: (...args) => any().bad(...args) };
        const { cost, least } = duel(learned(switchS), switchS, mixed, training, seed);
        assert.ok(cost <= 3 * TOLERATED_SHARE * least + 60 * switchS, `${cost} against ${least}`);
      },
    ),
    { numRuns: 8 },
  );
});
