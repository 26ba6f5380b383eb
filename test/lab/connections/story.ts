/**
 * One evening: the preferred uplink is lost under all traffic at once and comes back, `failback: drain`. Asserts what is promised of
 * everybody, and prints the figures.
 */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { HistoryEntry } from '../../../src/core/entry.js';
import type { Family } from '../../../src/core/model.js';
import { monotonicMs } from '../../../src/lab/clock.js';
import { type Connections, startConnections } from '../../../src/lab/traffic/connections.js';
import { quick } from '../proof/config-file.js';
import { eventually, type Gateway, proof } from '../proof/gateway.js';
import * as every from './everything.js';

const DRAIN_MS = 2500;
/** The switch is told just before it is made, in whole milliseconds. */
const AT_ONCE_MS = 50;
/** Through failover and failback. */
const SHORT = { count: 2000, perS: 300 } as const;
/** A packet not there after this is lost (call.ts): so much later all are known. */
const GRACE_MS = 1000;

interface Story {
  readonly topology: 'two-nic' | 'three-uplinks';
  readonly family: Family;
  readonly cut: 'silent' | 'carrier';
  /** who hides the LAN: the product, or the gateway's own rules */
  readonly masquerade: 'ours' | 'theirs';
}

export function evening(story: Story): void {
  const { topology, family, cut, masquerade } = story;
  const text = `${cut}, ${topology}, IPv${family}${masquerade === 'ours' ? '' : ", the gateway's own masquerade"}`;
  const top = {
    connections: { drain: `${DRAIN_MS}ms` },
    ...(masquerade === 'ours' && { masquerade: true }),
    ...(topology === 'three-uplinks' && { via: every.VIA_THIRD }),
  };
  const config = quick(topology, { families: [family], top });
  proof(text, { topology, variant: { masquerade: masquerade === 'theirs' }, config, ahead: true }, async (gateway, t) => {
    await gateway.judged();
    const all = await every.startEverything(gateway.lab, family);
    const beganMs = monotonicMs();
    const shorts = await startConnections(gateway.lab, { family, ...SHORT });
    await eventually('short connections are under way', async () => (await shorts.report()).ok > 50);
    await lost(gateway, t, { all, shorts, cut });
    await back(gateway, t, { all, shorts });
    const { ok, errors, begun } = await shorts.finished();
    t.diagnostic(`${ok} of ${begun} short connections are ok, ${JSON.stringify(errors)}`);
    t.diagnostic(`nobody else waited for more than ${(await every.unconcerned(all, beganMs)).toFixed(0)} ms`);
  });
}

async function lost(
  gateway: Gateway,
  t: TestContext,
  { all, shorts, cut: kind }: { all: every.Everything; shorts: Connections; cut: Story['cut'] },
): Promise<void> {
  const { call, tunnel, download, upload } = all;
  const beforeWallMs = Date.now();
  const cut = await gateway.lab.cut('fast', kind);
  const event = (what: HistoryEntry['kind'], to: string) =>
    gateway.event(`${what} ${to}`, (entry) => entry.kind === what && entry.to === to, beforeWallMs);
  const detectedMs = every.momentOf(await event('health', 'down'));
  const switchedMs = every.momentOf(await event('switch', 'backup'));
  const resumed = await every.resumedAfter('the call', call, cut.askedAtMs, detectedMs);
  const down = await every.knownDeadAfter('the download', download, 0, detectedMs);
  const up = await every.knownDeadAfter('the upload', upload, 0, detectedMs);
  t.diagnostic(
    [
      `detected ${(detectedMs - cut.askedAtMs).toFixed(0)} ms after the cut; after the detection`,
      `switched in ${(switchedMs - detectedMs).toFixed(0)} ms, call resumed in ${resumed.toFixed(0)} ms,`,
      `download known dead in ${down.toFixed(0)} ms, upload in ${up.toFixed(0)} ms`,
    ].join(' '),
  );
  for (const ms of [resumed, down, up]) assert.ok(ms < every.PROMISED_MS, `${ms} ms after the detection`);
  await every.callGoesBy('the call', call, 'backup');
  await every.callGoesBy('the tunnel', tunnel, 'backup');
  await every.standing('a new download', download, 'backup');
  await every.standing('a new upload', upload, 'backup');
  await eventually('short connections go by the backup', async () => (await shorts.report(switchedMs)).ok > 50);
  t.diagnostic(await newOnesGoBy(shorts, 'backup', switchedMs));
}

