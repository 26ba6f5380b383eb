/**
 * What Linux makes of one operation, as a pure function: the engine's idea of the kernel right after `apply`, and the
 * heart of the fake kernel. It knows no policy and no ownership. Seen on kernel 6.18; the kernel's own sources are
 * fib_table_insert (net/ipv4/fib_trie.c), fib6_add_rt2node (net/ipv6/ip6_fib.c), fib_check_nh (fib_semantics.c).
 */
import { covers, isLinkLocal, parseAddress } from '../address.js';
import type { KernelOp, KernelState, Nexthop, RouteState } from '../kernel.js';
import { deletionTakes, insertRule, ruleIsThere } from './rule-model.js';

export { sameRule } from './rule-model.js';

export interface Applied {
  readonly state: KernelState;
  /** null = done */
  readonly errno: string | null;
  /** the kernel's extended text where it has one */
  readonly message: string | null;
}

interface Refusal {
  readonly errno: string;
  readonly message: string | null;
}

type RouteVerb = 'route-replace' | 'route-add' | 'route-append';

const IPV6_DEFAULT_METRIC = 1024;
/** rtm_protocol of routes learned from router advertisements; these never join a multipath route */
const PROTOCOL_RA = 9;
const SCOPE_LINK = 253;
const MAIN_TABLE = 254;
/** rtm_scope of a deletion that does not care */
const SCOPE_NOWHERE = 255;

export function applyOp(state: KernelState, op: KernelOp): Applied {
  switch (op.op) {
    case 'route-replace':
    case 'route-add':
    case 'route-append': {
      const refusal = refuseNexthops(state, op.route);
      if (refusal !== null) return failed(state, refusal.errno, refusal.message);
      const route = { ...op.route, nexthops: keptHops(op.route.nexthops) };
      const routes = route.family === 4 ? insertIpv4(state.routes, route, op.op) : insertIpv6(state.routes, route, op.op);
      return typeof routes === 'string' ? failed(state, routes) : done({ ...state, routes });
    }
    case 'route-delete':
      return deleteRoute(state, op.route);
    case 'rule-add':
      if (state.rules.some((rule) => ruleIsThere(rule, op.rule))) return failed(state, 'EEXIST');
      return done({ ...state, rules: insertRule(state.rules, op.rule) });
    case 'rule-delete': {
      const index = state.rules.findIndex((rule) => deletionTakes(rule, op.rule));
      return index < 0 ? failed(state, 'ENOENT') : done({ ...state, rules: state.rules.toSpliced(index, 1) });
    }
    case 'sysctl-set':
      if (state.sysctls[op.key] === null) return failed(state, 'ENOENT');
      return done({ ...state, sysctls: { ...state.sysctls, [op.key]: op.value } });
    case 'neighbour-delete': {
      const left = state.neighbours.filter((n) => n.ifindex !== op.ifindex || n.family !== op.family || n.address !== op.address);
      return left.length === state.neighbours.length ? failed(state, 'ENOENT') : done({ ...state, neighbours: left });
    }
    case 'nft-table':
      return done({ ...state, nft: { fingerprint: op.rules === null ? 'absent' : op.fingerprint } });
  }
}

/** The metric under which the kernel keeps a route: IPv6 has no 0. */
export function keptMetric(route: RouteState): number {
  return route.family === 6 && route.metric === 0 ? IPV6_DEFAULT_METRIC : route.metric;
}

/** Whether two routes are one to the kernel: IPv4's fib_info (protocol, scope, source, next hops, metrics) in the same place. */
export function sameRoute(a: RouteState, b: RouteState): boolean {
  return (
    samePlace(a, b) &&
    a.type === b.type &&
    a.protocol === b.protocol &&
    a.scope === b.scope &&
    a.prefsrc === b.prefsrc &&
    a.rest === b.rest &&
    a.nexthops.length === b.nexthops.length &&
    a.nexthops.every((hop, index) => {
      const other = b.nexthops[index];
      return (
        other !== undefined && sameHop(hop, other) && hop.onlink === other.onlink && (hop.weight ?? 1) === (other.weight ?? 1)
      );
    })
  );
}

