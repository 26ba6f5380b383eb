/**
 * Router advertisements as bytes: RFC 4861, 4.2 and 4.6. Written by strangers: what is malformed in any part is no
 * advertisement at all (6.1.2). Pure; knows no socket.
 */
import { formatAddress } from './netlink/address.js';

export const ROUTER_ADVERTISEMENT = 134;
const HEADER_BYTES = 16;
const SOURCE_LINK_LAYER_ADDRESS = 1;
const PREFIX_INFORMATION = 3;
const MAC_BYTES = 6;
/** An advertisement of more prefixes than this is told with these alone. */
const MAX_PREFIXES = 16;

export interface AdvertPacket {
  /** how long it offers itself as a default router; 0 = not (any more) */
  readonly lifetimeS: number;
  /** as its option says; null = none, or not of Ethernet's length */
  readonly mac: string | null;
  /** `address/length`, canonical, each once */
  readonly prefixes: readonly string[];
}

/** From the ICMPv6 header on. Null for what a host must discard. */
export function parseRouterAdvert(packet: Buffer): AdvertPacket | null {
  if (packet.length < HEADER_BYTES || packet[0] !== ROUTER_ADVERTISEMENT || packet[1] !== 0) return null;
  let mac: string | null = null;
  const prefixes = new Set<string>();
  for (let at = HEADER_BYTES; at < packet.length; ) {
    const length = (packet[at + 1] ?? 0) * 8;
    if (length === 0 || at + length > packet.length) return null;
    const option = packet.subarray(at, at + length);
    if (option[0] === SOURCE_LINK_LAYER_ADDRESS && length === 2 + MAC_BYTES) mac = macText(option.subarray(2));
    if (option[0] === PREFIX_INFORMATION && length === 32 && prefixes.size < MAX_PREFIXES) {
      const prefix = prefixText(option.subarray(16, 32), option[2] ?? 0);
      if (prefix !== null) prefixes.add(prefix);
    }
    at += length;
  }
  return { lifetimeS: packet.readUInt16BE(6), mac, prefixes: [...prefixes] };
}

function macText(bytes: Buffer): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** The bits beyond the length are to be ignored (4.6.2). */
function prefixText(address: Buffer, length: number): string | null {
  if (length > 128) return null;
  const bytes = Buffer.from(address);
  for (const [index, byte] of bytes.entries()) {
    const bits = Math.min(8, Math.max(0, length - 8 * index));
    bytes[index] = byte & (0xff << (8 - bits)) & 0xff;
  }
  return `${formatAddress(6, bytes)}/${length}`;
}
