/**
 * A notice in plain words: subject, paragraphs, a table of the last minute, what is active. Mail, templates and events speak through
 * this. Knows no format of any service.
 */
import type { Notice, NoticeFigures } from '../../core/action.js';
import { reasonText } from '../../core/model.js';
import { formatDuration } from '../../core/show/describe.js';

/** One line, whatever the notice holds: it goes into headers and titles. */
export function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim();
}

/** `[gw] fast is down, backup is active` */
export function subjectLine(notice: Notice, host: string): string {
  const subject = [...oneLine(notice.subject)];
  const short = subject.length > 180 ? `${subject.slice(0, 179).join('')}…` : subject.join('');
  return `[${oneLine(host)}] ${short}`;
}

/** `fast (IPv4)`, `backup (IPv6)`; null where nothing is told of it. */
export function activeText(notice: Notice): string | null {
  if (notice.active.length === 0) return null;
  return notice.active.map(({ uplink, family }) => `${oneLine(uplink ?? 'none')} (IPv${family})`).join(', ');
}

/** The whole message as plain text. */
export function bodyText(notice: Notice, host: string): string {
  const parts = [...notice.text.map((paragraph) => wrapped(paragraph)), factsText(notice, host)];
  if (notice.figures.length > 0) parts.push(`The last minute:\n${figuresTable(notice.figures)}`);
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

function factsText(notice: Notice, host: string): string {
  const facts: [string, string | null][] = [
    ['Active now', activeText(notice)],
    ['Reason', notice.reason === null ? null : `${notice.reason}: ${reasonText[notice.reason] ?? 'no text for it'}`],
    ['Since', timeText(notice.sinceWallMs)],
    ['Outage', notice.outageMs === null ? null : formatDuration(notice.outageMs)],
    ['Events folded', notice.folded > 1 ? String(notice.folded) : null],
    ['Told by', `Backroute on ${oneLine(host)}, ${timeText(notice.wallMs)}`],
  ];
  const shown = facts.filter((fact): fact is [string, string] => fact[1] !== null);
  const width = Math.max(...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `${`${name}:`.padEnd(width + 2)}${value}`).join('\n');
}

/** Columns under each other in a font of fixed width. */
export function figuresTable(figures: readonly NoticeFigures[]): string {
  const rows = figures.map((one) => [
    oneLine(one.uplink),
    `IPv${one.family}`,
    one.health,
    lossText(one.loss),
    one.rttMs === null ? '-' : `${one.rttMs.toFixed(1)} ms`,
  ]);
  const table = [['uplink', 'family', 'health', 'loss', 'round trip'], ...rows];
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => (row[column] ?? '').length)));
  return table
    .map(
      (row) =>
        `  ${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}`,
    )
    .join('\n');
}

/** `3 %`, `0.4 %` */
export function lossText(loss: number | null): string {
  if (loss === null) return '-';
  const percent = loss * 100;
  return `${percent > 0 && percent < 1 ? percent.toFixed(1) : Math.round(percent)} %`;
}

/** RFC 5322 form with the zone of this machine: `Sun, 22 Nov 2026 23:24:48 +0100` */
export function timeText(wallMs: number): string {
  const offsetMinutes = -new Date(wallMs).getTimezoneOffset();
  const local = new Date(wallMs + offsetMinutes * 60_000).toUTCString().replace(/ GMT$/, '');
  const absolute = Math.abs(offsetMinutes);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${local} ${offsetMinutes < 0 ? '-' : '+'}${two(Math.floor(absolute / 60))}${two(absolute % 60)}`;
}

/** RFC 5322 2.1.1 wants 78 at most; a few are left for the marks of those who quote it. */
const MAX_LINE = 72;

function wrapped(paragraph: string): string {
  const lines: string[] = [];
  for (const line of paragraph.split('\n')) {
    let rest = '';
    for (const word of oneLine(line).split(' ')) {
      if (rest !== '' && rest.length + 1 + word.length > MAX_LINE) {
        lines.push(rest);
        rest = word;
      } else rest = rest === '' ? word : `${rest} ${word}`;
    }
    lines.push(rest);
  }
  return lines.join('\n');
}
