/**
 * Tells when this process did not run, the machine slept or the wall clock jumped, by comparing clocks that differ in just
 * that. Cheap enough to be asked before every event. Must not know what was going on meanwhile.
 */
import type { StallCause } from '../core/messages.js';
import type { Clock } from './clock.js';

export interface Stall {
  readonly cause: StallCause;
  /** monotonic, ms */
  readonly fromMs: number;
  readonly toMs: number;
}

/** A loop that comes this late has not been listening: what seems overdue may only be unread. */
export const STALL_MS = 250;
const SUSPEND_MS = 250;
/** NTP slews by 500 ppm at most; anything quicker is a step. */
const STEP_MS = 1_000;
/** os.uptime() reads /proc: asked when the wall clock looks odd, and this often. */
const UPTIME_EVERY_MS = 1_000;

export class TimeWatch {
  readonly #clock: Clock;
  #lastMs: number;
  #wallOffsetMs: number;
  #uptimeOffsetMs: number;
  #uptimeAskedMs: number;
  #toldUntilMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#lastMs = clock.now();
    this.#wallOffsetMs = clock.wallMs() - this.#lastMs;
    this.#uptimeOffsetMs = clock.uptimeMs() - this.#lastMs;
    this.#uptimeAskedMs = this.#lastMs;
  }

  /** @param dueMs when the loop had asked to be woken; a wake-up missed is told once. null = no wish. */
  check(dueMs: number | null): readonly Stall[] {
    const now = this.#clock.now();
    const stalls: Stall[] = [];
    // Several wake-ups may have been missed in one stall: it is told once.
    const fromMs = Math.max(dueMs ?? now, this.#toldUntilMs);
    if (now - fromMs > STALL_MS) {
      this.#toldUntilMs = now;
      stalls.push({ cause: 'process-stalled', fromMs, toMs: now });
    }
    const wallOffsetMs = this.#clock.wallMs() - now;
    const wallJumpMs = Math.abs(wallOffsetMs - this.#wallOffsetMs);
    if (wallJumpMs > SUSPEND_MS || now - this.#uptimeAskedMs >= UPTIME_EVERY_MS) {
      const uptimeOffsetMs = this.#clock.uptimeMs() - now;
      if (uptimeOffsetMs - this.#uptimeOffsetMs > SUSPEND_MS) {
        stalls.push({ cause: 'suspended', fromMs: this.#lastMs, toMs: now });
      } else if (wallJumpMs > STEP_MS) {
        stalls.push({ cause: 'clock-stepped', fromMs: this.#lastMs, toMs: now });
      }
      this.#uptimeOffsetMs = uptimeOffsetMs;
      this.#uptimeAskedMs = now;
    }
    this.#wallOffsetMs = wallOffsetMs;
    this.#lastMs = now;
    return stalls;
  }
}
