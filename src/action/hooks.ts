/**
 * Runs the administrator's programs after something happened: those of a directory in the order of their names (run-parts(8)), then
 * the named commands. One at a time: a notice's hooks one after another, the next notice's when these have ended. Facts in the
 * environment, the notice as JSON on standard input, no shell. Never delays anybody, never throws.
 */
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Notice } from '../core/action.js';
import type { Argv, HooksConfig } from '../core/services.js';
import { commandFailure, runCommand } from './command.js';

export interface HookReport {
  readonly severity: 'info' | 'warning';
  /** the program's name; null = it is about none */
  readonly hook: string | null;
  readonly text: string;
}

export interface HookRunnerOptions {
  /** what hooks printed, failed at, and were refused for; one line each */
  readonly report: (report: HookReport) => void;
  /** from SIGTERM to SIGKILL for a hook that is over its time */
  readonly graceMs?: number;
}

/** What waits behind a hook that takes its time. A day of flapping must not run for a week. */
const MAX_QUEUED = 100;
/** Starting a program holds the loop for some milliseconds (fork(2) copies page tables); the other family may be switching just now. */
const START_AFTER_MS = 100;
/** The log is for people: a hook that prints a book has the end of it there. */
const MAX_LINES = 20;
/** run-parts(8): no dots, so that `hook.bak` and `hook.dpkg-old` do not run. */
const NAME = /^[A-Za-z0-9_-]+$/;
const OTHERS_MAY_WRITE = 0o002;
const ANYONE_MAY_EXECUTE = 0o111;

export class HookRunner {
  readonly #options: HookRunnerOptions;
  #config: HooksConfig | null;
  readonly #queue: Notice[] = [];
  #dropped = 0;
  #working: Promise<void> | null = null;
  readonly #abort = new AbortController();
  /** complaints that were told: once is enough until it is mended */
  #told: ReadonlySet<string> = new Set();

  constructor(config: HooksConfig | null, options: HookRunnerOptions) {
    this.#config = config;
    this.#options = options;
  }

  /** Holds from the next notice on; what waits, waits on. */
  configure(config: HooksConfig | null): void {
    this.#config = config;
  }

