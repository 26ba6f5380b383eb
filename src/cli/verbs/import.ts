/**
 * `backroute import`: reads the files of the old way and prints the configuration, or writes it where none is yet. Runs nothing
 * of what it reads, and never overwrites.
 */
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, mkdir, open, unlink } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { ExitError } from '../exit-error.js';
import { type Given, importOldWay } from '../import/import.js';
import { MAX_BYTES } from '../import/old-file.js';
import type { Io } from '../io.js';
import type { Places } from '../places.js';

export async function importScript(
  places: Places,
  files: readonly string[],
  options: { readonly write?: boolean },
  io: Io,
): Promise<void> {
  const given: Given[] = [];
  for (const name of files) given.push({ name, bytes: await readBytes(name) });
  const imported = importOldWay(given);
  if (!imported.ok) throw new ExitError(2, imported.problems.join('\n'));
  if (options.write !== true) {
    io.out(imported.text);
    return;
  }
  await create(places.configPath, imported.text);
  io.out(`${io.paint('green', `${places.configPath} is written.`)} Read it: it names every line that was not carried over.\n`);
  io.out(`Before Backroute starts, take away:\n${imported.removals.map((line) => `  ${line}\n`).join('')}`);
  io.out('Then: backroute check, backroute doctor\n');
}

async function readBytes(name: string): Promise<Uint8Array> {
  let file: FileHandle;
  try {
    // O_NONBLOCK: opening a FIFO that nobody writes to would wait for ever.
    file = await open(name, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw unreadable(name, error);
  }
  try {
    const stat = await file.stat();
    if (!stat.isFile())
      throw new ExitError(2, `${name}: no old script: it is ${stat.isDirectory() ? 'a directory' : 'no regular file'}`);
    // One byte more than is taken, so that a larger file is seen; /proc says 0 of its sizes.
    const buffer = new Uint8Array(MAX_BYTES + 1);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return buffer.subarray(0, length);
  } catch (error) {
    throw error instanceof ExitError ? error : unreadable(name, error);
  } finally {
    await file.close();
  }
}

function unreadable(name: string, error: unknown): ExitError {
  const code = codeOf(error);
  if (code === 'EACCES' || code === 'EPERM') return new ExitError(3, `${name}: this user may not read it`, 'run it as root');
  if (code === 'ENOENT' || code === 'ENOTDIR') return new ExitError(2, `${name}: there is no such file`);
  return new ExitError(2, `${name}: it cannot be read: ${(error as Error).message}`);
}

/** The whole text or nothing, and only where there is nothing yet: link(2) refuses an existing name, a dangling symlink too. */
async function create(path: string, text: string): Promise<void> {
  const folder = dirname(resolve(path));
  const temporary = `${resolve(path)}.${randomUUID()}`;
  try {
    await mkdir(folder, { recursive: true });
    const file = await open(temporary, 'wx', 0o644);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    try {
      await link(temporary, path);
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
      const remedy = 'name another one with --config FILE, or print it without --write';
      throw new ExitError(1, `${path} exists already: nothing was written`, remedy);
    } finally {
      await unlink(temporary);
    }
    const directory = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  } catch (error) {
    if (error instanceof ExitError) throw error;
    const code = codeOf(error);
    const permission = code === 'EACCES' || code === 'EPERM' || code === 'EROFS';
    throw new ExitError(
      permission ? 3 : 1,
      `${path} cannot be written: ${(error as Error).message}`,
      permission ? 'run it as root' : null,
    );
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
