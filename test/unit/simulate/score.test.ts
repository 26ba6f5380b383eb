/** What courses cost: against brute force on small random links, and against the arithmetic for one uplink, on real ones too. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { seeded } from '../../../bench/judge/synthetic.js';
import { outagesOf, readLink } from '../../../bench/judge/traces.js';
import type { Link, Span } from '../../../src/simulate/link.js';
import { clairvoyant } from '../../../src/simulate/score/clairvoyant.js';
import { Ground, type Step } from '../../../src/simulate/score/course.js';
import { Loss } from '../../../src/simulate/score/loss.js';
import { bestFixed, peers, playFixed } from '../../../src/simulate/score/rules.js';
import * as single from '../../../src/simulate/score/single.js';
import { seedFromEnvironment } from '../../support/random.js';

type Ways = Pick<Link, 'silences' | 'lossy'>;

const SECOND = 1000;
const NOTHING: Ways = { silences: [], lossy: [] };
const close = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(a), Math.abs(b));

/** Whole seconds, so that brute force can go second by second. */
function randomWays(random: () => number, lengthS: number): Ways {
  const silences: Ways['silences'][number][] = [];
  const lossy: Ways['lossy'][number][] = [];
  const spans = (share: number): Span[] => {
    const found: Span[] = [];
    for (let at = Math.floor(random() * 4); at < lengthS - 1; ) {
      const to = Math.min(lengthS, at + 1 + Math.floor(random() * 4));
      if (random() < share) found.push({ fromMs: at * SECOND, toMs: to * SECOND });
      at = to + 1 + Math.floor(random() * 4);
    }
    return found;
  };
  for (const span of spans(0.7)) silences.push({ ...span, cause: 'upstream' });
  for (const span of spans(0.4)) lossy.push({ ...span, share: (1 + Math.floor(random() * 9)) / 10 });
  return { silences, lossy };
}

function shareOf({ silences, lossy }: Ways, atMs: number): number {
  const within = (span: Span): boolean => span.fromMs <= atMs && atMs < span.toMs;
  return silences.some(within) ? 1 : (lossy.find(within)?.share ?? 0);
}

test('loss: a silence wins over the loss around it, any stretch adds up', () => {
  const seed = seedFromEnvironment();
  const random = seeded(seed);
  for (let round = 0; round < 300; round += 1) {
    const ways = randomWays(random, 20);
    const loss = new Loss(ways);
    const from = Math.floor(random() * 20);
    const to = from + Math.floor(random() * (20 - from));
    let sum = 0;
    for (let s = from; s < to; s += 1) sum += shareOf(ways, s * SECOND + 1) * SECOND;
    assert.ok(close(loss.lostMs({ fromMs: from * SECOND, toMs: to * SECOND }), sum), `seed ${seed}, round ${round}`);
    for (let s = 0; s < 20; s += 1)
      assert.equal(loss.shareAt(s * SECOND), shareOf(ways, s * SECOND), `seed ${seed}, ${round}, ${s}`);
  }
});

test('the clairvoyant pays the least of all courses, and its course costs what it says', () => {
  const seed = seedFromEnvironment();
  const random = seeded(seed);
  for (let round = 0; round < 120; round += 1) {
    const count = 2 + Math.floor(random() * 2);
    const lengthS = count === 2 ? 10 : 7;
    const links = Array.from({ length: count }, () => randomWays(random, lengthS));
    const prices = { switchS: [0, 0.5, 1, 2.5][Math.floor(random() * 4)] ?? 1, perSecond: [0, 0.02, 0.3].slice(0, count) };
    const ground = new Ground(links, prices, { fromMs: 0, toMs: lengthS * SECOND });
    let least = Number.POSITIVE_INFINITY;
    for (let number = 0; number < count ** lengthS; number += 1) {
      const course: Step[] = [];
      let rest = number;
      for (let s = 0; s < lengthS; s += 1) {
        course.push({ atMs: s * SECOND, to: rest % count });
        rest = Math.floor(rest / count);
      }
      least = Math.min(least, ground.bill(course).cost);
    }
    const { cost, course } = clairvoyant(ground);
    assert.ok(close(cost, least), `seed ${seed}, round ${round}: ${cost} against ${least}`);
    assert.ok(
      close(ground.bill(course).cost, cost),
      `seed ${seed}, round ${round}: the course costs ${ground.bill(course).cost}`,
    );
  }
});

