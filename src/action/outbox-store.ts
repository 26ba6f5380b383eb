/**
 * The outbox's directory: one file per message, whole or not at all (write aside, fsync, rename, fsync the directory), numbered
 * in the order of arrival. Refused ones lie in a folder beside. Must not know when or how messages are delivered.
 */
import { constants } from 'node:fs';
import { mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isStoredMessage, type StoredMessage } from './outbox-shape.js';

export const OUTBOX_FOLDER = 'outbox';
const REFUSED_FOLDER = 'refused';
const NAME = /^(\d{12})\.json$/;
const DAMAGED = /^\d{12}\.json\.damaged$/;
/** A message is a few kB; what is larger was not written by this program. */
export const MAX_MESSAGE_BYTES = 256 * 1024;
const MAX_REFUSED = 100;
const MAX_DAMAGED = 20;

export interface Found {
  readonly sequence: number;
  readonly bytes: number;
  readonly message: StoredMessage;
}

export interface Contents {
  readonly waiting: readonly Found[];
  readonly refused: readonly Found[];
  /** one sentence for each file that could not be used */
  readonly problems: readonly string[];
  /** the highest number ever seen here, 0 where there was none */
  readonly last: number;
}

export class OutboxStore {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Reads everything. `tidy`: damaged files are put aside and what a crash left half written is removed; who only looks changes
   * nothing. A directory that does not exist is an empty one. @throws where the directory itself cannot be read
   */
  async load({ tidy }: { readonly tidy: boolean }): Promise<Contents> {
    const problems: string[] = [];
    const waiting = await this.#loadFolder(this.#directory, tidy, problems);
    const refused = await this.#loadFolder(join(this.#directory, REFUSED_FOLDER), tidy, problems);
    return { waiting: waiting.found, refused: refused.found, problems, last: Math.max(waiting.last, refused.last) };
  }

  /** @throws what the disk says; then nothing, or the whole message, is there */
  async write(sequence: number, text: string): Promise<void> {
    await writeWhole(this.#directory, fileName(sequence), text);
  }

  /** @throws with a sentence for people where the file cannot be used */
  async read(sequence: number): Promise<StoredMessage> {
    return (await readMessage(join(this.#directory, fileName(sequence)))).message;
  }

  /** Gone for good once this resolves. A file that is not there is no error. */
  async remove(sequence: number): Promise<void> {
    await removeFile(join(this.#directory, fileName(sequence)));
    await syncDirectory(this.#directory);
  }

  /** Moves a message to the refused ones, of which the latest are kept. */
  async refuse(sequence: number, message: StoredMessage): Promise<void> {
    const folder = join(this.#directory, REFUSED_FOLDER);
    try {
      await writeWhole(folder, fileName(sequence), serialize(message));
      await this.remove(sequence);
    } catch {
      // A full disk takes no answer beside the message: the message alone, then, which needs no space.
      await mkdir(folder, { recursive: true, mode: 0o750 });
      await rename(join(this.#directory, fileName(sequence)), join(folder, fileName(sequence)));
      await syncDirectory(this.#directory);
    }
    const names = (await readdir(folder)).filter((name) => NAME.test(name)).sort();
    for (const name of names.slice(0, -MAX_REFUSED)) await removeFile(join(folder, name));
  }

  /** Puts a file that could not be used aside, for a person to look at. */
  async setAside(sequence: number): Promise<void> {
    await setAside(this.#directory, fileName(sequence));
  }

  async #loadFolder(folder: string, tidy: boolean, problems: string[]): Promise<{ found: Found[]; last: number }> {
    const names = await namesIn(folder);
    const found: Found[] = [];
    let last = 0;
    for (const name of names.sort()) {
      last = Math.max(last, Number(/^\d{12}/.exec(name)?.[0] ?? 0));
      if (tidy && name.endsWith('.tmp')) await removeFile(join(folder, name)).catch(() => undefined);
      if (!NAME.test(name)) continue;
      try {
        found.push({ sequence: Number(name.slice(0, 12)), ...(await readMessage(join(folder, name))) });
      } catch (error) {
        // Who only looks may come between the listing and the delivery.
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
        const what = `${join(folder, name)}: ${(error as Error).message}`;
        problems.push(tidy ? `${what}: put aside as ${name}.damaged` : what);
        if (tidy) await setAside(folder, name).catch(() => undefined);
      }
    }
    return { found, last };
  }
}

export function serialize(message: StoredMessage): string {
  return `${JSON.stringify(message)}\n`;
}

function fileName(sequence: number): string {
  return `${String(sequence).padStart(12, '0')}.json`;
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

async function readMessage(path: string): Promise<{ bytes: number; message: StoredMessage }> {
  // Not blocking: somebody may have put a pipe here.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const { size } = await file.stat();
    if (size > MAX_MESSAGE_BYTES) throw new Error(`${size} bytes are too many for a message`);
    const text = await file.readFile('utf8');
    const value = parse(text);
    if (!isStoredMessage(value)) throw new Error('not a message of this program');
    return { bytes: Buffer.byteLength(text), message: value };
  } finally {
    await file.close();
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's complaint quotes the file, which nobody needs in a log.
    return null;
  }
}

async function setAside(folder: string, name: string): Promise<void> {
  await rename(join(folder, name), join(folder, `${name}.damaged`));
  const damaged = (await readdir(folder)).filter((one) => DAMAGED.test(one)).sort();
  for (const one of damaged.slice(0, -MAX_DAMAGED)) await removeFile(join(folder, one));
}

/** As history's state file is written, and the name is made durable too: a message must not vanish with the power. */
async function writeWhole(folder: string, name: string, text: string): Promise<void> {
  const aside = join(folder, `${name}.tmp`);
  await mkdir(folder, { recursive: true, mode: 0o750 });
  try {
    const file = await open(aside, 'w', 0o640);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(aside, join(folder, name));
  } catch (error) {
    await unlink(aside).catch(() => undefined);
    throw error;
  }
  await syncDirectory(folder);
}

async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** fsync(2): a new or removed name is durable only once its directory is. */
async function syncDirectory(path: string): Promise<void> {
  let directory: Awaited<ReturnType<typeof open>>;
  try {
    directory = await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
