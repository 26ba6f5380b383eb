/**
 * The daemon's half: the same calls as the runners that live in a process, carried out by the root helper. A helper that is
 * away is waited for a while; then the run has failed, and the engine tries it again later.
 */
import { connect, type Socket } from 'node:net';
import type { FollowAsk, FollowOutcome, Notice } from '../../core/action.js';
import { type Answer, type Facts, LineReader, parseAnswer, type Request } from './protocol.js';

/** Beyond a follower's own time limit: the helper's answer may have got lost with it. */
const GRACE_MS = 30_000;
const RECONNECT_MS = 1_000;
/** Notices kept for a helper that is away; the oldest go. */
const MAX_WAITING = 100;

export interface HelperClientOptions {
  readonly path: string;
  /** what the helper has to know of the uplinks, at the moment of asking */
  readonly facts: () => Facts;
  readonly onOutcome: (outcome: FollowOutcome) => void;
  readonly onLog: (severity: 'info' | 'warning' | 'error', text: string) => void;
}

export class HelperClient {
  readonly #options: HelperClientOptions;
  readonly #runs = new Map<number, { readonly ask: FollowAsk; readonly timer: NodeJS.Timeout }>();
  #socket: Socket | null = null;
  #connected = false;
  #waiting: Request[] = [];
  #retry: NodeJS.Timeout | null = null;
  #closed = false;
  /** said once until it is back */
  #toldAway = false;

  constructor(options: HelperClientOptions) {
    this.#options = options;
  }

  follow(ask: FollowAsk): void {
    // A transaction that fails is undone by the same means: it may take twice its limit.
    const limitMs = 2 * ask.follower.timeoutMs + GRACE_MS;
    const timer = setTimeout(
      () => this.#fail(ask.run, 'the helper did not answer: see systemctl status backroute-helper'),
      limitMs,
    );
    timer.unref();
    this.#runs.set(ask.run, { ask, timer });
    this.#send({ type: 'follow', run: ask.run, follower: ask.follower.name, uplink: ask.uplink, facts: this.#options.facts() });
  }

  cancel(run: number): void {
    if (!this.#runs.has(run)) return;
    if (this.#connected) this.#send({ type: 'cancel', run });
    // Nobody has begun it.
    else this.#end(run, 'superseded while the helper was away', true);
  }

  hooks(notice: Notice): void {
    this.#send({ type: 'hooks', notice });
  }

  /** Whether everything asked is with the helper, and every run has its outcome. Hooks end there by themselves. */
  get idle(): boolean {
    return this.#waiting.length === 0 && this.#runs.size === 0;
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    for (const { timer } of this.#runs.values()) clearTimeout(timer);
    this.#runs.clear();
    this.#socket?.destroy();
  }

  #send(request: Request): void {
    if (this.#closed) return;
    if (this.#connected) {
      this.#socket?.write(`${JSON.stringify(request)}\n`);
      return;
    }
    this.#waiting.push(request);
    while (this.#waiting.length > MAX_WAITING) {
      const dropped = this.#waiting.shift();
      if (dropped?.type === 'follow') this.#fail(dropped.run, 'the helper is away');
    }
    this.#connect();
  }

  #connect(): void {
    if (this.#socket !== null || this.#retry !== null || this.#closed) return;
    const socket = connect(this.#options.path);
    this.#socket = socket;
    socket.setEncoding('utf8');
    const reader = new LineReader();
    socket.on('connect', () => {
      this.#connected = true;
      this.#toldAway = false;
      for (const request of this.#waiting.splice(0)) socket.write(`${JSON.stringify(request)}\n`);
    });
    socket.on('data', (chunk: string) => {
      try {
        for (const line of reader.push(chunk)) this.#take(parseAnswer(line));
      } catch (error) {
        socket.destroy(error instanceof Error ? error : undefined);
      }
    });
    let reason = 'it ended';
    socket.on('error', (error: NodeJS.ErrnoException) => {
      reason = error.code ?? error.message;
    });
    socket.on('close', () => {
      const was = this.#connected;
      this.#connected = false;
      this.#socket = null;
      if (this.#closed) return;
      // What it was doing is brought to its end by its next start; the engine asks again.
      if (was)
        for (const run of [...this.#runs.keys()])
          this.#fail(run, 'the helper ended in the middle: see systemctl status backroute-helper');
      if (this.#waiting.length === 0) return;
      if (!was && !this.#toldAway) {
        this.#toldAway = true;
        const text = `the helper at ${this.#options.path} cannot be reached (${reason}): start backroute-helper`;
        this.#options.onLog('warning', text);
      }
      this.#retry = setTimeout(() => {
        this.#retry = null;
        this.#connect();
      }, RECONNECT_MS);
      this.#retry.unref();
    });
  }

  #take(answer: Answer | null): void {
    if (answer === null) return;
    if (answer.type === 'log') {
      this.#options.onLog(answer.severity, answer.text);
      return;
    }
    const running = this.#runs.get(answer.outcome.run);
    if (running === undefined) return;
    clearTimeout(running.timer);
    this.#runs.delete(answer.outcome.run);
    this.#options.onOutcome(answer.outcome);
  }

  #fail(run: number, text: string): void {
    this.#end(run, text, false);
  }

  #end(run: number, text: string, superseded: boolean): void {
    const running = this.#runs.get(run);
    if (running === undefined) return;
    clearTimeout(running.timer);
    this.#runs.delete(run);
    this.#waiting = this.#waiting.filter((request) => request.type !== 'follow' || request.run !== run);
    // Never within the call that asked.
    setImmediate(() => {
      if (!this.#closed) this.#options.onOutcome({ run, ok: false, changed: false, rolledBack: null, superseded, text });
    });
  }
}
