/**
 * Smoothed round trip time and the deadline that follows from it, RFC 6298 section 2, with a floor of its own:
 * an answer is overdue after SRTT + max(4 RTTVAR, floor). Knows nothing of probes or clocks.
 */

const ALPHA = 1 / 8;
const BETA = 1 / 4;
const K = 4;

export interface RttEstimate {
  readonly srttMs: number;
  readonly rttvarMs: number;
}

/** Takes one measurement in. `null` is the state before the first one. */
export function smoothRtt(former: RttEstimate | null, rttMs: number): RttEstimate {
  if (former === null) return { srttMs: rttMs, rttvarMs: rttMs / 2 };
  return {
    rttvarMs: (1 - BETA) * former.rttvarMs + BETA * Math.abs(former.srttMs - rttMs),
    srttMs: (1 - ALPHA) * former.srttMs + ALPHA * rttMs,
  };
}

/**
 * How long to wait for an answer, ms. Before any measurement, and never above, `ceilingMs`.
 * @param floorMs the least that is granted beyond the smoothed RTT
 */
export function answerDeadline(estimate: RttEstimate | null, floorMs: number, ceilingMs: number): number {
  if (estimate === null) return ceilingMs;
  return Math.min(ceilingMs, estimate.srttMs + Math.max(K * estimate.rttvarMs, floorMs));
}
