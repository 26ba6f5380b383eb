/** `backroute history` for programs: rows as JSON values and as CSV (RFC 4180). Times are ISO 8601 in UTC, lengths in seconds. Pure. */
import type { Availability } from '../../history/availability.js';
import type { MinuteRow, OutageRow, SwitchRow } from '../../history/rows.js';
import { utcTime } from './time.js';

export type Cell = string | number | boolean | null;
/** Column by column, in the order in which CSV has them; the same keys in JSON. */
export type Row = Readonly<Record<string, Cell>>;

export function availabilityRow(row: Availability): Row {
  return {
    month: row.month,
    uplink: row.uplink,
    family: row.family,
    availability: row.share === null ? null : Number(row.share.toFixed(7)),
    outages: row.outages,
    short: row.borne,
    outageS: seconds(row.outageMs),
    longestS: seconds(row.longestMs),
    weakS: seconds(row.weakMs),
    watchedS: seconds(row.watchedMs),
    unknownS: seconds(row.unknownMs),
  };
}

export function outageRow(row: OutageRow): Row {
  const { beganMs, endedMs, uplink, family, cause, reason, severity, active, interrupted, borne } = row;
  return {
    began: utcTime(beganMs),
    ended: endedMs === null ? null : utcTime(endedMs),
    lengthS: endedMs === null ? null : seconds(endedMs - beganMs),
    uplink,
    family,
    cause,
    reason,
    severity,
    active,
    interrupted,
    borne,
  };
}

export function switchRow({ atMs, family, from, to, reason, feltMs, ground }: SwitchRow): Row {
  return { at: utcTime(atMs), family, from, to, reason, feltS: seconds(feltMs), ground };
}

export function minuteRow({ minuteMs, ...figures }: MinuteRow): Row {
  return { minute: utcTime(minuteMs), ...figures };
}

function seconds(ms: number): number {
  return Math.round(ms) / 1000;
}

/** With a header, also where there is no row. Lines end in CR LF. */
export function* csvLines(columns: readonly string[], rows: Iterable<Row>): Iterable<string> {
  yield `${columns.join(',')}\r\n`;
  for (const row of rows) yield `${columns.map((column) => csvCell(row[column] ?? null)).join(',')}\r\n`;
}

function csvCell(cell: Cell): string {
  const text = cell === null ? '' : String(cell);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export const COLUMNS = {
  availability: [
    'month',
    'uplink',
    'family',
    'availability',
    'outages',
    'short',
    'outageS',
    'longestS',
    'weakS',
    'watchedS',
    'unknownS',
  ],
  outages: ['began', 'ended', 'lengthS', 'uplink', 'family', 'cause', 'reason', 'severity', 'active', 'interrupted', 'borne'],
  switches: ['at', 'family', 'from', 'to', 'reason', 'feltS', 'ground'],
  minutes: ['minute', 'uplink', 'family', 'target', 'sent', 'lost', 'p50Ms', 'p90Ms', 'p99Ms', 'maxMs', 'jitterMs'],
} as const;
