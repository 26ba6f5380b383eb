/**
 * How long a recovered path must stay good before traffic comes back to it. Every repeated failure makes it longer by a
 * factor, up to a limit; good time takes the steps back one by one. All instants in the engine's clock.
 */
import type { HoldDownConfig } from '../config.js';

export interface HoldDown {
  /** failures not yet forgiven at `goodSinceMs` (or now, where the path is not good) */
  readonly failures: number;
  /** since when it has been good without a break; null while it is not */
  readonly goodSinceMs: number | null;
}

export const neverFailed: HoldDown = { failures: 0, goodSinceMs: null };

/** Failures still remembered after the good time so far. */
export function failuresLeft(holdDown: HoldDown, config: HoldDownConfig, nowMs: number): number {
  if (holdDown.goodSinceMs === null) return holdDown.failures;
  return Math.max(0, holdDown.failures - Math.floor((nowMs - holdDown.goodSinceMs) / config.decayMs));
}

/** It stopped being good: down, or degraded so that traffic leaves it. */
export function failed(holdDown: HoldDown, config: HoldDownConfig, nowMs: number): HoldDown {
  return { failures: failuresLeft(holdDown, config, nowMs) + 1, goodSinceMs: null };
}

export function recovered(holdDown: HoldDown, nowMs: number): HoldDown {
  return holdDown.goodSinceMs === null ? { ...holdDown, goodSinceMs: nowMs } : holdDown;
}

/** It fell silent for a moment: the good time begins anew. */
export function startedOver(holdDown: HoldDown, config: HoldDownConfig, nowMs: number): HoldDown {
  return { failures: failuresLeft(holdDown, config, nowMs), goodSinceMs: null };
}

/** Time in which nobody watched proves nothing: it is taken out of the good time. */
export function unwatched(holdDown: HoldDown, spanMs: number): HoldDown {
  return holdDown.goodSinceMs === null ? holdDown : { ...holdDown, goodSinceMs: holdDown.goodSinceMs + spanMs };
}

/** The good time that failback demands, ms: nothing for a path that never failed. */
export function demandedMs(failures: number, recoverAfterMs: number, config: HoldDownConfig): number {
  if (failures === 0) return 0;
  return Math.min(Math.max(config.maxMs, recoverAfterMs), recoverAfterMs * config.factor ** (failures - 1));
}

/**
 * How much longer it must stay good, ms; 0 = failback is allowed; null = it is not good now, no countdown runs.
 * @param demandMs fixed by the failures at the start of the good time: forgiving them must not shorten a countdown under way
 */
export function leftMs(holdDown: HoldDown, demandMs: number, nowMs: number): number | null {
  if (holdDown.goodSinceMs === null) return holdDown.failures === 0 ? 0 : null;
  return Math.max(0, holdDown.goodSinceMs + demandMs - nowMs);
}
