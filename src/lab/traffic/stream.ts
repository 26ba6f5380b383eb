/**
 * A long TCP download or upload at a steady rate: what came in order, every silence, segments sent again, and when and how each
 * end learnt that the connection was over.
 */
import { LabError } from '../errors.js';
import type { Lab } from '../lab.js';
import type { Gap } from '../packet-log.js';
import { until } from '../until.js';
import type { Endpoint } from './agent.js';
import { type RemoteAgent, startAgent } from './host.js';
import { endsOf, type Place, uplinkOf } from './places.js';
import type { Closed } from './socket-life.js';
import type { ConnectionEnd, Direction } from './stream-agents.js';

export interface StreamOptions extends Place {
  /** seen from the one who opens; default download: it asks once and then only receives */
  readonly direction?: Direction;
  /** default 100,000 */
  readonly bytesPerS?: number;
  /** silences longer than this are gaps; default 50 */
  readonly gapThresholdMs?: number;
  /** after the end of a connection the next one is opened after so long; default null: there is only one */
  readonly reconnectMs?: number | null;
  /** default 3000 */
  readonly connectTimeoutMs?: number;
  /** the one who opened gives a silent connection up after so long; default null: never */
  readonly idleTimeoutMs?: number | null;
}

/** Times are CLOCK_MONOTONIC. */
export interface StreamConnection {
  readonly openedMs: number;
  /** from where the server saw it coming, and by which uplink that is; null where the question never reached the server */
  readonly source: Endpoint | null;
  readonly uplink: string | null;
  /** that arrived in order */
  readonly bytes: number;
  /** segments that the sending end sent again: 0 = not one packet with data was lost */
  readonly retransmissions: number;
  /** when and how the one who opened it learnt that it is over; null = it believes in it */
  readonly closed: Closed | null;
  /** the same at the server */
  readonly closedAtServer: Closed | null;
}

export interface StreamReport {
  readonly connections: readonly StreamConnection[];
  /** attempts that failed */
  readonly failedConnects: readonly Closed[];
  /** that arrived in order, over all connections */
  readonly bytes: number;
  /** that arrived, but did not belong there: always 0 unless somebody's NAT mixes connections up */
  readonly misplaced: number;
  readonly retransmissions: number;
  /** at the receiver, over all connections; the silence that lasts included, unless nothing more is to come */
  readonly gaps: readonly Gap[];
  readonly longestGapMs: number;
}

/** Resolves when bytes arrive, or after 1 s without (the network may be down on purpose). */
export async function startStream(lab: Lab, options: StreamOptions = {}): Promise<Stream> {
  const { direction = 'download', bytesPerS = 100_000, gapThresholdMs = 50, reconnectMs = null } = options;
  const { connectTimeoutMs = 3000, idleTimeoutMs = null } = options;
  if (!(bytesPerS >= 1000)) throw new LabError(`a stream's rate is 1,000 bytes a second or more, not ${bytesPerS}`);
  const { from, localAddress, to, listen, target } = endsOf(options);
  const rate = { direction, bytesPerS, gapThresholdMs };
  const server = await startAgent(lab, to, 'ahead', 'stream-server', { ...rate, ...listen });
  let client: RemoteAgent<'stream-client'>;
  try {
    const behaviour = { localAddress, reconnectMs, connectTimeoutMs, idleTimeoutMs };
    client = await startAgent(lab, from, 'ahead', 'stream-client', { ...rate, ...target(server.started), ...behaviour });
  } catch (error) {
    await server.close();
    throw error;
  }
  const stream = new Stream(lab, client, server, direction);
  await until(async () => (await stream.report()).bytes > 0, 1000);
  return stream;
}

export class Stream {
  readonly #lab: Lab;
  readonly #client: RemoteAgent<'stream-client'>;
  readonly #server: RemoteAgent<'stream-server'>;
  readonly #direction: Direction;

  constructor(lab: Lab, client: RemoteAgent<'stream-client'>, server: RemoteAgent<'stream-server'>, direction: Direction) {
    this.#lab = lab;
    this.#client = client;
    this.#server = server;
    this.#direction = direction;
  }

  /** Gaps that ended since `sinceMs`; without it, all. All else is from the beginning. */
  async report(sinceMs = Number.NEGATIVE_INFINITY): Promise<StreamReport> {
    const [client, server] = await Promise.all([this.#client.report(), this.#server.report()]);
    const isDownload = this.#direction === 'download';
    const [receiver, sender] = isDownload ? [client, server] : [server, client];
    const gaps = receiver.gaps.filter((gap) => gap.toMs > sinceMs);
    const sum = (ends: readonly ConnectionEnd[], of: (end: ConnectionEnd) => number) =>
      ends.reduce((total, one) => total + of(one), 0);
    return {
      connections: client.connections.map((near): StreamConnection => {
        const far = server.connections.find((one) => one.number === near.number);
        return {
          openedMs: near.openedMs,
          source: far?.remote ?? null,
          uplink: far === undefined ? null : uplinkOf(this.#lab.topology, far.remote.address),
          bytes: (isDownload ? near : far)?.bytes ?? 0,
          retransmissions: (isDownload ? far : near)?.retransmissions ?? 0,
          closed: near.closed,
          closedAtServer: far?.closed ?? null,
        };
      }),
      failedConnects: client.failedConnects,
      bytes: sum(receiver.connections, (end) => end.bytes),
      misplaced: sum(receiver.connections, (end) => end.misplaced),
      retransmissions: sum(sender.connections, (end) => end.retransmissions),
      gaps,
      longestGapMs: gaps.reduce((longest, gap) => Math.max(longest, gap.toMs - gap.fromMs), 0),
    };
  }

  /** Sends no more, waits up to 1 s for what is on its way, gives the final count, and hangs up. */
  async stop(sinceMs?: number): Promise<StreamReport> {
    await this.#client.quiet();
    await this.#server.quiet();
    const allThere = async () => {
      const [client, server] = await Promise.all([this.#client.report(), this.#server.report()]);
      return client.connections.every((near) => {
        const far = server.connections.find((one) => one.number === near.number);
        return near.closed !== null || far === undefined || far.bytes === near.bytes + near.misplaced;
      });
    };
    await until(allThere, 1000, 20);
    const report = await this.report(sinceMs);
    await Promise.all([this.#client.close(), this.#server.close()]);
    return report;
  }
}
