/**
 * Reads the kernel whenever somebody wants it read: one read at a time, wishes that come meanwhile folded into one more.
 * A read that an own change overtook tells the past and is done again. Must not know what the state means.
 */
import type { Kernel, KernelState, SnapshotRequest } from '../core/kernel.js';
import type { Clock } from './clock.js';

export interface KernelReaderParts {
  readonly kernel: Pick<Kernel, 'snapshot'>;
  readonly clock: Clock;
  readonly request: () => SnapshotRequest;
  readonly onState: (state: KernelState, lost: boolean) => void;
  readonly onError: (error: unknown) => void;
}

/** Between two reads: a storm of notifications must not keep the loop from its probes. A lone event is read at once. */
const MIN_GAP_MS = 20;
/** A read overtaken this often is handed on nevertheless: an old picture is better than none. */
const MAX_OVERTAKEN = 5;

export class KernelReader {
  readonly #parts: KernelReaderParts;
  #reading = false;
  #wanted = false;
  #lost = false;
  #changes = 0;
  #lastMs = Number.NEGATIVE_INFINITY;
  #cancelWait: (() => void) | null = null;
  #closed = false;

  constructor(parts: KernelReaderParts) {
    this.#parts = parts;
  }

  /** @param lost notifications were dropped: handed on with the state */
  want(lost = false): void {
    this.#lost ||= lost;
    this.#wanted = true;
    this.#next();
  }

  /** An own change was just made: what is being read now may not show it. */
  overtaken(): void {
    this.#changes += 1;
  }

  close(): void {
    this.#closed = true;
    this.#cancelWait?.();
  }

  #next(): void {
    if (this.#closed || this.#reading || this.#cancelWait !== null || !this.#wanted) return;
    const waitMs = this.#lastMs + MIN_GAP_MS - this.#parts.clock.now();
    if (waitMs > 0) {
      this.#cancelWait = this.#parts.clock.setTimer(Math.ceil(waitMs), () => {
        this.#cancelWait = null;
        this.#next();
      });
      return;
    }
    void this.#read();
  }

  async #read(): Promise<void> {
    this.#reading = true;
    this.#wanted = false;
    const lost = this.#lost;
    this.#lost = false;
    try {
      const state = await this.#readSettled();
      if (!this.#closed) this.#parts.onState(state, lost);
    } catch (error) {
      this.#lost ||= lost;
      if (!this.#closed) this.#parts.onError(error);
    } finally {
      this.#reading = false;
      this.#lastMs = this.#parts.clock.now();
      this.#next();
    }
  }

  async #readSettled(): Promise<KernelState> {
    for (let attempt = 1; ; attempt += 1) {
      const before = this.#changes;
      const state = await this.#parts.kernel.snapshot(this.#parts.request());
      if (before === this.#changes || attempt >= MAX_OVERTAKEN || this.#closed) return state;
    }
  }
}
