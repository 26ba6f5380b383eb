/** Which times a recording may hold: what lies beyond is of another unit, or a stray row, and would stretch the play over ages. Pure. */
import { SourceError } from './problem.js';

/** The year 5138. Microseconds and nanoseconds of today lie beyond. */
const LATEST_MS = 1e14;
const YEAR_MS = 365.25 * 86_400_000;
/** Nobody records a line without a word for so long. */
const LONGEST_MS = 10 * YEAR_MS;

export const isTime = (ms: number): boolean => Math.abs(ms) <= LATEST_MS;
export const isTooLong = (ms: number): boolean => ms > LONGEST_MS;
export const yearsText = (ms: number): string => `${(ms / YEAR_MS).toFixed(1)} years`;

/** @param found where, and what */
export function noTime(found: string): SourceError {
  return new SourceError(`${found} is no time in ms`, WANTED_TIME);
}

export const WANTED_TIME = 'Wanted: ms, in the whole file either Unix ms or ms since the recording began.';
