/**
 * What the lab's helper programs have in common: how they are started and how they say that they are ready. Knows nothing of what they do.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { LabError } from './errors.js';
import { toolEnvironment } from './run.js';

const READY = 'ready\n';
const START_DEADLINE_MS = 10_000;

/** Helper's side: everything is set up. */
export function sayReady(): void {
  try {
    writeSync(1, READY);
  } catch {
    // The owner has died meanwhile (EPIPE); the tether will tell.
  }
}

export interface HelperOptions {
  /** module beside this one, e.g. `link-process` */
  readonly module: string;
  readonly args: readonly string[];
  /** network namespace to start in; null = ours */
  readonly namespace: string | null;
  /** where its stderr goes; null = nowhere */
  readonly logPath: string | null;
}

export interface StartedHelper {
  readonly child: ChildProcess;
  readonly ready: Promise<void>;
}

/**
 * Starts a helper program in a session of its own (a Ctrl-C is for us to handle) and resolves once it is ready. Its stdin
 * is a tether (tether.ts). Rejects with a LabError that quotes its stderr when it ends or stays silent for 10 s.
 */
export function startHelper(options: HelperOptions): StartedHelper {
  const program = [process.execPath, fileURLToPath(new URL(`./${options.module}.js`, import.meta.url)), ...options.args];
  const argv = options.namespace === null ? program : ['ip', 'netns', 'exec', options.namespace, ...program];
  const log = options.logPath === null ? 'ignore' : openSync(options.logPath, 'a');
  const child = spawn(argv[0] ?? '', argv.slice(1), { detached: true, stdio: ['pipe', 'pipe', log], env: toolEnvironment() });
  if (log !== 'ignore') closeSync(log);
  const ready = new Promise<void>((resolve, reject) => {
    const done = (problem: string | null) => {
      clearTimeout(timer);
      child.removeAllListeners('exit');
      child.stdout?.destroy();
      child.unref();
      if (problem === null) resolve();
      else
        reject(
          new LabError(`the lab's ${options.module} ${problem}`, options.logPath === null ? null : lastWords(options.logPath)),
        );
    };
    const timer = setTimeout(() => done('did not get ready within 10 s'), START_DEADLINE_MS);
    child.on('error', (error) => done(`could not be started: ${error.message}`));
    child.on('exit', (code, signal) => done(`ended at once (${signal ?? `exit ${code}`})`));
    child.stdout?.on('data', (chunk) => {
      if (String(chunk).includes(READY)) done(null);
    });
  });
  child.stdin?.on('error', () => {
    // The helper has ended; whoever needs it learns that from its control socket.
  });
  // The tether shall end with us, not keep us.
  if (child.stdin instanceof Socket) child.stdin.unref();
  return { child, ready };
}

function lastWords(logPath: string): string | null {
  const said = readFileSync(logPath, 'utf8').trim();
  return said === '' ? null : `it said: ${said.slice(-600)}`;
}
