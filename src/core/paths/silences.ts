/**
 * What the silences of one path teach: tells its judgement when they begin, change and end, and asks it how long to wait. It
 * sees troubles, not probes; it knows neither routes nor the other paths.
 */
import type { UplinkConfig } from '../config.js';
import { Judgement, type JudgementOptions } from '../judgement/judgement.js';
import type { SilenceCause } from '../judgement/memory.js';
import { type JudgementState, parseJudgementState } from '../judgement/state.js';

/** Something is wrong with a path now. */
export interface Trouble {
  readonly cause: SilenceCause;
  /** share of the traffic that is lost beyond the best alternative's, in (0, 1] */
  readonly severity: number;
  /** when it probably began: between the last probe that was answered and the first that was not */
  readonly sinceMs: number;
}

/** A silence that is over. */
export interface EndedSilence {
  readonly cause: SilenceCause;
  readonly severity: number;
  readonly beganMs: number;
  readonly lengthMs: number;
}

/** What outlives the process. */
export interface SavedSilences {
  readonly learned: JudgementState;
  /** what the last silence made of the way back; null = none ended */
  readonly holdMs: number | null;
}

/** In a calm the patience that would be in force is reckoned anew this often, for those who look. */
const FORESEEN_MS = 60_000;
/**
 * After a silence a path that matters is asked more often for so long: also beyond most swarms, since lengths that are measured
 * now closely, now roughly teach badly.
 */
const RESTLESS_MS = 3_600_000;
/** Of what is over: a silence in which nothing was lost is one all the same. */
const LEAST_SEVERITY = 0.01;
/** Before anything is known of a path that failed in an earlier run. */
const UNKNOWN_HOLD_MS = 30_000;

export class Silences {
  readonly #judgement: Judgement;
  #restoredHoldMs: number | null;
  #trouble: Trouble | null = null;
  /** what was lost of it so far, in ms of full silence, up to `untilMs` */
  #lost = { weighedMs: 0, untilMs: 0 };
  #foreseen: { readonly atMs: number; readonly patienceMs: number; readonly ground: string } | null = null;
  #likely: { readonly atMs: number; readonly leftMs: number | null } | null = null;
  #restlessUntilMs = Number.NEGATIVE_INFINITY;

  constructor(options: JudgementOptions, saved: unknown) {
    const former = typeof saved === 'object' && saved !== null ? (saved as Partial<SavedSilences>) : {};
    this.#judgement = new Judgement(options, parseJudgementState(former.learned));
    this.#restoredHoldMs = typeof former.holdMs === 'number' && former.holdMs >= 0 ? former.holdMs : null;
  }

  reconfigure(options: JudgementOptions): void {
    this.#judgement.reconfigure(options);
    this.#foreseen = null;
  }

  get trouble(): Trouble | null {
    return this.#trouble;
  }

  /**
   * @param endedMs when the former trouble is thought to have ended, should this be null
   * @param lostShare how much of it was lost, should it have been a silence: what only came late is not, in [0, 1]
   * @returns a silence that is over by this
   */
  see(trouble: Trouble | null, endedMs: number, lostShare = 1): EndedSilence | null {
    const former = this.#trouble;
    if (trouble === null && former === null) return null;
    if (former !== null) this.#weigh(former.severity, endedMs);
    this.#foreseen = null;
    this.#likely = null;
    if (trouble === null && former !== null) {
      this.#trouble = null;
      const atMs = Math.max(endedMs, former.sinceMs);
      const lengthMs = atMs - former.sinceMs;
      // How much was lost in the end is no measure: a window empties slowly.
      const partial = former.cause === 'loss' && lengthMs > 0;
      const slow = former.cause === 'gateway' || former.cause === 'upstream' ? lostShare : 1;
      const share = partial ? this.#lost.weighedMs / lengthMs : former.severity * slow;
      const severity = Math.min(1, Math.max(LEAST_SEVERITY, share));
      this.#judgement.silenceChanged(former.cause, severity);
      this.#judgement.silenceEnded(atMs);
      this.#restlessUntilMs = atMs + RESTLESS_MS;
      return { cause: former.cause, severity, beganMs: former.sinceMs, lengthMs };
    }
    if (trouble === null) return null;
    if (former === null) this.#begin(trouble);
    else if ((former.cause === 'loss') !== (trouble.cause === 'loss')) {
      // From losing a part to losing all, or back: how long the one lasted says nothing of the other, and what was borne of
      // the one is no patience with the other.
      this.#judgement.interrupted(Math.max(trouble.sinceMs, former.sinceMs));
      this.#begin(trouble);
    } else if (former.cause !== trouble.cause || former.severity !== trouble.severity) {
      // It is the same trouble, better known: it began when it began.
      this.#trouble = { ...trouble, sinceMs: former.sinceMs };
      this.#judgement.silenceChanged(trouble.cause, trouble.severity);
    }
    return null;
  }

