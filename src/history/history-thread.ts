/**
 * The history's thread as the loop's side sees it: one ask at a time, answered whatever becomes of the thread. Started with the first ask.
 * Knows nothing of when anything is worth writing.
 */
import { Worker } from 'node:worker_threads';
import type { HistoryAnswer, HistoryAsk, HistoryBirth } from './batch.js';

/** A batch is 100,000 numbers at most; SQLite's own memory is not in it. */
const HEAP_MB = 64;

export class HistoryThread {
  readonly #birth: HistoryBirth;
  #worker: Worker | null = null;
  #answer: ((answer: HistoryAnswer) => void) | null = null;
  /** its end is as it should be */
  #ending = false;
  /** why it ended although nobody asked it to; it is not started again: what it was born with holds no more */
  #dead: string | null = null;

  constructor(birth: HistoryBirth) {
    this.#birth = birth;
  }

  /** Never rejects. One ask at a time. */
  ask(ask: HistoryAsk): Promise<HistoryAnswer> {
    return new Promise((resolve) => {
      this.#answer = resolve;
      this.#ending = ask.kind === 'close';
      try {
        if (this.#dead !== null) throw new Error(this.#dead);
        this.#worker ??= this.#start();
        this.#worker.postMessage(ask);
      } catch (error) {
        this.#lose(error);
      }
    });
  }

  /** The process waits for it, or does not. */
  hold(held: boolean): void {
    if (held) this.#worker?.ref();
    else this.#worker?.unref();
  }

  /** Resolves when it has ended and holds no file open any more. What was asked is answered as failed. */
  async end(): Promise<void> {
    this.#ending = true;
    await this.#worker?.terminate();
    this.#lose(new Error('its thread was ended'));
  }

  #start(): Worker {
    const worker = new Worker(new URL('./worker.js', import.meta.url), {
      name: 'history',
      workerData: this.#birth,
      // Nothing of ours is in its environment, and it shall not run under the debugger's or a test runner's options.
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB, maxYoungGenerationSizeMb: 8 },
    });
    // A thread that waits keeps nobody from ending.
    worker.unref();
    worker.on('message', (answer: HistoryAnswer) => this.#settle(answer));
    worker.on('error', (error) => this.#lose(error));
    worker.on('messageerror', (error) => this.#lose(error));
    worker.on('exit', (code) => {
      this.#dead ??= `its thread ended with code ${code}`;
      if (!this.#ending) this.#lose(new Error(this.#dead));
    });
    return worker;
  }

  #settle(answer: HistoryAnswer): void {
    const settle = this.#answer;
    this.#answer = null;
    settle?.(answer);
  }

  #lose(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#settle({ kind: 'failed', message, opened: false, final: false });
  }
}
