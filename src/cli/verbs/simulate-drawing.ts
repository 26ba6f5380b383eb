/** Where a drawing goes: a file is written whole or not at all, links are followed, and what is no file is written into, never replaced. */
import { fstatSync, type Stats } from 'node:fs';
import { access, constants, readlink, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { ExitError } from '../exit-error.js';
import type { Io } from '../io.js';

/** As many the kernel follows. */
const MOST_LINKS = 40;

/** Before minutes of work, not after. @throws ExitError */
export async function requireWritable(path: string): Promise<void> {
  const there = await stat(path).catch(() => null);
  if (there?.isDirectory() === true) throw new ExitError(1, `--plot: ${path} is a directory`);
  if (there !== null && streamOf(there) !== null) return;
  if (there !== null && !there.isFile()) {
    await access(path, constants.W_OK).catch(() => {
      throw new ExitError(1, `--plot: ${path} cannot be written`);
    });
    return;
  }
  const folder = dirname(await fileOf(path));
  await access(folder, constants.W_OK).catch(() => {
    throw new ExitError(1, `--plot: no file can be made in ${folder}`);
  });
}

/** @throws ExitError */
export async function writeDrawing(path: string, content: string, io: Io): Promise<void> {
  try {
    const there = await stat(path).catch(() => null);
    const stream = there === null ? null : streamOf(there);
    // Opened once more, what is told afterwards would be written over it.
    if (stream !== null) io[stream](content);
    // Nothing is made here: a device or a pipe that is gone meanwhile does not become a file.
    else if (there !== null && !there.isFile()) await writeFile(path, content, { flag: constants.O_WRONLY });
    else await writeWhole(await fileOf(path), content);
  } catch (error) {
    throw new ExitError(1, `--plot: ${path} cannot be written: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** All of it or nothing. */
async function writeWhole(path: string, content: string): Promise<void> {
  const part = `${path}.${process.pid}.tmp`;
  try {
    await writeFile(part, content);
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

/** The file that is meant, whether it is there already or not. */
async function fileOf(path: string): Promise<string> {
  let file = path;
  for (let links = 0; links < MOST_LINKS; links += 1) {
    const real = await realpath(file).catch(() => null);
    if (real !== null) return real;
    const to = await readlink(file).catch(() => null);
    if (to === null) return file;
    file = resolve(dirname(file), to);
  }
  return file;
}

/** What we write to anyway, whichever name it was given by. */
function streamOf({ dev, ino }: Stats): 'out' | 'err' | null {
  const is = (fd: number): boolean => {
    try {
      const own = fstatSync(fd);
      return own.dev === dev && own.ino === ino;
    } catch {
      return false;
    }
  };
  return is(1) ? 'out' : is(2) ? 'err' : null;
}
