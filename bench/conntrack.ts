/**
 * Makes conntrack entries by the hundred thousand, as the kernel itself would have them after real traffic (ctnetlink). For the network
 * namespace that the caller is in; nothing removes them but their end.
 */
import type { Family } from '../src/core/model.js';
import { KernelError } from '../src/kernel/error.js';
import * as ct from '../src/kernel/flows/conntrack.js';
import { NETLINK_NETFILTER, NetlinkPort } from '../src/kernel/flows/port.js';
import * as nl from '../src/kernel/netlink/constants.js';
import { MessageBuilder } from '../src/kernel/netlink/wire.js';

const IPCTNL_MSG_CT_NEW = 0;
const NFNL_SUBSYS_CTNETLINK = 1;
const IPS_SEEN_REPLY = 2;
const IPS_ASSURED = 4;
const IPS_CONFIRMED = 8;
const CTA_PROTOINFO_TCP_FLAGS = { original: 4, reply: 5 } as const;
const BATCH = 200;

export interface EntrySpec {
  readonly family: Family;
  readonly protocol: 'tcp' | 'udp';
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly mark: number;
  readonly replied?: boolean;
  /** seconds until it expires */
  readonly timeout?: number;
}

/** Throws a KernelError for the first that the kernel refuses. */
export function makeEntries(specs: Iterable<EntrySpec>): void {
  const port = new NetlinkPort(NETLINK_NETFILTER);
  let messages: Buffer[] = [];
  let first = 0;
  const send = (): void => {
    const [refused] = port.askMany('making an entry', first, messages);
    if (refused !== undefined) throw new KernelError(refused.errno, 'making an entry', refused.text);
    messages = [];
  };
  try {
    for (const spec of specs) {
      if (messages.length === 0) first = port.sequences(BATCH);
      messages.push(createRequest(spec, first + messages.length));
      if (messages.length === BATCH) send();
    }
    send();
  } finally {
    port.close();
  }
}

/** TCP connections of one client network to one server, each with ports of its own: up to 250 × 60,000. */
export function* manyConnections(count: number, mark: number): Generator<EntrySpec> {
  for (let at = 0; at < count; at++) {
    yield {
      family: 4,
      protocol: 'tcp',
      source: Uint8Array.of(192, 168, 77, 1 + Math.floor(at / 60_000)),
      destination: Uint8Array.of(203, 0, 113, 1),
      sourcePort: 1024 + (at % 60_000),
      destinationPort: 443,
      mark,
    };
  }
}

function createRequest(spec: EntrySpec, sequence: number): Buffer {
  const { family, protocol, source, destination, sourcePort, destinationPort } = spec;
  const flags = nl.NLM_F_REQUEST | nl.NLM_F_CREATE | nl.NLM_F_EXCL;
  const message = new MessageBuilder((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_NEW, flags, sequence);
  message.fixed(Uint8Array.of(ct.familyNumber(family), 0, 0, 0));
  const number = protocol === 'tcp' ? ct.IPPROTO_TCP : ct.IPPROTO_UDP;
  nested(message, ct.CTA.tupleOrig, tuple(family, number, source, destination, sourcePort, destinationPort));
  nested(message, ct.CTA.tupleReply, tuple(family, number, destination, source, destinationPort, sourcePort));
  const status = IPS_CONFIRMED | (spec.replied === false ? 0 : IPS_SEEN_REPLY | IPS_ASSURED);
  message.attribute(ct.CTA.status, u32be(status));
  message.attribute(ct.CTA.timeout, u32be(spec.timeout ?? 3600));
  message.attribute(ct.CTA.mark, u32be(spec.mark));
  if (protocol === 'tcp') {
    const tcp = Buffer.concat([
      attribute(ct.CTA_PROTOINFO_TCP_STATE, Uint8Array.of(ct.TCP_STATE.established)),
      attribute(CTA_PROTOINFO_TCP_FLAGS.original, Uint8Array.of(0, 0)),
      attribute(CTA_PROTOINFO_TCP_FLAGS.reply, Uint8Array.of(0, 0)),
    ]);
    nested(message, ct.CTA.protoinfo, attribute(ct.CTA_PROTOINFO_TCP | ct.NLA_F_NESTED, tcp));
  }
  return message.finish();
}

function nested(message: MessageBuilder, type: number, value: Uint8Array): void {
  message.attribute(type | ct.NLA_F_NESTED, value);
}

function tuple(
  family: Family,
  protocol: number,
  source: Uint8Array,
  destination: Uint8Array,
  sourcePort: number,
  destinationPort: number,
): Buffer {
  const first = family === 4 ? 1 : 3;
  const addresses = Buffer.concat([attribute(first, source), attribute(first + 1, destination)]);
  const ports = Buffer.concat([
    attribute(ct.CTA_PROTO.number, Uint8Array.of(protocol)),
    attribute(ct.CTA_PROTO.sourcePort, Uint8Array.of(sourcePort >> 8, sourcePort & 0xff)),
    attribute(ct.CTA_PROTO.destinationPort, Uint8Array.of(destinationPort >> 8, destinationPort & 0xff)),
  ]);
  return Buffer.concat([
    attribute(ct.CTA_TUPLE_IP | ct.NLA_F_NESTED, addresses),
    attribute(ct.CTA_TUPLE_PROTO | ct.NLA_F_NESTED, ports),
  ]);
}

function attribute(type: number, value: Uint8Array): Buffer {
  const bytes = Buffer.alloc((4 + value.length + 3) & ~3);
  bytes.writeUInt16LE(4 + value.length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.set(value, 4);
  return bytes;
}

function u32be(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}
