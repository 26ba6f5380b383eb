/**
 * What comes again and again at a steady pace. It catches up on nothing, and can be moved on over a time in which nobody looks.
 * Knows neither targets nor probes.
 */
import type { Agenda, Entry } from '../agenda.js';

export class Cadence {
  readonly intervalMs: number;
  readonly #agenda: Agenda;
  readonly #ask: (nowMs: number) => void;
  #nextMs: number;
  #entry: Entry;
  #cancelled = false;

  readonly #keepsPhase: boolean;

  /** @param keepsPhase however late it is called; otherwise the pace counts from then */
  constructor(agenda: Agenda, firstMs: number, intervalMs: number, keepsPhase: boolean, ask: (nowMs: number) => void) {
    this.#agenda = agenda;
    this.intervalMs = intervalMs;
    this.#keepsPhase = keepsPhase;
    this.#ask = ask;
    this.#nextMs = firstMs;
    this.#entry = this.#plan();
  }

  get nextMs(): number {
    return this.#nextMs;
  }

  cancel(): void {
    this.#cancelled = true;
    this.#entry.cancelled = true;
  }

  /**
   * Goes on with its first point at or after this time. O(points), a nanosecond each: the very sums that it would have made.
   * @param each is told of every point that is left out
   */
  skipTo(cutMs: number, each: (atMs: number) => void): void {
    if (this.#nextMs >= cutMs) return;
    for (; this.#nextMs < cutMs; this.#nextMs += this.intervalMs) each(this.#nextMs);
    this.#entry.cancelled = true;
    this.#entry = this.#plan();
  }

  #plan(): Entry {
    const run = (now: number): void => {
      this.#ask(now);
      if (this.#cancelled) return;
      const late = Math.max(0, Math.floor((now - this.#nextMs) / this.intervalMs));
      this.#nextMs = this.#keepsPhase ? this.#nextMs + this.intervalMs * (1 + late) : now + this.intervalMs;
      this.#entry = this.#plan();
    };
    return this.#agenda.at(this.#nextMs, run, true);
  }
}
