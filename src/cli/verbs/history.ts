/** `backroute history`: outages, availability, switches and figures, from the file in the state directory, daemon or not. */
import { join } from 'node:path';
import { availabilityOf } from '../../history/availability.js';
import { type History, HistoryError, openHistory } from '../../history/reader.js';
import type { OutageRow } from '../../history/rows.js';
import { HISTORY_FILE } from '../../history/schema.js';
import { ExitError } from '../exit-error.js';
import { availabilityRow, COLUMNS, csvLines, minuteRow, outageRow, type Row, switchRow } from '../history/rows.js';
import { availabilityText, minuteLines, outageListText, spanText, switchesText } from '../history/text.js';
import { momentOf, monthsOf, utcTime } from '../history/time.js';
import type { Io } from '../io.js';
import type { Places } from '../places.js';

export const SUBJECTS = ['availability', 'outages', 'switches', 'minutes'] as const;
export type Subject = (typeof SUBJECTS)[number];

export interface HistoryOptions {
  readonly since?: string;
  readonly until?: string;
  readonly uplink?: string;
  readonly json?: boolean;
  readonly csv?: boolean;
  /** silences that were borne are listed too */
  readonly all?: boolean;
}

const DAY_MS = 86_400_000;
/** Where nothing is said; of minutes there are 1,440 a day and target. */
const USUAL_MS = { availability: 90 * DAY_MS, outages: 90 * DAY_MS, switches: 90 * DAY_MS, minutes: DAY_MS };

const LINES_AT_ONCE = 500;

/** @throws ExitError */
export function history(places: Places, subject: Subject | null, options: HistoryOptions, io: Io, nowMs = Date.now()): void {
  if (options.json === true && options.csv === true) throw new ExitError(1, '--json and --csv: only one of them can be had');
  const toMs = options.until === undefined ? nowMs : momentOf('--until', options.until, nowMs, true);
  const usualMs = nowMs - USUAL_MS[subject ?? 'availability'];
  const fromMs = options.since === undefined ? Math.min(usualMs, toMs) : momentOf('--since', options.since, nowMs);
  if (fromMs >= toMs) throw new ExitError(1, '--since: it lies after the end of the time that is asked for');
  const open = opened(join(places.stateDir, HISTORY_FILE));
  try {
    const report = new Report(open, fromMs, Math.min(toMs, nowMs), options, io);
    if (options.json === true) report.json(subject);
    else if (options.csv === true) report.csv(subject ?? 'outages');
    else report.text(subject);
  } catch (error) {
    throw error instanceof HistoryError ? exitOf(error) : error;
  } finally {
    open.close();
  }
}

function opened(path: string): History {
  try {
    return openHistory(path);
  } catch (error) {
    throw error instanceof HistoryError ? exitOf(error) : error;
  }
}

function exitOf({ fault, message }: HistoryError): ExitError {
  const remedies: Readonly<Partial<Record<HistoryError['fault'], string>>> = {
    missing: 'the daemon begins it; name another place with --state-dir',
    denied: 'run it as root',
    damaged: 'the daemon sets a damaged file aside when it is started, and begins a new one',
    newer: 'use the version that wrote it',
    // A journal without its index, in a folder of somebody else's.
    ...(process.geteuid?.() === 0 ? {} : { unreadable: 'run it as root' }),
  };
  return new ExitError(fault === 'denied' ? 3 : 1, message, remedies[fault] ?? null);
}

class Report {
  readonly #history: History;
  readonly #fromMs: number;
  readonly #toMs: number;
  readonly #options: HistoryOptions;
  readonly #io: Io;

  constructor(open: History, fromMs: number, toMs: number, options: HistoryOptions, io: Io) {
    this.#history = open;
    this.#options = options;
    this.#io = io;
    // What lies before anything was known is no time of which nothing is known.
    this.#fromMs = Math.max(fromMs, open.span()?.fromMs ?? fromMs);
    this.#toMs = Math.max(this.#fromMs, toMs);
    const { uplink } = options;
    const known = [...new Set(open.paths().map((path) => path.uplink))];
    if (uplink !== undefined && !known.includes(uplink)) {
      throw new ExitError(
        1,
        `--uplink: the history knows no ${uplink}`,
        known.length === 0 ? null : `it knows ${known.join(', ')}`,
      );
    }
  }

  text(subject: Subject | null): void {
    const { paint, out } = this.#io;
    if (subject === 'minutes') {
      this.#pour(minuteLines(this.#minutes(), paint));
      return;
    }
    out(spanText({ fromMs: this.#fromMs, toMs: this.#toMs }));
    if (subject === null || subject === 'availability') out(`\n${availabilityText(this.#availability(), paint)}`);
    if (subject === null || subject === 'outages') {
      const all = this.#outages();
      const listed = this.#options.all === true ? all : all.filter(({ borne }) => !borne);
      out(`\n${outageListText(listed, all.length - listed.length, paint)}`);
    }
    if (subject === 'switches') out(`\n${switchesText(this.#switches(), paint)}`);
  }

  json(subject: Subject | null): void {
    const wanted = (one: Subject): boolean => subject === one || (subject === null && one !== 'minutes');
    this.#pour(this.#jsonPieces(SUBJECTS.filter(wanted)));
  }

  /** One object, a row a line, as they come. */
  *#jsonPieces(subjects: readonly Subject[]): Iterable<string> {
    yield `{\n  "version": 1,\n  "from": "${utcTime(this.#fromMs)}",\n  "to": "${utcTime(this.#toMs)}"`;
    for (const subject of subjects) {
      yield `,\n  "${subject}": [`;
      let comma = '';
      for (const row of this.#rows(subject)) {
        yield `${comma}\n    ${JSON.stringify(row)}`;
        comma = ',';
      }
      yield comma === '' ? ']' : '\n  ]';
    }
    yield '\n}\n';
  }

  csv(subject: Subject): void {
    this.#pour(csvLines(COLUMNS[subject], this.#rows(subject)));
  }

  /** Not line by line, of which there may be millions. */
  #pour(lines: Iterable<string>): void {
    let piece: string[] = [];
    for (const line of lines) {
      piece.push(line);
      if (piece.length < LINES_AT_ONCE) continue;
      this.#io.out(piece.join(''));
      piece = [];
    }
    if (piece.length > 0) this.#io.out(piece.join(''));
  }

  *#rows(subject: Subject): Iterable<Row> {
    if (subject === 'availability') yield* this.#availability().map(availabilityRow);
    else if (subject === 'outages') yield* this.#outages().map(outageRow);
    else if (subject === 'switches') yield* this.#switches().map(switchRow);
    else for (const row of this.#minutes()) yield minuteRow(row);
  }

  #wanted = ({ uplink }: { readonly uplink: string }): boolean =>
    this.#options.uplink === undefined || this.#options.uplink === uplink;

  #availability() {
    return availabilityOf({
      paths: this.#history.paths().filter(this.#wanted),
      months: monthsOf(this.#fromMs, this.#toMs),
      outages: this.#history.outages(this.#fromMs, this.#toMs),
      watched: this.#history.watched(this.#fromMs, this.#toMs),
    });
  }

  #outages(): OutageRow[] {
    return this.#history.outages(this.#fromMs, this.#toMs).filter(this.#wanted);
  }

  #switches() {
    const { uplink } = this.#options;
    const rows = this.#history.switches(this.#fromMs, this.#toMs);
    return uplink === undefined ? rows : rows.filter(({ from, to }) => from === uplink || to === uplink);
  }

  *#minutes() {
    for (const row of this.#history.minutes(this.#fromMs, this.#toMs)) if (this.#wanted(row)) yield row;
  }
}
