/**
 * Opens `history.db` for its writer: makes it where there is none, looks whether it is sound and ours, and sets it aside where it is not.
 * Blocks its caller, which is the history's thread.
 */
import { closeSync, existsSync, openSync, readdirSync, readSync, renameSync, statSync, unlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { HistoryLimits } from './batch.js';
import { journalPages } from './pruner.js';
import {
  AFTER_TABLES,
  APPLICATION_ID,
  APPLICATION_ID_OFFSET,
  BEFORE_TABLES,
  CHECKED_TABLES,
  SCHEMA_VERSION,
  TABLES,
} from './schema.js';
import { isDamage, openSqlite, SqlError, type Sqlite } from './sqlite.js';

/** Written by a later version of this program: it is left alone. */
export class NewerHistoryError extends Error {
  override readonly name = 'NewerHistoryError';
}

/** The file is damaged, or somebody else's; `message` is a predicate. */
export class DamagedHistoryError extends Error {
  override readonly name = 'DamagedHistoryError';
}

/** What lies beside the file and belongs to it. */
const BESIDE = ['-wal', '-shm', '-journal'] as const;
/** A disk that is dying makes a damaged file at every start. */
const KEPT_ASIDE = 2;
const SQLITE_MAGIC = 'SQLite format 3\0';
const FILE_MODE = 0o640;
/** Nobody else writes; who holds it all the same must not hold up the end of this process. */
const BUSY_MS = 500;

/**
 * @throws DamagedHistoryError when it must be set aside, NewerHistoryError, SqlError, or an errno error. The file may be held open all
 *   the same until the thread ends: libsql closes with its last statement's collection.
 */
export function openHistoryFile(path: string, limits: HistoryLimits): Sqlite {
  const { size } = statSync(path, { throwIfNoEntry: false }) ?? { size: 0 };
  // Somebody else's file is not opened at all: nothing beside it is touched.
  if (size > 0) requireMark(path);
  // SQLite gives what it puts beside the file the same owner and mode.
  else closeSync(openSync(path, 'a', FILE_MODE));
  const sqlite = openSqlite(path, 'write', BUSY_MS);
  try {
    if (Number(sqlite.value("SELECT count(*) FROM sqlite_master WHERE type = 'table'")) === 0) {
      // Before the journal is a WAL: the marks shall stand in the file itself.
      sqlite.exec(BEFORE_TABLES);
      sqlite.exec(`BEGIN IMMEDIATE; ${TABLES} ${AFTER_TABLES} COMMIT`);
    } else check(path, sqlite);
    configure(sqlite, limits);
    return sqlite;
  } catch (error) {
    sqlite.close();
    // SQLITE_ERROR: a table or a column is not there: somebody's hand, or pages lost.
    const damaged = isDamage(error) || (error instanceof SqlError && error.code === 'SQLITE_ERROR');
    throw damaged ? new DamagedHistoryError(`is damaged (${(error as Error).message})`) : error;
  }
}

/**
 * The file and what belongs to it get another name; nobody may hold it open, or closing it would delete what belongs to the new one.
 * @returns a sentence
 */
export function setAside(path: string, why: string, nowMs: number): string {
  const time = new Date(nowMs)
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(':', '');
  let aside = `${path}.damaged-${time}`;
  for (let again = 1; existsSync(aside); again += 1) aside = `${path}.damaged-${time}-${again}`;
  renameSync(path, aside);
  for (const suffix of BESIDE) if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix);
  forgetOld(path);
  return `${path} ${why}: set aside as ${basename(aside)}, a new history begins`;
}

/** @throws DamagedHistoryError */
function requireMark(path: string): void {
  const header = readHeader(path);
  const magic = header.toString('latin1', 0, SQLITE_MAGIC.length);
  if (magic !== SQLITE_MAGIC) throw new DamagedHistoryError('is not an SQLite file');
  if (header.readUInt32BE(APPLICATION_ID_OFFSET) !== APPLICATION_ID) {
    throw new DamagedHistoryError("is another program's SQLite file");
  }
}

/**
 * The tables that matter most are checked whole; those of minutes and samples, 99 % of the bytes, would take an SD card many seconds:
 * damage there shows when they are read or written, and the same is done then.
 */
function check(path: string, sqlite: Sqlite): void {
  const version = Number(sqlite.value('PRAGMA user_version'));
  if (version > SCHEMA_VERSION) {
    throw new NewerHistoryError(`${path} was written by a later version of Backroute: it is left alone, nothing is recorded`);
  }
  for (const table of CHECKED_TABLES) {
    const found = String(sqlite.value(`PRAGMA quick_check('${table}')`));
    if (found !== 'ok') throw new DamagedHistoryError(`is damaged (${found.split('\n')[0]})`);
  }
  for (const table of ['minutes', 'samples']) sqlite.value(`SELECT max(minute) FROM ${table}`);
}

/**
 * WAL: readers and the writer do not wait for each other, and a page that changes every minute is carried into the file once for many
 * minutes. FULL: each transaction is on the disk when it is over, one fsync a minute; with NORMAL a power cut could cost hours,
 * namely all since the journal was last carried over.
 */
function configure(sqlite: Sqlite, limits: HistoryLimits): void {
  const mode = sqlite.value('PRAGMA journal_mode = WAL');
  if (mode !== 'wal') throw new SqlError('SQLITE_CANTOPEN', `its journal is ${mode}, not wal`);
  sqlite.exec('PRAGMA synchronous = FULL');
  const pageBytes = Number(sqlite.value('PRAGMA page_size'));
  const pages = journalPages(limits, pageBytes);
  sqlite.value(`PRAGMA wal_autocheckpoint = ${pages}`);
  // After one that was larger: a great cleaning, or a reader that took its time.
  sqlite.value(`PRAGMA journal_size_limit = ${pages * pageBytes}`);
  // Memory for pages, KiB: a page or two of each table are all that is written.
  sqlite.exec('PRAGMA cache_size = -1024');
}

/** Only what was ours: somebody else's file is not ours to delete. */
function forgetOld(path: string): void {
  const prefix = `${basename(path)}.damaged-`;
  const aside = readdirSync(dirname(path))
    .filter((name) => name.startsWith(prefix) && !BESIDE.some((suffix) => name.endsWith(suffix)))
    .map((name) => join(dirname(path), name))
    .filter((old) => readHeader(old).readUInt32BE(APPLICATION_ID_OFFSET) === APPLICATION_ID)
    .sort();
  for (const old of aside.slice(0, -KEPT_ASIDE)) {
    for (const suffix of ['', ...BESIDE]) if (existsSync(old + suffix)) unlinkSync(old + suffix);
  }
}

/** Zeros where the file is shorter. */
function readHeader(path: string): Buffer {
  const header = Buffer.alloc(APPLICATION_ID_OFFSET + 4);
  const file = openSync(path, 'r');
  try {
    readSync(file, header, 0, header.length, 0);
  } finally {
    closeSync(file);
  }
  return header;
}
