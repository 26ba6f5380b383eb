/** Routers that offer themselves beside us: told once, with what to do about it, and once when they are gone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RouterAdvert } from '../../../../src/core/hint.js';
import type { HistoryRecord } from '../../../../src/core/messages.js';
import { Rogues, type UplinkGround } from '../../../../src/core/traffic/rogues.js';
import { REPEAT_MS } from '../../../../src/kernel/router-adverts.js';
import fc from '../../../support/properties.js';

const WALL_MS = 1_700_000_000_000;
const STRANGER: RouterAdvert = {
  interface: 'lan0',
  from: 'fe80::bad',
  mac: '52:54:00:00:0b:ad',
  lifetimeS: 1800,
  prefixes: ['2001:db8:bad::/64'],
};
const TWO_NICS: readonly UplinkGround[] = [{ interface: 'wan0', shared: false, routers: [] }];
const ONE_ARMED: readonly UplinkGround[] = [
  { interface: 'eth0', shared: true, routers: [{ uplink: 'fast', address: 'fe80::253%eth0', mac: '02:00:00:00:02:53' }] },
];

function watched(ground: readonly UplinkGround[] | null = TWO_NICS) {
  const records: HistoryRecord[] = [];
  const wakes: number[] = [];
  const rogues = new Rogues({
    wallMs: (ms) => WALL_MS + ms,
    record: (record) => records.push(record),
    wakeAt: (atMs) => wakes.push(atMs),
  });
  rogues.configure(ground);
  return { rogues, records, wakes };
}

test('a stranger on the LAN is told with interface, address, MAC, harm and remedy', () => {
  const { rogues, records } = watched();
  rogues.take(STRANGER, 0);
  assert.equal(records.length, 1);
  const [record] = records;
  assert.deepEqual([record?.kind, record?.severity], ['rogue', 'warning']);
  for (const part of ['lan0', 'fe80::bad', '52:54:00:00:0b:ad', '2001:db8:bad::/64', 'bypass this gateway', 'RA guard']) {
    assert.ok(record?.text.includes(part), `${part} is missing in: ${record?.text}`);
  }
  assert.deepEqual(rogues.view(), [{ interface: 'lan0', from: 'fe80::bad', mac: '52:54:00:00:0b:ad', lastWallMs: WALL_MS }]);
});

test('it is told once, however often it says so', () => {
  const { rogues, records } = watched();
  for (let now = 0; now < 3_600_000; now += 10_000) {
    rogues.take(STRANGER, now);
    rogues.look(now + 5_000);
  }
  assert.equal(records.length, 1);
  assert.equal(rogues.view()[0]?.lastWallMs, WALL_MS + 3_590_000);
});

test("a provider's router on the uplink's own interface is none, and neither is one that offers no way out", () => {
  const { rogues, records } = watched();
  rogues.take({ ...STRANGER, interface: 'wan0' }, 0);
  rogues.take({ ...STRANGER, lifetimeS: 0 }, 0);
  assert.deepEqual([records, rogues.view()], [[], []]);
});

test("one-armed: the uplink's own router bypasses us as well, and is called by its uplink's name", () => {
  const { rogues, records } = watched(ONE_ARMED);
  rogues.take({ ...STRANGER, interface: 'eth0', from: 'fe80::253', mac: null }, 0);
  assert.match(records[0]?.text ?? '', /^the router of fast, fe80::253, on eth0 offers itself.*lifetime.*0/);
  rogues.take({ ...STRANGER, interface: 'eth0', from: 'fe80::77', mac: '02:00:00:00:02:53' }, 0);
  assert.match(records[1]?.text ?? '', /^the router of fast, fe80::77 /, 'known by its MAC');
  rogues.take({ ...STRANGER, interface: 'eth0' }, 0);
  assert.match(records[2]?.text ?? '', /^router fe80::bad .*RA guard/);
});

test('gone when it says so, or when its lifetime is over; told again when it comes back', () => {
  const { rogues, records, wakes } = watched();
  rogues.take(STRANGER, 0);
  rogues.take({ ...STRANGER, lifetimeS: 0 }, 1_000);
  assert.deepEqual([records[1]?.severity, rogues.view()], ['notice', []]);
  rogues.take(STRANGER, 2_000);
  assert.equal(records.length, 3);
  assert.ok(wakes.includes(2_000 + 1_800_000), 'wants to look when the lifetime is over');
  rogues.look(2_000 + 1_799_999);
  assert.equal(records.length, 3);
  rogues.look(2_000 + 1_800_000);
  assert.match(records[3]?.text ?? '', /is gone: nothing was heard of it for 30 min/);
  rogues.take(STRANGER, 4_000_000);
  assert.equal(records[4]?.severity, 'warning');
});

test('it came back without anybody having looked: both are told', () => {
  const { rogues, records } = watched();
  rogues.take(STRANGER, 0);
  rogues.take(STRANGER, 1_800_000);
  assert.deepEqual(
    records.map((r) => r.severity),
    ['warning', 'notice', 'warning'],
  );
});

test('a lifetime shorter than the pause between two advertisements makes no noise', () => {
  const { rogues, records } = watched();
  for (let now = 0; now < 600_000; now += 20_000) rogues.take({ ...STRANGER, lifetimeS: 3 }, now);
  assert.equal(records.length, 1);
});

test('however often a router advertises: what the watcher hands on of it keeps it present', () => {
  for (let everyS = 1; everyS <= 40; everyS += 1) {
    const { rogues, records } = watched();
    let handedOnMs = Number.NEGATIVE_INFINITY;
    for (let now = 0; now < 1_800_000; now += everyS * 1000) {
      if (now - handedOnMs < REPEAT_MS) continue;
      handedOnMs = now;
      rogues.take({ ...STRANGER, lifetimeS: everyS * 3 }, now);
    }
    assert.equal(records.length, 1, `every ${everyS} s`);
  }
});

test('what is not watched any more is forgotten without a word', () => {
  const { rogues, records } = watched();
  rogues.take(STRANGER, 0);
  rogues.configure([{ interface: 'lan0', shared: false, routers: [] }]);
  assert.deepEqual([rogues.view(), records.length], [[], 1]);
  rogues.configure(TWO_NICS);
  rogues.take(STRANGER, 1_000);
  rogues.configure(null);
  assert.deepEqual(rogues.view(), []);
});

test('a flood of forged routers fills neither memory nor log', () => {
  const { rogues, records } = watched();
  for (let i = 0; i < 5_000; i += 1) rogues.take({ ...STRANGER, from: `fe80::${i.toString(16)}` }, i);
  assert.ok(rogues.view().length <= 32 && records.length <= 33, `${records.length} records`);
  assert.equal(records.at(-1)?.severity, 'error');
});

test('whatever comes when: appearances and disappearances alternate for each router, and the view is what has appeared', () => {
  const step = fc.record({
    afterMs: fc.integer({ min: 0, max: 200_000 }),
    from: fc.constantFrom('fe80::1', 'fe80::2', 'fe80::3'),
    lifetimeS: fc.constantFrom(0, 30, 90, 600),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { rogues, records } = watched();
      let now = 0;
      for (const { afterMs, from, lifetimeS } of steps) {
        now += afterMs;
        rogues.take({ ...STRANGER, from, lifetimeS }, now);
      }
      rogues.look(now);
      const present = new Set<unknown>();
      for (const { data } of records) {
        assert.notEqual(present.has(data.from), data.present, 'twice the same');
        if (data.present === true) present.add(data.from);
        else present.delete(data.from);
      }
      assert.deepEqual(new Set(rogues.view().map((r) => r.from)), present);
    }),
  );
});
