/**
 * Route messages (struct rtmsg and its attributes, rtnetlink(7)) <-> RouteState. Pure bytes; knows no socket.
 *
 * RouteState.rest is private to this file: the attributes without a name of their own, as they came, in base64. Type 0, which
 * the kernel never uses, holds what the header says beyond the state: source prefix length and, for type `other`, rtm_type.
 * A multipath route keeps RTA_MULTIPATH there only where a hop holds more than a Nexthop says (encapsulation, realms), a route
 * by nexthop object keeps RTA_NH_ID: on the way back they stand for `nexthops`.
 */
import type { Nexthop, RouteState, RouteType } from '../../core/kernel.js';
import type { Family } from '../../core/model.js';
import { KernelError } from '../error.js';
import { addressFamily, formatAddress, parseAddress, parseDestination } from './address.js';
import * as nl from './constants.js';
import { align4, forEachAttribute, MalformedError, MessageBuilder, need, u8, u32 } from './wire.js';

const RTMSG_LENGTH = 12;
const RTNEXTHOP_LENGTH = 8;
const REST_HEADER = 0;
const NO_BYTES = Buffer.alloc(0);

const typeNames = new Map<number, RouteType>(Object.entries(nl.RTN).map(([name, type]) => [type, name as RouteType]));

function familyOf(number: number): Family | null {
  if (number === nl.AF_INET) return 4;
  return number === nl.AF_INET6 ? 6 : null;
}

/** What decides whether a route is looked at, read without building anything. */
export interface RouteGlance {
  readonly family: Family;
  readonly table: number;
  readonly isDefault: boolean;
  /** a connected network: the destination is on the link itself */
  readonly onLink: boolean;
}

/** Cheap: a full table of 100,000 routes passes through here. Null for routes of other families and cached copies. */
export function glanceRoute(body: Buffer): RouteGlance | null {
  need(body, RTMSG_LENGTH, 'route message');
  const family = familyOf(body[0] ?? 0);
  if (family === null || (body.readUInt32LE(8) & nl.RTM_F_CLONED) !== 0) return null;
  let table = body[4] ?? 0;
  let via = false;
  let oif = false;
  // No closure and no subarray per attribute here: this loop is what a big table costs.
  for (let at = RTMSG_LENGTH; body.length - at >= 4; ) {
    const length = body.readUInt16LE(at);
    if (length < 4 || length > body.length - at) throw new MalformedError(`attribute length ${length}`);
    const type = body.readUInt16LE(at + 2) & nl.NLA_TYPE_MASK;
    if (type === nl.RTA.table && length >= 8) table = body.readUInt32LE(at + 4);
    else if (type === nl.RTA.gateway || type === nl.RTA.via || type === nl.RTA.multipath) via = true;
    else if (type === nl.RTA.oif) oif = true;
    at += align4(length);
  }
  const isDefault = body[1] === 0;
  // IPv4 says it by scope. IPv6 knows no scopes: a unicast route with a device and without a gateway.
  const onLink = !isDefault && body[7] === nl.RTN.unicast && (family === 4 ? body[6] === nl.RT_SCOPE_LINK : oif && !via);
  return { family, table, isDefault, onLink };
}

function decodeVia(value: Buffer): string {
  need(value, 2, 'RTA_VIA');
  const family = familyOf(value.readUInt16LE(0));
  if (family === null) throw new MalformedError(`RTA_VIA of family ${value.readUInt16LE(0)}`);
  return formatAddress(family, value.subarray(2));
}