/** As a dump shows them: a weight is told where there is something to weigh, and is not 1. */
export function keptHops(nexthops: readonly Nexthop[]): readonly Nexthop[] {
  return nexthops.map(({ weight = 1, ...hop }) => (nexthops.length > 1 && weight !== 1 ? { ...hop, weight } : hop));
}

function done(state: KernelState): Applied {
  return { state, errno: null, message: null };
}

function failed(state: KernelState, errno: string, message: string | null = null): Applied {
  return { state, errno, message };
}

function sameGroup(a: RouteState, b: RouteState): boolean {
  return a.family === b.family && a.table === b.table && a.destination === b.destination;
}

/** What REPLACE and EXCL look at: destination, TOS and metric, never the protocol or the next hop. */
export function samePlace(a: RouteState, b: RouteState): boolean {
  return sameGroup(a, b) && a.tos === b.tos && keptMetric(a) === keptMetric(b);
}

function sameHop(a: Nexthop, b: Nexthop): boolean {
  return a.ifindex === b.ifindex && a.gateway === b.gateway;
}

function refuseNexthops(state: KernelState, route: RouteState): Refusal | null {
  if (route.type !== 'unicast') return null;
  // ip6_route_multipath_add
  const joined = route.family === 6 && route.nexthops.length > 1;
  if (joined && route.nexthops.some((hop) => hop.gateway === null)) {
    return { errno: 'EINVAL', message: 'Device only routes can not be added for IPv6 using the multipath API.' };
  }
  for (const [index, hop] of route.nexthops.entries()) {
    const refusal = refuseNexthop(state, route, hop);
    if (refusal !== null) return refusal;
    const twice = route.nexthops.slice(0, index).some((other) => sameHop(hop, other));
    if (joined && twice) return { errno: 'EEXIST', message: null };
  }
  return null;
}

function refuseNexthop(state: KernelState, route: RouteState, hop: Nexthop): Refusal | null {
  const { family } = route;
  const link = state.links.find((candidate) => candidate.index === hop.ifindex);
  if (link === undefined) {
    // IPv4 asks its routes for the gateway before it looks at the device
    return family === 4 && hop.gateway !== null && !hop.onlink
      ? { errno: 'ENETUNREACH', message: 'Nexthop has invalid gateway' }
      : { errno: 'ENODEV', message: null };
  }
  if (hop.gateway === null) return link.adminUp ? null : { errno: 'ENETDOWN', message: 'Device for nexthop is not up' };
  const gateway = parseAddress(hop.gateway);
  if (gateway === null) return { errno: 'EINVAL', message: null };
  if (state.addresses.some((address) => address.address === hop.gateway)) {
    return { errno: 'EINVAL', message: 'Nexthop has invalid gateway' };
  }
  // the gateway first: over a link that is down none is found
  const found = link.adminUp && isConnected(state, route, hop.ifindex, gateway);
  if (!hop.onlink && !isLinkLocal(gateway) && !found) {
    return family === 4
      ? { errno: 'ENETUNREACH', message: 'Nexthop has invalid gateway' }
      : { errno: 'EHOSTUNREACH', message: null };
  }
  return link.adminUp ? null : { errno: 'ENETDOWN', message: 'Nexthop device is not up' };
}

/**
 * Whether a gateway is on the link: the best route to it over this interface has no gateway of its own. The new route's own
 * table is asked, then main; to IPv4 only routes of link scope count (fib_check_nh_v4_gw, ip6_route_check_nh).
 */
