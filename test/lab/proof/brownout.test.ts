/** The preferred uplink still answers, but a third of everything is lost. Needs root. */
import assert from 'node:assert/strict';
import { quick } from './config-file.js';
import { proof } from './gateway.js';

const probe = { interval: '100ms', window: '40' };
/** A silence as long as a second does not come about at 30 %: what leaves, leaves for the loss. */
const config = quick('classic', { defaults: { probe, 'fail-after': '1s' } });

proof('brownout: 30 % loss is no outage, but traffic leaves', { topology: 'classic', config }, async (gateway) => {
  const { lab } = gateway;
  await gateway.judged();
  await gateway.goesBy('fast');
  const brownout = await lab.setLink('fast', { out: { loss: 0.3 } });
  await gateway.goesBy('backup');
  assert.deepEqual(await gateway.switches(brownout.date.getTime()), ['fast -> backup (loss-high)']);
  const path = await gateway.path('fast');
  assert.equal(path.health, 'degraded');
  assert.ok((path.loss ?? 0) > 0.1, `loss ${path.loss}`);

  await lab.setLink('fast', { out: { loss: 0 } });
  await gateway.goesBy('fast');
  assert.equal((await gateway.path('fast')).health, 'up');
});
