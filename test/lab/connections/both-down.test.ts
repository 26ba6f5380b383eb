/** Both uplinks fall silent at once: with nowhere to go nothing is ended, and what is open goes on when one returns. Needs root. */
import assert from 'node:assert/strict';
import type { HistoryEntry } from '../../../src/core/entry.js';
import type { Stream } from '../../../src/lab/traffic/stream.js';
import { quick } from '../proof/config-file.js';
import { eventually, type Gateway, proof } from '../proof/gateway.js';
import * as every from './everything.js';

const OUTAGE_MS = 5000;

async function survived(what: string, stream: Stream, mendedMs: number): Promise<number> {
  const before = (await stream.report()).bytes;
  // The sender tries again only when its retransmission timer says so, which has doubled in the outage.
  await eventually(`${what} goes on`, async () => (await stream.report()).bytes > before + 10_000);
  const { connections, misplaced, gaps } = await stream.report(mendedMs);
  const [one] = connections;
  assert.deepEqual([connections.length, one?.closed, one?.closedAtServer, misplaced], [1, null, null, 0], what);
  return (gaps[0]?.toMs ?? mendedMs) - mendedMs;
}

async function story(gateway: Gateway, all: every.Everything): Promise<number[]> {
  const { lab } = gateway;
  const { family } = all;
  const beforeWallMs = Date.now();
  const [cut] = await Promise.all([lab.cut('fast', 'silent'), lab.cut('backup', 'silent')]);
  const since = async (kind: HistoryEntry['kind']) =>
    (await gateway.events(beforeWallMs)).filter((entry) => entry.kind === kind && entry.family === family);
  await eventually('both are down', async () => (await since('health')).filter(({ to }) => to === 'down').length === 2);
  await every.passed(cut.monotonicMs + OUTAGE_MS);
  assert.deepEqual(await since('flows'), [], 'nothing is ended with nowhere to go');
  const mended = await lab.mend('fast');
  const { monotonicMs: mendedMs } = mended;
  const after = [await survived('the download', all.download, mendedMs), await survived('the upload', all.upload, mendedMs)];
  await eventually('the call goes on', async () => (await all.call.report(mendedMs)).back.received > 20);
  const { sources } = await all.call.report();
  assert.deepEqual(
    sources.map((one) => one.uplink),
    ['fast'],
    'the call has not moved',
  );
  const switches = (await since('switch')).filter(({ to }) => to !== null);
  assert.deepEqual(switches, [], 'nobody has moved');
  // There is somewhere to go again: who came in by the other one, which is still lost, need not wait.
  const up = await gateway.event('fast is back', (one) => one.kind === 'health' && one.to === 'up', mended.date.getTime() - 1);
  const closed = await eventually(
    "the visitor's server is told",
    async () => (await all.visitor.report()).connections[0]?.closedAtServer ?? null,
  );
  assert.equal(closed.how, 'ECONNRESET');
  const toldMs = closed.atMs - every.momentOf(up);
  assert.ok(toldMs > 0 && toldMs < every.PROMISED_MS, `${toldMs} ms`);
  const ended = (await since('flows')).map(({ uplink }) => uplink);
  assert.deepEqual([...new Set(ended)], ['backup'], 'what goes by the uplink that came back was never ended');
  return [...after, toldMs];
}

for (const family of [4, 6] as const) {
  const config = quick('two-nic', { families: [family], top: { masquerade: true } });
  const setting = { topology: 'two-nic', variant: { masquerade: false }, config, ahead: true } as const;
  proof(`both uplinks are silent for 5 s, IPv${family}: nothing is ended`, setting, async (gateway, t) => {
    await gateway.judged();
    const figures = await story(gateway, await every.startEverything(gateway.lab, family));
    const [download, upload, told] = figures.map((ms) => `${ms.toFixed(0)} ms`);
    t.diagnostic(
      `mended, the download goes on after ${download}, the upload after ${upload}; a server visited by the other is told after ${told}`,
    );
  });
}
