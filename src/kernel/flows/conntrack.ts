/**
 * ctnetlink: the requests that list and delete conntrack entries, and the reading of an entry where it lies, without an object for
 * each of a hundred thousand. Pure bytes. linux/netfilter/nfnetlink.h, nfnetlink_conntrack.h, nf_conntrack_common.h.
 */
import type { FlowSelector } from '../../core/flow.js';
import type { Family } from '../../core/model.js';
import * as nl from '../netlink/constants.js';
import { MalformedError, MessageBuilder } from '../netlink/wire.js';

const NFNL_SUBSYS_CTNETLINK = 1;
const IPCTNL_MSG_CT_GET = 1;
const IPCTNL_MSG_CT_DELETE = 2;
/** struct nfgenmsg: family u8, version u8, resource id u16 */
const NFGENMSG_BYTES = 4;

export const CTA = {
  tupleOrig: 1,
  tupleReply: 2,
  status: 3,
  protoinfo: 4,
  timeout: 7,
  mark: 8,
  id: 12,
  zone: 18,
  markMask: 21,
} as const;
export const CTA_TUPLE_IP = 1;
export const CTA_TUPLE_PROTO = 2;
export const CTA_PROTO = { number: 1, sourcePort: 2, destinationPort: 3 } as const;
export const CTA_PROTOINFO_TCP = 1;
export const CTA_PROTOINFO_TCP_STATE = 1;
export const NLA_F_NESTED = 0x8000;

export const IPS_SEEN_REPLY = 0x2;

export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;

/** enum tcp_conntrack */
export const TCP_STATE = {
  none: 0,
  synSent: 1,
  synRecv: 2,
  established: 3,
  finWait: 4,
  closeWait: 5,
  lastAck: 6,
  timeWait: 7,
  close: 8,
  synSent2: 9,
} as const;

export const familyNumber = (family: Family): number => (family === 4 ? nl.AF_INET : nl.AF_INET6);
export const addressBytes = (family: Family): 4 | 16 => (family === 4 ? 4 : 16);

/** @param version 0, or 1: only then does a flush without a tuple mean this family alone (seen on Linux 6.18) */
function header(family: Family, version: 0 | 1): Uint8Array {
  return Uint8Array.of(familyNumber(family), version, 0, 0);
}

function marked(message: MessageBuilder, { mark, mask }: FlowSelector): Buffer {
  return message.attribute(CTA.mark, bigEndian(mark)).attribute(CTA.markMask, bigEndian(mask)).finish();
}

