/**
 * IP addresses as bytes: parsing what people and the kernel write, and asking whether a network holds an address.
 * Knows nothing of names, links or routes.
 */
import type { Family } from './model.js';

/** 4 or 16 bytes in network order; null when the text is no address. A zone (`%eth0`) is not part of an address. */
export function parseAddress(text: string): Uint8Array | null {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text);
}

export function familyOf(address: Uint8Array): Family {
  return address.length === 4 ? 4 : 6;
}

/** Whether the first `prefixLength` bits of both agree; false for different families. */
export function inNetwork(address: Uint8Array, network: Uint8Array, prefixLength: number): boolean {
  if (address.length !== network.length) return false;
  let bitsLeft = prefixLength;
  for (const [index, byte] of address.entries()) {
    if (bitsLeft <= 0) return true;
    const mask = bitsLeft >= 8 ? 0xff : (0xff << (8 - bitsLeft)) & 0xff;
    if (((byte ^ (network[index] ?? 0)) & mask) !== 0) return false;
    bitsLeft -= 8;
  }
  return true;
}

/** Whether `destination` (`default`, or `address/length`) covers the address. */
export function covers(destination: string, address: Uint8Array): boolean {
  if (destination === 'default') return true;
  const slash = destination.lastIndexOf('/');
  const network = parseAddress(slash < 0 ? destination : destination.slice(0, slash));
  if (network === null) return false;
  const length = slash < 0 ? network.length * 8 : Number(destination.slice(slash + 1));
  return inNetwork(address, network, length);
}

/** fe80::/10, RFC 4291 2.5.6 */
export function isLinkLocal(address: Uint8Array): boolean {
  return address.length === 16 && address[0] === 0xfe && ((address[1] ?? 0) & 0xc0) === 0x80;
}

function parseIpv4(text: string): Uint8Array | null {
  const parts = text.split('.');
  if (parts.length !== 4) return null;
  const bytes = new Uint8Array(4);
  for (const [index, part] of parts.entries()) {
    // leading zeros are refused: libc reads them as octal, people do not
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return null;
    bytes[index] = Number(part);
  }
  return bytes;
}

function parseIpv6(text: string): Uint8Array | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const head = groups(halves[0] ?? '');
  const tail = halves.length === 2 ? groups(halves[1] ?? '') : [];
  if (head === null || tail === null) return null;
  const missing = 16 - head.length - tail.length;
  // `::` stands for at least one group of zeros (RFC 4291 2.2)
  if (halves.length === 2 ? missing < 2 : missing !== 0) return null;
  return Uint8Array.from([...head, ...new Array<number>(missing).fill(0), ...tail]);
}

function groups(text: string): number[] | null {
  if (text === '') return [];
  const bytes: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (index === parts.length - 1 && part.includes('.')) {
      const mapped = parseIpv4(part);
      if (mapped === null) return null;
      bytes.push(...mapped);
    } else {
      if (!/^[0-9a-f]{1,4}$/i.test(part)) return null;
      const value = Number.parseInt(part, 16);
      bytes.push(value >> 8, value & 0xff);
    }
  }
  return bytes;
}
