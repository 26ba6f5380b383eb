/**
 * Reads `history.db`, whether a daemon writes it or not; changes nothing in it. Blocks its caller: for the command line, never for the
 * daemon. Rows come in pieces, and no lock is held between two of them: a pager at the other end may take its time.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import type { Family, Reason } from '../core/model.js';
import type { EventRow, MinuteRow, OutageCause, OutageRow, PathRow, SampleRow, SwitchRow, TimeSpan, WatchedRow } from './rows.js';
import { decodeSamples } from './samples.js';
import { APPLICATION_ID, APPLICATION_ID_OFFSET, MINUTE_MS, SCHEMA_VERSION } from './schema.js';
import { isDamage, openSqlite, SqlError, type Sqlite, type SqlRow, type Statement } from './sqlite.js';

/** All spans are Unix ms, half-open; rows are in order of time. What is longer than a moment comes when it overlaps the span. */
export interface History {
  /** From the first thing known to the last; null = nothing is. */
  span(): TimeSpan | null;
  /** every uplink and family that was ever watched, in the order in which they came */
  paths(): readonly PathRow[];
  outages(fromMs: number, toMs: number): readonly OutageRow[];
  switches(fromMs: number, toMs: number): readonly SwitchRow[];
  watched(fromMs: number, toMs: number): readonly WatchedRow[];
  events(fromMs: number, toMs: number): Iterable<EventRow>;
  /** millions of rows a year: they are read as they are taken */
  minutes(fromMs: number, toMs: number): Iterable<MinuteRow>;
  /** single samples, kept for days; within one minute target by target */
  samples(fromMs: number, toMs: number): Iterable<SampleRow>;
  close(): void;
}

export type HistoryFault = 'missing' | 'denied' | 'foreign' | 'newer' | 'damaged' | 'unreadable';

/** Why there is nothing to read; `message` is a sentence with the path. */
export class HistoryError extends Error {
  override readonly name = 'HistoryError';

  constructor(
    readonly fault: HistoryFault,
    message: string,
  ) {
    super(message);
  }
}

/** Rows taken from the file at once. */
const PIECE = 5_000;
const HEADER_BYTES = 100;

/** @throws HistoryError */
export function openHistory(path: string): History {
  return telling(path, () => {
    requireOurs(path);
    const sqlite = openForReading(path);
    const version = Number(sqlite.value('PRAGMA user_version'));
    if (version > SCHEMA_VERSION) {
      throw new HistoryError('newer', `${path} was written by a later version of Backroute (its version is ${version})`);
    }
    return new OpenHistory(path, sqlite);
  });
}

class OpenHistory implements History {
  readonly #path: string;
  readonly #sqlite: Sqlite;

  constructor(path: string, sqlite: Sqlite) {
    this.#path = path;
    this.#sqlite = sqlite;
  }

