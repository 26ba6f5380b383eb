/**
 * The health of one path from what is known of it. One function makes every transition; it has no memory but the former
 * health that is handed in.
 */
import type { DegradedConfig, Hysteresis } from '../config.js';
import type { Health, Reason } from '../model.js';
import type { DetectorState } from './detector.js';
import type { Target } from './target.js';

/** Thresholds on RTT are not looked at before so many answers are in. */
const MIN_RTT_SAMPLES = 10;

export interface Verdict {
  readonly health: Health;
  readonly reason: Reason;
}

/** Figures of a path: each is that of the worst target among the best `quorum` ones, so that one bad target alone does no harm. */
export interface PathFigures {
  readonly loss: number | null;
  /** lost samples as a share of a full window: a short record never looks worse than it is */
  readonly lossOfFull: number;
  readonly rttMs: number | null;
  readonly jitterMs: number | null;
  /** answered samples of the target with most of them */
  readonly answered: number;
}

/** O(targets x window). */
export function pathFigures(targets: readonly Target[], quorum: number, windowSamples: number, nowMs: number): PathFigures {
  const summaries = targets.map((t) => t.window.summarize(nowMs)).filter((s) => s.samples > 0);
  const pick = (values: readonly (number | null)[]): number | null => {
    const known = values.filter((v) => v !== null).sort((a, b) => a - b);
    return known[Math.min(quorum, known.length) - 1] ?? null;
  };
  return {
    loss: pick(summaries.map((s) => s.loss)),
    lossOfFull: pick(summaries.map((s) => s.lost / windowSamples)) ?? 0,
    rttMs: pick(summaries.map((s) => s.rttMs)),
    jitterMs: pick(summaries.map((s) => s.jitterMs)),
    answered: Math.max(0, ...summaries.map((s) => s.samples - s.lost)),
  };
}

export interface Evidence {
  /** what the kernel says: no carrier, no interface, no address; null = nothing wrong */
  readonly linkFault: Reason | null;
  readonly detector: DetectorState;
  /** the silence has been borne long enough */
  readonly patienceOver: boolean;
  readonly silentReason: Reason;
  readonly figures: PathFigures;
}

export function assessHealth(former: Verdict, evidence: Evidence, config: DegradedConfig): Verdict {
  if (evidence.linkFault !== null) return { health: 'down', reason: evidence.linkFault };
  switch (evidence.detector) {
    case 'idle':
    case 'starting':
      // Nothing is known anew: what was known last stands until the first burst has its verdict.
      return former;
    case 'silent':
    case 'recovering':
      if (former.health === 'down' || former.health === 'unknown' || evidence.patienceOver)
        return { health: 'down', reason: evidence.silentReason };
      return former;
    case 'suspect':
      return former;
    case 'answering': {
      const trouble = degradedBy(former, evidence.figures, config);
      return trouble === null ? { health: 'up', reason: 'answers' } : { health: 'degraded', reason: trouble };
    }
  }
}

function degradedBy(former: Verdict, figures: PathFigures, config: DegradedConfig): Reason | null {
  const was = (reason: Reason): boolean => former.health === 'degraded' && former.reason === reason;
  const over = (bounds: Hysteresis | null, tripValue: number | null, clearValue: number | null, reason: Reason): boolean => {
    if (bounds === null) return false;
    return was(reason) ? (clearValue ?? 0) >= bounds.low : (tripValue ?? 0) >= bounds.high;
  };
  const enough = figures.answered >= MIN_RTT_SAMPLES;
  if (over(config.loss, figures.lossOfFull, figures.loss, 'loss-high')) return 'loss-high';
  if (over(config.rttMs, enough ? figures.rttMs : null, figures.rttMs, 'latency-high')) return 'latency-high';
  if (over(config.jitterMs, enough ? figures.jitterMs : null, figures.jitterMs, 'jitter-high')) return 'jitter-high';
  return null;
}
