/** `backroute drill`: the backup carries real traffic for a moment, and the report is true. Needs root. */
import assert from 'node:assert/strict';
import type { HistoryEntry } from '../../../src/core/entry.js';
import { monotonicMs } from '../../../src/lab/clock.js';
import { startCall } from '../../../src/lab/traffic/call.js';
import { type Connections, type ConnectionsReport, startConnections } from '../../../src/lab/traffic/connections.js';
import { startStream } from '../../../src/lab/traffic/stream.js';
import { eventually, flowing, type Gateway, proof } from '../proof/gateway.js';
import { assertFlowing, assertUndisturbed, monotonicOf, percentBy, sharedBy, three, turned } from './stage.js';

const PER_S = 200;
/** Ends of a drill are told when they are in force; this near to them a connection may belong to either side. */
const EDGE_MS = 100;

const isDrill = (outcome: string) => (one: HistoryEntry) => one.kind === 'drill' && one.data.outcome === outcome;

interface Drilled {
  readonly code: number;
  readonly said: string;
  readonly begun: HistoryEntry;
  readonly report: HistoryEntry;
}

/** `backroute drill backup`, to its end. @param meanwhile once it is under way */
async function drill(gateway: Gateway, words: string, meanwhile: (begun: HistoryEntry) => Promise<void>): Promise<Drilled> {
  const since = Date.now();
  const verb = gateway.backroute('drill', 'backup', ...words.split(' '));
  const begun = await gateway.event('the drill begins', isDrill('begun'), since);
  await meanwhile(begun);
  const { code, stdout } = await verb;
  const final = (one: HistoryEntry) => one.kind === 'drill' && one.data.outcome !== 'begun';
  return { code, said: stdout, begun, report: await gateway.event('the report', final, since) };
}

/** When the traffic went back. */
const endOf = ({ begun, report }: Drilled): number => monotonicOf(begun) + Number(report.data.lastedMs);

const lastLine = ({ said }: Drilled): string | undefined => said.trim().split('\n').at(-1);

/** New connections all the time, begun between these two. */
async function between(many: Connections, fromMs: number, toMs: number): Promise<Pick<ConnectionsReport, 'byUplink' | 'ok'>> {
  const { connections } = await many.report();
  const ports = connections.filter((one) => one.startedMs > fromMs + EDGE_MS && one.startedMs < toMs - EDGE_MS);
  for (const { error } of ports) assert.equal(error, null);
  const by = (address: string) => ports.filter((one) => one.source?.address === address).length;
  const byUplink = { fast: by('212.254.0.2'), backup: by('212.254.1.2'), third: by('212.254.2.2') };
  return { ok: ports.filter((one) => one.source !== null).length, byUplink };
}

