/** What a path's silences teach, and what becomes of it when nobody watched, when it is saved, and when its sort changes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgementOptions, Silences, type Trouble } from '../../../../src/core/paths/silences.js';
import { gateway, noSilences, uplinkConfig } from '../../../support/topology.js';

const uplink = uplinkConfig('fast', { gateways: [gateway('192.0.2.1')], failAfterMs: null, recoverAfterMs: null });
const silence = (sinceMs: number, change: Partial<Trouble> = {}): Trouble => ({
  cause: 'upstream',
  severity: 1,
  sinceMs,
  ...change,
});

/** So many silences of so long, a minute apart. @returns the time after the last */
function live(silences: Silences, lengthMs: number, count: number, fromMs = 0): number {
  for (let i = 0; i < count; i += 1) {
    const atMs = fromMs + 60_000 * (i + 1);
    silences.see(silence(atMs), atMs);
    silences.see(null, atMs + lengthMs);
  }
  return fromMs + 60_000 * (count + 1);
}

test('a silence that is over is told with its length; nothing is, while nothing is wrong', () => {
  const silences = noSilences(uplink);
  assert.equal(silences.see(null, 1_000), null);
  assert.equal(silences.see(silence(5_000), 5_000), null);
  assert.equal(silences.see(silence(5_500, { cause: 'gateway' }), 5_600), null, 'better known, and not another one');
  assert.deepEqual(silences.see(null, 9_000), { cause: 'gateway', severity: 1, beganMs: 5_000, lengthMs: 4_000 });
  assert.equal(silences.trouble, null);
});

test('what is lost in part counts by its average, not by how it ended', () => {
  const silences = noSilences(uplink);
  silences.see(silence(0, { cause: 'loss', severity: 0.4 }), 0);
  silences.see(silence(0, { cause: 'loss', severity: 0.4 }), 90_000);
  silences.see(silence(0, { cause: 'loss', severity: 0.1 }), 90_000);
  const ended = silences.see(null, 100_000);
  assert.ok(ended !== null && Math.abs(ended.severity - 0.37) < 1e-9, `${ended?.severity}`);
});

test('answers that only came late are no outage: they teach that it ends, and that it costs nothing', () => {
  const patience = (lostShare: number): number => {
    const silences = noSilences(uplink);
    for (let atMs = 60_000; atMs < 2_400_000; atMs += 37_000) {
      silences.see(silence(atMs), atMs);
      const ended = silences.see(null, atMs + 900, lostShare);
      assert.equal(ended?.severity, Math.max(0.01, lostShare));
    }
    silences.see(silence(2_500_000), 2_500_000);
    return (silences.patienceEndsMs() ?? Number.NaN) - 2_500_000;
  };
  assert.ok(patience(1) < 900, 'a second lost every half minute is not worth staying for');
  assert.ok(patience(0) > 900, 'a second of slowness is');
});

test('patience borne with a lossy time is no patience with the silence that follows it', () => {
  const silences = noSilences(uplink);
  silences.see(silence(0, { cause: 'loss', severity: 0.1 }), 0);
  silences.see(silence(60_000), 60_000);
  const endsMs = silences.patienceEndsMs();
  assert.ok(endsMs !== null && endsMs > 60_000, `${endsMs} ms`);
});

test('forgotten is forgotten, what an earlier run knew of the way back included', () => {
  const silences = noSilences(uplink);
  live(silences, 8_000, 10);
  const restored = new Silences(judgementOptions(uplink, [], 2_500), JSON.parse(JSON.stringify(silences.saved())));
  restored.forget();
  assert.equal(restored.holdMs(), noSilences(uplink).holdMs());
  assert.equal(restored.saved().holdMs, null);
});

test('saved and restored, it decides alike, the way back included; what does not look right is forgotten', () => {
  const silences = noSilences(uplink);
  const atMs = live(silences, 8_000, 10);
  const options = judgementOptions(uplink, [], 2_500);
  const restored = new Silences(options, JSON.parse(JSON.stringify(silences.saved())));
  assert.equal(restored.holdMs(), silences.holdMs());
  for (const one of [silences, restored]) {
    one.interrupted(atMs);
    one.see(silence(atMs + 1_000), atMs + 1_000);
  }
  assert.equal(restored.patienceEndsMs(), silences.patienceEndsMs());
  for (const nonsense of [null, 7, 'x', {}, { learned: { version: 1 }, holdMs: -3 }, { learned: [], holdMs: 'long' }]) {
    assert.equal(new Silences(options, nonsense).holdMs(), 30_000);
  }
});

test('nobody watched: a silence that lasted then teaches no length', () => {
  const silences = noSilences(uplink);
  silences.see(silence(1_000), 1_000);
  silences.interrupted(500_000);
  assert.equal(silences.trouble, null);
  assert.equal(silences.see(null, 501_000), null);
  assert.equal(silences.patienceEndsMs(), null);
});

test('the patience of a calm is foreseen, and is near what a silence then gets', () => {
  const silences = noSilences(uplink);
  const atMs = live(silences, 2_000, 20);
  const foreseen = silences.patience(atMs);
  silences.see(silence(atMs), atMs);
  assert.equal(silences.patience(atMs).ms, foreseen.ms);
  assert.equal(silences.patience(atMs).ground, foreseen.ground);
  assert.match(foreseen.ground, /^median silence of this uplink 2 s, 9 of 10 end within 2 s: waiting /);
});

test('how soon it is likely to be back: seconds after short silences, minutes after long ones, and longer the longer it lasts', () => {
  const [short, long] = [noSilences(uplink), noSilences(uplink)];
  for (const [silences, lengthMs] of [
    [short, 2_000],
    [long, 300_000],
  ] as const) {
    const atMs = live(silences, lengthMs, 15, 0);
    assert.equal(silences.likelyLeftMs(atMs), null, 'it is not silent');
    silences.see(silence(atMs + 400_000), atMs + 400_000);
  }
  const atMs = 60_000 * 16 + 400_000;
  const [soon, late] = [short.likelyLeftMs(atMs + 100) ?? 0, long.likelyLeftMs(atMs + 100) ?? 0];
  assert.ok(soon > 0 && soon < 10_000, `${soon} ms`);
  assert.ok(late > 60_000, `${late} ms`);
  assert.ok((short.likelyLeftMs(atMs + 600_000) ?? 0) > soon, 'one that lasts for ten minutes already is another sort');
});

test('the backup cost of an uplink is that of the cheapest it would be left for', () => {
  const at = (backupCost: number) => ({ ...uplink, backupCost });
  assert.equal(judgementOptions(at(0.3), [at(0.05), at(0.02)], 1_000).backupCost, 0.02);
  assert.equal(judgementOptions(at(0.3), [], 1_000).backupCost, 0.3);
});
