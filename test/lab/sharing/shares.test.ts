/** Uplinks of one tier share new connections by their weights. Needs root. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Family } from '../../../src/core/model.js';
import { startConnections } from '../../../src/lab/traffic/connections.js';
import { type Gateway, proof } from '../proof/gateway.js';
import { percentBy, sharedBy, three, threeFile, tier } from './stage.js';

const COUNT = 3_000;
/** Points: what is promised. Chance alone stays below it 999 times of 1,000, hence the second sample. */
const TOLERANCE = 3;
const FAMILIES: readonly Family[] = [4, 6];

/** The share of `fast` among {@link COUNT} new connections, in per cent. Every connection must be answered, by one of the two. */
async function sample(gateway: Gateway, family: Family): Promise<number> {
  const many = await startConnections(gateway.lab, { family, count: COUNT, perS: 600 });
  const report = await many.finished();
  assert.deepEqual(report.errors, {}, `IPv${family}`);
  assert.equal(report.ok, COUNT);
  assert.deepEqual(Object.keys(report.byUplink).toSorted(), ['backup', 'fast', 'third'], 'nobody was seen coming from elsewhere');
  assert.equal(report.byUplink.third, 0, 'the lower tier is not used');
  return percentBy(report, 'fast');
}

async function assertShare(t: TestContext, gateway: Gateway, family: Family, wanted: number): Promise<void> {
  for (const last of [false, true]) {
    const found = await sample(gateway, family);
    t.diagnostic(`IPv${family}: ${found.toFixed(1)} % by fast, ${wanted} wanted`);
    if (Math.abs(found - wanted) <= TOLERANCE) return;
    assert.ok(!last, `IPv${family}: ${found.toFixed(1)} % by fast, twice beyond ${wanted} ± ${TOLERANCE}`);
  }
}

proof(
  'weights 3:1, and 1:1 after a reload: 3,000 new connections within 3 points, IPv4 and IPv6',
  three({ families: FAMILIES, uplinks: tier(3, 1) }),
  async (gateway, t) => {
    await gateway.judged();
    for (const family of FAMILIES) await sharedBy(gateway, { fast: 3, backup: 1 }, family);
    await Promise.all(FAMILIES.map((family) => assertShare(t, gateway, family, 75)));

    gateway.configure(threeFile({ families: FAMILIES, uplinks: tier(1, 1) }));
    await gateway.order('reload');
    for (const family of FAMILIES) await sharedBy(gateway, { fast: 1, backup: 1 }, family);
    await Promise.all(FAMILIES.map((family) => assertShare(t, gateway, family, 50)));
    assert.deepEqual(await gateway.switches(), []);
  },
);
