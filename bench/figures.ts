/**
 * Figures out of many runs: median, 95th percentile, and phases spread evenly over an interval. Pure.
 */

export interface Figures {
  readonly median: number;
  /** nearest rank: the smallest value that at least 95 % do not exceed. Of 20 values that is the 19th */
  readonly p95: number;
  readonly max: number;
  readonly mean: number;
  readonly count: number;
}

/** Null where nothing was measured. */
export function figuresOf(values: readonly number[]): Figures | null {
  if (values.length === 0) return null;
  const sorted = values.toSorted((a, b) => a - b);
  const rank = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
  const upper = sorted[sorted.length >> 1] ?? Number.NaN;
  return {
    median: sorted.length % 2 === 1 ? upper : ((sorted[sorted.length / 2 - 1] ?? Number.NaN) + upper) / 2,
    p95: rank(0.95),
    max: sorted.at(-1) ?? Number.NaN,
    mean: values.reduce((sum, value) => sum + value, 0) / values.length,
    count: values.length,
  };
}

/**
 * The middles of `count` equal parts of the interval, in an order that jumps about: a drift of the machine during the runs (it
 * gets busy, it warms up) then does not look like an effect of the phase.
 */
export function evenPhases(count: number, intervalMs: number): number[] {
  const stride = coprimeNear(count, Math.round(count * 0.618));
  return Array.from({ length: count }, (_, i) => ((((i * stride) % count) + 0.5) / count) * intervalMs);
}

function coprimeNear(count: number, wish: number): number {
  const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
  for (let stride = Math.max(1, wish); ; stride += 1) if (gcd(stride, count) === 1) return stride;
}
