/**
 * What the proofs with three uplinks share: the network in which the product itself translates addresses, its file, and small
 * questions about who carries what. Knows nothing of the daemon's inside.
 */
import assert from 'node:assert/strict';
import type { HistoryEntry } from '../../../src/core/entry.js';
import type { Family } from '../../../src/core/model.js';
import { momentAt, monotonicMs } from '../../../src/lab/clock.js';
import type { Lab } from '../../../src/lab/lab.js';
import { type Call, type CallReport, startCall } from '../../../src/lab/traffic/call.js';
import type { ConnectionsReport } from '../../../src/lab/traffic/connections.js';
import type { Place } from '../../../src/lab/traffic/places.js';
import { type Stream, type StreamReport, startStream } from '../../../src/lab/traffic/stream.js';
import { type Change, type ConfigFile, quick } from '../proof/config-file.js';
import { eventually, type Gateway, type Setting } from '../proof/gateway.js';

/** The gateway of this lab translates nothing: `masquerade: true` does. */
export function three(change: Change = {}): Pick<Setting, 'topology' | 'variant' | 'config'> {
  return { topology: 'three-uplinks', variant: { masquerade: false }, config: threeFile(change) };
}

export function threeFile(change: Change = {}): ConfigFile {
  return quick('three-uplinks', { ...change, top: { masquerade: true, ...change.top } });
}

/** `fast` and `backup` in one tier with these weights; `third` behind both. */
export function tier(fast: number, backup: number): Readonly<Record<string, Readonly<Record<string, unknown>>>> {
  return { fast: { tier: 1, weight: fast }, backup: { tier: 1, weight: backup } };
}

interface Hop {
  readonly dev?: string;
  readonly gateway?: string;
  readonly weight?: number;
}

/** The ways of main's ruling default route, as the kernel has them: `dev weight`, in the order of the interfaces. */
async function ways(gateway: Gateway, family: Family): Promise<string[]> {
  const [first] = (await gateway.defaults(family)) as readonly (Hop & { readonly nexthops?: readonly Hop[] })[];
  const hops = first?.nexthops ?? (first === undefined ? [] : [first]);
  return hops.map((hop) => `${hop.dev} ${hop.weight ?? 1}`).toSorted();
}

/** Waits until the kernel shares new connections so: uplink -> weight. One alone: it has all of them. */
export async function sharedBy(gateway: Gateway, weights: Readonly<Record<string, number>>, family: Family = 4): Promise<void> {
  const wanted = Object.entries(weights)
    .map(([uplink, weight]) => `${gateway.lab.uplink(uplink).gatewayInterface} ${weight}`)
    .toSorted();
  const is = async () => (await ways(gateway, family)).join() === wanted.join();
  await eventually(`IPv${family} is shared by ${wanted.join(', ')}`, is);
}

/** When something was told, in the clock of the traffic. */
export function monotonicOf(entry: HistoryEntry): number {
  return monotonicMs() - (Date.now() - entry.wallMs);
}

/** Unix time of an instant of the traffic's clock. */
export function wallOf(atMs: number): number {
  return momentAt(atMs).date.getTime();
}

/** A change of health, as told since then. */
export function turned(gateway: Gateway, uplink: string, to: string, sinceMs: number, family: Family = 4): Promise<HistoryEntry> {
  const isIt = (one: HistoryEntry) =>
    one.kind === 'health' && one.uplink === uplink && one.family === family && one.to === to && one.wallMs >= wallOf(sinceMs) - 5;
  return gateway.event(`${uplink} is ${to}`, isIt);
}

/** Open connections of each kind, by the uplink that they began on. */
export interface Crowd {
  readonly calls: Readonly<Record<string, Call[]>>;
  readonly streams: Readonly<Record<string, Stream[]>>;
}

const AT_ONCE = 4;
const ROUNDS = 6;

