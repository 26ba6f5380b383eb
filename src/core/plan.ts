/**
 * What should stand in the kernel for a given choice: default routes, per-uplink tables with their guards, rules, sysctls
 * and our nftables table. Pure; what is already there and how to get from here to there is diff.ts's business.
 */
import { bindingPriorityOf, type KernelNumbers, probeMark, rulePriorityOf, tableOf } from './config.js';
import type { KernelState, NftRules, RouteState, RuleState } from './kernel.js';
import type { Family } from './model.js';
import { splitZone } from './net.js';
import { MAIN_TABLE } from './topology.js';

/** The highest metric there is: the guard stands behind everything. */
export const GUARD_METRIC = 4_294_967_295;
/** The main table's default: 0 is the lowest for IPv4; for IPv6 0 means 1024, the lowest is 1. */
export const FIRST_METRIC: Readonly<Record<Family, number>> = { 4: 0, 6: 1 };
/** In a table of ours the default's metric only has to be below the guard's. */
const TABLE_METRIC: Readonly<Record<Family, number>> = { 4: 0, 6: 1 };

/** One path as the plan needs it. */
export interface PlanPath {
  readonly family: Family;
  readonly slot: number;
  /** null where no route can be installed now; its guard and rule stand all the same */
  readonly hop: { readonly ifindex: number; readonly interface: string; readonly gateway: string } | null;
}

export interface Binding {
  readonly family: Family;
  readonly slot: number;
  readonly address: string;
}

