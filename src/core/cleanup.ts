/**
 * Takes Backroute out of the kernel again: everything owned goes, what stood in its place comes back, and at no instant is
 * there no default route. Pure; works without a daemon, from a snapshot and the saved state alone.
 */
import { type KernelNumbers, MAX_UPLINKS, tableOf } from './config.js';
import { isOwnRule, isOwnTable, mainDefaults } from './diff.js';
import type { KernelOp, KernelState, RouteState, SnapshotRequest } from './kernel.js';
import type { SavedState } from './messages.js';
import type { Family } from './model.js';

/** rtm_protocol of routes that an administrator made to stay */
const PROTOCOL_STATIC = 4;

/** The saved state without what an earlier boot of the kernel remembered: those routes and values are gone by themselves. */
export function ofThisBoot(saved: SavedState | null, bootId: string): SavedState | null {
  if (saved === null || saved.restore.bootId === bootId) return saved;
  return { ...saved, restore: { bootId, routes: [], sysctls: {}, hadDefault: [] } };
}

/** What a snapshot must hold for `planCleanup`. */
export function cleanupRequest(numbers: KernelNumbers, saved: SavedState | null): SnapshotRequest {
  return {
    tables: Array.from({ length: MAX_UPLINKS }, (_, slot) => tableOf(numbers, slot)),
    sysctls: Object.keys(saved?.restore.sysctls ?? {}),
    nft: true,
  };
}

/**
 * The operations, in order. A remembered route replaces ours at its metric; ours go only when another default stands. Where
 * nothing would be left although there was a default before us, the last choice stays, as a static route that is nobody's.
 */
export function planCleanup(state: KernelState, numbers: KernelNumbers, saved: SavedState | null): KernelOp[] {
  const families: Family[] = [4, 6];
  const ops: KernelOp[] = [];
  const remembered = saved?.restore.routes ?? [];
  for (const family of families) {
    const standing = mainDefaults(state, family);
    const ours = standing.filter((r) => r.protocol === numbers.protocol);
    const back = remembered.filter((r) => r.family === family && isRestorable(state, r));
    const replaced = new Set<RouteState>();
    for (const metric of new Set(back.map((r) => r.metric))) {
      const group = back.filter((r) => r.metric === metric);
      const place = standing.find((r) => r.metric === metric);
      group.forEach((route, i) => {
        if (i > 0) ops.push({ op: 'route-append', route });
        else if (place === undefined || place.protocol === numbers.protocol) {
          if (place !== undefined) replaced.add(place);
          ops.push({ op: 'route-replace', route });
        }
      });
    }
    const others = standing.some((r) => r.protocol !== numbers.protocol) || back.length > 0;
    const left = ours.filter((r) => !replaced.has(r));
    const [keep] = left.filter((r) => r.type === 'unicast');
    if (!others && keep !== undefined && (saved?.restore.hadDefault.includes(family) ?? true)) {
      ops.push({ op: 'route-replace', route: { ...keep, protocol: PROTOCOL_STATIC } });
      replaced.add(keep);
    }
    for (const route of left) if (!replaced.has(route)) ops.push({ op: 'route-delete', route });
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

function words(value: string): string {
  return value.trim().split(/\s+/).join(' ');
}
