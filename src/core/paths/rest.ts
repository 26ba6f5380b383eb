/** Whether and how long a path stays as it is while its line does: what the skipping of calm times (calm.ts) asks of each path. */
import type { CalmLine } from '../calm.js';
import type { Path } from './path.js';

/**
 * @returns until when nothing about it changes by itself; null = something may at any moment.
 * O(targets x window)
 */
export function restsUntil(path: Path, line: CalmLine, nowMs: number): number | null {
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