  /** Never throws, never waits. */
  notify(notice: Notice): void {
    if (this.#abort.signal.aborted || this.#config?.topics.includes(notice.topic) !== true) return;
    this.#queue.push(notice);
    if (this.#queue.length > MAX_QUEUED) {
      this.#queue.shift();
      this.#dropped++;
    }
    this.#working ??= this.#work().finally(() => {
      this.#working = null;
    });
  }

  /** Whether nothing runs or waits. */
  get idle(): boolean {
    return this.#working === null;
  }

  /** Ends the running hook and forgets what waits. */
  async close(): Promise<void> {
    this.#abort.abort();
    this.#queue.length = 0;
    while (this.#working !== null) await this.#working;
  }

  async #work(): Promise<void> {
    await pause(START_AFTER_MS, undefined, { signal: this.#abort.signal }).catch(() => undefined);
    for (let notice = this.#queue.shift(); notice !== undefined; notice = this.#queue.shift()) {
      const config = this.#config;
      if (config === null) continue;
      if (this.#dropped > 0) {
        this.#report(null, 'warning', `${this.#dropped} events were dropped: the hooks take longer than events come`);
        this.#dropped = 0;
      }
      const input = `${JSON.stringify(notice)}\n`;
      const environment = factsOf(notice);
      const hooks = [...(await this.#inDirectory(config.directory)), ...config.commands];
      for (const argv of hooks) await this.#run(argv, input, environment, config.timeoutMs);
    }
  }

  async #run(argv: Argv, input: string, environment: Readonly<Record<string, string>>, timeoutMs: number): Promise<void> {
    const { signal } = this.#abort;
    if (signal.aborted) return;
    const hook = basename(argv[0] ?? '');
    const grace = this.#options.graceMs === undefined ? {} : { graceMs: this.#options.graceMs };
    const result = await runCommand({ argv, input, environment, timeoutMs, signal, endLeftovers: true, ...grace });
    const lines = result.output.split('\n').filter((line) => line.trim() !== '');
    if (lines.length > MAX_LINES) this.#report(hook, 'info', `(${lines.length - MAX_LINES} lines before these)`);
    for (const line of lines.slice(-MAX_LINES)) this.#report(hook, 'info', line);
    const failure = commandFailure(argv, { ...result, output: '' });
    if (failure !== null) this.#report(hook, 'warning', failure);
  }

  async #inDirectory(directory: string | null): Promise<Argv[]> {
    if (directory === null) return [];
    const { programs, refused } = await hooksIn(directory);
    for (const why of refused) if (!this.#told.has(why)) this.#report(null, 'warning', why);
    this.#told = new Set(refused);
    return programs.map((program) => [program]);
  }

  #report(hook: string | null, severity: HookReport['severity'], text: string): void {
    try {
      this.#options.report({ hook, severity, text });
    } catch {
      // A log that fails is the log's trouble.
    }
  }
}

export interface HooksFound {
  /** paths, in the order in which they run */
  readonly programs: readonly string[];
  /** one sentence each on what is not run although its name says that it should */
  readonly refused: readonly string[];
}

/** Also for `check`. Never rejects. */
export async function hooksIn(directory: string): Promise<HooksFound> {
  const programs: string[] = [];
  const refused: string[] = [];
  let names: string[];
  try {
    const unsafe = whyUnsafe(await stat(directory));
    if (unsafe !== null) return { programs, refused: [`${directory}: no hook in it is run: it ${unsafe}`] };
    names = (await readdir(directory)).filter((name) => NAME.test(name)).sort();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { programs, refused: [`${directory}: no hooks: ${code === 'ENOENT' ? 'there is no such directory' : message}`] };
  }
  for (const name of names) {
    const path = join(directory, name);
    try {
      const stats = await stat(path);
      if (stats.isDirectory()) continue;
      const why = stats.isFile() ? whyUnsafe(stats) : 'is no plain file';
      if (why !== null) refused.push(`${path}: not run: it ${why}`);
      else if ((stats.mode & ANYONE_MAY_EXECUTE) === 0) refused.push(`${path}: not run: it is not executable (chmod +x)`);
      else programs.push(path);
    } catch (error) {
      refused.push(`${path}: not run: ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
    }
  }
  return { programs, refused };
}

/** Whoever may write a hook is whoever we run as. */
function whyUnsafe({ uid, mode }: { readonly uid: number; readonly mode: number }): string | null {
  if (uid !== 0 && uid !== process.getuid?.()) return `belongs to user ${uid}, not to root`;
  if ((mode & OTHERS_MAY_WRITE) !== 0) return 'may be written by anybody (chmod o-w)';
  return null;
}

/** What is not the case is an empty word, so that scripts under `set -u` live. */
export function factsOf(notice: Notice): Record<string, string> {
  const text = (value: string | number | null): string => (value === null ? '' : String(value).replaceAll('\0', ''));
  const active = (family: number): string => text(notice.active.find((one) => one.family === family)?.uplink ?? null);
  return {
    BACKROUTE_EVENT: notice.topic,
    BACKROUTE_SEVERITY: notice.severity,
    BACKROUTE_UPLINK: text(notice.uplink),
    BACKROUTE_FAMILY: text(notice.family),
    BACKROUTE_FROM: text(notice.from),
    BACKROUTE_TO: text(notice.to),
    BACKROUTE_REASON: text(notice.reason),
    BACKROUTE_TIME: new Date(notice.wallMs).toISOString(),
    BACKROUTE_SINCE: new Date(notice.sinceWallMs).toISOString(),
    BACKROUTE_OUTAGE_SECONDS: notice.outageMs === null ? '' : (notice.outageMs / 1000).toFixed(3),
    BACKROUTE_ACTIVE_4: active(4),
    BACKROUTE_ACTIVE_6: active(6),
    BACKROUTE_SUBJECT: text(notice.subject),
    BACKROUTE_ID: text(notice.id),
    BACKROUTE_THREAD: text(notice.thread),
  };
}
