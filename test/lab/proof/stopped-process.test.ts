/** The daemon itself is stopped for a while: its own absence is nobody's failure. Needs root. */
import assert from 'node:assert/strict';
import { quick } from './config-file.js';
import { flowing, lasting, proof } from './gateway.js';

proof('stopped for 5 s: no switch, and the stall is told', { topology: 'classic', config: quick('classic') }, async (gateway) => {
  await gateway.judged();
  await gateway.goesBy('fast');
  const meter = await gateway.lab.meter();
  await flowing(meter);
  const before = await gateway.events();

  gateway.signal('SIGSTOP');
  await lasting(meter, 5000);
  gateway.signal('SIGCONT');
  const stall = await gateway.event('the stall is told', (one) => one.kind === 'stall');
  assert.equal(stall.data.cause, 'process-stalled');
  assert.ok(Number(stall.data.spanMs) > 4000, `${stall.data.spanMs} ms`);
  // Time enough for a wrong verdict from what had been outstanding.
  await lasting(meter, 2000);
  const since = (await gateway.events()).slice(before.length);
  assert.deepEqual(
    since.filter((one) => one.kind === 'switch' || one.kind === 'health' || one.kind === 'local').map((one) => one.text),
    [],
  );
  assert.equal((await gateway.path('fast')).health, 'up');
  assert.equal((await meter.stop()).lost, 0);
});

proof(
  'stopped while the uplink fails: it is noticed afterwards all the same',
  { topology: 'classic', config: quick('classic') },
  async (gateway) => {
    await gateway.judged();
    await gateway.goesBy('fast');
    const meter = await gateway.lab.meter();
    await flowing(meter);
    gateway.signal('SIGSTOP');
    await gateway.lab.cut('fast', 'silent');
    await lasting(meter, 1000);
    gateway.signal('SIGCONT');
    await gateway.goesBy('backup');
    await flowing(meter);
    assert.deepEqual(await gateway.switches(), ['fast -> backup (upstream-silent)']);
  },
);
