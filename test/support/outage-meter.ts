/**
 * What a client would have felt: at every instant, does the kernel send its packets somewhere, and does that way work?
 * Fed with the present finding whenever something changed; adds up the time.
 */
import type { Family } from '../../src/core/model.js';

export interface Finding {
  /** name of the uplink, `elsewhere` (a next hop that is no uplink's), or `nowhere` (no route) */
  readonly to: string;
  readonly works: boolean;
  /** share of packets lost while it works */
  readonly loss: number;
}

export interface Stretch extends Finding {
  readonly fromMs: number;
  readonly toMs: number;
}

export class OutageMeter {
  readonly #stretches: Stretch[] = [];
  #current: (Finding & { fromMs: number }) | null = null;

  constructor(readonly family: Family) {}

  see(finding: Finding, nowMs: number): void {
    const now = this.#current;
    if (now !== null && now.to === finding.to && now.works === finding.works && now.loss === finding.loss) return;
    this.#close(nowMs);
    this.#current = { ...finding, fromMs: nowMs };
  }

  /** Everything up to now, in order, without empty stretches. */
  stretches(nowMs: number): readonly Stretch[] {
    this.#close(nowMs);
    return this.#stretches;
  }

  /** Total time without a working way, and with no route at all. */
  feltMs(nowMs: number): { readonly outageMs: number; readonly noRouteMs: number; readonly longestMs: number } {
    let outageMs = 0;
    let noRouteMs = 0;
    let longestMs = 0;
    let running = 0;
    for (const stretch of this.stretches(nowMs)) {
      const length = stretch.toMs - stretch.fromMs;
      running = stretch.works ? 0 : running + length;
      longestMs = Math.max(longestMs, running);
      if (!stretch.works) outageMs += length;
      if (stretch.to === 'nowhere') noRouteMs += length;
    }
    return { outageMs, noRouteMs, longestMs };
  }

  #close(nowMs: number): void {
    const now = this.#current;
    if (now === null) return;
    if (nowMs > now.fromMs) this.#stretches.push({ ...now, toMs: nowMs });
    this.#current = { ...now, fromMs: nowMs };
  }
}
