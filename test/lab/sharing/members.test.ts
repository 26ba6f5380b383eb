/** Members of a tier fail and come back: whose connections end, whose do not notice, and who stands in for both. Needs root. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { FailureName } from '../../../src/lab/failures.js';
import { startCall } from '../../../src/lab/traffic/call.js';
import { startConnections } from '../../../src/lab/traffic/connections.js';
import { type Stream, startStream } from '../../../src/lab/traffic/stream.js';
import { eventually, type Gateway, proof } from '../proof/gateway.js';
import {
  assertAllQuietOn,
  assertFlowing,
  assertUndisturbed,
  type Crowd,
  crowdOn,
  medianOf,
  monotonicOf,
  percentBy,
  resumedBy,
  sharedBy,
  three,
  tier,
  turned,
  wallOf,
} from './stage.js';

const BOTH = { fast: 1, backup: 1 } as const;
const config = three({ uplinks: tier(1, 1) });
/** What is promised of a dead connection: known dead, or resumed, so soon after the failure is. */
const KNOWN_WITHIN_MS = 1_000;

/**
 * Cuts a member, and holds those of the other, and its own, against what is promised; then mends it.
 * @returns how long after the failure was known its calls went on, and its downloads were known dead
 */
async function failAndReturn(
  t: TestContext,
  gateway: Gateway,
  crowd: Crowd,
  { failing, other, kind }: { failing: 'fast' | 'backup'; other: 'fast' | 'backup'; kind: FailureName },
): Promise<{ readonly callsMs: readonly number[]; readonly deadMs: readonly number[] }> {
  const { lab } = gateway;
  const calls = crowd.calls[failing] ?? [];
  const streams = crowd.streams[failing] ?? [];
  const cut = await lab.cut(failing, kind);
  const downMs = monotonicOf(await turned(gateway, failing, 'down', cut.askedAtMs));
  await sharedBy(gateway, { [other]: 1 });

  const resumed = await Promise.all(calls.map((call) => resumedBy(call, other)));
  const isClosed = (stream: Stream) => async () => (await stream.report()).connections[0]?.closed ?? null;
  const closed = await Promise.all(streams.map((stream) => eventually('a lost download is known dead', isClosed(stream))));
  const callsMs = resumed.map((atMs) => atMs - downMs);
  const deadMs = closed.map((one) => one.atMs - downMs);
  t.diagnostic(
    `${failing} ${kind}: down ${(downMs - cut.monotonicMs).toFixed(0)} ms after the cut; then calls resume within ${Math.max(...callsMs).toFixed(0)} ms, dead downloads are known within ${Math.max(...deadMs).toFixed(0)} ms`,
  );
  for (const { how } of closed) assert.equal(how, 'ECONNRESET');

  const alone = await (await startConnections(lab, { count: 60, perS: 300 })).finished();
  assert.deepEqual([alone.errors, alone.byUplink[other]], [{}, 60], 'new ones all go by the other');
  await assertAllQuietOn(crowd, other, `while ${failing} fails (${kind})`);

  const mended = await lab.mend(failing);
  await sharedBy(gateway, BOTH);
  const up = await turned(gateway, failing, 'up', mended.askedAtMs);
  const joined = await gateway.event('the set is whole again', (one) => one.kind === 'share' && one.wallMs >= up.wallMs - 5);
  // It is told up when the confirm burst is through; from there the hold-down runs.
  assert.ok(joined.wallMs - up.wallMs >= 800, `back only after its hold-down, not after ${joined.wallMs - up.wallMs} ms`);
  const again = await (await startConnections(lab, { count: 200, perS: 400 })).finished();
  assert.deepEqual(again.errors, {});
  const share = percentBy(again, failing);
  assert.ok(share > 30 && share < 70, `new connections are shared again: ${share} % by ${failing}`);
  await assertAllQuietOn(crowd, other, `when ${failing} is back (${kind})`);
  // Those that it lost have found their way, and stay with it.
  for (const call of calls) assert.equal((await call.report()).sources.at(-1)?.uplink, other);
  return { callsMs, deadMs };
}

async function endAll(crowd: Crowd): Promise<void> {
  for (const call of Object.values(crowd.calls).flat()) await call.stop();
  for (const stream of Object.values(crowd.streams).flat()) await stream.stop();
}

