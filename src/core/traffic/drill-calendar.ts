/** When the next drill is due by the local clock, whatever that clock does. Starts nothing. */
import type { DrillConfig } from '../config.js';
import { localDay, localInstant, nextOccurrence, type UtcOffset } from './month.js';

/** Found so late (the machine was off, the clock was set) it waits for the next day: nobody chose this hour. */
const LATE_MS = 3_600_000;
/** A step of the clock by more than this makes everything counted anew. */
const CLOCK_SET_MS = 60_000;

export class DrillCalendar {
  readonly #utcOffsetMs: UtcOffset;
  #config: DrillConfig | null = null;
  /** when the last one began that was not ordered; null = there was none yet */
  #lastMs: number | null;
  /** the last time that was taken or let pass */
  #passedMs: number | null = null;
  #dueMs: number | null = null;
  #clock: { readonly nowMs: number; readonly wallMs: number } | null = null;

  /** All times are Unix ms. @param lastMs when the last one began */
  constructor(lastMs: number | null, utcOffsetMs: UtcOffset) {
    this.#lastMs = lastMs;
    this.#utcOffsetMs = utcOffsetMs;
  }

  get lastMs(): number | null {
    return this.#lastMs;
  }

  get dueMs(): number | null {
    return this.#dueMs;
  }

  configure(config: DrillConfig | null, wallMs: number): void {
    this.#config = config;
    this.#plan(wallMs);
  }

  began(wallMs: number): void {
    this.#lastMs = Math.round(wallMs);
    this.#plan(wallMs);
  }

  /** @returns the time that has come and until when it may be tried, once; null = none has */
  take(nowMs: number, wallMs: number): { readonly untilMs: number } | null {
    this.#watch(nowMs, wallMs);
    const dueMs = this.#dueMs;
    if (dueMs === null || wallMs < dueMs) return null;
    this.#passedMs = dueMs;
    this.#plan(wallMs);
    const midnightMs = localInstant(localDay(dueMs, this.#utcOffsetMs) + 1, 0, this.#utcOffsetMs);
    return { untilMs: Math.max(midnightMs, dueMs + LATE_MS) };
  }

  #watch(nowMs: number, wallMs: number): void {
    const last = this.#clock;
    this.#clock = { nowMs, wallMs };
    const steppedMs = last === null ? 0 : wallMs - last.wallMs - (nowMs - last.nowMs);
    const missed = this.#dueMs !== null && wallMs - this.#dueMs > LATE_MS;
    if (missed || Math.abs(steppedMs) > CLOCK_SET_MS) this.#plan(wallMs);
  }

  #plan(wallMs: number): void {
    const config = this.#config;
    this.#dueMs = null;
    if (config === null) return;
    // A time that is still to come was told by a clock that was wrong, then or now.
    const past = [this.#lastMs, this.#passedMs].filter((ms) => ms !== null && ms <= wallMs);
    const anchorMs = past.reduce((a, b) => (a === null || (b !== null && b > a) ? b : a), null);
    const soonest = nextOccurrence(config, null, wallMs, this.#utcOffsetMs);
    const regular = anchorMs === null ? soonest : nextOccurrence(config, anchorMs, anchorMs, this.#utcOffsetMs);
    this.#dueMs = wallMs - regular > LATE_MS ? soonest : regular;
  }
}
