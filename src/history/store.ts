/**
 * `history.db` as its one writer sees it: takes batches, each in one transaction, and keeps the file within its bounds. Blocks its
 * caller, which is the history's thread. Opening and checking is history-file.ts's, what an outage is book.ts's.
 */
import type { HistoryBatch, MinuteSamples, PathName, TargetName } from './batch.js';
import { type BookPort, HistoryBook } from './book.js';
import { Pruner } from './pruner.js';
import type { OutageRow } from './rows.js';
import { decodeSamples, encodeSamples, figuresOf, type Sample } from './samples.js';
import type { Sqlite, SqlRow, SqlValue } from './sqlite.js';

export class HistoryStore {
  readonly #sqlite: Sqlite;
  readonly #statements: Statements;
  readonly #pruner: Pruner;
  #paths: ReadonlyMap<string, number>;
  #targets: ReadonlyMap<string, number>;
  #book: HistoryBook;
  /** transactions committed since it was opened */
  written = 0;

  /** @param sqlite open for writing, with our tables in it */
  constructor(sqlite: Sqlite) {
    this.#sqlite = sqlite;
    this.#statements = prepare(sqlite);
    this.#pruner = new Pruner(sqlite);
    const named = new Map(rowsOf(sqlite, 'SELECT id, uplink, family FROM paths').map(([id, ...name]) => [id, name.join('/')]));
    this.#paths = new Map([...named].map(([id, name]) => [name, Number(id)]));
    const targets = rowsOf(sqlite, 'SELECT id, path, label FROM targets');
    this.#targets = new Map(targets.map(([id, path, label]) => [`${named.get(path ?? null)} ${label}`, Number(id)]));
    this.#book = new HistoryBook(this.#bookPort());
    this.#closeFormerRun();
  }

  /** Bytes in use, the journal not counted. */
  get bytes(): number {
    return this.#pruner.usedBytes();
  }

