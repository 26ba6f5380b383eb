/**
 * A host of the flow tests: TCP servers and clients in one process, ordered about by lines of JSON on standard input. Tells on standard
 * output what became of each connection, and when (CLOCK_MONOTONIC, the same for every process of the machine). Ends with its input.
 */
import { createServer, connect as dial, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { howEnded } from '../../src/lab/traffic/socket-life.js';

/** `source`: sends without end, hears nothing. `sink`: hears, sends nothing. `echo`: sends back. */
export type ServerKind = 'source' | 'sink' | 'echo';
/** `mute`: sends nothing. `chatter`: a line each 20 ms. `counted`: bytes of a known sequence, and the echo must be the same. */
export type ClientKind = 'mute' | 'chatter' | 'counted';

export type PeerOrder =
  | { readonly do: 'listen'; readonly host: string; readonly port: number; readonly kind: ServerKind }
  | {
      readonly do: 'connect';
      readonly id: string;
      readonly host: string;
      readonly port: number;
      readonly kind: ClientKind;
      readonly from?: number;
    }
  | { readonly do: 'tell'; readonly id: string };

export type PeerNews =
  | { readonly news: 'ready' }
  | { readonly news: 'listening'; readonly port: number }
  | { readonly news: 'connected'; readonly id: string }
  /** `id` of what a server accepted is `in:PORT` */
  | { readonly news: 'closed'; readonly id: string; readonly atMs: number; readonly errno: string | null }
  | { readonly news: 'told'; readonly id: string; readonly received: number; readonly wrong: number; readonly open: boolean };

const TICK_MS = 20;

interface Watched {
  received: number;
  wrong: number;
  open: boolean;
}
const watched = new Map<string, Watched>();

function say(news: PeerNews): void {
  process.stdout.write(`${JSON.stringify(news)}\n`);
}

function watch(id: string, socket: Socket): Watched {
  const state: Watched = { received: 0, wrong: 0, open: true };
  watched.set(id, state);
  let errno: string | null = null;
  socket.on('error', (error: NodeJS.ErrnoException) => {
    errno = error.code ?? error.message;
  });
  socket.on('end', () => {
    const how = howEnded(socket);
    if (how !== 'EOF') errno = how;
  });
  socket.on('close', () => {
    state.open = false;
    say({ news: 'closed', id, atMs: Number(process.hrtime.bigint()) / 1e6, errno });
  });
  return state;
}

/** The byte that stands at this place of a counted stream. */
const byteAt = (place: number): number => (place * 131 + (place >> 8)) & 0xff;

function sendEachTick(socket: Socket, next: () => Buffer): void {
  const timer = setInterval(() => socket.write(next()), TICK_MS);
  socket.on('close', () => clearInterval(timer));
}

function obey(order: PeerOrder): void {
  if (order.do === 'tell') {
    const state = watched.get(order.id) ?? { received: -1, wrong: 0, open: false };
    say({ news: 'told', id: order.id, ...state });
  } else if (order.do === 'listen') {
    const server = createServer((socket) => {
      const state = watch(`in:${order.port}`, socket);
      socket.on('data', (data) => {
        state.received += data.length;
        if (order.kind === 'echo') socket.write(data);
      });
      if (order.kind === 'source') sendEachTick(socket, () => Buffer.alloc(1000));
    });
    server.listen(order.port, order.host, () => say({ news: 'listening', port: order.port }));
  } else {
    const socket = dial({
      host: order.host,
      port: order.port,
      noDelay: true,
      ...(order.from === undefined ? {} : { localPort: order.from }),
    });
    const state = watch(order.id, socket);
    socket.on('connect', () => say({ news: 'connected', id: order.id }));
    socket.on('data', (data) => {
      if (order.kind === 'counted') {
        for (const [at, byte] of data.entries()) if (byte !== byteAt(state.received + at)) state.wrong++;
      }
      state.received += data.length;
    });
    let sent = 0;
    if (order.kind === 'chatter') sendEachTick(socket, () => Buffer.from('hello\n'));
    if (order.kind === 'counted') {
      sendEachTick(socket, () => {
        const bytes = Buffer.from(Array.from({ length: 200 }, (_, at) => byteAt(sent + at)));
        sent += bytes.length;
        return bytes;
      });
    }
  }
}

if (process.argv[2] === 'peer') {
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => obey(JSON.parse(line) as PeerOrder));
  lines.on('close', () => process.exit(0));
  say({ news: 'ready' });
}
