/**
 * The single writer: events in, one at a time, through the engine; effects out, in order. Owns the one timer and the sound
 * judgement of time. It decides nothing, and waits for nobody: not for disk, names, log or clients.
 */
import type { FollowAsk, Notice } from '../core/action.js';
import type { FlowKeeper } from '../core/flow.js';
import type { Kernel, KernelOp, SnapshotRequest } from '../core/kernel.js';
import type { Effect, Event, HistoryRecord, SavedState } from '../core/messages.js';
import type { ProbeOutcome, Prober } from '../core/probe.js';
import { Alarm, type Clock } from './clock.js';
import { KernelReader } from './kernel-reader.js';
import { type Lookup, NameResolver } from './name-resolver.js';
import { TimeWatch } from './time-watch.js';
import { TroubleCounter } from './trouble.js';

/** What the loop needs of the engine; core/engine.ts has it. */
export interface LoopEngine {
  start(now: number): readonly Effect[];
  handle(event: Event, now: number): readonly Effect[];
  snapshotRequest(): SnapshotRequest;
}

export interface LoopParts {
  readonly engine: LoopEngine;
  readonly kernel: Kernel;
  /** ends and counts connections; beside the loop */
  readonly flows: Pick<FlowKeeper, 'end' | 'count' | 'prepare'>;
  readonly prober: Prober;
  readonly clock: Clock;
  readonly lookup: Lookup;
  /** what follows a switch; each call returns at once */
  readonly following: { follow(ask: FollowAsk): void; cancel(run: number): void; notify(notice: Notice): void };
  readonly store: { save(saved: SavedState): void; flushed(): Promise<void> };
  /** Must neither throw nor wait; if it throws all the same, the record is lost and routing goes on. */
  readonly record: (record: HistoryRecord) => void;
  /** Something in this program failed; told loudly, routing goes on. */
  readonly onTrouble: (doing: string, error: unknown) => void;
  /** It fails again and again: the process should end, so that a new one adopts what is in the kernel. */
  readonly onFatal: (error: unknown) => void;
}

/** Answers may wait in the socket when a deadline comes; each pass of the event loop reads at most 32 datagrams a socket. */
const MAX_JUDGE_PASSES = 32;
/** The restore memory gets this long to reach the disk before the first change is made without it. */
const FIRST_SAVE_MS = 1_000;
/** nft and sysctl changes send no notification: after own changes the kernel is read again. */
const READ_AFTER_APPLY_MS = 50;
/** After an exception the engine's own wish for a timer is lost. */
const RETRY_TIMER_MS = 100;

type HeldEffect = Extract<Effect, { type: 'apply' | 'probe' | 'forget-path' | 'end-flows' }>;

function waitsWithTheFirstApply(effect: Effect): effect is HeldEffect {
  const { type } = effect;
  return type === 'apply' || type === 'probe' || type === 'forget-path' || type === 'end-flows';
}

export class Loop {
  readonly #parts: LoopParts;
  readonly #alarm: Alarm;
  readonly #time: TimeWatch;
  readonly #reader: KernelReader;
  readonly #names: NameResolver;
  readonly #trouble: TroubleCounter;
  readonly #queue: Event[] = [];
  #running = false;
  /** a deadline that has rung and waits for its judgement */
  #judgingDueMs: number | null = null;
  #stopped = false;
  #records: HistoryRecord[] | null = null;
  #touched = false;
  /** what waits for the first save, in order; null = nothing does */
  #held: HeldEffect[] | null = null;
  #applying = 0;
  #lastTurnMs: number;
  #onIdle: (() => void)[] = [];

