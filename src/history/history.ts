/**
 * The history beside the loop: what the collector gathered goes to a thread of its own, at most once a minute in calm, a few seconds after
 * a change. Routing never waits for any of it: a full, slow or missing disk costs history, and is told once. A thread, because libsql blocks.
 */
import type { HistoryConfig } from '../core/config.js';
import type { HistoryEntry } from '../core/entry.js';
import type { PathKey } from '../core/model.js';
import type { ProbeAsk, ProbeOutcome } from '../core/probe.js';
import type { HistoryAnswer, HistoryAsk, PathName } from './batch.js';
import { type Gathered, HistoryCollector, LATE_MS } from './collector.js';
import { HistoryThread } from './history-thread.js';
import { MINUTE_MS } from './schema.js';

export interface HistoryParts {
  readonly directory: string;
  readonly clock: HistoryClock;
  readonly report: (severity: 'notice' | 'error', text: string) => void;
}

export interface HistoryClock {
  /** Unix ms */
  wallMs(): number;
  /** @returns how to take it back */
  setTimer(delayMs: number, callback: () => void): () => void;
}

/** What is worth a transaction of its own: an outage or a switch shall be on disk soon. */
const URGENT: ReadonlySet<HistoryEntry['kind']> = new Set(['switch', 'health', 'stopping']);
/** So long after it, so that what follows from it comes along. */
const URGENT_MS = 3_000;
/** But never sooner than this after the last one: an uplink may flap for hours. */
const PAUSE_MS = 15_000;
/** After a minute is over its last probes may still be answered. */
const AFTER_MINUTE_MS = LATE_MS + 1_000;
/** What gathered while the disk refused goes in pieces, with the loop's work between them. */
const PIECES_MS = 1_000;
/** A disk that takes longer is told. */
const SLOW_MS = 120_000;
/** For the last words at the end, and then for the thread to end. */
const CLOSE_MS = 2_000;
const END_MS = 500;

interface Flight {
  readonly sinceMs: number;
  readonly landed: Promise<void>;
}

export class HistoryKeeper {
  readonly #parts: HistoryParts;
  readonly #collector: HistoryCollector;
  #config: HistoryConfig | null;
  /** those of the configuration, or the last ones before it said `off` */
  #limits: HistoryConfig | null;
  #thread: HistoryThread | null = null;
  #flight: Flight | null = null;
  #started = false;
  #closed = false;
  #cancelMinute: (() => void) | null = null;
  #cancelUrgent: (() => void) | null = null;
  #lastWriteMs = Number.NEGATIVE_INFINITY;
  /** what is wrong with the file: the next thread sets it aside */
  #setAside: string | null = null;
  /** what keeps it from being written; null = nothing */
  #trouble: string | null = null;
  /** no use in trying again */
  #givenUp = false;

  constructor(config: HistoryConfig | null, parts: HistoryParts) {
    this.#config = config;
    this.#limits = config;
    this.#parts = parts;
    this.#collector = new HistoryCollector(() => parts.clock.wallMs());
  }

  // ---- what the loop tells: about a microsecond each ---------------------------------------------------------------

