/**
 * The messages of one channel, strictly in order: one attempt at a time, the next message only when the one before it has ended.
 * Decides when to try; must not know files, and nothing of how a message travels.
 */
import type { Notice } from '../core/action.js';
import type { ChannelConfig } from '../core/services.js';
import { backoffMs, CREDENTIALS_WAIT_MS, jittered } from './backoff.js';
import type { Deliver, Verdict } from './verdict.js';

/** Structurally the daemon's clock. */
export interface OutboxClock {
  /** monotonic ms */
  now(): number;
  /** Unix ms */
  wallMs(): number;
  /** @returns how to take it back */
  setTimer(delayMs: number, callback: () => void): () => void;
}

export interface Entry {
  readonly sequence: number;
  readonly channel: string;
  readonly noticeId: string;
  readonly subject: string;
  readonly queuedWallMs: number;
  /** monotonic: a clock that is set right after the start makes no message old */
  readonly queuedMs: number;
  readonly bytes: number;
  /** the message itself while the disk has not taken it; null = it is on disk */
  text: string | null;
  /** on disk, or the disk refused it and it is held in memory: it may be tried */
  ready: boolean;
  /** delivered, refused, expired or dropped */
  gone: boolean;
  attempts: number;
}

/** What the lane needs of the outbox. None of these rejects. */
export interface LaneKeeper {
  /** null = it cannot be read and was set aside */
  open(entry: Entry): Promise<{ readonly notice: Notice; readonly served: readonly string[] } | null>;
  /** Resolves when the message can no longer come back. */
  ended(entry: Entry, how: 'delivered' | 'refused' | 'expired', text: string): Promise<void>;
  served(entry: Entry, served: readonly string[]): Promise<void>;
  /** the channel began to fail (its words) or works again (null) */
  trouble(channel: string, verdict: Verdict | null): void;
}

export interface LaneParts {
  readonly clock: OutboxClock;
  readonly random: () => number;
  readonly deliver: Deliver;
  readonly keeper: LaneKeeper;
  /** no attempt takes longer than this */
  readonly attemptMs: number;
  /** age limit where the channel is no longer configured */
  readonly orphanMaxAgeMs: number;
}

/** A switch lets a refused login be tried again after this at the earliest. */
const CREDENTIALS_KICK_MS = 60_000;
/** Node's timers hold 31 bits; the expiry is looked at again long before. */
const LONGEST_SLEEP_MS = 3_600_000;

export class Lane {
  readonly name: string;
  readonly #parts: LaneParts;
  readonly #entries: Entry[] = [];
  #channel: ChannelConfig | null;
  #bytes = 0;
  #failures = 0;
  #notBeforeMs = 0;
  #failedMs = 0;
  #lastFailure: Verdict | null = null;
  #running: { readonly done: Promise<void>; readonly hurry: AbortController; readonly stop: AbortController } | null = null;
  #kicked = false;
  #closed = false;
  #cancelTimer: (() => void) | null = null;

  constructor(name: string, channel: ChannelConfig | null, parts: LaneParts) {
    this.name = name;
    this.#channel = channel;
    this.#parts = parts;
  }

  get entries(): readonly Entry[] {
    return this.#entries;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get configured(): boolean {
    return this.#channel !== null;
  }

  /** What the last attempt met; null = it worked, or there was none. */
  get lastFailure(): Verdict | null {
    return this.#lastFailure;
  }

  /** Whether nothing will happen before a time that is still to come. */
  get idle(): boolean {
    return this.#running === null && (this.#entries.length === 0 || this.#channel === null || this.waitMs > 0);
  }

  /** ms until the next attempt; 0 = it runs or is due */
  get waitMs(): number {
    return this.#running !== null ? 0 : Math.max(0, this.#notBeforeMs - this.#parts.clock.now());
  }

  add(entry: Entry): void {
    this.#entries.push(entry);
    this.#bytes += entry.bytes;
    this.pump();
  }

  /** The oldest message that is not being delivered just now. */
  oldestIdle(): Entry | null {
    return this.#entries[this.#running === null ? 0 : 1] ?? null;
  }

  drop(entry: Entry): void {
    entry.gone = true;
    const index = this.#entries.indexOf(entry);
    if (index < 0) return;
    this.#entries.splice(index, 1);
    this.#bytes -= entry.bytes;
  }

  /** Another configuration may cure whatever failed. */
  configure(channel: ChannelConfig | null): void {
    this.#channel = channel;
    this.#tryFrom(0);
  }

  /** Try at once: the way out has changed. A refused login is no matter of the way, and flapping must not lock the account. */
  kick(): void {
    const refused = this.#lastFailure?.kind === 'credentials';
    this.#tryFrom(refused ? Math.min(this.#notBeforeMs, this.#failedMs + CREDENTIALS_KICK_MS) : 0);
  }

