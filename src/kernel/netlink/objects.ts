/**
 * Link, address and neighbour messages (rtnetlink(7)) -> the core's types, and the requests for them. Pure bytes.
 */
import type { AddressState, LinkCounters, LinkState, NeighbourState } from '../../core/kernel.js';
import type { Family } from '../../core/model.js';
import { formatAddress, parseAddress } from './address.js';
import * as nl from './constants.js';
import { forEachAttribute, MessageBuilder, need, text, u32 } from './wire.js';

const IFINFOMSG_LENGTH = 16;
const IFADDRMSG_LENGTH = 8;
const NDMSG_LENGTH = 12;

function familyOf(number: number | undefined): Family | null {
  if (number === nl.AF_INET) return 4;
  return number === nl.AF_INET6 ? 6 : null;
}

const familyNumber = (family: Family): number => (family === 4 ? nl.AF_INET : nl.AF_INET6);

/** Null for a bridge's or another family's view of a link: the link itself is told with family 0. */
export function decodeLink(body: Buffer): LinkState | null {
  need(body, IFINFOMSG_LENGTH, 'link message');
  if (body[0] !== 0) return null;
  const flags = body.readUInt32LE(8);
  let name = '';
  const altNames: string[] = [];
  let counters: LinkCounters | null = null;
  forEachAttribute(body, IFINFOMSG_LENGTH, (type, value) => {
    if (type === nl.IFLA_IFNAME) name = text(value);
    else if (type === nl.IFLA_STATS64) counters = countersOf(value);
    else if (type === nl.IFLA_PROP_LIST) {
      forEachAttribute(value, 0, (property, bytes) => {
        if (property === nl.IFLA_ALT_IFNAME) altNames.push(text(bytes));
      });
    }
  });
  return {
    index: body.readInt32LE(4),
    name,
    adminUp: (flags & nl.IFF_UP) !== 0,
    carrier: (flags & nl.IFF_LOWER_UP) !== 0,
    loopback: (flags & nl.IFF_LOOPBACK) !== 0,
    pointToPoint: (flags & nl.IFF_POINTOPOINT) !== 0,
    ...(altNames.length === 0 ? {} : { altNames }),
    ...(counters === null ? {} : { counters }),
  };
}

/** struct rtnl_link_stats64 begins with rx_packets, tx_packets, rx_bytes, tx_bytes. Exact up to 8 PiB. */
function countersOf(value: Buffer): LinkCounters {
  need(value, 32, 'link counters');
  return { rxBytes: Number(value.readBigUInt64LE(16)), txBytes: Number(value.readBigUInt64LE(24)) };
}

export function encodeLinkDump(sequence: number, flags: number): Buffer {
  return new MessageBuilder(nl.RTM_GETLINK, flags, sequence)
    .fixed(Buffer.alloc(IFINFOMSG_LENGTH))
    .u32(nl.IFLA_EXT_MASK, nl.RTEXT_FILTER_SKIP_STATS)
    .finish();
}

export function decodeAddress(body: Buffer): AddressState | null {
  need(body, IFADDRMSG_LENGTH, 'address message');
  const family = familyOf(body[0]);
  if (family === null) return null;
  let flags = body[2] ?? 0;
  let local: string | null = null;
  let remote: string | null = null;
  forEachAttribute(body, IFADDRMSG_LENGTH, (type, value) => {
    if (type === nl.IFA_LOCAL) local = formatAddress(family, value);
    else if (type === nl.IFA_ADDRESS) remote = formatAddress(family, value);
    else if (type === nl.IFA_FLAGS) flags = u32(value);
  });
  // IFA_ADDRESS is the peer on point-to-point links, else the address itself; IFA_LOCAL may then be missing (if_addr.h).
  const address = local ?? remote;
  if (address === null) return null;
  return {
    ifindex: body.readUInt32LE(4),
    family,
    address,
    prefixLength: body[1] ?? 0,
    peer: remote !== null && remote !== address ? remote : null,
    tentative: (flags & (nl.IFA_F_TENTATIVE | nl.IFA_F_DADFAILED)) !== 0,
  };
}

export function encodeAddressDump(sequence: number, flags: number): Buffer {
  return new MessageBuilder(nl.RTM_GETADDR, flags, sequence).fixed(Buffer.alloc(IFADDRMSG_LENGTH)).finish();
}

function stateName(bits: number): NeighbourState['state'] {
  for (const [name, bit] of Object.entries(nl.NUD)) if ((bits & bit) !== 0) return name as keyof typeof nl.NUD;
  return 'none';
}

/** Null for proxy entries and for other families (a bridge's forwarding table). */
export function decodeNeighbour(body: Buffer): NeighbourState | null {
  need(body, NDMSG_LENGTH, 'neighbour message');
  const family = familyOf(body[0]);
  if (family === null || ((body[10] ?? 0) & nl.NTF_PROXY) !== 0) return null;
  let address: string | null = null;
  let mac: string | null = null;
  forEachAttribute(body, NDMSG_LENGTH, (type, value) => {
    if (type === nl.NDA_DST) address = formatAddress(family, value);
    else if (type === nl.NDA_LLADDR) mac = (value.toString('hex').match(/../g) ?? []).join(':');
  });
  if (address === null) return null;
  return { ifindex: body.readInt32LE(4), address, family, state: stateName(body.readUInt16LE(8)), mac };
}

function neighbourHead(family: Family | null, ifindex: number): Buffer {
  const head = Buffer.alloc(NDMSG_LENGTH);
  if (family !== null) head[0] = familyNumber(family);
  head.writeInt32LE(ifindex, 4);
  return head;
}

export function encodeNeighbourDump(sequence: number, flags: number, family: Family): Buffer {
  return new MessageBuilder(nl.RTM_GETNEIGH, flags, sequence).fixed(neighbourHead(family, 0)).finish();
}

export function encodeNeighbourDelete(
  sequence: number,
  flags: number,
  neighbour: Pick<NeighbourState, 'family' | 'ifindex' | 'address'>,
): Buffer {
  return new MessageBuilder(nl.RTM_DELNEIGH, flags, sequence)
    .fixed(neighbourHead(neighbour.family, neighbour.ifindex))
    .attribute(nl.NDA_DST, parseAddress(neighbour.family, neighbour.address))
    .finish();
}

/** A dump of all rules of one family; struct fib_rule_hdr is as long as struct rtmsg. */
export function encodeRuleDump(sequence: number, flags: number, family: Family): Buffer {
  const head = Buffer.alloc(12);
  head[0] = familyNumber(family);
  return new MessageBuilder(nl.RTM_GETRULE, flags, sequence).fixed(head).finish();
}
