/** What metered uplinks cost: months, caps, warnings, and a probe budget that lasts without making us blind. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { MeteredConfig, TargetConfig, UplinkConfig } from '../../../../src/core/config.js';
import type { HistoryRecord, SavedUsage } from '../../../../src/core/messages.js';
import { formatBytes } from '../../../../src/core/show/bytes.js';
import { Metering } from '../../../../src/core/traffic/metering.js';
import { probeBytes, probeBytesPerS } from '../../../../src/core/traffic/probe-bytes.js';
import { LONGEST_INTERVAL_MS } from '../../../../src/core/traffic/probe-pace.js';
import fc from '../../../support/properties.js';
import { gateway, icmp, uplinkConfig } from '../../../support/topology.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const GB = 1e9;
/** 1 November 2026, 00:00 UTC: a month of 30 days */
const NOVEMBER = Date.UTC(2026, 10, 1);
const DECEMBER = Date.UTC(2026, 11, 1);
const METERED: MeteredConfig = { probeBudgetBytes: 50e6, capBytes: 20 * GB, startsOnDay: 1, atCap: 'warn' };
const NOBODY: ReadonlySet<string> = new Set();
const LTE: ReadonlySet<string> = new Set(['lte']);
const WWAN0 = { name: 'wwan0', ifindex: 7 };
const ETH2 = { name: 'eth2', ifindex: 3 };

function lte(metered: Partial<MeteredConfig> = {}, change: Partial<UplinkConfig> = {}): UplinkConfig {
  return uplinkConfig('lte', {
    gateways: [gateway('10.0.0.1')],
    targets: [icmp('198.51.100.1')],
    metered: { ...METERED, ...metered },
    ...change,
  });
}

/** A metering whose monotonic clock is 0 at `wall0`; the wall clock can be set apart from it. */
class Bench {
  readonly records: HistoryRecord[] = [];
  readonly metering: Metering;
  now = 0;
  wall0: number;
  uplink: UplinkConfig;

  constructor(uplink = lte(), wall0 = NOVEMBER, saved: Readonly<Record<string, SavedUsage>> = {}) {
    this.wall0 = wall0;
    this.uplink = uplink;
    this.metering = new Metering(saved, {
      wallMs: (ms) => this.wall0 + ms,
      utcOffsetMs: () => 0,
      record: (record) => this.records.push(record),
    });
    this.metering.configure([uplink], 0);
  }

  read(bytes: number, bootId = 'boot', link = WWAN0): void {
    this.metering.counters('lte', { link, rxBytes: bytes, txBytes: 0 }, bootId, this.now);
  }

  look(carrying = NOBODY): boolean {
    return this.metering.look(this.now, carrying).changed;
  }

  /** At this instant after the beginning, with so many bytes on the interface. */
  at(now: number, bytes: number): void {
    this.now = now;
    this.read(bytes);
    this.look();
  }

  get view() {
    const view = this.metering.view('lte', this.now);
    assert.ok(view !== null);
    return view;
  }

  get interval(): number {
    return this.metering.intervalMs(this.uplink);
  }

  /** Without the ones about the interval. */
  get told(): string[] {
    return this.records.filter((r) => r.severity !== 'info').map((r) => `${r.severity}: ${r.text}`);
  }
}

