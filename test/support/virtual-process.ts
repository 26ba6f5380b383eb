/**
 * When things run in a process that may stand still, die and begin anew: nothing runs while it stalls, and what was under
 * way for an earlier life is nobody's.
 */
import type { EventQueue, Ticket } from './event-queue.js';

export class VirtualProcess {
  readonly #queue: EventQueue;
  readonly #now: () => number;
  #life = 0;
  #stalledUntilMs = 0;

  constructor(queue: EventQueue, now: () => number) {
    this.#queue = queue;
    this.#now = now;
  }

  /** changes whenever it dies or begins */
  get life(): number {
    return this.#life;
  }

  get stalled(): boolean {
    return this.#now() < this.#stalledUntilMs;
  }

  begin(): void {
    this.#life += 1;
    this.#stalledUntilMs = 0;
  }

  die(): void {
    this.#life += 1;
  }

  stall(durationMs: number): void {
    this.#stalledUntilMs = Math.max(this.#stalledUntilMs, this.#now() + durationMs);
  }

  schedule(atMs: number, rank: number, run: () => void): Ticket {
    const life = this.#life;
    let ticket: Ticket | null = null;
    let cancelled = false;
    const attempt = () => {
      if (cancelled || life !== this.#life) return;
      if (this.stalled) ticket = this.#queue.add(this.#stalledUntilMs, rank, attempt);
      else run();
    };
    ticket = this.#queue.add(atMs, rank, attempt);
    return {
      cancel: () => {
        cancelled = true;
        ticket?.cancel();
      },
    };
  }
}
