/** `backroute run --dry-run` says what it would do, and does none of it. Needs root. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { quick } from './config-file.js';
import { eventually, type Gateway, proof } from './gateway.js';

/** As on a machine where the administrator has allowed pings: a dry run does not change that either. */
async function allowPings(gateway: Gateway): Promise<void> {
  await gateway.lab.exec('gateway', ['sh', '-c', "echo '0 0' > /proc/sys/net/ipv4/ping_group_range"]);
}

proof(
  'a dry run changes nothing in the kernel and nothing on the disk',
  { topology: 'classic', config: quick('classic', { families: [4, 6] }), start: false, prepare: allowPings },
  async (gateway) => {
    const before = await gateway.footprint();
    const child = gateway.lab.spawn('gateway', gateway.argv('run', '--dry-run'), { stdio: ['ignore', 'pipe', 'pipe'] });
    const ended = once(child, 'exit');
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk) => {
        said += String(chunk);
      });
    }
    await eventually('the route that it would set is named', () => /would: .*default.*192\.168\.1\.253/.test(said));
    await gateway.lab.cut('fast', 'silent');
    await eventually('a switch that it would make is named', () =>
      /would: .*default.*192\.168\.1\.1\b/.test(said.split('down').at(-1) ?? ''),
    );
    assert.deepEqual(await gateway.footprint(), before);
    child.kill('SIGTERM');
    assert.deepEqual(await ended, [0, null], said);
    assert.deepEqual(await gateway.footprint(), before);
    assert.equal(existsSync(gateway.stateDir), false);
    assert.equal(existsSync(gateway.runDir), false);
  },
);
