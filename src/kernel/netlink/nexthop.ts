/**
 * Nexthop objects (struct nhmsg, linux/nexthop.h; ip-nexthop(8)) -> the nexthops that routes by such an object have. Pure bytes.
 * Needed only where the kernel does not expand them itself (net.ipv4.nexthop_compat_mode=0).
 */
import type { Nexthop } from '../../core/kernel.js';
import { formatAddress } from './address.js';
import * as nl from './constants.js';
import { weighted } from './route.js';
import { forEachAttribute, MessageBuilder, need, u32 } from './wire.js';

const NHMSG_LENGTH = 8;
/** struct nexthop_grp: u32 id, u8 weight - 1, u8 its high byte (kernel 6.12), u16 reserved */
const MEMBER_LENGTH = 8;

export interface NexthopObject {
  readonly id: number;
  /** null for a group and for a blackhole */
  readonly hop: Nexthop | null;
  readonly members: readonly { readonly id: number; readonly weight: number }[];
}

/** Throws a MalformedError. */
export function decodeNexthop(body: Buffer): NexthopObject {
  need(body, NHMSG_LENGTH, 'nexthop message');
  const family = body[0] === nl.AF_INET6 ? 6 : 4;
  let id = 0;
  let ifindex = 0;
  let gateway: string | null = null;
  const members: { id: number; weight: number }[] = [];
  forEachAttribute(body, NHMSG_LENGTH, (type, value) => {
    if (type === nl.NHA.id) id = u32(value);
    else if (type === nl.NHA.oif) ifindex = u32(value);
    else if (type === nl.NHA.gateway) gateway = formatAddress(family, value);
    else if (type === nl.NHA.group) {
      for (let at = 0; value.length - at >= MEMBER_LENGTH; at += MEMBER_LENGTH) {
        members.push({ id: value.readUInt32LE(at), weight: value.readUInt16LE(at + 4) + 1 });
      }
    }
  });
  const onlink = (body.readUInt32LE(4) & nl.RTNH_F_ONLINK) !== 0;
  return { id, hop: ifindex === 0 ? null : { ifindex, gateway, onlink }, members };
}

/** The nexthops of a route by this object, as the kernel would have expanded them. Groups do not nest. */
export function expandNexthop(objects: ReadonlyMap<number, NexthopObject>, id: number): Nexthop[] {
  const object = objects.get(id);
  if (object === undefined) return [];
  if (object.hop !== null) return [object.hop];
  const hops = object.members.flatMap(({ id: member, weight }) => {
    const hop = objects.get(member)?.hop ?? null;
    return hop === null ? [] : [weighted(hop, weight)];
  });
  const [only] = hops;
  // A group of one is a single nexthop, which has no weight.
  return hops.length === 1 && only !== undefined ? [{ ifindex: only.ifindex, gateway: only.gateway, onlink: only.onlink }] : hops;
}

export function encodeNexthopDump(sequence: number, flags: number): Buffer {
  return new MessageBuilder(nl.RTM_GETNEXTHOP, flags, sequence).fixed(Buffer.alloc(NHMSG_LENGTH)).finish();
}
