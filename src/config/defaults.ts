/**
 * What holds where the file says nothing: the one place, shared by the reader, the JSON Schema, the tests and docs/config.md.
 */
import type { Config, DrillConfig, MeteredConfig, UplinkConfig, ViaConfig } from '../core/config.js';

/** `degraded` without its clearing bounds, which follow from {@link CLEAR_SHARE} where they are not given. */
export const BUILT_IN = {
  uplink: {
    probe: { intervalMs: 1000, burstCount: 3, burstPaceMs: 10, timeoutMs: 1000, deadlineFloorMs: 40, windowSamples: 60 },
    failAfterMs: null,
    patienceBounds: { minMs: 0, maxMs: 3_600_000 },
    recoverAfterMs: null,
    holdBounds: { minMs: 0, maxMs: 86_400_000 },
    holdDown: { factor: 2, maxMs: 600_000, decayMs: 600_000 },
    backupCost: 0.02,
    degraded: { loss: 0.2, rttMs: null, jitterMs: null, policy: 'yield' },
    quorum: 1,
    tier: null,
    weight: 1,
    metered: null,
    prefix: null,
  },
  switchCostMs: 2_500,
  log: null,
  onStop: 'keep',
  socket: { group: null, mode: 0o660 },
  kernel: { protocol: 110, tableBase: 7100, ruleBase: 700, markMask: 0x7f000000 },
  sysctls: 'set',
  via: [],
  connections: {
    failover: 'end',
    failback: 'drain',
    drainMs: 600_000,
    // IPsec, OpenVPN, SIP signalling, WireGuard: flows without an end that find their way again by themselves.
    moveUdpPorts: [500, 1194, 4500, 5060, 51820],
    inbound: 'same',
  },
  masquerade: false,
  lanPrefix: null,
  drill: null,
  routerAdvertisements: 'watch',
  history: { keepMs: 400 * 86_400_000, rawMs: 2 * 86_400_000, maxBytes: 100_000_000 },
  dns: { port: 53, type: 'A' },
} as const satisfies Omit<Config, 'uplinks' | 'services'> & {
  uplink: Omit<UplinkConfig, 'name' | 'gateways' | 'interface' | 'targets' | 'degraded'> & {
    degraded: { loss: number | null; rttMs: number | null; jitterMs: number | null; policy: 'yield' | 'keep' };
  };
  dns: { port: number; type: string };
};

/** `metered: true`. */
export const METERED = {
  probeBudgetBytes: 50_000_000,
  capBytes: null,
  startsOnDay: 1,
  atCap: 'warn',
} as const satisfies MeteredConfig;

/** The backup cost of a metered uplink: its bytes cost money as well. */
export const METERED_BACKUP_COST = 0.05;

/** `drill: {}`; at a time when few would notice. */
export const DRILL = {
  everyDays: 7,
  atMinute: 270,
  uplinks: [],
  traffic: 'some',
  forMs: 60_000,
} as const satisfies DrillConfig;

export const VIA_FALLBACK = 'balance' as const satisfies ViaConfig['fallback'];

/** What holds for those who are told and what follows, where the file names them but does not say. */
export const SERVICES = {
  topics: ['health', 'switch', 'problem'],
  maxAgeMs: 604_800_000,
  mail: { via: 'sendmail', sendmail: '/usr/sbin/sendmail' },
  /** RFC 5321, RFC 6409 and RFC 8314 */
  smtpPort: { plain: 25, submission: 587, tls: 465 },
  webhook: { recipe: 'json' },
  mqtt: { prefix: 'backroute', discovery: 'homeassistant' },
  relay: { postfixDirectory: '/etc/postfix', timeoutMs: 60_000 },
  files: { timeoutMs: 60_000 },
  resolver: { pidFile: '/run/dnsmasq/dnsmasq.pid', timeoutMs: 30_000 },
  hooks: { directory: '/etc/backroute/hooks.d', timeoutMs: 30_000 },
} as const;

/** A measure clears below this share of the bound that trips it, unless the file names the clearing bound. */
export const CLEAR_SHARE = { loss: 0.5, rttMs: 0.8, jitterMs: 0.8 } as const;

/** Larger files are refused unread: no real configuration comes near. */
export const MAX_FILE_BYTES = 1024 * 1024;

/** How often anchors may be repeated in all; a bomb needs millions. */
export const MAX_ALIASES = 100;
