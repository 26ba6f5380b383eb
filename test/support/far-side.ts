/**
 * What lies beyond one uplink: its gateway, the way upstream and the targets, with all that can go wrong there.
 * Answers a probe with a delay, a failure or silence. Knows neither the engine nor the kernel.
 */
import type { Family, LossReason } from '../../src/core/model.js';
import type { Random } from './random.js';

export type FarAnswer =
  | { readonly kind: 'answer'; readonly delayMs: number; readonly copies: number }
  | { readonly kind: 'failure'; readonly delayMs: number; readonly reason: LossReason };

export const USUAL_RTT_MS = 20;

export class FarSide {
  rttMs = USUAL_RTT_MS;
  /** spread above rttMs, evenly */
  jitterMs = 2;
  /** share of probes and packets lost beyond the gateway, 0..1 */
  loss = 0;
  gatewayAlive = true;
  /** some gateways forward but never answer a ping */
  gatewayAnswers = true;
  upstreamAlive = true;
  /** upstream is dead and a router or a portal says so */
  complaint: LossReason | null = null;
  /** share of answers that come twice */
  duplicates = 0;
  readonly deadTargets = new Set<string>();

  constructor(
    readonly name: string,
    readonly device: string,
    /** address of the next router per family */
    readonly gateways: Map<Family, string>,
  ) {}

  /** Whether a client's packet gets through, loss aside. */
  works(): boolean {
    return this.gatewayAlive && this.upstreamAlive && this.complaint === null;
  }

  isGateway(address: string): boolean {
    return [...this.gateways.values()].includes(address);
  }

  /** null = silence */
  ask(address: string, random: Random): FarAnswer | null {
    if (!this.gatewayAlive) return null;
    if (this.isGateway(address)) {
      return this.gatewayAnswers ? { kind: 'answer', delayMs: random.between(0.2, 0.6), copies: 1 } : null;
    }
    if (!this.upstreamAlive || this.deadTargets.has(address) || random.chance(this.loss)) return null;
    const delayMs = this.rttMs + random.between(0, this.jitterMs);
    if (this.complaint !== null) return { kind: 'failure', delayMs, reason: this.complaint };
    return { kind: 'answer', delayMs, copies: random.chance(this.duplicates) ? 2 : 1 };
  }
}
