/**
 * Says within milliseconds whether one path is answering or silent. It sends the regular probes spread over the interval,
 * starts a confirm burst when an answer is overdue, and reports verdicts; it never decides what follows from them.
 * Stated in docs/architecture.md ("How a silence is noticed"). Knows neither routes nor other paths. Longer than most: one
 * state machine, whose states are only understood together.
 */
import type { Agenda, Entry } from '../agenda.js';
import type { CalmLine } from '../calm.js';
import type { ProbeConfig } from '../config.js';
import type { LossReason, Reason } from '../model.js';
import { Burst, type BurstCause } from './burst.js';
import { Regular } from './regular.js';
import { Target, type TargetAddress } from './target.js';
import { Turns } from './turns.js';

/** While a silence is borne the targets are asked at this pace, so that its end is noticed soon. */
const WATCH_PACE_MS = 200;
/** A probe is kept in mind for so long after it was sent: stalls of radio links answer 15 s late. */
const GIVE_UP_MS = 20_000;
/** A recovered path must answer this share of its burst: one lucky packet is no recovery. */
const RECOVERY_SHARE = 0.5;
/** Of a silence that ends with a late answer: when less than this was lost it was slow, and otherwise silent. */
const SLOW_SHARE = 0.5;
/** Rechecks that events ask for are not started more often than this. */
const RECHECK_PAUSE_MS = 1_000;

/**
 * `idle`: nothing is asked. `starting`: the first burst runs. `suspect`: a burst runs on a path that was answering.
 * `silent`: a burst went unanswered. `recovering`: a silent path answered and is being confirmed.
 */
export type DetectorState = 'idle' | 'starting' | 'answering' | 'suspect' | 'silent' | 'recovering';

export interface DetectorPort {
  readonly agenda: Agenda;
  /** in [0, 1) */
  readonly random: () => number;
  /** Emits the question and returns the probe's id. `regular`: a sample of a target; not one of a burst or a watch, nor the gateway's. */
  ask(target: Target, giveUpMs: number, nowMs: number, regular: boolean): number;
  /** The state changed: the engine looks again. */
  changed(nowMs: number): void;
  /** A probe of the path in use was missed: a good moment to look at the alternatives too. */
  suspected(nowMs: number): void;
}

interface Outstanding {
  readonly target: Target;
  readonly sentMs: number;
  /** null once the deadline has passed: an answer is then late */
  due: Entry | null;
  readonly regular: boolean;
  readonly burst: Burst | null;
  void: boolean;
}

export class Detector {
  readonly targets: readonly Target[];
  /** asked beside the targets; null where the gateway is itself the only target */
  readonly gateway: Target | null;
  readonly #probe: ProbeConfig;
  readonly #quorum: number;
  readonly #port: DetectorPort;
  readonly #outstanding = new Map<number, Outstanding>();
  #state: DetectorState = 'idle';
  #burst: Burst | null = null;
  readonly #regular: Regular;
  /** of the regular probes at the present interval */
  #turns = new Turns();
  #silentSinceMs: number | null = null;
  /** of the present or last silence; null = nothing was heard since it began */
  #lostShare: number | null = null;
  #reason: Reason = 'starting';
  #watching = false;
  #watch: Entry | null = null;
  /** what it was doing when the process stopped; null = it is not suspended */
  #suspended: { readonly state: DetectorState; readonly borne: boolean } | null = null;
  #lastRecheckMs = Number.NEGATIVE_INFINITY;
  #lastRecoveryMs = Number.NEGATIVE_INFINITY;
  #resolved: readonly Target[] | null = null;

