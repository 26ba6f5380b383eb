/**
 * How often a metered uplink is asked, so that its probe budget lasts. Between two bounds, the configured interval and five
 * minutes, in steps, so that the detector is not unsettled all the time. Counts nothing and tells nothing.
 *
 * While it carries no traffic, what remains of the budget is spread over what remains of the month. While it does, a silence
 * hurts: then all but what the longest interval costs until the month ends is spread over the time that this is expected to
 * last, a day at first, and four times as long as it has lasted already. So a short stand-in is watched as configured, an
 * uplink that is in use for good is asked evenly all month, and the budget is never spent before its time.
 */
import type { UplinkConfig } from '../config.js';
import { probeBytesPerS } from './probe-bytes.js';

/** However little is left: an uplink that nobody asks is no backup. */
export const LONGEST_INTERVAL_MS = 300_000;
const STEP_FACTOR = 1.5;
/** It is asked more often again only where that costs no more than this share of what it may cost. */
const FASTER_SHARE = 0.8;
/** … and not sooner than this after the last change. */
const FASTER_AFTER_MS = 3_600_000;
/** It is expected to carry traffic for at least so long, and for so many times as long as it has already. */
const CARRIES_MS = 86_400_000;
const CARRIES_TIMES = 4;
/** What is missing by less than this is made up for by the next steps. */
const SHORT_SHARE = 0.9;
/** The last moments of a month are not divided by. */
const LEAST_MS = 60_000;

export interface ProbeBudget {
  /** negative = overspent */
  readonly leftBytes: number;
  /** until the month ends */
  readonly leftMs: number;
}

interface Step {
  readonly intervalMs: number;
  readonly bytesPerS: number;
}

export class ProbePace {
  /** from the configured interval to the longest; at least one */
  readonly #steps: readonly Step[];
  readonly #longest: Step;
  #at = 0;
  #changedMs = Number.NEGATIVE_INFINITY;
  /** null = it does not */
  #carryingSinceMs: number | null = null;
  #short = false;

  constructor(uplink: UplinkConfig) {
    const { intervalMs } = uplink.probe;
    const step = (ms: number): Step => ({ intervalMs: ms, bytesPerS: probeBytesPerS(uplink, ms) });
    const steps: Step[] = [];
    for (let ms = intervalMs; ms < LONGEST_INTERVAL_MS; ms *= STEP_FACTOR) steps.push(step(Math.round(ms)));
    this.#longest = step(Math.max(intervalMs, LONGEST_INTERVAL_MS));
    this.#steps = [...steps, this.#longest];
  }

  get intervalMs(): number {
    return (this.#steps[this.#at] ?? this.#longest).intervalMs;
  }

  /** Even the longest interval clearly costs more than there is. */
  get short(): boolean {
    return this.#short;
  }

  /** Looks at the budget anew. @returns whether the interval has changed */
  review(budget: ProbeBudget, carrying: boolean, nowMs: number): boolean {
    const former = this.intervalMs;
    const turned = carrying !== (this.#carryingSinceMs !== null);
    if (turned) this.#carryingSinceMs = carrying ? nowMs : null;
    const leftS = Math.max(LEAST_MS, budget.leftMs) / 1000;
    const leftBytes = Math.max(0, budget.leftBytes);
    const reservedBytes = this.#longest.bytesPerS * leftS;
    const calmPerS = leftBytes / leftS;
    const carriedMs = nowMs - (this.#carryingSinceMs ?? nowMs);
    const aheadS = Math.min(leftS, Math.max(CARRIES_MS, CARRIES_TIMES * carriedMs) / 1000);
    const hastyPerS = this.#longest.bytesPerS + (leftBytes - reservedBytes) / aheadS;
    const allowedPerS = carrying ? Math.max(calmPerS, hastyPerS) : calmPerS;
    this.#short = leftBytes < SHORT_SHARE * reservedBytes;
    const needed = this.#stepFor(allowedPerS);
    if (turned || needed > this.#at) this.#at = needed;
    else if (nowMs - this.#changedMs >= FASTER_AFTER_MS) this.#at = Math.min(this.#at, this.#stepFor(allowedPerS * FASTER_SHARE));
    if (this.intervalMs === former) return false;
    this.#changedMs = nowMs;
    return true;
  }

  /** The first step that costs no more than this. */
  #stepFor(allowedPerS: number): number {
    const found = this.#steps.findIndex((step) => step.bytesPerS <= allowedPerS);
    return found < 0 ? this.#steps.length - 1 : found;
  }
}
