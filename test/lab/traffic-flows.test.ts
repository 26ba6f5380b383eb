/** The generators of traffic measure the truth: what they tell of a known cut, move or reset is what was done. Needs root. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { monotonicMs } from '../../src/lab/clock.js';
import { type InForce, Lab } from '../../src/lab/lab.js';
import { processesIn } from '../../src/lab/processes.js';
import { missingRequirement } from '../../src/lab/requirements.js';
import { run } from '../../src/lab/run.js';
import { namespacePath } from '../../src/lab/state.js';
import { type Call, startCall, startKeepalive } from '../../src/lab/traffic/call.js';
import { startConnections } from '../../src/lab/traffic/connections.js';
import { forwardPort } from '../../src/lab/traffic/forward.js';
import { startStream } from '../../src/lab/traffic/stream.js';
import { until } from '../../src/lab/until.js';

const skip = missingRequirement()?.message ?? false;
const stateDir = mkdtempSync(join(tmpdir(), 'lab-traffic-'));
const CUT_MS = 500;
let lab: Lab;

before(async () => {
  if (!skip) lab = await Lab.create('two-nic', { stateDir });
});
after(async () => {
  if (!skip) {
    const hosts = processesIn(['client', 'internet'].map((node) => namespacePath(lab.ns(node))));
    await lab.destroy();
    assert.equal(hosts.length, 0, 'the hosts end with their last agent');
  }
  rmSync(stateDir, { recursive: true, force: true });
});
afterEach(async () => {
  if (skip) return;
  await lab.mend('fast');
  await defaultBy('fast');
});

async function ip(words: string): Promise<void> {
  await run(['ip', '-n', lab.ns('gateway'), ...words.split(' ')]);
}

async function defaultBy(uplink: 'fast' | 'backup'): Promise<void> {
  const { gateway4, gateway6, gatewayInterface } = lab.uplink(uplink);
  await ip(`route replace default via ${gateway4} dev ${gatewayInterface}`);
  await ip(`-6 route replace default via ${gateway6} dev ${gatewayInterface}`);
}

async function passed(sinceMs: number, ms: number): Promise<void> {
  assert.ok(await until(() => monotonicMs() >= sinceMs + ms, ms + 5000));
}

/** Cuts fast for half a second, lets traffic flow on for as long. Resolves with the truth. */
async function cutAndMend(): Promise<{ cut: InForce; mended: InForce; lastedMs: number; dropped: number }> {
  const dropped = async () => {
    const { out, in: back } = await lab.linkReport('fast');
    return out.counters.lostInOutage + back.counters.lostInOutage;
  };
  const before = await dropped();
  const cut = await lab.cut('fast');
  await passed(cut.monotonicMs, CUT_MS);
  const mended = await lab.mend('fast');
  await passed(mended.monotonicMs, CUT_MS);
  return { cut, mended, lastedMs: mended.monotonicMs - cut.monotonicMs, dropped: (await dropped()) - before };
}

for (const family of [4, 6] as const) {
  test(`a call counts a cut of half a second, each direction by itself (IPv${family})`, { skip }, async () => {
    const call = await startCall(lab, { family });
    await passed(monotonicMs(), 300);
    const calm = await call.report();
    assert.deepEqual([calm.out.lost, calm.back.lost, calm.out.gaps.length], [0, 0, 0]);
    assert.equal(calm.out.resumedMs, null);
    const { cut, mended, lastedMs, dropped } = await cutAndMend();
    const { out, back, sources, strays } = await call.stop();
    // The kernels' own packets (multicast listener reports, RFC 3810) pass the link now and then.
    const missing = out.lost + back.lost;
    assert.ok(missing <= dropped && missing >= dropped - 2, `${missing} are missing, the link has dropped ${dropped}`);
    for (const direction of [out, back]) {
      const { lost, longestGapMs, gaps, resumedMs, medianDelayMs } = direction;
      // What is on its way at the cut is lost too; the gap begins up to an interval before it and ends up to one after.
      assert.ok(Math.abs(lost - (lastedMs + 10) / 20) <= 2, `${lost} lost in ${lastedMs} ms`);
      assert.ok(Math.abs(longestGapMs - lastedMs - 30) <= 25, `a gap of ${longestGapMs} ms for ${lastedMs} ms`);
      assert.equal(gaps.length, 1);
      assert.ok(resumedMs !== null && resumedMs >= mended.monotonicMs && resumedMs < mended.monotonicMs + 60, `${resumedMs}`);
      assert.ok(Math.abs((medianDelayMs ?? 0) - 10) < 2, `${medianDelayMs} ms one way`);
    }
    assert.ok((out.gaps[0]?.fromMs ?? 0) <= cut.monotonicMs + 12);
    assert.deepEqual([sources.map((one) => one.uplink), strays], [['fast'], {}]);
  });
}

