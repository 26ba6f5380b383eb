/**
 * A TCP connection over a marked socket, and what its failing means. Knows nothing of what is spoken over it.
 */
import { Socket } from 'node:net';
import type { ProbeAsk } from '../core/probe.js';
import { canonicalAddress } from './address.js';
import { codeOf, type Failure, openFailure, sendFailure } from './errors.js';
import type { ProbeSockets, SocketSpec } from './sockets.js';

const CONNECT_FAILURES: Readonly<Record<string, Failure>> = {
  ECONNREFUSED: { reason: 'refused', detail: 'connection refused' },
  EHOSTUNREACH: { reason: 'unreachable', detail: 'host unreachable: a router or the neighbour discovery says so' },
  ENETUNREACH: { reason: 'unreachable', detail: 'network unreachable: a router says so' },
  ETIMEDOUT: { reason: 'timeout', detail: 'no answer to the connection request' },
  ECONNRESET: { reason: 'bad-answer', detail: 'connection reset' },
};

export class MarkedConnection {
  readonly socket: Socket;
  /** TLS speaks over it and may shut it down unseen */
  wrapped = false;
  #failedAtOnce = false;

  constructor(socket: Socket) {
    this.socket = socket;
    // Node calls connect(2) in the next tick, and this runs right behind it: who is destroyed by then was refused by
    // our own kernel. The same errno later comes from a router.
    process.nextTick(() => {
      this.#failedAtOnce = socket.destroyed;
    });
  }

  /** What an error before 'connect' means. */
  connectFailure(error: unknown): Failure {
    const code = codeOf(error);
    if (this.#failedAtOnce && code !== 'ECONNREFUSED') return sendFailure(code);
    return CONNECT_FAILURES[code] ?? sendFailure(code);
  }

  /**
   * By reset, where that is possible: a probe per second need not leave a trail of sockets in TIME_WAIT. Not when a
   * shutdown may have begun (by HTTP after the response, by TLS): libuv then refuses the reset, Node takes it for done, and
   * the descriptor is lost, with process exit spinning for ever on the handle (uv_tcp_close_reset, Node 20).
   */
  end(): void {
    const { socket } = this;
    if (socket.connecting || socket.destroyed || socket.writableEnded || this.wrapped) socket.destroy();
    else socket.resetAndDestroy();
  }
}

/** Starts connecting to the ask's address; a Failure where that cannot even begin. The caller listens for 'connect' and 'error'. */
export function connectMarked(sockets: ProbeSockets, ask: ProbeAsk, port: number): MarkedConnection | Failure {
  const { family, mark, device, interface: interfaceName } = ask.path;
  const address = canonicalAddress(ask.address, family, interfaceName);
  if (address === null) return { reason: 'local-fault', detail: `${ask.address} is no IPv${family} address` };
  const spec: SocketSpec = { family, kind: 'tcp', mark, device };
  let fd: number;
  try {
    fd = sockets.open(spec);
  } catch (error) {
    return openFailure(codeOf(error), spec);
  }
  let socket: Socket;
  try {
    socket = new Socket({ fd });
  } catch (error) {
    sockets.close(fd);
    return { reason: 'local-fault', detail: `no TCP socket: ${codeOf(error)}` };
  }
  socket.connect({ host: address, port });
  return new MarkedConnection(socket);
}
