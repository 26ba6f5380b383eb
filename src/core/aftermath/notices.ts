/**
 * What people are told: one notice per change of an uplink's health and per switch, those of one outage in one conversation,
 * and flapping folded into digests. Takes records in and gives notices out; delivers nothing.
 */
import type { Notice, NoticeFigures } from '../action.js';
import type { Agenda } from '../agenda.js';
import type { HistoryRecord, Outage } from '../messages.js';
import { type Family, type PathKey, pathKey, type Reason, reasonText } from '../model.js';
import type { Topic } from '../services.js';
import { formatDuration } from '../show/describe.js';
import type { DrillOutcome } from '../traffic/drill-report.js';

/** A digest has no more lines than people read; the rest are counted. */
const MAX_LINES = 50;

/** Reasons that speak of the uplink that is chosen, not of the one that is left. */
const OF_THE_TAKEN: ReadonlySet<Reason> = new Set(['forced', 'preferred', 'better', 'starting', 'answers', 'drill', 'no-choice']);

/** What a person can do, where the record itself does not say it; null = nothing is to be added. */
function advice({ kind, uplink, data }: HistoryRecord): string | null {
  if (kind === 'usage') return 'What is used, and what will be by the end of the month: backroute status.';
  if (kind !== 'drill' || data.outcome !== ('fails' satisfies DrillOutcome)) return null;
  return `In an outage it would have been of no help. When it is mended, try it again: backroute drill${uplink === null ? '' : ` ${uplink}`}.`;
}

/** So many notices about one path within the span are told one by one; what follows is folded. */
const FOLD_AFTER = 6;
const FOLD_SPAN_MS = 10 * 60_000;

export interface NoticesPort {
  readonly agenda: Agenda;
  readonly random: () => number;
  wallMs(monotonicMs: number): number;
  active(): Notice['active'];
  figures(nowMs: number): readonly NoticeFigures[];
  notify(notice: Notice): void;
}

interface Folding {
  readonly toldMs: number[];
  held: Notice[];
  /** how many more were held back than are kept */
  dropped: number;
  planned: boolean;
}

export class Notices {
  readonly #port: NoticesPort;
  /** outages that people were told of and that are not over; outlives the process */
  readonly #outages: Map<PathKey, Outage>;
  /** by the monotonic clock, for those that began while this process watched */
  readonly #beganMs = new Map<PathKey, number>();
  readonly #foldings = new Map<string, Folding>();
  #count = 0;

  constructor(outages: Readonly<Record<PathKey, Outage>>, port: NoticesPort) {
    this.#outages = new Map(Object.entries(outages));
    this.#port = port;
  }

