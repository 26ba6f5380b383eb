/**
 * What holds where the file says nothing: the one place, shared by the reader, the JSON Schema, the tests and docs/config.md.
 */
import type { Config, UplinkConfig } from '../core/config.js';

/** `degraded` without its clearing bounds, which follow from {@link CLEAR_SHARE} where they are not given. */
export const BUILT_IN = {
  uplink: {
    probe: { intervalMs: 1000, burstCount: 3, burstPaceMs: 10, timeoutMs: 1000, deadlineFloorMs: 40, windowSamples: 60 },
    failAfterMs: 1000,
    recoverAfterMs: 30_000,
    holdDown: { factor: 2, maxMs: 600_000, decayMs: 600_000 },
    degraded: { loss: 0.2, rttMs: null, jitterMs: null, policy: 'yield' },
    quorum: 1,
  },
  log: null,
  onStop: 'keep',
  socket: { group: null, mode: 0o660 },
  kernel: { protocol: 110, tableBase: 7100, ruleBase: 700, markMask: 0x7f000000 },
  sysctls: 'set',
  dns: { port: 53, type: 'A' },
} as const satisfies Omit<Config, 'uplinks' | 'services'> & {
  uplink: Omit<UplinkConfig, 'name' | 'gateways' | 'interface' | 'targets' | 'degraded'> & {
    degraded: { loss: number | null; rttMs: number | null; jitterMs: number | null; policy: 'yield' | 'keep' };
  };
  dns: { port: number; type: string };
};

/** A measure clears below this share of the bound that trips it, unless the file names the clearing bound. */
export const CLEAR_SHARE = { loss: 0.5, rttMs: 0.8, jitterMs: 0.8 } as const;

/** Larger files are refused unread: no real configuration comes near. */
export const MAX_FILE_BYTES = 1024 * 1024;

/** How often anchors may be repeated in all; a bomb needs millions. */
export const MAX_ALIASES = 100;
