/**
 * The bookkeeping of one confirm burst: which targets were asked how often, and what came back. It sends nothing and
 * judges nothing.
 */
import type { Entry } from '../agenda.js';
import type { LossReason } from '../model.js';
import type { Target } from './target.js';

/** `overdue`: an answer is missing. `recheck`: an event or a look at the alternatives. `recovery`: a silent path spoke. */
export type BurstCause = 'start' | 'overdue' | 'recheck' | 'recovery';

interface Tally {
  sent: number;
  answered: number;
  missed: number;
}

export class Burst {
  readonly cause: BurstCause;
  readonly silentSinceMs: number;
  readonly #steps: number;
  readonly #tallies = new Map<Target, Tally>();
  readonly #reasons: LossReason[] = [];
  /** targets that answered anything since the burst began, late answers to earlier probes included */
  readonly #heard = new Set<Target>();
  #stepsDone = 0;
  next: Entry | null = null;

  constructor(cause: BurstCause, silentSinceMs: number, steps: number) {
    this.cause = cause;
    this.silentSinceMs = silentSinceMs;
    this.#steps = steps;
  }

  sent(_id: number, target: Target): void {
    this.#tally(target).sent += 1;
  }

  answered(target: Target): void {
    this.#tally(target).answered += 1;
    this.#heard.add(target);
  }

  missed(target: Target, reason: LossReason): void {
    this.#tally(target).missed += 1;
    this.#reasons.push(reason);
  }

  stepDone(): void {
    this.#stepsDone += 1;
  }

  get allSent(): boolean {
    return this.#stepsDone >= this.#steps;
  }

  get answeredTargets(): number {
    return this.#heard.size;
  }

  get reasons(): readonly LossReason[] {
    return this.#reasons;
  }

  /**
   * Every probe has been sent and has answered or missed. Targets that were known to be silent before are not waited for
   * as long as there are others.
   */
  get complete(): boolean {
    if (!this.allSent) return false;
    const lively = [...this.#tallies].filter(([target]) => !target.silent);
    const awaited = lively.length > 0 ? lively.map(([, tally]) => tally) : [...this.#tallies.values()];
    return awaited.every((t) => t.answered + t.missed >= t.sent);
  }

  /** Targets that answered at least this share of what they were asked in the burst. */
  targetsAnswering(share: number): number {
    return [...this.#tallies.values()].filter((t) => t.sent > 0 && t.answered / t.sent >= share).length;
  }

  cancel(): void {
    if (this.next !== null) this.next.cancelled = true;
  }

  #tally(target: Target): Tally {
    let tally = this.#tallies.get(target);
    if (tally === undefined) {
      tally = { sent: 0, answered: 0, missed: 0 };
      this.#tallies.set(target, tally);
    }
    return tally;
  }
}
