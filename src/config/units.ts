/**
 * Durations, percentages, counts, bit masks: text to number with a complaint that says what was meant, and back.
 * Knows nothing of keys, of YAML or of what the numbers serve.
 */
import { type Complaint, complaint } from './problem.js';

export type Read<T> = { readonly ok: true; readonly value: T } | ({ readonly ok: false } & Complaint);

/** Reads one value from its text in the file. */
export type Reader<T> = (text: string) => Read<T>;

export function good<T>(value: T): Read<T> {
  return { ok: true, value };
}

export function bad(
  message: string,
  allowed: string | null = null,
  hint: string | null = null,
): { readonly ok: false } & Complaint {
  return { ok: false, ...complaint(message, allowed, hint) };
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** What people write for our units. */
const UNIT_WORDS: Readonly<Record<string, string>> = {
  msec: 'ms',
  millis: 'ms',
  millisecond: 'ms',
  milliseconds: 'ms',
  sec: 's',
  secs: 's',
  second: 's',
  seconds: 's',
  min: 'm',
  mins: 'm',
  minute: 'm',
  minutes: 'm',
  hr: 'h',
  hrs: 'h',
  hour: 'h',
  hours: 'h',
  day: 'd',
  days: 'd',
};

export const DURATION_PATTERN = '^[0-9]+(\\.[0-9]+)?(ms|s|m|h|d)$';
const DURATION = new RegExp(DURATION_PATTERN);
const DURATION_WANTED = 'a duration with unit is wanted';
const DURATION_EXAMPLES = 'such as 200ms, 5s, 2m';

export interface Bounds {
  readonly min: number;
  readonly max: number;
  /** why not less and not more, as a sentence */
  readonly why: string;
}

/** Milliseconds. `200ms`, `0.5s`, `2m`, `1h`, `7d`. */
export function duration(bounds: Bounds): Reader<number> {
  return (text) => {
    if (!DURATION.test(text)) return bad(DURATION_WANTED, DURATION_EXAMPLES, durationHint(text));
    const number = Number.parseFloat(text);
    // To the microsecond: 526341.357 s is not 526341356.99999994 ms.
    const ms = round(number * (UNIT_MS[text.replace(/^[0-9.]+/, '')] ?? Number.NaN));
    return within(ms, bounds, formatDuration);
  };
}

function durationHint(text: string): string | null {
  const loose = /^([-+]?)\s*([0-9]*(?:[.,][0-9]+)?)\s*([a-z]*)$/i.exec(text.trim());
  if (loose === null || loose[2] === '' || loose[2] === undefined) {
    const parts = /^([0-9]+)h?([0-9]+)m(?:([0-9]+)s)?$|^([0-9]+)m([0-9]+)s$/.exec(text);
    return parts === null ? null : 'Write it with one unit, such as 90s for one minute and a half.';
  }
  if (loose[1] === '-') return 'A duration cannot be negative.';
  const number = loose[2].replace(',', '.').replace(/^\./, '0.');
  const word = (loose[3] ?? '').toLowerCase();
  const unit = word === '' ? 's' : (UNIT_WORDS[word] ?? (word in UNIT_MS ? word : null));
  return unit === null ? 'The units are ms, s, m, h and d.' : `Did you mean ${number}${unit}?`;
}

/** The shortest text that {@link duration} reads back as the same time. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s';
  for (const unit of ['d', 'h', 'm', 's']) {
    const size = UNIT_MS[unit] ?? 1;
    if (ms >= size && ms % size === 0) return `${ms / size}${unit}`;
  }
  return ms >= 1000 ? `${ms / 1000}s` : `${ms}ms`;
}

export const PERCENT_PATTERN = '^[0-9]+(\\.[0-9]+)?%$';
const PERCENT = new RegExp(PERCENT_PATTERN);

/** A share from 0 to 1, written `20%`. */
export function percent(bounds: Bounds): Reader<number> {
  return (text) => {
    if (!PERCENT.test(text)) {
      const number = /^([0-9]+(?:\.[0-9]+)?)\s*%?$/.exec(text)?.[1];
      const meant = number === undefined ? null : /^0?\.\d|^0\./.test(number) ? `${round(Number(number) * 100)}%` : `${number}%`;
      return bad('a percentage is wanted', 'such as 20%', meant === null ? null : `Did you mean ${meant}?`);
    }
    return within(Number.parseFloat(text) / 100, bounds, formatPercent);
  };
}

export function formatPercent(share: number): string {
  return `${round(share * 100)}%`;
}

function round(number: number): number {
  return Math.round(number * 1000) / 1000;
}

export function integer(bounds: Bounds): Reader<number> {
  return (text) => {
    if (!/^[0-9]{1,15}$/.test(text)) return bad('a whole number is wanted', `from ${bounds.min} to ${bounds.max}`);
    return within(Number(text), bounds, String);
  };
}

export function decimal(bounds: Bounds): Reader<number> {
  return (text) => {
    if (!/^[0-9]{1,15}(\.[0-9]{1,15})?$/.test(text)) return bad('a number is wanted', `from ${bounds.min} to ${bounds.max}`);
    return within(Number(text), bounds, String);
  };
}

/** An unsigned 32-bit number, hexadecimal with `0x` or decimal. */
export const bits32: Reader<number> = (text) => {
  const number = /^0x[0-9a-f]{1,8}$/i.test(text) || /^[0-9]{1,10}$/.test(text) ? Number(text) : Number.NaN;
  return number <= 0xffffffff ? good(number) : bad('a mask of 32 bits is wanted', 'such as 0x7f000000');
};

/** File permissions as chmod takes them: `0660`. */
export const fileMode: Reader<number> = (text) => {
  if (/^0?[0-7]{3}$/.test(text)) return good(Number.parseInt(text, 8));
  return bad('permissions in octal are wanted', 'such as "0660" or "0600"');
};

export function choice<const T extends string>(...choices: readonly T[]): Reader<T> {
  return (text) => {
    const found = choices.find((one) => one === text);
    if (found !== undefined) return good(found);
    const meant = choices.find((one) => one.toLowerCase() === text.toLowerCase());
    return bad('one of these words is wanted', choices.join(', '), meant === undefined ? null : `Did you mean ${meant}?`);
  };
}

function within(value: number, bounds: Bounds, show: (value: number) => string): Read<number> {
  if (value >= bounds.min && value <= bounds.max) return good(value);
  const side = value < bounds.min ? 'too small' : 'too large';
  return bad(side, `from ${show(bounds.min)} to ${show(bounds.max)} is allowed`, bounds.why);
}