/** `whole`: the nexthops say everything that the attribute says. */
function decodeMultipath(family: Family, value: Buffer): { nexthops: Nexthop[]; whole: boolean } {
  const nexthops: Nexthop[] = [];
  let whole = true;
  let at = 0;
  while (value.length - at >= RTNEXTHOP_LENGTH) {
    const length = value.readUInt16LE(at);
    if (length < RTNEXTHOP_LENGTH || length > value.length - at) throw new MalformedError(`nexthop length ${length}`);
    let gateway: string | null = null;
    forEachAttribute(value.subarray(at, at + length), RTNEXTHOP_LENGTH, (type, bytes) => {
      if (type === nl.RTA.gateway) gateway = formatAddress(family, bytes);
      else if (type === nl.RTA.via) gateway = decodeVia(bytes);
      else whole = false;
    });
    const onlink = ((value[at + 2] ?? 0) & nl.RTNH_F_ONLINK) !== 0;
    // rtnh_hops is the weight less one.
    nexthops.push(weighted({ ifindex: value.readInt32LE(at + 4), gateway, onlink }, (value[at + 3] ?? 0) + 1));
    at += align4(length);
  }
  return { nexthops, whole };
}

/** A weight of 1 is not written down: what has never been given one has it too. */
export function weighted(hop: Nexthop, weight: number): Nexthop {
  return weight === 1 ? hop : { ...hop, weight };
}

/** The nexthops of RTA_MULTIPATH without what comes and goes with the link (dead, linkdown): the kernel refuses those flags. */
function withoutState(multipath: Buffer): Buffer {
  const kept = Buffer.from(multipath);
  for (let at = 0; kept.length - at >= RTNEXTHOP_LENGTH; at += align4(kept.readUInt16LE(at))) {
    kept[at + 2] = (kept[at + 2] ?? 0) & nl.RTNH_F_ONLINK;
  }
  return kept;
}

/** ICMPV6_ROUTER_PREF_*: 0 is medium, and so is the reserved 2 (RFC 4191, 2.1). */
const PREFERENCES: Readonly<Record<number, RouteState['preference']>> = { 1: 'high', 3: 'low' };

/** Throws a MalformedError. Null for a family other than IPv4 and IPv6. */
export function decodeRoute(body: Buffer): RouteState | null {
  need(body, RTMSG_LENGTH, 'route message');
  const family = familyOf(body[0] ?? 0);
  if (family === null) return null;
  const [, destinationLength = 0, sourceLength = 0, tos = 0, shortTable = 0, protocol = 0, scope = 0, rtmType = 0] = body;
  const type = typeNames.get(rtmType) ?? 'other';
  let table = shortTable;
  let destination: Buffer = Buffer.alloc(family === 4 ? 4 : 16);
  let metric = 0;
  let oif = 0;
  let gateway: string | null = null;
  let prefsrc: string | null = null;
  let multipath: Nexthop[] | null = null;
  let expires = false;
  let nexthopObject = false;
  let preference: RouteState['preference'];
  const rest: Buffer[] = [];
  if (sourceLength !== 0 || type === 'other') {
    rest.push(attributeBytes(REST_HEADER, Buffer.from([sourceLength, type === 'other' ? rtmType : 0])));
  }
  forEachAttribute(body, RTMSG_LENGTH, (attribute, value) => {
    switch (attribute) {
      case nl.RTA.dst:
        destination = value;
        break;
      case nl.RTA.table:
        table = u32(value);
        break;
      case nl.RTA.priority:
        metric = u32(value);
        break;
      case nl.RTA.oif:
        oif = u32(value);
        break;
      case nl.RTA.gateway:
        gateway = formatAddress(family, value);
        break;
      case nl.RTA.via:
        gateway = decodeVia(value);
        break;
      case nl.RTA.prefsrc:
        prefsrc = formatAddress(family, value);
        break;
      case nl.RTA.multipath: {
        const { nexthops, whole } = decodeMultipath(family, value);
        multipath = nexthops;
        // A nexthop object (named before its hops) stands for them: the kernel takes one or the other.
        if (!nexthopObject && !whole) rest.push(attributeBytes(attribute, withoutState(value)));
        break;
      }
      case nl.RTA.nhId:
        nexthopObject = true;
        rest.push(attributeBytes(attribute, value));
        break;
      case nl.RTA.cacheinfo:
        // struct rta_cacheinfo: clntref, lastuse, expires; a lifetime runs where expires is not 0.
        if (value.length >= 12 && value.readInt32LE(8) !== 0) expires = true;
        break;
      case nl.RTA.expires:
        expires = true;
        break;
      case nl.RTA.pad:
      case REST_HEADER:
        break;
      case nl.RTA.pref:
        // Every IPv6 route carries it; 0 (medium) is what a route without it gets.
        if (u8(value) !== 0) rest.push(attributeBytes(attribute, value));
        preference = PREFERENCES[u8(value)];
        break;
      default:
        rest.push(attributeBytes(attribute, value));
    }
  });
  const onlink = (body.readUInt32LE(8) & nl.RTNH_F_ONLINK) !== 0;
  // IPv6 shows its guards as routes out of `lo`; IPv4 shows them without a device. Both are written without.
  const single: Nexthop[] = oif !== 0 || gateway !== null ? [{ ifindex: oif, gateway, onlink }] : [];
  return {
    family,
    table,
    destination: destinationLength === 0 ? 'default' : `${formatAddress(family, destination)}/${destinationLength}`,
    type,
    protocol,
    metric,
    tos,
    scope,
    prefsrc,
    nexthops: isGuard(type) ? [] : (multipath ?? single),
    expires,
    rest: rest.length === 0 ? '' : Buffer.concat(rest).toString('base64'),
    ...(preference === undefined ? {} : { preference }),
  };
}

