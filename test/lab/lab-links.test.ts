/** What the emulated links do to real packets. Needs root. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { monotonicMs } from '../../src/lab/clock.js';
import { Lab } from '../../src/lab/lab.js';
import type { Meter } from '../../src/lab/meter.js';
import { missingRequirement } from '../../src/lab/requirements.js';
import { run } from '../../src/lab/run.js';
import { until } from '../../src/lab/until.js';

const skip = missingRequirement()?.message ?? false;
const stateDir = mkdtempSync(join(tmpdir(), 'lab-links-'));
let lab: Lab;

before(async () => {
  if (!skip) lab = await Lab.create('classic', { stateDir, links: { backup: { delayMs: 25 } } });
});
after(async () => {
  if (!skip) await lab.destroy();
  rmSync(stateDir, { recursive: true, force: true });
});

// One test's failure shall not be the next one's.
afterEach(async () => {
  if (!skip) await lab.mend('fast');
});

/** Resolves once `count` packets sent since `sinceMs` are answered or lost for sure. */
async function settled(meter: Meter, count: number, sinceMs: number): Promise<void> {
  assert.ok(
    await until(
      async () => {
        const stats = await meter.stats(sinceMs);
        return stats.received + stats.lost >= count;
      },
      20_000,
      50,
    ),
  );
}

test('the round trip is the nominal one within 0.5 ms', { skip }, async () => {
  // A machine that is busy with other tests may bend one measurement: the best of three counts.
  const seen: number[] = [];
  for (let attempt = 0; attempt < 3; attempt++) {
    const meter = await lab.meter({ intervalMs: 5 });
    const sinceMs = monotonicMs();
    await settled(meter, 200, sinceMs);
    const { medianRttMs } = await meter.stop(sinceMs);
    seen.push(Math.abs((medianRttMs ?? 0) - 20));
    if (Math.min(...seen) <= 0.5) return;
  }
  assert.fail(`off by ${seen.map((ms) => ms.toFixed(2)).join(', ')} ms`);
});

test('each uplink has its own delay, changeable while packets flow', { skip }, async () => {
  const to = async (router: string) => lab.exec('gateway', ['ip', 'route', 'replace', 'default', 'via', router, 'dev', 'lan0']);
  // Or the client learns from a redirect to go past the gateway.
  await lab.exec('client', ['sh', '-c', 'echo 0 > /proc/sys/net/ipv4/conf/all/accept_redirects; ip route flush cache']);
  await lab.exec('client', ['sh', '-c', 'echo 0 > /proc/sys/net/ipv4/conf/lan0/accept_redirects; ip route flush cache']);
  const meter = await lab.meter();
  try {
    await to(lab.uplink('backup').gateway4);
    let sinceMs = monotonicMs();
    await settled(meter, 50, sinceMs);
    // A busy machine adds a few milliseconds; the delays told apart here differ by fifteen.
    const near = async (rttMs: number): Promise<void> => {
      const { medianRttMs } = await meter.stats(sinceMs);
      assert.ok(Math.abs((medianRttMs ?? 0) - rttMs) < 6, `median ${medianRttMs} ms, not ${rttMs}`);
    };
    await near(50);
    sinceMs = (await lab.setLink('backup', { delayMs: 5, out: { delayMs: 30 } })).monotonicMs;
    await settled(meter, 50, sinceMs);
    await near(35);
    await assert.rejects(lab.setLink('backup', { loss: 30 }), /loss is a share between 0 and 1/);
  } finally {
    await to(lab.uplink('fast').gateway4);
    await meter.stop();
  }
});

test('the wanted share is lost, as a failure, and none after mending', { skip }, async () => {
  const meter = await lab.meter({ intervalMs: 1, graceMs: 300 });
  const cut = await lab.cut('fast', { kind: 'loss', share: 0.1 });
  await settled(meter, 3000, cut.monotonicMs);
  const during = await meter.stats(cut.monotonicMs);
  // One packet passes two directions; 3,000 packets: 5 sigma are 3.6 points.
  const share = during.lost / (during.lost + during.received);
  assert.ok(Math.abs(share - 0.19) < 0.036, `lost ${share}`);
  const mended = await lab.mend('fast');
  const sinceMs = mended.monotonicMs + 20;
  await settled(meter, 200, sinceMs);
  assert.equal((await meter.stop(sinceMs)).lost, 0);
});