function isConnected(state: KernelState, { family, table }: RouteState, ifindex: number, gateway: Uint8Array): boolean {
  return [table, MAIN_TABLE].some((asked) => {
    let best: { length: number; hop: Nexthop } | null = null;
    for (const route of state.routes) {
      if (route.family !== family || route.table !== asked || (family === 4 && route.scope < SCOPE_LINK)) continue;
      const hop = route.nexthops.find((candidate) => candidate.ifindex === ifindex);
      if (hop === undefined || !covers(route.destination, gateway)) continue;
      const length = prefixLength(route.destination, gateway);
      // equals come by metric
      if (best === null || length > best.length) best = { length, hop };
    }
    return best !== null && best.hop.gateway === null;
  });
}

function prefixLength(destination: string, address: Uint8Array): number {
  const [, length = address.length * 8] = destination.split('/');
  return destination === 'default' ? 0 : Number(length);
}

/** The new routes, or the errno. */
function insertIpv4(routes: readonly RouteState[], route: RouteState, verb: RouteVerb): readonly RouteState[] | string {
  const first = routes.findIndex((candidate) => samePlace(candidate, route));
  if (first < 0) return routes.toSpliced(placeFor(routes, route), 0, route);
  if (verb === 'route-add') return 'EEXIST';
  const match = routes.findIndex((candidate) => sameRoute(candidate, route));
  if (verb === 'route-replace') {
    if (match === first) return routes;
    return match < 0 ? routes.toSpliced(first, 1, route) : 'EEXIST';
  }
  return match < 0 ? routes.toSpliced(placeFor(routes, route), 0, route) : 'EEXIST';
}

function insertIpv6(routes: readonly RouteState[], wanted: RouteState, verb: RouteVerb): readonly RouteState[] | string {
  const route = { ...wanted, metric: keptMetric(wanted) };
  const rivals = routes.filter((candidate) => samePlace(candidate, route));
  if (rivals.length === 0) return routes.toSpliced(placeFor(routes, route), 0, route);
  if (verb === 'route-add') return 'EEXIST';
  const ours = joinsMultipath(route);
  const sibling = rivals.find((candidate) => joinsMultipath(candidate) === ours);
  if (verb === 'route-replace') {
    const victim = replacedBy(rivals, route);
    return routes.map((candidate) => (candidate === victim ? route : candidate));
  }
  const taken = (hop: Nexthop) => rivals.some((rival) => rival.nexthops.some((other) => sameHop(hop, other)));
  if (route.nexthops.length === 0 ? rivals.some((rival) => rival.type === route.type) : route.nexthops.some(taken))
    return 'EEXIST';
  if (!ours || sibling === undefined) return routes.toSpliced(placeFor(routes, route), 0, route);
  const joined = { ...sibling, nexthops: [...sibling.nexthops, ...route.nexthops] };
  return routes.map((candidate) => (candidate === sibling ? joined : candidate));
}

/** Which of the routes in its place a REPLACE swaps away; undefined = there is none. */
export function replacedBy(rivals: readonly RouteState[], route: RouteState): RouteState | undefined {
  if (route.family === 4) return rivals[0];
  // the whole multipath route goes; only where none is of its kind the first of another kind
  return rivals.find((candidate) => joinsMultipath(candidate) === joinsMultipath(route)) ?? rivals[0];
}

function joinsMultipath(route: RouteState): boolean {
  return route.type === 'unicast' && route.protocol !== PROTOCOL_RA && route.nexthops.some((hop) => hop.gateway !== null);
}

/** Behind its equals: higher TOS first, then lower metric, as both families keep and dump them. */
function placeFor(routes: readonly RouteState[], route: RouteState): number {
  let behind = -1;
  for (const [index, other] of routes.entries()) {
    if (!sameGroup(other, route)) continue;
    if (other.tos < route.tos || (other.tos === route.tos && keptMetric(other) > keptMetric(route))) return index;
    behind = index;
  }
  return behind < 0 ? routes.length : behind + 1;
}

