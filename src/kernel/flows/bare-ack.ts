/**
 * A TCP segment without data, as if from the far side, with a sequence number that cannot be right: whoever holds the connection
 * answers it with an acknowledgement (RFC 9293 3.10.7.4, RFC 5961), and that meets the reset. Without it, one that only receives would
 * wait for ever. Raw sockets with our mark, so that conntrack does not see it. raw(7), ipv6(7).
 */
import type { Family } from '../../core/model.js';
import * as libc from '../libc.js';
import type { Endpoint } from './conntrack.js';

const IPPROTO_TCP = 6;
/** A raw socket of this protocol takes whole packets, header included, in both families. */
const IPPROTO_RAW = 255;
const TCP_BYTES = 20;
const TCP_ACK = 0x10;
const HOP_LIMIT = 64;
const HEADER_BYTES: Readonly<Record<Family, number>> = { 4: 20, 6: 40 };

/** The whole packet. Checksums as RFC 9293 and RFC 8200 8.1 have them; the kernel fills in that of the IPv4 header. Pure. */
export function bareAck(family: Family, from: Endpoint, to: Endpoint, sequence: number, acknowledged: number): Buffer {
  const offset = HEADER_BYTES[family];
  const packet = Buffer.alloc(offset + TCP_BYTES);
  if (family === 4) {
    packet[0] = 0x45;
    packet.writeUInt16BE(packet.length, 2);
    // don't fragment
    packet[6] = 0x40;
    packet[8] = HOP_LIMIT;
    packet[9] = IPPROTO_TCP;
    packet.set(from.address, 12);
    packet.set(to.address, 16);
  } else {
    packet[0] = 0x60;
    packet.writeUInt16BE(TCP_BYTES, 4);
    packet[6] = IPPROTO_TCP;
    packet[7] = HOP_LIMIT;
    packet.set(from.address, 8);
    packet.set(to.address, 24);
  }
  packet.writeUInt16BE(from.port, offset);
  packet.writeUInt16BE(to.port, offset + 2);
  packet.writeUInt32BE(sequence >>> 0, offset + 4);
  packet.writeUInt32BE(acknowledged >>> 0, offset + 8);
  packet[offset + 12] = (TCP_BYTES / 4) << 4;
  packet[offset + 13] = TCP_ACK;
  packet.writeUInt16BE(0xffff, offset + 14);
  packet.writeUInt16BE(checksum(packet, family === 4 ? 12 : 8), offset + 16);
  return packet;
}

/** Of the pseudo header's addresses, which lie just before the TCP header, and the segment. */
function checksum(packet: Buffer, from: number): number {
  let sum = IPPROTO_TCP + TCP_BYTES;
  for (let at = from; at < packet.length; at += 2) sum += packet.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function socketAddress(family: Family, address: Buffer): Buffer {
  const bytes = Buffer.alloc(family === 4 ? 16 : 28);
  bytes.writeUInt16LE(family === 4 ? libc.AF_INET : libc.AF_INET6, 0);
  bytes.set(address, family === 4 ? 4 : 8);
  return bytes;
}

/** Who is told, and as whom. */
export interface Prod {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly sequence: number;
}

/**
 * Sends one to each; how many left. Single ones that cannot be sent (a neighbour that is gone) are passed over. Throws a
 * KernelError where none can: EPERM without CAP_NET_RAW or CAP_NET_ADMIN.
 */
export function sendBareAcks(family: Family, mark: number, prods: readonly Prod[]): number {
  if (prods.length === 0) return 0;
  const domain = family === 4 ? libc.AF_INET : libc.AF_INET6;
  const fd = libc.socket(domain, libc.SOCK_RAW | libc.SOCK_CLOEXEC | libc.SOCK_NONBLOCK, IPPROTO_RAW);
  let sent = 0;
  try {
    libc.setsockoptInt(fd, libc.SOL_SOCKET, libc.SO_MARK, mark);
    for (const { from, to, sequence } of prods) {
      try {
        libc.sendto(fd, bareAck(family, from, to, sequence, ~sequence), socketAddress(family, to.address));
        sent++;
      } catch {
        // Told by their next packet instead.
      }
    }
  } finally {
    libc.close(fd);
  }
  return sent;
}
