/**
 * What is wrong with a path at this moment, in the words of those who learn from it: its link, its silence, or what it loses. Pure; it
 * remembers nothing and knows no patience.
 */
import type { Detector } from '../detect/detector.js';
import type { PathFigures } from '../detect/health.js';
import type { Trouble } from './silences.js';

/** How closely a share of lost packets is looked at: finer steps would mean new decisions all the time. */
const SEVERITY_STEP = 0.05;
const LEAST_SEVERITY = 0.01;
/** Standard errors. The share is looked at each second: with fewer, chance alone would decide soon. */
const CHANCE = 3;

export interface TroubleSight {
  readonly nowMs: number;
  /** the kernel says that nothing can be sent */
  readonly linkFault: boolean;
  /** it has had a verdict, or a trouble: before it ever worked, a missing link is no outage */
  readonly known: boolean;
  readonly detector: Detector;
  /** what is lost is more than the bound */
  readonly lossy: boolean;
  readonly figures: () => PathFigures;
  /** of the best other path; 1 = there is none */
  readonly lossElsewhere: () => number;
  readonly windowSamples: number;
}

/** `as-before`: nothing new can be said until the burst that runs has its verdict. */
export function troubleNow(sight: TroubleSight): Trouble | null | 'as-before' {
  const { nowMs, detector, known } = sight;
  if (sight.linkFault) return known ? { cause: 'carrier', severity: 1, sinceMs: nowMs } : 'as-before';
  switch (detector.state) {
    case 'silent':
    case 'recovering': {
      const turnMs = detector.intervalMs / Math.max(1, detector.targets.length);
      // What was asked before was answered: it began somewhere in between.
      const sinceMs = (detector.silentSinceMs ?? nowMs) - (known ? turnMs / 2 : 0);
      return { cause: detector.reason === 'gateway-silent' ? 'gateway' : 'upstream', severity: 1, sinceMs };
    }
    case 'answering':
      return sight.lossy ? lossNow(sight) : null;
    default:
      return 'as-before';
  }
}

function lossNow({ nowMs, detector, figures, lossElsewhere, windowSamples }: TroubleSight): Trouble {
  const { loss, lossOfFull } = figures();
  const here = loss ?? 0;
  const elsewhere = lossElsewhere();
  // Both are counted in a window only: what chance alone makes of them is no difference.
  const chance = CHANCE * Math.sqrt((here * (1 - here) + elsewhere * (1 - elsewhere)) / windowSamples);
  const beyond = here - elsewhere > chance ? here - elsewhere : 0;
  const severity = Math.min(1, Math.max(LEAST_SEVERITY, SEVERITY_STEP * Math.round(beyond / SEVERITY_STEP)));
  // What has been lost so far has been felt.
  const feltMs = lossOfFull * windowSamples * detector.intervalMs;
  return { cause: 'loss', severity, sinceMs: nowMs - feltMs / Math.max(here, SEVERITY_STEP) };
}
