/**
 * All the traffic that a gateway carries at once, in one family: a download, an upload, a call, a tunnel's keepalives, visitors
 * from outside who came in by the backup, and where there is a third uplink those that `via` sends by it. What is asked of each is here.
 */
import assert from 'node:assert/strict';
import type { HistoryEntry } from '../../../src/core/entry.js';
import type { Family } from '../../../src/core/model.js';
import { monotonicMs } from '../../../src/lab/clock.js';
import type { Lab } from '../../../src/lab/lab.js';
import { SERVER4, SERVER6 } from '../../../src/lab/topologies.js';
import { type Call, startCall, startKeepalive } from '../../../src/lab/traffic/call.js';
import { forwardPort } from '../../../src/lab/traffic/forward.js';
import { type Stream, type StreamConnection, startStream } from '../../../src/lab/traffic/stream.js';
import { eventually, type Gateway } from '../proof/gateway.js';

/** What goes to this port goes by the third uplink: see {@link VIA_THIRD}. */
const THIRD_PORT = 9001;
export const VIA_THIRD = { bystanders: { port: THIRD_PORT, uplink: 'third' } } as const;
const VISITED_PORT = 8443;
export const KEEPALIVE_MS = 200;
/** What is promised of calls and of dead connections, from the moment at which the loss is known. */
export const PROMISED_MS = 1000;
/** What a busy machine makes by itself: of a call nothing may be missing anyway, and who lost a segment of TCP waits and sends it again. */
const UNNOTICED_MS = { call: 1000, stream: 600 } as const;
/** Segments sent again although nothing was lost: acknowledgements that a busy machine delays (RFC 8985, tail loss probes). */
const SPURIOUS = 3;

export interface Everything {
  readonly family: Family;
  readonly download: Stream;
  readonly upload: Stream;
  readonly call: Call;
  readonly tunnel: Call;
  /** somebody outside, who came in by the backup and is sent bytes by a server of the LAN */
  readonly visitor: Stream;
  readonly visitorCall: Call;
  /** by the third uplink; null where there is none */
  readonly bystander: Stream | null;
  readonly bystanderCall: Call | null;
}

/** Downloads and uploads that end begin anew. Resolves when everything flows. */
export async function startEverything(lab: Lab, family: Family): Promise<Everything> {
  const inbound = await forwardPort(lab, 'backup', { port: VISITED_PORT, family });
  const third = lab.uplinks.length > 2 ? { family, listen: { port: THIRD_PORT } } : null;
  const [download, upload, call, tunnel, visitor, visitorCall, bystander, bystanderCall] = await Promise.all([
    startStream(lab, { family, direction: 'download', reconnectMs: 20 }),
    startStream(lab, { family, direction: 'upload', reconnectMs: 20 }),
    startCall(lab, { family }),
    startKeepalive(lab, { family, intervalMs: KEEPALIVE_MS }),
    startStream(lab, inbound),
    startCall(lab, inbound),
    third && startStream(lab, third),
    third && startCall(lab, third),
  ]);
  const all = { family, download, upload, call, tunnel, visitor, visitorCall, bystander, bystanderCall };
  await eventually('everything flows', async () => {
    const streams = await Promise.all([download, upload, visitor, bystander].map((one) => one?.report()));
    const calls = await Promise.all([call, tunnel, visitorCall, bystanderCall].map((one) => one?.report()));
    return streams.every((one) => one?.bytes !== 0) && calls.every((one) => one?.back.received !== 0);
  });
  return all;
}

/** On the clock of the lab. */
export function momentOf({ wallMs }: HistoryEntry): number {
  return wallMs - (Date.now() - monotonicMs());
}

/** Waits until it is so late. */
export async function passed(atMs: number): Promise<void> {
  await eventually(`${atMs} is over`, () => monotonicMs() >= atMs, atMs - monotonicMs() + 10_000);
}

/** The stream's newest connection stands and goes by this uplink. */
export async function standing(what: string, stream: Stream, uplink: string): Promise<StreamConnection> {
  return eventually(`${what} goes by ${uplink}`, async () => {
    const last = (await stream.report()).connections.at(-1);
    return last !== undefined && last.closed === null && last.uplink === uplink && last.bytes > 0 ? last : null;
  });
}

/** The call is seen coming by this uplink, and answered there. @returns since when */
export async function callGoesBy(what: string, call: Call, uplink: string): Promise<number> {
  return eventually(`${what} goes by ${uplink}`, async () => {
    const last = (await call.report()).sources.at(-1);
    if (last?.uplink !== uplink) return null;
    return (await call.report(last.atMs)).back.received > 0 ? last.atMs : null;
  });
}

