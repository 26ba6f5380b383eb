/**
 * Files written whole or not at all: beside, fsync, rename, fsync of the folder. Owner, mode and the rest of what stands there are
 * kept; a symbolic link stays and the file it points to is replaced. `history/` has a small one of its own: adapters do not meet.
 */
import { constants, type Stats } from 'node:fs';
import { chmod, chown, lstat, open, readlink, rename, stat, unlink, utimes } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { runCommand } from '../command.js';

/** Configuration, not data. */
const MAX_FILE_BYTES = 4 << 20;
const MAX_LINKS = 40;
const COPY_TIMEOUT_MS = 5_000;

/** Node's errors name the call and both paths; people need the path and the reason. */
export function diskError(path: string, error: unknown): Error {
  const { code, message } = error as NodeJS.ErrnoException;
  const known: Readonly<Record<string, string>> = {
    ENOENT: 'is not there',
    EACCES: 'permission denied',
    EPERM: 'not permitted (immutable? see lsattr)',
    EROFS: 'the file system is read-only',
    ENOSPC: 'the disk is full',
    EDQUOT: 'the quota is used up',
    EISDIR: 'is a directory',
    ENOTDIR: 'a part of its path is no directory',
    EBUSY: 'is a mount point of its own (a container?): it cannot be replaced as a whole',
    EIO: 'input/output error',
  };
  return new Error(`${path}: ${known[code ?? ''] ?? message}`);
}

/** The file itself behind symbolic links, whether or not it is there yet. @throws Error for people */
export async function behindLinks(path: string): Promise<string> {
  let at = resolve(path);
  for (let hops = 0; hops < MAX_LINKS; hops++) {
    const there = await lstat(at).catch((error: unknown) => missing(at, error));
    if (there === null || !there.isSymbolicLink()) return at;
    const to = await readlink(at).catch((error: unknown) => Promise.reject(diskError(at, error)));
    at = resolve(dirname(at), to);
  }
  throw new Error(`${path}: too many symbolic links`);
}

/** null = not there. @throws Error for people: unreadable, no plain file, or too large */
export async function readSmall(path: string): Promise<Buffer | null> {
  // Not to be held by a FIFO.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => missing(path, error));
  if (file === null) return null;
  try {
    const { size } = mustBePlain(path, await file.stat());
    if (size > MAX_FILE_BYTES) throw new Error(`${path}: larger than ${MAX_FILE_BYTES >> 20} MiB, this is no configuration`);
    return await file.readFile().catch((error: unknown) => Promise.reject(diskError(path, error)));
  } finally {
    await file.close();
  }
}

function mustBePlain(path: string, stats: Stats): Stats {
  if (!stats.isFile()) throw new Error(`${path}: ${stats.isDirectory() ? 'is a directory' : 'is no plain file'}`);
  return stats;
}

function missing(path: string, error: unknown): null {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
  throw diskError(path, error);
}

/**
 * What is there keeps its owner, mode, access list and label. A new file gets `mode`.
 * @throws Error for people; then what was there is untouched
 */
export async function replaceFile(path: string, content: Uint8Array, mode = 0o644): Promise<void> {
  const target = await behindLinks(path);
  const former = await stat(target).catch((error: unknown) => missing(target, error));
  if (former !== null) mustBePlain(target, former);
  // The leading dot keeps it out of what programs include from a folder. One name, so that a killed process leaves no heap.
  const aside = join(dirname(target), `.${basename(target)}.backroute-new`);
  try {
    await unlink(aside).catch((error: unknown) => missing(aside, error));
    // Nobody else may read it before it has its owner and mode.
    const file = await open(aside, 'wx', 0o600);
    try {
      await file.writeFile(content);
      if (former === null) await file.chmod(mode);
      else await dressLike(former, target, aside);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(aside, target);
    await syncFolder(dirname(target));
  } catch (error) {
    await unlink(aside).catch(() => undefined);
    throw diskError(target, error);
  }
}

async function dressLike(former: Stats, target: string, aside: string): Promise<void> {
  // Access lists, extended attributes, the SELinux label: coreutils knows them all. Where it is missing there is seldom any.
  const argv = ['cp', '--attributes-only', '--preserve=all', '--no-target-directory', '--', target, aside];
  await runCommand({ argv, timeoutMs: COPY_TIMEOUT_MS });
  // It is not the owner's file any more if these fail, and that is no success. chown clears set-uid, so it comes first.
  const now = await stat(aside);
  if (now.uid !== former.uid || now.gid !== former.gid) await chown(aside, former.uid, former.gid);
  await chmod(aside, former.mode & 0o7777);
  const seconds = Date.now() / 1000;
  await utimes(aside, seconds, seconds);
}

/** @throws Error for people */
export async function removeFile(path: string): Promise<void> {
  const target = await behindLinks(path);
  try {
    await unlink(target);
    await syncFolder(dirname(target));
  } catch (error) {
    missing(target, error);
  }
}

/** So that the new name outlives a lost power. Some file systems cannot, and need not. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(() => null);
  await folder?.sync().catch(() => undefined);
  await folder?.close();
}
