/**
 * A pair of network namespaces for the kernel adapter's tests. The test's own process moves into the first one (setns(2)),
 * so that the adapter under test needs no wrapper; children that it starts live there too. Everything made here is removed
 * on every way out of the process.
 */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import koffi from 'koffi';

const CLONE_NEWNET = 0x40000000;

/** Reason to skip, or false where namespaces can be made. */
export const needsRoot: string | false = process.getuid?.() === 0 ? false : 'needs root: makes network namespaces';

export interface TestNamespace {
  readonly name: string;
  /** the other ends of its links live here: p0, p1 */
  readonly peer: string;
  /** runs `ip` in it with these words */
  ip(words: string): string;
  peerIp(words: string): string;
}

let made = 0;

/**
 * Makes the pair and moves this process in: eth0 (index 10, 192.168.1.2/24, 2001:db8:1::2/64), `eth0.5` (index 11,
 * 10.1.0.2/24, 2001:db8:2::2/64), both up. The peers p0 and p1 hold .1 of each network and have other indexes: with equal
 * ones the kernel rations carrier events.
 */
export function enterTestNamespace(): TestNamespace {
  const name = `brk${process.pid}-${made++}`;
  const peer = `${name}p`;
  const run = (words: string): string =>
    execFileSync('ip', words.split(' '), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  const remove = (): void => {
    for (const namespace of [name, peer]) {
      try {
        run(`netns del ${namespace}`);
      } catch {
        // Gone already, or never made.
      }
    }
  };
  process.once('exit', remove);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));
  run(`netns add ${name}`);
  run(`netns add ${peer}`);
  const namespace: TestNamespace = {
    name,
    peer,
    ip: (words) => run(`-n ${name} ${words}`),
    peerIp: (words) => run(`-n ${peer} ${words}`),
  };
  namespace.ip(`link add eth0 index 10 type veth peer name p0 index 110 netns ${peer}`);
  namespace.ip(`link add eth0.5 index 11 type veth peer name p1 index 111 netns ${peer}`);
  for (const link of ['lo', 'eth0', 'eth0.5']) namespace.ip(`link set ${link} up`);
  for (const link of ['lo', 'p0', 'p1']) namespace.peerIp(`link set ${link} up`);
  namespace.ip('addr add 192.168.1.2/24 dev eth0');
  namespace.ip('addr add 10.1.0.2/24 dev eth0.5');
  namespace.ip('-6 addr add 2001:db8:1::2/64 dev eth0 nodad');
  namespace.ip('-6 addr add 2001:db8:2::2/64 dev eth0.5 nodad');
  namespace.peerIp('addr add 192.168.1.1/24 dev p0');
  namespace.peerIp('addr add 10.1.0.1/24 dev p1');
  namespace.peerIp('-6 addr add 2001:db8:1::1/64 dev p0 nodad');
  namespace.peerIp('-6 addr add 2001:db8:2::1/64 dev p1 nodad');
  const setns: (fd: number, kind: number) => number = koffi.load(null).func('int setns(int, int)');
  const fd = openSync(`/var/run/netns/${name}`, 'r');
  const moved = setns(fd, CLONE_NEWNET);
  closeSync(fd);
  if (moved !== 0) throw new Error(`setns: errno ${koffi.errno()}`);
  return namespace;
}

/** Asks `is` until it gives something other than null or false. */
export async function eventually<T>(
  what: string,
  is: () => T | null | false | Promise<T | null | false>,
  withinMs = 5000,
): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const answer = await is();
    if (answer !== null && answer !== false) return answer;
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const AGENT = fileURLToPath(new URL('./kernel-agent.js', import.meta.url));

/** A child with a watching kernel adapter in the present namespace; see kernel-agent.ts for the words it knows. */
export class Agent {
  readonly child: ChildProcessWithoutNullStreams;
  readonly #lines: Interface;
  constructor() {
    this.child = spawn(process.execPath, [AGENT]);
    this.#lines = createInterface({ input: this.child.stdout });
  }
  async ask(word: string | null): Promise<Record<string, unknown>> {
    const answer = once(this.#lines, 'line');
    if (word !== null) this.child.stdin.write(`${word}\n`);
    return JSON.parse(String((await answer)[0])) as Record<string, unknown>;
  }
  ready(): Promise<Record<string, unknown>> {
    return this.ask(null);
  }
}