  asked(ask: ProbeAsk): void {
    if (this.#records) this.#collector.asked(ask);
  }

  outcome(outcome: ProbeOutcome): void {
    if (this.#records) this.#collector.outcome(outcome);
  }

  forget(path: PathKey): void {
    this.#collector.forget(path);
  }

  record(entry: HistoryEntry): void {
    if (!this.#records) return;
    this.#collector.record(entry);
    if (URGENT.has(entry.kind)) this.#hurry(URGENT_MS);
  }

  // ---- its life ----------------------------------------------------------------------------------------------------

  /** From now on it is written; what came before is not lost. */
  start(): void {
    if (this.#started || this.#closed) return;
    this.#started = true;
    if (this.#config === null) return;
    this.#hurry(URGENT_MS);
    this.#planMinute();
  }

  /** @param paths all that there are now; whoever is not among them is watched no more */
  configure(config: HistoryConfig | null, paths: readonly PathName[]): void {
    this.#collector.keepOnly(paths);
    const was = this.#config;
    this.#config = config;
    if (config === null) {
      this.#cancelTimers();
      this.#trouble = null;
      if (was !== null) void this.#finish();
      return;
    }
    this.#limits = config;
    if (was === null && this.#started) this.#planMinute();
  }

  /** Nothing is on its way to the disk. */
  get idle(): boolean {
    return this.#flight === null;
  }

  /** Sentences for `status`. */
  problems(): string[] {
    if (this.#trouble !== null) return [`the history cannot be written: ${this.#trouble}`];
    const sinceMs = this.#flight?.sinceMs ?? null;
    const slowMs = sinceMs === null ? 0 : this.#parts.clock.wallMs() - sinceMs;
    return slowMs > SLOW_MS ? [`the history has waited for the disk for ${Math.round(slowMs / 60_000)} min`] : [];
  }

  /** Everything so far is written, as far as the disk takes it in a short time. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#cancelTimers();
    await this.#finish();
    this.#closed = true;
  }

  get #records(): boolean {
    return this.#config !== null && !this.#givenUp && !this.#closed;
  }

  // ---- when it is written ------------------------------------------------------------------------------------------

  #planMinute(): void {
    this.#cancelMinute?.();
    const { clock } = this.#parts;
    const intoMs = (((clock.wallMs() - AFTER_MINUTE_MS) % MINUTE_MS) + MINUTE_MS) % MINUTE_MS;
    this.#cancelMinute = clock.setTimer(MINUTE_MS - intoMs, () => {
      this.#planMinute();
      this.#write();
    });
  }

  #hurry(soonMs: number, pauseMs = PAUSE_MS): void {
    if (!this.#started || this.#cancelUrgent !== null || this.#closed) return;
    const { clock } = this.#parts;
    const sinceMs = clock.wallMs() - this.#lastWriteMs;
    // A clock that was set back must not make it wait for hours.
    const waitMs = sinceMs < 0 ? pauseMs : Math.max(0, pauseMs - sinceMs);
    this.#cancelUrgent = clock.setTimer(Math.max(soonMs, waitMs), () => {
      this.#cancelUrgent = null;
      this.#write();
    });
  }

  #write(): void {
    if (this.#flight !== null || !this.#records) return;
    this.#lastWriteMs = this.#parts.clock.wallMs();
    this.#send('write', this.#collector.take(false));
  }

  #cancelTimers(): void {
    this.#cancelMinute?.();
    this.#cancelUrgent?.();
    this.#cancelMinute = null;
    this.#cancelUrgent = null;
  }

  // ---- on its way --------------------------------------------------------------------------------------------------

  #send(kind: HistoryAsk['kind'], gathered: Gathered): void {
    const limits = this.#limits;
    if (limits === null) return;
    const nowMs = this.#parts.clock.wallMs();
    const { entries, samples } = gathered;
    const batch = { nowMs, entries, samples, standing: this.#collector.standing(), limits };
    this.#thread ??= new HistoryThread({ directory: this.#parts.directory, setAside: this.#setAside });
    const thread = this.#thread;
    const answered = thread.ask({ kind, batch }).then(async (answer) => {
      // Only when the thread has ended does it hold the file no more: then another one may set it aside, or try anew.
      if (answer.kind === 'damaged' || (answer.kind === 'failed' && !answer.opened)) await this.#dismiss(thread);
      this.#flight = null;
      this.#answered(answer, gathered);
    });
    this.#flight = { sinceMs: nowMs, landed: answered };
  }

  async #dismiss(thread: HistoryThread): Promise<void> {
    if (this.#thread === thread) this.#thread = null;
    await thread.end();
  }

  #answered(answer: HistoryAnswer, gathered: Gathered): void {
    if (answer.kind === 'written') {
      this.#setAside = null;
      if (answer.told !== null) this.#parts.report('error', answer.told);
      this.#recovered();
      if (gathered.more) this.#hurry(PIECES_MS, PIECES_MS);
      return;
    }
    if (answer.kind === 'damaged') {
      this.#collector.putBack(gathered);
      // Set aside and damaged again: then it is not the file.
      const again = this.#setAside !== null;
      this.#setAside = answer.why;
      if (again) this.#failed(`it ${answer.why}`);
      else this.#write();
      return;
    }
    this.#givenUp = answer.final;
    if (!answer.final) this.#collector.putBack(gathered);
    this.#failed(answer.message);
  }

  #failed(message: string): void {
    if (this.#trouble === null) this.#parts.report('error', `the history cannot be written, routing goes on: ${message}`);
    this.#trouble = message;
  }

  #recovered(): void {
    const { entries, minutes } = this.#collector.takeLost();
    const missing = [
      ...(minutes > 0 ? [`samples of ${minutes} minutes`] : []),
      ...(entries > 0 ? [`${entries} events`] : []),
    ].join(' and ');
    const gap = missing === '' ? 'nothing is missing' : `${missing} are missing`;
    if (this.#trouble !== null) this.#parts.report('notice', `the history can be written again: ${gap}`);
    else if (missing !== '') this.#parts.report('error', `the disk was too slow for the history: ${gap}`);
    this.#trouble = null;
  }

  /** The last words, then the thread ends. Bounded in time. */
  async #finish(): Promise<void> {
    const untilMs = performance.now() + CLOSE_MS;
    const leftMs = (): number => untilMs - performance.now();
    this.#thread?.hold(true);
    while (this.#flight !== null && leftMs() > 0) await within(leftMs(), this.#flight.landed);
    // Where the disk refuses there is no use in trying once more.
    const worth = this.#started && !this.#givenUp && (this.#thread !== null || this.#trouble === null);
    for (let more = worth; more && this.#flight === null && leftMs() > 0; ) {
      const gathered = this.#collector.take(true);
      more = gathered.more;
      this.#send(more ? 'write' : 'close', gathered);
      this.#thread?.hold(true);
      await within(leftMs(), this.#landed());
    }
    const thread = this.#thread;
    this.#thread = null;
    await within(END_MS, thread?.end());
  }

  #landed(): Promise<void> | undefined {
    return this.#flight?.landed;
  }
}

/** Resolves when the work is done or the time is up. The process lives so long. */
async function within(ms: number, work: Promise<unknown> | undefined): Promise<void> {
  if (work === undefined) return;
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, Math.max(0, ms));
  });
  await Promise.race([work, over]);
  clearTimeout(timer);
}
