/** nft is a program of its own, and slow where a firewall is large or somebody holds its lock. Routes do not wait for it. Needs root. */
import assert from 'node:assert/strict';
import { quick } from './config-file.js';
import { eventually, flowing, proof } from './gateway.js';

const SLOW_MS = 3000;

proof(
  'nft takes seconds: start, repair and failover do not wait for it',
  { topology: 'two-nic', config: quick('two-nic', { families: [4, 6] }), start: false },
  async (gateway) => {
    gateway.slowNft(SLOW_MS);
    const startedMs = performance.now();
    await gateway.start();
    await gateway.judged();
    await gateway.goesBy('fast');
    await gateway.goesBy('fast', 6);
    assert.ok(performance.now() - startedMs < SLOW_MS, 'the start waited');

    const meter = await gateway.lab.meter();
    await flowing(meter);
    const deletedMs = performance.now();
    await gateway.ip('route del default metric 0');
    await gateway.goesBy('fast');
    assert.ok(performance.now() - deletedMs < SLOW_MS / 2, 'the repair waited');

    const cut = await gateway.lab.cut('fast', 'carrier');
    await gateway.goesBy('backup');
    await gateway.goesBy('backup', 6);
    await flowing(meter);
    const lost = await gateway.event('the switch is told', (one) => one.reason === 'carrier-lost');
    const tookMs = lost.wallMs - cut.date.getTime();
    assert.ok(tookMs < SLOW_MS / 2, `the failover waited: ${tookMs} ms`);
  },
);

proof(
  'our nft table stands after a slow start, and comes back when somebody flushes it',
  { topology: 'classic', config: quick('classic', { families: [4, 6] }), start: false },
  async (gateway) => {
    const endSlowness = gateway.slowNft(SLOW_MS);
    await gateway.start();
    endSlowness();
    const rules = async () => (await gateway.lab.exec('gateway', ['nft', 'list', 'ruleset'])).stdout;
    await eventually('the table is written', async () => /nd-redirect/.test(await rules()));
    await gateway.lab.exec('gateway', ['nft', 'flush', 'ruleset']);
    // nft tells nobody; whatever makes the daemon look at the kernel again shows it.
    await gateway.ip('route del default metric 0');
    await eventually('the table is back', async () => /nd-redirect/.test(await rules()));
  },
);
