/**
 * How much of the time an uplink worked, month by month, from its outages and from when anybody watched. What nobody watched counts
 * neither way. Pure: months are handed in, since only the caller knows the time zone.
 */
import type { Family } from '../core/model.js';
import type { OutageRow, PathRow, TimeSpan, WatchedRow } from './rows.js';

export interface Month extends TimeSpan {
  /** `2026-03` */
  readonly name: string;
}

export interface Availability {
  readonly month: string;
  readonly uplink: string;
  readonly family: Family;
  /** share of the watched time in which it worked, [0, 1]; null = nobody watched */
  readonly share: number | null;
  /** silences that began in this month, or lasted when it began; those that were borne among them */
  readonly outages: number;
  readonly borne: number;
  readonly outageMs: number;
  /** the part of the longest one that lies in this month */
  readonly longestMs: number;
  /** it answered, but lost too much or was too slow */
  readonly weakMs: number;
  readonly watchedMs: number;
  /** nobody watched, or it was this machine's own fault */
  readonly unknownMs: number;
}

export interface AvailabilityInput {
  readonly paths: readonly PathRow[];
  /** ordered, none overlaps another */
  readonly months: readonly Month[];
  readonly outages: readonly OutageRow[];
  readonly watched: readonly WatchedRow[];
}

/** What was watched is written once a minute: the last moments are not unknown, they are on their way. */
const ON_THEIR_WAY_MS = 120_000;

/** By month, then in the order of the paths; without months in which a path was not known. O(rows log rows) a path. */
export function availabilityOf({ paths, months, outages, watched }: AvailabilityInput): Availability[] {
  const endMs = months.at(-1)?.toMs ?? 0;
  const lastMs = Math.max(...paths.map((path) => path.watched?.toMs ?? Number.NEGATIVE_INFINITY));
  const perPath = paths.map(({ uplink, family, watched: ever }) => {
    const mine = <T extends { uplink: string; family: Family }>(rows: readonly T[]): T[] =>
      rows.filter((row) => row.uplink === uplink && row.family === family);
    const seen = union(mine(watched));
    const rows = mine(outages);
    const until = ever?.toMs ?? Number.NEGATIVE_INFINITY;
    const spans = (wanted: (row: OutageRow) => boolean): TimeSpan[] =>
      union(rows.filter(wanted).map((row) => ({ fromMs: row.beganMs, toMs: row.endedMs ?? Math.max(until, row.beganMs) })));
    const own = spans(({ reason }) => reason === 'local-fault');
    // Who was watched to the last is not watched now; who was not is gone from the configuration.
    const stopped = until > lastMs - ON_THEIR_WAY_MS && endMs - until > ON_THEIR_WAY_MS;
    return {
      uplink,
      family,
      rows,
      known: minus(seen, own),
      from: ever?.fromMs ?? null,
      until: stopped ? endMs : until,
      silent: spans(isOutage),
      weak: spans(isWeak),
    };
  });
  return months.flatMap((month) =>
    perPath.flatMap((path) => {
      if (path.from === null || path.from >= month.toMs || path.until <= month.fromMs) return [];
      const span = { fromMs: Math.max(month.fromMs, path.from), toMs: Math.min(month.toMs, path.until) };
      const known = intersection(path.known, [span]);
      const silent = intersection(path.silent, known);
      const watchedMs = lengthOf(known);
      const outageMs = lengthOf(silent);
      const began = path.rows.filter((row) => isOutage(row) && overlaps(row, month, path.until));
      return {
        month: month.name,
        uplink: path.uplink,
        family: path.family,
        share: watchedMs === 0 ? null : 1 - outageMs / watchedMs,
        outages: began.length,
        borne: began.filter(({ borne }) => borne).length,
        outageMs,
        longestMs: Math.max(0, ...silent.map(({ fromMs, toMs }) => toMs - fromMs)),
        weakMs: lengthOf(minus(intersection(path.weak, known), silent)),
        watchedMs,
        unknownMs: span.toMs - span.fromMs - watchedMs,
      };
    }),
  );
}

/** Nothing got through, and it was not this machine's own fault. */
export function isOutage({ severity, reason }: Pick<OutageRow, 'severity' | 'reason'>): boolean {
  return severity === 1 && reason !== 'local-fault';
}

function isWeak({ severity, reason }: OutageRow): boolean {
  return severity !== 1 && reason !== 'local-fault';
}

function overlaps({ beganMs, endedMs }: OutageRow, { fromMs, toMs }: TimeSpan, untilMs: number): boolean {
  return beganMs < toMs && Math.max(endedMs ?? untilMs, beganMs + 1) > fromMs;
}

// ---- lists of spans: in order, none touching another -------------------------------------------------------------------

export function union(spans: readonly TimeSpan[]): TimeSpan[] {
  const result: TimeSpan[] = [];
  for (const { fromMs, toMs } of spans.toSorted((a, b) => a.fromMs - b.fromMs)) {
    if (toMs <= fromMs) continue;
    const last = result.at(-1);
    if (last !== undefined && fromMs <= last.toMs) result[result.length - 1] = { ...last, toMs: Math.max(last.toMs, toMs) };
    else result.push({ fromMs, toMs });
  }
  return result;
}

function intersection(a: readonly TimeSpan[], b: readonly TimeSpan[]): TimeSpan[] {
  const result: TimeSpan[] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const [one, other] = [a[i] as TimeSpan, b[j] as TimeSpan];
    const fromMs = Math.max(one.fromMs, other.fromMs);
    const toMs = Math.min(one.toMs, other.toMs);
    if (fromMs < toMs) result.push({ fromMs, toMs });
    if (one.toMs < other.toMs) i += 1;
    else j += 1;
  }
  return result;
}

function minus(a: readonly TimeSpan[], b: readonly TimeSpan[]): TimeSpan[] {
  const ends = b.flatMap(({ fromMs, toMs }) => [fromMs, toMs]);
  const edges = [Number.NEGATIVE_INFINITY, ...ends, Number.POSITIVE_INFINITY];
  const gaps: TimeSpan[] = [];
  for (let i = 0; i < edges.length; i += 2) gaps.push({ fromMs: edges[i] as number, toMs: edges[i + 1] as number });
  return intersection(a, gaps);
}

function lengthOf(spans: readonly TimeSpan[]): number {
  return spans.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0);
}
