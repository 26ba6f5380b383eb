/**
 * The lab's networks as data: nodes (each a network namespace), their interfaces, and the segments that join them.
 * plan.ts turns this into commands. Pure; knows no names of namespaces and makes nothing.
 */
import { type LinkProfile, perfectLink } from './emulator.js';

export type TopologyName = 'classic' | 'two-nic' | 'three-uplinks' | 'office';

export interface InterfaceSpec {
  readonly name: string;
  /** interfaces of the same segment are joined: by a bridge of the switch, an emulated link, or a cable (veth) */
  readonly segment: string;
  /** `address/length` */
  readonly addresses: readonly string[];
}

export interface NodeSpec {
  readonly forwards: boolean;
  readonly interfaces: readonly InterfaceSpec[];
  /** addresses of the loopback device */
  readonly loopback: readonly string[];
  /** arguments of `ip route add` */
  readonly routes: readonly string[];
  /** interfaces behind which others appear under our address (nft masquerade, IPv4 and IPv6) */
  readonly masqueradeOn: readonly string[];
}

/** One way out: gateway --segment--> router ==emulated link==> isp ----> internet. */
export interface UplinkSpec {
  readonly name: string;
  /** nodes */
  readonly router: string;
  readonly isp: string;
  /** the gateway's interface towards the router, and whether this uplink has it to itself */
  readonly gatewayInterface: string;
  readonly ownsInterface: boolean;
  /** the router's addresses as next hop; IPv6 is link-local */
  readonly gateway4: string;
  readonly gateway6: string;
  /** the provider's router beyond the emulated link: the natural target. Reached through the other uplinks too */
  readonly upstream4: string;
  readonly upstream6: string;
  /** addresses inside the provider that no other uplink reaches */
  readonly privateTarget4: string;
  readonly privateTarget6: string;
  /** where the provider's mail server is to listen, reached through the other uplinks too; null = it has none */
  readonly smarthost4: string | null;
  /** the emulated link; `out` is towards the provider */
  readonly out: LinkProfile;
  readonly in: LinkProfile;
}

export interface Topology {
  readonly name: TopologyName;
  readonly summary: string;
  readonly nodes: Readonly<Record<string, NodeSpec>>;
  /** segments that are bridges in the node `switch` */
  readonly bridges: readonly string[];
  readonly uplinks: readonly UplinkSpec[];
}

/** Where the world is: on the loopback of `internet`, reached through every provider. */
export const SERVER4 = '198.51.100.10';
export const SERVER6 = '2001:db8:ffff::10';
/** Lab `office`: where the administrator's mailbox is to listen, beyond the providers. */
export const MAILBOX4 = '198.51.100.25';
const ANYCAST = ['1.1.1.1', '8.8.8.8', '9.9.9.9', '2606:4700:4700::1111', '2001:4860:4860::8888', '2620:fe::9'];

export const CLIENT4 = '192.168.1.10';
export const CLIENT6 = 'fd00:1::10';

/** The segment of an uplink's emulated link. */
export function emulatedSegment(uplink: string): string {
  return `uplink ${uplink}`;
}

const UPLINKS = [
  { name: 'fast', delayMs: 10 },
  { name: 'backup', delayMs: 20 },
  { name: 'third', delayMs: 30 },
] as const;

/**
 * What lies beyond a router: its WAN side, the provider, and the provider's leg in `internet`. `k` numbers the uplinks.
 * Every Ethernet end has a link-local address: without one a router cannot ask for its neighbours (RFC 4861, 4.3).
 */
function provider(uplink: { name: string; delayMs: number }, k: number) {
  const isp = `${uplink.name}-isp`;
  const link = emulatedSegment(uplink.name);
  const profile: LinkProfile = { ...perfectLink, delayMs: uplink.delayMs };
  return {
    routerWan: { name: 'wan0', segment: link, addresses: [`212.254.${k}.2/30`, `2001:db8:${k + 1}::2/64`] },
    routerRoutes: [`default via 212.254.${k}.1 dev wan0`, `default via 2001:db8:${k + 1}::1 dev wan0`],
    isp: {
      forwards: true,
      interfaces: [
        { name: 'cust0', segment: link, addresses: [`212.254.${k}.1/30`, `2001:db8:${k + 1}::1/64`] },
        { name: 'core0', segment: isp, addresses: [`203.0.113.${4 * k + 2}/30`, `2001:db8:f${k}::2/64`, 'fe80::2/64'] },
      ],
      loopback: [`100.64.${k}.1/32`, `2001:db8:c${k}::1/128`],
      routes: [`default via 203.0.113.${4 * k + 1} dev core0`, `default via 2001:db8:f${k}::1 dev core0`],
      masqueradeOn: [],
    } satisfies NodeSpec,
    internetLeg: { name: isp, segment: isp, addresses: [`203.0.113.${4 * k + 1}/30`, `2001:db8:f${k}::1/64`, 'fe80::1/64'] },
    internetRoutes: [
      `212.254.${k}.0/30 via 203.0.113.${4 * k + 2} dev ${isp}`,
      `2001:db8:${k + 1}::/64 via 2001:db8:f${k}::2 dev ${isp}`,
    ],
    spec: {
      name: uplink.name,
      router: uplink.name,
      isp,
      upstream4: `212.254.${k}.1`,
      upstream6: `2001:db8:${k + 1}::1`,
      privateTarget4: `100.64.${k}.1`,
      privateTarget6: `2001:db8:c${k}::1`,
      smarthost4: null,
      out: profile,
      in: profile,
    },
  };
}