  span(): TimeSpan | null {
    const [first] = this.#all(
      `SELECT min(a), max(b) FROM (
        SELECT min(from_ms) AS a, max(to_ms) AS b FROM watched UNION ALL
        SELECT min(began_ms), max(coalesce(ended_ms, began_ms)) FROM outages UNION ALL
        SELECT min(at_ms), max(at_ms) FROM switches UNION ALL
        SELECT min(minute) * ${MINUTE_MS}, (max(minute) + 1) * ${MINUTE_MS} FROM minutes)`,
    );
    const [fromMs, toMs] = first ?? [];
    return typeof fromMs === 'number' && typeof toMs === 'number' ? { fromMs, toMs } : null;
  }

  paths(): readonly PathRow[] {
    return this.#all(
      `SELECT uplink, family, min(from_ms), max(to_ms) FROM paths LEFT JOIN watched ON paths.id = watched.path
       GROUP BY paths.id ORDER BY paths.id`,
    ).map(([uplink, family, fromMs, toMs]) => ({
      uplink: String(uplink),
      family: family as Family,
      watched: typeof fromMs === 'number' && typeof toMs === 'number' ? { fromMs, toMs } : null,
    }));
  }

  outages(fromMs: number, toMs: number): readonly OutageRow[] {
    return this.#all(
      `SELECT uplink, family, began_ms, ended_ms, cause, reason, severity, active, interrupted, borne
       FROM outages JOIN paths ON paths.id = path WHERE began_ms < ? AND coalesce(ended_ms, 9e18) > ? ORDER BY began_ms, outages.id`,
      toMs,
      fromMs,
    ).map(([uplink, family, beganMs, endedMs, cause, reason, severity, active, interrupted, borne]) => ({
      uplink: String(uplink),
      family: family as Family,
      beganMs: Number(beganMs),
      endedMs: endedMs as number | null,
      cause: cause as OutageCause,
      reason: reason as Reason | null,
      severity: severity as number | null,
      active: active === 1,
      interrupted: interrupted === 1,
      borne: borne === 1,
    }));
  }

  switches(fromMs: number, toMs: number): readonly SwitchRow[] {
    return this.#all(
      `SELECT at_ms, family, from_uplink, to_uplink, reason, felt_ms, ground FROM switches
       WHERE at_ms >= ? AND at_ms < ? ORDER BY at_ms, id`,
      fromMs,
      toMs,
    ).map(([atMs, family, from, to, reason, feltMs, ground]) => ({
      atMs: Number(atMs),
      family: family as Family,
      from: from as string | null,
      to: String(to),
      reason: reason as Reason | null,
      feltMs: Number(feltMs),
      ground: ground as string | null,
    }));
  }

  watched(fromMs: number, toMs: number): readonly WatchedRow[] {
    return this.#all(
      `SELECT uplink, family, from_ms, to_ms FROM watched JOIN paths ON paths.id = path
       WHERE to_ms > ? AND from_ms < ? ORDER BY from_ms, watched.id`,
      fromMs,
      toMs,
    ).map(([uplink, family, from, to]) => ({
      uplink: String(uplink),
      family: family as Family,
      fromMs: Number(from),
      toMs: Number(to),
    }));
  }

  *events(fromMs: number, toMs: number): Iterable<EventRow> {
    let after: readonly number[] = [fromMs, -1];
    for (;;) {
      const rows = this.#all(
        `SELECT at_ms, id, entry FROM events WHERE (at_ms, id) > (?, ?) AND at_ms < ? ORDER BY at_ms, id LIMIT ${PIECE}`,
        ...after,
        toMs,
      );
      for (const [, , text] of rows) {
        const entry = parsed(String(text));
        if (entry !== null) yield entry;
      }
      const last = rows.at(-1);
      if (last === undefined || rows.length < PIECE) return;
      after = [Number(last[0]), Number(last[1])];
    }
  }

  *minutes(fromMs: number, toMs: number): Iterable<MinuteRow> {
    const targets = this.#targets();
    // As one JSON text a piece: twice as fast as millions of rows one by one.
    const statement = this.#prepare(
      `SELECT json_group_array(json_array(minute, target, sent, lost, p50_us, p90_us, p99_us, max_us, jitter_us)) FROM (
        SELECT * FROM minutes WHERE (minute, target) > (?, ?) AND minute < ? ORDER BY minute, target LIMIT ${PIECE})`,
    );
    const end = Math.ceil(toMs / MINUTE_MS);
    for (let after = firstKey(fromMs); ; ) {
      const [text] = telling(this.#path, () => statement.get(...after, end)) ?? [];
      const rows = JSON.parse(String(text)) as [number, number, number, number, ...Us[]][];
      for (const [minute, target, sent, lost, p50, p90, p99, max, jitter] of rows) {
        const named = targets.get(target);
        if (named === undefined) continue;
        yield {
          minuteMs: minute * MINUTE_MS,
          uplink: named.uplink,
          family: named.family,
          target: named.target,
          sent,
          lost,
          p50Ms: milliseconds(p50),
          p90Ms: milliseconds(p90),
          p99Ms: milliseconds(p99),
          maxMs: milliseconds(max),
          jitterMs: milliseconds(jitter),
        };
      }
      const last = rows.at(-1);
      if (last === undefined || rows.length < PIECE) return;
      after = [last[0], last[1]];
    }
  }

  *samples(fromMs: number, toMs: number): Iterable<SampleRow> {
    const targets = this.#targets();
    const statement = this.#prepare(
      `SELECT minute, target, data FROM samples WHERE (minute, target) > (?, ?) AND minute < ? ORDER BY minute, target LIMIT ${PIECE}`,
    );
    const end = Math.ceil(toMs / MINUTE_MS);
    // The first minute may have begun before the span.
    for (let after = firstKey(fromMs - MINUTE_MS + 1); ; ) {
      const rows = telling(this.#path, () => statement.all(...after, end));
      for (const [minute, target, data] of rows) {
        const named = targets.get(Number(target));
        if (named === undefined || !(data instanceof Uint8Array)) continue;
        for (const { offsetMs, rttMs } of decodeSamples(data)) {
          const atMs = Number(minute) * MINUTE_MS + offsetMs;
          if (atMs >= fromMs && atMs < toMs) {
            yield { atMs, uplink: named.uplink, family: named.family, target: named.target, rttMs };
          }
        }
      }
      const last = rows.at(-1);
      if (last === undefined || rows.length < PIECE) return;
      after = [Number(last[0]), Number(last[1])];
    }
  }

  close(): void {
    this.#sqlite.close();
  }

  #targets(): ReadonlyMap<number, { readonly uplink: string; readonly family: Family; readonly target: string }> {
    const rows = this.#all('SELECT targets.id, uplink, family, label FROM targets JOIN paths ON paths.id = path');
    return new Map(
      rows.map(([id, uplink, family, label]) => [
        Number(id),
        { uplink: String(uplink), family: family as Family, target: String(label) },
      ]),
    );
  }

  #prepare(sql: string): Statement {
    return telling(this.#path, () => this.#sqlite.prepare(sql));
  }

  #all(sql: string, ...values: readonly number[]): SqlRow[] {
    const statement = this.#prepare(sql);
    return telling(this.#path, () => statement.all(...values));
  }
}

