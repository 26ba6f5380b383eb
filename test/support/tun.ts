/**
 * The far end of a TUN interface: a test reads the packets that the kernel sends out of it and writes those that shall come
 * in. So a target can answer late, twice, wrongly or from elsewhere. IPv4 and IPv6 with ICMP; other packets are only told.
 * RFC 791, RFC 792, RFC 4443, Linux Documentation/networking/tuntap.
 */
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import koffi from 'koffi';
import { ip } from './own-network.js';

const TUNSETIFF = 0x400454ca;
const IFF_TUN = 0x0001;
const IFF_NO_PI = 0x1000;

export interface TunPacket {
  readonly family: 4 | 6;
  /** hex for IPv6: only compared */
  readonly source: Buffer;
  readonly destination: Buffer;
  /** IPPROTO_* */
  readonly protocol: number;
  /** from the ICMP, TCP or UDP header on */
  readonly payload: Buffer;
  readonly whole: Buffer;
}

export class Tun {
  readonly name: string;
  readonly #fd: number;

  /** `addresses` with prefix length, such as `10.1.0.1/24`. */
  constructor(name: string, addresses: readonly string[]) {
    this.name = name;
    this.#fd = openSync('/dev/net/tun', constants.O_RDWR | constants.O_NONBLOCK);
    const request = Buffer.alloc(40);
    request.write(name, 'latin1');
    request.writeUInt16LE(IFF_TUN | IFF_NO_PI, 16);
    const ioctl = koffi.load(null).func('int ioctl(int, unsigned long, uint8_t *)');
    if (ioctl(this.#fd, TUNSETIFF, request) !== 0) throw new Error(`TUNSETIFF: errno ${koffi.errno()}`);
    for (const address of addresses) ip(`addr add ${address} dev ${name}${address.includes(':') ? ' nodad' : ''}`);
    ip(`link set ${name} up`);
  }

  /** What has come out since the last call; multicast (router solicitation and the like) left aside. */
  take(): TunPacket[] {
    const packets: TunPacket[] = [];
    for (;;) {
      const buffer = Buffer.alloc(65536);
      let length: number;
      try {
        length = readSync(this.#fd, buffer);
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'EAGAIN') return packets;
        throw error;
      }
      const packet = readIp(buffer.subarray(0, length));
      if (packet.destination[0] !== 0xff && (packet.destination[0] ?? 0) >> 4 !== 0xe) packets.push(packet);
    }
  }

  /** The echo requests among them. */
  takeEchoes(): TunPacket[] {
    return this.take().filter((packet) => packet.payload[0] === (packet.family === 4 ? 8 : 128));
  }

  write(packet: Uint8Array): void {
    writeSync(this.#fd, packet);
  }

  /** Removes the interface. */
  close(): void {
    closeSync(this.#fd);
  }
}

function readIp(whole: Buffer): TunPacket {
  if ((whole[0] ?? 0) >> 4 === 4) {
    const header = ((whole[0] ?? 0) & 0xf) * 4;
    return {
      family: 4,
      source: whole.subarray(12, 16),
      destination: whole.subarray(16, 20),
      protocol: whole[9] ?? 0,
      payload: whole.subarray(header),
      whole,
    };
  }
  return {
    family: 6,
    source: whole.subarray(8, 24),
    destination: whole.subarray(24, 40),
    protocol: whole[6] ?? 0,
    payload: whole.subarray(40),
    whole,
  };
}

/** The bytes of an address without scope; IPv6 in any spelling with at most one `::`. */
export function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups = [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right];
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

function checksum(...parts: readonly Buffer[]): number {
  let sum = 0;
  for (const part of parts) for (let at = 0; at < part.length; at += 2) sum += ((part[at] ?? 0) << 8) | (part[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function ipPacket(family: 4 | 6, source: Buffer, destination: Buffer, icmp: Buffer): Buffer {
  if (family === 6) {
    const pseudo = Buffer.alloc(8);
    pseudo.writeUInt32BE(icmp.length, 0);
    pseudo[7] = 58;
    icmp.writeUInt16BE(0, 2);
    icmp.writeUInt16BE(checksum(source, destination, pseudo, icmp), 2);
    const header = Buffer.from([0x60, 0, 0, 0, 0, 0, 58, 64]);
    header.writeUInt16BE(icmp.length, 4);
    return Buffer.concat([header, source, destination, icmp]);
  }
  icmp.writeUInt16BE(0, 2);
  icmp.writeUInt16BE(checksum(icmp), 2);
  const header = Buffer.from([0x45, 0, 0, 0, 0, 0, 0, 0, 64, 1, 0, 0, ...source, ...destination]);
  header.writeUInt16BE(20 + icmp.length, 2);
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([header, icmp]);
}

/** The answer to an echo request, from its destination or from elsewhere, `change` last of all. */
export function echoReply(
  request: TunPacket,
  from: Buffer = request.destination,
  change: (icmp: Buffer) => Buffer = (icmp) => icmp,
): Buffer {
  const icmp = Buffer.from(request.payload);
  icmp[0] = request.family === 4 ? 0 : 129;
  return ipPacket(request.family, from, request.source, change(icmp));
}

/** An ICMP error about `request` that quotes so many bytes from its ICMP header on. */
export function icmpError(
  request: TunPacket,
  from: string,
  type: number,
  code: number,
  quotedBytes = request.payload.length,
  change: (quoted: Buffer) => Buffer = (quoted) => quoted,
): Buffer {
  const headerBytes = request.whole.length - request.payload.length;
  const quoted = change(Buffer.from(request.whole.subarray(0, headerBytes + quotedBytes)));
  return ipPacket(
    request.family,
    addressBytes(from),
    request.source,
    Buffer.concat([Buffer.from([type, code, 0, 0, 0, 0, 0, 0]), quoted]),
  );
}
