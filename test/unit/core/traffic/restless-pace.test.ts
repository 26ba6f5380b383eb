/** How often a restless path is asked: as closely as switches are dear, never more often than routers bear, never less than configured. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { restlessIntervalMs } from '../../../../src/core/traffic/restless-pace.js';
import { gateway, icmp, uplinkConfig } from '../../../support/topology.js';

const withTargets = (count: number, intervalMs = 1_000) => {
  const plain = uplinkConfig('a', { gateways: [gateway('192.0.2.1')] });
  const targets = Array.from({ length: count }, (_, i) => icmp(`198.51.100.${i + 1}`));
  return { ...plain, targets, probe: { ...plain.probe, intervalMs } };
};

test('a twenty-fifth of what a switch costs, not below a tenth of a second, and never beyond the interval of the file', () => {
  assert.deepEqual(
    [100, 1_000, 2_500, 5_000, 60_000].map((switchCostMs) => restlessIntervalMs(withTargets(1), switchCostMs)),
    [100, 100, 100, 200, 1_000],
  );
  assert.equal(restlessIntervalMs(withTargets(1, 150), 5_000), 150);
});

test('several targets take turns: the path is asked as often as with one', () => {
  assert.equal(restlessIntervalMs(withTargets(3), 2_500), 300);
  assert.equal(restlessIntervalMs(withTargets(0), 2_500), 100, 'the gateway alone');
});