describe('counting', () => {
  test('nothing is metered where nothing is said to be', () => {
    const bench = new Bench(uplinkConfig('lte', { gateways: [gateway('10.0.0.1')] }));
    assert.equal(bench.metering.view('lte', 0), null);
    assert.equal(bench.metering.closed('lte'), false);
    assert.equal(bench.interval, 1000);
    assert.deepEqual(bench.metering.look(0, NOBODY), { changed: false, save: false });
  });

  test('until the interface has said anything the bytes are unknown, and what it counted before is not ours', () => {
    const bench = new Bench();
    assert.equal(bench.view.bytes, null);
    bench.metering.counters('lte', null, 'boot', 0);
    assert.equal(bench.view.bytes, null);
    bench.read(7 * GB);
    assert.equal(bench.view.bytes, 0);
    bench.read(8 * GB);
    assert.equal(bench.view.bytes, GB);
    bench.metering.counters('lte', null, 'boot', 0);
    assert.equal(bench.view.bytes, GB, 'an interface that vanished does not take back what it cost');
  });

  test('a counter that went back, in either direction of travel, and a new boot start from zero', () => {
    const bench = new Bench();
    const read = (rxBytes: number, txBytes: number, bootId = 'boot'): number | null => {
      bench.metering.counters('lte', { link: WWAN0, rxBytes, txBytes }, bootId, 0);
      return bench.view.bytes;
    };
    assert.equal(read(1000, 100), 0);
    assert.equal(read(2000, 200), 1100);
    assert.equal(read(50, 300), 1450, 'made anew: rx went back, so tx counts from zero too');
    assert.equal(read(60, 5), 1515);
    assert.equal(read(900, 900, 'next boot'), 3315);
  });

  test('whatever the counters do, nothing is lost and nothing is counted twice', () => {
    const step = fc.record({
      rx: fc.nat(1_000_000),
      tx: fc.nat(1_000_000),
      event: fc.constantFrom('run', 'run', 'run', 'anew', 'boot', 'gone', 'restart', 'replugged', 'renamed', 'elsewhere'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
        let bench = new Bench();
        let [rxBytes, txBytes, boot, total] = [5_000_000, 5_000_000, 0, 0];
        let link = WWAN0;
        const read = (): void => bench.metering.counters('lte', { link, rxBytes, txBytes }, `${boot}`, 0);
        read();
        for (const { rx, tx, event } of steps) {
          if (event === 'gone') bench.metering.counters('lte', null, `${boot}`, 0);
          if (event === 'restart') bench = new Bench(lte(), NOVEMBER, JSON.parse(JSON.stringify(bench.metering.saved)));
          if (event === 'boot') boot += 1;
          if (event === 'boot' || event === 'anew') {
            // Where it does not go back (nothing had been counted since), nobody can tell it was made anew.
            if (event === 'anew' && rxBytes <= rx && txBytes <= tx) continue;
            [rxBytes, txBytes] = [0, 0];
          }
          if (event === 'renamed') link = { ...link, name: `wwan${link.ifindex}-${steps.length}` };
          // By its number it is known to be made anew, however much it has counted since.
          if (event === 'replugged') [link, rxBytes, txBytes] = [{ ...link, ifindex: link.ifindex + 1 }, 0, 0];
          if (event === 'elsewhere') {
            // Another device, whatever it has counted for others so far.
            link = { name: `eth${link.ifindex}`, ifindex: link.ifindex + 1 };
            [rxBytes, txBytes] = [340 * GB + rx, 340 * GB + tx];
            read();
          }
          rxBytes += rx;
          txBytes += tx;
          total += rx + tx;
          read();
        }
        assert.equal(bench.view.bytes, total);
      }),
    );
  });

  test('another interface in the file is another counter', () => {
    const bench = new Bench(lte({}, { interface: 'wwan0' }));
    bench.read(1000);
    bench.read(2000);
    bench.metering.configure([lte({}, { interface: 'eth2' })], 0);
    bench.read(500 * GB, 'boot', ETH2);
    bench.read(500 * GB + 10, 'boot', ETH2);
    assert.equal(bench.view.bytes, 1010);
  });

  test('another interface is another counter, over a restart, a reboot and where it was only found', () => {
    for (const [how, boot] of [
      ['restart', 'boot'],
      ['reboot', 'next boot'],
      ['found', 'boot'],
    ] as const) {
      const first = new Bench();
      first.read(0);
      first.read(GB);
      const saved = JSON.parse(JSON.stringify(first.metering.saved));
      const bench = how === 'found' ? first : new Bench(lte(), NOVEMBER, saved);
      bench.read(340 * GB, boot, ETH2);
      assert.equal(bench.view.bytes, GB, how);
      bench.read(340 * GB + 5, boot, ETH2);
      assert.equal(bench.view.bytes, GB + 5, how);
      bench.read(2 * GB, boot, WWAN0);
      assert.equal(bench.view.bytes, GB + 5, `${how}, and back`);
    }
  });

  test('the same interface: under another name, or plugged in anew with more on it than before', () => {
    const bench = new Bench();
    bench.read(0);
    bench.read(1000);
    bench.read(1500, 'boot', { ...WWAN0, name: 'wwx0' });
    assert.equal(bench.view.bytes, 1500, 'a number is given once a boot');
    bench.read(4000, 'boot', { name: 'wwx0', ifindex: 12 });
    assert.equal(bench.view.bytes, 5500, 'it began at zero');
    bench.read(10, 'next boot', { name: 'wwx0', ifindex: 3 });
    assert.equal(bench.view.bytes, 5510, 'numbers of another boot mean nothing');
    bench.read(5000, 'third boot', { name: 'eth0', ifindex: 3 });
    assert.equal(bench.view.bytes, 5510);
  });

  test('on an interface that is not its own nothing is counted, nor made up for afterwards', () => {
    const bench = new Bench();
    bench.read(0);
    bench.read(1000);
    bench.metering.counters('lte', 'shared', 'boot', 0);
    assert.equal(bench.view.bytes, 1000);
    bench.read(340 * GB);
    bench.read(340 * GB + 5);
    assert.equal(bench.view.bytes, 1005);
  });

  test('what an older version has saved, which does not say of which interface, is counted on', () => {
    const counters = { bootId: 'boot', rxBytes: 1000, txBytes: 0 };
    const saved = { lte: { monthWallMs: NOVEMBER, probeBytes: 0, bytes: GB, counters, toldPercent: 0 } };
    const bench = new Bench(lte(), NOVEMBER, saved);
    bench.read(1500);
    assert.equal(bench.view.bytes, GB + 500);
    bench.read(340 * GB, 'boot', ETH2);
    assert.equal(bench.view.bytes, GB + 500);
  });

  test('an uplink that was not metered for a while is metered on', () => {
    const bench = new Bench();
    bench.read(0);
    bench.read(GB);
    bench.metering.configure([lte({}, { metered: null })], 0);
    assert.equal(bench.metering.view('lte', 0), null);
    assert.equal(bench.metering.saved.lte?.bytes, GB, 'kept over a restart too');
    bench.metering.configure([lte()], 0);
    assert.equal(bench.view.bytes, GB);
  });
});

