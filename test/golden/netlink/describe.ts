/**
 * Captured datagrams as the codec understands them: the common ground of the golden files' maker and their test.
 */
import * as nl from '../../../src/kernel/netlink/constants.js';
import { decodeNexthop } from '../../../src/kernel/netlink/nexthop.js';
import { decodeAddress, decodeLink, decodeNeighbour } from '../../../src/kernel/netlink/objects.js';
import { relevantChange } from '../../../src/kernel/netlink/relevance.js';
import { decodeRoute } from '../../../src/kernel/netlink/route.js';
import { decodeRule } from '../../../src/kernel/netlink/rule.js';
import { forEachMessage, type Message, parseStatus } from '../../../src/kernel/netlink/wire.js';

const decoders: ReadonlyMap<number, [string, (body: Buffer) => unknown]> = new Map<number, [string, (body: Buffer) => unknown]>([
  [nl.RTM_NEWLINK, ['link', decodeLink]],
  [nl.RTM_DELLINK, ['link deleted', decodeLink]],
  [nl.RTM_NEWADDR, ['address', decodeAddress]],
  [nl.RTM_DELADDR, ['address deleted', decodeAddress]],
  [nl.RTM_NEWROUTE, ['route', decodeRoute]],
  [nl.RTM_DELROUTE, ['route deleted', decodeRoute]],
  [nl.RTM_NEWRULE, ['rule', decodeRule]],
  [nl.RTM_DELRULE, ['rule deleted', decodeRule]],
  [nl.RTM_NEWNEIGH, ['neighbour', decodeNeighbour]],
  [nl.RTM_NEWNEXTHOP, ['nexthop', decodeNexthop]],
  [nl.RTM_DELNEXTHOP, ['nexthop deleted', decodeNexthop]],
]);

function describeMessage(message: Message): unknown {
  if (message.type === nl.NLMSG_ERROR) return { is: 'error', ...parseStatus(message, 'error') };
  if (message.type === nl.NLMSG_DONE) return { is: 'done', ...parseStatus(message, 'done') };
  const decoder = decoders.get(message.type);
  if (decoder === undefined) return { is: `type ${message.type}` };
  return {
    is: decoder[0],
    relevant: relevantChange(message, { tables: new Set([1000]), isGateway: () => true }),
    what: decoder[1](message.body),
  };
}

/** Throws a MalformedError for bytes that are no netlink. */
export function describeDatagrams(datagrams: readonly Buffer[]): unknown[] {
  const all: unknown[] = [];
  for (const datagram of datagrams) forEachMessage(datagram, (message) => all.push(describeMessage(message)));
  return all;
}
