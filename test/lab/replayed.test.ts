/**
 * What the simulation says is what the real daemon does: the same outages on an emulated link, probe by probe. Needs root.
 * `npm run judge -- --lab` plays half an hour of them.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { comparedText, compareInLab } from '../../bench/judge/in-the-lab.js';
import { missingRequirement } from '../../src/lab/requirements.js';

const seconds = (startS: number, lengthS: number) => ({ startMs: 1_000 * startS, endMs: 1_000 * (startS + lengthS) });

test('a blip is borne, a silence of seconds left, the way back taken: at the same moments as in the simulation', {
  skip: missingRequirement()?.message ?? false,
  timeout: 180_000,
}, async (t) => {
  const outages = [seconds(6, 0.6), seconds(10, 5), seconds(34, 0.5), seconds(38, 4)];
  const compared = await compareInLab(outages, { longestHoldMs: 8_000 }, (line) => t.diagnostic(line));
  t.diagnostic(comparedText(compared));
  assert.deepEqual(
    compared.daemon.map(({ to }) => to),
    ['backup', 'fast', 'backup'],
  );
  assert.ok(compared.apartMs !== null, 'the simulation made other moves');
  // Within one probe interval.
  for (const apartMs of compared.apartMs) assert.ok(Math.abs(apartMs) <= 1_000, `${apartMs} ms apart`);
});