describe('months', () => {
  test('with a new month everything starts from nothing, but not the counter', () => {
    const bench = new Bench();
    bench.read(0);
    bench.metering.probeSent('lte', 88);
    bench.at(30 * DAY - 1, GB);
    assert.deepEqual([bench.view.bytes, bench.view.probeBytes], [GB, 88]);
    bench.now = 30 * DAY;
    bench.look();
    assert.deepEqual([bench.view.bytes, bench.view.probeBytes, bench.view.monthWallMs], [0, 0, DECEMBER]);
    bench.at(30 * DAY + 1, GB + 5);
    assert.equal(bench.view.bytes, 5);
  });

  test('a restart within the month goes on, one in the next begins anew', () => {
    const first = new Bench();
    first.read(0);
    first.at(2 * DAY, 3 * GB);
    const { saved } = first.metering;
    const again = new Bench(lte(), NOVEMBER + 3 * DAY, saved);
    again.read(4 * GB);
    assert.equal(again.view.bytes, 4 * GB, 'what went by meanwhile is counted too');
    const later = new Bench(lte(), DECEMBER + DAY, saved);
    later.read(4 * GB);
    assert.equal(later.view.bytes, 0, 'what went by meanwhile may be of either month');
  });

  test('a machine that does not know the date yet forgets nothing', () => {
    const first = new Bench();
    first.read(0);
    first.at(10 * DAY, 3 * GB);
    const bench = new Bench(lte(), 0, first.metering.saved);
    bench.read(3 * GB);
    bench.now = 5 * MINUTE;
    bench.look();
    bench.wall0 = NOVEMBER + 11 * DAY;
    bench.look();
    assert.deepEqual([bench.view.bytes, bench.view.monthWallMs], [3 * GB, NOVEMBER]);
  });

  test('a date that lay ahead is believed to have been wrong after an hour', () => {
    const bench = new Bench(lte(), Date.UTC(2038, 0, 5));
    bench.read(0);
    bench.read(GB);
    bench.look();
    bench.wall0 = NOVEMBER + DAY;
    for (; bench.now < HOUR; bench.now += MINUTE) bench.look();
    assert.equal(bench.view.monthWallMs, Date.UTC(2038, 0, 1));
    bench.now = HOUR + MINUTE;
    bench.look();
    assert.deepEqual([bench.view.monthWallMs, bench.view.bytes], [NOVEMBER, GB]);
  });

  test('another time zone is no new month', () => {
    const first = new Bench();
    first.read(0);
    first.at(2 * DAY, GB);
    const west = new Metering(first.metering.saved, {
      wallMs: (ms) => NOVEMBER + 2 * DAY + ms,
      utcOffsetMs: () => -8 * HOUR,
      record: () => undefined,
    });
    west.configure([lte()], 0);
    assert.equal(west.view('lte', 0)?.bytes, GB);
  });
});

