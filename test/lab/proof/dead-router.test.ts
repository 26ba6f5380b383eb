/** The preferred router is off: nothing of it answers, and no carrier event tells, because a switch stands between. Needs root. */
import assert from 'node:assert/strict';
import { quick } from './config-file.js';
import { flowing, proof } from './gateway.js';

proof(
  'dead router: told from a silent upstream, failover within a second',
  { topology: 'classic', config: quick('classic') },
  async (gateway) => {
    const { lab } = gateway;
    await gateway.judged();
    await gateway.goesBy('fast');
    const meter = await lab.meter();
    await flowing(meter);

    const cut = await lab.cut('fast', 'router');
    await gateway.goesBy('backup');
    await flowing(meter);
    const { longestGapMs } = await meter.stats(cut.monotonicMs);
    assert.ok(longestGapMs < 1500, `the client was without a way out for ${longestGapMs} ms`);
    const down = await gateway.event('fast is down', (one) => one.kind === 'health' && one.to === 'down');
    assert.deepEqual([down.uplink, down.reason], ['fast', 'gateway-silent'], down.text);

    const mended = await lab.mend('fast');
    await gateway.goesBy('fast');
    await flowing(meter);
    assert.deepEqual(await gateway.switches(mended.date.getTime()), ['backup -> fast (preferred)']);
  },
);
