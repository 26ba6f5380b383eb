/**
 * What lies beyond one uplink, as a link tells it: answers each packet or not, and says how long things stay as they are. Time only goes
 * forward. A packet's fate is that of the instant at which it is sent: what was answered before a silence began still arrives.
 */
import type { CalmLine } from '../core/calm.js';
import { type Link, USUAL_RTT_MS } from './link.js';
import { Chance } from './random.js';

/** The next router is near. */
const GATEWAY_RTT_MS = 1;

/** From here on. */
interface Stretch {
  readonly fromMs: number;
  /** share of the packets lost beyond the gateway; 1 = silence */
  readonly loss: number;
  readonly rttMs: number;
  readonly gateway: boolean;
  readonly carrier: boolean;
}

export class FarLine {
  readonly #stretches: readonly Stretch[];
  /** seconds of outage felt from the first stretch to the beginning of each */
  readonly #feltS: Float64Array;
  readonly #seed: number;
  /** begins anew with each stretch: whether anybody asked in the former one then makes no difference */
  #chance: Chance;
  #at = 0;
  /** so many packets get through before one is lost */
  #lucky = Number.POSITIVE_INFINITY;

  /** @param link null = always good */
  constructor(link: Link | null, seed: number) {
    this.#stretches = stretchesOf(link);
    this.#seed = seed;
    this.#chance = new Chance(seed);
    this.#feltS = new Float64Array(this.#stretches.length);
    let feltS = 0;
    this.#stretches.forEach((stretch, i) => {
      const next = this.#stretches[i + 1];
      this.#feltS[i] = feltS;
      if (next !== undefined && stretch.loss > 0) feltS += (stretch.loss * (next.fromMs - stretch.fromMs)) / 1000;
    });
  }

  /** Its round trip time, or null: no answer will come. */
  ask(atMs: number, gateway: boolean): number | null {
    const now = this.#stretch(atMs);
    if (gateway) return now.gateway ? GATEWAY_RTT_MS : null;
    if (now.loss === 0) return now.rttMs;
    if (now.loss === 1) return null;
    if (this.#lucky > 0) {
      this.#lucky -= 1;
      return now.rttMs;
    }
    this.#draw(now.loss);
    return null;
  }

  /** So many packets were sent without anybody looking; `calmLine` said that they would get through, or that none would. */
  passed(packets: number): void {
    this.#lucky -= packets;
  }

  hasCarrier(atMs: number): boolean {
    return this.#stretch(atMs).carrier;
  }

  calmLine(atMs: number): CalmLine {
    const { loss, rttMs, gateway } = this.#stretch(atMs);
    return {
      rttMs: loss === 1 ? null : rttMs,
      gatewayRttMs: gateway ? GATEWAY_RTT_MS : null,
      probes: this.#lucky,
    };
  }

  /** When anything about it changes next; Infinity = never again. */
  changesMs(atMs: number): number {
    this.#stretch(atMs);
    return this.#stretches[this.#at + 1]?.fromMs ?? Number.POSITIVE_INFINITY;
  }

  /** When the carrier goes or comes next. O(stretches until then). */
  carrierChangesMs(atMs: number): number {
    const now = this.#stretch(atMs);
    for (let i = this.#at + 1; i < this.#stretches.length; i += 1) {
      const next = this.#stretches[i];
      if (next !== undefined && next.carrier !== now.carrier) return next.fromMs;
    }
    return Number.POSITIVE_INFINITY;
  }

  /** Seconds of outage that all traffic by it would have felt between the two instants. O(log stretches). */
  feltS(fromMs: number, toMs: number): number {
    return this.#feltUntilS(toMs) - this.#feltUntilS(fromMs);
  }

  #feltUntilS(atMs: number): number {
    let low = 0;
    let high = this.#stretches.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#stretches[middle]?.fromMs ?? 0) <= atMs) low = middle;
      else high = middle - 1;
    }
    const stretch = this.#stretches[low];
    const before = this.#feltS[low] ?? 0;
    return stretch === undefined || stretch.loss === 0 ? before : before + (stretch.loss * (atMs - stretch.fromMs)) / 1000;
  }

  #stretch(atMs: number): Stretch {
    const former = this.#at;
    for (;;) {
      const next = this.#stretches[this.#at + 1];
      if (next === undefined || next.fromMs > atMs) break;
      this.#at += 1;
    }
    const now = this.#stretches[this.#at] ?? GOOD;
    if (this.#at !== former) {
      this.#chance = new Chance(this.#seed + Math.imul(this.#at, 0x9e3779b1));
      this.#draw(now.loss);
    }
    return now;
  }

  /** How many packets in a row get through where each is lost for itself: a geometric number. */
  #draw(loss: number): void {
    const drawn = loss > 0 && loss < 1;
    this.#lucky = drawn ? Math.floor(Math.log(1 - this.#chance.next()) / Math.log1p(-loss)) : Number.POSITIVE_INFINITY;
  }
}

const GOOD: Stretch = { fromMs: Number.NEGATIVE_INFINITY, loss: 0, rttMs: USUAL_RTT_MS, gateway: true, carrier: true };

/** O(n log n). The first one begins before all time, the last one lasts for ever. */
function stretchesOf(link: Link | null): readonly Stretch[] {
  if (link === null) return [GOOD];
  const { silences, lossy, rtts } = link;
  const bounds = [...silences, ...lossy].flatMap(({ fromMs, toMs }) => [fromMs, toMs]);
  const times = [...new Set([...bounds, ...rtts.map((step) => step.fromMs)])].sort((a, b) => a - b);
  let silence = 0;
  let loss = 0;
  let rtt = 0;
  const stretches: Stretch[] = [{ ...GOOD, rttMs: rtts[0]?.rttMs ?? USUAL_RTT_MS }];
  for (const fromMs of times) {
    while ((silences[silence]?.toMs ?? Number.POSITIVE_INFINITY) <= fromMs) silence += 1;
    while ((lossy[loss]?.toMs ?? Number.POSITIVE_INFINITY) <= fromMs) loss += 1;
    while ((rtts[rtt + 1]?.fromMs ?? Number.POSITIVE_INFINITY) <= fromMs) rtt += 1;
    const silent = covering(silences[silence], fromMs);
    const stretch: Stretch = {
      fromMs,
      loss: silent !== undefined ? 1 : (covering(lossy[loss], fromMs)?.share ?? 0),
      rttMs: rtts[rtt]?.rttMs ?? USUAL_RTT_MS,
      gateway: silent === undefined || (silent.cause !== 'gateway' && silent.cause !== 'carrier'),
      carrier: silent?.cause !== 'carrier',
    };
    if (!alike(stretch, stretches.at(-1))) stretches.push(stretch);
  }
  return stretches;
}

function covering<T extends { readonly fromMs: number }>(span: T | undefined, atMs: number): T | undefined {
  return span !== undefined && span.fromMs <= atMs ? span : undefined;
}

function alike(a: Stretch, b: Stretch | undefined): boolean {
  return b !== undefined && a.loss === b.loss && a.rttMs === b.rttMs && a.gateway === b.gateway && a.carrier === b.carrier;
}
