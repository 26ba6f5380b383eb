/**
 * How a helper process knows that the one who needs it has died: its standard input is a pipe from the owner. The end of
 * the pipe without a word means death by any cause, SIGKILL included; a line before it means that the owner lets go.
 */
import type { ChildProcess } from 'node:child_process';
import type { FdLoop } from './fd-loop.js';
import { read } from './libc.js';

const RELEASE = 'release\n';

/** Owner's side: from now on the process lives on its own. Resolves when the word is out. */
export function releaseTether(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    const input = child.stdin;
    if (input === null || input.destroyed) return resolve();
    // The process may have ended by itself: then there is nobody to release.
    input.on('error', () => resolve());
    input.end(RELEASE, () => resolve());
  });
}

/** Helper's side, in an FdLoop: calls back once when the owner is gone without having released us. */
export function watchTether(loop: FdLoop, onOwnerGone: () => void): void {
  const buffer = Buffer.alloc(64);
  loop.watch(0, () => {
    const bytes = read(0, buffer);
    loop.unwatch(0);
    if (bytes <= 0) onOwnerGone();
  });
}

/** Helper's side, in Node's own event loop: resolves with what happened to the owner. */
export async function awaitTether(): Promise<'released' | 'owner-gone'> {
  for await (const chunk of process.stdin) if (String(chunk).startsWith('release')) return 'released';
  return 'owner-gone';
}
