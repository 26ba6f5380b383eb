/**
 * Flows of UDP packets in both directions, each side at its own pace: a call of 50 packets a second with a media server, and
 * the keepalives of a tunnel. Counts each direction by itself, because both ends share one clock.
 */
import { randomInt } from 'node:crypto';
import { monotonicMs } from '../clock.js';
import { LabError } from '../errors.js';
import type { Lab } from '../lab.js';
import { type Gap, PacketLog } from '../packet-log.js';
import { until } from '../until.js';
import { type RemoteAgent, startAgent } from './host.js';
import { endsOf, type Place, uplinkOf } from './places.js';
import type { SeenSource, UdpReport } from './udp-agent.js';

export interface CallOptions extends Place {
  /** default 20: 50 packets a second */
  readonly intervalMs?: number;
  /** UDP payload, 8 or more; default 172, as G.711 with 20 ms a packet has */
  readonly payloadBytes?: number;
  /** of the one who calls; default any free one */
  readonly localPort?: number;
  /** a packet not there after this is lost; default 1000 */
  readonly graceMs?: number;
  /** silences longer than this are gaps; default 2.5 intervals */
  readonly gapThresholdMs?: number;
}

/** One direction. `sent` = `received` + `lost` + `pending`. */
export interface DirectionReport {
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  readonly pending: number;
  readonly duplicates: number;
  readonly reordered: number;
  readonly longestGapMs: number;
  readonly gaps: readonly Gap[];
  /** when the last gap ended; null where there was none, and while it lasts */
  readonly resumedMs: number | null;
  readonly medianDelayMs: number | null;
  /** longest time between two sends: far above the interval, the sender was held up */
  readonly longestSendGapMs: number;
}

export interface CallReport {
  /** from the one who called to the one who answers */
  readonly out: DirectionReport;
  readonly back: DirectionReport;
  /** from where the one who answers saw the other coming, each change; `uplink` null = an address of none */
  readonly sources: readonly (SeenSource & { readonly uplink: string | null })[];
  /** packets that came to the caller from elsewhere than it had called, and strangers': by `address port` */
  readonly strays: Readonly<Record<string, number>>;
  /** packets that an end's own kernel refused to send, by error code; they count as lost */
  readonly sendErrors: Readonly<Record<string, number>>;
}

/** Resolves when both directions flow, or after 1 s without (the network may be down on purpose). */
export async function startCall(lab: Lab, options: CallOptions = {}): Promise<Call> {
  const { intervalMs = 20, payloadBytes = 172, localPort = 0, graceMs = 1000, gapThresholdMs = 2.5 * intervalMs } = options;
  if (!(intervalMs >= 1)) throw new LabError(`a call's interval is 1 ms or more, not ${intervalMs}`);
  if (!(payloadBytes >= 8)) throw new LabError(`a call's payload is 8 bytes or more, not ${payloadBytes}`);
  const { family, from, localAddress, to, listen, target } = endsOf(options);
  const both = { family, intervalMs, payloadBytes, stream: randomInt(2 ** 32) };
  const answerer = await startAgent(lab, to, 'ahead', 'udp', {
    ...both,
    localAddress: listen.address,
    localPort: listen.port,
    remote: null,
  });
  let caller: RemoteAgent<'udp'>;
  try {
    const remote = target(answerer.started);
    caller = await startAgent(lab, from, 'ahead', 'udp', { ...both, localAddress, localPort, remote });
  } catch (error) {
    await answerer.close();
    throw error;
  }
  const call = new Call(lab, caller, answerer, { graceMs, gapThresholdMs });
  await until(async () => (await call.report()).back.received > 0, 1000);
  return call;
}

/** As WireGuard with persistent keepalives: fixed ports, a small packet each way every second (25 s in earnest), peers that roam. */
export function startKeepalive(lab: Lab, options: CallOptions = {}): Promise<Call> {
  const { intervalMs = 1000, payloadBytes = 32, localPort = 51_820, listen } = options;
  return startCall(lab, { ...options, intervalMs, payloadBytes, localPort, listen: { port: 51_820, ...listen } });
}

export class Call {
  readonly #lab: Lab;
  readonly #caller: RemoteAgent<'udp'>;
  readonly #answerer: RemoteAgent<'udp'>;
  readonly #judging: { readonly graceMs: number; readonly gapThresholdMs: number };

  constructor(
    lab: Lab,
    caller: RemoteAgent<'udp'>,
    answerer: RemoteAgent<'udp'>,
    judging: { readonly graceMs: number; readonly gapThresholdMs: number },
  ) {
    this.#lab = lab;
    this.#caller = caller;
    this.#answerer = answerer;
    this.#judging = judging;
  }

  /** Of packets sent since `sinceMs` (CLOCK_MONOTONIC, e.g. a cut's `monotonicMs`); without it, of all. Sources and strays: of all. */
  report(sinceMs?: number): Promise<CallReport> {
    return this.#report(sinceMs, false);
  }

  /** Sends no more, waits for what is still on its way (the grace time at most), and gives the final count. */
  async stop(sinceMs?: number): Promise<CallReport> {
    await Promise.all([this.#caller.quiet(), this.#answerer.quiet()]);
    const settled = async () => {
      const { out, back } = await this.report();
      return out.pending + back.pending === 0;
    };
    await until(settled, this.#judging.graceMs, 20);
    const report = await this.#report(sinceMs, true);
    await Promise.all([this.#caller.close(), this.#answerer.close()]);
    return report;
  }

  async #report(sinceMs: number | undefined, ended: boolean): Promise<CallReport> {
    const [caller, answerer] = await Promise.all([this.#caller.report(), this.#answerer.report()]);
    const direction = (sender: UdpReport, receiver: UdpReport): DirectionReport => {
      const log = new PacketLog();
      for (const atMs of sender.sentMs) log.sent(atMs);
      for (const [seq, atMs] of receiver.arrivals) log.arrived(seq, atMs);
      const { graceMs, gapThresholdMs } = this.#judging;
      const nowMs = monotonicMs();
      const query = { nowMs, gapThresholdMs, ended, ...(sinceMs !== undefined && { sinceMs }) };
      const { medianRttMs, ...stats } = log.stats({ ...query, graceMs: ended ? 0 : graceMs });
      const last = stats.gaps.at(-1);
      const lasts = last !== undefined && !receiver.arrivals.some(([, atMs]) => atMs >= last.toMs);
      return { ...stats, medianDelayMs: medianRttMs, resumedMs: last === undefined || lasts ? null : last.toMs };
    };
    return {
      out: direction(caller, answerer),
      back: direction(answerer, caller),
      sources: answerer.sources.map((source) => ({ ...source, uplink: uplinkOf(this.#lab.topology, source.address) })),
      strays: sum(caller.strays, answerer.strays),
      sendErrors: sum(caller.sendErrors, answerer.sendErrors),
    };
  }
}

function sum(...counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const total: Record<string, number> = {};
  for (const count of counts) for (const [key, value] of Object.entries(count)) total[key] = (total[key] ?? 0) + value;
  return total;
}
