/**
 * Hears that somebody took our nftables table away (`nft flush ruleset`, a firewall that starts anew): nothing else tells, and without
 * it translation and marks are gone. Says only that; whoever is told looks again. What others do to their own tables costs a look
 * at a few bytes.
 * Source: linux/netfilter/nf_tables.h.
 */
import { KernelError } from '../error.js';
import { NETLINK_NETFILTER } from '../flows/port.js';
import * as libc from '../libc.js';
import { netlinkAddress, SOL_NETLINK, setReceiveBuffer } from '../netlink/session.js';
import { forEachAttribute, forEachMessage, MalformedError, type Message, text } from '../netlink/wire.js';
import { TABLE } from './expressions.js';

const NETLINK_ADD_MEMBERSHIP = 1;
const NFNLGRP_NFTABLES = 7;
const NFNL_SUBSYS_NFTABLES = 10;
const NFT_MSG_DELTABLE = 2;
const NFTA_TABLE_NAME = 1;
const NFPROTO_INET = 1;
const NFGENMSG_BYTES = 4;
/** A firewall that starts anew tells of each of its rules. */
const RECEIVE_BUFFER_BYTES = 1024 * 1024;
const DATAGRAM_BYTES = 64 * 1024;
/** Datagrams read before the loop gets its turn again. */
const READS_PER_PASS = 200;

export class NftWatcher {
  #fd: number | null = null;
  #poll: { close(): void } | null = null;
  readonly #datagram = Buffer.alloc(DATAGRAM_BYTES);
  readonly #onGone: () => void;

  /** @param onGone our table was deleted, or so much was told at once that it may have been */
  constructor(onGone: () => void) {
    this.#onGone = onGone;
  }

  /** Throws a KernelError: without CAP_NET_ADMIN, or where the kernel has no netfilter. */
  open(): void {
    const fd = libc.socket(libc.AF_NETLINK, libc.SOCK_RAW | libc.SOCK_CLOEXEC | libc.SOCK_NONBLOCK, NETLINK_NETFILTER);
    try {
      setReceiveBuffer(fd, RECEIVE_BUFFER_BYTES);
      libc.bind(fd, netlinkAddress());
      libc.setsockoptInt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NFNLGRP_NFTABLES);
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
  }

  /** Called straight from libuv: throws nothing, and leaves the telling to a later turn. */
  #drain(): void {
    let gone = false;
    for (let reads = 0; reads < READS_PER_PASS && this.#fd !== null; reads++) {
      try {
        const length = libc.recv(this.#fd, this.#datagram, libc.MSG_TRUNC);
        if (length === null) break;
        if (length > this.#datagram.length) gone = true;
        else
          forEachMessage(this.#datagram.subarray(0, length), (message) => {
            if (isOurTableGone(message)) gone = true;
          });
      } catch (error) {
        // ENOBUFS: the kernel dropped some.
        gone = true;
        if (!(error instanceof MalformedError) && !(error instanceof KernelError && error.errno === 'ENOBUFS')) break;
      }
    }
    if (gone) setImmediate(() => this.#fd !== null && this.#onGone());
  }
}

/** Pure. Throws a MalformedError. */
export function isOurTableGone({ type, body }: Message): boolean {
  if (type !== ((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_DELTABLE) || body[0] !== NFPROTO_INET) return false;
  let ours = false;
  forEachAttribute(body, NFGENMSG_BYTES, (attribute, value) => {
    if (attribute === NFTA_TABLE_NAME) ours = text(value) === TABLE.name;
  });
  return ours;
}
