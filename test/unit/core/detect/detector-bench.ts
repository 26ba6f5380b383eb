/**
 * One detector alone under a virtual clock: every question is put to a function that says when and how it is answered.
 * Nothing here knows paths, routes or the engine.
 */
import { Agenda } from '../../../../src/core/agenda.js';
import type { ProbeConfig } from '../../../../src/core/config.js';
import { Detector, type DetectorState } from '../../../../src/core/detect/detector.js';
import type { TargetAddress } from '../../../../src/core/detect/target.js';
import type { LossReason } from '../../../../src/core/model.js';

export const PROBE: ProbeConfig = {
  intervalMs: 1000,
  burstCount: 3,
  burstPaceMs: 10,
  timeoutMs: 1000,
  deadlineFloorMs: 40,
  windowSamples: 60,
};

/** RTT in ms, a failure told after some time, or null = silence. */
export type Reaction = number | { readonly reason: LossReason; readonly afterMs: number } | null;

export interface BenchOptions {
  readonly targets?: readonly string[];
  readonly gateway?: boolean;
  readonly quorum?: number;
  readonly probe?: Partial<ProbeConfig>;
  readonly random?: () => number;
}

interface Delivery {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

export class DetectorBench {
  readonly agenda = new Agenda();
  readonly detector: Detector;
  now = 0;
  /** what the network does with a question to this target */
  network: (label: string, sentMs: number) => Reaction = () => 20;
  readonly asked: { readonly label: string; readonly atMs: number; readonly id: number }[] = [];
  readonly states: { readonly state: DetectorState; readonly atMs: number }[] = [];
  suspicions = 0;
  #deliveries: Delivery[] = [];
  #nextId = 1;

  constructor(options: BenchOptions = {}) {
    const target = (label: string): TargetAddress => ({ label, question: { kind: 'icmp' }, address: label });
    this.detector = new Detector(
      (options.targets ?? ['a']).map(target),
      options.gateway === true ? target('gateway') : null,
      { ...PROBE, ...options.probe },
      options.quorum ?? 1,
      {
        agenda: this.agenda,
        random: options.random ?? (() => 0.5),
        ask: (asked, _giveUpMs, nowMs) => this.#ask(asked.spec.label, nowMs),
        changed: (nowMs) => this.states.push({ state: this.detector.state, atMs: nowMs }),
        suspected: () => {
          this.suspicions += 1;
        },
      },
    );
  }

  get state(): DetectorState {
    return this.detector.state;
  }

  /** Starts it and lets the first burst come to its verdict. */
  started(): this {
    this.detector.start(this.now);
    this.runUntil(this.now + 100);
    return this;
  }

  runUntil(untilMs: number): void {
    for (;;) {
      // An answer due at the instant of the timer is handed in before it, as the daemon promises.
      const next = this.#deliveries[0];
      const timerMs = this.agenda.nextMs();
      const atMs = Math.min(next?.atMs ?? Number.POSITIVE_INFINITY, timerMs ?? Number.POSITIVE_INFINITY);
      if (atMs > untilMs) break;
      this.now = Math.max(this.now, atMs);
      if (next !== undefined && next.atMs <= atMs) {
        this.#deliveries.shift();
        next.run();
      } else this.agenda.runDue(this.now);
    }
    this.now = untilMs;
  }

  /** The process stands still: answers wait to be read, then everything overdue comes at once, the stall told first. */
  stall(durationMs: number): void {
    this.now += durationMs;
    this.detector.suspend();
    this.detector.resume(this.now);
  }

  /** How many questions went out since `fromMs`. */
  askedSince(fromMs: number, label?: string): number {
    return this.asked.filter((a) => a.atMs >= fromMs && (label === undefined || a.label === label)).length;
  }

  #ask(label: string, nowMs: number): number {
    const id = this.#nextId;
    this.#nextId += 1;
    this.asked.push({ label, atMs: nowMs, id });
    const reaction = this.network(label, nowMs);
    if (typeof reaction === 'number') {
      // Measured when it is read: a stall makes it look late, as in the real process.
      this.#deliver(nowMs + reaction, () => this.detector.answered(id, this.now - nowMs, null, this.now));
    } else if (reaction !== null) {
      this.#deliver(nowMs + reaction.afterMs, () => this.detector.failed(id, reaction.reason, 'told', this.now));
    }
    return id;
  }

  #deliver(atMs: number, run: () => void): void {
    this.#deliveries.push({ atMs, order: this.#nextId, run });
    this.#deliveries.sort((a, b) => a.atMs - b.atMs || a.order - b.order);
  }
}