/** How long after `atMs` whoever opened the stream's connection of this number knew that it was over: it was reset. */
export async function knownDeadAfter(what: string, stream: Stream, number: number, atMs: number): Promise<number> {
  const connection = async () => (await stream.report()).connections[number];
  const closed = await eventually(`${what} is known to be dead`, async () => (await connection())?.closed ?? null);
  assert.equal(closed.how, 'ECONNRESET', what);
  return closed.atMs - atMs;
}

/** How long after `atMs` both directions of the call flowed again. */
export async function resumedAfter(what: string, call: Call, sinceMs: number, atMs: number): Promise<number> {
  const { out, back } = await eventually(`${what} is resumed`, async () => {
    const report = await call.report(sinceMs);
    const flows = [report.out, report.back].every((one) => one.received > 0 && (one.gaps.length === 0 || one.resumedMs !== null));
    return flows ? report : null;
  });
  const gaps = [...out.gaps, ...back.gaps].filter((gap) => gap.fromMs < atMs + PROMISED_MS);
  return Math.max(0, ...gaps.map((gap) => gap.toMs - atMs));
}

/** Since `sinceMs` nothing was lost and nobody waited. @returns the longest silence */
export async function unharmedCall(what: string, call: Call, sinceMs: number): Promise<number> {
  const { out, back, strays, sources } = await call.report(sinceMs);
  assert.deepEqual([out.lost, back.lost], [0, 0], `${what} has lost packets: ${JSON.stringify({ out, back })}`);
  assert.deepEqual(strays, {}, what);
  assert.deepEqual(
    sources.filter(({ atMs }, at) => at > 0 && atMs > sinceMs),
    [],
    `${what} has moved`,
  );
  const longestMs = Math.max(out.longestGapMs, back.longestGapMs);
  assert.ok(longestMs < UNNOTICED_MS.call, `${what} stood still for ${longestMs} ms`);
  return longestMs;
}

/** The stream's newest connection is that of this number, stands, and since `sinceMs` nobody waited. @returns the longest silence */
export async function unharmedStream(what: string, stream: Stream, sinceMs: number, number = 0): Promise<number> {
  const { connections, gaps, longestGapMs, misplaced } = await stream.report(sinceMs);
  assert.equal(connections.length, number + 1, `${what} was begun anew`);
  const one = connections[number];
  assert.deepEqual([one?.closed, one?.closedAtServer, misplaced], [null, null, 0], what);
  assert.ok((one?.retransmissions ?? 0) <= SPURIOUS, `${what} has sent ${one?.retransmissions} segments again`);
  assert.ok(longestGapMs < UNNOTICED_MS.stream, `${what} stood still for ${longestGapMs} ms: ${JSON.stringify(gaps)}`);
  return longestGapMs;
}

/** Nobody who goes by the third uplink, or came in by the backup, has noticed anything. @returns the longest silence */
export async function unconcerned(all: Everything, sinceMs: number): Promise<number> {
  return Math.max(
    await unharmedStream('the visitor', all.visitor, sinceMs),
    await unharmedCall("the visitor's call", all.visitorCall, sinceMs),
    ...(all.bystander === null ? [] : [await unharmedStream('who goes by the third', all.bystander, sinceMs)]),
    ...(all.bystanderCall === null ? [] : [await unharmedCall('the call by the third', all.bystanderCall, sinceMs)]),
  );
}

/**
 * What the gateway's kernel remembers of connections by this uplink, but for those that came in: answered by the forwarded port, or, for
 * what was still on its way to an ended one, by nobody.
 */
export async function leftOn(gateway: Gateway, uplink: string, family: Family): Promise<string[]> {
  const { slot } = (await gateway.status()).uplinks.find((one) => one.name === uplink) ?? assert.fail(uplink);
  const mark = `0x${((slot + 1) << 24).toString(16)}/0x7f000000`;
  const words = ['conntrack', '-L', '-f', `ipv${family}`, '-m', mark];
  const { stdout } = await gateway.lab.exec('gateway', words, { check: false });
  const cameIn = new RegExp(` dport=${VISITED_PORT} |^\\S+ .* src=(${SERVER4}|${SERVER6}) dst=\\S+ .*\\[UNREPLIED\\]`);
  return stdout.split('\n').filter((line) => line !== '' && !cameIn.test(line));
}
