/** `backroute once`, as cron runs it: no daemon. Needs root. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LOCK_FILE } from '../../../src/history/state-store.js';
import { quick } from './config-file.js';
import { eventually, type Gateway, proof } from './gateway.js';

/** One run, from which the verdicts and switches are wanted. */
async function judge(gateway: Gateway): Promise<void> {
  const { code, stderr } = await gateway.backroute('once');
  assert.equal(code, 0, stderr);
}

async function isBy(gateway: Gateway, uplink: string): Promise<boolean> {
  return (await gateway.defaults())[0]?.gateway === gateway.lab.uplink(uplink).gateway4;
}

proof(
  'once: a verdict and a switch where one is needed, run by run',
  { topology: 'classic', config: quick('classic', { top: { log: '/dev/stderr' } }), start: false },
  async (gateway) => {
    const { lab } = gateway;
    const before = await gateway.footprint();
    await judge(gateway);
    assert.ok(await isBy(gateway, 'fast'));

    await lab.cut('fast', 'silent');
    const startedMs = performance.now();
    await judge(gateway);
    assert.ok(performance.now() - startedMs < 10_000, 'a silent uplink does not keep cron waiting');
    assert.ok(await isBy(gateway, 'backup'));
    const told = await gateway.order('events', '--json');
    assert.match(told, /"kind":"switch".*"from":"fast","to":"backup","reason":"upstream-silent"/);

    await lab.mend('fast');
    await eventually('some later run comes back', async () => {
      await judge(gateway);
      return isBy(gateway, 'fast');
    });
    await gateway.order('cleanup');
    assert.deepEqual(await gateway.footprint(), before);
  },
);

proof(
  'once: runs that overlap exclude each other',
  { topology: 'classic', config: quick('classic'), start: false },
  async (gateway) => {
    const first = gateway.lab.spawn('gateway', gateway.argv('once'), { stdio: 'ignore' });
    const ended = once(first, 'exit');
    const holder = () => {
      try {
        return Number.parseInt(readFileSync(join(gateway.stateDir, LOCK_FILE), 'utf8'), 10);
      } catch {
        return null;
      }
    };
    await eventually('the first run holds the lock', () => holder() === first.pid);
    assert.ok(first.pid !== undefined);
    process.kill(first.pid, 'SIGSTOP');
    const second = await gateway.backroute('once');
    assert.equal(second.code, 0, 'what cron starts too early is no failure');
    assert.match(second.stderr, new RegExp(`another run is under way \\(process ${first.pid}\\): nothing was done`));
    process.kill(first.pid, 'SIGCONT');
    assert.deepEqual(await ended, [0, null]);
    assert.ok(await isBy(gateway, 'fast'));

    await gateway.start();
    const beside = await gateway.backroute('once');
    assert.equal(beside.code, 1);
    assert.match(beside.stderr, /the daemon runs/);
  },
);

proof(
  'once: whatever it has to set stands when it ends, nft included',
  { topology: 'classic', config: quick('classic', { families: [4, 6] }), start: false },
  async (gateway) => {
    const endSlowness = gateway.slowNft(500);
    await judge(gateway);
    endSlowness();
    assert.match((await gateway.lab.exec('gateway', ['nft', 'list', 'ruleset'])).stdout, /nd-redirect/);
    const set = await gateway.footprint();
    await judge(gateway);
    assert.deepEqual(await gateway.footprint(), set, 'a second run finds nothing to do');
  },
);