proof(
  'all, and some: it works, it was really used, and nobody lost a packet',
  three({ top: { connections: { drain: '4s' } } }),
  async (gateway, t) => {
    const { lab } = gateway;
    await gateway.judged();
    await sharedBy(gateway, { fast: 1 });
    const before = { call: await startCall(lab), download: await startStream(lab, { bytesPerS: 10_000 }) };
    const many = await startConnections(lab, { count: 20_000, perS: PER_S });

    let fromMs = Number.NaN;

    const some = await drill(gateway, '--for 5s --traffic some', async () => {
      await sharedBy(gateway, { fast: 15, backup: 1 });
      fromMs = monotonicMs();
    });
    assert.deepEqual([some.code, some.report.data.outcome], [0, 'works'], some.said);
    assert.match(some.said, /backup: works \(some of the new traffic for /);
    await sharedBy(gateway, { fast: 1 });
    const few = await between(many, fromMs, endOf(some));
    t.diagnostic(`some: ${few.byUplink.backup} of ${few.ok} new connections went by backup; ${lastLine(some)}`);
    const percent = percentBy({ ...(await many.report()), ...few }, 'backup');
    // One of 16 is 6.25 %; chance stays within these bounds but for one time in ten thousand.
    assert.ok(percent > 3 && percent < 10, `${percent} % by the backup`);

    // All of it, as soon as nothing is left of the first one.
    await gateway.event('what was left of it is ended', (one) => one.kind === 'flows' && one.data.why === 'deadline');
    let during = before;
    const all = await drill(gateway, '--for 5s --traffic all', async () => {
      await sharedBy(gateway, { backup: 1 });
      fromMs = monotonicMs();
      during = { call: await startCall(lab), download: await startStream(lab, { bytesPerS: 10_000 }) };
    });
    assert.deepEqual([all.code, all.report.data.outcome], [0, 'works'], all.said);
    assert.match(all.said, /backup: works \(all new traffic for /);
    await sharedBy(gateway, { fast: 1 });
    const used = await between(many, fromMs, endOf(all));
    t.diagnostic(`all: ${used.byUplink.backup} of ${used.ok} new connections went by backup; ${lastLine(all)}`);
    assert.ok(used.ok > 2 * PER_S, `connections all the time: ${used.ok}`);
    assert.equal(used.byUplink.backup, used.ok);
    // What it counted is what went by it: the call, the download, and the short ones, of which some were begun in the last moment.
    const counted = Number(all.report.data.connections4);
    assert.ok(counted >= used.ok, `${counted} counted, ${used.ok} made`);
    assert.ok(Number(all.report.data.answered4) >= counted - PER_S / 4, `${all.report.data.answered4} of ${counted} answered`);

    // Those that began on it finish there, those from before never were.
    await eventually('it drains', async () => (await gateway.path('backup')).draining !== null);
    assertUndisturbed(await during.call.stop(), 'backup', 'begun during the drill');
    assertFlowing(await during.download.stop(), 'backup', 'begun during the drill');
    const after = await between(many, endOf(all), endOf(all) + 700);
    assert.equal(after.byUplink.fast, after.ok);
    // The deadline of a drain is shorter than the drill: it is not meant for what the drill only stands in for.
    const left = (await gateway.events()).filter((one) => one.kind === 'flows' && one.uplink === 'fast');
    assert.deepEqual(left, []);
    assertUndisturbed(await before.call.stop(), 'fast', 'through both drills');
    assertFlowing(await before.download.stop(), 'fast', 'through both drills');
    await many.stop();
  },
);

proof(
  'cut while it carries everything: back at once, and told; dead before: found out, exit code 1',
  three(),
  async (gateway, t) => {
    const { lab } = gateway;
    await gateway.judged();
    await sharedBy(gateway, { fast: 1 });
    let felt = { resumedMs: Number.NaN, gapMs: Number.NaN, downMs: Number.NaN };
    const cutShort = await drill(gateway, '--for 60s --traffic all', async () => {
      await sharedBy(gateway, { backup: 1 });
      const meter = await lab.meter();
      await flowing(meter);
      const cut = await lab.cut('backup', 'silent');
      const downMs = monotonicOf(await turned(gateway, 'backup', 'down', cut.askedAtMs));
      await sharedBy(gateway, { fast: 1 });
      await flowing(meter);
      const { gaps, longestGapMs: gapMs } = await meter.stop(cut.askedAtMs);
      const resumedMs = gaps.find((gap) => gap.toMs - gap.fromMs === gapMs)?.toMs ?? assert.fail('there was a gap');
      felt = { resumedMs, gapMs, downMs };
    });
    t.diagnostic(
      `cut during the drill: ${felt.gapMs.toFixed(0)} ms without a way, back ${(felt.resumedMs - felt.downMs).toFixed(0)} ms after it was known; ${lastLine(cutShort)}`,
    );
    // As after any failover: a second from the moment it is known.
    assert.ok(felt.resumedMs - felt.downMs < 1_000);
    assert.deepEqual([cutShort.code, cutShort.report.data.outcome], [1, 'fails'], cutShort.said);
    assert.match(cutShort.said, /backup: does not work/);

    await eventually('it is known to be down', async () => (await gateway.path('backup')).health === 'down');
    const since = Date.now();
    const { code, stdout } = await gateway.backroute('drill', 'backup', '--for', '5s');
    assert.equal(code, 1);
    assert.match(stdout, /backup: does not work: it could not take over: IPv4 is down/);
    assert.deepEqual(
      (await gateway.events(since)).filter((one) => one.kind === 'switch'),
      [],
      'nothing was sent by it',
    );
  },
);