  get outages(): Readonly<Record<PathKey, Outage>> {
    return Object.fromEntries(this.#outages);
  }

  take(record: HistoryRecord, nowMs: number): void {
    const wallMs = Math.round(this.#port.wallMs(nowMs));
    if (record.kind === 'health') this.#health(record, wallMs, nowMs);
    else if (record.kind === 'switch' && record.from !== record.to && record.to !== null) this.#switch(record, wallMs, nowMs);
    else if (record.severity === 'error' || record.severity === 'warning') this.#problem(record, wallMs, nowMs);
  }

  /** What goes on no longer exists: its end would never come. */
  keep(paths: readonly PathKey[]): void {
    for (const key of this.#outages.keys()) if (!paths.includes(key)) this.#forget(key);
  }

  /** What is held back for a digest goes out now. */
  flush(nowMs: number): void {
    for (const folding of this.#foldings.values()) this.#tellHeld(folding, nowMs);
  }

  #health(record: HistoryRecord, wallMs: number, nowMs: number): void {
    const { uplink, family, from, to, reason } = record;
    if (uplink === null || family === null || reason === null || from === to) return;
    const key = pathKey(uplink, family);
    const open = this.#outages.get(key);
    const base = { uplink, family, from, to, reason, topic: 'health' as const };
    if (to === 'down' || to === 'degraded') {
      const silentMs = Number(record.data.silentMs) || 0;
      // A restart in the middle of an outage finds the same state again: that is no news.
      if (open?.health === to) return;
      const lastedMs = open?.health === 'down' ? this.#lastedMs(key, open, wallMs, nowMs) : null;
      const id = this.#newId(wallMs);
      const outage: Outage = { thread: open?.thread ?? id, sinceWallMs: wallMs - silentMs, health: to };
      this.#outages.set(key, outage);
      this.#beganMs.set(key, nowMs - silentMs);
      const was = from === 'unknown' ? 'not judged yet' : from;
      const lasted = lastedMs === null ? '' : ` It had been down for ${formatDuration(lastedMs)}.`;
      this.#give(
        {
          ...this.#blank(id, outage.thread, wallMs, record, nowMs),
          ...base,
          sinceWallMs: outage.sinceWallMs,
          outageMs: lastedMs,
          subject: `${named(uplink, family)} is ${to}: ${reasonText[reason]}`,
          text: [`${named(uplink, family)} was ${was} and is ${to} now: ${reasonText[reason]}.${lasted}`],
        },
        key,
        nowMs,
      );
      return;
    }
    if (to !== 'up' || open === undefined) return;
    const outageMs = this.#lastedMs(key, open, wallMs, nowMs);
    this.#forget(key);
    const what = open.health === 'down' ? 'The outage lasted' : 'It was degraded for';
    this.#give(
      {
        ...this.#blank(this.#newId(wallMs), open.thread, wallMs, record, nowMs),
        ...base,
        outageMs,
        subject: `${named(uplink, family)} is up again after ${formatDuration(outageMs)}`,
        text: [`${named(uplink, family)} is up again: ${reasonText[reason]}. ${what} ${formatDuration(outageMs)}.`],
      },
      key,
      nowMs,
    );
  }

  /** By our own clock where this process saw the beginning: the wall clock may have been set since. */
  #lastedMs(key: PathKey, outage: Outage, wallMs: number, nowMs: number): number {
    const beganMs = this.#beganMs.get(key);
    return Math.round(beganMs === undefined ? Math.max(0, wallMs - outage.sinceWallMs) : nowMs - beganMs);
  }

