/** Times of day as people give them to `history` and read them from it: local, with the offset. Pure but for the time zone. */

import { duration } from '../../config/units.js';
import type { Month } from '../../history/availability.js';
import { ExitError } from '../exit-error.js';
import { dayOf } from '../figures.js';

const FOREVER_MS = 100 * 365 * 86_400_000;
const DATE = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2}))?)?(Z|[+-]\d{2}:\d{2})?$/;

/**
 * `30d` = so long ago; `2026-03-01`, `2026-03-01T14:00`, with `Z` or `+01:00` where it is not local time.
 * @param endOfDay a day alone means its end, not its beginning
 * @throws ExitError
 */
export function momentOf(option: string, text: string, nowMs: number, endOfDay = false): number {
  const ago = duration({ min: 0, max: FOREVER_MS, why: 'Nothing is older.' })(text);
  if (ago.ok) return nowMs - ago.value;
  const parts = DATE.exec(text.trim());
  const wanted = 'such as 30d, 12h, 2026-03-01 or "2026-03-01 14:00"';
  if (parts === null) throw new ExitError(1, `${option}: '${text}' is neither a date nor a time ago`, wanted);
  const [year = 0, month = 0, day = 0, hour, minute, second] = parts
    .slice(1, 7)
    .map((part) => (part === undefined ? undefined : Number(part)));
  const alone = hour === undefined;
  const fields = [year, month - 1, day + (alone && endOfDay ? 1 : 0), hour ?? 0, minute ?? 0, second ?? 0] as const;
  const zone = parts[7];
  const local = new Date(...fields).getTime();
  const atMs = zone === undefined ? local : Date.UTC(...fields) - offsetOf(zone);
  // Date takes 31 February for 3 March.
  const check = new Date(Date.UTC(year, month - 1, day));
  const sound = check.getUTCMonth() === month - 1 && check.getUTCDate() === day && (hour ?? 0) < 24 && (minute ?? 0) < 60;
  if (!sound || Number.isNaN(atMs) || (second ?? 0) > 59) throw new ExitError(1, `${option}: there is no '${text}'`, wanted);
  return atMs;
}

function offsetOf(zone: string): number {
  if (zone === 'Z') return 0;
  const [hours = 0, minutes = 0] = zone.slice(1).split(':').map(Number);
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}

/** `2026-03-01 07:08:09 +01:00` */
export function zonedTime(wallMs: number): string {
  const time = new Date(wallMs);
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':');
  return `${dayOf(wallMs)} ${clock} ${zoneOf(wallMs)}`;
}

/** `+01:00`, as it is at that time */
export function zoneOf(wallMs: number): string {
  const minutes = -new Date(wallMs).getTimezoneOffset();
  const absolute = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(absolute / 60))}:${two(absolute % 60)}`;
}

/** ISO 8601, UTC. */
export function utcTime(wallMs: number): string {
  return new Date(Math.round(wallMs)).toISOString();
}

/** The months of local time that a span touches, cut to it. */
export function monthsOf(fromMs: number, toMs: number): Month[] {
  const months: Month[] = [];
  const first = new Date(fromMs);
  for (let month = first.getMonth(); ; month += 1) {
    const begins = new Date(first.getFullYear(), month, 1);
    if (begins.getTime() >= toMs) return months;
    const ends = new Date(first.getFullYear(), month + 1, 1);
    months.push({
      name: `${begins.getFullYear()}-${two(begins.getMonth() + 1)}`,
      fromMs: Math.max(fromMs, begins.getTime()),
      toMs: Math.min(toMs, ends.getTime()),
    });
  }
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
