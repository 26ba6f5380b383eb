/**
 * A marked datagram socket (ping or UDP) under libuv. Knows nothing of what is sent over it.
 */
import { createSocket, type Socket } from 'node:dgram';
import type { ProbeSockets, SocketSpec } from './sockets.js';

export interface Datagram {
  readonly socket: Socket;
  /** for the error queue alone; closed with the socket */
  readonly fd: number;
}

/** `listen` attaches the listeners before anything can arrive. Throws an Error with `code` where no socket can be had. */
export function openDatagram(sockets: ProbeSockets, spec: SocketSpec, listen: (socket: Socket) => void): Datagram {
  const fd = sockets.open(spec);
  const socket = createSocket({
    type: spec.family === 4 ? 'udp4' : 'udp6',
    // Addresses only: the default lookup would take another tick and an object for each datagram.
    lookup: (address, _options, callback) => callback(null, address, spec.family),
  });
  listen(socket);
  try {
    // Where binding takes a while dgram itself queues what is sent until then. `exclusive`: never by way of a cluster's master.
    socket.bind({ fd, exclusive: true });
  } catch (error) {
    socket.close();
    sockets.close(fd);
    throw error;
  }
  return { socket, fd };
}