/** Null = damaged: the others are still worth reading. */
function parsed(text: string): EventRow | null {
  try {
    return JSON.parse(text) as EventRow;
  } catch {
    return null;
  }
}

type Us = number | null;

function milliseconds(value: Us | undefined): number | null {
  return typeof value === 'number' ? value / 1000 : null;
}

/** What stands before every row of the first whole minute: minute and target. */
function firstKey(fromMs: number): readonly [number, number] {
  return [Math.ceil(fromMs / MINUTE_MS) - 1, Number.MAX_SAFE_INTEGER];
}

/** By its first bytes: SQLite itself would make a new database of an empty file. */
function requireOurs(path: string): void {
  const header = Buffer.alloc(HEADER_BYTES);
  const file = openSync(path, 'r');
  let length: number;
  try {
    length = readSync(file, header, 0, HEADER_BYTES, 0);
  } finally {
    closeSync(file);
  }
  const isSqlite = length === HEADER_BYTES && header.toString('latin1', 0, 15) === 'SQLite format 3';
  if (!isSqlite) throw new HistoryError('foreign', `${path} is no history of Backroute: it is not an SQLite file`);
  if (header.readUInt32BE(APPLICATION_ID_OFFSET) !== APPLICATION_ID) {
    throw new HistoryError('foreign', `${path} is no history of Backroute: it is an SQLite file of another program`);
  }
}

/** Where the folder may not be written, a file that nobody writes can still be read as it lies there. */
function openForReading(path: string): Sqlite {
  try {
    const sqlite = openSqlite(path, 'read');
    sqlite.value('SELECT count(*) FROM sqlite_master');
    return sqlite;
  } catch (error) {
    const journal = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
    if (journal > 0 || isDamage(error)) throw error;
    return openSqlite(path, 'still');
  }
}

function telling<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof HistoryError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new HistoryError('missing', `there is no history at ${path}`);
    if (code === 'EACCES' || code === 'EPERM') throw new HistoryError('denied', `${path} may not be read`);
    if (isDamage(error)) throw new HistoryError('damaged', `${path} is damaged: ${message}`);
    if (error instanceof SqlError) throw new HistoryError('unreadable', `${path} cannot be read: ${message} (${error.code})`);
    throw new HistoryError('unreadable', `${path} cannot be read: ${message}`);
  }
}
