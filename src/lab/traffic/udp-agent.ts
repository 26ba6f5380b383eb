/**
 * One end of a stream of UDP packets in both directions: sends numbered packets at its own pace, notes what arrives. The one
 * who was called learns the other's address from the newest packet and answers there, as media servers with symmetric RTP
 * (RFC 4961) and WireGuard peers do. Runs in a traffic host.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { monotonicMs } from '../clock.js';
import type { Agent, Endpoint } from './agent.js';

export interface UdpOptions {
  readonly family: 4 | 6;
  /** null = whatever the route says, packet by packet */
  readonly localAddress: string | null;
  /** 0 = any */
  readonly localPort: number;
  /** null = learnt from who calls */
  readonly remote: Endpoint | null;
  readonly intervalMs: number;
  /** UDP payload, 8 or more */
  readonly payloadBytes: number;
  /** packets with another number are strays */
  readonly stream: number;
}

/** A source from which packets came, and since when (CLOCK_MONOTONIC). */
export interface SeenSource extends Endpoint {
  readonly atMs: number;
}

export interface UdpReport {
  /** by sequence number, CLOCK_MONOTONIC */
  readonly sentMs: readonly number[];
  /** in order of arrival: sequence number, CLOCK_MONOTONIC */
  readonly arrivals: readonly (readonly [seq: number, atMs: number])[];
  /** each change of the other's address */
  readonly sources: readonly SeenSource[];
  /** packets that are not of this stream, or not from where the caller called: by `address port` */
  readonly strays: Readonly<Record<string, number>>;
  /** packets that the kernel refused to send, by error code; they are lost */
  readonly sendErrors: Readonly<Record<string, number>>;
}

export interface UdpTypes {
  readonly options: UdpOptions;
  readonly started: Endpoint;
  readonly report: UdpReport;
}

export async function startUdp(options: UdpOptions): Promise<Agent<Endpoint, UdpReport>> {
  const { family, localAddress, localPort, intervalMs, payloadBytes, stream } = options;
  const socket = createSocket({ type: family === 4 ? 'udp4' : 'udp6', ipv6Only: family === 6 });
  const bound = once(socket, 'listening');
  socket.bind({ address: localAddress ?? (family === 4 ? '0.0.0.0' : '::'), port: localPort, exclusive: true });
  await bound;
  // An error later on is an ICMP complaint about one packet; the stream goes on.
  socket.on('error', () => {});

  const sentMs: number[] = [];
  const arrivals: [number, number][] = [];
  const sources: SeenSource[] = [];
  const strays: Record<string, number> = {};
  const sendErrors: Record<string, number> = {};
  const outgoing = Buffer.alloc(payloadBytes);
  outgoing.writeUInt32BE(stream, 0);
  let remote = options.remote;
  let newest = -1;
  let timer: NodeJS.Timeout | undefined;
  let dueMs = monotonicMs();

  socket.on('message', (packet, { address, port }) => {
    const atMs = monotonicMs();
    const isOurs = packet.length >= 8 && packet.readUInt32BE(0) === stream;
    const called = options.remote;
    if (!isOurs || (called !== null && (called.address !== address || called.port !== port))) {
      const from = `${address} ${port}`;
      strays[from] = (strays[from] ?? 0) + 1;
      return;
    }
    const seq = packet.readUInt32BE(4);
    arrivals.push([seq, atMs]);
    if (seq <= newest) return;
    newest = seq;
    const last = sources.at(-1);
    if (last?.address === address && last.port === port) return;
    sources.push({ address, port, atMs });
    // Who is called answers at once and keeps that pace, not the one of the time when nobody had called.
    if (remote === null) dueMs = atMs;
    remote = { address, port };
    if (dueMs === atMs) tick();
  });

  const tick = () => {
    clearTimeout(timer);
    const nowMs = monotonicMs();
    if (nowMs >= dueMs) {
      if (remote !== null) {
        outgoing.writeUInt32BE(sentMs.length, 4);
        sentMs.push(nowMs);
        socket.send(outgoing, remote.port, remote.address, (error) => {
          if (error === null) return;
          const code = 'code' in error ? String(error.code) : error.message;
          sendErrors[code] = (sendErrors[code] ?? 0) + 1;
        });
      }
      // After a hold-up the missed packets are left out: a burst would hide that we did not send.
      dueMs += intervalMs * Math.max(1, Math.ceil((nowMs - dueMs) / intervalMs));
    }
    timer = setTimeout(tick, Math.max(1, dueMs - monotonicMs()));
  };
  tick();

  const { address, port } = socket.address();
  return {
    started: { address, port },
    report: () => ({ sentMs, arrivals, sources, strays, sendErrors }),
    quiet: () => clearTimeout(timer),
    close: () => {
      clearTimeout(timer);
      socket.close();
    },
  };
}
