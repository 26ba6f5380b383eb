/**
 * What a client of the LAN feels: a stream of numbered UDP packets to a server beyond the providers and back, and the
 * count of what was lost, doubled, reordered, and for how long nothing came. Two processes: meter-process.ts in the
 * client's namespace, echo-process.ts in the server's.
 */
import type { ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { askControl } from './control-client.js';
import { LabError } from './errors.js';
import { startHelper } from './helper-process.js';
import type { MeterCommand, MeterProcessOptions } from './meter-process.js';
import type { MeterStats } from './packet-log.js';
import { SERVER4, SERVER6 } from './topologies.js';
import { until } from './until.js';

export interface MeterOptions {
  /** time between two packets, 1 ms or more; default 5 */
  readonly intervalMs?: number;
  /** default 4 */
  readonly family?: 4 | 6;
  /** address in the node `internet`; default the server */
  readonly address?: string;
  /** UDP payload, 4 or more; default 64 */
  readonly payloadBytes?: number;
  /** a packet not back after this is lost; default 1000 */
  readonly graceMs?: number;
  /** silences longer than this are listed as gaps; default 4 intervals */
  readonly gapThresholdMs?: number;
}

/** Where a meter lives; the lab fills this in. */
export interface MeterPlace {
  readonly clientNamespace: string;
  readonly serverNamespace: string;
  readonly filesDir: string;
  readonly id: string;
}

/** Starts both processes; resolves with the first echo, or after 1 s without one (the network may be down on purpose). */
export async function startMeter(place: MeterPlace, options: MeterOptions): Promise<Meter> {
  const { intervalMs = 5, family = 4, payloadBytes = 64, graceMs = 1000, gapThresholdMs = 4 * intervalMs } = options;
  if (!(intervalMs >= 1)) throw new LabError(`a meter's interval is 1 ms or more, not ${intervalMs}`);
  if (!(payloadBytes >= 4)) throw new LabError(`a meter's payload is 4 bytes or more, not ${payloadBytes}`);
  const address = options.address ?? (family === 4 ? SERVER4 : SERVER6);
  const port = randomInt(20_000, 60_000);
  const socketPath = join(place.filesDir, `${place.id}.sock`);
  const logPath = join(place.filesDir, `${place.id}.log`);
  const echo = startHelper({
    module: 'echo-process',
    args: [JSON.stringify([{ address, port }])],
    namespace: place.serverNamespace,
    logPath,
  });
  await echo.ready;
  const arg: MeterProcessOptions = { address, port, intervalMs, payloadBytes, graceMs, gapThresholdMs, socketPath };
  const sender = startHelper({ module: 'meter-process', args: [JSON.stringify(arg)], namespace: place.clientNamespace, logPath });
  try {
    await sender.ready;
  } catch (error) {
    echo.child.kill('SIGKILL');
    throw error;
  }
  const meter = new Meter(socketPath, [sender.child, echo.child], graceMs);
  await until(async () => (await meter.stats()).received > 0, 1000);
  return meter;
}

export interface SentPacket {
  readonly seq: number;
  /** CLOCK_MONOTONIC */
  readonly sentMs: number;
  /** null = not back (yet) */
  readonly arrivedMs: number | null;
}

export class Meter {
  readonly #socketPath: string;
  readonly #processes: readonly ChildProcess[];
  readonly #graceMs: number;

  constructor(socketPath: string, processes: readonly ChildProcess[], graceMs: number) {
    this.#socketPath = socketPath;
    this.#processes = processes;
    this.#graceMs = graceMs;
  }

  /** The count so far, of packets sent since `sinceMs` (CLOCK_MONOTONIC, e.g. a cut's `monotonicMs`); without it, of all. */
  async stats(sinceMs?: number): Promise<MeterStats> {
    return (await this.#ask({ do: 'stats', ...(sinceMs !== undefined && { sinceMs }) })) as MeterStats;
  }

  /** Every packet with its times. */
  async packets(sinceMs?: number): Promise<SentPacket[]> {
    return (await this.#ask({ do: 'packets', ...(sinceMs !== undefined && { sinceMs }) })) as SentPacket[];
  }

  /** Sends no more, waits for what is still on its way (the grace time at most), and gives the final count. Ends the meter. */
  async stop(sinceMs?: number): Promise<MeterStats> {
    await this.#ask({ do: 'stop-sending' });
    const settled = async () => {
      const { sent, received } = await this.stats();
      return sent === received;
    };
    await until(settled, this.#graceMs);
    const stats = (await this.#ask({ do: 'stats', final: true, ...(sinceMs !== undefined && { sinceMs }) })) as MeterStats;
    await this.#ask({ do: 'quit' });
    for (const child of this.#processes) child.kill('SIGKILL');
    return stats;
  }

  async #ask(command: MeterCommand): Promise<unknown> {
    return (await askControl(this.#socketPath, command)).result;
  }
}
