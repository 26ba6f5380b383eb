/** `backroute history` for people: what one would send to a provider. Pure. */

import { type Family, reasonText } from '../../core/model.js';
import { formatDuration } from '../../core/show/describe.js';
import type { Availability } from '../../history/availability.js';
import type { MinuteRow, OutageRow, SwitchRow } from '../../history/rows.js';
import { formatRtt } from '../figures.js';
import { type Paint, table } from '../paint.js';
import { zonedTime, zoneOf } from './time.js';

export interface ReportSpan {
  readonly fromMs: number;
  readonly toMs: number;
}

type Named = { readonly uplink: string; readonly family: Family };

const CAUSES: Readonly<Record<OutageRow['cause'], string>> = {
  carrier: 'the link was gone',
  gateway: 'the gateway itself did not answer',
  upstream: 'nothing beyond the gateway answered',
  loss: 'too many packets were lost',
  other: 'it did not work well',
};

/** The head of a report. */
export function spanText({ fromMs, toMs }: ReportSpan): string {
  return `From ${zonedTime(fromMs)} to ${zonedTime(toMs)}; months and times are local (UTC${zoneOf(toMs)}).\n`;
}

/** Ends with a newline. */
export function availabilityText(rows: readonly Availability[], paint: Paint): string {
  if (rows.length === 0) return 'Nobody watched in this time.\n';
  const name = namer(rows);
  const header = ['month', 'uplink', 'available', 'outages', 'in all', 'longest', 'weak', 'watched'].map((title) =>
    paint('dim', title),
  );
  const cells = rows.map((row) => [
    row.month,
    name(row),
    availableText(row, paint),
    outagesText(row),
    spanOrNone(row.outageMs),
    spanOrNone(row.longestMs),
    spanOrNone(row.weakMs),
    watchedText(row, paint),
  ]);
  const unwatched = rows.some(({ unknownMs }) => unknownMs > 0);
  const note = unwatched ? 'What nobody watched counts neither as available nor as an outage.\n' : '';
  return `${table([header, ...cells]).join('\n')}\n${note}`;
}

/** Rounded down: an outage never shows as 100 %. */
function availableText({ share }: Availability, paint: Paint): string {
  if (share === null) return 'unknown';
  const text = share === 1 ? '100 %' : `${(Math.floor(share * 100_000) / 1_000).toFixed(3)} %`;
  return share < 0.99 ? paint('red', text) : share < 0.999 ? paint('yellow', text) : text;
}

function outagesText({ outages, borne }: Availability): string {
  return borne === 0 ? String(outages) : `${outages} (${borne} short)`;
}

function watchedText({ watchedMs, unknownMs }: Availability, paint: Paint): string {
  if (unknownMs === 0) return 'all of it';
  const share = watchedMs / (watchedMs + unknownMs);
  return paint('yellow', `all but ${formatDuration(unknownMs)} (${(Math.floor(share * 1000) / 10).toFixed(1)} %)`);
}

function spanOrNone(ms: number): string {
  return ms === 0 ? '-' : formatDuration(ms);
}

/** @param hidden silences that were too short to be listed. Ends with a newline */
export function outageListText(rows: readonly OutageRow[], hidden: number, paint: Paint): string {
  const more =
    hidden === 0
      ? ''
      : `${rows.length === 0 ? '' : 'And '}${count(hidden, 'silence')} that ended before anything was done: list them with --all.\n`;
  if (rows.length === 0) return `No outage.\n${more}`;
  const name = namer(rows);
  const header = ['began', 'lasted', 'uplink', 'in use', 'what was seen'].map((title) => paint('dim', title));
  const cells = rows.map((row) => [
    zonedTime(row.beganMs),
    lengthText(row, paint),
    name(row),
    row.active ? 'yes' : 'no',
    `${row.reason === null ? CAUSES[row.cause] : reasonText[row.reason]}${severityText(row)}`,
  ]);
  return `${table([header, ...cells]).join('\n')}\n${more}`;
}

function lengthText({ beganMs, endedMs, interrupted }: OutageRow, paint: Paint): string {
  if (endedMs === null) return paint('red', 'not over');
  return `${interrupted ? 'at least ' : ''}${formatDuration(endedMs - beganMs)}`;
}

function severityText({ severity }: OutageRow): string {
  return severity === null || severity === 1 ? '' : ` (${Math.round(severity * 100)} % of the packets)`;
}

/** Ends with a newline. */
export function switchesText(rows: readonly SwitchRow[], paint: Paint): string {
  if (rows.length === 0) return 'No switch.\n';
  const header = ['when', 'family', 'from', 'to', 'felt', 'why'].map((title) => paint('dim', title));
  const cells = rows.map(({ atMs, family, from, to, feltMs, reason, ground }) => [
    zonedTime(atMs),
    `IPv${family}`,
    from ?? '-',
    to,
    spanOrNone(feltMs),
    [reason === null ? null : reasonText[reason], ground].filter((part) => part !== null).join('; '),
  ]);
  return `${table([header, ...cells]).join('\n')}\n`;
}

/** One line a row, with a header: millions of rows are not lined up first. */
export function* minuteLines(rows: Iterable<MinuteRow>, paint: Paint): Iterable<string> {
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (i < 2 || i === cells.length - 1 ? cell.padEnd(i === 1 ? 14 : 0) : cell.padStart(9)))
      .join('  ')
      .trimEnd();
  yield `${paint('dim', line(['minute                    ', 'uplink', 'sent', 'lost', 'median', '90 %', '99 %', 'most', 'jitter', 'target']))}\n`;
  const ms = (value: number | null): string => (value === null ? '-' : formatRtt(value));
  for (const { minuteMs, uplink, family, target, sent, lost, p50Ms, p90Ms, p99Ms, maxMs, jitterMs } of rows) {
    const figures = [p50Ms, p90Ms, p99Ms, maxMs, jitterMs].map(ms);
    yield `${line([zonedTime(minuteMs), `${uplink}/${family}`, String(sent), String(lost), ...figures, target])}\n`;
  }
}

/** The family is said where any uplink has both. */
function namer(rows: readonly Named[]): (row: Named) => string {
  const both = new Set(rows.map(({ family }) => family)).size > 1;
  return ({ uplink, family }) => (both ? `${uplink} IPv${family}` : uplink);
}

function count(number: number, what: string): string {
  return number === 1 ? `one ${what}` : `${number} ${what}s`;
}
