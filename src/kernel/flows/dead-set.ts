/**
 * Puts the 4-tuples of connections that are being ended into the sets of our nftables table, whose chain `dead` answers their next
 * packet with a reset. One netlink transaction for a thousand: nft(8) takes over a second for 100,000. Only elements are added, with
 * a lifetime; the table itself is written elsewhere (src/kernel/nft). linux/netfilter/nf_tables.h, nfnetlink.h.
 */
import type { Family } from '../../core/model.js';
import * as nl from '../netlink/constants.js';
import { MessageBuilder } from '../netlink/wire.js';
import { DEAD_SETS, TABLE } from '../nft/expressions.js';
import { addressBytes, type Endpoint, NLA_F_NESTED } from './conntrack.js';
import type { NetlinkPort } from './port.js';

const NFPROTO_INET = 1;
const NFNL_SUBSYS_NFTABLES = 10;
const NFNL_MSG_BATCH_BEGIN = 0x10;
const NFNL_MSG_BATCH_END = 0x11;
const NFT_MSG_NEWSETELEM = 12;
const NFTA_SET_ELEM_LIST = { table: 1, set: 2, elements: 3 } as const;
const NFTA_LIST_ELEM = 1;
const NFTA_SET_ELEM_KEY = 1;
const NFTA_SET_ELEM_TIMEOUT = 4;
const NFTA_DATA_VALUE = 1;
/** An attribute's length has 16 bits: 1,000 IPv6 elements are 64,000 bytes. */
const PER_TRANSACTION = 1000;

/** What a peer of ours sends: from itself to whom it is really answered by. */
export interface DeadTuple {
  readonly source: Endpoint;
  readonly destination: Endpoint;
}

/** The messages of one transaction; at most {@link PER_TRANSACTION} tuples. `first + 1` is the number that is acknowledged. Pure. */
export function elementsTransaction(family: Family, tuples: readonly DeadTuple[], lifetimeMs: number, first: number): Buffer {
  const body = Uint8Array.of(NFPROTO_INET, 0, 0, 0);
  // The subsystem stands in the resource id, big-endian.
  const batch = Uint8Array.of(0, 0, NFNL_SUBSYS_NFTABLES >> 8, NFNL_SUBSYS_NFTABLES & 0xff);
  return Buffer.concat([
    new MessageBuilder(NFNL_MSG_BATCH_BEGIN, nl.NLM_F_REQUEST, first).fixed(batch).finish(),
    new MessageBuilder(
      (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWSETELEM,
      nl.NLM_F_REQUEST | nl.NLM_F_CREATE | nl.NLM_F_ACK,
      first + 1,
    )
      .fixed(body)
      .attribute(NFTA_SET_ELEM_LIST.table, Buffer.from(`${TABLE.name}\0`))
      .attribute(NFTA_SET_ELEM_LIST.set, Buffer.from(`${DEAD_SETS[family]}\0`))
      .attribute(NFTA_SET_ELEM_LIST.elements | NLA_F_NESTED, elements(family, tuples, lifetimeMs))
      .finish(),
    new MessageBuilder(NFNL_MSG_BATCH_END, nl.NLM_F_REQUEST, first + 2).fixed(batch).finish(),
  ]);
}

/** Each: element { key { value }, timeout }. In a concatenation every part fills whole words of 4 bytes. */
function elements(family: Family, tuples: readonly DeadTuple[], lifetimeMs: number): Buffer {
  const size = addressBytes(family);
  const keyBytes = 2 * size + 8;
  const elementBytes = 4 + (8 + keyBytes) + 12;
  const bytes = Buffer.alloc(elementBytes * tuples.length);
  let at = 0;
  for (const { source, destination } of tuples) {
    bytes.writeUInt16LE(elementBytes, at);
    bytes.writeUInt16LE(NFTA_LIST_ELEM | NLA_F_NESTED, at + 2);
    bytes.writeUInt16LE(8 + keyBytes, at + 4);
    bytes.writeUInt16LE(NFTA_SET_ELEM_KEY | NLA_F_NESTED, at + 6);
    bytes.writeUInt16LE(4 + keyBytes, at + 8);
    bytes.writeUInt16LE(NFTA_DATA_VALUE, at + 10);
    bytes.set(source.address, at + 12);
    bytes.writeUInt16BE(source.port, at + 12 + size);
    bytes.set(destination.address, at + 16 + size);
    bytes.writeUInt16BE(destination.port, at + 16 + 2 * size);
    const after = at + 12 + keyBytes;
    bytes.writeUInt16LE(12, after);
    bytes.writeUInt16LE(NFTA_SET_ELEM_TIMEOUT, after + 2);
    bytes.writeBigUInt64BE(BigInt(lifetimeMs), after + 4);
    at += elementBytes;
  }
  return bytes;
}

/** Adds them all. Throws a KernelError: ENOENT where the table or the set is missing, EPERM without CAP_NET_ADMIN. */
export function addDeadTuples(port: NetlinkPort, family: Family, tuples: readonly DeadTuple[], lifetimeMs: number): void {
  for (let at = 0; at < tuples.length; at += PER_TRANSACTION) {
    const first = port.sequences(3);
    const transaction = elementsTransaction(family, tuples.slice(at, at + PER_TRANSACTION), lifetimeMs, first);
    // A refusal of the whole bears the number of its beginning.
    port.ask(`adding to set ${DEAD_SETS[family]}`, first + 1, transaction, undefined, first);
  }
}
