/** Somebody empties nftables, as a firewall does that starts anew: our table is back before anybody notices. Needs root. */
import assert from 'node:assert/strict';
import { startCall } from '../../../src/lab/traffic/call.js';
import { startConnections } from '../../../src/lab/traffic/connections.js';
import { quick } from './config-file.js';
import { eventually, proof } from './gateway.js';

const config = quick('two-nic', { top: { masquerade: true } });

proof(
  'nft flush ruleset: translation and marks are back at once, and told once',
  { topology: 'two-nic', variant: { masquerade: false }, config, ahead: true },
  async (gateway, t) => {
    const { lab } = gateway;
    await gateway.judged();
    const tables = async () => (await lab.exec('gateway', ['nft', 'list', 'tables'])).stdout;
    await eventually('our table stands', async () => (await tables()).includes('inet backroute'));
    const call = await startCall(lab);
    for (const round of [1, 2]) {
      const since = Date.now();
      await lab.exec('gateway', ['nft', 'flush', 'ruleset']);
      const told = await gateway.event('it is told', (one) => one.kind === 'drift', since);
      assert.match(told.text, /removed our nftables table: put back/);
      await eventually('it is back', async () => (await tables()).includes('inet backroute'));
      const { ok, byUplink } = await (await startConnections(lab, { count: 20, perS: 200 })).finished();
      assert.deepEqual([ok, byUplink.fast], [20, 20]);
      assert.equal((await gateway.events(since)).filter((one) => one.kind === 'drift').length, 1, `round ${round}`);
    }
    const { out, back, sources } = await call.stop();
    t.diagnostic(
      `the call lost ${out.lost} and ${back.lost} packets in two rounds, ${Math.max(out.longestGapMs, back.longestGapMs)} ms at most`,
    );
    assert.equal(sources.at(-1)?.uplink, 'fast', 'in between it was not translated');
    assert.ok(Math.max(out.longestGapMs, back.longestGapMs) < 500, 'in a moment');
  },
);