describe('the cap', () => {
  test('75, 95 and 100 % are told once each, with figures and a forecast', () => {
    const bench = new Bench();
    bench.read(0);
    for (let hour = 1; hour <= 20 * 24; hour += 1) bench.at(hour * HOUR, (hour / 24) * 1.02 * GB);
    assert.deepEqual(bench.told, [
      'warning: 15 GB of 20 GB used (75 %); at this pace the month ends at 30.6 GB',
      'warning: 19 GB of 20 GB used (95 %); at this pace the month ends at 30.6 GB',
      'warning: 20 GB of 20 GB used (100 %); at this pace the month ends at 30.6 GB',
    ]);
    assert.ok(bench.records.every((r) => r.kind === 'usage' && r.uplink === 'lte'));
    assert.equal(bench.metering.closed('lte'), false, 'at-cap is warn');
  });

  test('who jumps over a warning is told the highest only', () => {
    const bench = new Bench();
    bench.read(0);
    bench.at(HOUR, 19.2 * GB);
    assert.deepEqual(bench.told, ['warning: 19.2 GB of 20 GB used (96 %)']);
  });

  test('at-cap: disable closes it, says so, and opens it with the new month', () => {
    const bench = new Bench(lte({ atCap: 'disable' }));
    bench.read(0);
    bench.at(HOUR, 19.9 * GB);
    assert.equal(bench.metering.closed('lte'), false);
    bench.now = 2 * DAY;
    bench.read(20 * GB);
    assert.equal(bench.look(), true);
    assert.equal(bench.metering.closed('lte'), true);
    assert.equal(bench.view.closed, true);
    bench.now = 30 * DAY;
    assert.equal(bench.look(), true);
    assert.equal(bench.metering.closed('lte'), false);
    assert.deepEqual(bench.told.slice(1), [
      'error: 20 GB of 20 GB used (100 %): it carries nothing more until the month ends, in 28 d',
      'notice: open again: it is below its cap',
    ]);
  });

  test('a restart neither tells again nor opens', () => {
    const first = new Bench(lte({ atCap: 'disable' }));
    first.read(0);
    first.at(HOUR, 21 * GB);
    const again = new Bench(first.uplink, NOVEMBER + 2 * HOUR, first.metering.saved);
    assert.equal(again.metering.closed('lte'), true, 'before the interface has said anything');
    again.read(21 * GB);
    again.look();
    assert.deepEqual(again.told, []);
    const december = new Bench(first.uplink, DECEMBER + DAY, first.metering.saved);
    assert.deepEqual(december.told, ['notice: open again: it is below its cap']);
  });

  test('a larger cap opens it, and its own warnings are still to come', () => {
    const bench = new Bench(lte({ atCap: 'disable' }));
    bench.read(0);
    bench.at(HOUR, 20 * GB);
    bench.metering.configure([lte({ atCap: 'disable', capBytes: 40 * GB })], bench.now);
    assert.equal(bench.look(), true);
    bench.at(2 * HOUR, 30 * GB);
    assert.deepEqual(bench.told.slice(1), ['notice: open again: it is below its cap', 'warning: 30 GB of 40 GB used (75 %)']);
  });

  test('no forecast before a day was seen; of a month begun in its middle only the part that was seen speaks', () => {
    const bench = new Bench(lte(), NOVEMBER + 20 * DAY);
    bench.read(100 * GB);
    bench.at(DAY - 1, 101 * GB);
    assert.equal(bench.view.forecastBytes, null);
    bench.at(DAY, 101 * GB);
    assert.equal(bench.view.forecastBytes, 10 * GB, '1 GB a day for the ten days that it is counted');
    const again = new Bench(lte(), NOVEMBER + 22 * DAY, bench.metering.saved);
    again.read(102 * GB);
    assert.equal(again.view.forecastBytes, 10 * GB, 'a restart does not forget since when');
  });

  test('figures as people read them', () => {
    assert.deepEqual([0, 999, 1000, 15.24e9, 31e9, 999.6e6, 99.96e6, 2e15].map(formatBytes), [
      '0 B',
      '999 B',
      '1 kB',
      '15.2 GB',
      '31 GB',
      '1 GB',
      '100 MB',
      '2 PB',
    ]);
  });
});

