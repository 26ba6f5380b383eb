/** The two kinds of CSV: traces of probes, and lists of outages. Bad cells are told with their line. */
import type { SilenceCause } from '../../core/judgement/memory.js';
import type { Link } from '../link.js';
import { Cells } from './cells.js';
import { ProbeCutter, Silences } from './cut.js';
import { SourceError, shown } from './problem.js';
import { isTime, isTooLong, noTime, WANTED_TIME, yearsText } from './times.js';

/** Fed with the lines behind the header (or with all, for formats without one), then asked for the link. */
export interface RecordReader {
  line(bytes: Buffer, from: number, to: number, line: number): void;
  /** @param originWallMs Unix ms of the recording's 0, where it is known from elsewhere */
  link(originWallMs: number | null): Link;
  /** what was noticed and people should know */
  readonly notes: readonly string[];
}

/** Times from here on are Unix ms, not ms since some beginning: 1973, or a recording of three years. */
const UNIX_FROM_MS = 1e11;
/** What lies before the first outage of a list and after the last nobody knows; so much is played, as good. */
const LEAD_MS = 60_000;
const TAIL_MS = 3_600_000;
/** The dish of a satellite link that starts: no outage of the link. */
const NO_OUTAGE = 'BOOTING';
const CAUSES: Readonly<Record<string, SilenceCause>> = {
  carrier: 'carrier',
  'carrier-lost': 'carrier',
  'interface-gone': 'carrier',
  gateway: 'gateway',
  'gateway-silent': 'gateway',
};

/** The reader for these columns; null = they are none of ours. */
export function csvReader(name: string, columns: readonly string[]): RecordReader | null {
  if (columns.includes('duration_ms') && columns.includes('start_ms')) return new OutageReader(name, columns);
  if (columns.includes('duration_s') && columns.includes('state')) return new StateReader(name, columns);
  if (columns.includes('t_ms') && columns.includes('rtt_ms')) return new TraceReader(name, columns);
  return null;
}

const AFTER = 'after the one before';

class Row {
  readonly cells = new Cells();
  #line = 0;

  constructor(
    private readonly name: string,
    private readonly columns: readonly string[],
  ) {}

  read(bytes: Buffer, from: number, to: number, line: number, wanted: number): void {
    this.#line = line;
    this.cells.read(bytes, from, to);
    if (this.cells.count <= wanted) {
      throw this.problem(
        `${this.cells.count} column(s) in ${shown(bytes.toString('latin1', from, to))}, ${this.columns.length} are wanted`,
      );
    }
  }

  number(index: number, least = Number.NEGATIVE_INFINITY): number {
    const value = this.cells.number(index);
    if (value >= least) return value;
    const what = `${this.columns[index]} ${shown(this.cells.text(index))}`;
    throw this.problem(Number.isNaN(value) ? `${what} is not a number` : `${what} is negative`);
  }

  /** @param formerMs the time of the row before; NaN = there is none */
  time(index: number, formerMs: number): number {
    const ms = this.number(index);
    const what = `${this.columns[index]} ${shown(this.cells.text(index))}`;
    if (!isTime(ms)) throw noTime(`${this.name}:${this.#line}: ${what}`);
    if (ms < formerMs) throw this.problem(`time runs backwards: ${this.columns[index]} ${ms} after ${formerMs}`);
    return ms;
  }

  /** @param wanted the unit */
  length(index: number, unitMs: number, wanted: string): number {
    const value = this.number(index, 0);
    if (!isTooLong(value * unitMs)) return value;
    const what = `${this.columns[index]} ${shown(this.cells.text(index))}`;
    throw this.problem(`${what}: ${yearsText(value * unitMs)}`, `Wanted: ${wanted}.`);
  }

  refuseJump(index: number, byMs: number, from: string): void {
    if (!isTooLong(byMs)) return;
    throw this.problem(`${this.columns[index]} ${shown(this.cells.text(index))} is ${yearsText(byMs)} ${from}`, WANTED_TIME);
  }

  problem(message: string, remedy: string | null = null): SourceError {
    return new SourceError(`${this.name}:${this.#line}: ${message}`, remedy);
  }
}

class TraceReader implements RecordReader {
  readonly notes: readonly string[] = [];
  readonly #row: Row;
  readonly #time: number;
  readonly #rtt: number;
  readonly #last: number;
  readonly #cutter: ProbeCutter;
  #originMs = 0;
  #formerMs = Number.NaN;

  constructor(
    private readonly name: string,
    columns: readonly string[],
  ) {
    this.#row = new Row(name, columns);
    this.#time = columns.indexOf('t_ms');
    this.#rtt = columns.indexOf('rtt_ms');
    this.#last = Math.max(this.#time, this.#rtt);
    this.#cutter = new ProbeCutter(name);
  }

