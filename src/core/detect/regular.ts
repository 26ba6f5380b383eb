/**
 * The regular probes of one path: each target at its own phase of the interval, the gateway now and then. Says when to ask whom, and can
 * be moved on over a calm (calm.ts). Knows nothing of answers and verdicts.
 */
import type { Agenda } from '../agenda.js';
import type { CalmLine } from '../calm.js';
import { Cadence } from './cadence.js';
import type { Target } from './target.js';

/** The gateway is asked now and then in good times, to learn whether it answers at all. */
const GATEWAY_EVERY_MS = 10_000;

export interface RegularPort {
  readonly agenda: Agenda;
  /** in [0, 1) */
  readonly random: () => number;
  ask(target: Target, nowMs: number): void;
  /** in a silence the gateway is asked as often as the targets: it tells where the fault lies, and when the router is back */
  isSilent(): boolean;
}

export class Regular {
  readonly #targets: readonly Target[];
  readonly #gateway: Target | null;
  readonly #port: RegularPort;
  #planned: { readonly target: Target; readonly cadence: Cadence }[] = [];
  /** when the gateway was last asked by its cadence */
  #gatewayAskedMs = Number.NEGATIVE_INFINITY;
  #intervalMs: number;

  constructor(targets: readonly Target[], gateway: Target | null, intervalMs: number, port: RegularPort) {
    this.#targets = targets;
    this.#gateway = gateway;
    this.#intervalMs = intervalMs;
    this.#port = port;
  }

  /** that of the configuration, or another one: longer where probes cost money, shorter on a restless path */
  get intervalMs(): number {
    return this.#intervalMs;
  }

  /** From now on at this interval, with phases of its own. */
  every(intervalMs: number, nowMs: number): void {
    if (intervalMs === this.#intervalMs) return;
    this.#intervalMs = intervalMs;
    if (this.#planned.length > 0) this.start(nowMs);
  }

  start(nowMs: number): void {
    this.stop();
    const count = Math.max(1, this.#targets.length);
    const phaseMs = this.#port.random() * (this.#intervalMs / count);
    this.#targets.forEach((target, i) => {
      this.#plan(target, nowMs + phaseMs + (i * this.#intervalMs) / count, (now) => this.#port.ask(target, now));
    });
    const gateway = this.#gateway;
    if (gateway === null) return;
    this.#gatewayAskedMs = nowMs;
    this.#plan(gateway, nowMs + phaseMs + this.#intervalMs / 2, (now) => {
      if (this.#wantsGateway(now)) this.#port.ask(gateway, now);
    });
  }

  stop(): void {
    for (const { cadence } of this.#planned) cadence.cancel();
    this.#planned = [];
  }

  #plan(target: Target, firstMs: number, ask: (nowMs: number) => void): void {
    // However late: the cadence is kept, so that the targets stay spread.
    this.#planned.push({ target, cadence: new Cadence(this.#port.agenda, firstMs, this.#intervalMs, true, ask) });
  }

  #wantsGateway(nowMs: number): boolean {
    const wanted = this.#port.isSilent() || nowMs - this.#gatewayAskedMs >= GATEWAY_EVERY_MS;
    if (wanted) this.#gatewayAskedMs = nowMs;
    return wanted;
  }

  /** When so many further probes of the targets will have been sent, and one more: the time of that one. O(probes). */
  timeOfProbe(after: number, untilMs: number): number {
    const times = this.#planned.filter(({ target }) => target !== this.#gateway).map(({ cadence }) => cadence.nextMs);
    for (let left = after; ; left -= 1) {
      let first = 0;
      for (let i = 1; i < times.length; i += 1) if ((times[i] ?? 0) < (times[first] ?? 0)) first = i;
      const atMs = times[first] ?? Number.POSITIVE_INFINITY;
      if (left <= 0 || atMs >= untilMs) return atMs;
      times[first] = atMs + this.#intervalMs;
    }
  }

  /**
   * Nobody looks before this time: what would have been asked has been, and went as the line goes.
   * @returns probes of the targets, and of the gateway
   */
  skipTo(cutMs: number, line: CalmLine): { readonly targets: number; readonly gateway: number } {
    const sent = { targets: 0, gateway: 0 };
    for (const { target, cadence } of this.#planned) {
      const isGateway = target === this.#gateway;
      const rttMs = isGateway ? line.gatewayRttMs : line.rttMs;
      let probes = 0;
      let lastMs = 0;
      cadence.skipTo(cutMs, (atMs) => {
        if (isGateway && !this.#wantsGateway(atMs)) return;
        probes += 1;
        lastMs = atMs;
      });
      if (probes === 0) continue;
      if (rttMs === null) target.missedAll(probes);
      else target.answeredAll(probes, lastMs, rttMs);
      sent[isGateway ? 'gateway' : 'targets'] += probes;
    }
    return sent;
  }
}