/** A fixed rule second by second: the meaning, without any arithmetic. */
function bySeconds(links: readonly Ways[], rule: { patienceS: number; holdS: number }, lengthS: number): Step[] {
  const course: Step[] = [];
  const down = links.map(() => false);
  const silentS = links.map(() => 0);
  const goodS = links.map(() => 0);
  let on = 0;
  for (let s = 0; s <= lengthS + 100; s += 1) {
    for (const [i, { silences }] of links.entries()) {
      const was = s > 0 && silences.some(({ fromMs, toMs }) => fromMs < s * SECOND && s * SECOND <= toMs);
      const is = silences.some(({ fromMs, toMs }) => fromMs <= s * SECOND && s * SECOND < toMs);
      silentS[i] = was ? (silentS[i] ?? 0) + 1 : 0;
      goodS[i] = was ? 0 : (goodS[i] ?? 0) + 1;
      if (down[i] && !was && (goodS[i] ?? 0) >= rule.holdS) down[i] = false;
      if (!down[i] && is && (silentS[i] ?? 0) >= rule.patienceS) down[i] = true;
    }
    const best = down.indexOf(false);
    if (best >= 0 && best !== on) {
      on = best;
      course.push({ atMs: s * SECOND, to: on });
    }
  }
  return course;
}

test('a fixed rule on several links does what it says, second by second', () => {
  const seed = seedFromEnvironment();
  const random = seeded(seed);
  for (let round = 0; round < 500; round += 1) {
    const links = Array.from({ length: 1 + Math.floor(random() * 3) }, () => randomWays(random, 40));
    // Half a second more than whole: what is up and down at one moment is no question then.
    const rule = { patienceS: Math.floor(random() * 4), holdS: 1 + Math.floor(random() * 6) };
    const ground = new Ground(links, { switchS: 1, perSecond: [0, 0.1, 0.2] }, { fromMs: 0, toMs: 40 * SECOND });
    const played = playFixed(ground, { patienceS: rule.patienceS, holdS: rule.holdS + 0.5 });
    const whole = bySeconds(doubled(links), { patienceS: 2 * rule.patienceS, holdS: 2 * rule.holdS + 1 }, 80);
    const wanted = whole.map(({ atMs, to }) => ({ atMs: atMs / 2, to }));
    assert.deepEqual(played.course, wanted, `seed ${seed}, round ${round}`);
  }
});

const doubled = (links: readonly Ways[]): Ways[] =>
  links.map(({ silences }) => ({
    silences: silences.map((silence) => ({ ...silence, fromMs: 2 * silence.fromMs, toMs: 2 * silence.toMs })),
    lossy: [],
  }));

/** Everything that the arithmetic for one uplink says must come out of that for several. */
function agree(outages: readonly single.Outage[], switchS: number, where: string): void {
  const silences = outages.map(({ startS, lengthS }) => ({
    fromMs: startS * SECOND,
    toMs: (startS + lengthS) * SECOND,
    cause: 'upstream' as const,
  }));
  const span = { fromMs: (silences[0]?.fromMs ?? 0) - 60_000, toMs: silences.at(-1)?.toMs ?? 0 };
  const ground = new Ground([{ silences, lossy: [] }, NOTHING], { switchS, perSecond: [0, 0.02] }, span);
  const costs = { switchS, backup: 0.02 };
  assert.ok(close(clairvoyant(ground).cost, single.clairvoyant(outages, costs)), `${where}: clairvoyant`);
  const best = bestFixed(ground);
  const wanted = single.bestFixed(outages, costs);
  assert.ok(close(best.bill.cost, wanted.cost), `${where}: best fixed ${best.bill.cost} against ${wanted.cost}`);
  for (const [name, { patienceS, holdS, bill }] of Object.entries(peers(ground))) {
    const expected = single.play(outages, single.fixedRule(patienceS, holdS), costs);
    assert.equal(bill.switches, expected.switches, `${where}: ${name}`);
    for (const key of ['feltS', 'onBackupS', 'cost'] as const)
      assert.ok(close(bill[key], expected[key]), `${where}: ${name}, ${key}`);
  }
}

