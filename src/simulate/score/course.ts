/**
 * A course is which uplink was in use when; this is what it costs on given links. The play's, a fixed rule's and the
 * clairvoyant's courses are all billed by the same arithmetic. Pure.
 */
import type { Link, Span } from '../link.js';
import type { Bill, Prices } from '../played.js';
import { Loss } from './loss.js';

/** From here on this uplink; before the first step the one is in use on which the course begins. */
export interface Step {
  readonly atMs: number;
  /** place in the order of preference */
  readonly to: number;
  /** part of the traffic on each uplink, where it is divided: then `to` is the one that leads. Left out = all on `to` */
  readonly shares?: readonly number[];
}

const begun = (to: number): Step => ({ atMs: Number.NEGATIVE_INFINITY, to });

/** The first uplink carries traffic, alone or with others. */
const onFirst = ({ to, shares }: Step): boolean => (shares === undefined ? to === 0 : (shares[0] ?? 0) > 0);

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
   * What a course costs. One that ends where the first uplink carries nothing owes the switch back, which is counted: so all
   * courses end there. Steps beyond the span count as well (a rule that returns after the last outage). Divided
   * traffic counts by its shares; a switch is a change of the uplink that leads.
   *
   * @param beginsOn what was in use before; being there is no switch
   */
  bill(course: readonly Step[], beginsOn = 0): Bill {
    let feltS = 0;
    let onBackupS = 0;
    let priced = 0;
    let switches = 0;
    let on = begun(beginsOn);
    let sinceMs = this.span.fromMs;
    const stay = (untilMs: number): void => {
      const seconds = Math.max(0, untilMs - sinceMs) / 1000;
      this.#each(on, (uplink, share) => {
        feltS += share * this.lostS(uplink, sinceMs, untilMs);
        if (uplink !== 0) onBackupS += share * seconds;
        priced += share * seconds * this.priceOf(uplink);
      });
      sinceMs = Math.max(sinceMs, untilMs);
    };
    for (const step of course) {
      stay(step.atMs);
      if (step.to !== on.to) switches += 1;
      on = step;
    }
    stay(this.span.toMs);
    if (!onFirst(on)) switches += 1;
    return { feltS, switches, onBackupS, cost: feltS + this.prices.switchS * switches + priced };
  }

  /** the bill as it grows: cost up to each of the given moments, which are ordered; the switch back is not in it */
  costsAt(course: readonly Step[], momentsMs: readonly number[], beginsOn = 0): number[] {
    let cost = 0;
    let on = begun(beginsOn);
    let sinceMs = this.span.fromMs;
    let next = 0;
    const stay = (untilMs: number): void => {
      const seconds = Math.max(0, untilMs - sinceMs) / 1000;
      this.#each(on, (uplink, share) => {
        cost += share * (this.lostS(uplink, sinceMs, untilMs) + seconds * this.priceOf(uplink));
      });
      sinceMs = Math.max(sinceMs, untilMs);
    };
    return momentsMs.map((momentMs) => {
      for (let step = course[next]; step !== undefined && step.atMs <= momentMs; step = course[next]) {
        stay(step.atMs);
        if (step.to !== on.to) cost += this.prices.switchS;
        on = step;
        next += 1;
      }
      stay(momentMs);
      return cost;
    });
  }

  /** Every uplink that carries traffic now, with its part. */
  #each({ to, shares }: Step, take: (uplink: number, share: number) => void): void {
    if (shares === undefined) take(to, 1);
    else for (const [uplink, share] of shares.entries()) if (share > 0) take(uplink, share);
  }
}
