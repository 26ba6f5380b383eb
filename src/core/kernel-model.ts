/**
 * What Linux makes of one operation, as a pure function: the engine's idea of the kernel right after `apply`, and the
 * heart of the fake kernel. It knows no policy and no ownership. Seen on kernel 6.18; the kernel's own sources are
 * fib_table_insert (net/ipv4/fib_trie.c), fib6_add_rt2node (net/ipv6/ip6_fib.c), fib_check_nh (fib_semantics.c).
 */
import { covers, isLinkLocal, parseAddress } from './address.js';
import type { KernelOp, KernelState, Nexthop, RouteState, RuleState } from './kernel.js';

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

export function applyOp(state: KernelState, op: KernelOp): Applied {
  switch (op.op) {
    case 'route-replace':
    case 'route-add':
    case 'route-append': {
      const refusal = refuseNexthops(state, op.route);
      if (refusal !== null) return failed(state, refusal.errno, refusal.message);
      const routes =
        op.route.family === 4 ? insertIpv4(state.routes, op.route, op.op) : insertIpv6(state.routes, op.route, op.op);
      return typeof routes === 'string' ? failed(state, routes) : done({ ...state, routes });
    }
    case 'route-delete': {
      const routes = op.route.family === 4 ? deleteIpv4(state.routes, op.route) : deleteIpv6(state.routes, op.route);
      return routes === null ? failed(state, 'ESRCH') : done({ ...state, routes });
    }
    case 'rule-add':
      if (state.rules.some((rule) => sameRule(rule, op.rule))) return failed(state, 'EEXIST');
      return done({ ...state, rules: insertRule(state.rules, op.rule) });
    case 'rule-delete': {
      const index = state.rules.findIndex((rule) => sameRule(rule, op.rule));
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
      return other !== undefined && sameHop(hop, other) && hop.onlink === other.onlink;
    })
  );
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
  for (const hop of route.nexthops) {
    const link = state.links.find((candidate) => candidate.index === hop.ifindex);
    if (link === undefined) return { errno: 'ENODEV', message: null };
    if (hop.gateway === null) {
      if (!link.adminUp) return { errno: 'ENETDOWN', message: 'Device for nexthop is not up' };
      continue;
    }
    const gateway = parseAddress(hop.gateway);
    if (gateway === null) return { errno: 'EINVAL', message: null };
    if (state.addresses.some((address) => address.address === hop.gateway)) {
      return { errno: 'EINVAL', message: 'Nexthop has invalid gateway' };
    }
    // IPv6 looks at the device first, IPv4 at the gateway: with its link down, IPv4's connected network is gone as well
    if (route.family === 6 && !link.adminUp) return { errno: 'ENETDOWN', message: 'Nexthop device is not up' };
    if (!hop.onlink && !isLinkLocal(gateway) && !isConnected(state.routes, hop.ifindex, gateway)) {
      return route.family === 4
        ? { errno: 'ENETUNREACH', message: 'Nexthop has invalid gateway' }
        : { errno: 'EHOSTUNREACH', message: null };
    }
    if (!link.adminUp) return { errno: 'ENETDOWN', message: 'Nexthop device is not up' };
  }
  return null;
}

function isConnected(routes: readonly RouteState[], ifindex: number, gateway: Uint8Array): boolean {
  return routes.some(
    (route) =>
      route.destination !== 'default' &&
      route.nexthops.some((hop) => hop.ifindex === ifindex && hop.gateway === null) &&
      covers(route.destination, gateway),
  );
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
    // the whole multipath route goes; only where none is of our kind the first of another kind
    const victim = sibling ?? rivals[0];
    return routes.map((candidate) => (candidate === victim ? route : candidate));
  }
  const taken = (hop: Nexthop) => rivals.some((rival) => rival.nexthops.some((other) => sameHop(hop, other)));
  if (route.nexthops.length === 0 ? rivals.some((rival) => rival.type === route.type) : route.nexthops.some(taken))
    return 'EEXIST';
  if (!ours || sibling === undefined) return routes.toSpliced(placeFor(routes, route), 0, route);
  const joined = { ...sibling, nexthops: [...sibling.nexthops, ...route.nexthops] };
  return routes.map((candidate) => (candidate === sibling ? joined : candidate));
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

function deleteIpv4(routes: readonly RouteState[], wanted: RouteState): readonly RouteState[] | null {
  const index = routes.findIndex(
    (candidate) =>
      sameGroup(candidate, wanted) &&
      candidate.tos === wanted.tos &&
      candidate.type === wanted.type &&
      metricMatches(candidate, wanted) &&
      protocolMatches(candidate, wanted) &&
      (wanted.prefsrc === null || candidate.prefsrc === wanted.prefsrc) &&
      (wanted.nexthops.length === 0 ||
        (wanted.nexthops.length === candidate.nexthops.length &&
          wanted.nexthops.every((hop, position) => hopMatches(hop, candidate.nexthops[position])))),
  );
  return index < 0 ? null : routes.toSpliced(index, 1);
}

/** With gateways named only these hops go, otherwise the route with all of them. */
function deleteIpv6(routes: readonly RouteState[], wanted: RouteState): readonly RouteState[] | null {
  const index = routes.findIndex(
    (candidate) =>
      sameGroup(candidate, wanted) &&
      metricMatches(candidate, wanted) &&
      protocolMatches(candidate, wanted) &&
      (candidate.type === 'unicast') === (wanted.type === 'unicast') &&
      wanted.nexthops.every((hop) => candidate.nexthops.some((other) => hopMatches(hop, other))),
  );
  const found = routes[index];
  if (found === undefined) return null;
  const named = wanted.nexthops.filter((hop) => hop.gateway !== null);
  const left = named.length === 0 ? [] : found.nexthops.filter((hop) => !named.some((gone) => hopMatches(gone, hop)));
  return left.length === 0 ? routes.toSpliced(index, 1) : routes.toSpliced(index, 1, { ...found, nexthops: left });
}

function hopMatches(wanted: Nexthop, candidate: Nexthop | undefined): boolean {
  return (
    candidate !== undefined &&
    candidate.ifindex === wanted.ifindex &&
    (wanted.gateway === null || candidate.gateway === wanted.gateway)
  );
}

export function sameRule(a: RuleState, b: RuleState): boolean {
  return (
    a.family === b.family &&
    a.priority === b.priority &&
    a.table === b.table &&
    a.mark === b.mark &&
    a.mask === b.mask &&
    a.protocol === b.protocol &&
    a.destination === b.destination &&
    a.incoming === b.incoming &&
    a.other === b.other
  );
}

/** Rules stand by priority, behind those of the same priority. */
function insertRule(rules: readonly RuleState[], rule: RuleState): readonly RuleState[] {
  const at = rules.findIndex((other) => other.family === rule.family && other.priority > rule.priority);
  return rules.toSpliced(at < 0 ? rules.length : at, 0, rule);
}