/** A metric of 0 in the request matches every metric, the first route wins: a delete may hit a standby that looks alike. */
function metricMatches(candidate: RouteState, wanted: RouteState): boolean {
  return wanted.metric === 0 || candidate.metric === wanted.metric;
}

function protocolMatches(candidate: RouteState, wanted: RouteState): boolean {
  return wanted.protocol === 0 || candidate.protocol === wanted.protocol;
}

/** Several IPv6 next hops are taken away one by one: some may go although the whole fails. */
function deleteRoute(state: KernelState, wanted: RouteState): Applied {
  const parts =
    wanted.family === 6 && wanted.nexthops.length > 1 ? wanted.nexthops.map((hop) => ({ ...wanted, nexthops: [hop] })) : [wanted];
  let { routes } = state;
  let errno: string | null = null;
  for (const part of parts) {
    const left = part.family === 4 ? deleteIpv4(routes, part) : deleteIpv6(routes, part, parts.length > 1);
    if (left === null) errno = 'ESRCH';
    else routes = left;
  }
  return { state: routes === state.routes ? state : { ...state, routes }, errno, message: null };
}

function deleteIpv4(routes: readonly RouteState[], wanted: RouteState): readonly RouteState[] | null {
  const index = deletedByIpv4(routes, wanted);
  return index < 0 ? null : routes.toSpliced(index, 1);
}

/** Which of the routes an IPv4 deletion takes, -1 = none: the first that fits, and it fits loosely. */
export function deletedByIpv4(routes: readonly RouteState[], wanted: RouteState): number {
  return routes.findIndex(
    (candidate) =>
      sameGroup(candidate, wanted) &&
      candidate.tos === wanted.tos &&
      candidate.type === wanted.type &&
      (candidate.scope === wanted.scope || wanted.scope === SCOPE_NOWHERE) &&
      metricMatches(candidate, wanted) &&
      protocolMatches(candidate, wanted) &&
      (wanted.prefsrc === null || candidate.prefsrc === wanted.prefsrc) &&
      nexthopsMatch(wanted.nexthops, candidate.nexthops),
  );
}

/** fib_nh_match: each of the route's hops is compared with its place in a list that may be longer; never the weights. */
function nexthopsMatch(wanted: readonly Nexthop[], candidate: readonly Nexthop[]): boolean {
  if (wanted.length === 0) return true;
  return candidate.every((hop, index) => {
    const other = wanted[index];
    return other !== undefined && hopMatches(other, hop);
  });
}

/** With a gateway named, or as one of several, only this hop goes; otherwise the route with all of them. */
function deleteIpv6(routes: readonly RouteState[], wanted: RouteState, oneOfSeveral: boolean): readonly RouteState[] | null {
  const [hop] = wanted.nexthops;
  const index = routes.findIndex(
    (candidate) =>
      sameGroup(candidate, wanted) &&
      metricMatches(candidate, wanted) &&
      protocolMatches(candidate, wanted) &&
      // it asks for the device, not for the type: guards hang on `lo`
      (wanted.type === 'unicast' || candidate.type !== 'unicast') &&
      (hop === undefined || candidate.nexthops.some((other) => hopMatches(hop, other))),
  );
  const found = routes[index];
  if (found === undefined) return null;
  if (hop === undefined || (hop.gateway === null && !oneOfSeveral)) return routes.toSpliced(index, 1);
  const gone = found.nexthops.findIndex((candidate) => hopMatches(hop, candidate));
  const left = keptHops(found.nexthops.toSpliced(gone, 1));
  return left.length === 0 ? routes.toSpliced(index, 1) : routes.toSpliced(index, 1, { ...found, nexthops: left });
}

function hopMatches(wanted: Nexthop, candidate: Nexthop | undefined): boolean {
  return (
    candidate !== undefined &&
    candidate.ifindex === wanted.ifindex &&
    (wanted.gateway === null || candidate.gateway === wanted.gateway)
  );
}