  line(bytes: Buffer, from: number, to: number, line: number): void {
    this.#row.read(bytes, from, to, line, this.#last);
    const atMs = this.#row.time(this.#time, this.#formerMs);
    const rttMs = this.#row.cells.isEmpty(this.#rtt) ? Number.NaN : this.#row.number(this.#rtt, 0);
    this.#row.refuseJump(this.#time, atMs - this.#formerMs, AFTER);
    if (this.#cutter.count === 0 && atMs >= UNIX_FROM_MS) this.#originMs = atMs;
    this.#formerMs = atMs;
    this.#cutter.probe(atMs - this.#originMs, rttMs);
  }

  link(originWallMs: number | null): Link {
    if (this.#cutter.count === 0) throw new SourceError(`${this.name}: no probe follows the header`);
    return this.#cutter.link(this.#originMs > 0 ? this.#originMs : originWallMs);
  }
}

class OutageReader implements RecordReader {
  readonly notes: string[] = [];
  readonly #row: Row;
  readonly #start: number;
  readonly #length: number;
  readonly #cause: number;
  readonly #last: number;
  readonly #silences: Silences;
  #originMs = 0;
  #formerMs = Number.NaN;
  /** the last one that has a length */
  #lastMs = Number.NaN;
  #firstMs = 0;
  #endMs = 0;

  constructor(
    private readonly name: string,
    columns: readonly string[],
  ) {
    this.#row = new Row(name, columns);
    this.#start = columns.indexOf('start_ms');
    this.#length = columns.indexOf('duration_ms');
    this.#cause = columns.indexOf('cause');
    this.#last = Math.max(this.#start, this.#length);
    this.#silences = new Silences(name);
  }

  line(bytes: Buffer, from: number, to: number, line: number): void {
    this.#row.read(bytes, from, to, line, this.#last);
    const startMs = this.#row.number(this.#start);
    const lengthMs = this.#row.length(this.#length, 1, 'ms');
    const cause = this.#cause < 0 ? '' : this.#row.cells.text(this.#cause);
    if (cause === NO_OUTAGE) return;
    this.#formerMs = this.#row.time(this.#start, this.#formerMs);
    if (lengthMs > 0) this.#lasting(startMs);
    // Nobody felt one without length: it says nothing of when the recording was, but makes a hold begin anew.
    else if (Number.isNaN(this.#lastMs)) return;
    const fromMs = startMs - this.#originMs;
    if (lengthMs > 0) this.#endMs = Math.max(this.#endMs, fromMs + lengthMs);
    this.#silences.add(fromMs, fromMs + lengthMs, CAUSES[cause] ?? 'upstream');
  }

  #lasting(startMs: number): void {
    if (Number.isNaN(this.#lastMs)) {
      this.#row.refuseJump(this.#start, -startMs, 'before the beginning');
      if (startMs >= UNIX_FROM_MS) this.#originMs = startMs - LEAD_MS;
      this.#firstMs = startMs - this.#originMs;
    }
    this.#row.refuseJump(this.#start, startMs - this.#lastMs, AFTER);
    this.#lastMs = startMs;
  }

  link(originWallMs: number | null): Link {
    if (Number.isNaN(this.#formerMs)) throw new SourceError(`${this.name}: no outage follows the header`);
    this.notes.push(`${this.name}: a list of outages: what lies between them, and an hour behind the last, counts as good`);
    const toMs = this.#endMs + TAIL_MS;
    return {
      name: this.name,
      originWallMs: this.#originMs > 0 ? this.#originMs : originWallMs,
      span: { fromMs: Math.min(0, this.#firstMs - LEAD_MS), toMs },
      openEnded: true,
      silences: this.#silences.all.filter(({ fromMs }) => fromMs < toMs),
      lossy: [],
      rtts: [],
      unwatchedMs: 0,
    };
  }
}

class StateReader implements RecordReader {
  readonly notes: readonly string[] = [];
  readonly #row: Row;
  readonly #state: number;
  readonly #length: number;
  readonly #last: number;
  readonly #silences: Silences;
  #nowMs = 0;
  #count = 0;

  constructor(
    private readonly name: string,
    columns: readonly string[],
  ) {
    this.#row = new Row(name, columns);
    this.#state = columns.indexOf('state');
    this.#length = columns.indexOf('duration_s');
    this.#last = Math.max(this.#state, this.#length);
    this.#silences = new Silences(name);
  }

  line(bytes: Buffer, from: number, to: number, line: number): void {
    this.#row.read(bytes, from, to, line, this.#last);
    const state = this.#row.cells.text(this.#state);
    if (state !== 'up' && state !== 'down') throw this.#row.problem(`state ${shown(state)} is neither up nor down`);
    const lengthMs = 1000 * this.#row.length(this.#length, 1000, 'seconds');
    if (state === 'down') this.#silences.add(this.#nowMs, this.#nowMs + lengthMs, 'upstream');
    this.#nowMs += lengthMs;
    this.#count += 1;
  }

  link(originWallMs: number | null): Link {
    if (this.#count === 0) throw new SourceError(`${this.name}: no state follows the header`);
    return {
      name: this.name,
      originWallMs,
      span: { fromMs: 0, toMs: this.#nowMs },
      silences: this.#silences.all,
      lossy: [],
      rtts: [],
      unwatchedMs: 0,
    };
  }
}
