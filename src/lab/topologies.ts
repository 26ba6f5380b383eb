/**
 * The lab's networks as data: nodes (each a network namespace), their interfaces, and the segments that join them.
 * plan.ts turns this into commands. Pure; knows no names of namespaces and makes nothing.
 */
import {
  client,
  emulatedSegment,
  gatewayLan,
  type InterfaceSpec,
  internet,
  MAILBOX4,
  type NodeSpec,
  provider,
  type Topology,
  type TopologyName,
  UPLINKS,
  type UplinkSpec,
} from './topology-parts.js';

export {
  CLIENT4,
  CLIENT6,
  emulatedSegment,
  type InterfaceSpec,
  LAN4,
  LAN6,
  MAILBOX4,
  type NodeSpec,
  SERVER4,
  SERVER6,
  type Topology,
  type TopologyName,
  type UplinkSpec,
} from './topology-parts.js';

function classic(): Topology {
  const providers = UPLINKS.slice(0, 2).map(provider);
  const hosts = [253, 1];
  const nodes: Record<string, NodeSpec> = {
    client,
    gateway: {
      forwards: true,
      interfaces: [gatewayLan],
      loopback: [],
      routes: ['default via 192.168.1.253 dev lan0 proto static', 'default via fe80::253 dev lan0 proto static'],
      masqueradeOn: [],
    },
    internet: internet(providers),
  };
  const uplinks = providers.map((one, k): UplinkSpec => {
    const host = hosts[k] ?? 0;
    const lan = { name: 'lan0', segment: 'lan', addresses: [`192.168.1.${host}/24`, `fd00:1::${host}/64`, `fe80::${host}/64`] };
    nodes[one.spec.router] = {
      forwards: true,
      interfaces: [lan, one.routerWan],
      loopback: [],
      routes: one.routerRoutes,
      masqueradeOn: ['wan0'],
    };
    nodes[one.spec.isp] = one.isp;
    return {
      ...one.spec,
      gatewayInterface: 'lan0',
      ownsInterface: false,
      gateway4: `192.168.1.${host}`,
      gateway6: `fe80::${host}`,
    };
  });
  return {
    name: 'classic',
    summary: 'one LAN with client, gateway and both routers; the routers do the NAT',
    nodes,
    bridges: ['lan'],
    uplinks,
  };
}

/** The network between the gateway and the router of uplink number `k`: the addresses of both, with length. */
type WanSegment = (k: number) => { readonly router: readonly string[]; readonly gateway: readonly string[] };

const ownNetworks: WanSegment = (k) => ({
  router: [`10.${k + 1}.0.1/24`, `fd00:a${k + 1}::1/64`, 'fe80::1/64'],
  gateway: [`10.${k + 1}.0.2/24`, `fd00:a${k + 1}::2/64`, 'fe80::2/64'],
});

function oneNicEach(name: TopologyName, summary: string, count: number, segment: WanSegment = ownNetworks): Topology {
  const providers = UPLINKS.slice(0, count).map(provider);
  const nodes: Record<string, NodeSpec> = { client, internet: internet(providers) };
  const wans: InterfaceSpec[] = [];
  const uplinks = providers.map((one, k): UplinkSpec => {
    const wan = `wan${k + 1}`;
    const { router, gateway } = segment(k);
    wans.push({ name: wan, segment: wan, addresses: gateway });
    nodes[one.spec.router] = {
      forwards: true,
      interfaces: [{ name: 'lan0', segment: wan, addresses: router }, one.routerWan],
      loopback: [],
      routes: one.routerRoutes,
      masqueradeOn: ['wan0'],
    };
    nodes[one.spec.isp] = one.isp;
    const gateway4 = withoutLength(router[0] ?? '');
    return { ...one.spec, gatewayInterface: wan, ownsInterface: true, gateway4, gateway6: 'fe80::1' };
  });
  nodes.gateway = {
    forwards: true,
    interfaces: [gatewayLan, ...wans],
    loopback: [],
    routes: [`default via ${uplinks[0]?.gateway4} dev wan1 proto static`, 'default via fe80::1 dev wan1 proto static'],
    masqueradeOn: wans.map((wan) => wan.name),
  };
  return { name, summary, nodes, bridges: ['lan', ...wans.map((wan) => wan.name)], uplinks };
}

/** Two providers that delegate an IPv6 prefix each; nobody translates IPv6, and each takes its own prefix alone (BCP 38). */
function prefixes(): Topology {
  const delegated = (k: number, rest: string) => `2001:db8:1${k}00:${rest}`;
  const { nodes, uplinks, ...two } = oneNicEach(
    'prefixes',
    'two-nic, and each provider routes an IPv6 prefix to the gateway; nobody translates IPv6',
    2,
    (k) => ({
      router: [`10.${k + 1}.0.1/24`, `${delegated(k, 'ff::1')}/64`, 'fe80::1/64'],
      gateway: [`10.${k + 1}.0.2/24`, `${delegated(k, 'ff::2')}/64`, 'fe80::2/64'],
    }),
  );
  const changed = { ...nodes };
  const uplinksWith = uplinks.map((uplink, k): UplinkSpec => {
    const prefix = `${delegated(k, ':')}/56`;
    const link = `2001:db8:${k + 1}::/64`;
    change(changed, uplink.router, { routes: [`${prefix} via fe80::2 dev lan0`] }, { masqueradeFor: { ipv4Only: true } });
    const sourceFilter6 = { interface: 'cust0', prefixes: [prefix, link] };
    change(changed, uplink.isp, { routes: [`${prefix} via ${uplink.public6} dev cust0`] }, { sourceFilter6 });
    change(changed, 'internet', { routes: [`${prefix} via 2001:db8:f${k}::2 dev ${uplink.isp}`] });
    return { ...uplink, delegated6: { prefix, lan: `${delegated(k, '1::')}/64` } };
  });
  change(changed, 'gateway', {}, { masqueradeFor: { ipv4Only: true } });
  return { ...two, nodes: changed, uplinks: uplinksWith };
}