export interface PlanInput {
  readonly numbers: KernelNumbers;
  /** per family the active path first, then the others in the order in which the kernel shall fall back to them */
  readonly paths: readonly PlanPath[];
  /** whether the first path of the family is the choice; without one, main's first place is left as it is */
  readonly chosen: Readonly<Record<Family, boolean>>;
  /** addresses that this machine itself reaches only through one uplink, or not at all: smarthosts */
  readonly bindings: readonly Binding[];
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

export function makePlan(input: PlanInput, seen: KernelState): Plan {
  const { numbers, paths } = input;
  const families: Family[] = [4, 6];
  const defaults = families.flatMap((family) =>
    paths
      .filter((p) => p.family === family)
      // Without a choice the first place is not ours to fill; the fallbacks behind it are.
      .map((path, i) => ({ path, metric: FIRST_METRIC[family] + i + (input.chosen[family] ? 0 : 1) }))
      .flatMap(({ path, metric }) => (path.hop === null ? [] : [viaGateway(path, path.hop, MAIN_TABLE, metric, numbers)])),
  );
  const tables = paths.flatMap((path) => {
    const table = tableOf(numbers, path.slot);
    const guard = guardRoute(path.family, table, numbers.protocol);
    return path.hop === null ? [guard] : [guard, viaGateway(path, path.hop, table, TABLE_METRIC[path.family], numbers)];
  });
  const nft = nftRules(paths, seen);
  return {
    defaults,
    tables,
    rules: [...paths.map((path) => probeRule(path, numbers)), ...input.bindings.map((binding) => bindingRule(binding, numbers))],
    sysctls: input.setSysctls ? sysctlsFor(paths, seen, input.gid) : [],
    nft: { fingerprint: nft === null ? 'absent' : `backroute: no redirects on ${nft.dropNdRedirectsOn.join(' ')}`, rules: nft },
  };
}

function viaGateway(
  path: PlanPath,
  hop: { readonly ifindex: number; readonly gateway: string },
  table: number,
  metric: number,
  numbers: KernelNumbers,
): RouteState {
  return {
    family: path.family,
    table,
    destination: 'default',
    type: 'unicast',
    protocol: numbers.protocol,
    metric,
    tos: 0,
    scope: 0,
    prefsrc: null,
    nexthops: [{ ifindex: hop.ifindex, gateway: splitZone(hop.gateway)[0], onlink: false }],
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

function probeRule(path: PlanPath, numbers: KernelNumbers): RuleState {
  return {
    family: path.family,
    priority: rulePriorityOf(numbers, path.slot),
    table: tableOf(numbers, path.slot),
    mark: probeMark(numbers, path.slot),
    mask: numbers.markMask,
    protocol: numbers.protocol,
    other: false,
  };
}

/** What we send to this address ourselves looks into the uplink's table, guard included; what we forward does not. */
function bindingRule(binding: Binding, numbers: KernelNumbers): RuleState {
  return {
    family: binding.family,
    priority: bindingPriorityOf(numbers, binding.slot),
    table: tableOf(numbers, binding.slot),
    mark: 0,
    mask: 0,
    protocol: numbers.protocol,
    destination: `${binding.address}/${binding.family === 4 ? 32 : 128}`,
    incoming: 'lo',
    other: false,
  };
}

/** Interfaces that carry more than one uplink of a family: the classic topology, where redirects would bend clients and probes. */
function sharedInterfaces(paths: readonly PlanPath[], family: Family): string[] {
  const names = paths.flatMap((p) => (p.family === family && p.hop !== null ? [p.hop.interface] : []));
  return [...new Set(names.filter((name, i) => names.indexOf(name) !== i))].sort();
}

function nftRules(paths: readonly PlanPath[], seen: KernelState): NftRules | null {
  // IPv6 has no sysctl against sending redirects. Where nft was not asked for (null), nothing is planned with it.
  const shared = seen.nft === null ? [] : sharedInterfaces(paths, 6);
  return shared.length === 0 ? null : { dropNdRedirectsOn: shared };
}

// ---- sysctls -------------------------------------------------------------------------------------------------------

const conf = (family: Family, name: string, key: string): string => `net/ipv${family}/conf/${name}/${key}`;
export const PING_GROUP_RANGE = 'net/ipv4/ping_group_range';

/** Every sysctl that a plan over these interfaces may look at: what a snapshot has to hold. */
export function sysctlKeys(interfaces: readonly string[]): string[] {
  const names = ['all', ...interfaces];
  return [
    PING_GROUP_RANGE,
    ...names.flatMap((name) => [
      conf(4, name, 'send_redirects'),
      conf(4, name, 'accept_redirects'),
      conf(4, name, 'rp_filter'),
      conf(4, name, 'ignore_routes_with_linkdown'),
      conf(6, name, 'accept_redirects'),
      conf(6, name, 'ignore_routes_with_linkdown'),
    ]),
  ];
}

function sysctlsFor(paths: readonly PlanPath[], seen: KernelState, gid: number): { key: string; value: string }[] {
  const wanted: { key: string; value: string }[] = [];
  const want = (key: string, value: string): void => {
    if (typeof seen.sysctls[key] === 'string') wanted.push({ key, value });
  };
  const pingRange = seen.sysctls[PING_GROUP_RANGE];
  if (typeof pingRange === 'string' && !rangeHolds(pingRange, gid)) want(PING_GROUP_RANGE, `${gid} ${gid}`);

  const interfaces = [...new Set(paths.flatMap((p) => (p.hop === null ? [] : [p.hop.interface])))].sort();
  const shared4 = sharedInterfaces(paths, 4);
  const shared6 = sharedInterfaces(paths, 6);
  for (const name of interfaces) {
    want(conf(4, name, 'ignore_routes_with_linkdown'), '1');
    want(conf(6, name, 'ignore_routes_with_linkdown'), '1');
    // Strict filtering drops the replies to probes of every uplink but the active one. The kernel takes the higher of
    // `all` and the interface's own: 2 (loose) on the interface outranks a 1 anywhere.
    const strictest = Math.max(
      Number(seen.sysctls[conf(4, 'all', 'rp_filter')] ?? 0),
      Number(seen.sysctls[conf(4, name, 'rp_filter')] ?? 0),
    );
    if (!shared4.includes(name) && strictest !== 0) want(conf(4, name, 'rp_filter'), '2');
  }
  if (shared4.length > 0) {
    want(conf(4, 'all', 'send_redirects'), '0');
    want(conf(4, 'all', 'accept_redirects'), '0');
    for (const name of shared4) {
      want(conf(4, name, 'send_redirects'), '0');
      want(conf(4, name, 'accept_redirects'), '0');
    }
  }
  for (const name of shared6) want(conf(6, name, 'accept_redirects'), '0');
  return wanted;
}

function rangeHolds(range: string, gid: number): boolean {
  const [low, high] = range.split(/\s+/).map(Number);
  return low !== undefined && high !== undefined && low <= gid && gid <= high;
}
