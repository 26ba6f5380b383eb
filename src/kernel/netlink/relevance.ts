/**
 * Which notification asks for a new look at the kernel. Pure: bytes in, one word or null out.
 * Routes of no concern (a routing daemon's 100,000, a container's) must cost nothing beyond this.
 */
import * as nl from './constants.js';
import { decodeNeighbour } from './objects.js';
import { glanceRoute } from './route.js';
import type { Message } from './wire.js';

export type ChangeKind = 'link' | 'address' | 'route' | 'rule' | 'neighbour';

export interface Relevance {
  /** tables whose every route is of interest */
  readonly tables: ReadonlySet<number>;
  /** whether a route of interest goes by this neighbour */
  isGateway(ifindex: number, address: string): boolean;
}

/** Throws a MalformedError for bytes that are no such message. */
export function relevantChange(message: Message, { tables, isGateway }: Relevance): ChangeKind | null {
  switch (message.type) {
    case nl.RTM_NEWLINK:
    case nl.RTM_DELLINK:
      // A bridge tells of its ports with its own family; the link itself comes with family 0.
      return message.body[0] === 0 ? 'link' : null;
    case nl.RTM_NEWADDR:
    case nl.RTM_DELADDR:
      return 'address';
    case nl.RTM_NEWROUTE:
    case nl.RTM_DELROUTE: {
      const route = glanceRoute(message.body);
      if (route === null) return null;
      const wanted = tables.has(route.table) || (route.table === nl.RT_TABLE_MAIN && (route.isDefault || route.onLink));
      return wanted ? 'route' : null;
    }
    case nl.RTM_NEWNEXTHOP:
    case nl.RTM_DELNEXTHOP:
      // Routes by this object go another way now; those of IPv4 that go with it are told in no other way.
      return 'route';
    case nl.RTM_NEWRULE:
    case nl.RTM_DELRULE:
      return 'rule';
    case nl.RTM_NEWNEIGH: {
      // They come and go all day, and each address of a LAN that somebody scans fails.
      const neighbour = decodeNeighbour(message.body);
      if (neighbour?.state !== 'failed') return null;
      return isGateway(neighbour.ifindex, neighbour.address) ? 'neighbour' : null;
    }
    default:
      return null;
  }
}
