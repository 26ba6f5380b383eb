/**
 * Runs one program without a shell: own session and process group, clean environment, time limit, bounded output. Never throws
 * and never waits for ever: a child that forks and keeps the pipes open is left behind, or ended with its group.
 * What makes a session of its own (setsid(2)) leaves the group and our reach. Knows nobody's reason for running something.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { basename } from 'node:path';
import type { Argv } from '../core/services.js';

export interface CommandOptions {
  readonly argv: Argv;
  /** text for its standard input, which ends after it */
  readonly input?: string;
  /** facts, added to the clean base; nothing of our own environment is handed on, since secrets may be in it */
  readonly environment?: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** from SIGTERM to SIGKILL */
  readonly graceMs?: number;
  /** ends it like the time limit does */
  readonly signal?: AbortSignal;
  /** when the program has ended, what it left running in its process group is ended too */
  readonly endLeftovers?: boolean;
}

export interface CommandResult {
  /** null: ended by a signal, or never started */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly timedOut: boolean;
  readonly aborted: boolean;
  /** standard output and error together, the last 64 KiB in whole lines, without control characters */
  readonly output: string;
  /** why it could not be started at all */
  readonly spawnError: string | null;
}

const MAX_OUTPUT_BYTES = 64 * 1024;
const GRACE_MS = 2_000;
/** What a child that outlives the program may still say before we close the pipe. */
const PIPE_MS = 200;
/** A process in uninterruptible sleep survives SIGKILL: it is given up. */
const GIVE_UP_MS = 2_000;
const GROUP_POLL_MS = 20;
const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Where programs are looked for: our own path, and the system's folders, which a service's path may lack. */
export function searchPath(): string {
  const own = process.env.PATH ?? '';
  const known = new Set(own.split(':'));
  const missing = SYSTEM_PATH.split(':').filter((folder) => !known.has(folder));
  return [...(own === '' ? [] : [own]), ...missing].join(':');
}

export async function runCommand(options: CommandOptions): Promise<CommandResult> {
  const { argv, signal } = options;
  const never = { code: null, signal: null, timedOut: false, aborted: false, output: '', spawnError: null };
  const [program, ...args] = argv;
  if (program === undefined || program === '') return { ...never, spawnError: 'no program is named' };
  if (signal?.aborted === true) return { ...never, aborted: true };
  let child: ChildProcess;
  try {
    const env = { PATH: searchPath(), LANG: 'C.UTF-8', HOME: '/', ...options.environment };
    child = spawn(program, args, { cwd: '/', env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
  } catch (error) {
    // A word with a NUL byte, no memory, no process numbers left.
    return { ...never, spawnError: startError(program, error) };
  }
  return new Running(child, program, options).ended();
}

type End = Pick<CommandResult, 'code' | 'signal' | 'spawnError'>;

class Running {
  readonly #child: ChildProcess;
  readonly #program: string;
  readonly #options: CommandOptions;
  readonly #tail = new Tail(MAX_OUTPUT_BYTES);
  #cause: 'limit' | 'abort' | null = null;
  #stop: () => void = () => undefined;

  constructor(child: ChildProcess, program: string, options: CommandOptions) {
    this.#child = child;
    this.#program = program;
    this.#options = options;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => this.#tail.add(chunk));
      stream?.on('error', () => undefined);
    }
    // A program that does not read its input closes it: EPIPE is no failure.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.input ?? '');
  }

  async ended(): Promise<CommandResult> {
    const closed = new Promise<void>((resolve) => this.#child.once('close', () => resolve()));
    const limit = setTimeout(() => this.#end('limit'), this.#options.timeoutMs);
    const onAbort = (): void => this.#end('abort');
    this.#options.signal?.addEventListener('abort', onAbort, { once: true });
    const end = await this.#programEnd();
    clearTimeout(limit);
    this.#options.signal?.removeEventListener('abort', onAbort);
    const started = this.#child.pid !== undefined;
    if (started && (this.#cause !== null || this.#options.endLeftovers === true)) await this.#endGroup();
    if (started) await within(closed, PIPE_MS);
    this.#child.stdout?.destroy();
    this.#child.stderr?.destroy();
    this.#child.stdin?.destroy();
    return { ...end, timedOut: this.#cause === 'limit', aborted: this.#cause === 'abort', output: this.#tail.text() };
  }

  /** Resolves when the program itself has ended, could not be started, or cannot be ended. */
  #programEnd(): Promise<End> {
    return new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => resolve({ code, signal, spawnError: null }));
      this.#child.once('error', (error) => {
        if (this.#child.pid === undefined) resolve({ code: null, signal: null, spawnError: startError(this.#program, error) });
      });
      this.#stop = () => {
        this.#signalGroup('SIGTERM');
        const graceMs = this.#options.graceMs ?? GRACE_MS;
        setTimeout(() => {
          // Once it has ended its number may be another's; its group is looked after below.
          if (this.#child.exitCode === null && this.#child.signalCode === null) this.#signalGroup('SIGKILL');
        }, graceMs).unref();
        setTimeout(() => resolve({ code: null, signal: null, spawnError: null }), graceMs + GIVE_UP_MS).unref();
      };
    });
  }

  #end(cause: 'limit' | 'abort'): void {
    if (this.#cause !== null) return;
    this.#cause = cause;
    this.#stop();
  }

  /** The program has ended; whoever else is in its group gets the same two chances. */
  async #endGroup(): Promise<void> {
    if (!this.#signalGroup('SIGTERM')) return;
    const deadline = performance.now() + (this.#options.graceMs ?? GRACE_MS);
    while (performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, GROUP_POLL_MS));
      if (!this.#signalGroup(0)) return;
    }
    this.#signalGroup('SIGKILL');
  }

  /** @returns whether anybody is in the group */
  #signalGroup(signal: NodeJS.Signals | 0): boolean {
    const { pid } = this.#child;
    if (pid === undefined) return false;
    try {
      return process.kill(-pid, signal);
    } catch (error) {
      // EPERM: somebody is there who became another user.
      return (error as NodeJS.ErrnoException).code === 'EPERM';
    }
  }
}

