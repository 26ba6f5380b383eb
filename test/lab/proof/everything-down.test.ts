/** Nothing works any more; then something does. Needs root. */
import assert from 'node:assert/strict';
import { quick } from './config-file.js';
import { flowing, proof } from './gateway.js';

proof(
  'everything down: the last choice is kept, this machine is suspected, the first that returns is taken',
  // A long wait before failback: an uplink that comes back while nothing else works must not be made to wait.
  { topology: 'classic', config: quick('classic', { defaults: { 'recover-after': '1h' } }) },
  async (gateway) => {
    const { lab } = gateway;
    await gateway.judged();
    await gateway.goesBy('fast');
    const before = await gateway.defaults();
    const meter = await lab.meter();
    await flowing(meter);

    const [cut] = await Promise.all([lab.cut('fast', 'silent'), lab.cut('backup', 'silent')]);
    const since = cut.date.getTime() - 100;
    await gateway.event('all silent at once is told', (one) => one.kind === 'local' && one.reason === 'local-fault', since);
    await gateway.event('the lack of choice is told', (one) => one.kind === 'switch' && one.severity === 'error', since);
    assert.deepEqual(
      (await gateway.defaults()).map((one) => one.gateway),
      before.map((one) => one.gateway),
    );
    assert.equal((await gateway.family()).active, 'fast');
    assert.equal((await gateway.family()).reason, 'no-choice');

    await lab.mend('backup');
    await gateway.goesBy('backup');
    await flowing(meter);
    assert.equal((await gateway.path('fast')).health, 'down');

    // Now that one works, the preferred one has to prove itself.
    await lab.mend('fast');
    await gateway.event('fast is up', (one) => one.kind === 'health' && one.uplink === 'fast' && one.to === 'up', since);
    const { next } = await gateway.family();
    assert.equal(next?.uplink, 'fast');
    assert.ok(next.inMs > 60_000, `${next.inMs} ms`);
    assert.equal((await gateway.family()).active, 'backup');
  },
);