test('one uplink and an ideal backup: the same as the arithmetic for one, random links', () => {
  const seed = seedFromEnvironment();
  const random = seeded(seed);
  for (let round = 0; round < 40; round += 1) {
    const outages: single.Outage[] = [];
    for (let at = 0, i = 0; i < 60; i += 1) {
      at += 0.01 - 40 * Math.log(1 - random());
      const lengthS = 0.01 - 8 * Math.log(1 - random());
      outages.push({ startS: at, lengthS });
      at += lengthS;
    }
    agree(outages, [0.5, 1, 2.5, 5][round % 4] ?? 1, `seed ${seed}, round ${round}`);
  }
});

test('an outage without length is felt by nobody, but a fixed rule begins its hold anew', () => {
  const outages = [
    { startS: 100, lengthS: 20 },
    { startS: 130, lengthS: 0 },
    { startS: 200, lengthS: 0 },
    { startS: 300, lengthS: 8 },
  ];
  agree(outages, 2.5, 'made up');
  const silences = outages.map(({ startS, lengthS }) => ({
    fromMs: startS * SECOND,
    toMs: (startS + lengthS) * SECOND,
    cause: 'upstream' as const,
  }));
  const ground = new Ground(
    [{ silences, lossy: [] }, NOTHING],
    { switchS: 2.5, perSecond: [0, 0.02] },
    { fromMs: 0, toMs: 400_000 },
  );
  assert.deepEqual(playFixed(ground, { patienceS: 10, holdS: 20 }).course, [
    { atMs: 110_000, to: 1 },
    { atMs: 150_000, to: 0 },
  ]);
});

const FOLDER = process.env.BACKROUTE_TRACES ?? fileURLToPath(new URL('../../../../../shared/traces/', import.meta.url));
const skip = existsSync(FOLDER) ? false : `no traces in ${FOLDER}`;

test('one uplink and an ideal backup: the same as the arithmetic for one, measured links', { skip }, async () => {
  for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.csv'))) {
    const outages = outagesOf(await readLink(join(FOLDER, file)));
    for (const switchS of [1, 2.5, 5]) agree(outages, switchS, `${file}, ${switchS} s`);
  }
});

test('a course that ends elsewhere owes the switch back', () => {
  const silences = [{ fromMs: 10_000, toMs: 50_000, cause: 'upstream' as const }];
  const ground = new Ground([{ silences, lossy: [] }, NOTHING], { switchS: 2, perSecond: [0, 0.1] }, { fromMs: 0, toMs: 60_000 });
  assert.deepEqual(ground.bill([{ atMs: 20_000, to: 1 }]), { feltS: 10, switches: 2, onBackupS: 40, cost: 18 });
  assert.deepEqual(ground.costsAt([{ atMs: 20_000, to: 1 }], [0, 15_000, 20_000, 30_000, 60_000]), [0, 5, 12, 13, 16]);
});

test('a course that begins on the backup has not switched to it', () => {
  const silences = [{ fromMs: 0, toMs: 10_000, cause: 'upstream' as const }];
  const links = [{ silences, lossy: [] }, NOTHING];
  const span = { fromMs: 0, toMs: 60_000 };
  const ground = new Ground(links, { switchS: 2, perSecond: [0, 0.1] }, span);
  const course = [
    { atMs: 0, to: 1 },
    { atMs: 20_000, to: 0 },
  ];
  assert.deepEqual(ground.bill(course, 1), { feltS: 0, switches: 1, onBackupS: 20, cost: 4 });
  assert.deepEqual(ground.costsAt(course, [10_000, 20_000], 1), [1, 4]);
  assert.deepEqual(ground.bill(course).switches, 2);
});
