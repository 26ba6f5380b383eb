/** Gateways and targets by name, from the hosts file. Needs root. */
import assert from 'node:assert/strict';
import { quick } from './config-file.js';
import { eventually, type Gateway, lasting, proof } from './gateway.js';

const LOCAL = '127.0.0.1 localhost';
const NAMES = ['192.168.1.253 fast-router', '192.168.1.1 backup-router', '212.254.0.1 provider'];

function hosts(gateway: Gateway, ...lines: readonly string[]): void {
  gateway.lab.etcFile('gateway', 'hosts', `${[LOCAL, ...lines].join('\n')}\n`);
}

const config = quick('classic', {
  uplinks: { fast: { gateway: 'fast-router', targets: ['provider'] }, backup: { gateway: 'backup-router' } },
});

proof(
  'names from the hosts file: followed when they change, kept when they vanish',
  {
    topology: 'classic',
    config,
    prepare: async (gateway) => {
      // No resolver can be asked in a lab, and none shall be waited for.
      gateway.lab.etcFile('gateway', 'nsswitch.conf', 'hosts: files\n');
      hosts(gateway, ...NAMES);
    },
  },
  async (gateway) => {
    await gateway.judged();
    await gateway.goesBy('fast');
    const fast = await gateway.path('fast');
    assert.deepEqual([fast.gateway, fast.targets[0]?.address, fast.health], ['192.168.1.253', '212.254.0.1', 'up']);

    // Another address under the old name, both ways round: the routers change places.
    hosts(gateway, '192.168.1.1 fast-router', '192.168.1.253 backup-router', '1.1.1.1 provider');
    await gateway.order('reload');
    await eventually('the names are followed', async () => {
      const { gateway: router, targets } = await gateway.path('fast');
      return router === '192.168.1.1' && targets[0]?.address === '1.1.1.1';
    });
    await eventually('the route follows', async () => (await gateway.defaults())[0]?.gateway === '192.168.1.1');

    hosts(gateway, '212.254.0.1 something-else');
    await gateway.order('reload');
    for (const name of ['fast-router', 'backup-router', 'provider']) {
      const lost = (text: string) => text.startsWith(`${name} does not resolve`) && /its last address .* is kept/.test(text);
      await gateway.event(`the loss of ${name} is told`, (one) => one.kind === 'name' && lost(one.text));
    }
    const meter = await gateway.lab.meter();
    await lasting(meter, 1000);
    const kept = await gateway.path('fast');
    assert.deepEqual([kept.gateway, kept.targets[0]?.address, kept.health], ['192.168.1.1', '1.1.1.1', 'up']);
    assert.equal((await meter.stop()).lost, 0);

    // Not even a restart needs the resolver.
    await gateway.end('SIGKILL');
    await gateway.start();
    await gateway.judged();
    assert.equal((await gateway.path('fast')).health, 'up');
    assert.equal((await gateway.defaults())[0]?.gateway, '192.168.1.1');
  },
);
