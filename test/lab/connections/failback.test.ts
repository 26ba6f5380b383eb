/** The other two ways back, `move` and `stay`: who moves when. Needs root. */
import assert from 'node:assert/strict';
import type { HistoryEntry } from '../../../src/core/entry.js';
import type { Family } from '../../../src/core/model.js';
import { startConnections } from '../../../src/lab/traffic/connections.js';
import { quick } from '../proof/config-file.js';
import { type Gateway, proof, type Setting } from '../proof/gateway.js';
import * as every from './everything.js';

const GRACE_MS = 1000;

function setting(failback: 'move' | 'stay', family: Family): Setting {
  const top = { masquerade: true, connections: { failback } };
  return {
    topology: 'two-nic',
    variant: { masquerade: false },
    config: quick('two-nic', { families: [family], top }),
    ahead: true,
  };
}

/** Everything begun by the backup, which was forced; then it is free again. @returns when the traffic went back */
async function goBack(gateway: Gateway, family: Family): Promise<{ all: every.Everything; switchedMs: number }> {
  await gateway.judged();
  await gateway.order('force', 'backup');
  await gateway.goesBy('backup', family);
  const all = await every.startEverything(gateway.lab, family);
  const beforeWallMs = Date.now();
  await gateway.order('auto');
  const is = (entry: HistoryEntry) => entry.kind === 'switch' && entry.to === 'fast';
  return { all, switchedMs: every.momentOf(await gateway.event('failback', is, beforeWallMs)) };
}

async function newOnes(gateway: Gateway, family: Family): Promise<void> {
  const short = await startConnections(gateway.lab, { family, count: 50, perS: 200 });
  const { ok, byUplink } = await short.finished();
  assert.deepEqual([ok, byUplink.fast], [50, 50], 'new connections take the primary');
}

proof('failback: move, IPv6: what is open is told and begins anew by the primary', setting('move', 6), async (gateway, t) => {
  const { all, switchedMs } = await goBack(gateway, 6);
  const { call, download, tunnel, upload } = all;
  const figures = [
    await every.knownDeadAfter('the download', download, 0, switchedMs),
    await every.knownDeadAfter('the upload', upload, 0, switchedMs),
    (await every.callGoesBy('the call', call, 'fast')) - switchedMs,
    (await every.callGoesBy('the tunnel', tunnel, 'fast')) - switchedMs,
  ];
  for (const ms of figures) assert.ok(ms < every.PROMISED_MS, `${ms} ms after the switch`);
  await every.standing('a new download', download, 'fast');
  await every.standing('a new upload', upload, 'fast');
  assert.deepEqual(await every.leftOn(gateway, 'backup', 6), []);
  await newOnes(gateway, 6);
  await every.unconcerned(all, switchedMs - GRACE_MS);
  t.diagnostic(`after the switch download, upload, call, tunnel: ${figures.map((ms) => ms.toFixed(0)).join(', ')} ms`);
});

proof('failback: stay, IPv4: what is open stays, tunnels too, and nothing is lost', setting('stay', 4), async (gateway) => {
  const { all, switchedMs } = await goBack(gateway, 4);
  await newOnes(gateway, 4);
  await every.passed(switchedMs + 2 * GRACE_MS);
  const sinceMs = switchedMs - GRACE_MS;
  await every.unharmedCall('the call', all.call, sinceMs);
  await every.unharmedCall('the tunnel', all.tunnel, sinceMs);
  await every.unharmedStream('the download', all.download, sinceMs);
  await every.unharmedStream('the upload', all.upload, sinceMs);
  await every.unconcerned(all, sinceMs);
  assert.equal((await gateway.path('backup')).draining?.untilWallMs, null, 'there is no deadline');
});
