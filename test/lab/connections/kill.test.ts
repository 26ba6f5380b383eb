/** kill -9 and restart under all traffic at once, by each uplink and in the middle of a drain: nobody notices. Needs root. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { HistoryEntry } from '../../../src/core/entry.js';
import type { Family } from '../../../src/core/model.js';
import { monotonicMs } from '../../../src/lab/clock.js';
import { quick } from '../proof/config-file.js';
import { type Gateway, proof } from '../proof/gateway.js';
import * as every from './everything.js';

const DRAIN_MS = 7000;
/** Dead for so long. */
const DEAD_MS = 500;
/** A packet not there after this is lost (call.ts): so much later all are known. */
const GRACE_MS = 1000;

async function killed(gateway: Gateway): Promise<void> {
  await gateway.end('SIGKILL');
  await every.passed(monotonicMs() + DEAD_MS);
  await gateway.start();
  await gateway.judged();
}

/** Nobody has lost anything since then, connections that stand are those of this number. */
async function nobodyNoticed(all: every.Everything, sinceMs: number, number: number): Promise<number> {
  return Math.max(
    await every.unharmedCall('the call', all.call, sinceMs),
    await every.unharmedStream('the download', all.download, sinceMs, number),
    await every.unharmedStream('the upload', all.upload, sinceMs, number),
    await every.unconcerned(all, sinceMs),
  );
}

async function story(gateway: Gateway, t: TestContext, family: Family): Promise<void> {
  const { lab } = gateway;
  await gateway.judged();
  const all = await every.startEverything(lab, family);
  const { call, download, upload, tunnel } = all;

  const calmMs = monotonicMs();
  await killed(gateway);
  await every.passed(monotonicMs() + GRACE_MS);
  t.diagnostic(`killed and started again: the longest silence was ${(await nobodyNoticed(all, calmMs, 0)).toFixed(0)} ms`);

  await lab.cut('fast', 'silent');
  await every.standing('a new download', download, 'backup');
  await every.standing('a new upload', upload, 'backup');
  await every.callGoesBy('the call', call, 'backup');
  const mended = await lab.mend('fast');
  const is = (entry: HistoryEntry) => entry.kind === 'switch' && entry.to === 'fast';
  const deadlineMs = every.momentOf(await gateway.event('failback', is, mended.date.getTime())) + DRAIN_MS;
  await every.callGoesBy('the tunnel', tunnel, 'fast');
  await killed(gateway);
  const until = (await gateway.path('backup', family)).draining?.untilWallMs ?? assert.fail('the drain goes on');
  const offMs = until - (Date.now() - monotonicMs()) - deadlineMs;
  assert.ok(Math.abs(offMs) < 250, `the deadline has moved by ${offMs} ms`);
  await every.passed(deadlineMs - 300);
  const longestMs = await nobodyNoticed(all, mended.monotonicMs, 1);

  const down = await every.knownDeadAfter('the download', download, 1, deadlineMs);
  const up = await every.knownDeadAfter('the upload', upload, 1, deadlineMs);
  const moved = (await every.callGoesBy('the call', call, 'fast')) - deadlineMs;
  for (const ms of [down, up, moved]) assert.ok(ms > -250 && ms < every.PROMISED_MS, `${ms} ms after the deadline`);
  assert.deepEqual(await every.leftOn(gateway, 'backup', family), []);
  await every.unconcerned(all, calmMs);
  t.diagnostic(
    [
      `killed and started again while connections drain: the longest silence was ${longestMs.toFixed(0)} ms; after the deadline`,
      `the download is known dead in ${down.toFixed(0)} ms, the upload in ${up.toFixed(0)} ms, the call moved in ${moved.toFixed(0)} ms`,
    ].join(' '),
  );
}

for (const [topology, family] of [
  ['two-nic', 4],
  ['three-uplinks', 6],
] as const) {
  const via = topology === 'three-uplinks' && { via: every.VIA_THIRD };
  const top = { masquerade: true, connections: { drain: `${DRAIN_MS}ms` }, ...via };
  const config = quick(topology, { families: [family], top });
  proof(
    `kill -9 under all traffic, ${topology}, IPv${family}`,
    { topology, variant: { masquerade: false }, config, ahead: true },
    (gateway, t) => story(gateway, t, family),
  );
}
