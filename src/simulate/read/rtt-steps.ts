/** Round trips of many probes as few steps: one only where the link really changed. A year of samples stays small. */
import type { RttStep } from '../link.js';

/** A change counts from so much on, both. */
const LEAST_SHARE = 0.25;
const LEAST_MS = 5;
/** The median of so many says what a link is like: one late answer is no change. */
const MEDIAN_OF = 5;
/** More steps than this: only changes twice as great count, in what was seen already as well. */
const MOST_STEPS = 50_000;

export class RttSteps {
  #steps: RttStep[] = [];
  #coarseness = 1;
  #currentMs = Number.NaN;
  /** the last samples, a ring; `#off` = how many of them are not as the current step says */
  readonly #rtts = new Float64Array(MEDIAN_OF);
  readonly #times = new Float64Array(MEDIAN_OF);
  readonly #isOff = new Uint8Array(MEDIAN_OF);
  #next = 0;
  #count = 0;
  #off = 0;

  constructor(private readonly mostSteps = MOST_STEPS) {}

  /** In the order of time. */
  add(atMs: number, rttMs: number): void {
    if (this.#count === 0) this.#step(atMs, rttMs);
    const off = this.#differs(rttMs, this.#currentMs) ? 1 : 0;
    this.#off += off - (this.#isOff[this.#next] ?? 0);
    this.#rtts[this.#next] = rttMs;
    this.#times[this.#next] = atMs;
    this.#isOff[this.#next] = off;
    this.#next = this.#next === MEDIAN_OF - 1 ? 0 : this.#next + 1;
    this.#count += 1;
    if (2 * this.#off > MEDIAN_OF && this.#count >= MEDIAN_OF) this.#change();
  }

  get steps(): readonly RttStep[] {
    return this.#steps;
  }

  #change(): void {
    const median = Float64Array.from(this.#rtts).sort()[MEDIAN_OF >> 1] ?? 0;
    if (!this.#differs(median, this.#currentMs)) return;
    let sinceMs = Number.POSITIVE_INFINITY;
    for (let i = 0; i < MEDIAN_OF; i += 1) {
      if (this.#isOff[i] === 1) sinceMs = Math.min(sinceMs, this.#times[i] ?? 0);
    }
    this.#step(sinceMs, median);
    this.#off = 0;
    for (let i = 0; i < MEDIAN_OF; i += 1) {
      this.#isOff[i] = this.#differs(this.#rtts[i] ?? 0, median) ? 1 : 0;
      this.#off += this.#isOff[i] ?? 0;
    }
  }

  #step(atMs: number, rttMs: number): void {
    this.#currentMs = rttMs;
    const last = this.#steps.at(-1);
    if (last !== undefined && last.fromMs >= atMs) this.#steps.pop();
    this.#steps.push({ fromMs: atMs, rttMs });
    while (this.#steps.length > this.mostSteps) this.#thin();
  }

  #thin(): void {
    this.#coarseness *= 2;
    const kept: RttStep[] = [];
    for (const step of this.#steps) {
      const former = kept.at(-1);
      if (former === undefined || this.#differs(step.rttMs, former.rttMs)) kept.push(step);
    }
    this.#steps = kept;
    this.#currentMs = kept.at(-1)?.rttMs ?? this.#currentMs;
  }

  #differs(rttMs: number, fromMs: number): boolean {
    const change = Math.abs(rttMs - fromMs);
    return change > LEAST_MS * this.#coarseness && change > LEAST_SHARE * this.#coarseness * fromMs;
  }
}
