/** A machine that filters by reverse path strictly drops what comes in by the uplink that is not in use. Needs root. */
import assert from 'node:assert/strict';
import { quick } from './config-file.js';
import { type Gateway, proof } from './gateway.js';

async function beStrict(gateway: Gateway): Promise<void> {
  const lines = ['all', 'default', 'wan1', 'wan2'].map((name) => `echo 1 > /proc/sys/net/ipv4/conf/${name}/rp_filter`);
  await gateway.lab.exec('gateway', ['sh', '-c', lines.join('\n')]);
}

proof(
  'strict rp_filter: probes of the inactive uplink are answered all the same',
  { topology: 'two-nic', config: quick('two-nic'), prepare: beStrict },
  async (gateway) => {
    await gateway.judged();
    await gateway.goesBy('fast');
    assert.equal((await gateway.path('backup')).health, 'up');
    await gateway.order('force', 'backup');
    await gateway.goesBy('backup');
    const { health, loss } = await gateway.path('fast');
    assert.deepEqual([health, loss], ['up', 0]);
  },
);

proof(
  'strict rp_filter that may not be touched: the inactive uplink cannot be seen',
  { topology: 'two-nic', config: quick('two-nic', { top: { sysctls: 'leave' } }), prepare: beStrict },
  async (gateway) => {
    await gateway.lab.exec('gateway', ['sh', '-c', "echo '0 0' > /proc/sys/net/ipv4/ping_group_range"]);
    await gateway.judged();
    await gateway.goesBy('fast');
    assert.equal((await gateway.path('backup')).health, 'down');
  },
);
