/**
 * How often a path that carries traffic is asked while another silence is near: the sooner it is noticed, the sooner patience can
 * count. What a moment's delay costs is measured by what a switch costs. Decides nothing about metered uplinks: their budget does.
 */
import type { UplinkConfig } from '../config.js';

/** So much of what a switch costs may be felt for want of asking, and is precise enough to learn from. */
const SHARE_OF_SWITCH = 0.04;
/** Routers ration their answers to faster ones. */
const LEAST_MS = 100;

/** @returns the interval of each target, ms: their probes take turns, so that the path is asked once in the wanted time */
export function restlessIntervalMs(uplink: UplinkConfig, switchCostMs: number): number {
  const wantedMs = Math.max(LEAST_MS, SHARE_OF_SWITCH * switchCostMs) * Math.max(1, uplink.targets.length);
  return Math.min(uplink.probe.intervalMs, Math.round(wantedMs));
}
