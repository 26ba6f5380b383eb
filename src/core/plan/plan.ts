/**
 * What should stand in the kernel for a given choice: default routes, per-uplink tables with their guards, rules, sysctls
 * and our nftables table. Pure; what is already there and how to get from here to there is diff.ts's business.
 */
import { flowTableOf, type KernelNumbers, tableOf } from '../config.js';
import type { KernelState, Nexthop, NftRules, RouteState, RuleState } from '../kernel.js';
import type { Family } from '../model.js';
import { splitZone } from '../net.js';
import { MAIN_TABLE, SCOPE_LINK } from '../paths/topology.js';
import { fingerprintOf, isWhole, type NftWish, nftRules } from './plan-nft.js';
import type { Hop, PlanPath } from './plan-path.js';
import { type Binding, bindingRule, flowRules, probeRule, type ViaPlan, viaRules } from './plan-rules.js';
import { sysctlsFor } from './plan-sysctls.js';

/** The highest metric there is: the guard stands behind everything. */
export const GUARD_METRIC = 4_294_967_295;
/** The main table's default: 0 is the lowest for IPv4; for IPv6 0 means 1024, the lowest is 1. */
export const FIRST_METRIC: Readonly<Record<Family, number>> = { 4: 0, 6: 1 };
/** In a table of ours the default's metric only has to be below the guard's. */
const TABLE_METRIC: Readonly<Record<Family, number>> = { 4: 0, 6: 1 };

/** Who shares new connections, and with which weight. */
export interface PlanShare {
  readonly slot: number;
  readonly weight: number;
}

export interface PlanInput {
  readonly numbers: KernelNumbers;
  /** per family the active path first, then the others in the order in which the kernel shall fall back to them */
  readonly paths: readonly PlanPath[];
  /** whether the first path of the family is the choice; without one, main's first place is left as it is */
  readonly chosen: Readonly<Record<Family, boolean>>;
  /** per family those that hold the first place together; fewer than two = the first path alone */
  readonly sharing: Readonly<Record<Family, readonly PlanShare[]>>;
  readonly bindings: readonly Binding[];
  readonly via: readonly ViaPlan[];
  readonly nft: NftWish;
  readonly setSysctls: boolean;
  /** effective group of this process */
  readonly gid: number;
}

export interface Plan {
  /** main's defaults: exactly these shall hold their metrics */
  readonly defaults: readonly RouteState[];
  /** everything that shall be in our tables */
  readonly tables: readonly RouteState[];
  readonly rules: readonly RuleState[];
  readonly sysctls: readonly { readonly key: string; readonly value: string }[];
  readonly nft: { readonly fingerprint: string; readonly rules: NftRules | null };
}

const FAMILIES: readonly Family[] = [4, 6];

export function makePlan(input: PlanInput, seen: KernelState): Plan {
  const { numbers, paths } = input;
  const defaults = FAMILIES.flatMap((family) => {
    const mine = paths.filter((p) => p.family === family);
    const first = FIRST_METRIC[family];
    const shared = sharedHops(family, mine, input.sharing[family]);
    const isShared = input.chosen[family] && shared.length > 1;
    // Without a choice the first place is not ours to fill; the fallbacks behind it are. Behind several that share stands each of
    // them alone, the chosen one too: with an interface that vanishes IPv4 takes the whole route away.
    const behind = input.chosen[family] && !isShared ? first : first + 1;
    const alone = mine.flatMap((path, i) =>
      path.hop === null ? [] : [defaultRoute(family, [nexthop(path.hop)], MAIN_TABLE, behind + i, numbers)],
    );
    return isShared ? [defaultRoute(family, shared, MAIN_TABLE, first, numbers), ...alone] : alone;
  });
  const remembered = (path: PlanPath): boolean => input.nft.connections !== null && isWhole(path, paths, input.nft.masquerade);
  // Uplinks with connections, or chosen traffic, that stay with them.
  const staying = new Set([
    ...paths.filter(remembered).map((p) => p.slot),
    ...input.via.flatMap((v) => (v.slot === null || v.guarded ? [] : [v.slot])),
  ]);
  const tables = paths.flatMap((path) => {
    const { hop } = path;
    const table = tableOf(numbers, path.slot);
    const guard = guardRoute(path.family, table, numbers.protocol);
    if (hop === null) return [guard];
    const own = (into: number): RouteState => defaultRoute(path.family, [nexthop(hop)], into, TABLE_METRIC[path.family], numbers);
    return staying.has(path.slot) ? [guard, own(table), own(flowTableOf(numbers, path.slot))] : [guard, own(table)];
  });
  // Where nft was not asked for (null), nothing is planned with it.
  const rules = seen.nft === null ? null : nftRules(paths, input.nft, numbers);
  const several = FAMILIES.filter((family) => input.sharing[family].length > 1);
  return {
    defaults,
    tables,
    rules: [
      ...paths.map((path) => probeRule(path, numbers)),
      ...input.bindings.map((binding) => bindingRule(binding, numbers)),
      ...paths.filter((path) => path.works && remembered(path)).flatMap((path) => flowRules(path, numbers)),
      ...input.via.flatMap((via) => viaRules(via, numbers)),
    ],
    sysctls: input.setSysctls ? sysctlsFor(paths, several, seen, input.gid) : [],
    nft: { fingerprint: fingerprintOf(rules), rules },
  };
}

/**
 * In the order of the interfaces, as the same set is always to be the same route. Empty where the kernel would refuse it: IPv6 does
 * not share with a link that has no gateway (EINVAL, seen on 6.18), and then the choice goes alone.
 */
function sharedHops(family: Family, paths: readonly PlanPath[], sharing: readonly PlanShare[]): Nexthop[] {
  const hops = sharing
    .flatMap(({ slot, weight }) => {
      const hop = paths.find((p) => p.slot === slot)?.hop;
      return hop === null || hop === undefined ? [] : [weight === 1 ? nexthop(hop) : { ...nexthop(hop), weight }];
    })
    .sort((a, b) => a.ifindex - b.ifindex || (a.gateway ?? '').localeCompare(b.gateway ?? ''));
  return family === 6 && hops.some((hop) => hop.gateway === null) ? [] : hops;
}

function nexthop(hop: Hop): Nexthop {
  // Without a gateway the kernel takes no such flag.
  if (hop.gateway === null) return { ifindex: hop.ifindex, gateway: null, onlink: false };
  return { ifindex: hop.ifindex, gateway: splitZone(hop.gateway)[0], onlink: hop.onlink };
}

function defaultRoute(
  family: Family,
  nexthops: readonly Nexthop[],
  table: number,
  metric: number,
  numbers: KernelNumbers,
): RouteState {
  const toLink = family === 4 && nexthops.every((hop) => hop.gateway === null);
  return {
    family,
    table,
    destination: 'default',
    type: 'unicast',
    protocol: numbers.protocol,
    metric,
    tos: 0,
    // What has no next hop is a neighbour: ip-route(8) gives such routes this scope, too.
    scope: toLink ? SCOPE_LINK : 0,
    prefsrc: null,
    nexthops,
    expires: false,
    rest: '',
  };
}

function guardRoute(family: Family, table: number, protocol: number): RouteState {
  return {
    family,
    table,
    destination: 'default',
    type: 'unreachable',
    protocol,
    metric: GUARD_METRIC,
    tos: 0,
    scope: 0,
    prefsrc: null,
    nexthops: [],
    expires: false,
    rest: '',
  };
}
