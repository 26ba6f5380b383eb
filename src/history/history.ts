/**
 * The history beside the loop: what the collector gathered goes to a thread of its own, at most once a minute in calm, a few seconds after
 * a change. Routing never waits for any of it: a full, slow or missing disk costs history, and is told once. A thread, because libsql blocks.
 */
import { Worker } from 'node:worker_threads';
import type { HistoryConfig } from '../core/config.js';
import type { HistoryEntry } from '../core/entry.js';
import type { PathKey } from '../core/model.js';
import type { ProbeAsk, ProbeOutcome } from '../core/probe.js';
import type { HistoryAnswer, HistoryAsk, HistoryBatch, HistoryBirth, PathName } from './batch.js';
import { type Gathered, HistoryCollector, LATE_MS } from './collector.js';
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
const URGENT: ReadonlySet<HistoryEntry['kind']> = new Set(['switch', 'health', 'silence', 'stopping']);
/** So long after it, so that what follows from it comes along. */
const URGENT_MS = 3_000;
/** But never sooner than this after the last one: an uplink may flap for hours. */
const PAUSE_MS = 15_000;
/** After a minute is over its last probes may still be answered. */
const AFTER_MINUTE_MS = LATE_MS + 1_000;
/** A disk that takes longer is told. */
const SLOW_MS = 120_000;
/** For the last words at the end. */
const CLOSE_MS = 2_000;
const TERMINATE_MS = 500;
const HEAP_MB = 64;

interface Flight {
  readonly gathered: Gathered;
  readonly sinceMs: number;
  readonly settled: Promise<void>;
  readonly settle: () => void;
}

export class HistoryKeeper {
  readonly #parts: HistoryParts;
  readonly #collector: HistoryCollector;
  #config: HistoryConfig | null;
  /** those of the configuration, or the last ones before it said `off` */
  #limits: HistoryConfig | null;
  #started = false;
  /** the last words are being said */
  #ending = false;
  #closed = false;
  #worker: Worker | null = null;
  #flight: Flight | null = null;
  #setAside: string | null = null;
  #cancelMinute: (() => void) | null = null;
  #cancelUrgent: (() => void) | null = null;
  #lastWriteMs = Number.NEGATIVE_INFINITY;
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

  // ---- what the loop tells: a few hundred nanoseconds each ---------------------------------------------------------

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
    if (URGENT.has(entry.kind)) this.#hurry();
  }

  // ---- its life ----------------------------------------------------------------------------------------------------

  /** From now on it is written; what came before is not lost. */
  start(): void {
    if (this.#started || this.#closed) return;
    this.#started = true;
    if (this.#config === null) return;
    this.#hurry();
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

  #hurry(): void {
    if (!this.#started || this.#cancelUrgent !== null || this.#closed) return;
    const { clock } = this.#parts;
    const sinceMs = clock.wallMs() - this.#lastWriteMs;
    // A clock that was set back must not make it wait for hours.
    const pauseMs = sinceMs < 0 ? PAUSE_MS : Math.max(0, PAUSE_MS - sinceMs);
    this.#cancelUrgent = clock.setTimer(Math.max(URGENT_MS, pauseMs), () => {
      this.#cancelUrgent = null;
      this.#write();
    });
  }

  #write(): void {
    if (this.#flight !== null || !this.#records || this.#config === null) return;
    this.#lastWriteMs = this.#parts.clock.wallMs();
    this.#send('write', this.#collector.take(false), this.#config);
  }

  #cancelTimers(): void {
    this.#cancelMinute?.();
    this.#cancelUrgent?.();
    this.#cancelMinute = null;
    this.#cancelUrgent = null;
  }

  // ---- the thread --------------------------------------------------------------------------------------------------

  #send(kind: HistoryAsk['kind'], gathered: Gathered, limits: HistoryConfig): void {
    const nowMs = this.#parts.clock.wallMs();
    const batch: HistoryBatch = { nowMs, ...gathered, standing: this.#collector.standing(), limits };
    const { promise: settled, resolve: settle } = withResolvers();
    this.#flight = { gathered, sinceMs: nowMs, settled, settle };
    try {
      this.#worker ??= this.#start();
      this.#worker.postMessage({ kind, batch } satisfies HistoryAsk);
    } catch (error) {
      this.#failed(messageOf(error), true);
    }
  }

  #start(): Worker {
    const birth: HistoryBirth = { directory: this.#parts.directory, setAside: this.#setAside };
    const worker = new Worker(new URL('./worker.js', import.meta.url), {
      name: 'history',
      workerData: birth,
      // Nothing of ours is in its environment, and it shall not run under the debugger's or a test runner's options.
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB, maxYoungGenerationSizeMb: 8 },
    });
    worker.unref();
    worker.on('message', (answer: HistoryAnswer) => {
      if (worker === this.#worker) this.#answered(answer);
    });
    const gone = (why: string): void => {
      if (worker === this.#worker) this.#failed(why, true);
    };
    worker.on('error', (error) => gone(messageOf(error)));
    worker.on('messageerror', (error) => gone(messageOf(error)));
    worker.on('exit', (code) => {
      if (!this.#ending) gone(`its thread ended with code ${code}`);
    });
    return worker;
  }

  #answered(answer: HistoryAnswer): void {
    switch (answer.kind) {
      case 'written':
        this.#setAside = null;
        if (answer.told !== null) this.#parts.report('error', answer.told);
        this.#recovered();
        this.#land();
        return;
      case 'damaged':
        // Only when the thread has ended does it hold the file no more: then another one sets it aside.
        this.#setAside = answer.why;
        this.#again();
        return;
      case 'failed':
        this.#givenUp = answer.final;
        this.#failed(answer.message, !answer.opened);
    }
  }

  /** What the thread could not take is given to another one. */
  #again(): void {
    const gathered = this.#flight?.gathered ?? { entries: [], samples: [] };
    const worker = this.#worker;
    this.#worker = null;
    void (worker?.terminate() ?? Promise.resolve()).then(() => {
      const flight = this.#flight;
      this.#collector.putBack(gathered);
      this.#land();
      if (flight !== null && !this.#closed) this.#write();
    });
  }

  #failed(message: string, endThread: boolean): void {
    if (this.#trouble === null) {
      this.#parts.report('error', `the history cannot be written, routing goes on: ${message}`);
    }
    this.#trouble = message;
    if (this.#flight !== null && !this.#givenUp) this.#collector.putBack(this.#flight.gathered);
    if (endThread) {
      const worker = this.#worker;
      this.#worker = null;
      void worker?.terminate();
    }
    this.#land();
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

  #land(): void {
    const flight = this.#flight;
    this.#flight = null;
    flight?.settle();
  }

  /** The last words, then the thread ends. Bounded in time. */
  async #finish(): Promise<void> {
    const untilMs = performance.now() + CLOSE_MS;
    this.#worker?.ref();
    await this.#settledBy(untilMs);
    this.#ending = true;
    // Where the disk refuses there is no use in trying once more.
    const worth = this.#started && !this.#givenUp && (this.#worker !== null || this.#trouble === null);
    if (worth && this.#flight === null && this.#limits !== null) {
      this.#send('close', this.#collector.take(true), this.#limits);
      await this.#settledBy(untilMs);
    }
    const worker = this.#worker;
    this.#worker = null;
    await within(TERMINATE_MS, worker?.terminate());
    this.#ending = false;
  }

  async #settledBy(untilMs: number): Promise<void> {
    await within(untilMs - performance.now(), this.#flight?.settled);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
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

/** Promise.withResolvers of later Node versions. */
function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