  constructor(parts: LoopParts) {
    this.#parts = parts;
    const { clock } = parts;
    this.#lastTurnMs = clock.now();
    this.#alarm = new Alarm(clock, (dueMs) => this.#ring(dueMs));
    this.#time = new TimeWatch(clock);
    this.#trouble = new TroubleCounter(clock, parts.onTrouble, parts.onFatal);
    this.#reader = new KernelReader({
      kernel: parts.kernel,
      clock,
      request: () => parts.engine.snapshotRequest(),
      onState: (state, lost) => this.post(lost ? { type: 'kernel-seen', state, lost } : { type: 'kernel-seen', state }),
      onError: (error) =>
        this.post({ type: 'kernel-unreadable', message: error instanceof Error ? error.message : String(error) }),
    });
    this.#names = new NameResolver(parts.lookup, ({ name, family, addresses, error }) =>
      this.post(
        error === null ? { type: 'name-resolved', name, family, addresses } : { type: 'name-failed', name, family, error },
      ),
    );
  }

  start(): void {
    this.#parts.kernel.watch((change) => this.#reader.want(change.lost));
    this.#turn('start', () => this.#parts.engine.start(this.#parts.clock.now()));
    this.#drain();
  }

  /** Handled at once, or after what is being handled right now. Never throws. */
  post(event: Event): void {
    if (this.#stopped) return;
    this.#queue.push(event);
    this.#drain();
  }

  /** Like {@link post}; gives the records that this one event made. */
  ask(event: Event): readonly HistoryRecord[] {
    const records: HistoryRecord[] = [];
    this.#records = records;
    try {
      this.post(event);
    } finally {
      this.#records = null;
    }
    return records;
  }

  /** For createProber's callback. */
  outcome(outcome: ProbeOutcome): void {
    if (outcome.kind === 'answered') {
      const { id, rttMs, duplicate, note } = outcome;
      this.post({ type: 'probe-answered', id, rttMs, duplicate, note });
    } else {
      const { id, reason, detail } = outcome;
      this.post({ type: 'probe-failed', id, reason, detail });
    }
  }

  /** An error that nobody caught, from wherever in the process. */
  uncaught(error: unknown): void {
    this.#trouble.add('uncaught', error);
  }

  /** How late the loop is with what it promised: a watchdog must hear of a loop that turns but no longer works. */
  lateMs(): number {
    const due = this.#dueMs();
    return due === null ? 0 : Math.max(0, this.#parts.clock.now() - due);
  }

  /** When the engine last handled anything without an exception; monotonic ms. */
  get lastTurnMs(): number {
    return this.#lastTurnMs;
  }

  /** Resolves when every operation asked for so far has been answered. */
  applied(): Promise<void> {
    if (this.#applying === 0 && this.#held === null) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  /** The engine's last words are carried out; afterwards nothing is handled any more. The adapters stay open. */
  async stop(lastEvent: Event | null): Promise<void> {
    if (lastEvent !== null) this.post(lastEvent);
    await this.applied();
    this.#stopped = true;
    this.#alarm.clear();
    this.#reader.close();
    await this.#parts.store.flushed();
  }

  #drain(): void {
    if (this.#running) return;
    this.#running = true;
    try {
      this.#noteStalls();
      for (let event = this.#queue.shift(); event !== undefined; event = this.#queue.shift()) this.#handle(event);
    } finally {
      this.#running = false;
    }
  }

  /** Before anything that waited meanwhile is judged: the samples then outstanding are void, not lost. */
  #noteStalls(): void {
    for (const stall of this.#time.check(this.#dueMs())) this.#handle({ type: 'stalled', ...stall });
  }

  #dueMs(): number | null {
    return this.#judgingDueMs ?? this.#alarm.dueMs;
  }

  #handle(event: Event): void {
    this.#turn(event.type, () => this.#parts.engine.handle(event, this.#parts.clock.now()));
  }

  #turn(doing: string, decide: () => readonly Effect[]): void {
    let effects: readonly Effect[];
    try {
      effects = decide();
      this.#lastTurnMs = this.#parts.clock.now();
    } catch (error) {
      this.#trouble.add(doing, error);
      if (this.#alarm.dueMs === null && !this.#stopped) this.#alarm.set(this.#parts.clock.now() + RETRY_TIMER_MS);
      return;
    }
    // What must outlive the process is wished for before anything is changed, wherever in the list it stands.
    for (const effect of effects) if (effect.type === 'save') this.#carryOut(effect);
    for (const effect of effects) if (effect.type !== 'save') this.#carryOut(effect);
  }

  #carryOut(effect: Effect): void {
    if (this.#held !== null && waitsWithTheFirstApply(effect)) {
      this.#held.push(effect);
      return;
    }
    try {
      switch (effect.type) {
        case 'probe':
          this.#parts.prober.ask(effect.ask);
          break;
        case 'forget-path':
          this.#parts.prober.forget(effect.path);
          break;
        case 'set-timer':
          this.#alarm.set(effect.atMs);
          break;
        case 'apply':
          this.#apply(effect.ops);
          break;
        case 'read-kernel':
          this.#reader.want();
          break;
        case 'resolve':
          this.#names.resolve(effect.name, effect.family);
          break;
        case 'follow':
          this.#parts.following.follow(effect.ask);
          break;
        case 'cancel-follow':
          this.#parts.following.cancel(effect.run);
          break;
        case 'notify':
          this.#parts.following.notify(effect.notice);
          break;
        case 'prepare-flows':
          this.#parts.flows.prepare();
          break;
        case 'end-flows':
          this.#beside(this.#parts.flows.end(effect.ask), (outcome) => this.post({ type: 'flows-ended', outcome }));
          break;
        case 'count-flows':
          this.#beside(this.#parts.flows.count(effect.ask), (count) => this.post({ type: 'flows-counted', count }));
          break;
        case 'record':
          this.#records?.push(effect.record);
          this.#parts.record(effect.record);
          break;
        case 'save':
          this.#parts.store.save(effect.saved);
          break;
      }
    } catch (error) {
      this.#trouble.add(`effect ${effect.type}`, error);
    }
  }

  /**
   * The very first change waits until the memory of how things were is on disk: killed in between, `cleanup` would not know
   * what to put back. That costs no packet, the network forwards as it did before we came; and it is bounded, since routing
   * waits for no disk. Later changes never wait: a foreign route met while running is remembered a moment after.
   * Probes that follow wait as well: without tables and rules they would take any way out.
   */
  #apply(ops: readonly KernelOp[]): void {
    if (this.#touched) {
      this.#applyNow(ops);
      return;
    }
    this.#touched = true;
    const { clock, store } = this.#parts;
    this.#held = [{ type: 'apply', ops }];
    const release = (): void => {
      const held = this.#held;
      if (held === null) return;
      cancel();
      this.#held = null;
      for (const effect of held) this.#carryOut(effect);
    };
    const cancel = clock.setTimer(FIRST_SAVE_MS, release);
    store.flushed().then(release, release);
  }

  #applyNow(ops: readonly KernelOp[]): void {
    this.#applying += 1;
    this.#reader.overtaken();
    this.#parts.kernel
      .apply(ops)
      .then(
        (results) => this.post({ type: 'ops-applied', results }),
        (error: unknown) => {
          this.#trouble.add('apply', error);
          // The engine counts on an answer to every apply.
          const message = error instanceof Error ? error.message : String(error);
          this.post({ type: 'ops-applied', results: ops.map((op) => ({ op, ok: false, errno: 'EIO', message })) });
        },
      )
      .finally(() => {
        this.#reader.overtaken();
        if (!this.#stopped) this.#parts.clock.setTimer(READ_AFTER_APPLY_MS, () => this.#reader.want());
        this.#done();
      });
  }

  /** Something that the loop does not wait for, but whose end is waited for before the process ends. */
  #beside<T>(work: Promise<T>, then: (value: T) => void): void {
    this.#applying += 1;
    work.then(then, (error: unknown) => this.#trouble.add('flows', error)).finally(() => this.#done());
  }

  #done(): void {
    this.#applying -= 1;
    if (this.#applying === 0 && this.#held === null) for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  /**
   * The deadline has come, but its answer may lie unread: timers run before the sockets are read. So judgement waits until a
   * poll has come back with nothing new, a bounded number of times: under a flood judging late beats judging never.
   */
  #ring(dueMs: number): void {
    // A judgement already under way comes after this deadline too.
    if (this.#judgingDueMs !== null || this.#stopped) return;
    this.#judgingDueMs = dueMs;
    this.#drain();
    this.#parts.prober.takeReadCount();
    let passes = 0;
    const judge = (): void => {
      passes += 1;
      if (passes < MAX_JUDGE_PASSES && this.#parts.prober.takeReadCount() > 0) {
        this.#parts.clock.afterPoll(judge);
        return;
      }
      this.#drain();
      this.#judgingDueMs = null;
      this.post({ type: 'timer' });
    };
    this.#parts.clock.afterPoll(judge);
  }
}
