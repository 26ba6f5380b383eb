/**
 * From what happened to outages, switches and times of watching: keeps for each path the rows that are open, and says what is to
 * be written. Two sources tell of the same outage: the change of health (at once, for people) and the record of the silence (when it
 * is over, exact); they end in one row. Pure but for the rows it asks its port to write.
 */
import type { HistoryEntry } from '../core/entry.js';
import type { Family, Reason } from '../core/model.js';
import type { PathName, Standing } from './batch.js';
import type { OutageCause, OutageRow, SwitchRow, TimeSpan } from './rows.js';

/** Ids are given by the port; they stay valid for ever. */
export interface BookPort {
  addOutage(path: PathName, row: Omit<OutageRow, 'uplink' | 'family'>): number;
  changeOutage(id: number, row: Omit<OutageRow, 'uplink' | 'family'>): void;
  addSwitch(row: SwitchRow): void;
  addWatched(path: PathName, span: TimeSpan): number;
  endWatched(id: number, toMs: number): void;
}

type Outage = { readonly id: number } & Omit<OutageRow, 'uplink' | 'family'>;

interface PathBook {
  readonly path: PathName;
  /** the last ones, open or over: a silence, and a time of loss or of slow answers */
  down: Outage | null;
  weak: Outage | null;
  watched: ({ readonly id: number } & TimeSpan) | null;
  /** why it was borne so long, as last said */
  ground: string | null;
  /** from the beginning of the silence to the verdict, ms; null = not told */
  borneMs: number | null;
}

/** Two tellings of one outage differ by less: a burst, half an interval. */
const SAME_MS = 5_000;
/** The clock was set while it lasted: then the length counts that was measured, not the difference of two times of day. */
const CLOCK_MS = 5_000;

const CAUSES: Readonly<Partial<Record<Reason, OutageCause>>> = {
  'carrier-lost': 'carrier',
  'interface-gone': 'carrier',
  'no-address': 'carrier',
  'no-gateway': 'carrier',
  'gateway-unresolved': 'carrier',
  'gateway-silent': 'gateway',
  'upstream-silent': 'upstream',
  silent: 'upstream',
  'no-route': 'upstream',
  unreachable: 'upstream',
  'loss-high': 'loss',
};

export class HistoryBook {
  readonly #port: BookPort;
  readonly #paths = new Map<string, PathBook>();
  readonly #active = new Map<Family, string>();

  constructor(port: BookPort) {
    this.#port = port;
  }

