/** The engine's own account of what it felt against the bill of its course: two reckonings of one thing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../../../bench/judge/synthetic.js';
import { parseConfig } from '../../../src/config/parse.js';
import type { Link, Silence } from '../../../src/simulate/link.js';
import { playLinks } from '../../../src/simulate/play.js';
import { score } from '../../../src/simulate/score/scored.js';
import { seedFromEnvironment } from '../../support/random.js';

const HOUR = 3_600_000;

function randomLink(name: string, random: () => number): Link {
  const silences: Silence[] = [];
  for (let at = 60_000; ; ) {
    at += 20_000 - 300_000 * Math.log(1 - random());
    const toMs = at + 300 - 15_000 * Math.log(1 - random());
    if (toMs > 5.5 * HOUR) break;
    silences.push({ fromMs: at, toMs, cause: 'upstream' });
    at = toMs;
  }
  const lossy = [{ fromMs: 5.6 * HOUR, toMs: 5.7 * HOUR, share: 0.05 }];
  return { name, originWallMs: null, span: { fromMs: 0, toMs: 6 * HOUR }, silences, lossy, rtts: [], unwatchedMs: 0 };
}

test('the bill of the moves is what the engine accounted for, and never less than the clairvoyant pays', async () => {
  const seed = seedFromEnvironment();
  const random = seeded(seed);
  for (const more of ['', 'defaults: {fail-after: 1s, recover-after: 20s}\n']) {
    const text = `${more}uplinks:\n  a: {gateway: 192.0.2.1, targets: [198.51.100.1]}\n  b: {gateway: 192.0.2.2, targets: [198.51.100.2]}\n`;
    const parsed = parseConfig(text, 'test');
    assert.ok(parsed.ok);
    const links = [randomLink('a', random), randomLink('b', random)];
    const prices = { switchS: 2.5, perSecond: [0, 0.02] };
    const played = await playLinks({ name: 'test', config: parsed.config, links, prices, seed });
    const { bill, clairvoyant, bestFixed } = score(played, links, prices, null);
    assert.ok(played.moves.length > 10, `seed ${seed}: ${played.moves.length} moves`);
    assert.equal(bill.switches, played.switches, `seed ${seed}`);
    for (const key of ['feltS', 'onBackupS', 'cost'] as const) {
      assert.ok(Math.abs(bill[key] - played[key]) < 0.01, `seed ${seed}: ${key} ${bill[key]} against ${played[key]}`);
    }
    assert.ok(bill.cost >= clairvoyant.cost && bestFixed.bill.cost >= clairvoyant.cost, `seed ${seed}`);
  }
});

test('shared traffic is billed by its shares, by both reckonings alike', async () => {
  const seed = seedFromEnvironment();
  const random = seeded(seed);
  const gateways = ['a', 'b', 'c'].map((name, i) => `${name}: {gateway: 192.0.2.${i + 1}, targets: [198.51.100.${i + 1}]`);
  const [a, b, c] = gateways;
  const text = `uplinks:\n  ${a}, tier: 1, weight: 3}\n  ${b}, tier: 1}\n  ${c}}\n`;
  const parsed = parseConfig(text, 'test');
  assert.ok(parsed.ok, JSON.stringify(parsed));
  const links = ['a', 'b', 'c'].map((name) => randomLink(name, random));
  const prices = { switchS: 2.5, perSecond: [0, 0.02, 0.1] };
  const played = await playLinks({ name: 'test', config: parsed.config, links, prices, seed });
  const { bill, course, ground } = score(played, links, prices, null);
  assert.ok(
    played.shares.some(({ shares }) => shares[0] === 0.75 && shares[1] === 0.25),
    `seed ${seed}`,
  );
  assert.equal(bill.switches, played.switches, `seed ${seed}`);
  for (const key of ['feltS', 'onBackupS', 'cost'] as const) {
    assert.ok(Math.abs(bill[key] - played[key]) < 0.01, `seed ${seed}: ${key} ${bill[key]} against ${played[key]}`);
  }
  const [end] = ground.costsAt(course, [played.span.toMs]);
  assert.ok(Math.abs((end ?? 0) - bill.cost) < 10, `seed ${seed}: the cost that is drawn, ${end} against ${bill.cost}`);
});

test('one outage of one of two that share: half of the traffic feels it, and nobody owes a switch back', async () => {
  const text =
    'uplinks:\n  a: {gateway: 192.0.2.1, targets: [198.51.100.1], tier: 1}\n  b: {gateway: 192.0.2.2, targets: [198.51.100.2], tier: 1}\n';
  const parsed = parseConfig(text, 'test');
  assert.ok(parsed.ok);
  const span = { fromMs: 0, toMs: HOUR };
  const good: Link = { name: 'b', originWallMs: null, span, silences: [], lossy: [], rtts: [], unwatchedMs: 0 };
  const links: Link[] = [{ ...good, name: 'a', silences: [{ fromMs: 100_000, toMs: 110_000, cause: 'upstream' }] }, good];
  const prices = { switchS: 2.5, perSecond: [0, 0.02] };
  const played = await playLinks({ name: 'test', config: parsed.config, links, prices, seed: 1 });
  const { bill } = score(played, links, prices, null);
  assert.ok(bill.feltS > 0.5 && bill.feltS < 2, `${bill.feltS} s felt`);
  assert.ok(bill.onBackupS > 1_800 && bill.onBackupS < 2_000, `${bill.onBackupS} s on the backup`);
  assert.equal(bill.switches, 1);
});
