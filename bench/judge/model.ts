/** The learned rule on a list of outages: the judgement alone, without the engine and its probes. */
import { type Bounds, Judgement } from '../../src/core/judgement/judgement.js';
import { defaultTuning, type Tuning } from '../../src/core/judgement/tuning.js';
import type { Costs, Rule } from '../../src/simulate/score/single.js';

export type { Bill } from '../../src/simulate/played.js';
export {
  bestFixed,
  type Costs,
  clairvoyant,
  FIXED_GRID,
  fixedRule,
  type Outage,
  PEERS,
  play,
  type Rule,
} from '../../src/simulate/score/single.js';

const NO_BOUNDS: Bounds = { minMs: 0, maxMs: 86_400_000 };

export function learnedRule({ switchS, backup }: Costs, tuning: Tuning = defaultTuning): Rule {
  const options = { switchCostMs: 1000 * switchS, backupCost: backup, patience: NO_BOUNDS, hold: NO_BOUNDS };
  const judgement = new Judgement(options, null, tuning);
  return {
    began: (atS) => {
      judgement.silenceBegan(1000 * atS, 'upstream');
      return (judgement.patienceMs() ?? 0) / 1000;
    },
    ended: (atS) => {
      judgement.silenceEnded(1000 * atS);
      return (judgement.holdMs() ?? 0) / 1000;
    },
  };
}
