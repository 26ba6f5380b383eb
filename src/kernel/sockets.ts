/**
 * Sockets that Node cannot open: marked, bound to a device, unprivileged ICMP; and their error queues (ip(7) IP_RECVERR).
 * Knows nothing of what is sent through them. Its shape is what src/probe/ asks for; the daemon joins the two.
 */
import type { Family } from '../core/model.js';
import { errnoName } from './error.js';
import * as libc from './libc.js';
import { formatAddress } from './netlink/address.js';
import { setReceiveBuffer } from './netlink/session.js';

const IPPROTO_IP = 0;
const IPPROTO_ICMP = 1;
const IPPROTO_IPV6 = 41;
const IPPROTO_ICMPV6 = 58;
const IP_RECVERR = 11;
const IPV6_RECVERR = 25;
/** struct sock_extended_err: errno u32, origin u8, type u8, code u8, pad, info u32, data u32; the offender's sockaddr follows. */
const EXTENDED_ERR_BYTES = 16;
/** struct cmsghdr of the 64-bit ABI: length u64, level i32, type i32. */
const CMSG_HEADER_BYTES = 16;
/**
 * The kernel's default of 208 KiB holds some 270 short answers: 512 targets asked ten times a second overflow it when the process
 * does not run for 150 ms, and answers that came would count as lost. Memory is taken only by what waits.
 */
const RECEIVE_BUFFER_BYTES = 4 << 20;
/** ee_origin 0..3: none, local, ICMP, ICMPv6. */
const ORIGINS = ['other', 'local', 'icmp', 'icmp6'] as const;
/** An error queue holds at most what the receive buffer takes, some hundreds; this bounds one visit all the same. */
const DRAIN_LIMIT = 4096;

export interface SocketSpec {
  readonly family: Family;
  /** `icmp` is SOCK_DGRAM with IPPROTO_ICMP(V6): a ping socket, no raw socket */
  readonly kind: 'icmp' | 'udp' | 'tcp';
  /** SO_MARK; 0 = unmarked */
  readonly mark: number;
  /** SO_BINDTODEVICE */
  readonly device: string | null;
}

/** One entry of a socket's error queue. */
export interface SocketError {
  /** e.g. `EHOSTUNREACH` */
  readonly errno: string;
  readonly origin: 'local' | 'icmp' | 'icmp6' | 'other';
  readonly icmpType: number;
  readonly icmpCode: number;
  /** the router that reported it; null for local errors */
  readonly offender: string | null;
  /** what we had sent, from our ICMP header or UDP payload on; as much of it as the error quoted */
  readonly quoted: Uint8Array;
}

/**
 * A non-blocking, close-on-exec descriptor; icmp and udp have IP_RECVERR set, so the error queue must be drained or libuv
 * spins. Throws a KernelError: EACCES (ping_group_range), EPERM (mark or device without CAP_NET_ADMIN / CAP_NET_RAW),
 * ENODEV (no such device), EAFNOSUPPORT (no IPv6).
 */
export function openSocket(spec: SocketSpec): number {
  const v6 = spec.family === 6;
  const type = spec.kind === 'tcp' ? libc.SOCK_STREAM : libc.SOCK_DGRAM;
  const protocol = spec.kind !== 'icmp' ? 0 : v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
  const fd = libc.socket(v6 ? libc.AF_INET6 : libc.AF_INET, type | libc.SOCK_CLOEXEC | libc.SOCK_NONBLOCK, protocol);
  try {
    if (spec.mark !== 0) libc.setsockoptInt(fd, libc.SOL_SOCKET, libc.SO_MARK, spec.mark);
    if (spec.device !== null) libc.setsockopt(fd, libc.SOL_SOCKET, libc.SO_BINDTODEVICE, Buffer.from(`${spec.device}\0`));
    if (spec.kind !== 'tcp') {
      setReceiveBuffer(fd, RECEIVE_BUFFER_BYTES);
      if (v6) libc.setsockoptInt(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
      else libc.setsockoptInt(fd, IPPROTO_IP, IP_RECVERR, 1);
    }
  } catch (error) {
    libc.close(fd);
    throw error;
  }
  return fd;
}

/** Empties the error queue without blocking. Throws a KernelError only for a descriptor that is none (EBADF, ENOTSOCK). */
export function drainSocketErrors(fd: number): SocketError[] {
  const errors: SocketError[] = [];
  for (let count = 0; count < DRAIN_LIMIT; count++) {
    const message = libc.recvmsg(fd, libc.MSG_ERRQUEUE | libc.MSG_DONTWAIT);
    if (message === null) break;
    const error = parseErrorControl(message.control, Buffer.from(message.data));
    if (error !== null) errors.push(error);
  }
  return errors;
}

/** The IP_RECVERR control message among those of one recvmsg. Pure; null when there is none or it is cut short. */
export function parseErrorControl(control: Buffer, quoted: Uint8Array): SocketError | null {
  for (let at = 0; control.length - at >= CMSG_HEADER_BYTES; ) {
    const length = Number(control.readBigUInt64LE(at));
    if (length < CMSG_HEADER_BYTES || length > control.length - at) return null;
    const level = control.readInt32LE(at + 8);
    const type = control.readInt32LE(at + 12);
    const ours = (level === IPPROTO_IP && type === IP_RECVERR) || (level === IPPROTO_IPV6 && type === IPV6_RECVERR);
    if (ours && length >= CMSG_HEADER_BYTES + EXTENDED_ERR_BYTES) {
      return parseExtendedError(control.subarray(at + CMSG_HEADER_BYTES, at + length), quoted);
    }
    at += (length + 7) & ~7;
  }
  return null;
}

function parseExtendedError(bytes: Buffer, quoted: Uint8Array): SocketError {
  return {
    errno: errnoName(bytes.readUInt32LE(0)),
    origin: ORIGINS[bytes[4] ?? 0] ?? 'other',
    icmpType: bytes[5] ?? 0,
    icmpCode: bytes[6] ?? 0,
    offender: offenderAddress(bytes.subarray(EXTENDED_ERR_BYTES)),
    quoted,
  };
}

/** SO_EE_OFFENDER: a sockaddr_in or sockaddr_in6, family 0 for none. */
function offenderAddress(sockaddr: Buffer): string | null {
  if (sockaddr.length < 8) return null;
  const family = sockaddr.readUInt16LE(0);
  if (family === libc.AF_INET) return formatAddress(4, sockaddr.subarray(4, 8));
  if (family === libc.AF_INET6 && sockaddr.length >= 24) return formatAddress(6, sockaddr.subarray(8, 24));
  return null;
}

/** All three as one object, as src/probe/sockets.ts wants them. */
export const kernelSockets = {
  open: openSocket,
  drainErrors: drainSocketErrors,
  close: libc.close,
} as const;
