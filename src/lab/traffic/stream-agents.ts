/**
 * A long TCP stream at a steady rate, one way: the server's and the client's end. The client asks with one line and from then
 * on only receives (download) or only sends (upload). Run in a traffic host.
 */
import { once } from 'node:events';
import { createServer, Socket } from 'node:net';
import { monotonicMs } from '../clock.js';
import type { Gap } from '../packet-log.js';
import type { Agent, Endpoint } from './agent.js';
import { misplacedIn, PATTERN_BYTES, pattern, Silences } from './arrivals.js';
import { type Closed, remoteOf, retransmissionsOf, watchClosing } from './socket-life.js';

export type Direction = 'download' | 'upload';

interface Rate {
  readonly bytesPerS: number;
  /** silences longer than this are gaps */
  readonly gapThresholdMs: number;
}

export interface StreamServerOptions extends Rate {
  readonly address: string;
  /** 0 = any */
  readonly port: number;
  readonly direction: Direction;
}

export interface StreamClientOptions extends Rate {
  readonly address: string;
  readonly port: number;
  readonly localAddress: string | null;
  readonly direction: Direction;
  /** null = one connection only; otherwise the pause before the next */
  readonly reconnectMs: number | null;
  /** a connection that is not there after this is given up */
  readonly connectTimeoutMs: number;
  /** null = a silence is borne for ever, as most programs do; otherwise it is given up after so long */
  readonly idleTimeoutMs: number | null;
}

/** One end of one connection. */
export interface ConnectionEnd {
  /** counts the client's connections; known to both ends */
  readonly number: number;
  readonly openedMs: number;
  /** of the other end, as seen here */
  readonly remote: Endpoint;
  /** received in order, or handed to the kernel for sending */
  readonly bytes: number;
  /** received, but not what belongs there */
  readonly misplaced: number;
  /** segments that this end sent again */
  readonly retransmissions: number;
  readonly closed: Closed | null;
}

export interface StreamEndReport {
  readonly connections: readonly ConnectionEnd[];
  /** of what was received here, over all connections */
  readonly gaps: readonly Gap[];
  /** client alone: attempts that failed */
  readonly failedConnects: readonly Closed[];
}

export interface StreamServerTypes {
  readonly options: StreamServerOptions;
  readonly started: Endpoint;
  readonly report: StreamEndReport;
}

export interface StreamClientTypes {
  readonly options: StreamClientOptions;
  readonly started: null;
  readonly report: StreamEndReport;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const TICK_MS = 10;
/** What may wait in our own process for a connection that takes nothing: beyond it the sender waits too. */
const BACKLOG_BYTES = 256 * 1024;

class End {
  readonly #ends: Mutable<ConnectionEnd>[] = [];
  readonly #silences: Silences;
  readonly #rate: Rate;
  readonly #sockets = new Set<Socket>();
  readonly #tickers = new Set<NodeJS.Timeout>();
  readonly failedConnects: Closed[] = [];

  constructor(rate: Rate) {
    this.#rate = rate;
    this.#silences = new Silences(rate.gapThresholdMs);
  }

  /** Of a connection that stands. */
  note(socket: Socket, number: number): Mutable<ConnectionEnd> {
    const end = {
      number,
      openedMs: monotonicMs(),
      remote: remoteOf(socket),
      bytes: 0,
      misplaced: 0,
      retransmissions: 0,
      closed: null as Closed | null,
    };
    this.#ends.push(end);
    this.#sockets.add(socket);
    watchClosing(socket, (closed) => {
      end.closed = closed;
      this.#sockets.delete(socket);
    });
    return end;
  }

  /** @returns what takes a block that was read already */
  receive(socket: Socket, end: Mutable<ConnectionEnd>): (block: Buffer) => void {
    this.#silences.expected();
    const take = (block: Buffer) => {
      this.#silences.arrived(monotonicMs());
      const misplaced = misplacedIn(block, end.bytes + end.misplaced);
      end.misplaced += misplaced;
      end.bytes += block.length - misplaced;
    };
    socket.on('data', take);
    return take;
  }

