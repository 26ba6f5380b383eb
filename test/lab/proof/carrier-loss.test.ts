/** The cable of the preferred uplink is pulled, with the daemon there and without it. Needs root. */
import assert from 'node:assert/strict';
import { quick } from './config-file.js';
import { flowing, type Gateway, proof } from './gateway.js';

/** Asked so seldom that only the kernel's event can be the reason of a quick failover. */
const config = quick('two-nic', { defaults: { probe: { interval: '5s' }, 'fail-after': '5s' } });

async function felt(gateway: Gateway): Promise<{ gapMs: number; cutWallMs: number }> {
  const meter = await gateway.lab.meter();
  await flowing(meter);
  const cut = await gateway.lab.cut('fast', 'carrier');
  await flowing(meter);
  const { longestGapMs } = await meter.stop(cut.askedAtMs);
  return { gapMs: longestGapMs, cutWallMs: cut.date.getTime() };
}

proof('carrier lost: left at once, whatever the interval', { topology: 'two-nic', config }, async (gateway) => {
  await gateway.judged();
  await gateway.goesBy('fast');
  const { gapMs, cutWallMs } = await felt(gateway);
  assert.ok(gapMs < 500, `the client was without a way out for ${gapMs} ms`);
  await gateway.goesBy('backup');
  assert.deepEqual(await gateway.switches(cutWallMs - 1000), ['fast -> backup (carrier-lost)']);
  assert.equal((await gateway.path('fast')).reason, 'carrier-lost');

  await gateway.lab.mend('fast');
  await gateway.goesBy('fast');
});

proof('carrier lost while the daemon is dead: the kernel alone goes on', { topology: 'two-nic', config }, async (gateway) => {
  await gateway.judged();
  await gateway.goesBy('fast');
  await gateway.end('SIGKILL');
  const { gapMs } = await felt(gateway);
  assert.ok(gapMs < 500, `the client was without a way out for ${gapMs} ms`);
  const [first] = await gateway.defaults();
  assert.equal(first?.gateway, gateway.lab.uplink('fast').gateway4, 'nobody has moved the route');
  assert.ok(first.flags?.includes('linkdown'), 'it is passed over because its link is down');
});
