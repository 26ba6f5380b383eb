/**
 * Which of very many TCP connections are told first that they have ended: those that were active most recently. Pure.
 */
import { TCP_STATE } from './conntrack.js';

/** Seconds after which conntrack forgets a silent connection, by its state (net.netfilter.nf_conntrack_tcp_timeout_*). */
export interface TcpTimeouts {
  readonly established: number;
  /** data unanswered: what an established connection is given then */
  readonly unanswered: number;
  readonly synRecv: number;
  readonly finWait: number;
  readonly closeWait: number;
  readonly lastAck: number;
}

/** Of Linux itself, for where the sysctls cannot be read. */
export const DEFAULT_TIMEOUTS: TcpTimeouts = {
  established: 432_000,
  unanswered: 300,
  synRecv: 60,
  finWait: 120,
  closeWait: 60,
  lastAck: 30,
};

/**
 * Seconds since its last packet, or null for a connection that nobody need be told of: one that has ended already, or whose first
 * packet was never answered (the next try goes by the new way, which is better than a refusal).
 */
export function idleSeconds(state: number, leftSeconds: number, timeouts: TcpTimeouts): number | null {
  switch (state) {
    case TCP_STATE.established: {
      // Conntrack gives less time while data is unanswered. With so little left it is that, or five days of silence.
      const full = leftSeconds <= timeouts.unanswered ? timeouts.unanswered : timeouts.established;
      return Math.max(0, full - leftSeconds);
    }
    case TCP_STATE.synRecv:
      return Math.max(0, timeouts.synRecv - leftSeconds);
    case TCP_STATE.finWait:
      return Math.max(0, timeouts.finWait - leftSeconds);
    case TCP_STATE.closeWait:
      return Math.max(0, timeouts.closeWait - leftSeconds);
    case TCP_STATE.lastAck:
      return Math.max(0, timeouts.lastAck - leftSeconds);
    default:
      return null;
  }
}

/** Keeps the `limit` items of the lowest rank out of any number, never more than twice as many at a time. */
export class Lowest<T> {
  readonly #limit: number;
  #kept: { readonly rank: number; readonly item: T }[] = [];
  #bar = Number.POSITIVE_INFINITY;
  #offered = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** @param make called only where the item has a chance */
  offer(rank: number, make: () => T): void {
    this.#offered++;
    if (rank >= this.#bar) return;
    this.#kept.push({ rank, item: make() });
    if (this.#kept.length >= 2 * this.#limit) this.#trim();
  }

  #trim(): void {
    this.#kept.sort((a, b) => a.rank - b.rank);
    if (this.#kept.length > this.#limit) this.#kept.length = this.#limit;
    if (this.#kept.length === this.#limit) this.#bar = this.#kept.at(-1)?.rank ?? this.#bar;
  }

  get offered(): number {
    return this.#offered;
  }

  /** In rising order of rank. */
  take(): T[] {
    this.#trim();
    return this.#kept.map(({ item }) => item);
  }
}
