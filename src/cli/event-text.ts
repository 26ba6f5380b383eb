/** One line per event for people. Pure. */

import type { HistoryEntry } from '../core/entry.js';
import { describeRecord } from '../core/show/describe.js';
import { clockTime } from './figures.js';
import type { Colour, Paint } from './paint.js';

const COLOURS: Readonly<Record<HistoryEntry['severity'], Colour>> = {
  info: 'dim',
  notice: 'green',
  warning: 'yellow',
  error: 'red',
};

/** `2026-03-01 14:03:12.417  fast: up -> down, …`; the day is left out when it is today's. */
export function eventText(entry: HistoryEntry, nowWallMs: number, paint: Paint): string {
  const millis = String(new Date(entry.wallMs).getMilliseconds()).padStart(3, '0');
  const time = `${clockTime(entry.wallMs, nowWallMs)}.${millis}`;
  return `${paint('dim', time)}  ${paint(COLOURS[entry.severity], describeRecord(entry))}`;
}
