/**
 * ICMP and ICMPv6 echo as bytes, and the names of the errors that quote it. Pure: no sockets, no clock, no randomness.
 * RFC 792, RFC 4443. On a ping socket the kernel fills in identifier and checksum and checks them on arrival (icmp(7)).
 */
import type { Family, LossReason } from '../core/model.js';

/** type, code, checksum, identifier, sequence */
export const ICMP_HEADER_BYTES = 8;
/** Random bytes that make an answer ours. */
export const TOKEN_BYTES = 16;
/** The whole of an echo as we send it. */
export const ECHO_BYTES = ICMP_HEADER_BYTES + TOKEN_BYTES;

const ECHO_REQUEST = { 4: 8, 6: 128 } as const;
const ECHO_REPLY = { 4: 0, 6: 129 } as const;

/** Writes the header of an echo request over the first 8 bytes; the token stands behind it already. */
export function writeEchoHeader(packet: Uint8Array, family: Family, sequence: number): void {
  packet[0] = ECHO_REQUEST[family];
  packet[1] = 0;
  packet[2] = 0;
  packet[3] = 0;
  packet[4] = 0;
  packet[5] = 0;
  packet[6] = (sequence >>> 8) & 0xff;
  packet[7] = sequence & 0xff;
}

/** The sequence number of an echo reply that is long enough for our token, or -1: anything else. */
export function echoReplySequence(message: Uint8Array, family: Family): number {
  if (message.length < ECHO_BYTES || message[0] !== ECHO_REPLY[family] || message[1] !== 0) return -1;
  return ((message[6] ?? 0) << 8) | (message[7] ?? 0);
}

/** Whether `message` holds at 8.. the same token as the `packet` we sent. Both at least ECHO_BYTES long, else false. */
export function sameToken(packet: Uint8Array, message: Uint8Array): boolean {
  if (packet.length < ECHO_BYTES || message.length < ECHO_BYTES) return false;
  for (let at = ICMP_HEADER_BYTES; at < ECHO_BYTES; at++) if (packet[at] !== message[at]) return false;
  return true;
}

/** What an ICMP error quotes of our echo request. `whole` says that the token is there and can be compared. */
export interface QuotedEcho {
  readonly sequence: number;
  readonly whole: boolean;
}

/** Reads the quoted packet from its ICMP header on. RFC 792 asks routers for 8 bytes only: then there is no token. */
export function parseQuotedEcho(quoted: Uint8Array, family: Family): QuotedEcho | null {
  if (quoted.length < ICMP_HEADER_BYTES || quoted[0] !== ECHO_REQUEST[family] || quoted[1] !== 0) return null;
  return { sequence: ((quoted[6] ?? 0) << 8) | (quoted[7] ?? 0), whole: quoted.length >= ECHO_BYTES };
}

const UNREACHABLE_4: readonly string[] = [
  'network unreachable',
  'host unreachable',
  'protocol unreachable',
  'port unreachable',
  'fragmentation needed',
  'source route failed',
  'network unknown',
  'host unknown',
  'source host isolated',
  'network prohibited',
  'host prohibited',
  'network unreachable for this type of service',
  'host unreachable for this type of service',
  'communication prohibited by a filter',
  'host precedence violation',
  'precedence cutoff',
];
const UNREACHABLE_6: readonly string[] = [
  'no route to the destination',
  'communication prohibited by a filter',
  'beyond the scope of the source address',
  'address unreachable',
  'port unreachable',
  'source address refused by policy',
  'route rejected',
];

export interface IcmpVerdict {
  readonly reason: LossReason;
  /** type and code in words */
  readonly text: string;
}

/**
 * What an ICMP error says about the probe it quotes. Null: it says nothing against it (redirects, source quench and
 * packet too big let the packet pass or do not concern packets as small as ours).
 */
export function judgeIcmpError(family: Family, type: number, code: number): IcmpVerdict | null {
  const names = family === 4 ? UNREACHABLE_4 : UNREACHABLE_6;
  if (type === (family === 4 ? 3 : 1)) {
    const text = names[code] ?? `destination unreachable, code ${code}`;
    return { reason: code === (family === 4 ? 3 : 4) ? 'refused' : 'unreachable', text };
  }
  if (type === (family === 4 ? 11 : 3)) {
    return { reason: 'ttl-exceeded', text: code === 0 ? 'time to live exceeded in transit' : 'reassembly time exceeded' };
  }
  if (type === (family === 4 ? 12 : 4)) return { reason: 'unreachable', text: `parameter problem, code ${code}` };
  return null;
}
