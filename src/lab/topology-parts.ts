/**
 * What the lab's networks are made of: the shapes of nodes, uplinks and topologies, and the parts that all of them share (the
 * client, a provider, the world beyond). topologies.ts puts them together. Pure; makes nothing.
 */
import { type LinkProfile, perfectLink } from './emulator.js';

export type TopologyName = 'classic' | 'two-nic' | 'three-uplinks' | 'office' | 'prefixes' | 'point-to-point' | 'same-gateway';

export interface InterfaceSpec {
  readonly name: string;
  /** interfaces of the same segment are joined: by a bridge of the switch, an emulated link, or a cable (veth) */
  readonly segment: string;
  /** `address/length`; `address peer address/length` where the link has but two ends */
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
  /** how that is done where nothing else is said: both families, whatever the destination */
  readonly masqueradeFor?: { readonly ipv4Only?: boolean; readonly exceptTo?: readonly string[] };
  /** what comes in by this interface is dropped unless its IPv6 source is within one of the prefixes (BCP 38), link-local or none yet */
  readonly sourceFilter6?: { readonly interface: string; readonly prefixes: readonly string[] };
}

/**
 * One way out: gateway --segment--> router ==emulated link==> isp ----> internet. Where the gateway has the modem itself
 * (`pointToPoint`) there is no router between: gateway ==emulated link==> isp ----> internet, and the isp is the next hop.
 */
export interface UplinkSpec {
  readonly name: string;
  /** nodes; `router` is the one with the next hop's addresses */
  readonly router: string;
  readonly isp: string;
  /** the gateway's interface towards the router, and whether this uplink has it to itself */
  readonly gatewayInterface: string;
  readonly ownsInterface: boolean;
  /** the gateway's interface is a TUN device: no Ethernet, no neighbours to be asked for */
  readonly pointToPoint: boolean;
  /** the router's addresses as next hop; IPv6 is link-local */
  readonly gateway4: string;
  readonly gateway6: string;
  /** the provider's router beyond the emulated link: the natural target. Reached through the other uplinks too */
  readonly upstream4: string;
  readonly upstream6: string;
  /** addresses inside the provider that no other uplink reaches */
  readonly privateTarget4: string;
  readonly privateTarget6: string;
  /** how the world sees who comes by this uplink, where somebody on the way translates addresses */
  readonly public4: string;
  readonly public6: string;
  /** the prefix that the provider routes to the gateway, and the /64 of it that is meant for the LAN; null = none */
  readonly delegated6: { readonly prefix: string; readonly lan: string } | null;
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
export const LAN4 = '192.168.1.0/24';
export const LAN6 = 'fd00:1::/64';

/** The segment of an uplink's emulated link. */
export function emulatedSegment(uplink: string): string {
  return `uplink ${uplink}`;
}

export const UPLINKS = [
  { name: 'fast', delayMs: 10 },
  { name: 'backup', delayMs: 20 },
  { name: 'third', delayMs: 30 },
] as const;

/**
 * What lies beyond a router: its WAN side, the provider, and the provider's leg in `internet`. `k` numbers the uplinks.
 * Every Ethernet end has a link-local address: without one a router cannot ask for its neighbours (RFC 4861, 4.3).
 */
export function provider(uplink: { name: string; delayMs: number }, k: number) {
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
      public4: `212.254.${k}.2`,
      public6: `2001:db8:${k + 1}::2`,
      delegated6: null,
      pointToPoint: false,
      smarthost4: null,
      out: profile,
      in: profile,
    },
  };
}

export type Provider = ReturnType<typeof provider>;

export function internet(providers: readonly Provider[]): NodeSpec {
  return {
    forwards: true,
    interfaces: providers.map((one) => one.internetLeg),
    loopback: [SERVER4, SERVER6, ...ANYCAST].map((address) => `${address}/${address.includes(':') ? 128 : 32}`),
    routes: providers.flatMap((one) => one.internetRoutes),
    masqueradeOn: [],
  };
}

export const client: NodeSpec = {
  forwards: false,
  interfaces: [{ name: 'lan0', segment: 'lan', addresses: [`${CLIENT4}/24`, `${CLIENT6}/64`, 'fe80::10/64'] }],
  loopback: [],
  routes: ['default via 192.168.1.2 dev lan0', 'default via fe80::2 dev lan0'],
  masqueradeOn: [],
};

export const gatewayLan: InterfaceSpec = {
  name: 'lan0',
  segment: 'lan',
  addresses: ['192.168.1.2/24', 'fd00:1::2/64', 'fe80::2/64'],
};
