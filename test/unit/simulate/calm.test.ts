/** Playing every probe and skipping what is calm must be one and the same: moves, healths, probes and bill. Prints its seed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Config, UplinkConfig } from '../../../src/core/config.js';
import { type PlayRequest, playLinks } from '../../../src/simulate/play.js';
import { randomLink } from '../../support/links.js';
import { Random, seedFromEnvironment } from '../../support/random.js';
import { config, gateway, icmp, uplinkConfig } from '../../support/topology.js';

const MINUTES = 60_000;
const LIVES = 6;

function randomConfig(random: Random): Config {
  const learned = random.chance(0.6);
  const intervalMs = random.pick([200, 1_000, 1_000, 5_000]);
  const uplinks = Array.from({ length: random.pick([1, 2, 2, 3]) }, (_, place): UplinkConfig => {
    const targets = Array.from({ length: random.pick([0, 1, 1, 2, 3]) }, (_, i) => icmp(`198.51.100.${10 * place + i}`));
    const usual = uplinkConfig(`u${place}`, { gateways: [gateway(`10.9.${place}.1`)], targets });
    return {
      ...usual,
      probe: { ...usual.probe, intervalMs },
      quorum: random.chance(0.2) ? Math.max(1, targets.length) : 1,
      failAfterMs: learned ? null : random.pick([0, 700, 2_000, 10_000]),
      recoverAfterMs: learned ? null : random.pick([1_000, 20_000, 120_000]),
      degraded: {
        ...usual.degraded,
        rttMs: random.chance(0.2) ? { high: 250, low: 100 } : null,
        jitterMs: random.chance(0.2) ? { high: 40, low: 20 } : null,
      },
    };
  });
  return config(uplinks);
}

test('what is skipped in calm changes nothing', { timeout: 60_000 }, async (t) => {
  const seed = seedFromEnvironment();
  t.diagnostic(`seed ${seed}`);
  for (let life = 0; life < LIVES; life += 1) {
    const random = new Random(seed + life);
    const made = randomConfig(random);
    const request: PlayRequest = {
      name: 'any',
      config: made,
      links: made.uplinks.map((u) => randomLink(u.name, random.pick([10, 40]) * MINUTES, random)),
      prices: { switchS: 2.5, perSecond: [0, 0.02, 0.05] },
      seed: seed + life,
    };
    const skipped = await playLinks(request);
    const played = await playLinks(request, { skips: false });
    assert.deepEqual(skipped, played, `life ${life} of seed ${seed}`);
  }
});