function isGuard(type: RouteType): boolean {
  return type !== 'unicast' && type !== 'other';
}

function attributeBytes(type: number, value: Buffer): Buffer {
  const bytes = Buffer.alloc(align4(4 + value.length));
  bytes.writeUInt16LE(4 + value.length, 0);
  bytes.writeUInt16LE(type, 2);
  value.copy(bytes, 4);
  return bytes;
}

function viaBytes(gateway: string): Buffer {
  const family = addressFamily(gateway);
  const head = Buffer.alloc(2);
  head.writeUInt16LE(family === 4 ? nl.AF_INET : nl.AF_INET6);
  return Buffer.concat([head, parseAddress(family, gateway)]);
}

/** RTA_GATEWAY, or RTA_VIA where the gateway is of the other family (IPv4 over an IPv6 next hop). */
function gatewayAttribute(family: Family, gateway: string): { type: number; value: Buffer } {
  return addressFamily(gateway) === family
    ? { type: nl.RTA.gateway, value: parseAddress(family, gateway) }
    : { type: nl.RTA.via, value: viaBytes(gateway) };
}

function hopsOf({ weight = 1 }: Nexthop): number {
  if (!Number.isInteger(weight) || weight < 1 || weight > 256)
    throw new KernelError('EINVAL', 'route', `not a weight: ${weight}`);
  return weight - 1;
}

function encodeMultipath(family: Family, nexthops: readonly Nexthop[]): Buffer {
  return Buffer.concat(
    nexthops.map((hop) => {
      const gateway = hop.gateway === null ? null : gatewayAttribute(family, hop.gateway);
      const attribute = gateway === null ? NO_BYTES : attributeBytes(gateway.type, gateway.value);
      const head = Buffer.alloc(RTNEXTHOP_LENGTH);
      head.writeUInt16LE(RTNEXTHOP_LENGTH + attribute.length, 0);
      head.writeUInt8(hop.onlink ? nl.RTNH_F_ONLINK : 0, 2);
      head.writeUInt8(hopsOf(hop), 3);
      head.writeInt32LE(hop.ifindex, 4);
      return Buffer.concat([head, attribute]);
    }),
  );
}

