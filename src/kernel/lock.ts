/**
 * One holder at a time of a file, by flock(2): the kernel lets go when the process ends, however it ends.
 * The file stays; its content is of no meaning to anyone but a curious reader (the holder's process id).
 */
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { tryLockExclusive } from './libc.js';

export interface FileLock {
  /** Lets go. Calling it again does nothing. */
  release(): void;
}

/** Null when another process (or another lock in this one) holds the file. Throws Node's own error when it cannot be opened. */
export function lockFile(path: string): FileLock | null {
  // 'a+' creates it and never empties it: the present holder's process id stays readable. Node opens close-on-exec.
  const fd = openSync(path, 'a+', 0o644);
  try {
    if (!tryLockExclusive(fd)) {
      closeSync(fd);
      return null;
    }
    ftruncateSync(fd, 0);
    writeSync(fd, `${process.pid}\n`);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  let held = true;
  return {
    release() {
      if (!held) return;
      held = false;
      closeSync(fd);
    },
  };
}

/** The process id that the last holder wrote; null when there is none. Says nothing of whether it still holds. */
export function lockHolder(path: string): number | null {
  try {
    const pid = Number.parseInt(readFileSync(path, 'utf8'), 10);
    return Number.isInteger(pid) && pid > 0 ? pid : null;
  } catch {
    return null;
  }
}
