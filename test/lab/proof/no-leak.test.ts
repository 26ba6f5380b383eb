/** A probe leaves through its uplink or not at all, whatever else the machine could reach. Needs root. */
import assert from 'node:assert/strict';
import { type TopologyName, topologies } from '../../../src/lab/topologies.js';
import { quick } from './config-file.js';
import { eventually, lasting, proof } from './gateway.js';

for (const topology of ['classic', 'two-nic'] as const satisfies readonly TopologyName[]) {
  const { privateTarget4, privateTarget6, gateway4, gateway6, gatewayInterface } =
    topologies[topology].uplinks[1] ?? assert.fail('there is a second uplink');
  const targets = [privateTarget4, privateTarget6];
  const config = quick(topology, { families: [4, 6], uplinks: { fast: { targets }, backup: { targets } } });

  proof(
    `${topology}: what only the other uplink reaches stays down, though main has a route to it`,
    {
      topology,
      config,
      prepare: async (gateway) => {
        await gateway.ip(`route add ${privateTarget4}/32 via ${gateway4} dev ${gatewayInterface}`);
        await gateway.ip(`-6 route add ${privateTarget6}/128 via ${gateway6} dev ${gatewayInterface}`);
      },
    },
    async (gateway) => {
      await gateway.judged();
      for (const family of [4, 6] as const) {
        await gateway.goesBy('backup', family);
        const fast = await gateway.path('fast', family);
        assert.equal(fast.health, 'down', `IPv${family}`);
        assert.deepEqual(
          fast.targets.map((target) => target.alive),
          [false],
        );
        // Up through its own uplink: the target itself lives.
        assert.equal((await gateway.path('backup', family)).health, 'up');
      }

      // A dead uplink must not look alive either when its route is taken away from its table while it is probed.
      const slot = (await gateway.status()).uplinks.find((one) => one.name === 'fast') ?? assert.fail();
      await gateway.ip(`route del default table ${slot.table} metric 0`);
      await eventually('its route is back', async () => /via/.test(await gateway.ip(`route show table ${slot.table}`)));
      const meter = await gateway.lab.meter();
      await lasting(meter, 1000);
      assert.equal((await gateway.path('fast')).health, 'down');
      const health = (await gateway.events()).filter((one) => one.kind === 'health' && one.uplink === 'fast');
      assert.deepEqual([...new Set(health.map((one) => one.to))], ['down'], 'it was never anything else');
    },
  );
}
