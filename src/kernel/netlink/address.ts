/**
 * IP addresses between bytes and text. Text is canonical (RFC 5952, IPv4-mapped with dots), as inet_ntop(3) writes it, so
 * that two spellings of one address compare equal. Knows no message.
 */
import { isIPv4, isIPv6 } from 'node:net';
import type { Family } from '../../core/model.js';
import { KernelError } from '../error.js';
import { MalformedError } from './wire.js';

export function formatAddress(family: Family, bytes: Buffer): string {
  if (family === 4) {
    if (bytes.length !== 4) throw new MalformedError(`IPv4 address of ${bytes.length} bytes`);
    return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`;
  }
  if (bytes.length !== 16) throw new MalformedError(`IPv6 address of ${bytes.length} bytes`);
  if (bytes.readUInt32BE(0) === 0 && bytes.readUInt32BE(4) === 0 && bytes.readUInt32BE(8) === 0xffff) {
    return `::ffff:${bytes[12]}.${bytes[13]}.${bytes[14]}.${bytes[15]}`;
  }
  // The longest run of at least two zero groups is shortened, the first of several equal ones.
  let bestStart = -1;
  let bestLength = 1;
  let runStart = -1;
  for (let group = 0; group < 8; group++) {
    if (bytes.readUInt16BE(group * 2) !== 0) {
      runStart = -1;
      continue;
    }
    if (runStart < 0) runStart = group;
    if (group - runStart + 1 > bestLength) {
      bestStart = runStart;
      bestLength = group - runStart + 1;
    }
  }
  const groups = (from: number, to: number): string => {
    const parts: string[] = [];
    for (let group = from; group < to; group++) parts.push(bytes.readUInt16BE(group * 2).toString(16));
    return parts.join(':');
  };
  return bestStart < 0 ? groups(0, 8) : `${groups(0, bestStart)}::${groups(bestStart + bestLength, 8)}`;
}

/** Family of an address's bytes by their number, as in RTA_VIA or a peer of unknown family. */
export function addressFamily(address: string): Family {
  return address.includes(':') ? 6 : 4;
}

/** Throws a KernelError EINVAL for text that is no address of this family. */
export function parseAddress(family: Family, address: string): Buffer {
  if (family === 4) {
    if (!isIPv4(address)) throw new KernelError('EINVAL', `not an IPv4 address: ${address}`);
    return Buffer.from(address.split('.').map(Number));
  }
  if (!isIPv6(address) || address.includes('%')) throw new KernelError('EINVAL', `not an IPv6 address: ${address}`);
  const bytes = Buffer.alloc(16);
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const hex = dotted
    ? `${dotted[1]}${((Number(dotted[2]) << 8) | Number(dotted[3])).toString(16)}:${((Number(dotted[4]) << 8) | Number(dotted[5])).toString(16)}`
    : address;
  const [head = '', tail] = hex.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  before.forEach((group, index) => {
    bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2);
  });
  after.forEach((group, index) => {
    bytes.writeUInt16BE(Number.parseInt(group, 16), (8 - after.length + index) * 2);
  });
  return bytes;
}

/** `default` or `address/length` -> bytes and length. A missing length means a host. */
export function parseDestination(family: Family, destination: string): { bytes: Buffer; length: number } {
  const size = family === 4 ? 4 : 16;
  if (destination === 'default') return { bytes: Buffer.alloc(size), length: 0 };
  const slash = destination.indexOf('/');
  const address = slash < 0 ? destination : destination.slice(0, slash);
  const length = slash < 0 ? size * 8 : Number(destination.slice(slash + 1));
  if (!Number.isInteger(length) || length < 0 || length > size * 8) {
    throw new KernelError('EINVAL', `not a destination: ${destination}`);
  }
  return { bytes: parseAddress(family, address), length };
}