  #tryFrom(notBeforeMs: number): void {
    this.#failures = 0;
    this.#notBeforeMs = notBeforeMs;
    if (this.#running !== null) {
      this.#kicked = true;
      this.#running.hurry.abort();
    }
    this.pump();
  }

  /** Starts what is due; otherwise sees to it that it is looked at again. Never throws. */
  pump(): void {
    if (this.#closed || this.#running !== null) return;
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    const head = this.#entries[0];
    if (head === undefined || !head.ready) return;
    const leftMs = this.#maxAgeMs() - (this.#parts.clock.now() - head.queuedMs);
    const waitMs = this.#channel === null ? Number.POSITIVE_INFINITY : this.waitMs;
    if (leftMs > 0 && waitMs > 0) {
      this.#cancelTimer = this.#parts.clock.setTimer(Math.ceil(Math.min(leftMs, waitMs, LONGEST_SLEEP_MS)), () => this.pump());
      return;
    }
    const hurry = new AbortController();
    const stop = new AbortController();
    const channel = leftMs <= 0 ? null : this.#channel;
    // In a turn of its own: whatever it calls may come back here, and must find that something runs.
    const done = Promise.resolve()
      .then(() => (channel === null ? this.#expire(head) : this.#attempt(head, channel, hurry.signal, stop)))
      .catch((error: unknown) => this.#failed({ kind: 'retry', text: String(error) }))
      .then(() => {
        this.#running = null;
        this.#kicked = false;
        this.pump();
      });
    this.#running = { done, hurry, stop };
  }

  /** An attempt that runs may end by itself within `graceMs`; then it is cut off. Resolves when nothing runs any more. */
  async close(graceMs: number): Promise<void> {
    this.#closed = true;
    this.#cancelTimer?.();
    const running = this.#running;
    if (running === null) return;
    running.hurry.abort();
    const cancel = this.#parts.clock.setTimer(graceMs, () => running.stop.abort());
    await running.done;
    cancel();
  }

  #maxAgeMs(): number {
    return this.#channel?.maxAgeMs ?? this.#parts.orphanMaxAgeMs;
  }

  async #expire(entry: Entry): Promise<void> {
    this.drop(entry);
    await this.#parts.keeper.ended(entry, 'expired', this.#lastFailure?.text ?? 'it was never tried');
  }

  async #attempt(entry: Entry, channel: ChannelConfig, hurry: AbortSignal, stop: AbortController): Promise<void> {
    const { keeper } = this.#parts;
    const opened = await keeper.open(entry);
    if (opened === null) {
      this.drop(entry);
      return;
    }
    entry.attempts += 1;
    const verdict = await this.#guarded(channel, opened.notice, opened.served, hurry, stop);
    if (verdict.kind === 'delivered' || verdict.kind === 'refused') {
      this.drop(entry);
      this.#failures = 0;
      this.#notBeforeMs = 0;
      // A refusal is an answer: the channel itself works.
      if (this.#lastFailure !== null) keeper.trouble(this.name, null);
      this.#lastFailure = null;
      await keeper.ended(entry, verdict.kind, verdict.text);
      return;
    }
    if (verdict.kind === 'retry' && verdict.served !== undefined) await keeper.served(entry, verdict.served);
    this.#failed(verdict);
  }

  /** A transport has time limits of its own; this one is for what they do not see. */
  async #guarded(
    channel: ChannelConfig,
    notice: Notice,
    served: readonly string[],
    hurry: AbortSignal,
    stop: AbortController,
  ): Promise<Verdict> {
    const cut = new Promise<Verdict>((resolve) => {
      stop.signal.addEventListener('abort', () => resolve({ kind: 'retry', text: 'the attempt took too long' }), { once: true });
    });
    const cancel = this.#parts.clock.setTimer(this.#parts.attemptMs, () => stop.abort());
    try {
      return await Promise.race([this.#parts.deliver(channel, notice, { served, hurry, stop: stop.signal }), cut]);
    } catch (error) {
      return { kind: 'retry', text: error instanceof Error ? error.message : String(error) };
    } finally {
      cancel();
    }
  }

  #failed(verdict: Verdict): void {
    const { clock, random, keeper } = this.#parts;
    this.#failures += 1;
    const slow = verdict.kind === 'credentials' ? jittered(CREDENTIALS_WAIT_MS, random) : 0;
    const asked = verdict.kind === 'retry' ? Math.min(LONGEST_SLEEP_MS, verdict.afterMs ?? 0) : 0;
    const waitMs = Math.max(slow, asked, backoffMs(this.#failures, random));
    this.#failedMs = clock.now();
    // Kicked meanwhile: what failed was asked over the old way out.
    this.#notBeforeMs = this.#kicked && verdict.kind !== 'credentials' ? 0 : clock.now() + waitMs;
    if (this.#kicked) this.#failures = 0;
    const first = this.#lastFailure === null || this.#lastFailure.kind !== verdict.kind;
    this.#lastFailure = verdict;
    if (first) keeper.trouble(this.name, verdict);
  }
}
