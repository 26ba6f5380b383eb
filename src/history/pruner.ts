/**
 * Keeps the file within its bounds: by age, and by bytes the oldest samples first, then the oldest minutes, then events, then what is
 * left. A little at a time: a clock that is wrong for an hour must not cost a year, and no transaction shall be large.
 */
import type { HistoryLimits } from './batch.js';
import { MINUTE_MS } from './schema.js';
import type { Sqlite } from './sqlite.js';

const DAY_MS = 86_400_000;
/** Outages, switches, events and times of watching. */
export const RECORDS_KEEP_MS = 5 * 365 * DAY_MS;
/** What a storm of events may take of the file: 350 bytes each. */
export const MAX_EVENTS = 50_000;
/** By age it is looked so seldom: each look writes pages at the old end of the tables. */
const AGE_EVERY_MS = 10 * MINUTE_MS;
/** By age whole minutes go, twice as many as come in between. */
const MINUTES_BY_AGE = 20;
const ROWS_AT_ONCE = 500;
/** Steps of deleting in one transaction; the next one goes on. */
const STEPS_AT_ONCE = 50;
/** Pages given back to the file system at once. */
const PAGES_AT_ONCE = 500;

export class Pruner {
  readonly #sqlite: Sqlite;
  readonly #pageBytes: number;
  #lastByAgeMs = Number.NEGATIVE_INFINITY;

  constructor(sqlite: Sqlite) {
    this.#sqlite = sqlite;
    this.#pageBytes = Number(sqlite.value('PRAGMA page_size'));
  }

  usedBytes(): number {
    return (this.#pragma('page_count') - this.#pragma('freelist_count')) * this.#pageBytes;
  }

  /** Within the caller's transaction. */
  prune(limits: HistoryLimits, nowMs: number): void {
    if (Math.abs(nowMs - this.#lastByAgeMs) >= AGE_EVERY_MS) {
      this.#lastByAgeMs = nowMs;
      this.#byAge(limits, nowMs);
    }
    const roomBytes = fileBytes(limits);
    for (let step = 0; step < STEPS_AT_ONCE && this.usedBytes() > roomBytes; step += 1) {
      if (!this.#deleteOldest()) return;
    }
  }

  /** Outside of any transaction: a file that is larger than it may be gives pages back. */
  afterwards(limits: HistoryLimits): void {
    if (this.#pragma('page_count') * this.#pageBytes <= fileBytes(limits)) return;
    if (this.#pragma('freelist_count') > 0) this.#sqlite.exec(`PRAGMA incremental_vacuum(${PAGES_AT_ONCE})`);
  }

  #byAge({ keepMs, rawMs }: HistoryLimits, nowMs: number): void {
    this.#deleteMinutes('samples', Math.floor((nowMs - rawMs) / MINUTE_MS));
    this.#deleteMinutes('minutes', Math.floor((nowMs - keepMs) / MINUTE_MS));
    const recordsMs = Math.round(nowMs - Math.max(RECORDS_KEEP_MS, keepMs));
    for (const [table, column] of [
      ['events', 'at_ms'],
      ['switches', 'at_ms'],
      ['outages', 'began_ms'],
      ['watched', 'to_ms'],
    ] as const) {
      this.#deleteOldestRows(table, column, recordsMs);
    }
    const surplus = Number(this.#sqlite.value('SELECT count(*) FROM events')) - MAX_EVENTS;
    if (surplus > 0) this.#deleteOldestRows('events', 'at_ms', Number.MAX_SAFE_INTEGER, surplus);
  }

  /** @returns whether there was anything */
  #deleteOldest(): boolean {
    for (const table of ['samples', 'minutes'] as const) {
      if (this.#deleteMinutes(table, Number.MAX_SAFE_INTEGER, 1)) return true;
    }
    for (const [table, column] of [
      ['events', 'at_ms'],
      ['outages', 'began_ms'],
      ['switches', 'at_ms'],
      ['watched', 'to_ms'],
    ] as const) {
      if (this.#deleteOldestRows(table, column, Number.MAX_SAFE_INTEGER)) return true;
    }
    return false;
  }

  #deleteMinutes(table: 'samples' | 'minutes', beforeMinute: number, atOnce = MINUTES_BY_AGE): boolean {
    const oldest = this.#sqlite.value(`SELECT min(minute) FROM ${table}`);
    if (oldest === null || Number(oldest) >= beforeMinute) return false;
    const end = Math.min(beforeMinute, Number(oldest) + atOnce);
    this.#sqlite.exec(`DELETE FROM ${table} WHERE minute < ${end}`);
    return true;
  }

  #deleteOldestRows(table: string, column: string, beforeMs: number, rows = ROWS_AT_ONCE): boolean {
    const oldest = this.#sqlite.value(`SELECT min(${column}) FROM ${table}`);
    if (oldest === null || Number(oldest) >= beforeMs) return false;
    this.#sqlite.exec(
      `DELETE FROM ${table} WHERE id IN (SELECT id FROM ${table} WHERE ${column} < ${beforeMs} ORDER BY ${column} LIMIT ${Math.min(rows, ROWS_AT_ONCE)})`,
    );
    return true;
  }

  #pragma(name: string): number {
    return Number(this.#sqlite.value(`PRAGMA ${name}`));
  }
}

/** An eighth is for the journal and what it shares with readers. */
export function fileBytes({ maxBytes }: HistoryLimits): number {
  return Math.floor((maxBytes * 7) / 8);
}

/** Pages that may gather in the journal before they are carried into the file; it is written over from then on. */
export function journalPages({ maxBytes }: HistoryLimits, pageBytes: number): number {
  return Math.max(32, Math.min(1_000, Math.floor(maxBytes / 16 / pageBytes)));
}
