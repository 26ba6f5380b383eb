/**
 * From errno and error queue to a reason and a sentence. Knows nothing of who asked or what happens next.
 * errno(3), ip(7) IP_RECVERR, icmp(7).
 */
import type { Family, LossReason } from '../core/model.js';
import { judgeIcmpError } from './icmp-packet.js';
import type { SocketError, SocketSpec } from './sockets.js';

export interface Failure {
  readonly reason: LossReason;
  readonly detail: string;
}

/** The errno's name of an Error as Node and the socket provider throw it; the message where there is none. */
export function codeOf(error: unknown): string {
  if (error instanceof Error) return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
  return String(error);
}

/** What the kernel means on sending or connecting: it is about this machine's routes, links and rules, not about the far end. */
const LOCAL: Readonly<Record<string, Failure>> = {
  ENETUNREACH: { reason: 'no-route', detail: 'no route: network unreachable' },
  EHOSTUNREACH: { reason: 'no-route', detail: 'no route: host unreachable' },
  ENETDOWN: { reason: 'no-route', detail: 'the interface is down' },
  ENODEV: { reason: 'no-route', detail: 'the interface does not exist' },
  ENXIO: { reason: 'no-route', detail: 'the interface does not exist' },
  EADDRNOTAVAIL: { reason: 'no-route', detail: 'no usable source address' },
  EAFNOSUPPORT: { reason: 'no-route', detail: 'this machine does not speak that IP version' },
  EPERM: { reason: 'local-fault', detail: 'a firewall of this machine refuses the probe (EPERM)' },
  EACCES: {
    reason: 'local-fault',
    detail: 'this machine refuses the probe (EACCES): prohibit route, broadcast address or filter',
  },
};

/** Why the kernel refused to send. */
export function sendFailure(code: string): Failure {
  return LOCAL[code] ?? { reason: 'local-fault', detail: `sending failed: ${code}` };
}

/** Why no socket could be had. */
export function openFailure(code: string, spec: SocketSpec): Failure {
  if (code === 'EACCES' && spec.kind === 'icmp') {
    const detail = 'ping socket refused (EACCES): net.ipv4.ping_group_range must hold the group of this process';
    return { reason: 'local-fault', detail };
  }
  if (code === 'EPERM' || code === 'EACCES') {
    const needs = spec.device === null ? 'CAP_NET_ADMIN' : 'CAP_NET_ADMIN and CAP_NET_RAW';
    return { reason: 'local-fault', detail: `marked ${spec.kind} socket refused (${code}): the process needs ${needs}` };
  }
  if (code === 'ENODEV' || code === 'ENXIO') {
    return { reason: 'no-route', detail: `interface ${spec.device ?? ''} does not exist`.replace('  ', ' ') };
  }
  return LOCAL[code] ?? { reason: 'local-fault', detail: `no ${spec.kind} socket: ${code}` };
}

/** A socket with such an error is of no use any more: its interface is gone, or the descriptor is not ours. */
export function breaksSocket(code: string): boolean {
  return ['EBADF', 'ENODEV', 'ENXIO', 'ENOTSOCK', 'ERR_SOCKET_DGRAM_NOT_RUNNING'].includes(code);
}

/** What an entry of the error queue says about the probe that it quotes; null = nothing against it. */
export function queuedFailure(entry: SocketError, family: Family): Failure | null {
  if (entry.origin === 'local') return sendFailure(entry.errno);
  if (entry.origin === 'other') return null;
  const verdict = judgeIcmpError(family, entry.icmpType, entry.icmpCode);
  if (verdict === null) return null;
  return { reason: verdict.reason, detail: `${verdict.text}${entry.offender === null ? '' : `, says ${entry.offender}`}` };
}