async function back(
  gateway: Gateway,
  t: TestContext,
  { all, shorts }: { all: every.Everything; shorts: Connections },
): Promise<void> {
  const { family, call, tunnel, download, upload } = all;
  const mended = await gateway.lab.mend('fast');
  const sinceMs = mended.monotonicMs;
  const is = (entry: HistoryEntry) => entry.kind === 'switch' && entry.to === 'fast';
  const switchedMs = every.momentOf(await gateway.event('failback', is, mended.date.getTime()));
  const deadlineMs = switchedMs + DRAIN_MS;

  const tunnelMs = (await every.callGoesBy('the tunnel', tunnel, 'fast')) - switchedMs;
  assert.ok(tunnelMs < every.KEEPALIVE_MS + 300, `the tunnel moved after ${tunnelMs} ms`);
  await every.passed(switchedMs + GRACE_MS + 500);
  const silences = [
    await every.unharmedCall('the call', call, sinceMs),
    await every.unharmedStream('the download', download, sinceMs, 1),
    await every.unharmedStream('the upload', upload, sinceMs, 1),
  ];
  assert.ok(monotonicMs() < deadlineMs, 'looked at before the deadline');
  t.diagnostic(await newOnesGoBy(shorts, 'fast', switchedMs));

  const down = await every.knownDeadAfter('the download', download, 1, deadlineMs);
  const up = await every.knownDeadAfter('the upload', upload, 1, deadlineMs);
  const callMs = (await every.callGoesBy('the call', call, 'fast')) - deadlineMs;
  for (const ms of [down, up, callMs]) assert.ok(ms > -50 && ms < every.PROMISED_MS, `${ms} ms after the deadline`);
  await every.standing('a third download', download, 'fast');
  await every.standing('a third upload', upload, 'fast');
  const left = await every.leftOn(gateway, 'backup', family);
  assert.deepEqual(left, [], 'nothing is left on the backup');
  const { out, back } = await call.report(sinceMs);
  t.diagnostic(
    [
      `failback: the tunnel moved in ${tunnelMs.toFixed(0)} ms; draining, call, download and upload lost nothing and waited`,
      `${silences.map((ms) => ms.toFixed(0)).join(', ')} ms at most; after the deadline the download is known dead in ${down.toFixed(0)} ms,`,
      `the upload in ${up.toFixed(0)} ms, the call moved in ${callMs.toFixed(0)} ms and lost ${out.lost} and ${back.lost} of it`,
    ].join(' '),
  );
}

/** All connections begun since the switch succeed, and the primary of now takes them at once. */
async function newOnesGoBy(shorts: Connections, uplink: string, switchedMs: number): Promise<string> {
  const { connections, errors, ok, longestMs } = await shorts.report(switchedMs);
  assert.deepEqual(errors, {}, `short connections begun since the switch to ${uplink}`);
  const { byUplink: settled } = await shorts.report(switchedMs + AT_ONCE_MS);
  const elsewhere = Object.entries(settled).filter(([name, count]) => name !== uplink && count > 0);
  assert.deepEqual(elsewhere, [], `new connections take ${uplink} at once`);
  assert.ok(connections.length > 50);
  return `${ok} short connections begun since the switch to ${uplink}, none failed, the longest took ${longestMs?.toFixed(0)} ms`;
}
