/**
 * Does something in another network namespace and comes back: sockets opened meanwhile stay there. Synchronous, because the
 * namespace belongs to the thread. Linux, root. man: setns(2)
 */
import { closeSync, openSync } from 'node:fs';
import koffi from 'koffi';

const CLONE_NEWNET = 0x40000000;
const setns: (fd: number, kind: number) => number = koffi.load(null).func('int setns(int, int)');

/** @param namespace as `ip netns` names it */
export function inside<T>(namespace: string, act: () => T): T {
  const home = openSync('/proc/thread-self/ns/net', 'r');
  const there = openSync(`/var/run/netns/${namespace}`, 'r');
  try {
    enter(there);
    return act();
  } finally {
    enter(home);
    closeSync(there);
    closeSync(home);
  }
}

function enter(fd: number): void {
  if (setns(fd, CLONE_NEWNET) !== 0) throw new Error(`setns: errno ${koffi.errno()}`);
}