/** The last bytes of a stream, and whole lines of them. */
class Tail {
  readonly #limit: number;
  #chunks: Buffer[] = [];
  #length = 0;
  #cut = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    // In steps of the limit: each byte is copied at most once for each time that many have come.
    if (this.#length > 2 * this.#limit) this.#shorten();
  }

  text(): string {
    if (this.#length > this.#limit) this.#shorten();
    const text = Buffer.concat(this.#chunks).toString('utf8');
    const newline = this.#cut ? text.indexOf('\n') : -1;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach a log or a terminal
    return text.slice(newline + 1).replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '');
  }

  #shorten(): void {
    const all = Buffer.concat(this.#chunks);
    const kept = all.subarray(Math.max(0, all.length - this.#limit));
    this.#chunks = [kept];
    this.#length = kept.length;
    this.#cut = true;
  }
}

function startError(program: string, error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return `${program} was not found`;
  if (code === 'EACCES') return `${program} may not be executed`;
  return `${program} cannot be started: ${code ?? message}`;
}

async function within(promise: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([
    promise,
    new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
    }),
  ]);
  clearTimeout(timer);
}

/** One clause for people on why a command is no success, with the last line it said; null = it succeeded. */
export function commandFailure(argv: Argv, result: CommandResult): string | null {
  const name = basename(argv[0] ?? '');
  if (result.spawnError !== null) return result.spawnError;
  if (result.aborted) return `${name} was ended early`;
  const said = lastLine(result.output);
  const tail = said === '' ? '' : `: ${said}`;
  if (result.timedOut) return `${name} did not end in time${tail}`;
  if (result.signal !== null) return `${name} was ended by ${result.signal}${tail}`;
  if (result.code !== 0) return `${name} failed with code ${result.code ?? '?'}${tail}`;
  return null;
}

const MAX_LINE = 300;

function lastLine(output: string): string {
  const line = output.trimEnd().split('\n').at(-1)?.trim() ?? '';
  return line.length > MAX_LINE ? `${line.slice(0, MAX_LINE)}…` : line;
}
