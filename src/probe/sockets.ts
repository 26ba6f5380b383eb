/**
 * The sockets that probing needs and Node does not have: marked, bound to a device, unprivileged ICMP.
 * src/kernel/sockets.ts provides them; the composition root hands them in (adapters do not import each other).
 */
import type { Family } from '../core/model.js';

export interface SocketSpec {
  readonly family: Family;
  /** `icmp` is SOCK_DGRAM with IPPROTO_ICMP(V6): a ping socket, no raw socket */
  readonly kind: 'icmp' | 'udp' | 'tcp';
  /** SO_MARK */
  readonly mark: number;
  /** SO_BINDTODEVICE */
  readonly device: string | null;
}

/** One entry of a socket's error queue (IP_RECVERR, ip(7)). */
export interface SocketError {
  /** e.g. `EHOSTUNREACH` */
  readonly errno: string;
  readonly origin: 'local' | 'icmp' | 'icmp6' | 'other';
  readonly icmpType: number;
  readonly icmpCode: number;
  /** the router that reported it */
  readonly offender: string | null;
  /** what we had sent, as the error quotes it, from our ICMP or UDP payload on */
  readonly quoted: Uint8Array;
}

export interface ProbeSockets {
  /** A non-blocking, close-on-exec file descriptor; icmp and udp have IP_RECVERR set. Throws an Error with `code` (EPERM, EACCES, ENODEV …). */
  open(spec: SocketSpec): number;
  /** Empties the error queue without blocking. */
  drainErrors(fd: number): SocketError[];
  /** For descriptors that no Node handle has taken over. */
  close(fd: number): void;
}
