/** Whether and how long a path stays as it is while its line does: what the skipping of calm times (calm.ts) asks of each path. */
import type { Calm, CalmLine } from '../calm.js';
import type { PathKey } from '../model.js';
import type { Path } from './path.js';

/**
 * @returns until when nothing about it changes by itself; null = something may at any moment.
 * O(targets x window)
 */
function restsUntil(path: Path, line: CalmLine, nowMs: number): number | null {
  const { detector, verdict } = path;
  // Then it is asked at another pace.
  const { restlessUntilMs } = path.silences;
  const paceMs = restlessUntilMs > nowMs ? restlessUntilMs : Number.POSITIVE_INFINITY;
  // Without a link nothing is asked, and the kernel tells when there is one again.
  if (path.linkFault !== null) return detector.state === 'idle' && verdict.health === 'down' ? paceMs : null;
  if (!detector.isCalm(line)) return null;
  if (line.rttMs === null) return verdict.health === 'down' ? paceMs : null;
  if (verdict.health !== 'up' || path.silences.trouble !== null || !figuresRest(path, line.rttMs, nowMs)) return null;
  const heldMs = path.holdDownLeftMs(nowMs) ?? 0;
  return Math.min(paceMs, heldMs > 0 ? nowMs + heldMs : Number.POSITIVE_INFINITY);
}

/** What was lost only leaves the window from here on; where RTT or jitter count, they must be what they will be. */
function figuresRest({ detector, uplink }: Path, rttMs: number, nowMs: number): boolean {
  const { loss, rttMs: rtt, jitterMs: jitter } = uplink.degraded;
  const { windowSamples } = uplink.probe;
  const high = loss?.high ?? Number.POSITIVE_INFINITY;
  const fewLost = detector.targets.every((t) => t.window.lostCount(nowMs) < high * windowSamples);
  if (!fewLost || (rtt === null && jitter === null)) return fewLost;
  return rttMs < (rtt?.high ?? Number.POSITIVE_INFINITY) && detector.targets.every((t) => t.window.isOnly(rttMs));
}

/**
 * @param untilMs something else happens then
 * @returns until when nothing changes on any path, and up to when probes may be left out: they have their verdicts before that;
 * null = something may change at any moment. O(paths x targets x window + probes)
 */
export function allRest(
  paths: readonly Path[],
  { lines }: Calm,
  untilMs: number,
  nowMs: number,
): { readonly untilMs: number; readonly cutMs: number } | null {
  let restMs = untilMs;
  let settleMs = 0;
  for (const path of paths) {
    const line = lines.get(path.key);
    const mineMs = line === undefined ? null : restsUntil(path, line, nowMs);
    if (mineMs === null || line === undefined) return null;
    restMs = Math.min(restMs, mineMs);
    if (line.probes !== Number.POSITIVE_INFINITY) restMs = Math.min(restMs, path.detector.timeOfProbe(line.probes, restMs));
    settleMs = Math.max(settleMs, path.detector.settlesWithinMs(line));
  }
  return { untilMs: restMs, cutMs: restMs - settleMs };
}

/** What was left out, all of it and the targets' by path. */
export function skipProbes(
  paths: readonly Path[],
  { lines }: Calm,
  cutMs: number,
): { readonly probes: number; readonly targetProbes: ReadonlyMap<PathKey, number> } {
  let probes = 0;
  const targetProbes = new Map<PathKey, number>();
  for (const path of paths) {
    const line = lines.get(path.key);
    if (line === undefined) continue;
    const sent = path.detector.skipTo(cutMs, line);
    targetProbes.set(path.key, sent.targets);
    probes += sent.targets + sent.gateway;
  }
  return { probes, targetProbes };
}
