/** What could not be done to open connections, as sentences with their remedy. Pure. */
import { KernelError } from '../error.js';

const NO_CONNTRACK = new Set(['EINVAL', 'EPROTONOSUPPORT', 'EOPNOTSUPP', 'ENOENT']);

function errnoOf(error: unknown): string {
  return error instanceof KernelError ? error.errno : '';
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Conntrack could not be read or emptied. @param what e.g. `open connections were not ended` */
export function conntrackProblem(what: string, error: unknown): string {
  const errno = errnoOf(error);
  if (errno === 'EPERM' || errno === 'EACCES') return `${what}: permission denied; the process needs CAP_NET_ADMIN`;
  if (NO_CONNTRACK.has(errno)) {
    return `${what}: the kernel does not offer connection tracking over netlink (${errno}); run: modprobe nf_conntrack_netlink`;
  }
  return `${what}: ${textOf(error)}; to do it by hand: conntrack -D -m MARK/MASK`;
}

export function deadSetProblem(set: string, error: unknown): string {
  const what = 'peers were not told by a reset';
  const errno = errnoOf(error);
  if (errno === 'ENOENT') {
    return `${what}: the nftables table inet backroute has no set ${set}; see whether nftables is installed (apt-get install nftables) and what \`backroute doctor\` says`;
  }
  if (errno === 'EPERM' || errno === 'EACCES') return `${what}: permission denied; the process needs CAP_NET_ADMIN`;
  if (errno === 'EINVAL') {
    return `${what}: the kernel refused elements for set ${set} (${textOf(error)}); see whether it supports nftables: modprobe nf_tables`;
  }
  return `${what}: ${textOf(error)}; see \`nft list set inet backroute ${set}\``;
}

export function bareAckProblem(error: unknown): string {
  const what = 'peers that only receive were not told at once';
  const errno = errnoOf(error);
  if (errno === 'EPERM' || errno === 'EACCES') return `${what}: permission denied; the process needs CAP_NET_RAW`;
  return `${what}: ${textOf(error)}; they learn it when they send`;
}

export function ownSocketsProblem(error: unknown): string {
  const what = "this machine's own connections were not ended";
  const errno = errnoOf(error);
  if (errno === 'EPERM' || errno === 'EACCES') return `${what}: permission denied; the process needs CAP_NET_ADMIN`;
  if (errno === 'EOPNOTSUPP') {
    return `${what}: the kernel was built without INET_DIAG_DESTROY; restart the services that hang, or use a kernel of the distribution`;
  }
  if (errno === 'ENOENT' || errno === 'EINVAL')
    return `${what}: the kernel does not list sockets (${errno}); run: modprobe tcp_diag`;
  return `${what}: ${textOf(error)}; to do it by hand: ss -K dst ADDRESS`;
}

export function limitProblem(told: number, of: number): string {
  return `only the ${told} most recently active of ${of} TCP connections were told by a reset; the others learn it when they next send`;
}

export function markProblem(mark: number, mask: number): string {
  const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`;
  return `the mark ${hex(mark)}/${hex(mask)} belongs to no uplink: nothing was done; report this as a defect`;
}

export const FILTER_IGNORED =
  'nothing was done: the kernel lists connections of other marks than those asked for; use a kernel with NF_CONNTRACK_MARK';