  send(socket: Socket, end: Mutable<ConnectionEnd>): void {
    socket.setNoDelay(true);
    let owed = 0;
    let lastMs = monotonicMs();
    const ticker = setInterval(() => {
      const nowMs = monotonicMs();
      owed = Math.min(owed + ((nowMs - lastMs) * this.#rate.bytesPerS) / 1000, this.#rate.bytesPerS);
      lastMs = nowMs;
      end.retransmissions = retransmissionsOf(socket) ?? end.retransmissions;
      for (let bytes = Math.floor(owed); bytes > 0 && socket.writableLength < BACKLOG_BYTES; bytes = Math.floor(owed)) {
        const block = pattern(end.bytes, Math.min(bytes, PATTERN_BYTES));
        socket.write(block);
        end.bytes += block.length;
        owed -= block.length;
      }
    }, TICK_MS);
    this.#tickers.add(ticker);
    socket.once('close', () => {
      clearInterval(ticker);
      this.#tickers.delete(ticker);
    });
  }

  silenceIsNone(): void {
    this.#silences.ended(monotonicMs());
  }

  report(): StreamEndReport {
    return { connections: this.#ends, gaps: this.#silences.gaps(monotonicMs()), failedConnects: this.failedConnects };
  }

  quiet(): void {
    this.silenceIsNone();
    for (const ticker of this.#tickers) clearInterval(ticker);
  }

  close(): void {
    this.quiet();
    for (const socket of this.#sockets) socket.destroy();
  }
}

export async function startStreamServer(options: StreamServerOptions): Promise<Agent<Endpoint, StreamEndReport>> {
  const { address, direction } = options;
  const ends = new End(options);
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (line) => {
      const end = ends.note(socket, Number.parseInt(line.toString('latin1'), 10));
      if (direction === 'download') ends.send(socket, end);
      else {
        const take = ends.receive(socket, end);
        const rest = line.subarray(line.indexOf('\n') + 1);
        if (rest.length > 0) take(rest);
        socket.once('close', () => ends.silenceIsNone());
      }
      socket.resume();
    });
  });
  server.listen(options.port, address);
  await once(server, 'listening');
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : options.port;
  return {
    started: { address, port },
    report: () => ends.report(),
    quiet: () => ends.quiet(),
    close: () => {
      server.close();
      ends.close();
    },
  };
}

export async function startStreamClient(options: StreamClientOptions): Promise<Agent<null, StreamEndReport>> {
  const { address, port, localAddress, direction, reconnectMs, connectTimeoutMs, idleTimeoutMs } = options;
  const ends = new End(options);
  let number = 0;
  let wanted = true;
  let timer: NodeJS.Timeout | undefined;

  const connect = () => {
    const socket = new Socket();
    const again = () => {
      if (reconnectMs !== null && wanted) timer = setTimeout(connect, reconnectMs);
      else ends.silenceIsNone();
    };
    const fail = (how: string) => {
      clearTimeout(deadline);
      ends.failedConnects.push({ atMs: monotonicMs(), how });
      again();
    };
    const deadline = setTimeout(() => {
      socket.off('error', onError);
      socket.destroy();
      fail('connect-timeout');
    }, connectTimeoutMs);
    const onError = (error: Error) => fail('code' in error ? String(error.code) : error.message);
    socket.once('error', onError);
    socket.once('connect', () => {
      clearTimeout(deadline);
      socket.off('error', onError);
      if (!wanted) {
        socket.destroy();
        return;
      }
      const end = ends.note(socket, number);
      socket.write(`${number++}\n`);
      if (direction === 'download') ends.receive(socket, end);
      else ends.send(socket, end);
      if (idleTimeoutMs !== null) {
        socket.setTimeout(idleTimeoutMs, () => socket.destroy(Object.assign(new Error('silence'), { code: 'idle-timeout' })));
      }
      socket.resume();
      socket.once('close', again);
    });
    socket.connect({ host: address, port, ...(localAddress !== null && { localAddress }) });
  };
  connect();

  return {
    started: null,
    report: () => ends.report(),
    quiet: () => {
      wanted = false;
      clearTimeout(timer);
      ends.quiet();
    },
    close: () => {
      wanted = false;
      clearTimeout(timer);
      ends.close();
    },
  };
}
