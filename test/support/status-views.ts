/** Views as the daemon gives them, for tests of what shows them. */
import type { HistoryEntry } from '../../src/core/entry.js';
import type { PathView, StatusView, UplinkView } from '../../src/core/messages.js';

/** 2026-03-01 12:00:00 in whatever zone this machine keeps. */
export const NOON_MS = new Date(2026, 2, 1, 12, 0, 0).getTime();

export function pathView(change: Partial<PathView> = {}): PathView {
  return {
    family: 4,
    active: false,
    health: 'up',
    reason: 'answers',
    sinceWallMs: NOON_MS - 7_380_000,
    suspicion: 'none',
    interface: 'eth0',
    gateway: '192.168.1.253',
    gatewaySource: null,
    draining: null,
    loss: 0,
    rttMs: 20.13,
    jitterMs: 0.4,
    holdDownLeftMs: null,
    holdDownMs: 30_000,
    targets: [],
    ...change,
  };
}

export function uplinkView(name: string, paths: readonly PathView[], change: Partial<UplinkView> = {}): UplinkView {
  return {
    name,
    admin: 'auto',
    slot: 0,
    table: 7100,
    mark: 0x41000000,
    tier: null,
    weight: 1,
    usage: null,
    prefix: null,
    paths,
    ...change,
  };
}

/** Everything is well: fast carries the traffic. */
export function calmView(): StatusView {
  return {
    version: 1,
    wallMs: NOON_MS,
    dryRun: false,
    families: [{ family: 4, active: 'fast', sharing: [], reason: 'answers', sinceWallMs: NOON_MS - 7_380_000, next: null }],
    uplinks: [
      uplinkView('fast', [pathView({ active: true })]),
      uplinkView('backup', [pathView({ gateway: '192.168.1.1', rttMs: 141.7 })]),
    ],
    services: [],
    via: [],
    drill: null,
    rogues: [],
    outbox: { waiting: 0, refused: 0 },
    problems: [],
  };
}

/** An event of no meaning at this Unix time. */
export function entry(wallMs: number): HistoryEntry {
  const nothing = { uplink: null, family: null, from: null, to: null, reason: null, durationMs: null };
  return { wallMs, kind: 'config', severity: 'info', ...nothing, text: `event ${wallMs}`, data: {} };
}
