/**
 * Hears the router advertisements of others: a raw ICMPv6 socket that takes nothing else (RFC 3542), on libuv's loop like
 * watcher.ts. Needs CAP_NET_RAW alone. Whether an advertisement is welcome, others decide.
 */
import type { RouterAdvert } from '../core/hint.js';
import { KernelError } from './error.js';
import * as libc from './libc.js';
import { formatAddress } from './netlink/address.js';
import { parseRouterAdvert, ROUTER_ADVERTISEMENT } from './router-advert-packet.js';

const IPPROTO_IPV6 = 41;
const IPPROTO_ICMPV6 = 58;
const ICMP6_FILTER = 1;
const IPV6_RECVPKTINFO = 49;
const IPV6_PKTINFO = 50;
const IPV6_RECVHOPLIMIT = 51;
const IPV6_HOPLIMIT = 52;
/** struct cmsghdr of the 64-bit ABI: length u64, level i32, type i32. */
const CMSG_HEADER_BYTES = 16;
/** What crossed a router has less (RFC 4861, 6.1.2). */
const HOP_LIMIT = 255;
const RECEIVE_BUFFER_BYTES = 256 * 1024;
/** Messages read before the loop gets its turn again. */
const READS_PER_PASS = 64;
/** The same router says the same thing again after this at the earliest: well before it is thought to be gone (rogues.ts). */
export const REPEAT_MS = 20_000;
/** A flood of invented routers must not become a flood of reports. */
const MAX_ROUTERS = 64;

export interface RouterAdvertOptions {
  /** as the kernel has it now; null = there is no such interface */
  readonly interfaceName: (ifindex: number) => string | null;
  /** whether this is an address of ours: what this machine sends itself comes back to it */
  readonly isOurs: (interfaceName: string, address: string) => boolean;
  /** interfaces whose advertisements are of no interest; default none */
  readonly isExcluded?: (interfaceName: string) => boolean;
  /** a sentence for people, each once */
  readonly onProblem: (text: string) => void;
  /** monotonic; default performance.now */
  readonly nowMs?: () => number;
}

interface Heard {
  reportedMs: number;
  offers: boolean;
}

export class RouterAdvertWatcher {
  readonly #options: RouterAdvertOptions;
  #onAdvert: ((advert: RouterAdvert) => void) | null = null;
  #fd: number | null = null;
  #poll: { close(): void } | null = null;
  /** by interface and sender */
  readonly #heard = new Map<string, Heard>();
  readonly #pending: RouterAdvert[] = [];
  readonly #problems = new Set<string>();

  constructor(options: RouterAdvertOptions) {
    this.#options = options;
  }

  /** Never throws: where it may not listen that is told as a problem, and nothing is heard. */
  start(onAdvert: (advert: RouterAdvert) => void): void {
    let fd: number | null = null;
    try {
      fd = libc.socket(libc.AF_INET6, libc.SOCK_RAW | libc.SOCK_CLOEXEC | libc.SOCK_NONBLOCK, IPPROTO_ICMPV6);
      libc.setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, passOnly(ROUTER_ADVERTISEMENT));
      libc.setsockoptInt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
      libc.setsockoptInt(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
      libc.setsockoptInt(fd, libc.SOL_SOCKET, libc.SO_RCVBUF, RECEIVE_BUFFER_BYTES);
      this.#poll = libc.watchReadable(fd, () => this.#drain());
      this.#onAdvert = onAdvert;
      this.#fd = fd;
    } catch (error) {
      if (fd !== null) libc.close(fd);
      const errno = error instanceof KernelError ? error.errno : String(error);
      // Without IPv6 in the kernel there is nothing to hear.
      if (errno === 'EAFNOSUPPORT') return;
      const why = errno === 'EPERM' || errno === 'EACCES' ? 'the capability CAP_NET_RAW is missing' : errno;
      this.#tellProblem(`router advertisements are not watched: ${why}`);
    }
  }