// ---- the probe budget ----------------------------------------------------------------------------------------------

const TARGETS: readonly TargetConfig[] = [
  icmp('198.51.100.1'),
  icmp('2001:db8::1'),
  { label: 'tcp', host: { kind: 'name', name: 'a.example' }, kind: 'tcp', port: 443 },
  {
    label: 'dns',
    host: { kind: 'address', address: '9.9.9.9', family: 4 },
    kind: 'dns',
    name: 'example.org',
    type: 'A',
    port: 53,
  },
  {
    label: 'http',
    host: { kind: 'name', name: 'b.example' },
    kind: 'http',
    url: 'https://b.example/',
    port: 443,
    statuses: [],
    bodyContains: null,
  },
];

interface Month {
  readonly spent: number;
  /** as often as the interval was changed, but for the uplink's being taken into use and left */
  readonly changes: number;
  /** most that was spent between two looks */
  readonly step: number;
  readonly longest: number;
}

/** A month in which it is asked as the metering says; looked at every `lookMs`. */
function liveMonth(
  uplink: UplinkConfig,
  lookMs: number,
  active: (wallMs: number) => boolean,
  extra: (look: number) => number,
): Month {
  const bench = new Bench(uplink);
  let [spent, changes, step, longest, owed] = [0, 0, 0, 0, 0];
  let was = false;
  for (let look = 0; (look + 1) * lookMs < 30 * DAY; look += 1) {
    bench.now = look * lookMs;
    const carrying = active(bench.now);
    if (bench.look(carrying ? LTE : NOBODY) && carrying === was) changes += 1;
    was = carrying;
    owed += probeBytesPerS(uplink, bench.interval) * (lookMs / 1000) + extra(look);
    const sent = Math.floor(owed);
    owed -= sent;
    bench.metering.probeSent('lte', sent);
    spent += sent;
    step = Math.max(step, sent);
    longest = Math.max(longest, bench.interval);
  }
  assert.equal(bench.view.probeBytes, spent);
  return { spent, changes, step, longest };
}

