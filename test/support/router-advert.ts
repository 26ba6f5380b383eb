/**
 * A router that advertises itself: builds advertisements, good and bad, and sends them by a raw socket (RFC 4861, RFC 3542).
 * Sends from the network namespace in which it was made.
 */
import { isIPv6 } from 'node:net';
import * as libc from '../../src/kernel/libc.js';
import { parseAddress } from '../../src/kernel/netlink/address.js';

const IPPROTO_IPV6 = 41;
const IPPROTO_ICMPV6 = 58;
const IPV6_MULTICAST_IF = 17;
const IPV6_MULTICAST_HOPS = 18;

export interface AdvertContent {
  /** default 1800 */
  readonly lifetimeS?: number;
  readonly mac?: string;
  /** `address/length` */
  readonly prefixes?: readonly string[];
  /** raw bytes behind the options */
  readonly more?: readonly number[];
}

/** From the ICMPv6 header on; the kernel fills in the checksum. */
export function routerAdvert({ lifetimeS = 1800, mac, prefixes = [], more = [] }: AdvertContent = {}): Buffer {
  const header = Buffer.alloc(16);
  header[0] = 134;
  header[4] = 64;
  header.writeUInt16BE(lifetimeS, 6);
  const linkLayer = mac === undefined ? [] : [1, 1, ...mac.split(':').map((part) => Number.parseInt(part, 16))];
  const options = prefixes.map((prefix) => {
    const [address = '', length = '64'] = prefix.split('/');
    const option = Buffer.alloc(32);
    option.set([3, 4, Number(length), 0xc0]);
    option.writeUInt32BE(86400, 4);
    option.writeUInt32BE(14400, 8);
    option.set(parseAddress(6, address), 16);
    return option;
  });
  return Buffer.concat([header, Buffer.from(linkLayer), ...options, Buffer.from(more)]);
}

export class AdvertSender {
  readonly #fd: number;
  readonly #allNodes: Buffer;

  /** @param source an address of that interface; @param hopLimit 255 as it must be, or not */
  constructor(ifindex: number, source: string, hopLimit = 255) {
    if (!isIPv6(source)) throw new Error(`not an IPv6 address: ${source}`);
    this.#fd = libc.socket(libc.AF_INET6, libc.SOCK_RAW | libc.SOCK_CLOEXEC, IPPROTO_ICMPV6);
    libc.setsockoptInt(this.#fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, ifindex);
    libc.setsockoptInt(this.#fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, hopLimit);
    libc.bind(this.#fd, sockaddr(source, ifindex));
    this.#allNodes = sockaddr('ff02::1', ifindex);
  }

  send(packet: Uint8Array): void {
    libc.sendto(this.#fd, packet, this.#allNodes);
  }

  close(): void {
    libc.close(this.#fd);
  }
}

/** sockaddr_in6: family u16, port u16, flow u32, address, scope u32 */
function sockaddr(address: string, scope: number): Buffer {
  const bytes = Buffer.alloc(28);
  bytes.writeUInt16LE(libc.AF_INET6, 0);
  bytes.set(parseAddress(6, address), 8);
  bytes.writeUInt32LE(scope, 24);
  return bytes;
}