/** A request for this route. Throws a KernelError EINVAL for text that is no address. */
export function encodeRoute(messageType: number, flags: number, sequence: number, route: RouteState): Buffer {
  const { family } = route;
  const destination = parseDestination(family, route.destination);
  const rest: { type: number; value: Buffer }[] = [];
  let sourceLength = 0;
  let otherType = 0;
  forEachAttribute(Buffer.from(route.rest, 'base64'), 0, (type, value) => {
    if (type === REST_HEADER) [sourceLength = 0, otherType = 0] = value;
    else rest.push({ type, value: Buffer.from(value) });
  });
  const has = (type: number): boolean => rest.some((attribute) => attribute.type === type);
  const only = route.nexthops.length === 1 ? route.nexthops[0] : undefined;

  const head = Buffer.alloc(RTMSG_LENGTH);
  head[0] = family === 4 ? nl.AF_INET : nl.AF_INET6;
  head[1] = destination.length;
  head[2] = sourceLength;
  head[3] = route.tos;
  head[4] = route.table < 256 ? route.table : 0;
  head[5] = route.protocol;
  head[6] = route.scope;
  // A route by a blackhole object is told as a blackhole, and known as unicast all the same.
  const byObject = has(nl.RTA.nhId);
  head[7] = route.type === 'other' ? otherType : nl.RTN[byObject ? 'unicast' : route.type];
  if (only?.onlink === true) head.writeUInt32LE(nl.RTNH_F_ONLINK, 8);

  const message = new MessageBuilder(messageType, flags, sequence).fixed(head);
  if (destination.length > 0) message.attribute(nl.RTA.dst, destination.bytes);
  message.u32(nl.RTA.table, route.table);
  if (route.metric !== 0) message.u32(nl.RTA.priority, route.metric);
  if (route.prefsrc !== null) message.attribute(nl.RTA.prefsrc, parseAddress(family, route.prefsrc));
  if (messageType === nl.RTM_DELROUTE && family === 6 && isGuard(route.type) && !byObject) {
    // An IPv6 deletion is not asked for the type: only the device tells a guard from what else stands in its place.
    message.u32(nl.RTA.oif, nl.LOOPBACK_IFINDEX);
  }
  // A deletion from IPv4 by one gateway would take a shared route that begins with it too; by a list of one it does not.
  const listed = messageType === nl.RTM_DELROUTE && family === 4 && only !== undefined && only.ifindex !== 0;
  if (!has(nl.RTA.multipath) && !byObject) {
    if (listed) {
      message.attribute(nl.RTA.multipath, encodeMultipath(family, route.nexthops));
    } else if (only !== undefined) {
      if (only.ifindex !== 0) message.u32(nl.RTA.oif, only.ifindex);
      if (only.gateway !== null) {
        const gateway = gatewayAttribute(family, only.gateway);
        message.attribute(gateway.type, gateway.value);
      }
    } else if (route.nexthops.length > 1) {
      message.attribute(nl.RTA.multipath, encodeMultipath(family, route.nexthops));
    }
  }
  for (const { type, value } of rest) message.attribute(type, value);
  return message.finish();
}

/** The nexthop object by which a route goes; null for a route with next hops of its own. */
export function nexthopObjectOf(route: RouteState): number | null {
  if (route.type !== 'unicast' || route.rest === '') return null;
  let id: number | null = null;
  forEachAttribute(Buffer.from(route.rest, 'base64'), 0, (type, value) => {
    if (type === nl.RTA.nhId) id = u32(value);
  });
  return id;
}

/**
 * A dump request for one table of one family, of one rtm_protocol or of all (0); the filter needs NETLINK_GET_STRICT_CHK.
 */
export function encodeRouteDump(sequence: number, flags: number, family: Family, table: number, protocol = 0): Buffer {
  const head = Buffer.alloc(RTMSG_LENGTH);
  head[0] = family === 4 ? nl.AF_INET : nl.AF_INET6;
  head[4] = table < 256 ? table : 0;
  head[5] = protocol;
  return new MessageBuilder(nl.RTM_GETROUTE, flags, sequence).fixed(head).u32(nl.RTA.table, table).finish();
}