describe('the probe budget', () => {
  test('bytes of a probe and its answer on the wire', () => {
    assert.equal(probeBytes({ kind: 'icmp' }, 4), 2 * (20 + 8 + 16));
    assert.equal(probeBytes({ kind: 'icmp' }, 6), 2 * (40 + 8 + 16));
    assert.equal(probeBytes({ kind: 'tcp', port: 1 }, 4), 60 + 60 + 52 + 40);
    assert.equal(probeBytes({ kind: 'tcp', port: 1 }, 6), 80 + 80 + 72 + 60);
    assert.equal(probeBytes({ kind: 'dns', name: 'example.org', type: 'A', port: 53 }, 4), 2 * (20 + 8 + 12 + 17) + 100);
    const page = { kind: 'http', url: 'http://b.example/', port: 80, statuses: [], bodyContains: null } as const;
    assert.equal(probeBytes(page, 4), 212 + 1500);
    assert.equal(probeBytes({ ...page, url: 'HTTPS://b.example/' }, 4), 212 + 1500 + 5000);
  });

  test('a target is asked in the families it has, the gateway of an unwatched family at every interval', () => {
    const both = lte({}, { gateways: [gateway('10.0.0.1'), gateway('fe80::1')], targets: [icmp('198.51.100.1')] });
    // one target and the gateway every 10 s by IPv4; only the gateway, but each second, by IPv6
    assert.equal(probeBytesPerS(both, 1000), 88 + 8.8 + 128);
  });

  test('enough for the configured interval: nothing is slowed down', () => {
    const bench = new Bench(lte({ probeBudgetBytes: 300e6 }));
    assert.equal(bench.interval, 1000);
    for (; bench.now < 30 * DAY; bench.now += HOUR) {
      bench.metering.probeSent('lte', probeBytesPerS(bench.uplink, bench.interval) * 3600);
      assert.equal(bench.look(), false);
    }
    assert.deepEqual(bench.records, []);
  });

  test('too little even for the longest interval: it is asked still, and that is told once', () => {
    const bench = new Bench(lte({ probeBudgetBytes: 100_000 }));
    assert.equal(bench.interval, LONGEST_INTERVAL_MS);
    bench.look();
    bench.metering.probeSent('lte', 200_000);
    bench.now = DAY;
    bench.look();
    assert.equal(bench.interval, LONGEST_INTERVAL_MS);
    assert.deepEqual(bench.told, [
      'notice: its probe budget of 100 kB does not last: even one round of probes every 5 min takes more',
    ]);
  });

  test('an interval longer than five minutes is nobody else’s to shorten', () => {
    const slow = lte({ probeBudgetBytes: 1 }, { probe: { ...lte().probe, intervalMs: 900_000 } });
    assert.equal(new Bench(slow).interval, 900_000);
  });

  test('in use it is asked as configured from the first moment, and goes back when it is left', () => {
    const bench = new Bench();
    const calm = bench.interval;
    assert.ok(calm > 3000, `calm: ${calm} ms`);
    assert.equal(bench.look(LTE), true);
    assert.equal(bench.interval, 1000);
    bench.now = MINUTE;
    assert.equal(bench.look(), true);
    assert.equal(bench.interval, calm);
    assert.match(bench.records.at(-1)?.text ?? '', /^asked every \S+ s instead of 1 s: so its probe budget of 50 MB lasts$/);
  });

  test('in use for the whole month: hasty on the first day, then about as in calm, never blind and never over the budget', () => {
    const bench = new Bench();
    const calm = bench.interval;
    const seen: number[] = [];
    for (; bench.now < 59 * DAY; bench.now += MINUTE) {
      bench.look(LTE);
      bench.metering.probeSent('lte', probeBytesPerS(bench.uplink, bench.interval) * 60);
      if (bench.now % DAY === 0) seen.push(bench.interval);
      assert.ok(bench.view.probeBytes <= 50e6 + 6000, `${bench.view.probeBytes}`);
    }
    assert.equal(seen[0], 1000);
    assert.ok((seen[1] ?? 0) < 3000, `after a day in use: every ${seen[1]} ms`);
    const worst = Math.max(...seen.slice(0, 30));
    assert.ok(worst <= 6 * calm, `at worst every ${worst} ms, ${calm} ms in calm`);
    assert.ok(Math.max(...seen.slice(31)) <= 1.5 * calm, `in its second month: ${seen.slice(31)}`);
  });

  test('whatever is asked, however often, in use or not, with bursts: the month stays within its budget by a step', () => {
    fc.assert(
      fc.property(
        fc.subarray([...TARGETS], { minLength: 0 }),
        fc.constantFrom(['10.0.0.1'], ['10.0.0.1', 'fe80::1']),
        fc.constantFrom(200, 1000, 5000, 60_000),
        fc.double({ min: 1, max: 400, noNaN: true }),
        fc.array(fc.tuple(fc.nat(29), fc.nat(48)), { maxLength: 6 }),
        fc.array(fc.nat(30 * 24 * 6 - 1), { maxLength: 40 }),
        (targets, gateways, intervalMs, megabytes, outages, bursts) => {
          const uplink = lte(
            { probeBudgetBytes: Math.round(megabytes * 1e6) },
            { gateways: gateways.map(gateway), targets, probe: { ...lte().probe, intervalMs } },
          );
          const lookMs = 10 * MINUTE;
          const burstBytes = 5 * probeBytesPerS(uplink, 1000);
          const inUse = (ms: number): boolean => outages.some(([day, hours]) => ms >= day * DAY && ms < day * DAY + hours * HOUR);
          const burstAt = new Set(bursts);
          const { spent, step, changes, longest } = liveMonth(uplink, lookMs, inUse, (look) =>
            burstAt.has(look) ? burstBytes : 0,
          );
          // Less than the longest interval costs is never asked: that much may be over.
          const floor = (probeBytesPerS(uplink, Math.max(intervalMs, LONGEST_INTERVAL_MS)) * 30 * DAY) / 1000;
          const allowed = Math.max(uplink.metered?.probeBudgetBytes ?? 0, floor) + step + bursts.length * burstBytes;
          assert.ok(spent <= allowed, `${spent} of ${allowed}`);
          assert.ok(longest <= Math.max(intervalMs, LONGEST_INTERVAL_MS));
          assert.ok(changes <= 120, `${changes} changes of the interval`);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('the interval never is shorter than configured, and a calm month hardly changes it', () => {
    const { changes, spent } = liveMonth(
      lte(),
      MINUTE,
      () => false,
      () => 0,
    );
    assert.ok(changes <= 20, `${changes} changes`);
    assert.ok(spent > 0.8 * 50e6, `the budget is used: ${spent}`);
  });

  test('what was spent early is made up for, and then it is asked more often again', () => {
    const bench = new Bench();
    bench.metering.probeSent('lte', 45e6);
    bench.look();
    const slow = bench.interval;
    for (; bench.now < 29 * DAY; bench.now += HOUR) bench.look();
    assert.ok(bench.interval < slow / 4, `${bench.interval} after ${slow}`);
  });

  test('what was counted is worth saving every five minutes, and whenever something was told', () => {
    const bench = new Bench();
    assert.equal(bench.metering.look(0, NOBODY).save, true);
    assert.equal(bench.metering.look(MINUTE, NOBODY).save, false);
    assert.equal(bench.metering.look(5 * MINUTE, NOBODY).save, true);
    bench.read(0);
    bench.read(16 * GB);
    assert.equal(bench.metering.look(6 * MINUTE, NOBODY).save, true);
  });
});
