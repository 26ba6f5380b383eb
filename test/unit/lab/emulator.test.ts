/** What the emulated link does to packets, on a clock that the test holds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LinkDirection, type LinkProfile, perfectLink, profileProblems } from '../../../src/lab/emulator.js';
import { startReplay } from '../../../src/lab/replay.js';

const SEED = 7;

function direction(profile: Partial<LinkProfile>): LinkDirection {
  return new LinkDirection({ ...perfectLink, ...profile }, SEED);
}

function packet(number: number, bytes = 100): Uint8Array {
  const made = new Uint8Array(bytes);
  new DataView(made.buffer).setUint32(0, number);
  return made;
}

/** Everything that leaves by `untilMs`, as [number, time]. */
function delivered(link: LinkDirection, untilMs: number): [number, number][] {
  const out: [number, number][] = [];
  for (;;) {
    const dueMs = link.nextDueMs();
    if (dueMs > untilMs) return out;
    for (let one = link.takeDue(dueMs); one !== null; one = link.takeDue(dueMs)) {
      out.push([new DataView(one.buffer).getUint32(0), dueMs]);
    }
  }
}

test('a packet leaves after the delay and not before', () => {
  const link = direction({ delayMs: 10 });
  link.accept(packet(1), 1000);
  assert.equal(link.nextDueMs(), 1010);
  assert.equal(link.takeDue(1009.999), null);
  assert.deepEqual(delivered(link, 2000), [[1, 1010]]);
  assert.equal(link.nextDueMs(), Number.POSITIVE_INFINITY);
});

test('jitter spreads delays within its bound and keeps the order', () => {
  const link = direction({ delayMs: 10, jitterMs: 5 });
  for (let at = 0; at < 500; at++) link.accept(packet(at), at);
  const out = delivered(link, 10_000);
  assert.deepEqual(
    out.map(([number]) => number),
    Array.from({ length: 500 }, (_, at) => at),
  );
  const delays = out.map(([number, atMs]) => atMs - number);
  assert.ok(Math.min(...delays) >= 10 && Math.max(...delays) <= 15, `${Math.min(...delays)}..${Math.max(...delays)}`);
  assert.ok(Math.max(...delays) - Math.min(...delays) > 3);
});

test('the wanted share is lost, the same packets for the same seed', () => {
  const survivors = () => {
    const link = direction({ loss: 0.3 });
    for (let at = 0; at < 20_000; at++) link.accept(packet(at), 0);
    return delivered(link, 1).map(([number]) => number);
  };
  const first = survivors();
  assert.ok(Math.abs(1 - first.length / 20_000 - 0.3) < 0.02, `${first.length} of 20000 survived`);
  assert.deepEqual(survivors(), first);
});

test('an outage drops what enters and what is in flight; afterwards all is as before', () => {
  const link = direction({ delayMs: 10 });
  link.accept(packet(1), 0);
  link.setProfile({ ...link.profile, outage: true });
  link.accept(packet(2), 1);
  link.setProfile({ ...link.profile, outage: false });
  link.accept(packet(3), 2);
  assert.deepEqual(delivered(link, 100), [[3, 12]]);
  assert.equal(link.counters.lostInOutage, 2);
  assert.equal(link.counters.entered, 3);
});

test('a rate limit spaces packets by their length, and its queue is bounded', () => {
  // 1000 bytes at 800 kbit/s take 10 ms.
  const link = direction({ rateKbitPerS: 800, queueMs: 30, delayMs: 5 });
  for (let at = 0; at < 10; at++) link.accept(packet(at, 1000), 0);
  assert.deepEqual(
    delivered(link, 1000).map(([, atMs]) => atMs),
    [15, 25, 35, 45],
  );
  assert.equal(link.counters.droppedByQueue, 6);
});

test('a share comes twice, a share comes late', () => {
  const twice = direction({ duplicate: 1, lateByMs: 3 });
  twice.accept(packet(1), 0);
  assert.deepEqual(delivered(twice, 10), [
    [1, 0],
    [1, 3],
  ]);
  const late = direction({ late: 0.5, lateByMs: 50 });
  for (let at = 0; at < 200; at++) late.accept(packet(at), at);
  const out = delivered(late, 1000);
  const overtaken = out.filter(([number, atMs]) => atMs === number + 50).length;
  assert.equal(out.length, 200);
  assert.ok(overtaken > 60 && overtaken < 140, `${overtaken} of 200 late`);
});

test('a replayed outage loses what enters and what would leave in it', () => {
  const link = direction({ delayMs: 10 });
  link.setReplay(startReplay({ kind: 'outages', outages: [{ startMs: 100, endMs: 200 }] }, {}, 1000));
  link.accept(packet(1), 1050);
  link.accept(packet(2), 1095);
  link.accept(packet(3), 1150);
  link.accept(packet(4), 1200);
  assert.deepEqual(delivered(link, 5000), [
    [1, 1060],
    [4, 1210],
  ]);
  assert.equal(link.counters.lostInOutage, 2);
});

test('a replayed trace gives half of its round trip to a direction', () => {
  const link = direction({ delayMs: 1 });
  const points = [
    { atMs: 0, rttMs: 40 },
    { atMs: 100, rttMs: null },
    { atMs: 200, rttMs: 10 },
  ];
  link.setReplay(startReplay({ kind: 'trace', points }, {}, 0));
  link.accept(packet(1), 10);
  link.accept(packet(2), 150);
  link.accept(packet(3), 210);
  link.accept(packet(4), 400);
  assert.deepEqual(delivered(link, 5000), [
    [1, 30],
    [3, 215],
    [4, 401],
  ]);
});

test('a profile that makes no sense is described, all problems at once', () => {
  assert.deepEqual(profileProblems(perfectLink), []);
  assert.equal(profileProblems({ ...perfectLink, loss: 30, delayMs: -1, rateKbitPerS: 0 }).length, 3);
});
