/** A line that loses one packet in twenty all the time is a poor line, and no reason to leave it. Needs root; lasts five minutes. */
import assert from 'node:assert/strict';
import { monotonicMs } from '../../../src/lab/clock.js';
import { topologies } from '../../../src/lab/topologies.js';
import { until } from '../../../src/lab/until.js';
import type { ConfigFile } from './config-file.js';
import { proof } from './gateway.js';

const LASTS_MS = 5 * 60_000;
/** As the built-in defaults have it, interval, patience and thresholds. */
const config: ConfigFile = {
  uplinks: Object.fromEntries(
    topologies.classic.uplinks.map((uplink) => [uplink.name, { gateway: uplink.gateway4, targets: [uplink.upstream4] }]),
  ),
};

proof('5 % random loss for 5 minutes: no switch', { topology: 'classic', config, timeout: 7 * 60_000 }, async (gateway) => {
  const { lab } = gateway;
  await gateway.judged();
  await gateway.goesBy('fast');
  const { monotonicMs: sinceMs } = await lab.setLink('fast', { out: { loss: 0.05 } });
  // Its traffic measures the loss and does no more: this lasts long, and others want the processors.
  const meter = await lab.meter({ intervalMs: 50 });
  const moved = await until(
    async () => (await gateway.family()).active !== 'fast' || monotonicMs() - sinceMs > LASTS_MS,
    2 * LASTS_MS,
    1000,
  );
  assert.ok(moved);
  assert.deepEqual(await gateway.switches(), []);
  const ofFast = (await gateway.events()).filter((one) => one.kind === 'health' && one.uplink === 'fast');
  assert.deepEqual(
    ofFast.map((one) => one.to),
    ['up'],
    'its health never changed',
  );
  const { sent, lost } = await meter.stop();
  assert.ok(lost / sent > 0.03 && lost / sent < 0.07, `${lost} of ${sent} packets were lost: that is not 5 %`);
});
