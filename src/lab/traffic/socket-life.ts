/**
 * What both ends of a TCP connection note of its life: when and how it ended, by the far side, the network or themselves.
 */
import { isIP, type Socket } from 'node:net';
import { monotonicMs } from '../clock.js';
import { takeSocketError, tcpRetransmissions } from '../libc.js';
import type { Endpoint } from './agent.js';

/** How a program learnt that its connection is over. */
export interface Closed {
  /** CLOCK_MONOTONIC */
  readonly atMs: number;
  /** `EOF`, an error code such as `ECONNRESET` or `ETIMEDOUT`, `idle-timeout`, or `ended-here` where it closed it itself */
  readonly how: string;
}

/** Calls back once. Nothing else need listen for `error`. */
export function watchClosing(socket: Socket, onClosed: (closed: Closed) => void): void {
  let told = false;
  const tell = (how: string) => {
    if (told) return;
    told = true;
    onClosed({ atMs: monotonicMs(), how });
  };
  socket.on('error', (error) => tell('code' in error ? String(error.code) : error.message));
  socket.on('end', () => tell(howEnded(socket)));
  socket.on('close', () => tell('ended-here'));
}

/** What an `end` really was. A reset that comes together with data is told as an end: libuv does so on POLLHUP after a short read. */
export function howEnded(socket: Socket): string {
  const fd = descriptorOf(socket);
  return (fd === null ? null : takeSocketError(fd)) ?? 'EOF';
}

/** The descriptor of an open socket; null once it is closed. Node keeps it in its handle and has no other way to tell. */
function descriptorOf(socket: Socket): number | null {
  const handle: unknown = Reflect.get(socket, '_handle');
  if (typeof handle !== 'object' || handle === null || !('fd' in handle) || typeof handle.fd !== 'number') return null;
  return handle.fd < 0 ? null : handle.fd;
}

/** Segments that were sent again so far; null where the socket is closed. */
export function retransmissionsOf(socket: Socket): number | null {
  const fd = descriptorOf(socket);
  return fd === null ? null : tcpRetransmissions(fd);
}

export function remoteOf(socket: Socket): Endpoint {
  const address = socket.remoteAddress ?? '';
  if (isIP(address) === 0) return { address: '', port: 0 };
  return { address, port: socket.remotePort ?? 0 };
}
