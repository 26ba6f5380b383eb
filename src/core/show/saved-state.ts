/** What outlives the process, gathered from the engine's parts into the one object that goes to disk. Decides nothing. */
import type { Aftermath } from '../aftermath/aftermath.js';
import type { FamilyChoice } from '../choose/choice.js';
import type { Orders } from '../choose/orders.js';
import type { KernelNumbers } from '../config.js';
import type { RestoreMemory, SavedState } from '../messages.js';
import type { Names } from '../paths/names.js';
import type { PathSet } from '../paths/path-set.js';
import type { Traffic } from '../traffic/traffic.js';

export interface SavedParts {
  readonly numbers: KernelNumbers;
  readonly paths: PathSet;
  readonly orders: Orders;
  readonly names: Names;
  readonly families: readonly FamilyChoice[];
  readonly memory: RestoreMemory;
  readonly aftermath: Aftermath;
  readonly traffic: Traffic;
}

/** @param wallMs Unix time of a monotonic instant */
export function savedState(parts: SavedParts, nowMs: number, wallMs: (monotonicMs: number) => number): SavedState {
  const wall = (ms: number): number => Math.round(wallMs(ms));
  const failures = parts.paths.all().flatMap((p): [string, { count: number; lastWallMs: number }][] => {
    const count = p.failures(nowMs);
    return count === 0 ? [] : [[p.key, { count, lastWallMs: wall(nowMs) }]];
  });
  const active = parts.families.flatMap((f) =>
    f.active === null ? [] : [[f.family, { uplink: f.active, sinceWallMs: wall(f.sinceMs), reason: f.reason }]],
  );
  const gateways = parts.paths.all().flatMap((p) => (p.auto?.current?.address ? [[p.key, p.auto.current.address]] : []));
  return {
    version: 1,
    slots: Object.fromEntries(parts.paths.slots),
    numbers: parts.numbers,
    forced: parts.orders.forced,
    disabled: parts.orders.disabled,
    names: parts.names.lastGood(),
    active: Object.fromEntries(active),
    failures: Object.fromEntries(failures),
    restore: parts.memory,
    gateways: Object.fromEntries(gateways),
    silences: Object.fromEntries(parts.paths.all().map((p) => [p.key, p.silences.saved()])),
    drains: parts.traffic.drains(),
    usage: parts.traffic.usage(),
    lastDrillWallMs: parts.traffic.lastDrillWallMs,
    outages: parts.aftermath.outages,
  };
}
