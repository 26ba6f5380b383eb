/**
 * A network of the test's own: this process moves into a fresh network namespace, which vanishes with it on every way out.
 * Further namespaces belong to a child that ends with its standard input. Linux, root.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import koffi from 'koffi';

const CLONE_NEWNET = 0x40000000;

/** For the `skip` option of a test: false when namespaces can be made. */
export const needsRoot: string | false = process.getuid?.() === 0 ? false : 'needs root for a network namespace';

/** Call once, before any socket is opened. Everything this process and its children then do stays inside. */
export function enterOwnNetwork(): void {
  const unshare = koffi.load(null).func('int unshare(int)');
  if (unshare(CLONE_NEWNET) !== 0) throw new Error(`unshare: errno ${koffi.errno()}`);
  ip('link set lo up');
  setSysctl('net.ipv4.ping_group_range', '0 2147483647');
}

/** `ip` with words separated by single blanks. Throws with its complaint. */
export function ip(words: string): string {
  return execFileSync('ip', words.split(' '), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Synchronous on purpose: /proc/sys/net shows the namespace of the thread that opens it. */
export function setSysctl(key: string, value: string): void {
  writeFileSync(`/proc/sys/${key.replaceAll('.', '/')}`, value);
}

/** A namespace beside ours, such as a router's. */
export class NeighbourNetwork {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async create(): Promise<NeighbourNetwork> {
    // `cat` ends when our end of the pipe closes, even if we are killed. The echo proves that unshare is done.
    const child = spawn('unshare', ['-n', 'sh', '-c', 'echo ready; exec cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    return new NeighbourNetwork(child);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Runs a command of words separated by single blanks inside. */
  run(words: string): string {
    const argv = ['-t', String(this.pid), '-n', ...words.split(' ')];
    return execFileSync('nsenter', argv, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  }

  async close(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.stdin?.end();
    await ended;
  }
}