/** The backup is a modem in the gateway itself, as PPP and LTE sticks are: no router, no Ethernet, a peer instead of a network. */
function pointToPoint(): Topology {
  const { nodes, uplinks, ...one } = oneNicEach(
    'point-to-point',
    'a gateway with a router on wan1 and a modem of its own, ppp0 (a TUN device); it does NAT itself',
    1,
  );
  const providers = UPLINKS.slice(0, 2).map(provider);
  const [, backup] = providers;
  if (backup === undefined) throw new Error('there is no second provider');
  const { isp, spec } = backup;
  const [far4, far6] = [spec.upstream4, spec.upstream6];
  const [near4, near6] = [spec.public4, spec.public6];
  const segment = emulatedSegment(spec.name);
  const near = { name: 'ppp0', segment, addresses: [`${near4} peer ${far4}/32`, `${near6}/64`, 'fe80::2/64'] };
  const far = { name: 'cust0', segment, addresses: [`${far4} peer ${near4}/32`, `${far6}/64`, 'fe80::1/64'] };
  const changed = {
    ...nodes,
    internet: internet(providers),
    [spec.isp]: { ...isp, interfaces: isp.interfaces.map((leg) => (leg.name === far.name ? far : leg)) },
  };
  change(changed, 'gateway', { interfaces: [near], masqueradeOn: [near.name] });
  const modem: UplinkSpec = {
    ...spec,
    router: spec.isp,
    gatewayInterface: near.name,
    ownsInterface: true,
    pointToPoint: true,
    gateway4: far4,
    gateway6: 'fe80::1',
  };
  return { ...one, nodes: changed, uplinks: [...uplinks, modem] };
}

/** Both routers come from the same shop: 192.168.100.1 on either wire. (The link-local address is the same in all topologies.) */
function sameGateway(): Topology {
  return oneNicEach(
    'same-gateway',
    'two-nic, and both routers have the same address, 192.168.100.1 and fe80::1, each on its own interface',
    2,
    (k) => ({
      router: ['192.168.100.1/24', `fd00:a${k + 1}::1/64`, 'fe80::1/64'],
      gateway: [`192.168.100.${k + 2}/24`, `fd00:a${k + 1}::2/64`, 'fe80::2/64'],
    }),
  );
}

/** The classic network with addresses for mail servers. Who uses it starts the servers. */
function office(): Topology {
  const { nodes, uplinks, ...classicOne } = classic();
  const changed = { ...nodes };
  const withSmarthosts = uplinks.map((uplink, k): UplinkSpec => {
    const smarthost4 = `212.254.${k}.25`;
    change(changed, uplink.isp, { loopback: [`${smarthost4}/32`] });
    change(changed, 'internet', { routes: [`${smarthost4}/32 via 203.0.113.${4 * k + 2} dev ${uplink.isp}`] });
    return { ...uplink, smarthost4 };
  });
  change(changed, 'internet', { loopback: [`${MAILBOX4}/32`] });
  return {
    ...classicOne,
    name: 'office',
    summary: 'the classic network, with addresses for a mail server at each provider and a mailbox beyond',
    nodes: changed,
    uplinks: withSmarthosts,
  };
}

type Lists = Partial<Pick<NodeSpec, 'interfaces' | 'loopback' | 'routes' | 'masqueradeOn'>>;

/** Gives a node more of what it has lists of, and other `settings`. */
function change(nodes: Record<string, NodeSpec>, name: string, more: Lists, settings: Partial<NodeSpec> = {}): void {
  const node = nodes[name];
  if (node === undefined) throw new Error(`no node ${name}`);
  nodes[name] = {
    ...node,
    interfaces: [...node.interfaces, ...(more.interfaces ?? [])],
    loopback: [...node.loopback, ...(more.loopback ?? [])],
    routes: [...node.routes, ...(more.routes ?? [])],
    masqueradeOn: [...node.masqueradeOn, ...(more.masqueradeOn ?? [])],
    ...settings,
  };
}

function withoutLength(address: string): string {
  return address.replace(/\/.*$/, '');
}

function natItself(count: number): string {
  return `a gateway with ${count} WAN interfaces, one per router; it does NAT itself`;
}

/** The networks that can be built, by name. */
export const topologies: Readonly<Record<TopologyName, Topology>> = {
  classic: classic(),
  'two-nic': oneNicEach('two-nic', natItself(2), 2),
  'three-uplinks': oneNicEach('three-uplinks', natItself(3), 3),
  office: office(),
  prefixes: prefixes(),
  'point-to-point': pointToPoint(),
  'same-gateway': sameGateway(),
};

export function isTopologyName(name: string): name is TopologyName {
  return Object.hasOwn(topologies, name);
}