  #weigh(severity: number, untilMs: number): void {
    const { weighedMs, untilMs: fromMs } = this.#lost;
    this.#lost = { weighedMs: weighedMs + severity * Math.max(0, untilMs - fromMs), untilMs: Math.max(fromMs, untilMs) };
  }

  #begin(trouble: Trouble): void {
    this.#trouble = trouble;
    this.#lost = { weighedMs: 0, untilMs: trouble.sinceMs };
    this.#judgement.silenceBegan(trouble.sinceMs, trouble.cause, trouble.severity);
  }

  /** What a silence teaches is reckoned before the next one begins: then there is no time. @returns whether there was anything to do */
  settle(): boolean {
    if (!this.#judgement.isOpen) return false;
    this.#judgement.settle();
    return true;
  }

  /** Nobody watched until now: how long it was good or silent is not known. */
  interrupted(nowMs: number): void {
    this.#judgement.interrupted(nowMs);
    this.#trouble = null;
    this.#foreseen = null;
    this.#likely = null;
  }

  /** So long another silence is more likely than usual: silences come in swarms. */
  get restlessUntilMs(): number {
    return this.#restlessUntilMs;
  }

  /** When the present trouble will have been borne long enough; null while there is none. */
  patienceEndsMs(): number | null {
    const patienceMs = this.#judgement.patienceMs();
    return this.#trouble === null || patienceMs === null ? null : this.#trouble.sinceMs + patienceMs;
  }

  /** The patience in force, and why: of the present silence, or of one that would begin now. */
  patience(nowMs: number): { readonly ms: number; readonly ground: string } {
    const patienceMs = this.#judgement.patienceMs();
    if (patienceMs !== null) return { ms: patienceMs, ground: this.#judgement.explain().patience ?? '' };
    if (this.#foreseen === null || nowMs - this.#foreseen.atMs > FORESEEN_MS) {
      const { patienceMs: ms, ground } = this.#judgement.foresee(nowMs, 'upstream') ?? { patienceMs: 0, ground: '' };
      this.#foreseen = { atMs: nowMs, patienceMs: ms, ground };
    }
    return { ms: this.#foreseen.patienceMs, ground: this.#foreseen.ground };
  }

  /** How long it must have been good for traffic to come back, since the last silence ended. */
  holdMs(): number {
    return this.#judgement.holdMs() ?? this.#restoredHoldMs ?? UNKNOWN_HOLD_MS;
  }

  holdGround(): string | null {
    return this.#judgement.explain().hold;
  }

  /** Half of the silences like this one are over within so long; null while there is none. */
  likelyLeftMs(nowMs: number): number | null {
    if (this.#trouble === null) return null;
    if (this.#likely === null || nowMs - this.#likely.atMs >= 1_000) {
      this.#likely = { atMs: nowMs, leftMs: this.#judgement.likelyLeftMs(nowMs) };
    }
    return this.#likely.leftMs;
  }

  forget(): void {
    this.#judgement.reset();
    this.#restoredHoldMs = null;
    this.#foreseen = null;
    this.#likely = null;
  }

  saved(): SavedSilences {
    return { learned: this.#judgement.saved(), holdMs: this.#judgement.holdMs() ?? this.#restoredHoldMs };
  }
}

/** @param alternatives uplinks that it would be left for */
export function judgementOptions(
  uplink: UplinkConfig,
  alternatives: readonly UplinkConfig[],
  switchCostMs: number,
): JudgementOptions {
  const costs = alternatives.map(({ backupCost }) => backupCost);
  return {
    switchCostMs,
    backupCost: costs.length === 0 ? uplink.backupCost : Math.min(...costs),
    patience: uplink.patienceBounds,
    hold: uplink.holdBounds,
  };
}
