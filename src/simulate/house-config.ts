/**
 * A configuration as it is played: the judging of its uplinks is kept as it is, while the machine around is the simplest that can be.
 * Each uplink has an interface and a gateway of its own; services, drills, `via`, connections and costs per byte are no part of it.
 */
import type { Config, HostRef, TargetConfig, UplinkConfig } from '../core/config.js';
import type { AddressState, KernelState, LinkState, RouteState } from '../core/kernel.js';
import { noServices } from '../core/services.js';

const LAN = 'sim-lan';
const FIRST_IFINDEX = 10;
const MAIN_TABLE = 254;
const PROTOCOL_KERNEL = 2;
const SCOPE_LINK = 253;

export const interfaceOf = (place: number): string => `sim${place}`;
export const ifindexOf = (place: number): number => FIRST_IFINDEX + place;
export const gatewayOf = (place: number): string => `10.${place}.0.1`;

/** Whoever is watched through its gateway alone still is: then the gateway's answers are what the link tells. */
export function houseConfig(config: Config): Config {
  return {
    ...config,
    uplinks: config.uplinks.map(houseUplink),
    log: null,
    onStop: 'keep',
    sysctls: 'leave',
    via: [],
    connections: null,
    masquerade: false,
    lanPrefix: null,
    drill: null,
    routerAdvertisements: 'ignore',
    services: noServices,
  };
}

function houseUplink(uplink: UplinkConfig, place: number): UplinkConfig {
  const family = uplink.gateways.some((g) => g.family === 4) ? 4 : 6;
  const asked = uplink.targets.filter((t) => t.host.kind === 'name' || t.host.family === family);
  return {
    ...uplink,
    gateways: [{ family: 4, host: address(gatewayOf(place)) }],
    interface: interfaceOf(place),
    targets: asked.map((_, i): TargetConfig => {
      const host = `198.18.${place}.${i + 1}`;
      return { label: host, host: address(host), kind: 'icmp' };
    }),
    quorum: Math.max(1, Math.min(uplink.quorum, asked.length)),
    metered: null,
    prefix: null,
  };
}

function address(text: string): HostRef {
  return { kind: 'address', address: text, family: 4 };
}

/** The kernel before anybody came: every link up, no default route. */
export function houseKernel(uplinks: number): KernelState {
  const places = Array.from({ length: uplinks }, (_, place) => place);
  const wan = (place: number): LinkState => link(ifindexOf(place), interfaceOf(place));
  const at = (ifindex: number, text: string): AddressState => ({
    ifindex,
    family: 4,
    address: text,
    prefixLength: 24,
    peer: null,
    tentative: false,
  });
  return {
    links: [link(1, LAN), ...places.map(wan)],
    addresses: [at(1, '192.168.1.1'), ...places.map((place) => at(ifindexOf(place), `10.${place}.0.2`))],
    routes: [connected(1, '192.168.1.0/24'), ...places.map((place) => connected(ifindexOf(place), `10.${place}.0.0/24`))],
    rules: [],
    neighbours: [],
    sysctls: {},
    nft: null,
  };
}

function link(index: number, name: string): LinkState {
  return { index, name, adminUp: true, carrier: true, loopback: false, pointToPoint: false };
}

function connected(ifindex: number, destination: string): RouteState {
  return {
    family: 4,
    table: MAIN_TABLE,
    destination,
    type: 'unicast',
    protocol: PROTOCOL_KERNEL,
    metric: 0,
    tos: 0,
    scope: SCOPE_LINK,
    prefsrc: null,
    nexthops: [{ ifindex, gateway: null, onlink: false }],
    expires: false,
    rest: '',
  };
}
