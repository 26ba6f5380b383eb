/**
 * Calm: nothing is doubted, nothing is under way, and it is known that nothing will happen until some time. Then the engine can be
 * moved on at once, instead of by each of its probes. The daemon never knows that; a simulation does. Shapes alone.
 */
import type { Effect } from './messages.js';
import type { PathKey } from './model.js';

/** How every probe of one path goes until then. */
export interface CalmLine {
  /** of the targets' answers; null = none answers */
  readonly rttMs: number | null;
  /** of the gateway's answers; null = it does not answer */
  readonly gatewayRttMs: number | null;
  /** this holds for so many further probes of its targets; Infinity = all */
  readonly probes: number;
}

export interface Calm {
  readonly untilMs: number;
  /** every path */
  readonly lines: ReadonlyMap<PathKey, CalmLine>;
}

export interface Skipped {
  /** nobody will ask for anything before this time */
  readonly untilMs: number;
  /** regular probes of the targets that were left out, by path */
  readonly targetProbes: ReadonlyMap<PathKey, number>;
  readonly probes: number;
  /** the next timer */
  readonly effects: readonly Effect[];
}
