/**
 * What one source says of one interface, before anybody believes it: a hint with an end. Checks what is text from a network or
 * from a file: only what can be a next hop or a delegated prefix passes. Pure; knows no file.
 */
import type { UplinkHint } from '../../core/hint.js';
import type { Family } from '../../core/model.js';
import { formatAddress, parseAddress } from '../netlink/address.js';

export interface LeaseWord extends UplinkHint {
  /** Unix time from which on it is void; null = never by itself */
  readonly expiresWallMs: number | null;
}

/** Who says what about what: a later word with the same key replaces the earlier. */
export function wordKey(word: UplinkHint): string {
  return `${word.interface} ${word.family} ${word.source}`;
}

/** As the kernel takes them (dev_valid_name): at most 15 bytes, no blank, no slash, and neither `.` nor `..`. */
export function isInterfaceName(text: string): boolean {
  return /^[^\s/:\p{Cc}]+$/u.test(text) && Buffer.byteLength(text) <= 15 && text !== '.' && text !== '..';
}

/**
 * The address in the kernel's spelling where it can be a next hop: unicast, not this host, of this family; else null. A zone
 * that names an interface is dropped: the word names it.
 */
export function nextHop(text: string, family: Family): string | null {
  const bytes = bytesOf(family === 6 ? text.replace(/%[^%]*$/, '') : text, family);
  if (bytes === null) return null;
  const first = bytes[0] ?? 0;
  // 0/8 this network, 127/8 loopback, 224/4 multicast, 240/4 reserved and broadcast: RFC 6890
  if (family === 4) return first === 0 || first === 127 || first >= 224 ? null : formatAddress(4, bytes);
  return first === 0xff || first === 0 ? null : formatAddress(6, bytes);
}

/** `address/length` with the bits beyond the length cleared, where it can be delegated: unicast, /8 to /127; else null. */
export function delegatedPrefix(text: string): string | null {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const length = Number(match?.[2] ?? 0);
  const bytes = bytesOf(match?.[1] ?? '', 6);
  if (bytes === null || length < 8 || length > 127) return null;
  const first = bytes[0] ?? 0;
  // Neither ::/8, nor fe80::/9 (link and site), nor multicast.
  if (first === 0 || first >= 0xfe) return null;
  for (let bit = length; bit < 128; bit++) bytes.writeUInt8((bytes[bit >> 3] ?? 0) & ~(0x80 >> (bit & 7)) & 0xff, bit >> 3);
  return `${formatAddress(6, bytes)}/${length}`;
}

function bytesOf(text: string, family: Family): Buffer | null {
  try {
    return parseAddress(family, text);
  } catch {
    return null;
  }
}