test('a call that is moved to another uplink is answered there', { skip }, async () => {
  const call = await startCall(lab);
  const movedMs = monotonicMs();
  await defaultBy('backup');
  assert.ok(await until(async () => (await call.report()).sources.length > 1, 5000), 'the media server learns the new address');
  await passed(monotonicMs(), 200);
  const { sources, out, back } = await call.stop();
  assert.deepEqual(
    sources.map((one) => one.uplink),
    ['fast', 'backup'],
  );
  assert.ok((sources[1]?.atMs ?? 0) > movedMs && (sources[1]?.atMs ?? 0) < movedMs + 200);
  // The kernel drops the packet with which it notices that the translation's interface has changed (docs/ground.md); until the
  // next one has arrived the media server answers to the old place.
  assert.ok(out.lost <= 1 && back.lost <= 4, `${out.lost} and ${back.lost} lost`);
});

test('a keepalive has its fixed ports, and counts the ones that were lost', { skip }, async () => {
  const tunnel = await startKeepalive(lab, { intervalMs: 100 });
  const { lastedMs } = await cutAndMend();
  const { out, back, sources } = await tunnel.stop();
  assert.deepEqual(
    sources.map(({ port, uplink }) => [port, uplink]),
    [[51_820, 'fast']],
  );
  for (const { lost } of [out, back]) assert.ok(Math.abs(lost - (lastedMs + 10) / 100) <= 1.1, `${lost} lost in ${lastedMs} ms`);
});

for (const [direction, family, bytesPerS] of [
  ['download', 4, 2_000_000],
  ['upload', 4, 100_000],
  ['download', 6, 100_000],
] as const) {
  test(`a ${direction} of ${bytesPerS / 1000} KB/s tells its silences and misses no byte (IPv${family})`, { skip }, async () => {
    const stream = await startStream(lab, { direction, family, bytesPerS });
    const before = await stream.report();
    const sinceMs = monotonicMs();
    await passed(sinceMs, 500);
    const calm = await stream.report();
    const rate = ((calm.bytes - before.bytes) * 1000) / (monotonicMs() - sinceMs);
    assert.ok(Math.abs(rate / bytesPerS - 1) < 0.15, `${rate} bytes/s`);
    assert.equal(calm.retransmissions, 0);
    const { cut, mended, lastedMs } = await cutAndMend();
    assert.ok(await until(async () => (await stream.report()).gaps.some((gap) => gap.toMs < monotonicMs() - 100), 5000));
    const { connections, gaps, misplaced, retransmissions, bytes } = await stream.stop(cut.askedAtMs);
    const [gap] = gaps;
    assert.ok(gap !== undefined && gap.fromMs <= cut.monotonicMs + 15 && gap.toMs >= mended.monotonicMs, JSON.stringify(gaps));
    // The sender knows of the mending only when its retransmission timer says so.
    assert.ok(gap.toMs - gap.fromMs >= lastedMs && gap.toMs < mended.monotonicMs + 1500, JSON.stringify(gaps));
    assert.ok(retransmissions > 0 && misplaced === 0);
    const [only] = connections;
    assert.ok(only !== undefined && connections.length === 1);
    assert.deepEqual([only.uplink, only.closed, only.closedAtServer, only.bytes], ['fast', null, null, bytes]);
  });
}

/** The gateway ends what matches, as TCP is ended. */
async function reject(match: string): Promise<() => Promise<void>> {
  const nft = (input: string) => run(['ip', 'netns', 'exec', lab.ns('gateway'), 'nft', '-f', '-'], { input });
  await nft(`table inet t { chain c { type filter hook forward priority 0; ${match} reject with tcp reset; }; }`);
  return async () => {
    await nft('delete table inet t');
  };
}

for (const direction of ['download', 'upload'] as const) {
  test(`a reset ${direction} is known at once, and a new connection goes on`, { skip }, async () => {
    const stream = await startStream(lab, { direction, reconnectMs: 50 });
    const before = monotonicMs();
    const allow = await reject('iifname lan0 meta l4proto tcp');
    assert.ok(await until(async () => (await stream.report()).failedConnects.length > 0, 5000));
    await allow();
    const second = async () => {
      const { connections } = await stream.report();
      return connections.length === 2 && (connections[1]?.bytes ?? 0) > 10_000;
    };
    assert.ok(await until(second, 5000));
    const { connections, failedConnects, gaps, misplaced } = await stream.stop();
    const [dead, alive] = connections;
    assert.equal(dead?.closed?.how, 'ECONNRESET');
    assert.ok((dead?.closed?.atMs ?? 0) - before < 300, 'the next acknowledgement meets it');
    assert.equal(failedConnects[0]?.how, 'ECONNREFUSED');
    assert.equal(alive?.closed, null);
    assert.equal(misplaced, 0);
    assert.equal(gaps.length, 1, 'from the last byte of one connection to the first of the next');
  });
}

