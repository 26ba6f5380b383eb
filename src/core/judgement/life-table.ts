/**
 * Survival estimates: how likely does what has lasted so long end within the next step? Kaplan and Meier's product-limit
 * estimate (1958) on steps that grow with age, given the circumstances by Beran's kernel weights (1981), pulled towards a
 * prior where little was seen. Knows neither costs nor decisions.
 */

/** One thing seen to last. */
export interface Lifetime {
  /** the step in which it ended, or was last seen */
  readonly step: number;
  /** false: it was still there when nobody looked any longer */
  readonly ended: boolean;
  readonly weight: number;
}

/** The steps' lower edges, s: 0, then `firstS` and so on by `ratio` to at least `lastS`. The last step has no end. */
export function stepEdges(firstS: number, ratio: number, lastS: number): number[] {
  const edges = [0];
  for (let edgeS = firstS; edgeS < lastS; edgeS *= ratio) edges.push(edgeS);
  return edges;
}

/** In which step a length falls; an edge belongs to the step that it closes. */
export function stepOf(edges: readonly number[], lengthS: number): number {
  let low = 0;
  let high = edges.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (lengthS > (edges[middle] ?? 0)) low = middle;
    else high = middle - 1;
  }
  return low;
}

/**
 * @param prior the hazards believed before anything was seen
 * @param priorWeight what that belief counts for, in observations
 * @param weights of each life, where not its own
 * @returns for each step the probability that what reaches it ends in it
 */
export function hazards(
  lives: readonly Lifetime[],
  prior: readonly number[],
  priorWeight: number,
  weights: Float64Array | null = null,
): number[] {
  const ends = new Array<number>(prior.length).fill(0);
  const leaves = new Array<number>(prior.length).fill(0);
  let atRisk = 0;
  let index = 0;
  for (const { step, ended, weight: own } of lives) {
    const weight = weights?.[index] ?? own;
    index += 1;
    atRisk += weight;
    leaves[step] = (leaves[step] ?? 0) + weight;
    if (ended) ends[step] = (ends[step] ?? 0) + weight;
  }
  return prior.map((believed, step) => {
    const hazard = ((ends[step] ?? 0) + priorWeight * believed) / (atRisk + priorWeight);
    atRisk = Math.max(0, atRisk - (leaves[step] ?? 0));
    return hazard;
  });
}

/** How near a length is to the one asked for, in (0, 1]: a bell over their ratio. Unknown: half; nothing asked for: 1. */
export function nearness(lengthS: number | null, askedS: number | null): number {
  if (askedS === null) return 1;
  if (lengthS === null) return 0.5;
  const logRatio = Math.log((lengthS + LOG_SHIFT_S) / (askedS + LOG_SHIFT_S));
  return Math.exp(-(logRatio ** 2) / 2);
}

/** Below this, lengths count as nearly the same. */
const LOG_SHIFT_S = 0.4;

/** The length within which a share of all ended, s, by weight; null without any that ended. */
export function quantile(lives: readonly { readonly lengthS: number; readonly weight: number }[], share: number): number | null {
  const sorted = lives.toSorted((a, b) => a.lengthS - b.lengthS);
  const half = sorted.reduce((sum, life) => sum + life.weight, 0) * share;
  let sum = 0;
  for (const life of sorted) {
    sum += life.weight;
    if (sum >= half - 1e-9) return life.lengthS;
  }
  return null;
}
