/**
 * Many short TCP connections, each with one small question: the server tells the client from where it saw it coming, and hangs
 * up. Both ends. Run in a traffic host.
 */
import { once } from 'node:events';
import { createServer, Socket } from 'node:net';
import { monotonicMs } from '../clock.js';
import type { Agent, Endpoint } from './agent.js';
import { howEnded, remoteOf } from './socket-life.js';

export interface ConnectionsServerOptions extends Endpoint {}

export interface ConnectionsServerReport {
  /** accepted so far */
  readonly accepted: number;
}

export interface ConnectionsClientOptions {
  readonly address: string;
  readonly port: number;
  readonly localAddress: string | null;
  readonly count: number;
  /** begun each second, evenly */
  readonly perS: number;
  /** no more than so many at once: beyond it the next ones wait */
  readonly atOnce: number;
  /** a connection without its answer after this has failed */
  readonly timeoutMs: number;
}

export interface ShortConnection {
  /** CLOCK_MONOTONIC */
  readonly startedMs: number;
  /** to the end of the answer, or to the failure; null = not over yet */
  readonly tookMs: number | null;
  /** null = answered, or not over yet; otherwise an error code, `EOF` before the whole answer, or `timeout` */
  readonly error: string | null;
  /** none was in use shortly before */
  readonly localPort: number;
  /** from where the server saw it coming; null = no answer */
  readonly source: Endpoint | null;
}

export interface ConnectionsClientReport {
  readonly connections: readonly ShortConnection[];
}

export interface ConnectionsServerTypes {
  readonly options: ConnectionsServerOptions;
  readonly started: Endpoint;
  readonly report: ConnectionsServerReport;
}

export interface ConnectionsClientTypes {
  readonly options: ConnectionsClientOptions;
  readonly started: null;
  readonly report: ConnectionsClientReport;
}

const TICK_MS = 5;

/**
 * Of which ports a client calls, one after the other. The kernel's own choice (32768 and above) begins elsewhere every 10 s
 * and then takes some again that were just in use (docs/ground.md): two connections would be one to conntrack, and to whoever
 * counts them there. Below that range nobody else here takes any.
 */
const PORTS = { first: 10_000, count: 22_768 };
/** All clients of this host draw from it: none repeats a port before all were in use. */
let portsDrawn = Math.floor(Math.random() * PORTS.count);

function drawPort(): number {
  return PORTS.first + (portsDrawn++ % PORTS.count);
}
const QUESTION = `where do I come from? ${'.'.repeat(100)}\n`;

export async function startConnectionsServer(
  options: ConnectionsServerOptions,
): Promise<Agent<Endpoint, ConnectionsServerReport>> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  const server = createServer({ noDelay: true }, (socket) => {
    accepted++;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    const { address, port } = remoteOf(socket);
    let heard = 0;
    socket.on('data', (part) => {
      heard += part.length;
      if (heard === QUESTION.length) socket.end(`${address} ${port}\n`);
    });
  });
  server.listen({ host: options.address, port: options.port, backlog: 4096 });
  await once(server, 'listening');
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : options.port;
  return {
    started: { address: options.address, port },
    report: () => ({ accepted }),
    quiet: () => {},
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

export async function startConnectionsClient(options: ConnectionsClientOptions): Promise<Agent<null, ConnectionsClientReport>> {
  const { address, port, localAddress, count, perS, atOnce, timeoutMs } = options;
  const connections: ShortConnection[] = [];
  const open = new Set<Socket>();
  const beganMs = monotonicMs();

  const begin = () => {
    const socket = new Socket();
    const at = connections.length;
    const startedMs = monotonicMs();
    const localPort = drawPort();
    let answer = '';
    connections.push({ startedMs, tookMs: null, error: null, localPort, source: null });
    open.add(socket);
    const over = (error: string | null, source: Endpoint | null) => {
      if (!open.delete(socket)) return;
      clearTimeout(deadline);
      connections[at] = { startedMs, tookMs: monotonicMs() - startedMs, error, localPort, source };
      socket.destroy();
    };
    const deadline = setTimeout(() => over('timeout', null), timeoutMs);
    socket.on('error', (error) => over('code' in error ? String(error.code) : error.message, null));
    socket.on('connect', () => socket.write(QUESTION));
    socket.on('data', (part) => {
      answer += part.toString('latin1');
    });
    socket.on('end', () => {
      const [, seen = '', seenPort = ''] = /^(\S+) (\d+)\n$/.exec(answer) ?? [];
      if (seen === '') over(howEnded(socket), null);
      else over(null, { address: seen, port: Number(seenPort) });
    });
    socket.connect({ host: address, port, noDelay: true, localPort, ...(localAddress !== null && { localAddress }) });
  };

  const ticker = setInterval(() => {
    const due = Math.min(count, Math.floor(((monotonicMs() - beganMs) * perS) / 1000) + 1);
    while (connections.length < due && open.size < atOnce) begin();
    if (connections.length === count) clearInterval(ticker);
  }, TICK_MS);

  return {
    started: null,
    report: () => ({ connections }),
    quiet: () => clearInterval(ticker),
    close: () => {
      clearInterval(ticker);
      for (const socket of open) socket.destroy();
    },
  };
}
