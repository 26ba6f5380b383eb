/**
 * What a lab may do otherwise than its topology says, chosen when it is built: who translates addresses, which interfaces of
 * the gateway have none yet. Pure.
 */
import { LabError } from './errors.js';
import { topologies } from './topologies.js';
import { LAN4, LAN6, type NodeSpec, type Topology, type TopologyName } from './topology-parts.js';

export interface TopologyVariant {
  /**
   * Whether the gateway hides the LAN behind its own addresses. Where nothing is said: as the topology has it, which is yes
   * with WAN interfaces of its own (IPv4 alone in `prefixes`) and no in `classic` and `office`
   */
  readonly masquerade?: boolean;
  /** true: the routers know the way back to the LAN, so that it works without the gateway's translation too. Default false */
  readonly routersKnowLan?: boolean;
  /**
   * Interfaces of the gateway that are up with a link-local address at most, and without routes: for DHCP, router
   * advertisements or a test to fill. The routers keep their addresses
   */
  readonly bare?: readonly string[];
}

/** Throws a LabError where the topology has not what the variant changes. */
export function topologyOf(name: TopologyName, variant: TopologyVariant = {}): Topology {
  const topology = topologies[name];
  const { gateway } = topology.nodes;
  if (gateway === undefined) throw new Error(`topology ${name} has no gateway`);
  const { masquerade, routersKnowLan = false, bare = [] } = variant;
  const wans = [...new Set(topology.uplinks.map((uplink) => uplink.gatewayInterface))];
  for (const wanted of bare) {
    if (wans.includes(wanted) && wanted !== 'lan0') continue;
    const owned = wans.filter((wan) => wan !== 'lan0');
    throw new LabError(
      `the gateway of ${name} has no interface "${wanted}" that can be bare`,
      owned.length === 0 ? 'its one interface is the LAN too' : `there are: ${owned.join(', ')}`,
    );
  }
  const nodes = {
    ...topology.nodes,
    gateway: withBare(masquerade === undefined ? gateway : translating(gateway, masquerade, wans), bare),
  };
  if (!routersKnowLan) return { ...topology, nodes };
  return { ...topology, nodes: { ...nodes, ...routersThatKnowLan(topology) } };
}

/** What stays in the LAN is never translated: in `classic` the LAN's interface is the way out too. */
function translating(gateway: NodeSpec, masquerade: boolean, wans: readonly string[]): NodeSpec {
  if (!masquerade) return { ...gateway, masqueradeOn: [] };
  return { ...gateway, masqueradeOn: wans, masqueradeFor: { ...gateway.masqueradeFor, exceptTo: [LAN4, LAN6] } };
}

function withBare(gateway: NodeSpec, bare: readonly string[]): NodeSpec {
  return {
    ...gateway,
    interfaces: gateway.interfaces.map((one) =>
      bare.includes(one.name) ? { ...one, addresses: one.addresses.filter((address) => address.startsWith('fe80:')) } : one,
    ),
    routes: gateway.routes.filter((route) => !bare.some((name) => ` ${route} `.includes(` dev ${name} `))),
  };
}

function routersThatKnowLan(topology: Topology): Record<string, NodeSpec> {
  const known = topology.uplinks.flatMap((uplink): [string, NodeSpec][] => {
    const node = topology.nodes[uplink.router];
    // On one LAN with it a router knows it already; a modem's far end is not ours to teach.
    if (node === undefined || !uplink.ownsInterface || uplink.pointToPoint) return [];
    const gateway = topology.nodes.gateway?.interfaces.find((one) => one.name === uplink.gatewayInterface);
    const via4 = gateway?.addresses.find((address) => !address.includes(':'))?.replace(/\/.*/, '');
    return [
      [uplink.router, { ...node, routes: [...node.routes, `${LAN4} via ${via4} dev lan0`, `${LAN6} via fe80::2 dev lan0`] }],
    ];
  });
  return Object.fromEntries(known);
}
