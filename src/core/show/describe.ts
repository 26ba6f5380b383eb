/**
 * Sentences for people: durations and records in words. The log file, the journal, mails and the CLI all speak through
 * this. Knows no clock, no time zone and no terminal.
 */
import type { HistoryRecord } from '../messages.js';
import { reasonText } from '../model.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** `640 ms`, `3.2 s`, `45 s`, `2 min 5 s`, `3 h 2 min`, `4 d 3 h`: two units at most, the finer one left out where it is 0. */
export function formatDuration(ms: number): string {
  const whole = Math.max(0, Math.round(ms));
  if (whole < SECOND) return `${whole} ms`;
  // rounded before the unit is chosen: 59.96 s must not become `60 s`
  const tenths = Math.round(whole / 100) / 10;
  if (tenths < 10) return `${tenths} s`;
  const seconds = Math.round(whole / SECOND);
  if (seconds < 60) return `${seconds} s`;
  if (seconds * SECOND < HOUR) return twoUnits(seconds, 60, 'min', 's');
  const minutes = Math.round(whole / MINUTE);
  if (minutes * MINUTE < DAY) return twoUnits(minutes, 60, 'h', 'min');
  return twoUnits(Math.round(whole / HOUR), 24, 'd', 'h');
}

/** `fast: up -> down, the gateway itself does not answer (after 2 h 3 min)`; `IPv4: fast -> backup, …`; else its own text. */
export function describeRecord(record: HistoryRecord): string {
  return `${subject(record)}${statement(record, ', ')}`;
}

/**
 * The line of the text file that `log:` names: time, uplink, old and new state, reason, what it means, duration.
 * @param time as people of this machine write it, with the offset: `2026-03-01T07:08:09.123+01:00`
 */
export function plainLine(record: HistoryRecord, time: string): string {
  const who = record.uplink ?? '-';
  const family = record.family === null ? '' : ` IPv${record.family}`;
  const reason = record.reason === null ? ' ' : ` ${record.reason}: `;
  const transition = hasTransition(record) ? ` ${record.from ?? '-'} -> ${record.to ?? '-'}` : ` ${record.kind}`;
  return oneLine(`${time} ${who}${family}${transition}${reason}${meaning(record)}${since(record)}${ground(record)}`);
}

function subject(record: HistoryRecord): string {
  if (record.kind === 'switch' && record.family !== null) return `IPv${record.family}: `;
  if (record.uplink === null) return '';
  return record.family === 6 ? `${record.uplink} (IPv6): ` : `${record.uplink}: `;
}

function statement(record: HistoryRecord, separator: string): string {
  const transition = hasTransition(record) ? `${record.from ?? 'none'} -> ${record.to ?? 'none'}${separator}` : '';
  return oneLine(`${transition}${meaning(record)}${since(record)}${ground(record)}`);
}

/** Only these kinds go from one state to another; in the others `from` and `to` are figures of the text. */
function hasTransition(record: HistoryRecord): boolean {
  return (record.kind === 'health' || record.kind === 'switch') && (record.from !== null || record.to !== null);
}

function meaning(record: HistoryRecord): string {
  return hasTransition(record) && record.reason !== null ? reasonText[record.reason] : record.text;
}

function since(record: HistoryRecord): string {
  return record.durationMs === null ? '' : ` (after ${formatDuration(record.durationMs)})`;
}

/** Why just then, where that is learned. A switch follows from a change of health that has told it already. */
function ground(record: HistoryRecord): string {
  return record.kind === 'health' && typeof record.data.ground === 'string' ? `; ${record.data.ground}` : '';
}

/** A log line stays one line whatever a kernel text, a host name or a hook put into it. */
function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
  return text.replace(/[\u0000-\u001f\u007f\u0085\u2028\u2029]+/g, ' ');
}

function twoUnits(count: number, per: number, coarse: string, fine: string): string {
  const rest = count % per;
  return `${Math.floor(count / per)} ${coarse}${rest === 0 ? '' : ` ${rest} ${fine}`}`;
}
