/**
 * What people are told: one notice per change of an uplink's health and per switch, those of one outage in one conversation,
 * and flapping folded into digests. Takes records in and gives notices out; delivers nothing.
 */
import type { Notice, NoticeFigures } from './action.js';
import type { Agenda } from './agenda.js';
import { formatDuration } from './describe.js';
import type { HistoryRecord, Outage } from './messages.js';
import { type Family, type PathKey, pathKey, reasonText } from './model.js';
import type { Topic } from './services.js';

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
  planned: boolean;
}

export class Notices {
  readonly #port: NoticesPort;
  /** outages that people were told of and that are not over; outlives the process */
  readonly #outages: Map<PathKey, Outage>;
  readonly #foldings = new Map<PathKey, Folding>();
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
    else if (record.severity === 'error') this.#problem(record, wallMs, nowMs);
  }

  #health(record: HistoryRecord, wallMs: number, nowMs: number): void {
    const { uplink, family, from, to, reason } = record;
    if (uplink === null || family === null || reason === null || from === to) return;
    const key = pathKey(uplink, family);
    const open = this.#outages.get(key);
    const bad = to === 'down' || to === 'degraded';
    const base = { uplink, family, from, to, reason, topic: 'health' as const };
    if (bad) {
      const outage = open ?? {
        thread: this.#newId(wallMs),
        sinceWallMs: wallMs - (Number(record.data.silentMs) || 0),
        health: to,
      };
      // A restart in the middle of an outage finds the same state again: that is no news.
      const known = open !== undefined && open.health === to && from === 'unknown';
      this.#outages.set(key, { ...outage, health: to });
      if (known) return;
      const id = open === undefined ? outage.thread : this.#newId(wallMs);
      this.#give(
        {
          ...this.#blank(id, outage.thread, wallMs, record, nowMs),
          ...base,
          sinceWallMs: outage.sinceWallMs,
          subject: `${named(uplink, family)} is ${to}: ${reasonText[reason]}`,
          text: [
            `${named(uplink, family)} was ${from === 'unknown' ? 'not judged yet' : from} and is ${to} now: ${reasonText[reason]}.`,
          ],
        },
        key,
        nowMs,
      );
      return;
    }
    if (to !== 'up' || open === undefined) return;
    this.#outages.delete(key);
    const outageMs = Math.max(0, wallMs - open.sinceWallMs);
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

  #switch(record: HistoryRecord, wallMs: number, nowMs: number): void {
    const { from, to, family, reason } = record;
    // What was found at start is no switch.
    if (from === null || to === null || family === null || reason === null) return;
    const left = pathKey(from, family);
    const thread = this.#outages.get(left)?.thread ?? this.#lastThread.get(pathKey(to, family));
    const id = this.#newId(wallMs);
    if (thread !== undefined) this.#lastThread.set(left, thread);
    const back = reason === 'preferred';
    const lasted = record.durationMs === null ? '' : ` It had gone by ${from} for ${formatDuration(record.durationMs)}.`;
    this.#give(
      {
        ...this.#blank(id, thread ?? id, wallMs, record, nowMs),
        topic: 'switch',
        uplink: to,
        family,
        from,
        to,
        reason,
        subject: back ? `IPv${family} is back on ${to}` : `IPv${family} moved from ${from} to ${to}: ${reasonText[reason]}`,
        text: [
          `IPv${family} traffic ${back ? 'is back on' : 'goes by'} ${to}: ${back ? '' : `${from}: `}${reasonText[reason]}.${lasted}`,
        ],
      },
      left,
      nowMs,
    );
  }

  #problem(record: HistoryRecord, wallMs: number, nowMs: number): void {
    const id = this.#newId(wallMs);
    const about = record.uplink === null ? record.kind : `${record.kind} ${record.uplink}`;
    this.#give(
      { ...this.#blank(id, id, wallMs, record, nowMs), topic: 'problem', subject: record.text, text: [`${record.text}.`] },
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
    const folding = this.#foldings.get(key) ?? { toldMs: [], held: [], planned: false };
    this.#foldings.set(key, folding);
    while (folding.toldMs[0] !== undefined && nowMs - folding.toldMs[0] > FOLD_SPAN_MS) folding.toldMs.shift();
    if (!folding.planned && folding.toldMs.length < FOLD_AFTER) {
      folding.toldMs.push(nowMs);
      this.#port.notify(notice);
      return;
    }
    folding.held.push(notice);
    if (!folding.planned) this.#planDigest(key, folding, nowMs);
  }

  #planDigest(key: string, folding: Folding, nowMs: number): void {
    folding.planned = true;
    this.#port.agenda.at(nowMs + FOLD_SPAN_MS, (now) => {
      const { held } = folding;
      folding.held = [];
      folding.planned = false;
      folding.toldMs.length = 0;
      const last = held.at(-1);
      if (last === undefined) return;
      this.#port.notify(held.length === 1 ? last : digest(held, last, this.#port, now));
      // It may go on so: the next span is folded as well, until one passes in silence.
      this.#planDigest(key, folding, now);
    });
  }

  #newId(wallMs: number): string {
    this.#count += 1;
    const salt = Math.floor(this.#port.random() * 2 ** 32).toString(36);
    return `${wallMs.toString(36)}.${this.#count.toString(36)}.${salt}`;
  }
}

function digest(held: readonly Notice[], last: Notice, port: NoticesPort, nowMs: number): Notice {
  const lines = held.map((n) => `${formatDuration(port.wallMs(nowMs) - n.wallMs)} ago: ${n.subject}`);
  return {
    ...last,
    active: port.active(),
    figures: port.figures(nowMs),
    folded: held.length,
    subject: `${held.length} changes in ${formatDuration(FOLD_SPAN_MS)}, the last: ${last.subject}`,
    text: [`It keeps changing: ${held.length} notices are folded into this one.`, ...lines],
  };
}

function named(uplink: string, family: Family): string {
  return family === 4 ? uplink : `${uplink} (IPv6)`;
}