test('who only receives does not learn of a silence by itself, who gives up after a while does', { skip }, async () => {
  const patient = await startStream(lab);
  const impatient = await startStream(lab, { idleTimeoutMs: 300 });
  const cut = await lab.cut('fast');
  await passed(cut.monotonicMs, 600);
  const [mine, theirs] = [await patient.stop(), await impatient.stop()];
  assert.equal(mine.connections[0]?.closed, null);
  const closed = theirs.connections[0]?.closed;
  assert.equal(closed?.how, 'idle-timeout');
  assert.ok(Math.abs((closed?.atMs ?? 0) - cut.monotonicMs - 300) < 60, `${(closed?.atMs ?? 0) - cut.monotonicMs} ms`);
});

test('short connections are counted by uplink, and those of a cut fail', { skip }, async () => {
  for (const [family, hops] of [
    [4, 'nexthop via 10.1.0.1 dev wan1 weight 3 nexthop via 10.2.0.1 dev wan2 weight 1'],
    [6, 'nexthop via fe80::1 dev wan1 weight 3 nexthop via fe80::1 dev wan2 weight 1'],
  ] as const) {
    const policy = `/proc/sys/net/ipv${family}/fib_multipath_hash_policy`;
    await lab.exec('gateway', ['sh', '-c', `echo 1 > ${policy}`]);
    await ip(`-${family} route replace default ${hops}`);
    const connections = await startConnections(lab, { family, count: 1000, perS: 1000 });
    const { ok, failed, byUplink, distinctPorts, connections: each } = await connections.finished();
    assert.deepEqual([ok, failed, distinctPorts], [1000, 0, 1000]);
    // The kernel's own choice repeats itself now and then: none of these is of its range.
    assert.ok(each.every(({ localPort }) => localPort >= 10_000 && localPort < 32_768));
    // 1,000 connections: one standard deviation are 1.4 points.
    assert.ok(Math.abs((byUplink.fast ?? 0) - 750) < 70, JSON.stringify(byUplink));
    assert.equal((byUplink.fast ?? 0) + (byUplink.backup ?? 0), 1000);
  }
  await defaultBy('fast');
  // Two addresses were left with a multipath route: what follows goes by one again.
  const connections = await startConnections(lab, { count: 200, perS: 200, timeoutMs: 350 });
  await passed(monotonicMs(), 250);
  const { cut, mended } = await cutAndMend();
  const report = await connections.finished();
  const during = report.connections.filter((one) => one.startedMs > cut.monotonicMs && one.startedMs < mended.monotonicMs - 350);
  assert.ok(during.length > 15 && during.every((one) => one.error === 'timeout'), JSON.stringify(during[0]));
  assert.deepEqual(report.errors, { timeout: report.failed });
  const well = report.connections.filter((one) => one.startedMs > mended.monotonicMs || one.startedMs < cut.askedAtMs - 150);
  assert.deepEqual(
    well.filter((one) => one.error !== null),
    [],
  );
});

for (const family of [4, 6] as const) {
  test(`a forwarded port is reached by the uplink that the gateway answers by (IPv${family})`, { skip }, async () => {
    const byFast = await forwardPort(lab, 'fast', { port: 8443, family });
    const byBackup = await forwardPort(lab, 'backup', { port: 8443, family });
    const calls: Call[] = [await startCall(lab, byFast)];
    const download = await startStream(lab, byFast);
    const short = await (await startConnections(lab, { ...byFast, listen: { ...byFast.listen, port: 8444 }, count: 5 })).stop();
    assert.equal(short.ok, 0, 'no port 8444 is forwarded');
    const seen = await download.stop();
    assert.ok(seen.bytes > 0);
    assert.equal(seen.connections[0]?.source?.address, family === 4 ? '198.51.100.10' : '2001:db8:ffff::10');
    await Promise.all(calls.map((call) => call.stop()));

    // By the other uplink the gateway's answers take the wrong way, and come to the caller from a stranger.
    const astray = await startCall(lab, byBackup);
    const { out, back, strays } = await astray.stop();
    assert.ok(out.received > 0 && back.received === 0, JSON.stringify({ out, back }));
    assert.deepEqual(
      Object.keys(strays).map((from) => from.split(' ')[0]),
      [family === 4 ? '212.254.0.2' : '2001:db8:1::2'],
    );
    await defaultBy('backup');
    const right = await startCall(lab, byBackup);
    assert.ok((await right.stop()).back.received > 0);
  });
}

test('traffic ends with the lab, whoever still holds it', { skip }, async () => {
  const other = await Lab.create('classic', { stateDir });
  const call = await startCall(other);
  const nodes = ['client', 'internet'].map((node) => namespacePath(other.ns(node)));
  assert.equal(processesIn(nodes).length, 2);
  const { ended } = await other.destroy();
  assert.equal(ended, 2);
  await assert.rejects(call.report(), /traffic host in \w+ (has|is gone)/);
});
