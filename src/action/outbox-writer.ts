/**
 * Brings messages to the disk and off it, beside the caller and in order. What the disk refuses is held in memory, bounded, and
 * written as soon as it takes something again. Must not know what a message is, nor when it is tried.
 */
import type { Entry, OutboxClock } from './outbox-lane.js';
import type { OutboxStore } from './outbox-store.js';

/** While the disk takes nothing. */
const MAX_HELD = 100;
const DISK_RETRY_MS = 10_000;

export interface WriterParts {
  readonly store: OutboxStore;
  readonly clock: OutboxClock;
  /** the entry may be tried: it is on disk, or the disk refused it */
  readonly ready: (entry: Entry) => void;
  /** not being delivered just now */
  readonly idle: (entry: Entry) => boolean;
  /** memory holds no more */
  readonly drop: (entry: Entry, why: string) => void;
  /** the disk refuses (its words), or works again (null); once per change */
  readonly trouble: (text: string | null) => void;
}

export class OutboxWriter {
  readonly #parts: WriterParts;
  #unwritten: Entry[] = [];
  /** ended, but the disk did not let go of the file */
  readonly #lingering = new Set<number>();
  #writing: Promise<void> | null = null;
  #trouble: string | null = null;
  #closed = false;
  #cancelRetry: (() => void) | null = null;

  constructor(parts: WriterParts) {
    this.#parts = parts;
  }

  /** nothing is being written just now */
  get idle(): boolean {
    return this.#writing === null;
  }

  /** What the disk said last; null = it works */
  get trouble(): string | null {
    return this.#trouble;
  }

  /** The entry's text shall stand on disk. Returns at once; never throws. */
  add(entry: Entry): void {
    if (!this.#unwritten.includes(entry)) this.#unwritten.push(entry);
    this.#start();
  }

  /** Resolves when everything added before is on disk, or the disk refused it. Never rejects. */
  async settled(): Promise<void> {
    while (this.#writing !== null) await this.#writing;
  }

  /** Resolves when the file is gone, or its removal will be tried again. Never rejects. */
  async remove(entry: Entry): Promise<void> {
    try {
      await this.#parts.store.remove(entry.sequence);
    } catch (error) {
      this.#lingering.add(entry.sequence);
      this.fails(error);
    }
    // It may have made room.
    this.retry();
  }

  retry(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = null;
    if (this.#unwritten.length > 0 || this.#lingering.size > 0) this.#start();
    // Nothing waits for the disk any more; the next message will show how it is.
    else if (this.#writing === null) this.#trouble = null;
  }

  fails(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    const first = this.#trouble === null;
    this.#trouble = text;
    if (first) this.#parts.trouble(text);
    if (this.#closed) return;
    this.#cancelRetry?.();
    this.#cancelRetry = this.#parts.clock.setTimer(DISK_RETRY_MS, () => this.retry());
  }

  /** The last chance for what only memory holds. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#start();
    await this.settled();
    this.#cancelRetry?.();
  }

  #start(): void {
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = null;
    });
  }

  async #writeAll(): Promise<void> {
    for (let entry = this.#unwritten[0]; entry !== undefined; entry = this.#unwritten[0]) {
      const { text } = entry;
      if (text !== null && !entry.gone) {
        try {
          await this.#parts.store.write(entry.sequence, text);
        } catch (error) {
          this.#hold(error);
          return;
        }
        this.#works();
        // Rewritten while it was being written: once more.
        if (entry.text !== text) continue;
        entry.text = null;
        // Delivered from memory or dropped while it was being written.
        if (entry.gone) await this.remove(entry);
        this.#parts.ready(entry);
      }
      this.#unwritten = this.#unwritten.filter((one) => one !== entry);
    }
    await this.#removeLingering();
  }

  async #removeLingering(): Promise<void> {
    for (const sequence of this.#lingering) {
      try {
        await this.#parts.store.remove(sequence);
      } catch (error) {
        this.fails(error);
        return;
      }
      this.#lingering.delete(sequence);
      this.#works();
    }
  }

  /** Better told from memory than not at all: that the disk is full is itself worth telling. */
  #hold(error: unknown): void {
    this.fails(error);
    this.#unwritten = this.#unwritten.filter((entry) => !entry.gone);
    while (this.#unwritten.length > MAX_HELD) {
      const oldest = this.#unwritten.find((entry) => this.#parts.idle(entry));
      if (oldest === undefined) break;
      this.#unwritten = this.#unwritten.filter((entry) => entry !== oldest);
      this.#parts.drop(oldest, 'the disk takes none and memory holds no more');
    }
    for (const entry of this.#unwritten) this.#parts.ready(entry);
  }

  #works(): void {
    const had = this.#trouble !== null;
    this.#trouble = null;
    if (had) this.#parts.trouble(null);
  }
}
