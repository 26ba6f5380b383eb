/**
 * From what stands in the kernel to what should: the operations, in an order that never leaves the machine without a
 * default route, and what these take away from others. Pure. Ownership: a route is ours by protocol number in main and by
 * table range elsewhere; a rule by protocol number, or by priority and table range.
 */
import type { KernelNumbers } from '../config.js';
import { OWN_TABLES, RULE_PRIORITIES } from '../config.js';
import type { KernelOp, KernelState, Nexthop, RouteState, RuleState } from '../kernel.js';
import type { Family } from '../model.js';
import { sameAddress } from '../net.js';
import { MAIN_TABLE } from '../paths/topology.js';
import { replacedBy, sameRule } from './kernel-model.js';
import { FIRST_METRIC, type Plan } from './plan.js';

export interface Difference {
  /** routes and rules, in order */
  readonly ops: readonly KernelOp[];
  /** apart, because nft is a process and takes its time */
  readonly nftOps: readonly KernelOp[];
  /** foreign default routes that the operations take out of our place */
  readonly displaced: readonly RouteState[];
  /** sysctls about to change and what they were */
  readonly sysctls: Readonly<Record<string, { readonly before: string; readonly set: string }>>;
}

export function differ(seen: KernelState, plan: Plan, numbers: KernelNumbers): Difference {
  const displaced: RouteState[] = [];
  const first: KernelOp[] = [];
  const standbys: KernelOp[] = [];
  const removals: KernelOp[] = [];

  const families: Family[] = [4, 6];
  for (const family of families) {
    const wanted = plan.defaults.filter((r) => r.family === family);
    const standing = mainDefaults(seen, family);
    for (const route of wanted) {
      const isFirst = route.metric === FIRST_METRIC[family];
      placeDefault(standing, route, numbers.protocol, isFirst ? first : standbys, displaced);
    }
    // Ours at a metric that is not wanted any more: only after the wanted ones stand. Without any uplink to go by the last plan
    // is kept, and where nothing but stale ones stands they wait until a wanted one is seen: it may be refused.
    const firstPlanned = wanted.some((w) => w.metric === FIRST_METRIC[family]);
    const isStale = (r: RouteState): boolean => r.protocol === numbers.protocol && !wanted.some((w) => w.metric === r.metric);
    const secure = wanted.length > 0 && standing.some((r) => !isStale(r));
    for (const route of standing) {
      // The first place is emptied only to be filled: without a choice, or with all uplinks lost, the last plan is kept.
      const kept = route.metric === FIRST_METRIC[family] && !firstPlanned;
      if (isStale(route) && secure && !kept) removals.push({ op: 'route-delete', route });
    }
  }

  const tables = plan.tables.filter((w) => !seen.routes.some((r) => sameRoute(r, w)));
  const rules = plan.rules.filter((w) => !seen.rules.some((r) => sameRule(r, w)));
  for (const rule of seen.rules) {
    if (isOwnRule(rule, numbers) && !plan.rules.some((w) => sameRule(rule, w))) removals.push({ op: 'rule-delete', rule });
  }
  for (const route of seen.routes) {
    if (!isOwnTable(route.table, numbers) || plan.tables.some((w) => sameRoute(route, w))) continue;
    // A replace at the same metric has already taken its place.
    if (
      tables.some(
        (w) =>
          w.family === route.family &&
          w.table === route.table &&
          w.metric === route.metric &&
          w.destination === route.destination,
      )
    ) {
      continue;
    }
    removals.push({ op: 'route-delete', route });
  }

  const sysctls: Record<string, { before: string; set: string }> = {};
  for (const { key, value } of plan.sysctls) {
    const before = seen.sysctls[key];
    if (typeof before === 'string' && normal(before) !== normal(value)) sysctls[key] = { before, set: value };
  }
  const nftOps: KernelOp[] = [];
  if (seen.nft !== null && seen.nft.fingerprint !== plan.nft.fingerprint) {
    nftOps.push({ op: 'nft-table', fingerprint: plan.nft.fingerprint, rules: plan.nft.rules });
  }
  return {
    ops: [
      ...first,
      ...tables.map((route): KernelOp => ({ op: 'route-replace', route })),
      ...rules.map((rule): KernelOp => ({ op: 'rule-add', rule })),
      ...standbys,
      ...removals,
      ...Object.entries(sysctls).map(([key, { set }]): KernelOp => ({ op: 'sysctl-set', key, value: set })),
    ],
    nftOps,
    displaced,
    sysctls,
  };
}

