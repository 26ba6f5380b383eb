/**
 * Keeps the saved state on disk: whole or not at all (write aside, fsync, rename), the latest wish only, never awaited by
 * the loop but once (see core: restore memory before the first change). Must not know what the state means.
 */
import { mkdir, open, readFile, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { SavedState } from '../core/messages.js';

export const STATE_FILE = 'state.json';
/** flock(2): one writer of the network at a time per state directory. */
export const LOCK_FILE = 'lock';

/** Refused by the disk, it is tried again after this: nothing else may change for days. */
const RETRY_MS = 5_000;

export class StateStore {
  readonly #path: string;
  readonly #onTrouble: (message: string | null) => void;
  #wish: SavedState | null = null;
  #writing: Promise<void> | null = null;
  #failed = false;
  readonly #retryMs: number;
  #retry: NodeJS.Timeout | null = null;

  /** @param onTrouble text when the disk refuses, null when it takes the state again; once per change */
  constructor(stateDir: string, onTrouble: (message: string | null) => void, { retryMs = RETRY_MS } = {}) {
    this.#retryMs = retryMs;
    this.#path = join(stateDir, STATE_FILE);
    this.#onTrouble = onTrouble;
  }

  /** Never throws, never waits. */
  save(saved: SavedState): void {
    this.#wish = saved;
    this.#start();
  }

  /** The disk did not take the latest wish; it is tried again. */
  get refused(): boolean {
    return this.#failed;
  }

  #start(): void {
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#retry = null;
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = null;
    });
  }

  /** Resolves when the latest wish is on disk, or the disk refused it. Never rejects. */
  async flushed(): Promise<void> {
    while (this.#writing !== null) await this.#writing;
  }

  async #writeAll(): Promise<void> {
    while (this.#wish !== null) {
      const saved = this.#wish;
      this.#wish = null;
      try {
        await writeAtomically(this.#path, `${JSON.stringify(saved, null, 1)}\n`);
        if (this.#failed) this.#onTrouble(null);
        this.#failed = false;
      } catch (error) {
        if (!this.#failed) this.#onTrouble(`${this.#path}: ${error instanceof Error ? error.message : String(error)}`);
        this.#failed = true;
        if (this.#wish !== null) continue;
        this.#wish = saved;
        this.#retry = setTimeout(() => this.#start(), this.#retryMs).unref();
        return;
      }
    }
  }
}

/** A crash or a lost power leaves the old file or the new one (rename(2)). Readable by root and the daemon's group alone. */
export async function writeAtomically(path: string, text: string): Promise<void> {
  const aside = `${path}.${process.pid}.tmp`;
  try {
    const file = await open(aside, 'w', 0o640);
    try {
      await file.writeFile(text);
      await file.datasync();
    } finally {
      await file.close();
    }
    await rename(aside, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await unlink(aside).catch(() => undefined);
    throw error;
  }
}

/** Without it a lost power may take the new name back. Where a file system cannot, the rename alone must do. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(() => null);
  await folder?.sync().catch(() => undefined);
  await folder?.close();
}

export interface LoadedState {
  readonly saved: SavedState | null;
  /** a file was there but could not be used; it was put aside under another name */
  readonly problem: string | null;
}

/** Never rejects: a damaged state costs memory of the past, not the start. `putAside`: who only looks, changes nothing. */
export async function loadState(stateDir: string, { putAside = true } = {}): Promise<LoadedState> {
  const path = join(stateDir, STATE_FILE);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    return { saved: null, problem: missing ? null : `${path}: ${(error as Error).message}` };
  }
  const saved = parseSaved(text);
  if (saved !== null) return { saved, problem: null };
  if (!putAside) return { saved: null, problem: `${path} is damaged` };
  // Kept for a person to look at: it may name the routes that cleanup should put back.
  await rename(path, `${path}.damaged`).catch(() => undefined);
  return { saved: null, problem: `${path} is damaged: put aside as ${STATE_FILE}.damaged, starting without memory` };
}

function parseSaved(text: string): SavedState | null {
  try {
    const value: unknown = JSON.parse(text);
    return isSaved(value) ? value : null;
  } catch {
    return null;
  }
}

/** The shape, as far as using it must not throw. What is inside was written by this program. */
function isSaved(value: unknown): value is SavedState {
  if (!isObject(value) || value.version !== 1) return false;
  const restore = value.restore;
  if (!isObject(restore) || typeof restore.bootId !== 'string') return false;
  return (
    isObject(value.slots) &&
    Object.values(value.slots).every((slot) => Number.isInteger(slot)) &&
    (value.forced === null || typeof value.forced === 'string') &&
    Array.isArray(value.disabled) &&
    isObject(value.names) &&
    isObject(value.active) &&
    isObject(value.failures) &&
    Array.isArray(restore.routes) &&
    isObject(restore.sysctls) &&
    (restore.hadDefault === null || Array.isArray(restore.hadDefault))
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @throws an Error with `code` when the directory cannot be made or written */
export async function ensureWritable(stateDir: string): Promise<void> {
  await mkdir(stateDir, { recursive: true, mode: 0o750 });
  const probe = join(stateDir, `.writable.${process.pid}`);
  await (await open(probe, 'w', 0o600)).close();
  await unlink(probe);
}
