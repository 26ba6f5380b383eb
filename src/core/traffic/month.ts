/**
 * Days, months and times of day by the local clock, as Unix instants: months that begin on a chosen day, and what comes
 * round every few days at the same minute. Knows no clock and no time zone: what local time is ahead of UTC is handed in.
 * Civil dates after Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (days_from_civil, civil_from_days).
 */

/** What local time is ahead of UTC at a Unix instant, ms. */
export type UtcOffset = (wallMs: number) => number;

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** Days, years and eras are counted from 0000-03-01: the leap day is then the last of its year. */
const DAYS_PER_ERA = 146_097;
const EPOCH_DAYS = 719_468;

export interface CivilDate {
  readonly year: number;
  /** 1..12 */
  readonly month: number;
  /** 1..31 */
  readonly day: number;
}

/** Days since 1970-01-01 in the proleptic Gregorian calendar. */
export function daysFromCivil({ year, month, day }: CivilDate): number {
  const marchYear = month <= 2 ? year - 1 : year;
  const era = Math.floor(marchYear / 400);
  const yearOfEra = marchYear - era * 400;
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * DAYS_PER_ERA + dayOfEra - EPOCH_DAYS;
}

export function civilFromDays(days: number): CivilDate {
  const shifted = days + EPOCH_DAYS;
  const era = Math.floor(shifted / DAYS_PER_ERA);
  const dayOfEra = shifted - era * DAYS_PER_ERA;
  const leaps = Math.floor(dayOfEra / 1460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096);
  const yearOfEra = Math.floor((dayOfEra - leaps) / 365);
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1,
  };
}

/** Days since 1970-01-01 of the local date at an instant. */
export function localDay(wallMs: number, utcOffsetMs: UtcOffset): number {
  return Math.floor((wallMs + utcOffsetMs(wallMs)) / DAY_MS);
}

/**
 * The instant at which the local clock shows this minute of this day. Where it shows it twice, the first time; where it
 * leaps over it, as if it had not leapt yet (as Date does).
 */
export function localInstant(day: number, minute: number, utcOffsetMs: UtcOffset): number {
  const shown = day * DAY_MS + minute * MINUTE_MS;
  // No zone is a whole day ahead of or behind UTC: these are the offsets before and after any change near that minute.
  const before = utcOffsetMs(shown - DAY_MS);
  const after = utcOffsetMs(shown + DAY_MS);
  return utcOffsetMs(shown - before) === before || utcOffsetMs(shown - after) !== after ? shown - before : shown - after;
}

/** From its beginning to that of the next, Unix ms. */
export interface Month {
  readonly startMs: number;
  readonly endMs: number;
}

/** The month in which an instant lies, where months begin at local midnight of the given day, 1..28. */
export function monthAround(wallMs: number, startsOnDay: number, utcOffsetMs: UtcOffset): Month {
  const { year, month } = civilFromDays(localDay(wallMs, utcOffsetMs));
  const begins = (months: number): number => {
    const count = year * 12 + (month - 1) + months;
    const first = { year: Math.floor(count / 12), month: (((count % 12) + 12) % 12) + 1, day: startsOnDay };
    return localInstant(daysFromCivil(first), 0, utcOffsetMs);
  };
  // By instants, not by dates: a clock set back over midnight shows the former day again.
  let months = 1;
  while (begins(months) > wallMs) months -= 1;
  return { startMs: begins(months), endMs: begins(months + 1) };
}

export interface Recurrence {
  /** minutes after midnight, local time */
  readonly atMinute: number;
  readonly everyDays: number;
}

/**
 * The first time after an instant.
 * @param anchorMs the days are counted from that of this instant, on which it is not due; null = every day will do
 */
export function nextOccurrence(
  { atMinute, everyDays }: Recurrence,
  anchorMs: number | null,
  afterMs: number,
  utcOffsetMs: UtcOffset,
): number {
  const yesterday = localDay(afterMs, utcOffsetMs) - 1;
  const step = anchorMs === null ? 1 : everyDays;
  const anchor = anchorMs === null ? yesterday - 1 : localDay(anchorMs, utcOffsetMs);
  let day = anchor + step * Math.max(1, Math.floor((yesterday - anchor) / step));
  while (localInstant(day, atMinute, utcOffsetMs) <= afterMs) day += step;
  return localInstant(day, atMinute, utcOffsetMs);
}
