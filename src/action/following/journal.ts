/**
 * The former state of what one follower is changing, on disk while it is not sure that the new one holds. May hold whatever the
 * service's files hold: readable by its owner alone, gone when the transaction is over.
 */
import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { diskError, readSmall, removeFile, replaceFile } from './disk.js';
import type { Things } from './service.js';

const FOLDER = 'following';

export class Journal {
  readonly #folder: string;
  readonly #path: string;

  /** @param follower its name; several followers share the folder */
  constructor(stateDirectory: string, follower: string) {
    this.#folder = join(stateDirectory, FOLDER);
    this.#path = join(this.#folder, `${encodeURIComponent(follower)}.json`);
  }

  /** What stood before a transaction that was never finished; null = there is none. @throws Error for people: unreadable disk */
  async read(): Promise<Things | null> {
    const content = await readSmall(this.#path);
    if (content === null) return null;
    const former = parse(content.toString('utf8'));
    // Written atomically, so this is no work of ours: kept for a person, and what stands is taken as it stands.
    if (former === null) await rename(this.#path, `${this.#path}.damaged`).catch(() => undefined);
    return former;
  }

  /** On disk when this resolves. @throws Error for people */
  async write(former: Things): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 }).catch((error: unknown) =>
      Promise.reject(diskError(this.#folder, error)),
    );
    await replaceFile(this.#path, Buffer.from(JSON.stringify({ version: 1, former })), 0o600);
  }

  /** @throws Error for people */
  async drop(): Promise<void> {
    await removeFile(this.#path);
  }
}

function parse(text: string): Things | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('version' in value) || value.version !== 1) return null;
    if (!('former' in value) || typeof value.former !== 'object' || value.former === null) return null;
    const entries: [string, unknown][] = Object.entries(value.former);
    if (!entries.every((entry): entry is [string, string | null] => entry[1] === null || typeof entry[1] === 'string'))
      return null;
    return Object.fromEntries(entries);
  } catch {
    return null;
  }
}
