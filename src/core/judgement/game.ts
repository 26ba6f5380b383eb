/**
 * What waiting is worth. Two imaginary travellers, one on the uplink and one on the backup, look at the same future; each may
 * pay one switch to join the other. The difference of what they pay is a stopping game (Dynkin 1969), and its value says
 * when the one on the uplink should leave and the one on the backup should come back. Knows hazards and costs alone.
 *
 * Every value is `what the one on the backup is behind by` plus one switch, so in [0, 2 switches]: at 0 the one on the
 * uplink leaves, at 2 switches the one on the backup returns. Each step keeps the order of the values and the limits grow
 * with the switch cost, so patience and hold cannot fall when the switch cost rises; that holds for any number of rounds.
 */
import type { Costs } from './work-function.js';

/** The circumstances of a silence or a good time, as far as forecasts tell them apart: representative lengths, s. */
export const GAP_KINDS_S: readonly number[] = [6, 25, 100, 400];
export const SILENCE_KINDS_S: readonly number[] = [0.7, 3, 12, 60];
const KINDS = GAP_KINDS_S.length * SILENCE_KINDS_S.length;
/** A fixed number: a stop at "near enough" would break the order of values between two switch costs. */
const ROUNDS = 24;

export function kindOf(kindsS: readonly number[], lengthS: number): number {
  const distance = (kindS: number) => Math.abs(Math.log(kindS / (lengthS + 1e-9)));
  return kindsS.reduce((best, kindS, index) => (distance(kindS) < distance(kindsS[best] ?? 0) ? index : best), 0);
}

export function kindIndex(gapKind: number, silenceKind: number): number {
  return gapKind * SILENCE_KINDS_S.length + silenceKind;
}

/** Steps of the life tables with what the game needs of them. */
export interface Steps {
  readonly edgesS: readonly number[];
  /** the kind of what ends in each step */
  readonly kinds: readonly number[];
}

export function stepsWithKinds(edgesS: readonly number[], kindsS: readonly number[]): Steps {
  const middle = (step: number) => ((edgesS[step] ?? 0) + (edgesS[step + 1] ?? edgesS[step] ?? 0)) / 2;
  return { edgesS, kinds: edgesS.map((_, step) => kindOf(kindsS, middle(step))) };
}

/** For each kind (see `kindIndex`) the hazards of a silence that begins so, and of a good time that begins so. */
export interface Forecast {
  readonly silence: readonly (readonly number[])[];
  readonly good: readonly (readonly number[])[];
}

/** Values at the beginning of each kind of silence and good time. */
export interface Values {
  readonly silence: Float64Array;
  readonly good: Float64Array;
}

export interface Answer {
  readonly value: number;
  /** when to leave, or to return, since the beginning, s */
  readonly afterS: number;
}

/**
 * A silence from its end backwards.
 * @param gapKind kind of the good time before it
 * @param severity share of the traffic that it takes
 */
export function silenceAnswer(
  steps: Steps,
  hazardOf: readonly number[],
  gapKind: number,
  severity: number,
  values: Values,
  costs: Costs,
): Answer {
  const { edgesS, kinds } = steps;
  const lostPerS = severity - costs.backup;
  const limit = 2 * costs.switchS;
  let value = 0;
  let afterS = edgesS[edgesS.length - 1] ?? 0;
  for (let step = edgesS.length - 2; step >= 0; step -= 1) {
    const fromS = edgesS[step] ?? 0;
    const lost = lostPerS * ((edgesS[step + 1] ?? fromS) - fromS);
    const hazard = hazardOf[step] ?? 0;
    const ended = values.good[kindIndex(gapKind, kinds[step] ?? 0)] ?? 0;
    value = Math.min(limit, hazard * (ended - lost / 2) + (1 - hazard) * (value - lost));
    if (value <= 0) {
      value = 0;
      afterS = fromS;
    }
  }
  return { value, afterS };
}

/** A good time from its end backwards. @param silenceKind kind of the silence before it */
export function goodAnswer(steps: Steps, hazardOf: readonly number[], silenceKind: number, values: Values, costs: Costs): Answer {
  const { edgesS, kinds } = steps;
  const limit = 2 * costs.switchS;
  let value = limit;
  let afterS = edgesS[edgesS.length - 1] ?? 0;
  for (let step = edgesS.length - 2; step >= 0; step -= 1) {
    const fromS = edgesS[step] ?? 0;
    const paid = costs.backup * ((edgesS[step + 1] ?? fromS) - fromS);
    const hazard = hazardOf[step] ?? 0;
    const failed = values.silence[kindIndex(kinds[step] ?? 0, silenceKind)] ?? 0;
    value = Math.max(0, hazard * (failed + paid / 2) + (1 - hazard) * (value + paid));
    if (value >= limit) {
      value = limit;
      afterS = fromS;
    }
  }
  return { value, afterS };
}

/**
 * Values of all kinds, by value iteration. O(rounds x kinds x steps), about 60,000 additions.
 * @param severity the mean share that silences take
 */
export function solve(silence: Steps, good: Steps, forecast: Forecast, severity: number, costs: Costs): Values {
  const values: Values = { silence: new Float64Array(KINDS), good: new Float64Array(KINDS) };
  for (let round = 0; round < ROUNDS; round += 1) {
    for (let gap = 0; gap < GAP_KINDS_S.length; gap += 1) {
      for (let before = 0; before < SILENCE_KINDS_S.length; before += 1) {
        const kind = kindIndex(gap, before);
        values.silence[kind] = silenceAnswer(silence, forecast.silence[kind] ?? [], gap, severity, values, costs).value;
      }
    }
    for (let gap = 0; gap < GAP_KINDS_S.length; gap += 1) {
      for (let before = 0; before < SILENCE_KINDS_S.length; before += 1) {
        const kind = kindIndex(gap, before);
        values.good[kind] = goodAnswer(good, forecast.good[kind] ?? [], before, values, costs).value;
      }
    }
  }
  return values;
}
