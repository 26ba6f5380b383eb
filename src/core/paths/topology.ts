/**
 * Where an uplink's gateway is to be found among the links, and which links are shared: pure look-ups in a kernel snapshot.
 */
import type { KernelState, LinkState, Nexthop, RouteState } from '../kernel.js';
import type { Family, Reason } from '../model.js';
import { inNetwork, isLinkLocal, sameAddress, splitZone } from '../net.js';

export const MAIN_TABLE = 254;
export const SCOPE_LINK = 253;

export interface Place {
  readonly link: LinkState | null;
  /** null = the link is there, carries, and reaches the gateway */
  readonly fault: Reason | null;
  /** the kernel would take a route to the gateway through this link, with or without a carrier */
  readonly connected: boolean;
  /** its route has to say `onlink`, as the one did by which the system said where it is */
  readonly onlink: boolean;
}

export interface PlaceQuestion {
  readonly family: Family;
  readonly gateway: string;
  /** the configured interface */
  readonly wanted: string | null;
  /** where it was found before: tells a vanished interface from a gateway in no network */
  readonly lastKnown: string | null;
  /** an interface to try for a link-local gateway without a zone: that of the same uplink's other family */
  readonly hint: string | null;
  /** as `onlinkHops` gives them */
  readonly onlink: readonly OnlinkHop[];
}

/** A gateway that was installed with `onlink`: its link reaches it though no network there holds it. */
export interface OnlinkHop {
  readonly ifindex: number;
  readonly gateway: string;
}

/** A snapshot, and whose the routes in it are. */
export interface RouteSight {
  readonly state: KernelState;
  /** routes of this protocol are ours */
  readonly ownProtocol: number;
  /** foreign defaults that we took the place of */
  readonly displaced: readonly RouteState[];
}

/**
 * What main's defaults say of gateways on their links, what others say first. A route whose place we took goes on saying it while its
 * link has an address, and so does ours in its place: by that it is known after a restart. A link-local gateway needs no `onlink`.
 */
export function onlinkHops({ state, ownProtocol, displaced }: RouteSight, family: Family): OnlinkHop[] {
  const hopsOf = (routes: readonly RouteState[]): OnlinkHop[] =>
    routes.flatMap((r) => (r.family === family && r.table === MAIN_TABLE ? r.nexthops.flatMap(asOnlinkHop) : []));
  const isOurs = (r: RouteState): boolean => r.protocol === ownProtocol;
  const hasAddress = (ifindex: number): boolean => state.addresses.some((a) => a.ifindex === ifindex && a.family === family);
  return [
    ...hopsOf(state.routes.filter((r) => !isOurs(r))),
    // The newest of those stands last.
    ...hopsOf(displaced.toReversed()).filter((hop) => hasAddress(hop.ifindex)),
    ...hopsOf(state.routes.filter(isOurs)),
  ];
}

function asOnlinkHop({ ifindex, gateway, onlink }: Nexthop): OnlinkHop[] {
  return onlink && gateway !== null && !isLinkLocal(gateway) ? [{ ifindex, gateway }] : [];
}

function isOnlink(hops: readonly OnlinkHop[], gateway: string, link: LinkState): boolean {
  return hops.some((hop) => hop.ifindex === link.index && sameAddress(hop.gateway, gateway));
}

/** The link through which the gateway is reached, and what is wrong with it. */
export function placeGateway(state: KernelState, question: PlaceQuestion): Place {
  const { family, lastKnown, onlink } = question;
  const [gateway, zone] = splitZone(question.gateway);
  const named = question.wanted ?? zone;
  const byName = (name: string | null): LinkState | null => linkNamed(state, name);
  const link =
    named !== null ? byName(named) : isLinkLocal(gateway) ? byName(question.hint) : connectedLink(state, family, gateway, onlink);
  if (link !== null) {
    const connected = link.adminUp && isConnectedBy(state, family, gateway, link, onlink);
    const fault = linkFault(link) ?? (connected ? null : 'no-address');
    return { link, connected, fault, onlink: isOnlink(onlink, gateway, link) };
  }
  const nowhere = { link: null, connected: false, fault: 'interface-gone', onlink: false } as const;
  if (named !== null) return nowhere;
  // No network holds the gateway: perhaps only because its link went down and lost its addresses.
  const last = byName(lastKnown);
  if (lastKnown !== null && last === null) return nowhere;
  return { ...nowhere, link: last, fault: (last === null ? null : linkFault(last)) ?? 'no-address' };
}

function linkFault(link: LinkState): Reason | null {
  return link.adminUp && link.carrier ? null : 'carrier-lost';
}

/** Longest matching connected network first: its own addresses, point-to-point peers, on-link routes of main, gateways by themselves. */
function connectedLink(state: KernelState, family: Family, gateway: string, onlink: readonly OnlinkHop[]): LinkState | null {
  let best: { readonly ifindex: number; readonly length: number } | null = null;
  const consider = (ifindex: number, network: string, length: number): void => {
    if (inNetwork(gateway, network, length) && (best === null || length > best.length)) best = { ifindex, length };
  };
  for (const a of state.addresses) {
    if (a.family !== family || isLoopback(state, a.ifindex)) continue;
    if (a.peer !== null) consider(a.ifindex, a.peer, a.prefixLength);
    else consider(a.ifindex, a.address, a.prefixLength);
  }
  for (const r of onLinkRoutes(state, family)) consider(r.ifindex, r.network, r.length);
  for (const hop of onlink) consider(hop.ifindex, hop.gateway, family === 4 ? 32 : 128);
  const ifindex = (best as { readonly ifindex: number } | null)?.ifindex;
  return state.links.find((l) => l.index === ifindex) ?? null;
}

/** By its name or another one it has (`ip link property add altname`). */
export function linkNamed(state: KernelState, name: string | null): LinkState | null {
  if (name === null) return null;
  return state.links.find((l) => l.name === name) ?? state.links.find((l) => l.altNames?.includes(name) === true) ?? null;
}

/** Whether the kernel would take this address as a next hop on this link. */
export function isConnectedBy(
  state: KernelState,
  family: Family,
  gateway: string,
  link: LinkState,
  onlink: readonly OnlinkHop[],
): boolean {
  if (isLinkLocal(gateway) || isOnlink(onlink, gateway, link)) return true;
  const here = state.addresses.filter((a) => a.ifindex === link.index && a.family === family);
  return (
    here.some((a) =>
      a.peer === null ? inNetwork(gateway, a.address, a.prefixLength) : inNetwork(gateway, a.peer, a.prefixLength),
    ) || onLinkRoutes(state, family).some((r) => r.ifindex === link.index && inNetwork(gateway, r.network, r.length))
  );
}

function onLinkRoutes(state: KernelState, family: Family): { ifindex: number; network: string; length: number }[] {
  return state.routes.flatMap((r) => {
    const hop = r.nexthops[0];
    if (r.family !== family || r.table !== MAIN_TABLE || r.destination === 'default' || hop === undefined || hop.gateway !== null)
      return [];
    const [network, length] = r.destination.split('/');
    return [{ ifindex: hop.ifindex, network: network ?? '', length: Number(length) }];
  });
}

function isLoopback(state: KernelState, ifindex: number): boolean {
  return state.links.find((l) => l.index === ifindex)?.loopback === true;
}

/** Whether the address is in a network that this machine is connected to: no uplink leads there. */
export function isConnectedAddress(state: KernelState, family: Family, address: string): boolean {
  return connectedLink(state, family, address, []) !== null;
}
