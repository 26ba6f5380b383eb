/** An uplink that costs money: asked rarely, counted, told, and closed when its month is used up. Needs root. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HistoryEntry } from '../../../src/core/entry.js';
import type { SavedState, UsageView } from '../../../src/core/messages.js';
import { STATE_FILE } from '../../../src/history/state-store.js';
import { monotonicMs } from '../../../src/lab/clock.js';
import { startCall } from '../../../src/lab/traffic/call.js';
import { startConnections } from '../../../src/lab/traffic/connections.js';
import { startStream } from '../../../src/lab/traffic/stream.js';
import { eventually, flowing, type Gateway, lasting, proof } from '../proof/gateway.js';
import { monotonicOf, sharedBy, three } from './stage.js';

const MB = 1e6;
const CAP_BYTES = 5 * MB;
const INTERVAL_MS = 200;
const PAYLOAD_BYTES = 1_200;
/** Payload, UDP, IPv4, Ethernet: what the interface counts of one packet. */
const PACKET_BYTES = PAYLOAD_BYTES + 8 + 20 + 14;

async function usage(gateway: Gateway, uplink: string): Promise<UsageView> {
  const found = (await gateway.status()).uplinks.find((one) => one.name === uplink)?.usage;
  assert.ok(found !== undefined && found !== null, `${uplink} is metered`);
  return found;
}

let nudges = 0;

/** Has the daemon read the kernel, which it does every half a minute by itself: any change of a link makes it look. */
async function counted(gateway: Gateway, uplink: string): Promise<number> {
  const before = (await usage(gateway, uplink)).bytes;
  nudges += 1;
  await gateway.ip(`link set dev lan0 alias look${nudges}`);
  // Its own probes alone make a difference.
  return eventually('the counters are read', async () => {
    const { bytes } = await usage(gateway, uplink);
    return bytes !== before && bytes;
  });
}

/** Sends so many bytes, both directions together. @returns how many it were on the wire, by the packets that really went */
async function send(gateway: Gateway, bytes: number): Promise<number> {
  const call = await startCall(gateway.lab, { payloadBytes: PAYLOAD_BYTES, intervalMs: 2 });
  await eventually('enough is sent', async () => {
    const { out, back } = await call.report();
    return (out.sent + back.received) * PACKET_BYTES >= bytes;
  });
  const { out, back } = await call.stop();
  assert.deepEqual([out.lost, back.lost], [0, 0]);
  return (out.sent + back.received) * PACKET_BYTES;
}

const told = (uplink: string, percent: number) => (one: HistoryEntry) =>
  one.kind === 'usage' && one.uplink === uplink && one.data.percent === percent;

/** Probes that have left by each interface so far. */
async function probes(gateway: Gateway): Promise<Record<'wan1' | 'wan3', number>> {
  const { stdout } = await gateway.lab.exec('gateway', ['nft', 'list', 'table', 'ip', 'wire']);
  const of = (wan: string) => Number(new RegExp(`"${wan}".* packets (\\d+)`).exec(stdout)?.[1]);
  return { wan1: of('wan1'), wan3: of('wan3') };
}

const COUNTERS = `table ip wire {
  chain out {
    type filter hook postrouting priority 300;
    oifname "wan1" icmp type echo-request counter
    oifname "wan3" icmp type echo-request counter
  }
}
`;

const metered = three({
  uplinks: {
    fast: { metered: { 'probe-budget': '2MB', cap: '5MB', 'at-cap': 'disable' } },
    backup: { metered: { cap: '1MB', 'at-cap': 'warn' } },
  },
});

