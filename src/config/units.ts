/**
 * Durations, sizes, times of day, percentages, counts, bit masks: text to number with a complaint that says what was meant, and back.
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

/** "Did you mean …?" of a text that `reader` would take: a wrong hint is worse than none, and what is taken is one clean line. */
export function didYouMean(text: string, reader: Reader<unknown>): string | null {
  return reader(text).ok ? `Did you mean ${text}?` : null;
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

const UNIT_BYTES: Readonly<Record<string, number>> = {
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

export const SIZE_PATTERN = '^[0-9]+(\\.[0-9]+)?(kB|MB|GB|TB|KiB|MiB|GiB|TiB)$';
const SIZE = new RegExp(SIZE_PATTERN);

/** Bytes. `50MB` (MB = 10^6), `1.5GiB` (GiB = 2^30). */
export function size(bounds: Bounds): Reader<number> {
  return (text) => {
    if (!SIZE.test(text)) return bad('a size with unit is wanted', 'such as 50MB, 20GB, 1.5GiB', sizeHint(text));
    const bytes = Math.round(Number.parseFloat(text) * (UNIT_BYTES[text.replace(/^[0-9.]+/, '')] ?? Number.NaN));
    return within(bytes, bounds, formatSize);
  };
}

function sizeHint(text: string): string {
  const units = 'The units are kB, MB, GB and TB, and KiB, MiB, GiB and TiB.';
  const loose = /^([-+]?)\s*([0-9]{1,15}(?:[.,][0-9]{1,15})?)\s*([a-z]*)$/i.exec(text.trim());
  if (loose?.[2] === undefined) return units;
  if (loose[1] === '-') return 'A size cannot be negative.';
  const number = loose[2].replace(',', '.');
  const word = (loose[3] ?? '').toLowerCase();
  // A number alone is megabytes where it is small, and bytes where nobody would mean that.
  if (word === '') return Number(number) < 100_000 ? `Did you mean ${number}MB?` : `Did you mean ${formatSize(Number(number))}?`;
  const unit = Object.keys(UNIT_BYTES).find((one) =>
    [one, one[0], one.slice(0, 2)].some((short) => short?.toLowerCase() === word),
  );
  return unit === undefined ? units : `Did you mean ${number}${unit}?`;
}

/** The shortest text that {@link size} reads back as the same number. */
export function formatSize(bytes: number): string {
  const units = Object.entries(UNIT_BYTES).sort(([, a], [, b]) => b - a);
  const exact = units.find(([, one]) => bytes >= one && round(bytes / one) === bytes / one);
  const [unit, one] = exact ?? ['kB', 1000];
  return `${bytes / one}${unit}`;
}

/** As people say it, rounded. */
export function formatBytes(bytes: number): string {
  if (bytes < 1e6) return `${Math.round(bytes / 1e3)} kB`;
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

export const DAYS_PATTERN = '^[0-9]+d$';

/** Whole days: `7d`. */
export function wholeDays(bounds: Bounds): Reader<number> {
  return (text) => {
    if (new RegExp(DAYS_PATTERN).test(text)) return within(Number.parseInt(text, 10), bounds, (days) => `${days}d`);
    const time = duration({ min: 0, max: Number.MAX_SAFE_INTEGER, why: '' })(text);
    const weeks = /^([0-9]{1,3})w$/.exec(text)?.[1];
    const days = weeks !== undefined ? 7 * Number(weeks) : time.ok ? time.value / (UNIT_MS.d ?? Number.NaN) : Number.NaN;
    const alone = /^[0-9]{1,4}$/.test(text) ? `Did you mean ${text}d?` : null;
    return bad(
      'whole days are wanted',
      'such as 1d or 7d',
      Number.isInteger(days) && days > 0 ? `Did you mean ${days}d?` : alone,
    );
  };
}

export const CLOCK_PATTERN = '^([01]?[0-9]|2[0-3]):[0-5][0-9]$';

/** Minutes after midnight: `04:30`. */
export const clock: Reader<number> = (text) => {
  const [hour, minute] = text.split(':');
  if (new RegExp(CLOCK_PATTERN).test(text)) return good(Number(hour) * 60 + Number(minute));
  const loose = /^([01]?[0-9]|2[0-3])[.h]([0-5][0-9])$/.exec(text);
  const hint = loose === null ? 'A day has 24 hours of 60 minutes.' : `Did you mean "${loose[1]}:${loose[2]}"?`;
  return bad('a time of day is wanted', 'from "00:00" to "23:59"', hint);
};

export function formatClock(minutes: number): string {
  return [Math.floor(minutes / 60), minutes % 60].map((part) => String(part).padStart(2, '0')).join(':');
}

/** What people write for true and false; YAML 1.1 took them for that. */
const TRUTHS: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  y: true,
  false: false,
  no: false,
  off: false,
  n: false,
};

export const trueFalse: Reader<boolean> = (text) => {
  if (text === 'true' || text === 'false') return good(text === 'true');
  const meant = Object.hasOwn(TRUTHS, text.toLowerCase()) ? TRUTHS[text.toLowerCase()] : undefined;
  return bad('true or false is wanted', null, meant === undefined ? null : `Did you mean ${meant}?`);
};

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