  /** All of it or nothing. @throws SqlError; the next batch may be tried all the same */
  write(batch: HistoryBatch): void {
    this.#inTransaction(() => {
      for (const entry of batch.entries) {
        this.#statements.addEvent.run(entry.wallMs, JSON.stringify(entry));
        this.#book.take(entry);
      }
      this.#book.settle(batch.standing, batch.nowMs);
      for (const samples of batch.samples) this.#addSamples(samples);
      this.#pruner.prune(batch.limits, batch.nowMs);
    });
    this.#pruner.afterwards(batch.limits);
  }

  /** Nobody watches from now on. Everything is in the one file afterwards. @throws SqlError */
  close(batch: HistoryBatch | null): void {
    try {
      if (batch !== null) {
        this.write(batch);
        this.#inTransaction(() => this.#book.close(batch.nowMs));
      }
      // libsql closes a file only when its statements have been collected: the journal would be left beside it.
      this.#sqlite.value('PRAGMA wal_checkpoint(TRUNCATE)');
    } finally {
      this.#sqlite.close();
    }
  }

  #inTransaction(work: () => void): void {
    const before = { book: this.#book.copy(), paths: this.#paths, targets: this.#targets };
    this.#sqlite.exec('BEGIN IMMEDIATE');
    try {
      work();
      this.#sqlite.exec('COMMIT');
      this.written += 1;
    } catch (error) {
      try {
        this.#sqlite.exec('ROLLBACK');
      } catch {
        // A full disk has rolled it back already.
      }
      this.#book = before.book;
      this.#paths = before.paths;
      this.#targets = before.targets;
      throw error;
    }
  }

  /** A run that was killed left rows open: they lasted as long as it watched. */
  #closeFormerRun(): void {
    this.#sqlite.exec(`UPDATE outages SET interrupted = 1, ended_ms = max(began_ms, coalesce(
      (SELECT max(to_ms) FROM watched WHERE watched.path = outages.path), began_ms)) WHERE ended_ms IS NULL`);
  }

  #bookPort(): BookPort {
    const statements = this.#statements;
    return {
      addOutage: (path, row) => {
        statements.addOutage.run(this.#pathId(path), ...columnsOf(row));
        return this.#lastId();
      },
      changeOutage: (id, row) => statements.changeOutage.run(...columnsOf(row), id),
      addSwitch: ({ atMs, family, from, to, reason, feltMs, ground }) =>
        statements.addSwitch.run(atMs, family, from, to, reason, feltMs, ground),
      addWatched: (path, { fromMs, toMs }) => {
        statements.addWatched.run(this.#pathId(path), fromMs, toMs);
        return this.#lastId();
      },
      endWatched: (id, toMs) => statements.endWatched.run(toMs, id),
    };
  }

  /** A minute may come in parts: the daemon was started anew within it, or the clock was set back. */
  #addSamples({ minute, target, values }: MinuteSamples): void {
    const id = this.#targetId(target);
    const samples: Sample[] = [];
    for (let at = 0; at + 1 < values.length; at += 2) {
      const rttMs = values[at + 1] ?? -1;
      samples.push({ offsetMs: values[at] ?? 0, rttMs: rttMs < 0 ? null : rttMs });
    }
    if (samples.length === 0) return;
    const former = this.#statements.samplesOf.get(minute, id)?.[0];
    const fresh = encodeSamples(samples);
    const data = former instanceof Uint8Array ? Buffer.concat([former, fresh]) : fresh;
    this.#statements.putSamples.run(minute, id, data);
    const figures = figuresOf(decodeSamples(data));
    const { sent, lost, p50Ms, p90Ms, p99Ms, maxMs, jitterMs } = figures;
    const times = [p50Ms, p90Ms, p99Ms, maxMs, jitterMs].map((ms) => (ms === null ? null : Math.round(ms * 1000)));
    this.#statements.putMinute.run(minute, id, sent, lost, ...times);
  }

  #pathId(path: PathName): number {
    const key = `${path.uplink}/${path.family}`;
    const known = this.#paths.get(key);
    if (known !== undefined) return known;
    this.#statements.addPath.run(path.uplink, path.family);
    const id = this.#lastId();
    this.#paths = new Map(this.#paths).set(key, id);
    return id;
  }

  #targetId(target: TargetName): number {
    const key = `${target.uplink}/${target.family} ${target.label}`;
    const known = this.#targets.get(key);
    if (known !== undefined) return known;
    this.#statements.addTarget.run(this.#pathId(target), target.label);
    const id = this.#lastId();
    this.#targets = new Map(this.#targets).set(key, id);
    return id;
  }

  #lastId(): number {
    return Number(this.#statements.lastId.get()?.[0]);
  }
}

function columnsOf(row: Omit<OutageRow, 'uplink' | 'family'>): SqlValue[] {
  const { beganMs, endedMs, cause, reason, severity, active, interrupted, borne } = row;
  const ended = endedMs === null ? null : Math.round(endedMs);
  return [Math.round(beganMs), ended, cause, reason, severity, Number(active), Number(interrupted), Number(borne)];
}

function rowsOf(sqlite: Sqlite, sql: string): SqlRow[] {
  return sqlite.prepare(sql).all();
}

type Statements = ReturnType<typeof prepare>;

function prepare(sqlite: Sqlite) {
  return {
    lastId: sqlite.prepare('SELECT last_insert_rowid()'),
    addPath: sqlite.prepare('INSERT INTO paths (uplink, family) VALUES (?, ?)'),
    addTarget: sqlite.prepare('INSERT INTO targets (path, label) VALUES (?, ?)'),
    addEvent: sqlite.prepare('INSERT INTO events (at_ms, entry) VALUES (?, ?)'),
    addOutage: sqlite.prepare(
      'INSERT INTO outages (path, began_ms, ended_ms, cause, reason, severity, active, interrupted, borne) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
    ),
    changeOutage: sqlite.prepare(
      `UPDATE outages SET began_ms = ?, ended_ms = ?, cause = ?, reason = ?, severity = ?, active = ?, interrupted = ?, borne = ?
       WHERE id = ?`,
    ),
    addSwitch: sqlite.prepare(
      'INSERT INTO switches (at_ms, family, from_uplink, to_uplink, reason, felt_ms, ground) VALUES (?, ?, ?, ?, ?, ?, ?)',
    ),
    addWatched: sqlite.prepare('INSERT INTO watched (path, from_ms, to_ms) VALUES (?, ?, ?)'),
    endWatched: sqlite.prepare('UPDATE watched SET to_ms = ? WHERE id = ?'),
    samplesOf: sqlite.prepare('SELECT data FROM samples WHERE minute = ? AND target = ?'),
    putSamples: sqlite.prepare('INSERT OR REPLACE INTO samples (minute, target, data) VALUES (?, ?, ?)'),
    putMinute: sqlite.prepare(
      `INSERT OR REPLACE INTO minutes (minute, target, sent, lost, p50_us, p90_us, p99_us, max_us, jitter_us)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
  };
}
