/**
 * Thousands of short TCP connections at a steady pace: how each went, how long it took, and by which uplink it was seen coming.
 */
import { LabError } from '../errors.js';
import type { Lab } from '../lab.js';
import { until } from '../until.js';
import type { ShortConnection } from './connection-agents.js';
import { type RemoteAgent, startAgent } from './host.js';
import { endsOf, type Place, sharesOf } from './places.js';

export interface ConnectionsOptions extends Place {
  readonly count: number;
  /** begun each second, evenly; default 500 */
  readonly perS?: number;
  /** at once; default 200 */
  readonly atOnce?: number;
  /** a connection without its answer after this has failed; default 5000 */
  readonly timeoutMs?: number;
}

export interface ConnectionsReport {
  readonly begun: number;
  readonly ok: number;
  readonly failed: number;
  /** neither yet */
  readonly open: number;
  /** of those that failed, by error code or `timeout` */
  readonly errors: Readonly<Record<string, number>>;
  /** of those that are ok; every uplink is named, `elsewhere` only where it happened */
  readonly byUplink: Readonly<Record<string, number>>;
  readonly distinctPorts: number;
  /** of those that are ok */
  readonly medianMs: number | null;
  readonly longestMs: number | null;
  /** in the order of their beginning */
  readonly connections: readonly ShortConnection[];
}

/** Resolves when the first are under way. `listen.port` 0: a server of its own for each call. */
export async function startConnections(lab: Lab, options: ConnectionsOptions): Promise<Connections> {
  const { count, perS = 500, atOnce = 200, timeoutMs = 5000 } = options;
  if (!(count >= 1 && perS > 0 && atOnce >= 1)) throw new LabError('count and atOnce are 1 or more, perS is above 0');
  const { from, localAddress, to, listen, target } = endsOf(options);
  const server = await startAgent(lab, to, 'ordinary', 'connections-server', listen);
  try {
    const load = { localAddress, count, perS, atOnce, timeoutMs };
    const client = await startAgent(lab, from, 'ordinary', 'connections-client', { ...target(server.started), ...load });
    return new Connections(lab, client, server, count);
  } catch (error) {
    await server.close();
    throw error;
  }
}

export class Connections {
  readonly #lab: Lab;
  readonly #client: RemoteAgent<'connections-client'>;
  readonly #server: RemoteAgent<'connections-server'>;
  readonly #count: number;

  constructor(lab: Lab, client: RemoteAgent<'connections-client'>, server: RemoteAgent<'connections-server'>, count: number) {
    this.#lab = lab;
    this.#client = client;
    this.#server = server;
    this.#count = count;
  }

  /** Of connections begun since `sinceMs` (CLOCK_MONOTONIC); without it, of all. */
  async report(sinceMs = Number.NEGATIVE_INFINITY): Promise<ConnectionsReport> {
    const all = (await this.#client.report()).connections;
    const connections = all.filter((one) => one.startedMs >= sinceMs);
    const failed = connections.filter((one) => one.error !== null);
    const ok = connections.filter((one) => one.source !== null);
    const tookMs = ok.map((one) => one.tookMs ?? 0).sort((a, b) => a - b);
    const errors: Record<string, number> = {};
    for (const { error } of failed) if (error !== null) errors[error] = (errors[error] ?? 0) + 1;
    return {
      begun: connections.length,
      ok: ok.length,
      failed: failed.length,
      open: connections.length - ok.length - failed.length,
      errors,
      byUplink: sharesOf(
        this.#lab,
        ok.map((one) => one.source?.address ?? ''),
      ),
      distinctPorts: new Set(connections.map((one) => one.localPort)).size,
      medianMs: tookMs[tookMs.length >> 1] ?? null,
      longestMs: tookMs.at(-1) ?? null,
      connections,
    };
  }

  /** Waits until every connection is over, and gives the count. Rejects with a LabError when that takes longer. */
  async finished(withinMs = 60_000): Promise<ConnectionsReport> {
    const over = async () => {
      const { begun, open } = await this.report();
      return begun === this.#count && open === 0;
    };
    if (!(await until(over, withinMs, 100)))
      throw new LabError(`not all ${this.#count} connections are over after ${withinMs} ms`);
    return this.stop();
  }

  /** Begins no more, cuts off what is open, gives the count. */
  async stop(sinceMs?: number): Promise<ConnectionsReport> {
    await this.#client.quiet();
    const report = await this.report(sinceMs);
    await Promise.all([this.#client.close(), this.#server.close()]);
    return report;
  }
}
