/**
 * Fixed rules played by the real engine, with dense probes and an ideal backup, must cost what judge.py beside the traces says they
 * cost (its arithmetic is src/simulate/score/single.ts). What remains is that the engine must ask before it knows: silences count
 * from the first probe lost, and one that ends within a probe's pace before patience does is not known to have ended.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Link } from '../../../src/simulate/link.js';
import { playLinks } from '../../../src/simulate/play.js';
import { readRecording } from '../../../src/simulate/read/read.js';
import { fixedRule, type Outage, play } from '../../../src/simulate/score/single.js';
import { linkOf, silence } from '../../support/links.js';
import { Random, seedFromEnvironment } from '../../support/random.js';
import { config, gateway, icmp, uplinkConfig } from '../../support/topology.js';

const COSTS = { switchS: 2.5, backup: 0.02 };
const ALLOWED = 0.02;

async function engineAndRule(link: Link, failAfterS: number, recoverAfterS: number): Promise<{ engine: number; rule: number }> {
  const uplink = (name: string, place: number) =>
    uplinkConfig(name, {
      gateways: [gateway(`10.9.${place}.1`)],
      targets: [icmp(`198.51.100.${place}`)],
      probe: { intervalMs: 100, burstCount: 3, burstPaceMs: 10, timeoutMs: 1000, deadlineFloorMs: 40, windowSamples: 60 },
      failAfterMs: 1000 * failAfterS,
      recoverAfterMs: 1000 * recoverAfterS,
      holdDown: { factor: 1, maxMs: 86_400_000, decayMs: 600_000 },
      degraded: { loss: null, rttMs: null, jitterMs: null, policy: 'keep' },
    });
  const played = await playLinks({
    name: 'fixed',
    config: config([uplink('primary', 0), uplink('ideal', 1)]),
    links: [link],
    prices: { switchS: COSTS.switchS, perSecond: [0, COSTS.backup] },
    seed: 1,
  });
  const outages = link.silences.map(({ fromMs, toMs }): Outage => ({ startS: fromMs / 1000, lengthS: (toMs - fromMs) / 1000 }));
  return { engine: played.cost, rule: play(outages, fixedRule(failAfterS, recoverAfterS), COSTS).cost };
}

test('outages by chance: the engine with a fixed rule costs what the rule costs', { timeout: 60_000 }, async (t) => {
  const seed = seedFromEnvironment();
  t.diagnostic(`seed ${seed}`);
  const random = new Random(seed);
  const silences = [];
  for (let atMs = 60_000; silences.length < 150; ) {
    const lengthMs = 300 + 6_000 * random.next() ** 4 * random.pick([1, 1, 10]);
    silences.push(silence(atMs, lengthMs));
    atMs += lengthMs + 500 - 60_000 * Math.log(1 - random.next());
  }
  const link = linkOf('made', (silences.at(-1)?.toMs ?? 0) + 60_000, { silences });
  for (const [failAfterS, recoverAfterS] of [
    [1, 5],
    [2.5, 30],
    [10, 10],
  ] as const) {
    const { engine, rule } = await engineAndRule(link, failAfterS, recoverAfterS);
    assert.ok(Math.abs(engine / rule - 1) < ALLOWED, `fail-after ${failAfterS}: engine ${engine}, rule ${rule}`);
  }
});

const FOLDER = process.env.BACKROUTE_TRACES ?? fileURLToPath(new URL('../../../../../shared/traces/', import.meta.url));
const skip = existsSync(FOLDER) ? false : `no traces in ${FOLDER}`;

// Not on the lattice of the recordings' own times: there a silence is exactly as long as patience, and one probe decides.
for (const name of [
  'starlink_drive_outages',
  'train_o2_3tgt',
  'train_telekom_3tgt',
  'campusnet_08may_google',
  'campusnet_09may_google',
]) {
  test(`${name}: within 2 % of judge.py`, { skip, timeout: 60_000 }, async () => {
    const { link } = await readRecording({ name, path: join(FOLDER, `${name}.csv`) });
    for (const [failAfterS, recoverAfterS] of [
      [1.3, 3],
      [2.5, 15],
      [6.3, 45],
    ] as const) {
      const { engine, rule } = await engineAndRule({ ...link, lossy: [], rtts: [] }, failAfterS, recoverAfterS);
      const text = `fail-after ${failAfterS}, recover-after ${recoverAfterS}: engine ${engine}, rule ${rule}`;
      assert.ok(Math.abs(engine / rule - 1) < ALLOWED, text);
    }
  });
}
