/**
 * The event journal: every record the engine made, as JSON lines in the state directory, and the latest of them in memory
 * for the API. Bounded: two files of 1 MB, 1,000 entries. Knows nothing of uplinks, sockets or who asks.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HistoryEntry } from '../core/entry.js';
import { BatchedFile } from './batched-file.js';

export const JOURNAL_FILE = 'events.jsonl';
const ROTATE_BYTES = 1_000_000;
const MEMORY_ENTRIES = 1_000;

export interface EventQuery {
  /** the latest this many, at most 1,000 */
  readonly limit: number;
  /** only entries later than this Unix time in ms; null = any */
  readonly sinceWallMs: number | null;
}

export class EventJournal {
  readonly #file: BatchedFile;
  #recent: HistoryEntry[] = [];
  readonly #loaded: Promise<void>;

  /** @param onTrouble text when the disk refuses, null when it takes lines again */
  constructor(stateDir: string, onTrouble: (message: string | null) => void, rotateBytes = ROTATE_BYTES) {
    this.#file = new BatchedFile({ path: join(stateDir, JOURNAL_FILE), rotateBytes, onTrouble });
    // Read before anything is appended to the file by this process: append() keeps its lines back by one turn at least,
    // and what is in memory wins over what the read may already see of it.
    const started = this.#recent;
    this.#loaded = readJournal(stateDir, { limit: MEMORY_ENTRIES, sinceWallMs: null }).then((past) => {
      const firstOwn = started[0]?.wallMs ?? Number.POSITIVE_INFINITY;
      const own = new Set(started.map((entry) => JSON.stringify(entry)));
      const older = past.filter((entry) => entry.wallMs < firstOwn || !own.has(JSON.stringify(entry)));
      this.#recent = [...older, ...started].slice(-MEMORY_ENTRIES);
    });
  }

  /** Never throws, never waits. */
  append(entry: HistoryEntry): void {
    this.#recent.push(entry);
    if (this.#recent.length > MEMORY_ENTRIES) this.#recent.shift();
    this.#file.append(JSON.stringify(entry));
  }

  /** Resolves when entries of earlier processes are in memory; never rejects. */
  ready(): Promise<void> {
    return this.#loaded;
  }

  /** Oldest first. Complete from {@link ready} on. */
  recent(query: EventQuery): readonly HistoryEntry[] {
    return select(this.#recent, query);
  }

  flush(): Promise<void> {
    return this.#file.flush();
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** Reads the journal of a state directory, daemon or not; a torn or foreign line is skipped, a missing file is empty. Never rejects. */
export async function readJournal(stateDir: string, query: EventQuery): Promise<readonly HistoryEntry[]> {
  const path = join(stateDir, JOURNAL_FILE);
  const entries: HistoryEntry[] = [];
  for (const file of [path, `${path}.1`]) {
    if (entries.length >= query.limit) break;
    const text = await readFile(file, 'utf8').catch(() => '');
    // From the end: a long journal costs no more than the entries asked for.
    let end = text.length;
    while (end > 0 && entries.length < query.limit) {
      const start = text.lastIndexOf('\n', end - 1);
      const entry = parseEntry(text.slice(start + 1, end));
      if (entry !== null) entries.push(entry);
      end = start;
    }
  }
  return select(entries.reverse(), query);
}

function select(entries: readonly HistoryEntry[], query: EventQuery): readonly HistoryEntry[] {
  const since = query.sinceWallMs;
  const wanted = since === null ? entries : entries.filter((entry) => entry.wallMs > since);
  return query.limit <= 0 ? [] : wanted.slice(-query.limit);
}

function parseEntry(line: string): HistoryEntry | null {
  if (line === '') return null;
  try {
    const value: unknown = JSON.parse(line);
    return isEntry(value) ? value : null;
  } catch {
    return null;
  }
}

function isEntry(value: unknown): value is HistoryEntry {
  if (typeof value !== 'object' || value === null) return false;
  const entry = value as Partial<Record<keyof HistoryEntry, unknown>>;
  return typeof entry.wallMs === 'number' && typeof entry.kind === 'string' && typeof entry.text === 'string';
}
