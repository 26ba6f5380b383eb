/**
 * The numbers inside the judgement that are neither theory nor config. They are gathered here so that the evaluation can try
 * others and show how little hangs on them; nobody else passes any but the defaults.
 */
export interface Tuning {
  /** how much an episode fades with one that follows in the same circumstances */
  readonly fade: number;
  /** least part of that, however different the circumstances: an hour of flapping must not wipe out a year of calm */
  readonly fadeUnlike: number;
  /** what the belief before anything was seen counts for, in observations */
  readonly priorWeight: number;
  /** what the forecast without regard to circumstances counts for beside the one with, in observations */
  readonly generalWeight: number;
  /** until so many silences are known, half of the decision is the rule for unknown links */
  readonly halfKnown: number;
  /** that rule guards against the worst; on average silences end sooner and links stay good longer than the worst would */
  readonly hopefulPatience: number;
  readonly hopefulHold: number;
  /** however good the forecast, so much of the safe rule's hold is kept: a link that has begun to flap looks new to it */
  readonly leastHold: number;
}

export const defaultTuning: Tuning = {
  fade: 0.02,
  fadeUnlike: 0.2,
  priorWeight: 2,
  generalWeight: 2,
  halfKnown: 3,
  hopefulPatience: 0.5,
  hopefulHold: 0.75,
  leastHold: 0.1,
};
