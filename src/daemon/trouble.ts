/**
 * Counts what failed inside this program: one failure is told and borne, many in a short time end the process, since a new
 * one adopts the kernel's state without loss and an engine that keeps throwing protects nobody.
 */
import type { Clock } from './clock.js';

const FATAL_COUNT = 5;
const FATAL_WINDOW_MS = 10_000;

export class TroubleCounter {
  readonly #clock: Clock;
  readonly #onTrouble: (doing: string, error: unknown) => void;
  readonly #onFatal: (error: unknown) => void;
  #times: number[] = [];

  constructor(clock: Clock, onTrouble: (doing: string, error: unknown) => void, onFatal: (error: unknown) => void) {
    this.#clock = clock;
    this.#onTrouble = onTrouble;
    this.#onFatal = onFatal;
  }

  /** Never throws. */
  add(doing: string, error: unknown): void {
    try {
      this.#onTrouble(doing, error);
    } catch {
      // Telling failed as well; the count below still works.
    }
    const now = this.#clock.now();
    this.#times = [...this.#times.filter((at) => now - at < FATAL_WINDOW_MS), now];
    if (this.#times.length < FATAL_COUNT) return;
    this.#times = [];
    this.#onFatal(error);
  }
}