proof(
  'a member falls silent, or loses its carrier: its connections end, those of the other lose nothing, then and when it is back',
  config,
  async (gateway, t) => {
    await gateway.judged();
    await sharedBy(gateway, BOTH);
    const rounds = [
      { failing: 'backup', other: 'fast', kind: 'silent' },
      // The one that leads: it is left, and the other leads from then on.
      { failing: 'fast', other: 'backup', kind: 'carrier' },
    ] as const;
    const callsMs: number[] = [];
    const deadMs: number[] = [];
    for (const round of rounds) {
      const crowd = await crowdOn(gateway.lab, ['fast', 'backup'], 2);
      const took = await failAndReturn(t, gateway, crowd, round);
      callsMs.push(...took.callsMs);
      deadMs.push(...took.deadMs);
      await endAll(crowd);
    }
    assert.ok(medianOf(callsMs) < KNOWN_WITHIN_MS, `calls resumed after ${callsMs} ms`);
    assert.ok(medianOf(deadMs) < KNOWN_WITHIN_MS, `dead downloads were known after ${deadMs} ms`);
    assert.deepEqual(
      await gateway.switches(),
      ['fast -> backup (carrier-lost)'],
      'a member that leads nobody is left without a switch',
    );
  },
);

proof(
  'carrier lost while the daemon is dead: the kernel alone shares on, and what goes by the other is not touched',
  three({ families: [4, 6], uplinks: tier(1, 1) }),
  async (gateway, t) => {
    const { lab } = gateway;
    await gateway.judged();
    for (const family of [4, 6] as const) await sharedBy(gateway, BOTH, family);
    const crowds = { 4: await crowdOn(lab, ['fast', 'backup'], 1), 6: await crowdOn(lab, ['fast', 'backup'], 1, { family: 6 }) };
    await gateway.end('SIGKILL');
    const cut = await lab.cut('backup', 'carrier');
    for (const family of [4, 6] as const) {
      const many = await (await startConnections(lab, { family, count: 100, perS: 300 })).finished();
      assert.deepEqual([many.errors, many.byUplink.fast], [{}, 100], `IPv${family}: new connections work, all by the other`);
      await assertAllQuietOn(crowds[family], 'fast', 'with the daemon dead');
      // The call that was on it: its packets find the other way at once, although nobody has ended anything.
      const [call] = crowds[family].calls.backup ?? [];
      const resumedMs = await resumedBy(call ?? assert.fail(), 'fast');
      t.diagnostic(
        `IPv${family}: the kernel alone had the call resumed ${(resumedMs - cut.monotonicMs).toFixed(0)} ms after the carrier was lost`,
      );
      assert.ok(resumedMs - cut.monotonicMs < 1_000);
    }

    // Who comes back finds the member gone, and ends what still believes in it.
    await gateway.start();
    for (const family of [4, 6] as const) {
      const [stream] = crowds[family].streams.backup ?? [];
      const closed = async () => (await stream?.report())?.connections[0]?.closed ?? null;
      await eventually(`IPv${family}: the dead download is known dead`, closed);
      await sharedBy(gateway, { fast: 1 }, family);
      await assertAllQuietOn(crowds[family], 'fast', 'after the restart');
    }
    await lab.mend('backup');
    for (const family of [4, 6] as const) {
      await sharedBy(gateway, BOTH, family);
      await assertAllQuietOn(crowds[family], 'fast', 'when the member is back');
      await endAll(crowds[family]);
    }
  },
);

proof('the lower tier takes over when both are lost, and yields to the first that is back', config, async (gateway, t) => {
  const { lab } = gateway;
  await gateway.judged();
  await sharedBy(gateway, BOTH);
  const call = await startCall(lab);
  await lab.cut('fast', 'silent');
  const cut = await lab.cut('backup', 'silent');
  await sharedBy(gateway, { third: 1 });
  const [, , byThird] = await Promise.all([
    turned(gateway, 'fast', 'down', cut.askedAtMs - 1_000),
    turned(gateway, 'backup', 'down', cut.askedAtMs),
    resumedBy(call, 'third'),
  ]);
  assert.ok(byThird);
  t.diagnostic(
    `both silent: the call was without a way for ${(await call.report(cut.askedAtMs)).back.longestGapMs.toFixed(0)} ms`,
  );
  const [talk, download] = [await startCall(lab), await startStream(lab, { bytesPerS: 10_000 })];

  const mended = await lab.mend('backup');
  await sharedBy(gateway, { backup: 1 });
  const since = wallOf(mended.askedAtMs);
  await gateway.event(
    'the third is left for it',
    (one) => one.kind === 'switch' && one.to === 'backup' && one.reason === 'preferred',
    since,
  );
  const anew = await (await startConnections(lab, { count: 60, perS: 300 })).finished();
  assert.deepEqual([anew.errors, anew.byUplink.backup], [{}, 60]);
  // What is open on the third drains: it loses nothing.
  await eventually('the drain is shown', async () => (await gateway.path('third')).draining !== null);
  assertUndisturbed(await talk.report(), 'third', 'when it is left');
  assertFlowing(await download.report(), 'third', 'when it is left');

  await lab.mend('fast');
  await sharedBy(gateway, BOTH);
  assertUndisturbed(await talk.stop(), 'third', 'when both are back');
  assertFlowing(await download.stop(), 'third', 'when both are back');
  await call.stop();
  assert.equal((await gateway.family()).active, 'backup', 'within a tier nobody goes home: who leads, leads on');
});