  #forget(key: PathKey): void {
    this.#outages.delete(key);
    this.#beganMs.delete(key);
  }

  #switch(record: HistoryRecord, wallMs: number, nowMs: number): void {
    const { from, to, family, reason } = record;
    // What was found at start is no switch.
    if (from === null || to === null || family === null || reason === null) return;
    const left = pathKey(from, family);
    const taken = pathKey(to, family);
    const id = this.#newId(wallMs);
    const thread = this.#outages.get(left)?.thread ?? this.#lastThread.get(taken) ?? id;
    const back = reason === 'preferred';
    this.#lastThread.delete(taken);
    if (!back) this.#lastThread.set(left, thread);
    const lasted = record.durationMs === null ? '' : ` It had gone by ${from} for ${formatDuration(record.durationMs)}.`;
    const why = OF_THE_TAKEN.has(reason) ? reasonText[reason] : `on ${from}, ${reasonText[reason]}`;
    this.#give(
      {
        ...this.#blank(id, thread, wallMs, record, nowMs),
        topic: 'switch',
        uplink: to,
        family,
        from,
        to,
        reason,
        subject: back ? `IPv${family} is back on ${to}` : `IPv${family} moved from ${from} to ${to}: ${reasonText[reason]}`,
        text: [`IPv${family} traffic ${back ? 'is back on' : 'goes by'} ${to}: ${why}.${lasted}`],
      },
      left,
      nowMs,
    );
  }

  #problem(record: HistoryRecord, wallMs: number, nowMs: number): void {
    const id = this.#newId(wallMs);
    const { uplink, family } = record;
    const told = uplink === null || record.text.includes(uplink);
    const text = told ? record.text : `${named(uplink, family ?? 4)}: ${record.text}`;
    const more = advice(record);
    const about = record.uplink === null ? record.kind : `${record.kind} ${record.uplink}`;
    this.#give(
      {
        ...this.#blank(id, id, wallMs, record, nowMs),
        topic: 'problem',
        subject: text,
        text: [`${text}.`, ...(more === null ? [] : [more])],
      },
      `problem ${about}`,
      nowMs,
    );
  }

  /** The conversation of the outage that a path left behind it: the way back belongs to it. */
  readonly #lastThread = new Map<PathKey, string>();

  #blank(id: string, thread: string, wallMs: number, record: HistoryRecord, nowMs: number): Notice {
    if (record.uplink !== null && record.family !== null && record.kind === 'health') {
      this.#lastThread.set(pathKey(record.uplink, record.family), thread);
    }
    return {
      id,
      thread,
      wallMs,
      topic: 'problem' satisfies Topic,
      severity: record.severity,
      uplink: record.uplink,
      family: record.family,
      from: null,
      to: null,
      reason: record.reason,
      sinceWallMs: wallMs,
      outageMs: null,
      subject: '',
      text: [],
      active: this.#port.active(),
      figures: this.#port.figures(nowMs),
      folded: 1,
    };
  }

  // ---- folding -----------------------------------------------------------------------------------------------------

  #give(notice: Notice, key: string, nowMs: number): void {
    const folding = this.#foldings.get(key) ?? { toldMs: [], held: [], dropped: 0, planned: false };
    this.#foldings.set(key, folding);
    while (folding.toldMs[0] !== undefined && nowMs - folding.toldMs[0] > FOLD_SPAN_MS) folding.toldMs.shift();
    if (!folding.planned && folding.toldMs.length < FOLD_AFTER) {
      folding.toldMs.push(nowMs);
      this.#port.notify(notice);
      return;
    }
    folding.held.push(notice);
    if (folding.held.length > MAX_LINES) {
      folding.held.shift();
      folding.dropped += 1;
    }
    if (!folding.planned) this.#planDigest(key, folding, nowMs);
  }

  #planDigest(key: string, folding: Folding, nowMs: number): void {
    folding.planned = true;
    this.#port.agenda.at(nowMs + FOLD_SPAN_MS, (now) => {
      folding.planned = false;
      folding.toldMs.length = 0;
      if (!this.#tellHeld(folding, now)) return;
      // It may go on so: the next span is folded as well, until one passes in silence.
      this.#planDigest(key, folding, now);
    });
  }

  /** @returns whether there was anything */
  #tellHeld(folding: Folding, nowMs: number): boolean {
    const { held, dropped } = folding;
    folding.held = [];
    folding.dropped = 0;
    const last = held.at(-1);
    if (last === undefined) return false;
    this.#port.notify(held.length === 1 ? last : digest(held, dropped, last, this.#port, nowMs));
    return true;
  }

  #newId(wallMs: number): string {
    this.#count += 1;
    const salt = Math.floor(this.#port.random() * 2 ** 32).toString(36);
    return `${wallMs.toString(36)}.${this.#count.toString(36)}.${salt}`;
  }
}

function digest(held: readonly Notice[], dropped: number, last: Notice, port: NoticesPort, nowMs: number): Notice {
  const count = held.length + dropped;
  const earlier = dropped === 0 ? [] : [`(${dropped} before these)`];
  const lines = held.map((n) => `${formatDuration(port.wallMs(nowMs) - n.wallMs)} ago: ${n.subject}`);
  return {
    ...last,
    active: port.active(),
    figures: port.figures(nowMs),
    folded: count,
    subject: `${count} changes in ${formatDuration(FOLD_SPAN_MS)}, the last: ${last.subject}`,
    text: [`It keeps changing: ${count} notices are folded into this one.`, ...earlier, ...lines],
  };
}

function named(uplink: string, family: Family): string {
  return family === 4 ? uplink : `${uplink} (IPv6)`;
}
