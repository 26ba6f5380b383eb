/**
 * Whether the forecasts are to be believed: what following them has cost beside what the rule for unknown links would have.
 * When they have cost too much, that rule decides until they would have made it good. This is what bounds the worst case.
 */
import type { Costs } from './work-function.js';

/** The forecasts may cost so much of what the safe rule costs, without end. */
export const TOLERATED_SHARE = 1.25;
/** And so many switches more. */
export const TOLERATED_SWITCHES = 20;
/** Believed again when the excess has fallen to so many switches. */
const FORGIVEN_SWITCHES = 10;

/** One who follows a rule: where he is. Instants in s. */
export interface Follower {
  /** his time on the backup is paid until here; null = he is on the uplink */
  readonly paidUntilS: number | null;
  readonly returnsAtS: number;
}

export const onUplink: Follower = { paidUntilS: null, returnsAtS: 0 };

interface Step {
  readonly follower: Follower;
  readonly costS: number;
}

/** A silence begins: time on the backup is paid as it passes, and whoever was to be back by now is back. */
export function settled(follower: Follower, nowS: number, costs: Costs): Step {
  if (follower.paidUntilS === null) return { follower, costS: 0 };
  const untilS = Math.min(nowS, follower.returnsAtS);
  const costS = costs.backup * Math.max(0, untilS - follower.paidUntilS);
  if (nowS < follower.returnsAtS) return { follower: { ...follower, paidUntilS: nowS }, costS };
  return { follower: onUplink, costS: costS + costs.switchS };
}

/** It has ended after `lengthS`. */
export function borne(
  follower: Follower,
  silence: { readonly beganS: number; readonly lengthS: number; readonly severity: number },
  rule: { readonly patienceS: number; readonly holdS: number },
  costs: Costs,
): Step {
  const returnsAtS = silence.beganS + silence.lengthS + rule.holdS;
  if (follower.paidUntilS !== null) return { follower: { ...follower, returnsAtS }, costS: 0 };
  if (silence.lengthS <= rule.patienceS) return { follower, costS: silence.severity * silence.lengthS };
  return {
    follower: { paidUntilS: silence.beganS + rule.patienceS, returnsAtS },
    costS: silence.severity * rule.patienceS + costs.switchS,
  };
}

export interface Trust {
  /** what the rule in force has cost beyond the tolerated share of the safe rule's cost, s; savings are capped */
  readonly excessS: number;
  readonly believed: boolean;
}

export const fullTrust: Trust = { excessS: 0, believed: true };

export function accounted(trust: Trust, ownCostS: number, safeCostS: number, costs: Costs): Trust {
  const roomS = TOLERATED_SWITCHES * costs.switchS;
  // Savings of long ago must not pay for a long row of mistakes today.
  const excessS = Math.max(-roomS, trust.excessS + ownCostS - TOLERATED_SHARE * safeCostS);
  const believed = trust.believed ? excessS <= roomS : excessS <= FORGIVEN_SWITCHES * costs.switchS;
  return { excessS, believed };
}
