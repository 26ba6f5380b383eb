/** The provider behind the preferred router goes silent, and comes back. Needs root. */
import assert from 'node:assert/strict';
import { quick } from './config-file.js';
import { flowing, lasting, proof } from './gateway.js';

proof(
  'silent upstream: failover within a second, failback without a lost packet',
  { topology: 'classic', config: quick('classic') },
  async (gateway) => {
    const { lab } = gateway;
    await gateway.judged();
    await gateway.goesBy('fast');
    const meter = await lab.meter();
    await flowing(meter);

    const cut = await lab.cut('fast', 'silent');
    await gateway.goesBy('backup');
    await flowing(meter);
    const { longestGapMs } = await meter.stats(cut.monotonicMs);
    assert.ok(longestGapMs < 1500, `the client was without a way out for ${longestGapMs} ms`);
    const down = await gateway.event('fast is down', (one) => one.kind === 'health' && one.to === 'down');
    assert.deepEqual([down.uplink, down.reason], ['fast', 'upstream-silent'], down.text);
    assert.deepEqual(await gateway.switches(cut.date.getTime()), ['fast -> backup (upstream-silent)']);

    const mended = await lab.mend('fast');
    await gateway.goesBy('fast');
    await lasting(meter, 500);
    const back = await meter.stop(mended.monotonicMs);
    assert.equal(back.lost, 0, `${back.lost} of ${back.sent} lost on the way back`);
    assert.deepEqual(await gateway.switches(mended.date.getTime()), ['backup -> fast (preferred)']);
  },
);
