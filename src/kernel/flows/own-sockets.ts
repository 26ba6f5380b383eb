/**
 * This machine's own TCP sockets by addresses and ports, and their end (SOCK_DESTROY). linux/sock_diag.h, inet_diag.h, sock_diag(7).
 * A socket is only ever ended by the cookie that a listing gave: asked by addresses alone, the kernel takes the listening socket
 * where the connection itself is gone.
 */
import type { Family } from '../../core/model.js';
import { KernelError } from '../error.js';
import * as nl from '../netlink/constants.js';
import { MessageBuilder } from '../netlink/wire.js';
import { addressBytes, IPPROTO_TCP } from './conntrack.js';
import type { NetlinkPort } from './port.js';

const SOCK_DIAG_BY_FAMILY = 20;
const SOCK_DESTROY = 21;
const INET_DIAG_MARK = 15;
/** struct inet_diag_sockid: ports 2 × be16, addresses 2 × 16, interface u32, cookie 2 × u32 */
const SOCKID_BYTES = 48;
/** struct inet_diag_msg: 4 × u8, sockid, 5 × u32 */
const DIAG_BYTES = 4 + SOCKID_BYTES + 20;
/** established, syn-sent, fin-wait-1, fin-wait-2, close-wait, last-ack, closing: never one that listens */
const STATES = (1 << 1) | (1 << 2) | (1 << 4) | (1 << 5) | (1 << 8) | (1 << 9) | (1 << 11);
const MAPPED = Buffer.from('00000000000000000000ffff', 'hex');

export interface OwnSocket {
  /** AF_INET or AF_INET6, as the socket itself is */
  readonly domain: number;
  /** inet_diag_sockid as listed, cookie included */
  readonly id: Buffer;
}

/** Key of a socket by what it sees: local address, remote address, local port, remote port. */
export function socketKey(
  bytes: Buffer,
  local: number,
  remote: number,
  size: number,
  localPort: number,
  remotePort: number,
): string {
  return (
    bytes.toString('latin1', local, local + size) +
    bytes.toString('latin1', remote, remote + size) +
    String.fromCharCode(localPort, remotePort)
  );
}

export function listRequest(domain: number, sequence: number): Buffer {
  const body = Buffer.alloc(8 + SOCKID_BYTES);
  body[0] = domain;
  body[1] = IPPROTO_TCP;
  body.writeUInt32LE(STATES, 4);
  return new MessageBuilder(SOCK_DIAG_BY_FAMILY, nl.NLM_F_REQUEST | nl.NLM_F_DUMP, sequence).fixed(body).finish();
}

export function destroyRequest({ domain, id }: OwnSocket, sequence: number): Buffer {
  const body = Buffer.alloc(8 + SOCKID_BYTES);
  body[0] = domain;
  body[1] = IPPROTO_TCP;
  body.writeUInt32LE(STATES, 4);
  body.set(id, 8);
  return new MessageBuilder(SOCK_DESTROY, nl.NLM_F_REQUEST | nl.NLM_F_ACK, sequence).fixed(body).finish();
}

/** Those of one family, IPv4 through IPv6 sockets included. @param spare bits of SO_MARK that tell our own probes: left alone */
export function ownSockets(port: NetlinkPort, family: Family, spare: number): Map<string, OwnSocket> {
  const found = new Map<string, OwnSocket>();
  const domains = family === 4 ? [nl.AF_INET, nl.AF_INET6] : [nl.AF_INET6];
  for (const domain of domains) {
    const sequence = port.sequences(1);
    try {
      port.dump('listing own sockets', sequence, listRequest(domain, sequence), (bytes, start, end) => {
        const socket = readSocket(family, domain, bytes, start, end);
        if (socket !== null && (socket.mark & spare) === 0) found.set(socket.key, { domain, id: socket.id });
      });
    } catch (error) {
      // No IPv6 on this machine: then there are no IPv4 connections through such sockets either.
      if (!(error instanceof KernelError && error.errno === 'ENOENT' && domain === nl.AF_INET6)) throw error;
    }
  }
  return found;
}

/** One listed socket; null when it is of the other family. Pure. */
export function readSocket(
  family: Family,
  domain: number,
  bytes: Buffer,
  start: number,
  end: number,
): { readonly key: string; readonly id: Buffer; readonly mark: number } | null {
  if (end - start < DIAG_BYTES) return null;
  const id = start + 4;
  const size = addressBytes(family);
  let local = id + 4;
  let remote = id + 20;
  if (domain === nl.AF_INET6) {
    const mapped = MAPPED.compare(bytes, local, local + 12) === 0;
    if (mapped !== (family === 4)) return null;
    if (mapped) {
      local += 12;
      remote += 12;
    }
  }
  let mark = 0;
  for (let at = start + DIAG_BYTES; end - at >= 4; ) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || length > end - at) break;
    if (bytes.readUInt16LE(at + 2) === INET_DIAG_MARK && length >= 8) mark = bytes.readUInt32LE(at + 4);
    at += (length + 3) & ~3;
  }
  return {
    key: socketKey(bytes, local, remote, size, bytes.readUInt16BE(id), bytes.readUInt16BE(id + 2)),
    id: Buffer.from(bytes.subarray(id, id + SOCKID_BYTES)),
    mark,
  };
}

/** Ends it at once; false when it has ended meanwhile. Throws a KernelError: EOPNOTSUPP, EPERM. */
export function destroySocket(port: NetlinkPort, socket: OwnSocket): boolean {
  const sequence = port.sequences(1);
  try {
    port.ask('ending an own socket', sequence, destroyRequest(socket, sequence));
    return true;
  } catch (error) {
    if (error instanceof KernelError && (error.errno === 'ENOENT' || error.errno === 'ESTALE')) return false;
    throw error;
  }
}
