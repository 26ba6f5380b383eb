/**
 * A course is which uplink was in use when; this is what it costs on given links. The play's, a fixed rule's and the
 * clairvoyant's courses are all billed by the same arithmetic. Pure.
 */
import type { Link, Span } from '../link.js';
import type { Bill, Prices } from '../played.js';
import { Loss } from './loss.js';

/** From here on this uplink; before the first step the first uplink is in use. */
export interface Step {
  readonly atMs: number;
  /** place in the order of preference */
  readonly to: number;
}

/** The links as they are billed: their losses at hand, side by side on one axis. */
export class Ground {
  readonly losses: readonly Loss[];

  constructor(
    readonly links: readonly Pick<Link, 'silences' | 'lossy'>[],
    readonly prices: Prices,
    readonly span: Span,
  ) {
    this.losses = links.map((link) => new Loss(link));
  }

  /** seconds of outage on an uplink within a stretch; nothing is lost beyond the span */
  lostS(uplink: number, fromMs: number, toMs: number): number {
    const from = Math.max(fromMs, this.span.fromMs);
    const to = Math.min(toMs, this.span.toMs);
    return to <= from ? 0 : (this.losses[uplink]?.lostMs({ fromMs: from, toMs: to }) ?? 0) / 1000;
  }

  priceOf(uplink: number): number {
    return this.prices.perSecond[uplink] ?? 0;
  }

  /**
   * What a course costs. One that ends elsewhere than on the first uplink owes the switch back, which is counted: so all
   * courses end where they began. Steps beyond the span count as well (a rule that returns after the last outage).
   */
  bill(course: readonly Step[]): Bill {
    let feltS = 0;
    let onBackupS = 0;
    let priced = 0;
    let switches = 0;
    let on = 0;
    let sinceMs = this.span.fromMs;
    const stay = (untilMs: number): void => {
      const seconds = Math.max(0, untilMs - sinceMs) / 1000;
      feltS += this.lostS(on, sinceMs, untilMs);
      if (on !== 0) onBackupS += seconds;
      priced += seconds * this.priceOf(on);
      sinceMs = Math.max(sinceMs, untilMs);
    };
    for (const { atMs, to } of course) {
      stay(atMs);
      if (to !== on) switches += 1;
      on = to;
    }
    stay(this.span.toMs);
    if (on !== 0) switches += 1;
    return { feltS, switches, onBackupS, cost: feltS + this.prices.switchS * switches + priced };
  }

  /** the bill as it grows: cost up to each of the given moments, which are ordered; the switch back is not in it */
  costsAt(course: readonly Step[], momentsMs: readonly number[]): number[] {
    let cost = 0;
    let on = 0;
    let sinceMs = this.span.fromMs;
    let next = 0;
    const stay = (untilMs: number): void => {
      cost += this.lostS(on, sinceMs, untilMs) + (Math.max(0, untilMs - sinceMs) / 1000) * this.priceOf(on);
      sinceMs = Math.max(sinceMs, untilMs);
    };
    return momentsMs.map((momentMs) => {
      for (let step = course[next]; step !== undefined && step.atMs <= momentMs; step = course[next]) {
        stay(step.atMs);
        if (step.to !== on) cost += this.prices.switchS;
        on = step.to;
        next += 1;
      }
      stay(momentMs);
      return cost;
    });
  }
}
