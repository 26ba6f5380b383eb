/**
 * The real `backroute run` inside a lab's gateway, for the demo: starts it and follows the event stream of its control socket.
 * Knows nothing of the daemon's inside: a program, a config file and a socket.
 */
import type { ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { SOCKET_FILE } from '../api/server.js';
import type { HistoryEntry } from '../core/entry.js';
import { LabError } from './errors.js';
import type { Lab } from './lab.js';
import { toolEnvironment } from './run.js';

const PROGRAM = fileURLToPath(new URL('../../../bin/backroute', import.meta.url));
const RETRY_MS = 10;
const STREAM_START_MS = 10_000;
const EXIT_TOLD_MS = 500;
const LAST_LINES = 12;
const KNOWN_ENTRIES = 1000;

type Listener = (entry: HistoryEntry) => void;

export class DemoDaemon {
  readonly runDir: string;
  /** Unix time at which the process was started */
  readonly startedWallMs: number;
  readonly #child: ChildProcess;
  readonly #logPath: string;
  readonly #entries: HistoryEntry[] = [];
  readonly #listeners = new Set<Listener>();
  readonly #broken = new AbortController();

  /** @param dir gets config, state, socket and log; whoever owns it removes it */
  constructor(lab: Lab, dir: string, configText: string) {
    mkdirSync(dir, { recursive: true });
    const configPath = join(dir, 'backroute.yaml');
    writeFileSync(configPath, configText);
    this.runDir = join(dir, 'run');
    this.#logPath = join(dir, 'backroute.log');
    const log = openSync(this.#logPath, 'a');
    const places = ['--config', configPath, '--state-dir', join(dir, 'state'), '--run-dir', this.runDir];
    this.startedWallMs = Date.now();
    // In a session of its own: a Ctrl-C is for the demo, which then ends everything in the right order.
    this.#child = lab.spawn('gateway', [process.execPath, PROGRAM, 'run', ...places], {
      stdio: ['ignore', log, log],
      detached: true,
      env: withoutServiceManager(toolEnvironment()),
    });
    closeSync(log);
    this.#child.on('error', (error) => this.#fail(`backroute run could not be started: ${error.message}`));
    this.#child.on('exit', (code, signal) => this.#fail(`backroute run has ended by itself (${signal ?? `exit ${code}`})`));
    this.#follow().catch((error: unknown) => {
      // A daemon that ends breaks its stream off first; how it ended says more.
      setTimeout(() => this.#fail(error instanceof Error ? error.message : String(error)), EXIT_TOLD_MS).unref();
    });
  }

  /** Aborted when the daemon ends by itself or its stream breaks off; the reason is a LabError. */
  get broken(): AbortSignal {
    return this.#broken.signal;
  }

  /** Calls `listener` for each event from now on. @returns how to stop that */
  onEvent(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** The first event so far that `wanted` accepts. */
  find(wanted: (entry: HistoryEntry) => boolean): HistoryEntry | undefined {
    return this.#entries.find(wanted);
  }

  /** What the daemon logged last, for an explanation. */
  lastWords(): string {
    const lines = readFileSync(this.#logPath, 'utf8').trim().split('\n').slice(-LAST_LINES);
    return `the daemon's last words:\n     ${lines.join('\n     ')}`;
  }

  #fail(message: string): void {
    if (!this.broken.aborted) this.#broken.abort(new LabError(message, this.lastWords()));
  }

  async #follow(): Promise<void> {
    const response = await this.#openStream();
    const lines = createInterface({ input: response, crlfDelay: Number.POSITIVE_INFINITY });
    for await (const line of lines) {
      // An empty line is a heartbeat.
      if (line === '') continue;
      const entry = JSON.parse(line) as HistoryEntry;
      this.#entries.push(entry);
      if (this.#entries.length > KNOWN_ENTRIES) this.#entries.shift();
      for (const listener of [...this.#listeners]) listener(entry);
    }
    throw new Error("the daemon's event stream has ended although the daemon lives");
  }

  /** The socket is there once the daemon has adopted the routes. */
  async #openStream(): Promise<IncomingMessage> {
    const deadline = performance.now() + STREAM_START_MS;
    for (;;) {
      try {
        return await stream(join(this.runDir, SOCKET_FILE));
      } catch (error) {
        if (performance.now() > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }
}

function stream(socketPath: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const call = request(
      { socketPath, path: '/events/follow?limit=1000', headers: { host: 'backroute' }, agent: false },
      resolve,
    );
    call.on('error', reject);
    call.end();
  });
}

/** The demo may itself run as a service: what it starts shall not speak in its name. */
function withoutServiceManager(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { NOTIFY_SOCKET: _, WATCHDOG_USEC: __, WATCHDOG_PID: ___, ...rest } = environment;
  return rest;
}
