/**
 * One probed address of one path: its RTT estimate, its window, and whether it is believed alive. The detector decides
 * what the silence of several of them means.
 */
import type { ProbeConfig, TargetQuestion } from '../config.js';
import type { LossReason } from '../model.js';
import { answerDeadline, type RttEstimate, smoothRtt } from './rtt.js';
import { SampleWindow } from './window.js';

/** After so many misses in a row a target among living ones is no longer worth a confirm burst each time. */
const MISSES_TO_SILENT = 3;
/** Routers ration their errors (RFC 1812, 4.3.2.8; Linux sends each host one a second): the silence between two of them is no news. */
const SAID_HOLDS_MS = 5_000;

export interface TargetAddress {
  readonly label: string;
  readonly question: TargetQuestion;
  /** null until its name has resolved */
  address: string | null;
}

export class Target {
  readonly spec: TargetAddress;
  readonly window: SampleWindow;
  readonly #probe: ProbeConfig;
  #rtt: RttEstimate | null = null;
  /** regular misses since the last answer */
  misses = 0;
  everAnswered = false;
  /** send time of the newest probe that was answered; -Infinity before */
  answeredSentMs = Number.NEGATIVE_INFINITY;
  /** send time of the first probe that went unanswered since the last answer; null while it answers */
  silentSinceMs: number | null = null;
  lastFailure: { readonly reason: LossReason; readonly detail: string } | null = null;
  /** send time of the newest probe about which a router complained; -Infinity since it answered */
  #complainedMs = Number.NEGATIVE_INFINITY;
  note: string | null = null;
  /** its death has been told */
  reportedDead = false;

  constructor(spec: TargetAddress, probe: ProbeConfig) {
    this.spec = spec;
    this.#probe = probe;
    this.window = new SampleWindow(probe.windowSamples);
  }

  /** Known to be silent: its next miss says nothing new. */
  get silent(): boolean {
    return this.misses >= MISSES_TO_SILENT;
  }

  get deadlineMs(): number {
    return answerDeadline(this.#rtt, this.#probe.deadlineFloorMs, this.#probe.timeoutMs);
  }

  answered(sentMs: number, rttMs: number, note: string | null): void {
    this.#rtt = smoothRtt(this.#rtt, rttMs);
    this.alive(sentMs, note);
  }

  /** It answered, though the RTT cannot be trusted (the process was stopped meanwhile). */
  alive(sentMs: number, note: string | null): void {
    this.answeredSentMs = Math.max(this.answeredSentMs, sentMs);
    this.everAnswered = true;
    this.misses = 0;
    this.silentSinceMs = null;
    this.lastFailure = null;
    this.#complainedMs = Number.NEGATIVE_INFINITY;
    this.note = note;
  }

  missed(sentMs: number, failure: { readonly reason: LossReason; readonly detail: string }, regular: boolean): void {
    // A probe older than the newest answer was lost on a living path: it dates no silence.
    if (sentMs > this.answeredSentMs) this.silentSinceMs ??= sentMs;
    if (regular) this.misses += 1;
    if (failure.reason === 'timeout' && sentMs - this.#complainedMs < SAID_HOLDS_MS) return;
    if (failure.reason === 'unreachable' || failure.reason === 'ttl-exceeded') this.#complainedMs = sentMs;
    this.lastFailure = failure;
  }

  /** So many regular probes, the last one sent then, were all answered after this time. O(probes) until the estimate rests. */
  answeredAll(probes: number, lastSentMs: number, rttMs: number): void {
    for (let left = probes; left > 0; left -= 1) {
      const former = this.#rtt;
      this.#rtt = smoothRtt(former, rttMs);
      if (former !== null && former.srttMs === this.#rtt.srttMs && former.rttvarMs === this.#rtt.rttvarMs) break;
    }
    this.alive(lastSentMs, this.note);
    this.window.filled(probes, rttMs);
  }

  /** So many regular probes to a target that is silent already were all lost without a word. */
  missedAll(probes: number): void {
    this.misses += probes;
    this.lastFailure = { reason: 'timeout', detail: 'no answer' };
    this.window.filled(probes, null);
  }

  /**
   * Its death or return, once each: dead when it was silent for so long while its uplink lived.
   * @returns null where there is nothing new
   */
  deathToTell(afterMs: number, nowMs: number): 'dead' | 'alive' | null {
    const silentMs = this.silentSinceMs === null ? 0 : nowMs - this.silentSinceMs;
    const dead = this.silent && silentMs >= afterMs;
    if (dead === this.reportedDead || (!dead && silentMs > 0)) return null;
    this.reportedDead = dead;
    return dead ? 'dead' : 'alive';
  }
}