test('the meter counts a known cut exactly', { skip }, async () => {
  const meter = await lab.meter({ intervalMs: 5 });
  const lostInOutage = async () => {
    const { out, in: back } = await lab.linkReport('fast');
    return out.counters.lostInOutage + back.counters.lostInOutage;
  };
  const lostBefore = await lostInOutage();
  const cut = await lab.cut('fast');
  assert.ok(cut.askedAtMs <= cut.monotonicMs && Math.abs(cut.date.getTime() - Date.now()) < 1000);
  await settled(meter, 50, cut.monotonicMs);
  const mended = await lab.mend('fast');
  await settled(meter, 50, mended.monotonicMs);
  const packets = await meter.packets();
  const stats = await meter.stop();
  const lastedMs = mended.monotonicMs - cut.monotonicMs;
  assert.equal(stats.lost, (await lostInOutage()) - lostBefore, 'what the client misses is what the link dropped');
  // What was on its way when the cut came is lost too: one round trip's worth.
  const inTime = packets.filter(({ sentMs }) => sentMs > cut.monotonicMs - 20 && sentMs < mended.monotonicMs);
  assert.ok(Math.abs(stats.lost - inTime.length) <= 2, `${stats.lost} lost of ${inTime.length}`);
  assert.equal(stats.gaps.filter((gap) => gap.toMs - gap.fromMs > 100).length, 1);
  assert.ok(Math.abs(stats.longestGapMs - lastedMs - 20) < 15, `gap ${stats.longestGapMs} for a cut of ${lastedMs} ms`);
});

test('a list of outages is replayed in time, also faster', { skip }, async () => {
  const outages = [
    { startMs: 2000, endMs: 4000 },
    { startMs: 8000, endMs: 9000 },
  ];
  const meter = await lab.meter({ intervalMs: 2, graceMs: 200, gapThresholdMs: 60 });
  const started = await lab.replay('fast', { kind: 'outages', outages }, { timeScale: 10 });
  assert.ok(await until(() => monotonicMs() > started.monotonicMs + 1000, 5000));
  await lab.mend('fast');
  const { gaps } = await meter.stop(started.monotonicMs);
  const seen = gaps.map(({ fromMs, toMs }) => [fromMs - started.monotonicMs, toMs - started.monotonicMs]);
  const wanted = [
    [200, 420],
    [800, 920],
  ];
  assert.equal(seen.length, 2, JSON.stringify(seen));
  for (const [at, edges] of wanted.entries()) {
    for (const [edge, ms] of edges.entries()) assert.ok(Math.abs((seen[at]?.[edge] ?? 0) - ms) < 15, JSON.stringify(seen));
  }
});

test('packets come twice, late and out of order when wanted', { skip }, async () => {
  const meter = await lab.meter({ intervalMs: 2 });
  const { monotonicMs: sinceMs } = await lab.setLink('fast', { in: { duplicate: 0.2, late: 0.2, lateByMs: 15 } });
  await settled(meter, 500, sinceMs);
  await lab.setLink('fast', { in: { duplicate: 0, late: 0 } });
  const stats = await meter.stop(sinceMs);
  assert.equal(stats.lost, 0);
  assert.ok(stats.duplicates > 50 && stats.duplicates < 200, `${stats.duplicates} duplicates of ${stats.sent}`);
  assert.ok(stats.reordered > 50 && stats.reordered < 200, `${stats.reordered} reordered of ${stats.sent}`);
});

test('a thousand packets a second, paced', { skip }, async () => {
  const meter = await lab.meter({ intervalMs: 1 });
  const sinceMs = monotonicMs();
  await settled(meter, 1000, sinceMs);
  const packets = (await meter.packets(sinceMs)).slice(0, 1000);
  await meter.stop();
  const tookMs = (packets.at(-1)?.sentMs ?? 0) - (packets[0]?.sentMs ?? 0);
  assert.ok(tookMs > 990 && tookMs < 1200, `1000 packets in ${tookMs} ms`);
  const offMs = packets.slice(1).map((packet, at) => Math.abs(packet.sentMs - (packets[at]?.sentMs ?? 0) - 1));
  assert.ok((offMs.sort((a, b) => a - b)[offMs.length >> 1] ?? 9) < 0.2, 'half of the packets within 0.2 ms of their time');
});

test('another process cuts and mends while this one measures', { skip }, async () => {
  const commands = new URL('../../src/lab/commands.js', import.meta.url).href;
  const verb = async (name: string) => {
    const options = JSON.stringify({ name: lab.name, stateDir, uplink: 'fast' });
    const program = `import * as c from '${commands}'; await c.${name}(${options}, (text) => process.stdout.write(text))`;
    return (await run([process.execPath, '--input-type=module', '-e', program])).stdout;
  };
  const meter = await lab.meter();
  assert.match(await verb('labCut'), /^\d\d:\d\d:\d\d\.\d{3} fast is cut: silent/);
  const cutMs = monotonicMs();
  await settled(meter, 20, cutMs);
  assert.equal((await meter.stats(cutMs)).received, 0);
  assert.match(await verb('labStatus'), /fast {5}CUT: silent/);
  assert.match(await verb('labMend'), /fast is mended/);
  const mendedMs = monotonicMs();
  await settled(meter, 20, mendedMs);
  assert.equal((await meter.stop(mendedMs)).lost, 0);
});
