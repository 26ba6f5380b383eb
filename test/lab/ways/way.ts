/**
 * The stage of the stories about less usual ways out: a proof that in the end also runs `cleanup` and finds the machine as it was
 * before the first start. And what such stories ask: how long after its detection something was felt, what nft holds, by which
 * uplink a new connection goes.
 */
import assert from 'node:assert/strict';
import type { HistoryEntry } from '../../../src/core/entry.js';
import type { Family } from '../../../src/core/model.js';
import type { InForce, Lab } from '../../../src/lab/lab.js';
import type { TopologyName } from '../../../src/lab/topologies.js';
import type { Call } from '../../../src/lab/traffic/call.js';
import { startConnections } from '../../../src/lab/traffic/connections.js';
import type { StreamConnection } from '../../../src/lab/traffic/stream.js';
import { type Change, type ConfigFile, quick } from '../proof/config-file.js';
import { eventually, type Gateway, proof, type Setting } from '../proof/gateway.js';

/** What is in the kernel besides the running times of others: an advertised route's, and which of two equal ones is older. */
async function settledFootprint(gateway: Gateway): Promise<string[]> {
  return (await gateway.footprint()).sort();
}

/** As the proofs' files, and back sooner: how often something has failed before is not what these stories are about. */
export function quicker(topology: TopologyName, change: Change = {}): ConfigFile {
  const defaults = { 'recover-after': '500ms', 'hold-down': { factor: 1 }, ...change.defaults };
  return quick(topology, { ...change, defaults });
}

/**
 * Who is not told waits for a minute and more. That it takes less than a second is held by the proofs of two cards, which measure it;
 * here a machine that has other things to do must not look like a program that does nothing, ms.
 */
export const PROMPT_MS = 10_000;

export interface WaySetting extends Omit<Setting, 'start'> {
  /** lines of the footprint that the story itself changes */
  readonly others?: RegExp;
}

/**
 * A proof whose daemon starts with every path judged, and whose end is SIGTERM and `cleanup`: routes, rules, sysctls and nftables
 * are then as they were. @param tell must leave the machine, but for what the daemon did, as it found it
 */
export function wayProof(story: string, setting: WaySetting, tell: (gateway: Gateway) => Promise<void>): void {
  proof(story, { ...setting, start: false }, async (gateway) => {
    const before = await settledFootprint(gateway);
    await gateway.start();
    await gateway.judged();
    await tell(gateway);
    await gateway.end('SIGTERM');
    await gateway.order('cleanup');
    const known = (line: string): boolean => setting.others?.test(line) !== true;
    const after = (await settledFootprint(gateway)).filter(known);
    assert.deepEqual(after, before.filter(known), 'after cleanup everything is as before');
  });
}

/** A line in the test's output, for the record. */
export function measured(text: string): void {
  console.log(text);
}

/** From monotonic to wall clock and back is safe within a story: nobody sets the machine's clock meanwhile. */
export function monotonicOf(entry: HistoryEntry, reference: InForce): number {
  return reference.monotonicMs + (entry.wallMs - reference.date.getTime());
}

/** When the uplink was found to have failed after this cut, CLOCK_MONOTONIC: when the family was moved, or the path went down. */
export async function failedMs(gateway: Gateway, uplink: string, cut: InForce, family: Family = 4): Promise<number> {
  const isIt = (one: HistoryEntry): boolean =>
    one.kind === 'health' && one.uplink === uplink && one.family === family && one.to === 'down';
  return monotonicOf(await gateway.event(`IPv${family} of ${uplink} is down`, isIt, cut.date.getTime() - 1), cut);
}

/** Waits until new connections of the client are seen coming by this uplink. */
export async function newOnesGoBy(lab: Lab, uplink: string, family: Family = 4): Promise<void> {
  await eventually(`a new IPv${family} connection goes by ${uplink}`, async () => {
    const one = await startConnections(lab, { count: 1, family, timeoutMs: 1000 });
    return (await one.finished()).byUplink[uplink] === 1;
  });
}

/** When a call flowed both ways again, now by this uplink; waits until it does. CLOCK_MONOTONIC. */
export async function resumedMs(call: Call, cut: InForce, uplink: string): Promise<number> {
  return eventually(`the call goes on by ${uplink}`, async () => {
    const { back, sources } = await call.report(cut.askedAtMs);
    const source = sources.find((one) => one.uplink === uplink && one.atMs > cut.askedAtMs);
    if (source === undefined || (await call.report(source.atMs)).back.received === 0) return null;
    return back.gaps.find((gap) => gap.fromMs <= source.atMs && gap.toMs >= source.atMs)?.toMs ?? source.atMs;
  });
}

/** The last connection of a stream's report. */
export function lastOf(connections: readonly StreamConnection[]): StreamConnection {
  return connections.at(-1) ?? assert.fail('the stream had no connection');
}

/** Our table as nft prints it; empty where there is none. */
export async function ourTable(gateway: Gateway): Promise<string> {
  const { stdout } = await gateway.lab.exec('gateway', ['nft', 'list', 'ruleset', 'inet']);
  return /table inet backroute \{[\s\S]*?\n\}/.exec(stdout)?.[0] ?? '';
}

/** Connections that the gateway's kernel tracks: 0 as long as nobody has switched that on. */
export async function tracked(gateway: Gateway): Promise<number> {
  const { stdout } = await gateway.lab.exec('gateway', ['cat', '/proc/sys/net/netfilter/nf_conntrack_count'], { check: false });
  return Number(stdout.trim() || '0');
}

/** Lab `prefixes`: how many packets this provider has dropped because their source is not of its prefix. */
export async function foreignSources(lab: Lab, uplink: string): Promise<number> {
  const { stdout } = await lab.exec(lab.uplink(uplink).isp, ['nft', '-j', 'list', 'table', 'ip6', 'backroute_lab_sources']);
  return Number(/"packets": (\d+)/.exec(stdout)?.[1]);
}