function bigEndian(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

/** Lists the entries of this family whose mark under the mask is this; the kernel filters. */
export function dumpRequest(selector: FlowSelector, sequence: number): Buffer {
  const type = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET;
  const message = new MessageBuilder(type, nl.NLM_F_REQUEST | nl.NLM_F_DUMP, sequence);
  return marked(message.fixed(header(selector.family, 0)), selector);
}

/** Deletes all of these at once. */
export function flushRequest(selector: FlowSelector, sequence: number): Buffer {
  const type = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE;
  const message = new MessageBuilder(type, nl.NLM_F_REQUEST | nl.NLM_F_ACK, sequence);
  return marked(message.fixed(header(selector.family, 1)), selector);
}

/** Deletes the entry that was read, and no later one with the same addresses: its id is named. Answered only when it is refused. */
export function deleteRequest(family: Family, bytes: Buffer, entry: ConntrackEntry, sequence: number): Buffer {
  const type = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE;
  const message = new MessageBuilder(type, nl.NLM_F_REQUEST, sequence).fixed(header(family, 0));
  message.attribute(CTA.tupleOrig | NLA_F_NESTED, bytes.subarray(entry.tupleStart, entry.tupleEnd));
  if (entry.idAt > 0) message.attribute(CTA.id, bytes.subarray(entry.idAt, entry.idAt + 4));
  if (entry.zoneAt > 0) message.attribute(CTA.zone, bytes.subarray(entry.zoneAt, entry.zoneAt + 2));
  return message.finish();
}

/** Where in the message the addresses and ports of one direction lie. */
export class TupleView {
  source = 0;
  destination = 0;
  sourcePort = 0;
  destinationPort = 0;
  protocol = 0;
  complete = false;
}

/** One entry as it lies in the message: `scanEntry` writes it anew for each. */
export class ConntrackEntry {
  readonly orig = new TupleView();
  readonly reply = new TupleView();
  status = 0;
  mark = 0;
  /** seconds until it would expire */
  timeout = 0;
  tcpState: number = TCP_STATE.none;
  /** the content of CTA_TUPLE_ORIG */
  tupleStart = 0;
  tupleEnd = 0;
  /** 0 = not said */
  idAt = 0;
  zoneAt = 0;
}

/** Reads the body of one entry's message, `bytes[start..end)`. Throws a MalformedError. */
export function scanEntry(family: Family, bytes: Buffer, start: number, end: number, into: ConntrackEntry): void {
  into.orig.complete = false;
  into.reply.complete = false;
  into.status = 0;
  into.mark = 0;
  into.timeout = 0;
  into.tcpState = TCP_STATE.none;
  into.idAt = 0;
  into.zoneAt = 0;
  for (let at = start + NFGENMSG_BYTES; end - at >= 4; ) {
    const length = attributeLength(bytes, at, end);
    const value = at + 4;
    const stop = at + length;
    switch (bytes.readUInt16LE(at + 2) & nl.NLA_TYPE_MASK) {
      case CTA.tupleOrig:
        into.tupleStart = value;
        into.tupleEnd = stop;
        scanTuple(family, bytes, value, stop, into.orig);
        break;
      case CTA.tupleReply:
        scanTuple(family, bytes, value, stop, into.reply);
        break;
      case CTA.status:
        into.status = u32be(bytes, value, stop);
        break;
      case CTA.mark:
        into.mark = u32be(bytes, value, stop);
        break;
      case CTA.timeout:
        into.timeout = u32be(bytes, value, stop);
        break;
      case CTA.protoinfo:
        into.tcpState = tcpState(bytes, value, stop);
        break;
      case CTA.id:
        into.idAt = stop - value >= 4 ? value : 0;
        break;
      case CTA.zone:
        into.zoneAt = stop - value >= 2 ? value : 0;
        break;
    }
    at += (length + 3) & ~3;
  }
}

function attributeLength(bytes: Buffer, at: number, end: number): number {
  const length = bytes.readUInt16LE(at);
  if (length < 4 || length > end - at) throw new MalformedError(`attribute length ${length}`);
  return length;
}

function u32be(bytes: Buffer, value: number, stop: number): number {
  if (stop - value < 4) throw new MalformedError(`${stop - value} bytes for a 32-bit value`);
  return bytes.readUInt32BE(value);
}

/** Attributes CTA_IP_V4_SRC 1, V4_DST 2, V6_SRC 3, V6_DST 4. */
function scanTuple(family: Family, bytes: Buffer, start: number, end: number, into: TupleView): void {
  const size = addressBytes(family);
  const firstType = family === 4 ? 1 : 3;
  let found = 0;
  for (let at = start; end - at >= 4; ) {
    const length = attributeLength(bytes, at, end);
    const stop = at + length;
    const part = bytes.readUInt16LE(at + 2) & nl.NLA_TYPE_MASK;
    for (let inner = at + 4; stop - inner >= 4; ) {
      const innerLength = attributeLength(bytes, inner, stop);
      const type = bytes.readUInt16LE(inner + 2) & nl.NLA_TYPE_MASK;
      const value = inner + 4;
      const room = innerLength - 4;
      if (part === CTA_TUPLE_IP && room >= size && type === firstType) {
        into.source = value;
        found |= 1;
      } else if (part === CTA_TUPLE_IP && room >= size && type === firstType + 1) {
        into.destination = value;
        found |= 2;
      } else if (part === CTA_TUPLE_PROTO && type === CTA_PROTO.number && room >= 1) {
        into.protocol = bytes[value] ?? 0;
        found |= 4;
      } else if (part === CTA_TUPLE_PROTO && type === CTA_PROTO.sourcePort && room >= 2) {
        into.sourcePort = bytes.readUInt16BE(value);
        found |= 8;
      } else if (part === CTA_TUPLE_PROTO && type === CTA_PROTO.destinationPort && room >= 2) {
        into.destinationPort = bytes.readUInt16BE(value);
        found |= 16;
      }
      inner += (innerLength + 3) & ~3;
    }
    at += (length + 3) & ~3;
  }
  // ICMP has no ports: such an entry is counted and deleted like any other, and never looked at more closely.
  if ((found & 7) !== 7) throw new MalformedError('a tuple without addresses or protocol');
  into.complete = (found & 24) === 24;
}

function tcpState(bytes: Buffer, start: number, end: number): number {
  for (let at = start; end - at >= 4; ) {
    const length = attributeLength(bytes, at, end);
    if ((bytes.readUInt16LE(at + 2) & nl.NLA_TYPE_MASK) === CTA_PROTOINFO_TCP) {
      for (let inner = at + 4; at + length - inner >= 4; ) {
        const innerLength = attributeLength(bytes, inner, at + length);
        const type = bytes.readUInt16LE(inner + 2) & nl.NLA_TYPE_MASK;
        if (type === CTA_PROTOINFO_TCP_STATE && innerLength > 4) return bytes[inner + 4] ?? TCP_STATE.none;
        inner += (innerLength + 3) & ~3;
      }
    }
    at += (length + 3) & ~3;
  }
  return TCP_STATE.none;
}

/** Both directions of one TCP connection, copied out of the message. */
export class Connection {
  readonly #bytes: Buffer;
  readonly #size: number;

  constructor(family: Family, bytes: Buffer, { orig, reply }: ConntrackEntry) {
    const size = addressBytes(family);
    const own = Buffer.allocUnsafe(4 * size + 8);
    bytes.copy(own, 0, orig.source, orig.source + size);
    bytes.copy(own, size, orig.destination, orig.destination + size);
    bytes.copy(own, 2 * size, reply.source, reply.source + size);
    bytes.copy(own, 3 * size, reply.destination, reply.destination + size);
    own.writeUInt16BE(orig.sourcePort, 4 * size);
    own.writeUInt16BE(orig.destinationPort, 4 * size + 2);
    own.writeUInt16BE(reply.sourcePort, 4 * size + 4);
    own.writeUInt16BE(reply.destinationPort, 4 * size + 6);
    this.#bytes = own;
    this.#size = size;
  }

  #end(index: 0 | 1 | 2 | 3): Endpoint {
    const size = this.#size;
    return {
      address: this.#bytes.subarray(index * size, (index + 1) * size),
      port: this.#bytes.readUInt16BE(4 * size + 2 * index),
    };
  }

  /** who began it */
  get initiator(): Endpoint {
    return this.#end(0);
  }
  /** whom the initiator believes to speak with */
  get called(): Endpoint {
    return this.#end(1);
  }
  /** who really answers */
  get responder(): Endpoint {
    return this.#end(2);
  }
  /** whom the responder believes to speak with */
  get caller(): Endpoint {
    return this.#end(3);
  }
}

export interface Endpoint {
  /** 4 or 16 bytes */
  readonly address: Buffer;
  readonly port: number;
}
