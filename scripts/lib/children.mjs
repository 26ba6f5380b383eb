/**
 * Child processes of the scripts: one at a time, told of every signal, awaited before we end. So a Ctrl-C at any moment leaves
 * nothing behind. Knows nothing of what is run. Plain Node, no packages: it runs before there are any.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';

/** The script was asked to end: exit with this code, quietly. */
export class Stopped extends Error {
  constructor(signal) {
    super(`ended by ${signal}`);
    this.exitCode = 128 + (constants.signals[signal] || 1);
  }
}

/** Something a person has to mend; `remedy` says how. */
export class Problem extends Error {
  constructor(message, remedy) {
    super(message);
    this.remedy = remedy;
  }
}

let stopSignal = null;
let current = null;

/** To be called first. A signal goes on to the child that runs; the script itself ends once that has ended. */
export function handleSignals() {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stop(signal));
  // npm hands on SIGINT and SIGTERM only. Killed otherwise, it leaves us to another parent.
  const parent = process.ppid;
  if (process.env.npm_lifecycle_event !== undefined) {
    setInterval(() => {
      if (process.ppid !== parent && stopSignal === null) stop('SIGHUP');
    }, 250).unref();
  }
}

function stop(signal) {
  if (stopSignal === null) stopSignal = signal;
  if (current === null) process.exit(new Stopped(signal).exitCode);
  try {
    current.kill(signal);
  } catch (error) {
    // EPERM: it is sudo's, which takes signals from its own user alone.
    if (error.code !== 'EPERM') throw error;
    spawn('sudo', ['-n', 'kill', '-s', signal.slice(3), String(current.pid)], { stdio: 'ignore' }).on('error', () => {});
  }
}

/**
 * Runs a program to its end and resolves with { code, output }; `output` is empty unless `quiet`, which keeps the program's
 * words back. Rejects with Stopped when a signal came meanwhile, with a Problem when the program cannot be started.
 */
export function runChild(argv, { quiet = false, env = {}, cwd } = {}) {
  return new Promise((resolve, reject) => {
    if (stopSignal !== null) return reject(new Stopped(stopSignal));
    const output = [];
    const child = spawn(argv[0], argv.slice(1), {
      cwd,
      env: { ...process.env, ...env },
      stdio: quiet ? ['ignore', 'pipe', 'pipe'] : 'inherit',
    });
    current = child;
    for (const stream of [child.stdout, child.stderr]) if (stream !== null) stream.on('data', (chunk) => output.push(chunk));
    child.on('error', (error) => {
      current = null;
      reject(new Problem(`${argv[0]} could not be started: ${error.message}`, 'see that it is installed and in PATH'));
    });
    child.on('close', (code, signal) => {
      current = null;
      if (stopSignal !== null) reject(new Stopped(stopSignal));
      else
        resolve({
          code: code === null ? 128 + (constants.signals[signal] || 0) : code,
          output: Buffer.concat(output).toString(),
        });
    });
  });
}

/** Runs the script's `main`, whose result is the exit code, and prints what a person has to know. */
export async function runScript(main) {
  handleSignals();
  try {
    process.exitCode = await main(process.argv.slice(2));
  } catch (error) {
    if (error instanceof Stopped) {
      process.exitCode = error.exitCode;
      return;
    }
    if (!(error instanceof Problem)) throw error;
    process.stderr.write(`${error.message}\n  -> ${error.remedy}\n`);
    process.exitCode = 1;
  }
}
