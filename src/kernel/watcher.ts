/**
 * The subscription to the kernel's notifications: a second netlink socket on libuv's loop (docs/adr/0002). Says what kind of
 * thing changed, never how: the reader looks again. Coalesces: the first change is told at once, the following ones of a
 * burst every few milliseconds.
 */
import type { KernelChange } from '../core/kernel.js';
import { KernelError } from './error.js';
import * as libc from './libc.js';
import { RTNLGRP } from './netlink/constants.js';
import { type ChangeKind, type Relevance, relevantChange } from './netlink/relevance.js';
import { netlinkAddress, openRouteSocket, SOL_NETLINK, setReceiveBuffer } from './netlink/session.js';
import { forEachMessage, MalformedError } from './netlink/wire.js';

const NETLINK_ADD_MEMBERSHIP = 1;
/** The kernel doubles it; some 20,000 route notifications fit: a stopped daemon outlives a routing daemon's restart without losing any. */
const RECEIVE_BUFFER_BYTES = 8 * 1024 * 1024;
/** Largest single notification (a link with all its attributes is some 2 KiB). */
const DATAGRAM_BYTES = 32 * 1024;
/** Datagrams read before the loop gets its turn again. */
const READS_PER_PASS = 2000;
const COALESCE_MS = 4;

export class ChangeWatcher {
  #fd: number | null = null;
  #poll: { close(): void } | null = null;
  readonly #datagram = Buffer.alloc(DATAGRAM_BYTES);
  #pending = new Set<ChangeKind>();
  #lost = false;
  #scheduled = false;
  #timer: NodeJS.Timeout | null = null;
  #lastToldMs = Number.NEGATIVE_INFINITY;
  readonly #relevance: () => Relevance;
  readonly #onChange: (change: KernelChange) => void;

  /** @param relevance asked anew each time */
  constructor(relevance: () => Relevance, onChange: (change: KernelChange) => void) {
    this.#relevance = relevance;
    this.#onChange = onChange;
  }

  /** Subscribes. Throws a KernelError. */
  open(): void {
    const fd = openRouteSocket(libc.SOCK_NONBLOCK);
    try {
      setReceiveBuffer(fd, RECEIVE_BUFFER_BYTES);
      libc.bind(fd, netlinkAddress());
      for (const group of Object.values(RTNLGRP)) subscribe(fd, group);
      this.#poll = libc.watchReadable(fd, () => this.#drain());
    } catch (error) {
      libc.close(fd);
      throw error;
    }
    this.#fd = fd;
  }

  close(): void {
    this.#poll?.close();
    this.#poll = null;
    if (this.#fd !== null) libc.close(this.#fd);
    this.#fd = null;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#pending.clear();
    this.#lost = false;
  }

  /** Called straight from libuv: reads all there is, throws nothing, leaves the telling to a later turn. */
  #drain(): void {
    const relevance = this.#relevance();
    for (let reads = 0; reads < READS_PER_PASS && this.#fd !== null; reads++) {
      try {
        const length = libc.recv(this.#fd, this.#datagram, libc.MSG_TRUNC);
        if (length === null) break;
        if (length > this.#datagram.length) {
          this.#lost = true;
          continue;
        }
        forEachMessage(this.#datagram.subarray(0, length), (message) => {
          const kind = relevantChange(message, relevance);
          if (kind !== null) this.#pending.add(kind);
        });
      } catch (error) {
        // ENOBUFS: the kernel dropped some. Anything else unreadable: nothing may be assumed either.
        this.#lost = true;
        if (!(error instanceof MalformedError) && !(error instanceof KernelError && error.errno === 'ENOBUFS')) break;
      }
    }
    if (this.#pending.size > 0 || this.#lost) this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    const waitMs = this.#lastToldMs + COALESCE_MS - performance.now();
    if (waitMs <= 0) setImmediate(() => this.#tell());
    else this.#timer = setTimeout(() => this.#tell(), Math.ceil(waitMs));
  }

  #tell(): void {
    this.#scheduled = false;
    this.#timer = null;
    if (this.#fd === null) return;
    const change: KernelChange = { what: this.#pending, lost: this.#lost };
    this.#pending = new Set();
    this.#lost = false;
    this.#lastToldMs = performance.now();
    this.#onChange(change);
  }
}

function subscribe(fd: number, group: number): void {
  try {
    libc.setsockoptInt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group);
  } catch (error) {
    // A kernel without nexthop objects (before 5.3) has no such group, and nothing to tell.
    if (group !== RTNLGRP.nexthop || !(error instanceof KernelError && error.errno === 'EINVAL')) throw error;
  }
}
