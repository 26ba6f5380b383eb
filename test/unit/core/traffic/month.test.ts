/** Months and times of day by the local clock, against Date in zones that do every odd thing clocks do. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import {
  civilFromDays,
  daysFromCivil,
  localInstant,
  monthAround,
  nextOccurrence,
  type UtcOffset,
} from '../../../../src/core/traffic/month.js';
import fc from '../../../support/properties.js';

const DAY_MS = 86_400_000;
/** Midnights that do not exist (Beirut, Santiago, Asuncion), half hours (Lord Howe), a day left out (Apia), changes at 00:01 (St John's). */
const ZONES = [
  'UTC',
  'Europe/Zurich',
  'America/St_Johns',
  'America/Santiago',
  'America/Asuncion',
  'America/Havana',
  'Asia/Beirut',
  'Asia/Kathmandu',
  'Australia/Lord_Howe',
  'Atlantic/Azores',
  'Pacific/Apia',
  'Pacific/Kiritimati',
];
const formerZone = process.env.TZ;
after(() => {
  if (formerZone === undefined) delete process.env.TZ;
  else process.env.TZ = formerZone;
});

const offset: UtcOffset = (wallMs) => -new Date(wallMs).getTimezoneOffset() * 60_000;

const instants = fc.integer({ min: Date.UTC(1996, 0, 1), max: Date.UTC(2036, 0, 1) });

function inEveryZone(check: (zone: string) => void): void {
  for (const zone of ZONES) {
    process.env.TZ = zone;
    check(zone);
  }
}

test('civil dates are those of Date, over four centuries and before 1970', () => {
  fc.assert(
    fc.property(fc.integer({ min: -200_000, max: 200_000 }), (days) => {
      const date = new Date(days * DAY_MS);
      const civil = civilFromDays(days);
      assert.deepEqual(civil, { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() });
      assert.equal(daysFromCivil(civil), days);
    }),
    { numRuns: 2000 },
  );
});

test('a minute of a local day is the instant that Date gives it, also where the clock leaps or shows it twice', () => {
  inEveryZone((zone) =>
    fc.assert(
      fc.property(fc.integer({ min: 9500, max: 24_000 }), fc.integer({ min: 0, max: 1439 }), (day, minute) => {
        const { year, month, day: dayOfMonth } = civilFromDays(day);
        assert.equal(localInstant(day, minute, offset), new Date(year, month - 1, dayOfMonth, 0, minute).getTime(), zone);
      }),
    ),
  );
});

test('on the very days when clocks change, every half hour is where Date has it', () => {
  inEveryZone((zone) => {
    for (
      let day = daysFromCivil({ year: 2006, month: 1, day: 1 });
      day < daysFromCivil({ year: 2012, month: 1, day: 1 });
      day += 1
    ) {
      if (offset((day - 1) * DAY_MS) === offset((day + 2) * DAY_MS)) continue;
      const { year, month, day: dayOfMonth } = civilFromDays(day);
      for (let minute = 0; minute < 1440; minute += 30) {
        const date = new Date(year, month - 1, dayOfMonth, 0, minute);
        assert.equal(localInstant(day, minute, offset), date.getTime(), `${zone} ${year}-${month}-${dayOfMonth} +${minute} min`);
      }
    }
  });
});

test('a month begins at local midnight of its day, ends where the next begins, and holds the instant asked for', () => {
  inEveryZone((zone) =>
    fc.assert(
      fc.property(instants, fc.integer({ min: 1, max: 28 }), (wallMs, startsOn) => {
        const month = monthAround(wallMs, startsOn, offset);
        assert.ok(month.startMs <= wallMs && wallMs < month.endMs, `${zone}: not within`);
        const start = new Date(month.startMs);
        const expected = new Date(start.getFullYear(), start.getMonth(), startsOn);
        assert.equal(month.startMs, expected.getTime(), zone);
        assert.equal(month.endMs, new Date(expected.getFullYear(), expected.getMonth() + 1, startsOn).getTime(), zone);
        assert.deepEqual(monthAround(month.endMs, startsOn, offset).startMs, month.endMs, `${zone}: a gap between months`);
        assert.deepEqual(monthAround(month.endMs - 1, startsOn, offset), month, `${zone}: an overlap`);
      }),
    ),
  );
});

test('every day at the minute, whatever the clock does that day', () => {
  inEveryZone((zone) =>
    fc.assert(
      fc.property(instants, fc.integer({ min: 0, max: 1439 }), (afterMs, atMinute) => {
        const next = nextOccurrence({ atMinute, everyDays: 1 }, null, afterMs, offset);
        const date = new Date(afterMs);
        const candidates = [-1, 0, 1, 2, 3].map((days) =>
          new Date(date.getFullYear(), date.getMonth(), date.getDate() + days, 0, atMinute).getTime(),
        );
        assert.equal(next, Math.min(...candidates.filter((ms) => ms > afterMs)), zone);
      }),
    ),
  );
});

test('every so many days after the last, on the grid of days and never on the day of the last', () => {
  inEveryZone((zone) =>
    fc.assert(
      fc.property(
        instants,
        fc.integer({ min: 0, max: 100 * DAY_MS }),
        fc.integer({ min: 0, max: 1439 }),
        fc.integer({ min: 1, max: 31 }),
        (anchorMs, laterMs, atMinute, everyDays) => {
          const afterMs = anchorMs + laterMs;
          const next = nextOccurrence({ atMinute, everyDays }, anchorMs, afterMs, offset);
          const anchor = new Date(anchorMs);
          const expected = (k: number): number =>
            new Date(anchor.getFullYear(), anchor.getMonth(), anchor.getDate() + k * everyDays, 0, atMinute).getTime();
          let k = 1;
          while (expected(k) <= afterMs) k += 1;
          assert.equal(next, expected(k), zone);
        },
      ),
    ),
  );
});

test('half past four in Zurich is half past four on both sides of the change of clocks', () => {
  process.env.TZ = 'Europe/Zurich';
  const last = Date.UTC(2026, 2, 22, 3, 30);
  assert.equal(nextOccurrence({ atMinute: 270, everyDays: 7 }, last, last, offset), Date.UTC(2026, 2, 29, 2, 30));
  const next = nextOccurrence({ atMinute: 270, everyDays: 1 }, null, Date.UTC(2026, 2, 29, 2, 30), offset);
  assert.equal(next, Date.UTC(2026, 2, 30, 2, 30), 'after this very instant, not at it');
});