  constructor(
    targets: readonly TargetAddress[],
    gateway: TargetAddress | null,
    probe: ProbeConfig,
    quorum: number,
    port: DetectorPort,
  ) {
    this.targets = targets.map((spec) => new Target(spec, probe));
    this.gateway = gateway === null ? null : new Target(gateway, probe);
    this.#probe = probe;
    this.#quorum = quorum;
    this.#port = port;
    this.#regular = new Regular(this.targets, this.gateway, probe.intervalMs, {
      agenda: port.agenda,
      random: port.random,
      ask: (target, now) => this.#ask(target, true, null, now),
      isSilent: () => this.#state === 'silent',
    });
  }

  get intervalMs(): number {
    return this.#regular.intervalMs;
  }

  /** Regular probes come at this interval from now on; what is outstanding or being confirmed goes on. */
  askEvery(intervalMs: number, nowMs: number): void {
    if (intervalMs === this.intervalMs) return;
    this.#turns = new Turns();
    this.#regular.every(intervalMs, nowMs);
  }

  /** Asked more often than configured, it answers now and then: somebody out there answers no more than so much. */
  get isRationed(): boolean {
    return this.intervalMs < this.#probe.intervalMs && this.#turns.areMany;
  }

  get state(): DetectorState {
    return this.#state;
  }

  /** The process stopped and the kernel has not been read since: what it says is of before. */
  get suspended(): boolean {
    return this.#suspended !== null;
  }

  /** Send time of the first probe of the present silence. */
  get silentSinceMs(): number | null {
    return this.#silentSinceMs;
  }

  /**
   * How much of what was asked in the last silence was lost, in [0, 1]: all, but where answers were only slow. Then the first of
   * them tells: what was asked later is not lost.
   */
  get lostShare(): number {
    return this.#lostShare ?? 1;
  }

  /** Why it is silent; meaningful in `silent` and `recovering`. */
  get reason(): Reason {
    return this.#reason;
  }

  /** Begins, or begins anew after the link or the gateway changed: everything outstanding is forgotten. */
  start(nowMs: number): void {
    this.stop();
    this.#state = 'starting';
    this.#silentSinceMs = null;
    this.#startBurst('start', nowMs, nowMs);
    this.#regular.start(nowMs);
  }

  stop(): void {
    this.#interrupt();
    this.#outstanding.clear();
    this.#suspended = null;
    this.#state = 'idle';
    this.#watching = false;
  }

  /** Something about the link, its addresses, routes or neighbours changed: ask at once. No verdict by itself. */
  recheck(nowMs: number): void {
    if (this.#suspended !== null || this.#state !== 'answering' || nowMs - this.#lastRecheckMs < RECHECK_PAUSE_MS) return;
    this.#lastRecheckMs = nowMs;
    this.#state = 'suspect';
    this.#startBurst('recheck', nowMs, nowMs);
  }

  /** The engine has drawn its conclusion from the silence: from now on only the regular probes ask. */
  accepted(): void {
    this.#watching = false;
  }

  /**
   * The process did not run: what was outstanding proves nothing. Nothing is asked until `resume`, since the kernel may have
   * been changed meanwhile and a probe could take another way.
   */
  suspend(): void {
    if (this.#state === 'idle' || this.#suspended !== null) return;
    this.#suspended = { state: this.#state, borne: this.#watching };
    this.#interrupt();
  }

  /** A running burst starts over, a silence being borne is counted from now, regular probes are spread anew. */
  resume(nowMs: number): void {
    const former = this.#suspended;
    if (former === null) return;
    this.#suspended = null;
    if (former.state === 'answering' || former.state === 'suspect' || former.borne) {
      this.#watching = false;
      this.#silentSinceMs = null;
      this.#state = 'suspect';
      this.#startBurst('recheck', nowMs, nowMs);
    } else if (former.state === 'starting') {
      this.#startBurst('start', nowMs, nowMs);
    } else {
      this.#state = 'silent';
    }
    this.#regular.start(nowMs);
    if (former.state !== this.#state) this.#port.changed(nowMs);
  }

  /** @returns whether the probe was one of this path's */
  answered(id: number, rttMs: number, note: string | null, nowMs: number): boolean {
    const probe = this.#outstanding.get(id);
    if (probe === undefined) return false;
    this.#outstanding.delete(id);
    if (probe.void) {
      probe.target.alive(probe.sentMs, note);
      return true;
    }
    if (probe.due !== null) probe.due.cancelled = true;
    probe.target.answered(probe.sentMs, rttMs, note);
    if (probe.regular) {
      probe.target.window.answered(id, rttMs);
      if (probe.due !== null && probe.target !== this.gateway) this.#turns.note(true);
    }
    if (this.#counts(probe.target)) this.#heard(probe, nowMs);
    else if (this.#state === 'silent') this.#explain(nowMs);
    return true;
  }

  failed(id: number, reason: LossReason, detail: string, nowMs: number): boolean {
    const probe = this.#outstanding.get(id);
    if (probe === undefined) return false;
    this.#outstanding.delete(id);
    // Past its deadline it has been counted as a miss already; a void one proves nothing.
    if (probe.void || probe.due === null) return true;
    probe.due.cancelled = true;
    this.#miss(id, probe, reason, detail, nowMs);
    return true;
  }

  // ---- asking -----------------------------------------------------------------------------------------------------------

  #ask(target: Target, regular: boolean, burst: Burst | null, nowMs: number): void {
    if (target.spec.address === null) return;
    // A path that recovers or starts anew is granted the full time: its RTT may be another one than before.
    const anew = burst?.cause === 'recovery' || burst?.cause === 'start';
    const deadlineMs = anew ? this.#probe.timeoutMs : target.deadlineMs;
    this.#sweep(nowMs);
    const id = this.#port.ask(target, GIVE_UP_MS, nowMs, regular && target !== this.gateway);
    const probe: Outstanding = { target, sentMs: nowMs, due: null, regular, burst, void: false };
    probe.due = this.#port.agenda.at(nowMs + deadlineMs, (now) => {
      probe.due = null;
      this.#miss(id, probe, 'timeout', 'no answer', now);
    });
    this.#outstanding.set(id, probe);
    if (regular) target.window.sent(id, nowMs + deadlineMs);
    burst?.sent(id, target);
  }

  // ---- what came back ----------------------------------------------------------------------------------------------

  #heard(probe: Outstanding, nowMs: number): void {
    switch (this.#state) {
      case 'suspect':
      case 'starting':
        // What was asked before the silence began may have been on its way when the line broke: it proves nothing.
        if (this.#burst === null || probe.sentMs < this.#burst.silentSinceMs) return;
        this.#burst.answered(probe.target);
        if (this.#burst.answeredTargets >= this.#quorumNow()) this.#endBurst('answering', nowMs);
        // The last one heard of, and still too few: nobody else will ask for the verdict.
        else if (this.#burst.complete) this.#judgeBurst(nowMs);
        return;
      case 'silent':
        if (probe.sentMs < (this.#silentSinceMs ?? nowMs)) return;
        this.#lostShare ??= this.#lostBefore(probe, nowMs);
        if (this.#watching && this.#quorumNow() === 1) {
          // The silence is still being borne and has ended by itself: nothing happened.
          for (const target of this.targets) target.window.forgive(this.#silentSinceMs ?? nowMs, nowMs);
          this.#silentSinceMs = null;
          this.#become('answering', nowMs);
        } else if (nowMs - this.#lastRecoveryMs >= this.#probe.intervalMs) {
          // Not for each answer: too few targets for the quorum may go on answering for days.
          this.#lastRecoveryMs = nowMs;
          this.#state = 'recovering';
          this.#startBurst('recovery', nowMs, this.#silentSinceMs ?? nowMs);
        }
        return;
      case 'recovering':
        if (probe.burst !== null && probe.burst === this.#burst) {
          this.#burst.answered(probe.target);
          if (this.#burst.complete) this.#judgeBurst(nowMs);
        }
        return;
      default:
    }
  }

  /** An answer in time proves nothing of the time before, and one that nobody would wait for is as good as lost. */
  #lostBefore(probe: Outstanding, nowMs: number): number {
    const [sinceMs, late] = [this.#silentSinceMs ?? nowMs, probe.due === null];
    if (!late || nowMs <= sinceMs || nowMs - probe.sentMs > this.#probe.timeoutMs) return 1;
    const share = (probe.sentMs - sinceMs) / (nowMs - sinceMs);
    return share < SLOW_SHARE ? share : 1;
  }

  #miss(id: number, probe: Outstanding, reason: LossReason, detail: string, nowMs: number): void {
    const { target } = probe;
    const wasSilent = target.silent;
    if (probe.regular) {
      target.window.lost(id);
      if (target !== this.gateway) this.#turns.note(false);
    }
    target.missed(probe.sentMs, { reason, detail }, probe.regular);
    if (!this.#counts(target)) {
      if (this.#state === 'silent') this.#explain(nowMs);
      return;
    }
    if (probe.burst !== null && probe.burst === this.#burst) {
      this.#burst.missed(target, reason);
      if (this.#burst.complete) this.#judgeBurst(nowMs);
      return;
    }
    if (this.#state !== 'answering') return;
    // It is known to be silent, among enough that are not. Where these are too few, its miss is the news that there is.
    if (wasSilent && this.#judged().filter((t) => !t.silent).length >= this.#quorumNow()) return;
    // Others answered what was asked later than this: the path lives, only this target was missed.
    const alive = this.#judged().filter((t) => t.answeredSentMs >= probe.sentMs).length;
    if (alive >= this.#quorumNow()) return;
    this.#state = 'suspect';
    this.#startBurst('overdue', nowMs, probe.sentMs);
    this.#port.suspected(nowMs);
  }

  /** The targets that can be asked; while no name has resolved, the gateway in their place. */
  #judged(): readonly Target[] {
    if (this.#resolved === null) {
      const resolved = this.targets.filter((t) => t.spec.address !== null);
      this.#resolved = resolved.length > 0 || this.gateway === null ? resolved : [this.gateway];
    }
    return this.#resolved;
  }

  #counts(target: Target): boolean {
    return target !== this.gateway || this.#judged()[0] === target;
  }

  #quorumNow(): number {
    return Math.max(1, Math.min(this.#quorum, this.#judged().length));
  }

  /** A target's address became known or another one. */
  addressesChanged(): void {
    this.#resolved = null;
  }

  // ---- confirm bursts ----------------------------------------------------------------------------------------------

  #startBurst(cause: BurstCause, nowMs: number, silentSinceMs: number): void {
    const burst = new Burst(cause, silentSinceMs, this.#probe.burstCount);
    this.#burst = burst;
    const asked = this.#judged();
    const paceMs = this.#probe.burstPaceMs;
    let dueMs = nowMs;
    const step = (now: number): void => {
      for (const target of asked) {
        if (this.#burst === burst) this.#ask(target, false, burst, now);
      }
      if (this.#burst !== burst) return;
      if (this.gateway !== null && !this.#counts(this.gateway)) this.#ask(this.gateway, false, null, now);
      burst.stepDone();
      // Timers come late by a millisecond or so: counted from the step before, that would add up.
      dueMs = Math.max(dueMs + paceMs, now + paceMs / 2);
      if (!burst.allSent) burst.next = this.#port.agenda.at(dueMs, step);
    };
    step(nowMs);
    // Nothing to ask (no name has resolved): no verdict, and none is made up.
    if (asked.length === 0) burst.cancel();
  }

  #judgeBurst(nowMs: number): void {
    const burst = this.#burst;
    if (burst === null) return;
    if (burst.cause === 'recovery') {
      const good = burst.targetsAnswering(RECOVERY_SHARE) >= this.#quorumNow();
      this.#endBurst(good ? 'answering' : 'silent', nowMs);
    } else {
      this.#endBurst(burst.answeredTargets >= this.#quorumNow() ? 'answering' : 'silent', nowMs);
    }
  }

  #endBurst(next: 'answering' | 'silent', nowMs: number): void {
    const burst = this.#burst;
    if (burst === null) return;
    burst.cancel();
    this.#burst = null;
    if (next === 'answering') {
      if (burst.cause === 'recovery' || burst.cause === 'start') for (const target of this.targets) target.window.clear();
      this.#silentSinceMs = null;
      this.#become('answering', nowMs);
      return;
    }
    if (burst.cause !== 'recovery') {
      this.#silentSinceMs = burst.silentSinceMs;
      this.#watching = true;
    }
    this.#lostShare = null;
    this.#reason = this.#diagnose(burst.reasons);
    this.#become('silent', nowMs);
    if (this.#watching) this.#planWatch(nowMs);
  }

  #planWatch(nowMs: number): void {
    const pace = Math.min(WATCH_PACE_MS, this.#probe.intervalMs);
    const sinceMs = this.#silentSinceMs;
    const look = (now: number): void => {
      if (!this.#watching || this.#state !== 'silent' || this.#silentSinceMs !== sinceMs) return;
      for (const target of this.#judged()) this.#ask(target, false, null, now);
      this.#watch = this.#port.agenda.at(now + pace, look);
    };
    // A recovery that failed sooner than the pace finds the former look still planned.
    if (this.#watch !== null) this.#watch.cancelled = true;
    this.#watch = this.#port.agenda.at(nowMs + pace, look);
  }

  #become(state: DetectorState, nowMs: number): void {
    this.#state = state;
    this.#port.changed(nowMs);
  }

  /** The gateway answered or missed during a silence: the reason may be another one now. */
  #explain(nowMs: number): void {
    const reasons = this.targets.flatMap((t) => (t.lastFailure === null ? [] : [t.lastFailure.reason]));
    const reason = this.#diagnose(reasons);
    if (reason === this.#reason) return;
    this.#reason = reason;
    this.#port.changed(nowMs);
  }

  #diagnose(reasons: readonly LossReason[]): Reason {
    const share = (reason: LossReason): number => reasons.filter((r) => r === reason).length / Math.max(1, reasons.length);
    if (share('portal') > 0) return 'portal';
    if (share('local-fault') >= 0.5) return 'local-fault';
    if (share('no-route') >= 0.5) return 'no-route';
    if (share('unreachable') + share('ttl-exceeded') > 0) return 'unreachable';
    const gateway = this.gateway;
    if (gateway === null || this.#counts(gateway)) return 'gateway-silent';
    const answersSince = gateway.silentSinceMs === null && gateway.answeredSentMs >= (this.#silentSinceMs ?? 0);
    if (answersSince) return 'upstream-silent';
    // A gateway that has never answered may simply not answer pings: its silence proves nothing.
    return gateway.everAnswered ? 'gateway-silent' : 'silent';
  }

  /** Ends all that is under way: plans, burst, and the meaning of what is outstanding. */
  #interrupt(): void {
    this.#regular.stop();
    this.#burst?.cancel();
    this.#burst = null;
    for (const [id, probe] of this.#outstanding) {
      probe.void = true;
      if (probe.due !== null) probe.due.cancelled = true;
      if (probe.regular) probe.target.window.void(id);
    }
  }

  // ---- where nothing happens (calm.ts) -----------------------------------------------------------------------------

  /** Whether all goes on as it is now for as long as the line does: everything answered, or nothing, and known for long. O(targets). */
  isCalm(line: CalmLine): boolean {
    if (this.#suspended !== null || this.#burst !== null) return false;
    for (const probe of this.#outstanding.values()) if (probe.due !== null) return false;
    const { rttMs, gatewayRttMs } = line;
    const gatewayInTime = this.gateway === null || (gatewayRttMs !== null && gatewayRttMs < this.gateway.deadlineMs);
    // An answer in time makes the next deadline fit all the better.
    if (rttMs !== null)
      return this.#state === 'answering' && gatewayInTime && this.targets.every((t) => answersAll(t) && rttMs < t.deadlineMs);
    if (this.#state !== 'silent' || this.#silentSinceMs === null || this.#watching) return false;
    if (!this.targets.every((t) => t.silentSinceMs !== null && t.silent && t.lastFailure?.reason === 'timeout')) return false;
    if (this.gateway === null) return true;
    const gatewayKnown =
      gatewayRttMs === null
        ? this.gateway.silentSinceMs !== null && this.gateway.lastFailure?.reason === 'timeout'
        : gatewayInTime && answersAll(this.gateway) && this.gateway.answeredSentMs >= this.#silentSinceMs;
    return gatewayKnown && this.#diagnose(['timeout']) === this.#reason;
  }

  /** When so many further regular probes of the targets will have been sent, and one more: the time of that one. O(probes). */
  timeOfProbe(after: number, untilMs: number): number {
    return this.#regular.timeOfProbe(after, untilMs);
  }

  /** How long after it was asked a regular probe has its verdict, at most, ms. */
  settlesWithinMs(line: CalmLine): number {
    const answered = Math.max(line.rttMs ?? 0, line.gatewayRttMs ?? 0);
    if (line.rttMs !== null) return answered;
    const all = this.gateway === null ? this.targets : [...this.targets, this.gateway];
    return all.reduce((most, target) => Math.max(most, target.deadlineMs), answered);
  }

  /** See Regular. */
  skipTo(cutMs: number, line: CalmLine): { readonly targets: number; readonly gateway: number } {
    const sent = this.#regular.skipTo(cutMs, line);
    this.#turns.noteAll(line.rttMs !== null, sent.targets);
    return sent;
  }

  /** Probes older than any answer can be. The map keeps the order of sending: the old ones stand in front. */
  #sweep(nowMs: number): void {
    for (const [id, probe] of this.#outstanding) {
      if (nowMs - probe.sentMs < GIVE_UP_MS) return;
      this.#outstanding.delete(id);
    }
  }
}

/** Nothing of it is missing, and its death is not told. */
function answersAll(target: Target): boolean {
  return target.misses === 0 && target.silentSinceMs === null && !target.reportedDead;
}
