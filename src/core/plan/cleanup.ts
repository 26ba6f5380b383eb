/**
 * Takes Backroute out of the kernel again: everything owned goes, what stood in its place comes back, and at no instant is
 * there no default route. Pure; works without a daemon, from a snapshot and the saved state alone.
 */
import { type KernelNumbers, ownTables } from '../config.js';
import type { KernelOp, KernelState, RouteState, SnapshotRequest } from '../kernel.js';
import type { RestoreMemory, SavedState } from '../messages.js';
import type { Family } from '../model.js';
import { isOwnRule, isOwnTable, mainDefaults, sameRoute } from './diff.js';
import { applyOp } from './kernel-model.js';

/** rtm_protocol of routes that an administrator made to stay */
const PROTOCOL_STATIC = 4;

/** The saved state without what an earlier boot of the kernel remembered: those routes and values are gone by themselves. */
export function ofThisBoot(saved: SavedState | null, bootId: string): SavedState | null {
  if (saved === null || saved.restore.bootId === bootId) return saved;
  return { ...saved, restore: nothingRemembered(bootId) };
}

/** As long as nothing of ours stands. */
export function nothingRemembered(bootId: string): RestoreMemory {
  return { bootId, routes: [], sysctls: {}, hadDefault: null };
}

/** What a snapshot must hold for `planCleanup`. */
export function cleanupRequest(numbers: KernelNumbers, saved: SavedState | null): SnapshotRequest {
  return {
    tables: ownTables(numbers),
    sysctls: Object.keys(saved?.restore.sysctls ?? {}),
    nft: true,
  };
}

/**
 * The operations, in order. A remembered route takes our place at its metric; ours go only when another default stands.
 * Where nothing would be left although there was a default before us, the last choice stays, as a static route that is
 * nobody's. Each step is tried on the model first: what the kernel would refuse must not be counted on.
 */
export function planCleanup(state: KernelState, numbers: KernelNumbers, saved: SavedState | null): KernelOp[] {
  const families: Family[] = [4, 6];
  const ops: KernelOp[] = [];
  let now = state;
  const does = (op: KernelOp): boolean => {
    const applied = applyOp(now, op);
    if (applied.errno !== null) return false;
    now = applied.state;
    ops.push(op);
    return true;
  };
  for (const family of families) {
    const isOurs = (r: RouteState): boolean => r.protocol === numbers.protocol;
    for (const route of saved?.restore.routes ?? []) {
      if (route.family !== family || !isRestorable(now, route)) continue;
      const standing = mainDefaults(now, family);
      if (standing.some((r) => sameRoute(r, route))) continue;
      // REPLACE swaps the first one of the metric: only if that is ours, nobody else loses his place.
      const place = standing.find((r) => r.metric === route.metric);
      if (place === undefined || isOurs(place)) does({ op: 'route-replace', route });
      // IPv6 may make one multipath route of two (never of one by RA): appended only where every other stays what it is.
      else if (standsApart(now, route)) does({ op: 'route-append', route });
    }
    const standing = mainDefaults(now, family);
    if (standing.every(isOurs) && (saved?.restore.hadDefault?.includes(family) ?? true)) {
      const ways = standing.filter((r) => r.type === 'unicast').flatMap((r) => [r, ...livingPart(now, r)]);
      ways.some((way) => does({ op: 'route-replace', route: { ...way, protocol: PROTOCOL_STATIC } }));
    }
    const mayGo = mainDefaults(now, family).some((r) => !isOurs(r)) || saved?.restore.hadDefault?.includes(family) === false;
    if (!mayGo) continue;
    for (const route of mainDefaults(now, family)) if (isOurs(route)) does({ op: 'route-delete', route });
  }
  for (const rule of state.rules) if (isOwnRule(rule, numbers)) ops.push({ op: 'rule-delete', rule });
  for (const route of state.routes) if (isOwnTable(route.table, numbers)) ops.push({ op: 'route-delete', route });
  for (const [key, { before, set }] of Object.entries(saved?.restore.sysctls ?? {})) {
    // Whoever has changed it since wants it so.
    const now = state.sysctls[key];
    if (typeof now === 'string' && words(now) === words(set)) ops.push({ op: 'sysctl-set', key, value: before });
  }
  if (state.nft !== null && state.nft.fingerprint !== 'absent') ops.push({ op: 'nft-table', fingerprint: 'absent', rules: null });
  return ops;
}

/** A route over a link that is gone cannot come back. */
function isRestorable(state: KernelState, route: RouteState): boolean {
  return route.nexthops.every((hop) => state.links.some((l) => l.index === hop.ifindex && l.adminUp));
}

/** Of a route with several hops of which some are dead the kernel takes the others alone. */
function livingPart(state: KernelState, route: RouteState): RouteState[] {
  const nexthops = route.nexthops.filter((hop) => state.links.some((l) => l.index === hop.ifindex && l.adminUp));
  return nexthops.length === 0 || nexthops.length === route.nexthops.length ? [] : [{ ...route, nexthops }];
}

function standsApart(state: KernelState, route: RouteState): boolean {
  const after = applyOp(state, { op: 'route-append', route }).state;
  return mainDefaults(state, route.family).every((r) => after.routes.includes(r));
}

function words(value: string): string {
  return value.trim().split(/\s+/).join(' ');
}
