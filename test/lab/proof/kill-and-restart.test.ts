/** The daemon is killed and started again under traffic: nobody notices. Needs root. */
import assert from 'node:assert/strict';
import { quick } from './config-file.js';
import { flowing, lasting, proof } from './gateway.js';

proof(
  'kill -9 and restart: no packet lost, the choice and the orders are kept',
  { topology: 'classic', config: quick('classic', { families: [4, 6], defaults: { 'recover-after': '1h' } }) },
  async (gateway) => {
    const { lab } = gateway;
    await gateway.judged();
    // The choice to be kept is one that no fresh start would make: the preferred uplink is good again, but not for long enough.
    await lab.cut('fast', 'silent');
    for (const family of [4, 6] as const) await gateway.goesBy('backup', family);
    await lab.mend('fast');
    await gateway.event('fast is up again', (one) => one.kind === 'health' && one.uplink === 'fast' && one.from === 'down');
    const former = await gateway.family();
    const meters = [await lab.meter({ family: 4 }), await lab.meter({ family: 6 })];
    for (const meter of meters) await flowing(meter);
    const before = await gateway.footprint();

    await gateway.end('SIGKILL');
    assert.deepEqual(await gateway.footprint(), before, 'a death changes nothing in the kernel');
    await gateway.start();
    await gateway.judged();
    await lasting(meters[0] ?? assert.fail(), 1000);
    assert.deepEqual(await gateway.footprint(), before, 'the restart found everything as it should be');
    for (const meter of meters) assert.equal((await meter.stop()).lost, 0);
    const adopted = await gateway.family();
    assert.equal(adopted.active, 'backup');
    assert.equal(adopted.reason, former.reason);
    assert.ok(Math.abs(adopted.sinceWallMs - former.sinceWallMs) < 1000, 'since when is remembered too');
    assert.ok((await gateway.path('fast')).holdDownLeftMs !== null, 'the wait before failback goes on');

    await gateway.order('force', 'fast');
    await gateway.goesBy('fast');
    await gateway.end('SIGKILL');
    await gateway.start();
    await gateway.judged();
    assert.equal((await gateway.status()).uplinks[0]?.admin, 'forced');
    assert.deepEqual([(await gateway.family()).active, (await gateway.family()).reason], ['fast', 'forced']);
  },
);
