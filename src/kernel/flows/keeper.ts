/**
 * Ends and counts open connections beside the loop: 100,000 of them take the kernel a good part of a second, and routing never waits.
 * A thread of its own, because libuv's pool may be full of slow disks and resolvers just when an uplink is lost. It is started by a
 * suspicion or the first ask (40 ms) and ends after a minute of rest (10 MB).
 */
import { Worker } from 'node:worker_threads';
import { type KernelNumbers, untrackedMark } from '../../core/config.js';
import type { FlowAsk, FlowCount, FlowCountAsk, FlowKeeper, FlowOutcome } from '../../core/flow.js';
import type { WorkOptions, WorkOutcome } from './work.js';
import type { WorkerAnswer, WorkerAsk } from './worker.js';

/** The thread keeps at most twice as many connections as are told at once. */
const HEAP_MB = 96;

export interface FlowKeeperOptions {
  readonly numbers: KernelNumbers;
  /** peers told by a reset in one go; the others are only deleted */
  readonly resetLimit?: number;
  /** how long a peer's packets are answered by a reset */
  readonly deadForMs?: number;
  /** the thread ends after so long without work */
  readonly restMs?: number;
}

const DEFAULTS = { resetLimit: 16_384, deadForMs: 10_000, restMs: 60_000 } as const;

interface Task {
  readonly ask: WorkerAsk;
  /** asks of one key that have not begun are one task */
  readonly key: string;
  readonly answer: Promise<WorkerAnswer | Failed>;
  readonly settle: (answer: WorkerAnswer | Failed) => void;
}

interface Failed {
  readonly kind: 'failed';
  readonly problem: string;
}

export class LinuxFlowKeeper implements FlowKeeper {
  readonly #options: WorkOptions;
  readonly #restMs: number;
  #worker: Worker | null = null;
  #running: Task | null = null;
  #waiting: Task[] = [];
  #rest: NodeJS.Timeout | null = null;
  #closed = false;

  constructor({ numbers, ...options }: FlowKeeperOptions) {
    const { resetLimit, deadForMs, restMs } = { ...DEFAULTS, ...options };
    this.#options = { untrackedMark: untrackedMark(numbers), resetLimit, deadForMs };
    this.#restMs = restMs;
  }

  async end({ id, selector, reset }: FlowAsk): Promise<FlowOutcome> {
    const startedMs = performance.now();
    const answer = await this.#ask({ kind: 'end', selector, reset });
    const tookMs = performance.now() - startedMs;
    if (answer.kind === 'end') return { id, ...answer.outcome, tookMs };
    const problems = [
      answer.kind === 'failed' ? `open connections were not ended: ${answer.problem}` : 'an answer of another kind',
    ];
    const nothing: WorkOutcome = { entries: 0, resets: 0, sockets: 0, problems };
    return { id, ...nothing, tookMs };
  }

  prepare(): void {
    if (this.#closed || this.#running !== null) return;
    try {
      if (this.#worker === null) this.#start();
    } catch (error) {
      this.#lose(problemOf(error));
    }
    this.#next();
  }

  async count({ id, selector }: FlowCountAsk): Promise<FlowCount> {
    const answer = await this.#ask({ kind: 'count', selector });
    return answer.kind === 'count' ? { id, ...answer.count } : { id, open: null, replied: null };
  }

  async close(): Promise<void> {
    this.#closed = true;
    const worker = this.#worker;
    this.#lose('Backroute is ending');
    await worker?.terminate();
  }

  #ask(ask: WorkerAsk): Promise<WorkerAnswer | Failed> {
    if (this.#closed) return Promise.resolve({ kind: 'failed', problem: 'Backroute is ending' });
    const key = JSON.stringify(ask);
    // Only with one that has not begun: what opened since a running one looked would be missed.
    const same = this.#waiting.find((task) => task.key === key);
    if (same !== undefined) return same.answer;
    const { promise, resolve } = withResolvers<WorkerAnswer | Failed>();
    const task: Task = { ask, key, answer: promise, settle: resolve };
    // To end connections is urgent, to count them is not.
    const firstCount = this.#waiting.findIndex((other) => other.ask.kind === 'count');
    if (ask.kind === 'end' && firstCount >= 0) this.#waiting.splice(firstCount, 0, task);
    else this.#waiting.push(task);
    this.#next();
    return promise;
  }

  #next(): void {
    if (this.#running !== null) return;
    const task = this.#waiting.shift();
    if (task === undefined) {
      this.#beginRest();
      return;
    }
    if (this.#rest !== null) clearTimeout(this.#rest);
    this.#rest = null;
    this.#running = task;
    try {
      const worker = this.#worker ?? this.#start();
      worker.ref();
      worker.postMessage(task.ask);
    } catch (error) {
      this.#lose(problemOf(error));
    }
  }

  #start(): Worker {
    const worker = new Worker(new URL('./worker.js', import.meta.url), {
      name: 'flows',
      workerData: this.#options,
      // Nothing of ours is in its environment, and it shall not run under the debugger's or a test runner's options.
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB, maxYoungGenerationSizeMb: 8 },
    });
    this.#worker = worker;
    worker.on('message', (answer: WorkerAnswer) => {
      if (worker !== this.#worker) return;
      const task = this.#running;
      this.#running = null;
      task?.settle(answer);
      this.#next();
    });
    const gone = (why: string): void => {
      if (worker === this.#worker) this.#lose(why);
    };
    worker.on('error', (error) => gone(problemOf(error)));
    worker.on('messageerror', (error) => gone(problemOf(error)));
    worker.on('exit', (code) => gone(`it ended with code ${code}`));
    return worker;
  }

  /** Its thread is gone: what waits for it is answered. The next ask starts another. */
  #lose(why: string): void {
    if (this.#rest !== null) clearTimeout(this.#rest);
    this.#rest = null;
    this.#worker = null;
    const lost = [...(this.#running === null ? [] : [this.#running]), ...this.#waiting];
    this.#running = null;
    this.#waiting = [];
    for (const task of lost) task.settle({ kind: 'failed', problem: why });
  }

  #beginRest(): void {
    const worker = this.#worker;
    if (worker === null) return;
    // A thread that rests keeps nobody from ending.
    worker.unref();
    if (this.#rest !== null) clearTimeout(this.#rest);
    this.#rest = setTimeout(() => {
      this.#worker = null;
      void worker.terminate();
    }, this.#restMs).unref();
  }
}

function problemOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return `its thread failed (${text}); the next time another is started`;
}

/** Promise.withResolvers of later Node versions. */
function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
