/**
 * The rule for unknown links: Borodin, Linial and Saks' work function (1992) for two states. It keeps the difference of the
 * least costs with which a clairvoyant could be on the backup and on the uplink by now, and moves when the difference has
 * become one switch. At most 3 times the clairvoyant's cost, against any adversary; no deterministic rule does better.
 */

/** All costs in seconds of outage. `switchS`: one switch; `backup`: a second on the backup. */
export interface Costs {
  readonly switchS: number;
  readonly backup: number;
}

export class WorkFunction {
  /** what the backup is behind the uplink by, in [0, 2 switches]: 0 = time to be on the backup, 2 = time to be back */
  behindS: number;

  constructor(behindS: number) {
    this.behindS = behindS;
  }

  good(spanS: number, costs: Costs): void {
    this.behindS = Math.min(2 * costs.switchS, this.behindS + costs.backup * spanS);
  }

  silent(spanS: number, severity: number, costs: Costs): void {
    this.behindS = Math.min(2 * costs.switchS, Math.max(0, this.behindS - (severity - costs.backup) * spanS));
  }

  /** How long a silence that begins now is borne, s. */
  patienceS(severity: number, costs: Costs): number {
    if (severity <= costs.backup) return Number.POSITIVE_INFINITY;
    return Math.min(2 * costs.switchS, this.behindS) / (severity - costs.backup);
  }

  /** How long it must be good from now before failback, s. */
  holdS(costs: Costs): number {
    const missingS = Math.max(0, 2 * costs.switchS - this.behindS);
    return missingS === 0 ? 0 : missingS / costs.backup;
  }
}
