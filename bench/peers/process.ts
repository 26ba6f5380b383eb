/**
 * What the other programs have in common: found in PATH or not, given files in the lab's folder, started in a namespace of it, ended.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, chmodSync, closeSync, constants, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Lab } from '../../src/lab/lab.js';
import { toolEnvironment } from '../../src/lab/run.js';
import { filesDir } from '../../src/lab/state.js';

const STOP_MS = 3000;

/** Why it cannot be used; null = it can. */
export function missingProgram(program: string, debianPackage: string): string | null {
  const found = (toolEnvironment().PATH ?? '').split(delimiter).some((dir) => {
    try {
      accessSync(join(dir, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  return found
    ? null
    : `not installed (apt-get install ${debianPackage}; then see that its service does not run on this machine)`;
}

/** A file in the lab's own folder; gone with the lab. Returns its path. */
export function labFile(lab: Lab, name: string, text: string, executable = false): string {
  const path = labPath(lab, name);
  writeFileSync(path, text);
  if (executable) chmodSync(path, 0o755);
  return path;
}

export function labPath(lab: Lab, name: string): string {
  const dir = join(filesDir(lab.stateDir, lab.name), 'peer');
  mkdirSync(dir, { recursive: true });
  return join(dir, name);
}

export class PeerProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #logPath: string;

  constructor(lab: Lab, node: string, argv: readonly string[]) {
    this.#logPath = labPath(lab, `${node}.log`);
    const log = openSync(this.#logPath, 'a');
    this.#child = lab.spawn(node, argv, { stdio: ['ignore', log, log], detached: true });
    closeSync(log);
    this.#ended = once(this.#child, 'exit');
  }

  /** for an explanation */
  lastWords(): string {
    const said = readFileSync(this.#logPath, 'utf8').trim().split('\n').slice(-4).join(' | ');
    return said === '' ? 'it said nothing' : `it said: ${said.slice(-400)}`;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS);
    this.#child.kill('SIGTERM');
    await this.#ended;
    clearTimeout(timer);
  }
}
