/** The evaluation's arithmetic against judge.py's printed figures and its limits. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bestFixed, clairvoyant, fixedRule, PEERS, play } from '../../../../bench/judge/model.js';
import { besideBestFixed, mean, ratioOf } from '../../../../bench/judge/study.js';
import { NAMED_LINKS } from '../../../../bench/judge/synthetic.js';
import { outagesOf, readLink } from '../../../../bench/judge/traces.js';

/** BACKROUTE_TRACES, or the folder beside the project. */
const FOLDER = process.env.BACKROUTE_TRACES ?? fileURLToPath(new URL('../../../../../../shared/traces/', import.meta.url));
const skip = existsSync(FOLDER) ? false : `no traces in ${FOLDER}`;
const load = async (name: string) => outagesOf(await readLink(join(FOLDER, `${name}.csv`)));

/** [outages, then per switch cost: clairvoyant, best fixed, its T and H, and the peers in their order] as judge.py prints them */
const PRINTED: Readonly<Record<string, readonly [number, Readonly<Record<string, readonly number[]>>]>> = {
  starlink_drive_outages: [
    557,
    {
      1: [393, 1.36, 2, 120, 3.68, 3.7, 3.85, 2.27, 2.29, 2.08, 1.66, 2.17, 1.65, 1.94, 4.25],
      2.5: [469, 1.32, 2, 120, 3.1, 3.12, 3.23, 1.94, 1.96, 1.87, 1.49, 1.98, 1.95, 2.81, 3.58],
      5: [553, 1.29, 5, 120, 2.65, 2.66, 2.74, 1.7, 1.72, 1.76, 1.39, 1.9, 2.45, 4.06, 3.05],
    },
  ],
  train_o2_3tgt: [
    286,
    {
      1: [396, 1.47, 0, 20, 5.63, 5.68, 6.73, 3.91, 4.03, 3.43, 3.24, 3.35, 1.96, 2.19, 6.58],
      2.5: [655, 1.71, 1.5, 60, 3.45, 3.48, 4.1, 2.5, 2.57, 2.28, 2.27, 2.41, 1.97, 2.59, 4.01],
      5: [947, 1.72, 10, 120, 2.42, 2.45, 2.87, 1.88, 1.92, 1.81, 1.94, 2.1, 2.27, 3.26, 2.8],
    },
  ],
  campusnet_09may_google: [
    79,
    {
      1: [150, 1.17, 0, 1, 5.15, 5.16, 5.22, 4.57, 4.56, 3.98, 3.73, 3.52, 1.62, 1.63, 6.28],
      2.5: [223, 1.39, 2, 300, 3.5, 3.49, 3.52, 3.15, 3.12, 3.2, 3.06, 2.97, 1.9, 2.16, 4.25],
      5: [265, 1.33, 7, 300, 2.99, 2.96, 2.96, 2.75, 2.68, 3.41, 3.33, 3.33, 2.73, 3.31, 3.6],
    },
  ],
};

test('agrees with judge.py to the last printed digit', { skip }, async () => {
  for (const [name, [count, table]] of Object.entries(PRINTED)) {
    const outages = await load(name);
    assert.equal(outages.length, count);
    for (const [switchText, [least, best, patienceS, holdS, ...peers]] of Object.entries(table)) {
      const costs = { switchS: Number(switchText), backup: 0.02 };
      const mine = clairvoyant(outages, costs);
      assert.equal(Math.round(mine), least, `${name}, clairvoyant at ${switchText} s`);
      const fixed = bestFixed(outages, costs);
      assert.deepEqual([fixed.patienceS, fixed.holdS], [patienceS, holdS], `${name}, best fixed at ${switchText} s`);
      assert.ok(Math.abs(fixed.cost / mine - (best ?? 0)) < 0.0051);
      Object.entries(PEERS).forEach(([peer, [t, h]], i) => {
        const ratio = play(outages, fixedRule(t, h), costs).cost / mine;
        assert.ok(
          Math.abs(ratio - (peers[i] ?? 0)) < 0.0051,
          `${name}, ${peer} at ${switchText} s: ${ratio} against ${peers[i]}`,
        );
      });
    }
  }
});

test('the measured links stay within their limits with nothing set', { skip }, async () => {
  const names = [
    'starlink_drive_outages',
    'train_o2_3tgt',
    'train_telekom_3tgt',
    'campusnet_08may_google',
    'campusnet_09may_google',
  ];
  const links = await Promise.all(names.map(load));
  for (const [switchS, most, worst] of [
    [1, 1.45, 1.75],
    [2.5, 1.5, 1.75],
    [5, 1.5, 1.8],
  ] as const) {
    const ratios = links.map((outages) => ratioOf(outages, { switchS, backup: 0.02 }));
    assert.ok(mean(ratios) <= most, `mean ${mean(ratios)} at ${switchS} s`);
    assert.ok(Math.max(...ratios) <= worst, `worst ${Math.max(...ratios)} at ${switchS} s`);
  }
});

test('made-up links stay within 1.3 of the best fixed rule in hindsight', () => {
  for (const [name, outages] of Object.entries(NAMED_LINKS)) {
    for (const switchS of [1, 2.5, 5]) {
      const ratio = besideBestFixed(outages, { switchS, backup: 0.02 });
      assert.ok(ratio <= 1.3, `${name} at ${switchS} s: ${ratio}`);
    }
  }
});
