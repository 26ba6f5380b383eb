/**
 * Processes by identity, not by number alone: a pid with its start time, so that a pid that went to somebody else is never
 * killed; and who lives in a network namespace. Reads /proc (proc(5)).
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { until } from './until.js';

export interface ProcessIdentity {
  readonly pid: number;
  /** field 22 of /proc/PID/stat: ticks since boot */
  readonly startTicks: string;
}

/** Null when there is no such process (a zombie counts as none). */
export function identify(pid: number): ProcessIdentity | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is the name in parentheses and may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const startTicks = fields[19];
    return startTicks === undefined || fields[0] === 'Z' || fields[0] === 'X' ? null : { pid, startTicks };
  } catch {
    return null;
  }
}

export function isAlive(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.startTicks === identity.startTicks;
}

/** Everyone whose main thread is in one of the namespaces. Paths that do not exist hold nobody. */
export function processesIn(namespacePaths: readonly string[]): ProcessIdentity[] {
  const inodes = new Set(namespacePaths.flatMap((path) => netInode(path) ?? []));
  if (inodes.size === 0) return [];
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    const inode = netInode(`/proc/${entry}/ns/net`);
    if (inode === null || !inodes.has(inode)) return [];
    const identity = identify(Number(entry));
    return identity === null || identity.pid === process.pid ? [] : [identity];
  });
}

function netInode(path: string): bigint | null {
  try {
    return statSync(path, { bigint: true }).ino;
  } catch {
    return null;
  }
}

/** Asks all of them to end, waits up to `patienceMs`, kills who is left; resolves when all are gone. */
export async function endProcesses(identities: readonly ProcessIdentity[], patienceMs: number): Promise<void> {
  signal(identities, 'SIGTERM');
  const gone = () => !identities.some(isAlive);
  if (await until(gone, patienceMs)) return;
  signal(identities, 'SIGKILL');
  await until(gone, 1000);
}

function signal(identities: readonly ProcessIdentity[], name: 'SIGTERM' | 'SIGKILL'): void {
  for (const identity of identities) {
    if (!isAlive(identity)) continue;
    try {
      process.kill(identity.pid, name);
    } catch {
      // It ended between the look and the signal.
    }
  }
}
