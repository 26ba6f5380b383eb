/**
 * The real clocks and the one timer, behind an interface so that the loop can be driven by hand in tests.
 * Knows no event and no deadline's meaning.
 */
import { uptime } from 'node:os';

export interface Clock {
  /** CLOCK_MONOTONIC in ms, with fractions: stands still while the machine is suspended */
  now(): number;
  /** Unix time in ms */
  wallMs(): number;
  /** CLOCK_BOOTTIME in ms, 10 ms resolution: runs on while the machine is suspended */
  uptimeMs(): number;
  /** @returns how to take it back */
  setTimer(delayMs: number, callback: () => void): () => void;
  /** Calls back after the event loop has polled for input once (setImmediate: timers, poll, check). */
  afterPoll(callback: () => void): void;
}

export const realClock: Clock = {
  now: () => performance.now(),
  wallMs: () => Date.now(),
  uptimeMs: () => uptime() * 1000,
  setTimer: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
  afterPoll: (callback) => {
    setImmediate(callback);
  },
};

/** setTimeout takes 32 bits; longer waits are taken in pieces. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/**
 * One alarm, set anew as often as wished. setTimeout counts whole milliseconds from the loop's cached time, which may be old:
 * it comes up to a few ms early as well as late. Early is never passed on (it is armed again); late is at most 1 ms by
 * rounding, plus what the loop was busy with.
 */
export class Alarm {
  readonly #clock: Clock;
  readonly #ring: (dueMs: number) => void;
  #dueMs: number | null = null;
  #cancel: (() => void) | null = null;

  constructor(clock: Clock, ring: (dueMs: number) => void) {
    this.#clock = clock;
    this.#ring = ring;
  }

  /** The instant asked for and not yet rung; null = none. */
  get dueMs(): number | null {
    return this.#dueMs;
  }

  set(dueMs: number): void {
    // NaN would never ring, and a loop that never rings is dead: now is the safe reading.
    this.#dueMs = Number.isNaN(dueMs) ? this.#clock.now() : dueMs;
    this.#arm();
  }

  clear(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#dueMs = null;
  }

  #arm(): void {
    this.#cancel?.();
    const delayMs = Math.min(MAX_DELAY_MS, Math.max(0, Math.ceil((this.#dueMs ?? 0) - this.#clock.now())));
    this.#cancel = this.#clock.setTimer(delayMs, () => {
      this.#cancel = null;
      if (this.#dueMs === null) return;
      if (this.#clock.now() < this.#dueMs) {
        this.#arm();
        return;
      }
      const dueMs = this.#dueMs;
      this.#dueMs = null;
      this.#ring(dueMs);
    });
  }
}
