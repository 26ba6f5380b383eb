/**
 * The one door to `libsql`: opens a file, runs statements, says in one shape what went wrong. Blocks its caller: in the daemon it
 * is loaded by the history's thread alone. Knows no table.
 */
import Database from 'libsql';

export type SqlValue = number | string | Uint8Array | null;
export type SqlRow = readonly (number | string | Buffer | null)[];

/** A prepared statement. It must not be used after `close()`. */
export interface Statement {
  run(...values: readonly SqlValue[]): void;
  /** undefined = no row */
  get(...values: readonly SqlValue[]): SqlRow | undefined;
  all(...values: readonly SqlValue[]): SqlRow[];
}

export interface Sqlite {
  prepare(sql: string): Statement;
  /** One or more statements without values. */
  exec(sql: string): void;
  /** First column of the first row. */
  value(sql: string): number | string | null;
  close(): void;
}

/** `code` is SQLite's name for the result (SQLITE_FULL, SQLITE_CORRUPT, …). */
export class SqlError extends Error {
  override readonly name = 'SqlError';

  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** What says that the file's content is at fault, not the disk or the permissions. */
export function isDamage(error: unknown): boolean {
  return error instanceof SqlError && /^SQLITE_(CORRUPT|NOTADB)/.test(error.code);
}

/**
 * @param access `read` never writes nor creates the file (but may make its -shm beside it); `still` reads a file that nobody writes
 *   and touches nothing at all
 * @throws SqlError
 */
export function openSqlite(path: string, access: 'write' | 'read' | 'still', busyTimeoutMs = 5_000): Sqlite {
  // libsql takes no `readonly` option, but an URI: https://www.sqlite.org/uri.html
  const query = { write: 'mode=rw', read: 'mode=ro', still: 'mode=ro&immutable=1' }[access];
  const database = trying(() => new Database(`file:${encodeURI(path).replace(/[?#]/g, encodeURIComponent)}?${query}`));
  const prepare = (sql: string): Statement => {
    const statement = trying(() => database.prepare(sql));
    if (statement.reader) statement.raw();
    // As one list: a single null or blob would be taken for an object of named values.
    return {
      run: (...values) => void trying(() => statement.run(values)),
      get: (...values) => trying(() => statement.get(values)) as SqlRow | undefined,
      all: (...values) => trying(() => statement.all(values)) as SqlRow[],
    };
  };
  const sqlite: Sqlite = {
    prepare,
    exec: (sql) => void trying(() => database.exec(sql)),
    value: (sql) => (prepare(sql).get()?.[0] ?? null) as number | string | null,
    close: () => void trying(() => database.close()),
  };
  sqlite.value(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
  return sqlite;
}

function trying<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: unknown };
    // What cannot be opened at all comes as a text with the number behind it.
    const opening = /^ConnectionFailed\("(.*): (\d+)"\)$/.exec(String(message));
    if (opening !== null) throw new SqlError(opening[2] === '14' ? 'SQLITE_CANTOPEN' : `SQLITE_${opening[2]}`, opening[1] ?? '');
    throw new SqlError(typeof code === 'string' && code !== '' ? code : 'SQLITE_ERROR', String(message));
  }
}