  /** As it is now, to go back to should the writing fail. */
  copy(): HistoryBook {
    const copy = new HistoryBook(this.#port);
    for (const [key, book] of this.#paths) copy.#paths.set(key, { ...book });
    for (const [family, uplink] of this.#active) copy.#active.set(family, uplink);
    return copy;
  }

  /** One thing that happened, in order. */
  take(entry: HistoryEntry): void {
    const { uplink, family } = entry;
    const { kind } = entry;
    if (kind === 'switch') this.#switched(entry);
    else if (kind === 'stall') this.#stalled(entry);
    else if (uplink === null || family === null) return;
    else if (kind === 'started') this.#active.set(family, uplink);
    else if (kind === 'health') this.#health(this.#of({ uplink, family }), entry);
    else if (kind === 'silence') this.#silence(this.#of({ uplink, family }), entry);
  }

  /** What is written must agree with how things stand now; whoever is not among them is not watched any more. */
  settle(standing: readonly Standing[], nowMs: number): void {
    const seen = new Set<PathBook>();
    for (const one of standing) {
      const book = this.#of(one);
      seen.add(book);
      this.#watch(book, one, nowMs);
      if (one.health === 'up') {
        this.#end(book, 'down', nowMs);
        this.#end(book, 'weak', nowMs);
      } else this.#begin(book, one.health === 'down' ? 'down' : 'weak', one.sinceMs, one.reason);
    }
    for (const book of this.#paths.values()) if (!seen.has(book)) this.#giveUp(book);
  }

  /** Nobody watches any more: what is open lasted at least until now. */
  close(nowMs: number): void {
    for (const book of this.#paths.values()) {
      if (book.watched !== null) this.#extend(book, nowMs);
      this.#giveUp(book);
    }
  }

  #of({ uplink, family }: PathName): PathBook {
    const key = `${uplink}/${family}`;
    const known = this.#paths.get(key);
    if (known !== undefined) return known;
    const book: PathBook = { path: { uplink, family }, down: null, weak: null, watched: null, ground: null, borneMs: null };
    this.#paths.set(key, book);
    return book;
  }

  // ---- outages -----------------------------------------------------------------------------------------------------

  #health(book: PathBook, { wallMs, to, from, reason, durationMs, data }: HistoryEntry): void {
    if (to === 'down') {
      // `still down`, for another reason: the duration is that of the former one.
      if (from !== 'down') book.borneMs = typeof data.silentMs === 'number' ? data.silentMs : 0;
      book.ground = typeof data.ground === 'string' ? data.ground : null;
      this.#end(book, 'weak', wallMs);
      this.#begin(book, 'down', wallMs - (book.borneMs ?? 0), reason);
      return;
    }
    // Nobody knows: that is settled with how things stand.
    if (to !== 'degraded' && to !== 'up') return;
    const heldMs = from === 'down' && durationMs !== null && book.borneMs !== null ? durationMs + book.borneMs : null;
    this.#end(book, 'down', wallMs, heldMs);
    if (to === 'degraded') this.#begin(book, 'weak', wallMs, reason);
    else this.#end(book, 'weak', wallMs, from === 'degraded' ? durationMs : null);
  }

  #begin(book: PathBook, kind: 'down' | 'weak', beganMs: number, reason: Reason | null): void {
    const last = book[kind];
    const cause = (reason === null ? undefined : CAUSES[reason]) ?? 'other';
    if (last !== null && last.endedMs === null) {
      // It is the same trouble, better known.
      if (last.reason !== reason) this.#change(book, kind, { ...last, reason, cause });
      return;
    }
    // Its end is known already, exactly: the change of health that tells of it is still to come.
    if (last?.endedMs != null && Math.abs(last.beganMs - beganMs) < SAME_MS && last.endedMs > beganMs) return;
    const { uplink, family } = book.path;
    const row = {
      beganMs,
      endedMs: null,
      cause,
      reason,
      severity: kind === 'down' ? 1 : null,
      active: this.#active.get(family) === uplink,
      interrupted: false,
      borne: false,
    };
    book[kind] = { id: this.#port.addOutage(book.path, row), ...row };
  }

  /** @param heldMs how long it lasted, as measured; null = not told */
  #end(book: PathBook, kind: 'down' | 'weak', endedMs: number, heldMs: number | null = null): void {
    const open = book[kind];
    if (open === null || open.endedMs !== null) return;
    const stepped = heldMs !== null && Math.abs(endedMs - open.beganMs - heldMs) > CLOCK_MS + heldMs / 10;
    const beganMs = stepped ? endedMs - heldMs : Math.min(open.beganMs, endedMs);
    this.#change(book, kind, { ...open, beganMs, endedMs });
  }

  #silence(book: PathBook, { data, wallMs }: HistoryEntry): void {
    const { cause, severity, beganWallMs, lengthMs, borne } = data;
    if (typeof beganWallMs !== 'number' || typeof lengthMs !== 'number') return;
    // By its end: the clock may have been set since it began.
    const beganMs = Math.abs(beganWallMs + lengthMs - wallMs) > CLOCK_MS + lengthMs / 10 ? wallMs - lengthMs : beganWallMs;
    const known = ['carrier', 'gateway', 'upstream', 'loss'].find((one) => one === cause) as OutageCause | undefined;
    const kind = known === 'loss' ? 'weak' : 'down';
    const exact = {
      beganMs,
      endedMs: beganMs + lengthMs,
      cause: known ?? 'other',
      severity: typeof severity === 'number' ? severity : 1,
      interrupted: false,
    };
    const last = book[kind];
    const same = last !== null && beganMs < (last.endedMs ?? Number.POSITIVE_INFINITY) + SAME_MS && exact.endedMs >= last.beganMs;
    if (same && !last.borne && borne !== true) {
      this.#change(book, kind, { ...last, ...exact });
      return;
    }
    const { uplink, family } = book.path;
    const row = { ...exact, reason: null, active: this.#active.get(family) === uplink, borne: borne === true };
    const id = this.#port.addOutage(book.path, row);
    // One that lasts stays the one that is waited for.
    if (last === null || last.endedMs !== null) book[kind] = { id, ...row };
  }

  #change(book: PathBook, kind: 'down' | 'weak', row: Outage): void {
    book[kind] = row;
    const { id, ...columns } = row;
    this.#port.changeOutage(id, columns);
  }

  // ---- switches ----------------------------------------------------------------------------------------------------

  #switched({ wallMs, family, from, to, reason, data }: HistoryEntry): void {
    if (family === null || to === null || from === to) return;
    this.#active.set(family, to);
    const left = from === null ? null : this.#of({ uplink: from, family });
    const lasting = left?.down?.endedMs === null ? wallMs - left.down.beganMs : 0;
    const felt = typeof data.silentMs === 'number' ? data.silentMs : lasting;
    const ground = typeof data.ground === 'string' ? data.ground : lasting > 0 ? (left?.ground ?? null) : null;
    this.#port.addSwitch({ atMs: wallMs, family, from, to, reason, feltMs: Math.max(0, Math.round(felt)), ground });
  }

  // ---- watching ----------------------------------------------------------------------------------------------------

  #watch(book: PathBook, { watchedSinceMs }: Standing, nowMs: number): void {
    const { watched } = book;
    // A later beginning than the one that is written: there was a gap between.
    if (watched !== null && watchedSinceMs <= watched.toMs && nowMs >= watched.toMs) {
      this.#extend(book, nowMs);
      return;
    }
    const span = { fromMs: Math.min(watchedSinceMs, nowMs), toMs: nowMs };
    book.watched = { id: this.#port.addWatched(book.path, span), ...span };
  }

  /** The process stood still, or the clock was set: who watched until then watches anew. */
  #stalled({ wallMs, data }: HistoryEntry): void {
    const spanMs = typeof data.spanMs === 'number' && data.cause !== 'clock-stepped' ? data.spanMs : 0;
    for (const book of this.#paths.values()) {
      if (book.watched === null) continue;
      if (data.cause !== 'clock-stepped') this.#extend(book, wallMs - spanMs);
      book.watched = null;
    }
  }

  #extend(book: PathBook, toMs: number): void {
    const { watched } = book;
    if (watched === null || toMs <= watched.toMs) return;
    book.watched = { ...watched, toMs };
    this.#port.endWatched(watched.id, toMs);
  }

  #giveUp(book: PathBook): void {
    const untilMs = book.watched?.toMs ?? null;
    for (const kind of ['down', 'weak'] as const) {
      const open = book[kind];
      if (open === null || open.endedMs !== null) continue;
      this.#change(book, kind, { ...open, endedMs: Math.max(open.beganMs, untilMs ?? open.beganMs), interrupted: true });
    }
    book.watched = null;
  }
}
