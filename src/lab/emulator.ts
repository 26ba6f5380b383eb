/**
 * One direction of an emulated link: what happens to a packet between its entry and its exit. Delay, jitter, loss, rate,
 * outage, duplicates, late delivery, replay of outages and traces. Pure: time and the seed come in, no I/O, no timers.
 */
import { DueQueue } from './due-queue.js';
import type { Replay } from './replay.js';

/** How one direction of a link behaves. Shares are 0..1, times are milliseconds. */
export interface LinkProfile {
  /** one-way delay */
  readonly delayMs: number;
  /** each packet is delayed by up to this much more (uniform); the order of packets is kept */
  readonly jitterMs: number;
  /** share of packets lost at random */
  readonly loss: number;
  /** transmission rate; null = unlimited */
  readonly rateKbitPerS: number | null;
  /** with a rate: a packet that would wait longer than this for its turn is dropped */
  readonly queueMs: number;
  /** everything is dropped, packets in flight included; nobody sees a carrier event */
  readonly outage: boolean;
  /** share of packets delivered twice */
  readonly duplicate: number;
  /** share of packets delivered `lateByMs` after their time, overtaken by others */
  readonly late: number;
  readonly lateByMs: number;
}

export const perfectLink: LinkProfile = {
  delayMs: 0,
  jitterMs: 0,
  loss: 0,
  rateKbitPerS: null,
  queueMs: 200,
  outage: false,
  duplicate: 0,
  late: 0,
  lateByMs: 0,
};

/** Packets of one direction since the link was made. */
export interface LinkCounters {
  readonly entered: number;
  readonly delivered: number;
  readonly lostAtRandom: number;
  readonly lostInOutage: number;
  readonly droppedByQueue: number;
}

/** A bound for memory alone: 20,000 packets in flight are 30 MB. */
const MAX_IN_FLIGHT = 20_000;

/** Problems of a profile in words for people; empty = usable. */
export function profileProblems(profile: LinkProfile): string[] {
  const problems: string[] = [];
  for (const key of ['loss', 'duplicate', 'late'] as const) {
    if (!(profile[key] >= 0 && profile[key] <= 1)) problems.push(`${key} is a share between 0 and 1, not ${profile[key]}`);
  }
  for (const key of ['delayMs', 'jitterMs', 'queueMs', 'lateByMs'] as const) {
    if (!(profile[key] >= 0 && profile[key] <= 60_000)) problems.push(`${key} is 0 to 60000, not ${profile[key]}`);
  }
  if (profile.rateKbitPerS !== null && !(profile.rateKbitPerS >= 1)) {
    problems.push(`rateKbitPerS is at least 1, not ${profile.rateKbitPerS}`);
  }
  return problems;
}

/** mulberry32: a small seeded generator of numbers in [0, 1), good enough for losing packets. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class LinkDirection {
  #profile: LinkProfile;
  #replay: Replay | null = null;
  readonly #random: () => number;
  readonly #flight = new DueQueue<Uint8Array>();
  /** when the transmitter has finished with what was accepted so far (rate limit) */
  #busyUntilMs = 0;
  /** exit of the latest packet in order: the next one never leaves before it */
  #lastDueMs = 0;
  #entered = 0;
  #delivered = 0;
  #lostAtRandom = 0;
  #lostInOutage = 0;
  #droppedByQueue = 0;

  constructor(profile: LinkProfile, seed: number) {
    this.#profile = profile;
    this.#random = seededRandom(seed);
  }

  get profile(): LinkProfile {
    return this.#profile;
  }

  get counters(): LinkCounters {
    return {
      entered: this.#entered,
      delivered: this.#delivered,
      lostAtRandom: this.#lostAtRandom,
      lostInOutage: this.#lostInOutage,
      droppedByQueue: this.#droppedByQueue,
    };
  }

  /** Takes effect at once; packets in flight keep their exit time, but an outage loses them. */
  setProfile(profile: LinkProfile): void {
    this.#profile = profile;
    if (profile.outage) this.#lostInOutage += this.#flight.clear();
  }

  /** Null ends a replay. While one runs its delay takes the place of the profile's, and its outages come on top. */
  setReplay(replay: Replay | null): void {
    this.#replay = replay;
  }

  /** A packet enters; the bytes are kept, not copied. */
  accept(packet: Uint8Array, nowMs: number): void {
    this.#entered++;
    const replayed = this.#replay?.at(nowMs) ?? null;
    if (this.#profile.outage || replayed?.kind === 'outage') {
      this.#lostInOutage++;
      return;
    }
    if (this.#profile.loss > 0 && this.#random() < this.#profile.loss) {
      this.#lostAtRandom++;
      return;
    }
    const sentMs = this.#transmit(packet.length, nowMs);
    if (sentMs === null || this.#flight.size >= MAX_IN_FLIGHT) {
      this.#droppedByQueue++;
      return;
    }
    const { jitterMs, late, lateByMs, duplicate } = this.#profile;
    const delayMs = replayed?.kind === 'delay' ? replayed.delayMs : this.#profile.delayMs;
    const dueMs = Math.max(sentMs + delayMs + (jitterMs > 0 ? this.#random() * jitterMs : 0), this.#lastDueMs);
    if (late > 0 && this.#random() < late) this.#flight.push(dueMs + lateByMs, packet);
    else {
      this.#flight.push(dueMs, packet);
      this.#lastDueMs = dueMs;
    }
    if (duplicate > 0 && this.#random() < duplicate) this.#flight.push(dueMs + lateByMs, packet);
  }

  /** When the next packet leaves; Infinity = none is in flight. */
  nextDueMs(): number {
    return this.#flight.nextDueMs();
  }

  /** The next packet that is due by `nowMs`, or null. What was in flight when an outage came is lost. */
  takeDue(nowMs: number): Uint8Array | null {
    for (;;) {
      const packet = this.#flight.takeDue(nowMs);
      if (packet === null) return null;
      if (this.#replay?.at(nowMs)?.kind === 'outage') {
        this.#lostInOutage++;
        continue;
      }
      this.#delivered++;
      return packet;
    }
  }

  /** When the last bit is on the line, or null where the queue is full. */
  #transmit(bytes: number, nowMs: number): number | null {
    const { rateKbitPerS, queueMs } = this.#profile;
    if (rateKbitPerS === null) return nowMs;
    const startMs = Math.max(nowMs, this.#busyUntilMs);
    if (startMs - nowMs > queueMs) return null;
    this.#busyUntilMs = startMs + (bytes * 8) / rateKbitPerS;
    return this.#busyUntilMs;
  }
}