/** Main's default routes of one family, tos 0, in the kernel's order. */
export function mainDefaults(state: KernelState, family: Family): RouteState[] {
  return state.routes.filter((r) => r.family === family && r.table === MAIN_TABLE && r.destination === 'default' && r.tos === 0);
}

/**
 * Makes `wanted` the only route at its metric. The kernel's REPLACE swaps one route of that metric, mostly the first, whosever it is;
 * where the wanted route already stands behind a foreign one, REPLACE fails with EEXIST, so the foreign one is deleted.
 */
function placeDefault(
  standing: readonly RouteState[],
  wanted: RouteState,
  protocol: number,
  ops: KernelOp[],
  displaced: RouteState[],
): void {
  const group = standing.filter((r) => r.metric === wanted.metric);
  const exact = group.findIndex((r) => sameRoute(r, wanted));
  if (exact < 0) ops.push({ op: 'route-replace', route: wanted });
  const swapped = exact < 0 ? replacedBy(group, wanted) : undefined;
  group.forEach((route, i) => {
    if (i === exact) return;
    if (route.protocol !== protocol) displaced.push(route);
    if (route === swapped) return;
    ops.push({ op: 'route-delete', route });
  });
}

export function isOwnTable(table: number, numbers: KernelNumbers): boolean {
  return table >= numbers.tableBase && table < numbers.tableBase + OWN_TABLES;
}

export function isOwnRule(rule: RuleState, numbers: KernelNumbers): boolean {
  if (rule.other) return false;
  const inRange = rule.priority >= numbers.ruleBase && rule.priority < numbers.ruleBase + RULE_PRIORITIES;
  const ours = rule.protocol === numbers.protocol;
  if (isOwnTable(rule.table, numbers)) return inRange || ours;
  // Those that look into main first, or block, point to no table of ours.
  return inRange && ours && (rule.suppress !== undefined || rule.action !== undefined);
}

/** Same place, same way, same owner. Lifetimes and metrics inside (`rest`) of our own routes are the kernel's business. */
export function sameRoute(a: RouteState, b: RouteState): boolean {
  return (
    a.family === b.family &&
    a.table === b.table &&
    a.destination === b.destination &&
    a.type === b.type &&
    a.protocol === b.protocol &&
    a.metric === b.metric &&
    a.tos === b.tos &&
    a.prefsrc === b.prefsrc &&
    // The kernel hangs IPv6 guards on the loopback device: of a guard the nexthop says nothing.
    (a.type !== 'unicast' || sameHops(a.nexthops, b.nexthops))
  );
}

function sameHops(a: readonly Nexthop[], b: readonly Nexthop[]): boolean {
  if (a.length !== b.length) return false;
  // The kernel lists the hops of one route in an order of its own.
  return a.length === 1 ? sameHop(a[0], b[0]) : a.every((hop) => b.some((other) => sameHop(hop, other)));
}

function sameHop(a: Nexthop | undefined, b: Nexthop | undefined): boolean {
  if (a === undefined || b === undefined || a.ifindex !== b.ifindex || (a.weight ?? 1) !== (b.weight ?? 1)) return false;
  if (a.gateway === null || b.gateway === null) return a.gateway === b.gateway;
  return a.onlink === b.onlink && sameAddress(a.gateway, b.gateway);
}

/** `0\t0` and `0 0` are one value. */
function normal(value: string): string {
  return value.trim().split(/\s+/).join(' ');
}