  close(): void {
    this.#onAdvert = null;
    this.#poll?.close();
    this.#poll = null;
    if (this.#fd !== null) libc.close(this.#fd);
    this.#fd = null;
  }

  /** Called straight from libuv: throws nothing, leaves the telling to a later turn. */
  #drain(): void {
    const before = this.#pending.length;
    try {
      for (let reads = 0; reads < READS_PER_PASS && this.#fd !== null; reads++) {
        const message = libc.recvmsg(this.#fd, libc.MSG_DONTWAIT);
        if (message === null) break;
        const advert = this.#advertOf(message);
        if (advert !== null && this.#isNews(advert)) this.#pending.push(advert);
      }
    } catch (error) {
      this.#tellProblem(`router advertisements cannot be read: ${error instanceof KernelError ? error.errno : error}`);
    }
    if (before === 0 && this.#pending.length > 0) setImmediate(() => this.#tell());
  }

  #tell(): void {
    for (const advert of this.#pending.splice(0)) this.#onAdvert?.(advert);
  }

  #advertOf({ name, data, control }: libc.ReceivedMessage): RouterAdvert | null {
    const { hopLimit, ifindex } = parsePacketInfo(control);
    // sockaddr_in6: family u16, port u16, flow u32, address
    if (hopLimit !== HOP_LIMIT || ifindex === null || name.length < 24) return null;
    const source = name.subarray(8, 24);
    if (source[0] !== 0xfe || ((source[1] ?? 0) & 0xc0) !== 0x80) return null;
    const packet = parseRouterAdvert(data);
    const interfaceName = packet === null ? null : this.#options.interfaceName(ifindex);
    if (packet === null || interfaceName === null || this.#options.isExcluded?.(interfaceName)) return null;
    const from = formatAddress(6, source);
    return this.#options.isOurs(interfaceName, from) ? null : { interface: interfaceName, from, ...packet };
  }

  #isNews(advert: RouterAdvert): boolean {
    const nowMs = this.#options.nowMs?.() ?? performance.now();
    const key = `${advert.interface} ${advert.from}`;
    const offers = advert.lifetimeS > 0;
    const heard = this.#heard.get(key);
    if (heard === undefined) {
      if (this.#heard.size >= MAX_ROUTERS) this.#forget(nowMs);
      if (this.#heard.size >= MAX_ROUTERS) {
        this.#tellProblem(`more than ${MAX_ROUTERS} routers advertise themselves at the same time: no more of them are told`);
        return false;
      }
      this.#heard.set(key, { reportedMs: nowMs, offers });
      return true;
    }
    if (heard.offers === offers && nowMs - heard.reportedMs < REPEAT_MS) return false;
    heard.reportedMs = nowMs;
    heard.offers = offers;
    return true;
  }

  #forget(nowMs: number): void {
    for (const [key, heard] of this.#heard) if (nowMs - heard.reportedMs >= REPEAT_MS) this.#heard.delete(key);
  }

  #tellProblem(text: string): void {
    if (this.#problems.has(text)) return;
    this.#problems.add(text);
    // Not from within libuv's callback.
    setImmediate(() => this.#options.onProblem(text));
  }
}

/** struct icmp6_filter: a bit set for each type that is kept away (RFC 3542, 3.2). */
function passOnly(type: number): Buffer {
  const filter = Buffer.alloc(32, 0xff);
  filter.writeUInt32LE((~(1 << (type & 31)) & 0xffffffff) >>> 0, (type >> 5) * 4);
  return filter;
}

/** The hop limit and the interface that a packet came with, among the control messages of one recvmsg. Pure. */
export function parsePacketInfo(control: Buffer): { hopLimit: number | null; ifindex: number | null } {
  let hopLimit: number | null = null;
  let ifindex: number | null = null;
  for (let at = 0; control.length - at >= CMSG_HEADER_BYTES; ) {
    const length = Number(control.readBigUInt64LE(at));
    if (length < CMSG_HEADER_BYTES || length > control.length - at) break;
    if (control.readInt32LE(at + 8) === IPPROTO_IPV6) {
      const type = control.readInt32LE(at + 12);
      const value = control.subarray(at + CMSG_HEADER_BYTES, at + length);
      if (type === IPV6_HOPLIMIT && value.length >= 4) hopLimit = value.readInt32LE(0);
      // struct in6_pktinfo: the destination, then the interface's index
      if (type === IPV6_PKTINFO && value.length >= 20) ifindex = value.readUInt32LE(16);
    }
    at += (length + 7) & ~7;
  }
  return { hopLimit, ifindex };
}
