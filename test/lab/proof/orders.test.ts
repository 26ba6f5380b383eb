/** The administrator knows better: force, disable, enable, auto. Needs root. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { SOCKET_FILE } from '../../../src/api/server.js';
import { askDaemon } from '../../../src/cli/client.js';
import { quick } from './config-file.js';
import { eventually, lasting, proof } from './gateway.js';

proof(
  'forced: obeyed at once, over restarts, and loudly where it is down',
  { topology: 'classic', config: quick('classic') },
  async (gateway) => {
    const { lab } = gateway;
    await gateway.judged();
    await gateway.goesBy('fast');
    assert.match(await gateway.order('force', 'backup'), /leaves by backup/);
    await gateway.goesBy('backup');
    assert.equal((await gateway.family()).reason, 'forced');
    const meter = await lab.meter();
    await lasting(meter, 2000);
    assert.equal((await gateway.family()).active, 'backup', 'a good preferred uplink changes nothing');

    const cut = await lab.cut('backup', 'silent');
    const loud = await gateway.event(
      'the failure of a forced uplink is told',
      (one) => one.kind === 'health' && one.uplink === 'backup' && one.to === 'down',
      cut.date.getTime(),
    );
    assert.equal(loud.severity, 'error');
    assert.match((await gateway.status()).problems.join('\n'), /backup .*is forced although/);
    assert.match(await gateway.order('status'), /forced/);
    await lasting(meter, 1000);
    assert.equal((await gateway.family()).active, 'backup', 'obeyed all the same');

    await gateway.end('SIGTERM');
    await gateway.start();
    await gateway.judged();
    await gateway.goesBy('backup');
    assert.equal((await gateway.status()).uplinks.find((one) => one.name === 'backup')?.admin, 'forced');

    await gateway.order('auto');
    await gateway.goesBy('fast');
  },
);

proof(
  'disabled: never used, not even as the last way out; enable and auto give it back',
  { topology: 'classic', config: quick('classic') },
  async (gateway) => {
    const { lab } = gateway;
    await gateway.judged();
    await gateway.goesBy('fast');
    await gateway.order('disable', 'fast');
    await gateway.goesBy('backup');
    assert.equal((await gateway.switches()).at(-1), 'fast -> backup (disabled)');

    await gateway.end('SIGKILL');
    await gateway.start();
    await gateway.judged();
    await lab.cut('backup', 'silent');
    await eventually('backup is down', async () => (await gateway.path('backup')).health === 'down');
    const meter = await lab.meter({ intervalMs: 50 });
    await lasting(meter, 1000);
    assert.equal((await gateway.family()).active, 'backup', 'a disabled one is no way out');

    await gateway.order('enable', 'fast');
    await gateway.goesBy('fast');
    await lab.mend('backup');
    await eventually('backup is up', async () => (await gateway.path('backup')).health === 'up');
    await gateway.order('disable', 'fast');
    await gateway.goesBy('backup');
    await gateway.order('auto');
    await gateway.goesBy('fast');

    const unknown = await gateway.backroute('force', 'nobody');
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /no uplink 'nobody'.*fast, backup/);
  },
);

proof(
  'an order that was acknowledged outlives the daemon, even one killed in the same instant',
  { topology: 'classic', config: quick('classic') },
  async (gateway) => {
    await gateway.judged();
    const socket = join(gateway.runDir, SOCKET_FILE);
    for (const uplink of ['backup', 'fast', 'backup']) {
      const { status } = await askDaemon(socket, 'POST', '/command', { verb: 'force', uplink });
      assert.equal(status, 200);
      await gateway.end('SIGKILL');
      await gateway.start();
      const forced = (await gateway.status()).uplinks.filter((one) => one.admin === 'forced');
      assert.deepEqual(
        forced.map((one) => one.name),
        [uplink],
      );
    }
  },
);