/** Opens calls and downloads until each of these uplinks has so many of both: the kernel chooses by ports, which nobody can. */
export async function crowdOn(lab: Lab, uplinks: readonly string[], each: number, place: Place = {}): Promise<Crowd> {
  const calls = await untilEach(uplinks, each, async () => {
    const call = await startCall(lab, place);
    return { flow: call, by: (await call.report()).sources[0]?.uplink, end: () => call.stop() };
  });
  const streams = await untilEach(uplinks, each, async () => {
    const stream = await startStream(lab, { ...place, bytesPerS: 10_000, gapThresholdMs: 500 });
    return { flow: stream, by: (await stream.report()).connections[0]?.uplink, end: () => stream.stop() };
  });
  return { calls, streams };
}

interface Opened<T> {
  readonly flow: T;
  readonly by: string | null | undefined;
  end(): Promise<unknown>;
}

async function untilEach<T>(
  uplinks: readonly string[],
  each: number,
  open: () => Promise<Opened<T>>,
): Promise<Record<string, T[]>> {
  const found: Record<string, T[]> = Object.fromEntries(uplinks.map((uplink) => [uplink, []]));
  const enough = () => Object.values(found).every((flows) => flows.length >= each);
  for (let round = 0; round < ROUNDS && !enough(); round++) {
    for (const { flow, by, end } of await Promise.all(Array.from({ length: AT_ONCE }, open))) {
      const flows = found[by ?? ''];
      assert.ok(flows !== undefined, `a new connection goes by ${by}, which is none of ${uplinks.join(', ')}`);
      // Who is there already is enough: more would only cost the machine's time.
      if (flows.length < each) flows.push(flow);
      else await end();
    }
  }
  assert.ok(enough(), `${ROUNDS * AT_ONCE} connections, and not ${each} on each of ${uplinks.join(', ')}`);
  return found;
}

/** Nothing of this call was lost, and it never went by another uplink. */
export function assertUndisturbed({ out, back, sources }: CallReport, uplink: string, when: string): void {
  assert.deepEqual([out.lost, back.lost], [0, 0], `a call by ${uplink} ${when}: packets lost, ${JSON.stringify({ out, back })}`);
  assert.deepEqual(
    sources.map((one) => one.uplink),
    [uplink],
    `a call by ${uplink} ${when}`,
  );
}

/** The download goes on, and not one segment had to be sent again. */
export function assertFlowing({ connections, misplaced }: StreamReport, uplink: string, when: string): void {
  const [only] = connections;
  assert.equal(only?.uplink, uplink);
  assert.deepEqual([only.closed, only.closedAtServer, misplaced], [null, null, 0], `a download by ${uplink} ${when}`);
  assert.equal(only.retransmissions, 0, `a download by ${uplink} ${when}: segments sent again`);
}

/** Everybody on this uplink: not a packet lost, nobody moved. */
export async function assertAllQuietOn(crowd: Crowd, uplink: string, when: string): Promise<void> {
  for (const call of crowd.calls[uplink] ?? []) assertUndisturbed(await call.report(), uplink, when);
  for (const stream of crowd.streams[uplink] ?? []) assertFlowing(await stream.report(), uplink, when);
}

/** The part of an uplink of all that were answered, 0..100. */
export function percentBy({ byUplink, ok }: ConnectionsReport, uplink: string): number {
  return (100 * (byUplink[uplink] ?? 0)) / ok;
}

/** When this call first went by that uplink and was answered. Waits for it. */
export async function resumedBy(call: Call, uplink: string): Promise<number> {
  const { atMs } = await eventually(`the call goes by ${uplink}`, async () => {
    const last = (await call.report()).sources.at(-1);
    return last?.uplink === uplink && last;
  });
  await eventually('and is answered', async () => (await call.report(atMs)).back.received > 0);
  return atMs;
}

/** The lower one of two in the middle. */
export function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[(values.length - 1) >> 1] ?? Number.NaN;
}
