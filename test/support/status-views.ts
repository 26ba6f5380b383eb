/** Views as the daemon gives them, for tests of what shows them. */
import type { HistoryEntry } from '../../src/core/entry.js';
import type { PathView, StatusView, UplinkView, UsageView } from '../../src/core/messages.js';

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
    holdDownGround: null,
    patience: { learned: false, ms: 1_000, ground: null, leftMs: null },
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

const GB = 1_000_000_000;

/** Everything that can be shown at once: two that share, a metered one that drains, a drill, an entry that waits, a stranger. */
export function busyView(): StatusView {
  const usage: UsageView = {
    monthWallMs: new Date(2026, 2, 1).getTime(),
    monthEndsWallMs: new Date(2026, 3, 1).getTime(),
    probeBytes: 31_000_000,
    probeBudgetBytes: 50_000_000,
    intervalMs: 30_000,
    bytes: 12.34 * GB,
    capBytes: 20 * GB,
    forecastBytes: 24.1 * GB,
    closed: false,
  };
  return {
    ...calmView(),
    families: [4, 6].map((family) => ({
      family: family === 4 ? 4 : 6,
      active: 'fibre',
      sharing: [
        { uplink: 'fibre', weight: 3 },
        { uplink: 'cable', weight: 1 },
      ],
      reason: 'answers',
      sinceWallMs: NOON_MS - 7_380_000,
      next: null,
    })),
    uplinks: [
      uplinkView(
        'fibre',
        [
          pathView({ active: true, interface: 'wan1', gateway: '192.0.2.1', gatewaySource: "dhclient's lease" }),
          pathView({
            family: 6,
            active: true,
            interface: 'wan1',
            gateway: 'fe80::1',
            gatewaySource: 'router advertisement',
          }),
        ],
        { tier: 1, weight: 3, prefix: '2001:db8:1::/64' },
      ),
      uplinkView(
        'cable',
        [pathView({ interface: 'wan2', gateway: '203.0.113.1' }), pathView({ family: 6, interface: 'wan2', gateway: 'fe80::1' })],
        { tier: 1, weight: 1, prefix: '2001:db8:5::/64' },
      ),
      uplinkView(
        'lte',
        [
          pathView({
            interface: 'wwan0',
            gateway: '10.64.0.1',
            rttMs: 61,
            draining: { open: 12, untilWallMs: NOON_MS + 152_000 },
          }),
        ],
        { usage },
      ),
    ],
    via: [
      { name: 'voip', uplink: 'cable', now: 'uplink' },
      { name: 'backup-copy', uplink: 'lte', now: 'balance' },
      { name: 'cameras', uplink: 'lte', now: 'block' },
    ],
    drill: {
      nextWallMs: NOON_MS + 7 * 86_400_000,
      lastWallMs: NOON_MS - 3_600_000,
      uplink: null,
      untilWallMs: null,
    },
    rogues: [{ interface: 'lan0', from: 'fe80::bad', mac: '02:00:5e:10:00:01', lastWallMs: NOON_MS - 5_000 }],
    problems: ['fe80::bad on lan0 offers itself as a router'],
  };
}

/** An event of no meaning at this Unix time. */
export function entry(wallMs: number): HistoryEntry {
  const nothing = { uplink: null, family: null, from: null, to: null, reason: null, durationMs: null };
  return { wallMs, kind: 'config', severity: 'info', ...nothing, text: `event ${wallMs}`, data: {} };
}
