/** Plays lists of silences against a judgement, and pays for its decisions as the benchmark does. */
import { type Costs, play, type Rule } from '../../../../bench/judge/model.js';
import { defaultJudgement, Judgement, type JudgementOptions } from '../../../../src/core/judgement/judgement.js';
import type { SilenceCause } from '../../../../src/core/judgement/memory.js';

export const withCost = (switchCostMs: number): JudgementOptions => ({ ...defaultJudgement, switchCostMs });

export const costsOf = ({ switchCostMs, backupCost }: JudgementOptions): Costs => ({
  switchS: switchCostMs / 1000,
  backup: backupCost,
});

export interface Told {
  /** good time before, ms */
  readonly goodMs: number;
  readonly silenceMs: number;
  readonly cause?: SilenceCause;
}

/** @returns when the last of them ended, ms */
export function tell(judgement: Judgement, story: readonly Told[], startMs = 0): number {
  let nowMs = startMs;
  for (const { goodMs, silenceMs, cause } of story) {
    nowMs += goodMs;
    judgement.silenceBegan(nowMs, cause ?? 'upstream');
    nowMs += silenceMs;
    judgement.silenceEnded(nowMs);
  }
  return nowMs;
}

/** How long a silence is borne that begins `goodMs` after the story. */
export function patienceAfter(
  options: JudgementOptions,
  story: readonly Told[],
  goodMs: number,
  cause: SilenceCause = 'upstream',
): number {
  const judgement = new Judgement(options);
  judgement.silenceBegan(tell(judgement, story) + goodMs, cause);
  return judgement.patienceMs() ?? Number.NaN;
}

export function ruleOf(judgement: Judgement): Rule {
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

export const repeated = (count: number, told: (i: number) => Told): Told[] => Array.from({ length: count }, (_, i) => told(i));

/** What a judgement's decisions cost on a list of silences, s. */
export function billed(judgement: Judgement, story: readonly Told[], costs: Costs): number {
  let nowS = 0;
  const outages = story.map(({ goodMs, silenceMs }) => {
    const startS = nowS + goodMs / 1000;
    nowS = startS + silenceMs / 1000;
    return { startS, lengthS: silenceMs / 1000 };
  });
  return play(outages, ruleOf(judgement), costs).cost;
}