proof('a cap that is reached by real traffic, over a kill -9; probes within their budget', metered, async (gateway, t) => {
  const { lab } = gateway;
  await lab.exec('gateway', ['nft', '-f', '-'], { input: COUNTERS });
  await gateway.judged();
  await sharedBy(gateway, { fast: 1 });

  // The budget: how often it is asked is shown, and true on the wire.
  const { intervalMs, probeBudgetBytes } = await eventually('it is asked less often', async () => {
    const shown = await usage(gateway, 'fast');
    return shown.intervalMs > INTERVAL_MS && shown;
  });
  assert.equal(probeBudgetBytes, 2 * MB);
  const meter = await lab.meter({ intervalMs: 20 });
  await flowing(meter, 5);
  const [first, fromMs] = [await probes(gateway), monotonicMs()];
  await lasting(meter, 4_000);
  const [last, spanMs] = [await probes(gateway), monotonicMs() - fromMs];
  await meter.stop();
  const [rare, usual] = [last.wan1 - first.wan1, last.wan3 - first.wan3];
  t.diagnostic(
    `asked every ${intervalMs} ms: ${rare} probes in ${(spanMs / 1000).toFixed(1)} s, where it costs nothing ${usual}`,
  );
  // Its target each interval, the gateway every ten seconds at most.
  assert.ok(rare <= Math.ceil(spanMs / intervalMs) + Math.ceil(spanMs / 10_000), `${rare} probes`);
  assert.ok(usual >= (0.8 * spanMs) / INTERVAL_MS, `${usual} probes where nothing is metered`);

  // What is counted is what was sent.
  const before = await counted(gateway, 'fast');
  const sent = await send(gateway, 2 * MB);
  const found = (await counted(gateway, 'fast')) - before;
  t.diagnostic(`${sent} bytes sent and received, ${found} counted: ${((100 * found) / sent - 100).toFixed(2)} % more`);
  assert.ok(Math.abs(found - sent) < 0.02 * sent, `${found} counted, ${sent} sent`);

  const download = await startStream(lab, { bytesPerS: 10_000 });
  const upTo = async (share: number): Promise<void> => {
    await send(gateway, share * CAP_BYTES - (await counted(gateway, 'fast')));
    await counted(gateway, 'fast');
  };
  await upTo(0.8);
  const warned = await gateway.event('75 % are told', told('fast', 75));
  assert.match(warned.text, /of 5 MB used \(\d+ %\)/);
  assert.equal((await usage(gateway, 'fast')).closed, false);

  // Killed, what was counted is not lost, nor is what is on disk told again. The disk takes its time.
  const onDisk = () => JSON.parse(readFileSync(join(gateway.stateDir, STATE_FILE), 'utf8')) as Partial<SavedState>;
  await eventually('it is saved', () => onDisk().usage?.fast?.toldPercent === 75);
  const known = await counted(gateway, 'fast');
  await gateway.end('SIGKILL');
  const unseen = await send(gateway, 0.5 * MB);
  await gateway.start();
  await gateway.judged();
  const after = await eventually('the counters are read again', async () => {
    const { bytes } = await usage(gateway, 'fast');
    return bytes !== null && bytes >= known + unseen && bytes;
  });
  // The download goes on beside it. Counted twice, it would be far more.
  assert.ok(after - known < 1.5 * unseen + 0.2 * MB, `${after} after ${known} and ${unseen} unseen`);
  await upTo(0.97);
  await gateway.event('95 % are told', told('fast', 95));
  assert.equal((await gateway.events()).filter(told('fast', 75)).length, 1);
  await sharedBy(gateway, { fast: 1 });
  assert.equal((await download.report()).connections[0]?.closed, null);

  await upTo(1.02);
  const closing = await gateway.event('100 % are told', told('fast', 100));
  assert.deepEqual([closing.severity, closing.data.closed], ['error', true]);
  await sharedBy(gateway, { backup: 1 });
  const closed = await eventually('its connections end', async () => (await download.report()).connections[0]?.closed ?? null);
  const tookMs = closed.atMs - monotonicOf(closing);
  t.diagnostic(`at 100 %: the download ends (${closed.how}) ${tookMs.toFixed(0)} ms later; ${closing.text}`);
  assert.ok(tookMs < 5_000);
  assert.equal((await usage(gateway, 'fast')).closed, true);
  assert.match(await gateway.order('status'), /closed|cap/);
  assert.deepEqual(await gateway.switches(closing.wallMs - 5), ['fast -> backup (cap-reached)']);
  const anew = await (await startConnections(lab, { count: 40, perS: 200 })).finished();
  assert.deepEqual([anew.errors, anew.byUplink.backup], [{}, 40]);
  await download.stop();

  // `warn` tells, and that is all.
  await send(gateway, 1.1 * MB);
  await counted(gateway, 'backup');
  const full = await gateway.event('the other cap is told', told('backup', 100));
  assert.deepEqual([full.severity, full.data.closed], ['warning', false]);
  await sharedBy(gateway, { backup: 1 });
  assert.equal((await usage(gateway, 'backup')).closed, false);
  const still = await (await startConnections(lab, { count: 40, perS: 200 })).finished();
  assert.deepEqual([still.errors, still.byUplink.backup], [{}, 40]);
});
