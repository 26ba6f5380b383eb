/**
 * The tables of `history.db` and the marks by which it is known as ours. Times are Unix ms, those of minutes and samples Unix minutes:
 * two bytes a row less. Knows no rows.
 */

export const HISTORY_FILE = 'history.db';
/** PRAGMA application_id, at byte 68 of the file: "Brte". */
export const APPLICATION_ID = 0x42727465;
export const APPLICATION_ID_OFFSET = 68;
/** PRAGMA user_version */
export const SCHEMA_VERSION = 1;

/** For a new file, before its first table. Freed pages can be given back later: the size in the configuration may shrink. */
export const BEFORE_TABLES = 'PRAGMA auto_vacuum = INCREMENTAL';

export const TABLES = `
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE paths (id INTEGER PRIMARY KEY, uplink TEXT NOT NULL, family INTEGER NOT NULL, UNIQUE (uplink, family));
CREATE TABLE targets (id INTEGER PRIMARY KEY, path INTEGER NOT NULL, label TEXT NOT NULL, UNIQUE (path, label));
CREATE TABLE outages (
  id INTEGER PRIMARY KEY, path INTEGER NOT NULL, began_ms INTEGER NOT NULL, ended_ms INTEGER, cause TEXT NOT NULL, reason TEXT,
  severity REAL, active INTEGER NOT NULL, interrupted INTEGER NOT NULL, borne INTEGER NOT NULL);
CREATE INDEX outages_began ON outages (began_ms);
CREATE TABLE switches (
  id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, family INTEGER NOT NULL, from_uplink TEXT, to_uplink TEXT NOT NULL, reason TEXT,
  felt_ms INTEGER NOT NULL, ground TEXT);
CREATE INDEX switches_at ON switches (at_ms);
CREATE TABLE watched (id INTEGER PRIMARY KEY, path INTEGER NOT NULL, from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL);
CREATE TABLE events (id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, entry TEXT NOT NULL);
CREATE INDEX events_at ON events (at_ms);
CREATE TABLE minutes (
  minute INTEGER NOT NULL, target INTEGER NOT NULL, sent INTEGER NOT NULL, lost INTEGER NOT NULL, p50_us INTEGER, p90_us INTEGER,
  p99_us INTEGER, max_us INTEGER, jitter_us INTEGER, PRIMARY KEY (minute, target)) WITHOUT ROWID;
CREATE TABLE samples (minute INTEGER NOT NULL, target INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (minute, target)) WITHOUT ROWID;
`;

export const AFTER_TABLES = `PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${SCHEMA_VERSION};`;

/** What damage would hurt most, and small: checked whole at every start. */
export const CHECKED_TABLES = ['meta', 'paths', 'targets', 'outages', 'switches', 'watched', 'events'] as const;

export const MINUTE_MS = 60_000;