type Provider = ReturnType<typeof provider>;

function internet(providers: readonly Provider[]): NodeSpec {
  return {
    forwards: true,
    interfaces: providers.map((one) => one.internetLeg),
    loopback: [SERVER4, SERVER6, ...ANYCAST].map((address) => `${address}/${address.includes(':') ? 128 : 32}`),
    routes: providers.flatMap((one) => one.internetRoutes),
    masqueradeOn: [],
  };
}

const client: NodeSpec = {
  forwards: false,
  interfaces: [{ name: 'lan0', segment: 'lan', addresses: [`${CLIENT4}/24`, `${CLIENT6}/64`, 'fe80::10/64'] }],
  loopback: [],
  routes: ['default via 192.168.1.2 dev lan0', 'default via fe80::2 dev lan0'],
  masqueradeOn: [],
};

const gatewayLan: InterfaceSpec = { name: 'lan0', segment: 'lan', addresses: ['192.168.1.2/24', 'fd00:1::2/64', 'fe80::2/64'] };

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

function oneNicEach(name: TopologyName, count: number): Topology {
  const providers = UPLINKS.slice(0, count).map(provider);
  const nodes: Record<string, NodeSpec> = { client, internet: internet(providers) };
  const wans: InterfaceSpec[] = [];
  const uplinks = providers.map((one, k): UplinkSpec => {
    const wan = `wan${k + 1}`;
    const net4 = `10.${k + 1}.0`;
    const net6 = `fd00:a${k + 1}:`;
    wans.push({ name: wan, segment: wan, addresses: [`${net4}.2/24`, `${net6}:2/64`, 'fe80::2/64'] });
    nodes[one.spec.router] = {
      forwards: true,
      interfaces: [{ name: 'lan0', segment: wan, addresses: [`${net4}.1/24`, `${net6}:1/64`, 'fe80::1/64'] }, one.routerWan],
      loopback: [],
      routes: one.routerRoutes,
      masqueradeOn: ['wan0'],
    };
    nodes[one.spec.isp] = one.isp;
    return { ...one.spec, gatewayInterface: wan, ownsInterface: true, gateway4: `${net4}.1`, gateway6: 'fe80::1' };
  });
  nodes.gateway = {
    forwards: true,
    interfaces: [gatewayLan, ...wans],
    loopback: [],
    routes: ['default via 10.1.0.1 dev wan1 proto static', 'default via fe80::1 dev wan1 proto static'],
    masqueradeOn: wans.map((wan) => wan.name),
  };
  const bridges = ['lan', ...wans.map((wan) => wan.name)];
  return { name, summary: `a gateway with ${count} WAN interfaces, one per router; it does NAT itself`, nodes, bridges, uplinks };
}

/** The classic network with addresses for mail servers. Who uses it starts the servers. */
function office(): Topology {
  const { nodes, uplinks, ...classicOne } = classic();
  const hosts = uplinks.map((uplink, k) => ({ uplink, smarthost4: `212.254.${k}.25`, core: `203.0.113.${4 * k + 2}` }));
  const isps = hosts.map(({ uplink, smarthost4 }) => [
    uplink.isp,
    withMore(nodes[uplink.isp], { loopback: [`${smarthost4}/32`], routes: [] }),
  ]);
  const routes = hosts.map(({ uplink, smarthost4, core }) => `${smarthost4}/32 via ${core} dev ${uplink.isp}`);
  return {
    ...classicOne,
    name: 'office',
    summary: 'the classic network, with addresses for a mail server at each provider and a mailbox beyond',
    nodes: {
      ...nodes,
      ...Object.fromEntries(isps),
      internet: withMore(nodes.internet, { loopback: [`${MAILBOX4}/32`], routes }),
    },
    uplinks: hosts.map(({ uplink, smarthost4 }) => ({ ...uplink, smarthost4 })),
  };
}

function withMore(node: NodeSpec | undefined, more: Pick<NodeSpec, 'loopback' | 'routes'>): NodeSpec {
  if (node === undefined) throw new Error('no such node');
  return { ...node, loopback: [...node.loopback, ...more.loopback], routes: [...node.routes, ...more.routes] };
}

/** The networks that can be built, by name. */
export const topologies: Readonly<Record<TopologyName, Topology>> = {
  classic: classic(),
  'two-nic': oneNicEach('two-nic', 2),
  'three-uplinks': oneNicEach('three-uplinks', 3),
  office: office(),
};

export function isTopologyName(name: string): name is TopologyName {
  return Object.hasOwn(topologies, name);
}
