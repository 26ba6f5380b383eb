/** How much of the traffic a link loses, and when: the piecewise constant share that all costs are made of. Pure. */
import type { Link, Span } from '../link.js';

/** A link's share of loss as steps, with their sum up to each, so that any stretch is two binary searches. */
export class Loss {
  /** ordered; from each on `#shares` holds, up to the next; before the first nothing is lost */
  readonly #fromsMs: readonly number[];
  readonly #shares: readonly number[];
  /** ms lost before each step begins */
  readonly #sums: Float64Array;

  /** O(silences + lossy spans) */
  constructor(link: Pick<Link, 'silences' | 'lossy'>) {
    const froms: number[] = [];
    const shares: number[] = [];
    for (const { fromMs, share } of steps(link)) {
      if (shares.length > 0 && shares.at(-1) === share) continue;
      froms.push(fromMs);
      shares.push(share);
    }
    this.#fromsMs = froms;
    this.#shares = shares;
    this.#sums = new Float64Array(froms.length);
    for (let i = 1; i < froms.length; i += 1) {
      this.#sums[i] = (this.#sums[i - 1] ?? 0) + (shares[i - 1] ?? 0) * ((froms[i] ?? 0) - (froms[i - 1] ?? 0));
    }
  }

  /** where the share changes, ms, ordered */
  get changesMs(): readonly number[] {
    return this.#fromsMs;
  }

  /** the share of the traffic that is lost at this moment, [0, 1] */
  shareAt(atMs: number): number {
    return this.#shares[this.#stepAt(atMs)] ?? 0;
  }

  /** what is lost in all between two moments, as ms of full outage */
  lostMs({ fromMs, toMs }: Span): number {
    return this.#before(toMs) - this.#before(fromMs);
  }

  #before(atMs: number): number {
    const step = this.#stepAt(atMs);
    if (step < 0) return 0;
    return (this.#sums[step] ?? 0) + (this.#shares[step] ?? 0) * (atMs - (this.#fromsMs[step] ?? 0));
  }

  /** the last step that has begun; -1 before the first */
  #stepAt(atMs: number): number {
    let low = 0;
    let high = this.#fromsMs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#fromsMs[middle] ?? 0) <= atMs) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

/** Silences and lossy spans in one row; a silence wins over the loss around it. */
function* steps({ silences, lossy }: Pick<Link, 'silences' | 'lossy'>): Generator<{ fromMs: number; share: number }> {
  let next = 0;
  const shareAt = (atMs: number): number => {
    const around = lossy[next];
    return around !== undefined && around.fromMs <= atMs && atMs < around.toMs ? around.share : 0;
  };
  function* lossyUntil(endMs: number, sinceMs: number): Generator<{ fromMs: number; share: number }> {
    for (;;) {
      const span = lossy[next];
      if (span === undefined || span.fromMs >= endMs) return;
      if (span.fromMs >= sinceMs) yield { fromMs: span.fromMs, share: span.share };
      if (span.toMs > endMs) return;
      if (span.toMs > sinceMs) yield { fromMs: span.toMs, share: 0 };
      next += 1;
    }
  }
  let sinceMs = Number.NEGATIVE_INFINITY;
  for (const { fromMs, toMs } of silences) {
    yield* lossyUntil(fromMs, sinceMs);
    yield { fromMs, share: 1 };
    while ((lossy[next]?.toMs ?? Number.POSITIVE_INFINITY) <= toMs) next += 1;
    yield { fromMs: toMs, share: shareAt(toMs) };
    sinceMs = toMs;
  }
  yield* lossyUntil(Number.POSITIVE_INFINITY, sinceMs);
}
