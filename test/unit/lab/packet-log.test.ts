/** The meter's count: what is lost, doubled, reordered, and how long nothing came. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PacketLog } from '../../../src/lab/packet-log.js';

/** A packet every 10 ms from 0 on, each back after 20 ms, but those in `lost`. */
function stream(count: number, lost: (seq: number) => boolean): PacketLog {
  const log = new PacketLog();
  for (let seq = 0; seq < count; seq++) log.sent(seq * 10);
  for (let seq = 0; seq < count; seq++) if (!lost(seq)) log.arrived(seq, seq * 10 + 20);
  return log;
}

const query = { nowMs: 5000, graceMs: 1000, gapThresholdMs: 40, ended: true };

test('a clean stream has no gap', () => {
  const stats = stream(100, () => false).stats(query);
  assert.deepEqual(
    [stats.sent, stats.received, stats.lost, stats.pending, stats.duplicates, stats.reordered],
    [100, 100, 0, 0, 0, 0],
  );
  assert.equal(stats.longestGapMs, 10);
  assert.deepEqual(stats.gaps, []);
  assert.equal(stats.medianRttMs, 20);
  assert.equal(stats.longestSendGapMs, 10);
});

test('a hole is one gap, from the arrival before it to the one after', () => {
  const stats = stream(100, (seq) => seq >= 30 && seq < 50).stats(query);
  assert.equal(stats.lost, 20);
  assert.equal(stats.longestGapMs, 210);
  assert.deepEqual(stats.gaps, [{ fromMs: 310, toMs: 520 }]);
});

test('a packet is pending until the grace time is over, then lost, and no more when it comes after all', () => {
  const log = stream(100, (seq) => seq >= 98);
  const running = { ...query, ended: false };
  assert.deepEqual([log.stats({ ...running, nowMs: 1100 }).pending, log.stats({ ...running, nowMs: 1100 }).lost], [2, 0]);
  assert.deepEqual([log.stats({ ...running, nowMs: 1985 }).pending, log.stats({ ...running, nowMs: 1985 }).lost], [1, 1]);
  log.arrived(98, 3000);
  assert.deepEqual([log.stats(running).received, log.stats(running).lost], [99, 1]);
});

test('a silence that lasts counts until now while packets are sent, not after the end', () => {
  const log = stream(50, (seq) => seq >= 40);
  assert.equal(log.stats({ ...query, nowMs: 900, ended: false }).longestGapMs, 900 - 410);
  assert.equal(log.stats({ ...query, nowMs: 900, ended: true }).longestGapMs, 490 - 410);
});

test('duplicates and reordering are told apart', () => {
  const log = new PacketLog();
  for (let seq = 0; seq < 5; seq++) log.sent(seq);
  for (const [seq, atMs] of [
    [0, 10],
    [2, 12],
    [1, 13],
    [1, 14],
    [3, 15],
    [9, 16],
    [4, 17],
  ] as const)
    log.arrived(seq, atMs);
  const stats = log.stats(query);
  assert.deepEqual([stats.received, stats.duplicates, stats.reordered], [5, 1, 1]);
});

test('since: only packets sent then, and silences from then on', () => {
  const log = stream(100, (seq) => seq >= 30 && seq < 50);
  const stats = log.stats({ ...query, sinceMs: 400 });
  assert.equal(stats.sent, 60);
  assert.equal(stats.lost, 10);
  assert.deepEqual(stats.gaps, [{ fromMs: 400, toMs: 520 }]);
});

test('no answer at all is one silence from the first packet on', () => {
  const stats = stream(100, () => true).stats({ ...query, nowMs: 1000, ended: false });
  assert.deepEqual(stats.gaps, [{ fromMs: 0, toMs: 1000 }]);
  assert.equal(stats.medianRttMs, null);
  assert.equal(new PacketLog().stats(query).longestGapMs, 0);
});
