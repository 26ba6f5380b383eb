/**
 * Which end of a forwarded connection is ours to tell: the client of one that went out, the server of one that came in (a port
 * forward). Told by the address translation, else by the routes.
 */
import type { Family } from '../../core/model.js';
import { KernelError } from '../error.js';
import * as nl from '../netlink/constants.js';
import { forEachAttribute, MessageBuilder, need, u32 } from '../netlink/wire.js';
import type { Prod } from './bare-ack.js';
import { addressBytes, type Connection, type Endpoint, familyNumber } from './conntrack.js';
import type { DeadTuple } from './dead-set.js';
import type { NetlinkPort } from './port.js';

/** rtmsg flag: answer with the route itself, its prefix length included */
const RTM_F_FIB_MATCH = 0x2000;
const RTN_LOCAL = 2;
const RTMSG_BYTES = 12;
const RTA_MARK = 16;

/** How this machine reaches an address. */
export interface Reached {
  /** it is an address of our own */
  readonly local: boolean;
  /** of the route; 0 = the default route, or none at all */
  readonly prefixLength: number;
  /** index of the interface; 0 = none */
  readonly interface: number;
}

/** @param mark as if sent with this one */
export type Reach = (address: Buffer, mark?: number) => Reached;

/** What is done to tell one peer. */
export interface Farewell {
  readonly tuple: DeadTuple;
  readonly prod: Omit<Prod, 'sequence'>;
}

/**
 * Null when neither end is somebody else on our side.
 * @param uplinkMark what leads by the connection's uplink whatever is active: its probes' mark
 */
export function farewellOf(connection: Connection, reach: Reach, uplinkMark: number): Farewell | null {
  const { initiator, called, responder, caller } = connection;
  const sourceTranslated = !sameEnd(caller, initiator);
  const destinationTranslated = !sameEnd(called, responder);
  const outbound =
    sourceTranslated !== destinationTranslated ? sourceTranslated : isNearer(initiator, responder, reach, uplinkMark);
  const ours = outbound ? initiator : responder;
  if (reach(ours.address).local) return null;
  return {
    // As packets are when the reset is due: after the translation of destinations, before that of sources.
    tuple: outbound ? { source: initiator, destination: responder } : { source: responder, destination: initiator },
    // As the peer itself sees the other: it comes untracked, so nothing translates it.
    prod: { from: outbound ? called : caller, to: ours },
  };
}

/** Whether `one` is on our side: the other is reached by the uplink's own interface, or, where that tells nothing, less specifically. */
function isNearer(one: Endpoint, other: Endpoint, reach: Reach, uplinkMark: number): boolean {
  const [a, b] = [reach(one.address), reach(other.address)];
  if (a.local !== b.local) return a.local;
  const uplink = reach(other.address, uplinkMark).interface;
  if ((a.interface === uplink) !== (b.interface === uplink)) return b.interface === uplink;
  return a.prefixLength >= b.prefixLength;
}

function sameEnd(a: Endpoint, b: Endpoint): boolean {
  return a.port === b.port && a.address.equals(b.address);
}

/** Pure. */
export function lookupRequest(family: Family, address: Buffer, mark: number, sequence: number): Buffer {
  const rtmsg = Buffer.alloc(RTMSG_BYTES);
  rtmsg[0] = familyNumber(family);
  rtmsg[1] = 8 * addressBytes(family);
  rtmsg.writeUInt32LE(RTM_F_FIB_MATCH, 8);
  return new MessageBuilder(nl.RTM_GETROUTE, nl.NLM_F_REQUEST | nl.NLM_F_ACK, sequence)
    .fixed(rtmsg)
    .attribute(nl.RTA.dst, address)
    .u32(RTA_MARK, mark)
    .finish();
}

/** Asks the kernel once for each address. */
export function reachByRoutes(port: NetlinkPort, family: Family): Reach {
  const known = new Map<string, Reached>();
  return (address, mark = 0) => {
    const key = `${mark} ${address.toString('latin1')}`;
    const before = known.get(key);
    if (before !== undefined) return before;
    let reached: Reached = { local: false, prefixLength: 0, interface: 0 };
    const sequence = port.sequences(1);
    try {
      port.ask('looking up a route', sequence, lookupRequest(family, address, mark, sequence), (bytes, start, end) => {
        reached = readRoute(bytes.subarray(start, end));
      });
    } catch (error) {
      // "Unreachable" is an answer: it is not on our side.
      if (!(error instanceof KernelError)) throw error;
    }
    known.set(key, reached);
    return reached;
  };
}

/** The answer to a look-up. Pure. */
export function readRoute(body: Buffer): Reached {
  need(body, RTMSG_BYTES, 'route');
  let index = 0;
  forEachAttribute(body, RTMSG_BYTES, (type, value) => {
    if (type === nl.RTA.oif) index = u32(value);
    // struct rtnexthop: length u16, flags u8, hops u8, index; the ways of one uplink's tier: the first tells as well as any
    if (type === nl.RTA.multipath && value.length >= 8) index = value.readUInt32LE(4);
  });
  return { local: body[7] === RTN_LOCAL, prefixLength: body[1] ?? 0, interface: index };
}
