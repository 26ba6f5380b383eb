/**
 * What a stream of numbered packets and their echoes says of a network: lost, doubled, reordered, and when there was silence.
 * Recomputed from the record whenever asked. Pure: times come in.
 */

/** A silence longer than the threshold: from the arrival before it to the arrival after it. */
export interface Gap {
  readonly fromMs: number;
  /** the time of asking while the silence lasts */
  readonly toMs: number;
}

/** All times are CLOCK_MONOTONIC milliseconds (clock.ts). */
export interface MeterStats {
  /** packets sent, `received` + `lost` + `pending` */
  readonly sent: number;
  readonly received: number;
  /** not back although the grace time is over */
  readonly lost: number;
  /** not back yet, still within the grace time */
  readonly pending: number;
  /** second and further copies */
  readonly duplicates: number;
  /** came back after a packet that was sent later */
  readonly reordered: number;
  /** longest time between two arrivals, the silence that lasts now included */
  readonly longestGapMs: number;
  readonly gaps: readonly Gap[];
  readonly medianRttMs: number | null;
  /** longest time between two of our own sends: above the interval, the meter itself was held up */
  readonly longestSendGapMs: number;
}

export interface StatsQuery {
  readonly nowMs: number;
  /** only packets sent and arrivals since then; default: all */
  readonly sinceMs?: number;
  readonly graceMs: number;
  /** silences longer than this are listed as gaps */
  readonly gapThresholdMs: number;
  /** no more packets are sent: the silence after the last one is none */
  readonly ended: boolean;
}

export class PacketLog {
  /** by sequence number */
  readonly #sentMs: number[] = [];
  readonly #arrivedMs: (number | null)[] = [];
  /** in the order of arrival, first copies alone */
  readonly #arrivals: { readonly seq: number; readonly atMs: number; readonly reordered: boolean }[] = [];
  readonly #duplicatesMs: number[] = [];
  #highestArrived = -1;

  /** Number of the next packet. */
  get nextSeq(): number {
    return this.#sentMs.length;
  }

  sent(nowMs: number): void {
    this.#sentMs.push(nowMs);
    this.#arrivedMs.push(null);
  }

  /** Numbers never sent are ignored. */
  arrived(seq: number, nowMs: number): void {
    const before = this.#arrivedMs[seq];
    if (before === undefined) return;
    if (before !== null) {
      this.#duplicatesMs.push(nowMs);
      return;
    }
    this.#arrivedMs[seq] = nowMs;
    this.#arrivals.push({ seq, atMs: nowMs, reordered: seq < this.#highestArrived });
    this.#highestArrived = Math.max(seq, this.#highestArrived);
  }

  packets(sinceMs: number): { seq: number; sentMs: number; arrivedMs: number | null }[] {
    const first = firstAtLeast(this.#sentMs.length, (at) => this.#sentMs[at] ?? 0, sinceMs);
    return this.#sentMs
      .slice(first)
      .map((sentMs, at) => ({ seq: first + at, sentMs, arrivedMs: this.#arrivedMs[first + at] ?? null }));
  }

  stats(query: StatsQuery): MeterStats {
    const { nowMs, sinceMs = Number.NEGATIVE_INFINITY, graceMs, gapThresholdMs } = query;
    const packets = this.packets(sinceMs);
    const rttsMs = packets.flatMap(({ sentMs, arrivedMs }) => (arrivedMs === null ? [] : [arrivedMs - sentMs]));
    const pending = packets.filter(({ sentMs, arrivedMs }) => arrivedMs === null && nowMs - sentMs < graceMs).length;
    const arrivals = this.#arrivals.slice(firstAtLeast(this.#arrivals.length, (at) => this.#arrivals[at]?.atMs ?? 0, sinceMs));
    const silences = this.#silences(query, arrivals, packets[0]?.sentMs);
    return {
      sent: packets.length,
      received: rttsMs.length,
      lost: packets.length - rttsMs.length - pending,
      pending,
      duplicates: this.#duplicatesMs.filter((atMs) => atMs >= sinceMs).length,
      reordered: arrivals.filter((one) => one.reordered).length,
      longestGapMs: silences.reduce((longest, { fromMs, toMs }) => Math.max(longest, toMs - fromMs), 0),
      gaps: silences.filter(({ fromMs, toMs }) => toMs - fromMs > gapThresholdMs),
      medianRttMs: rttsMs.sort((a, b) => a - b)[rttsMs.length >> 1] ?? null,
      longestSendGapMs: packets.reduce(
        (longest, { sentMs }, at) => Math.max(longest, sentMs - (packets[at - 1]?.sentMs ?? sentMs)),
        0,
      ),
    };
  }

  #silences(query: StatsQuery, arrivals: readonly { readonly atMs: number }[], firstSentMs: number | undefined): Gap[] {
    const { sinceMs, nowMs, ended } = query;
    const first = this.#arrivals[0];
    const times = arrivals.map((one) => one.atMs);
    // Before the first answer ever, waiting for it is no silence; with none at all everything is.
    if (sinceMs !== undefined && first !== undefined && first.atMs < sinceMs) times.unshift(sinceMs);
    else if (times.length === 0 && firstSentMs !== undefined) times.push(firstSentMs);
    const lastSentMs = this.#sentMs.at(-1);
    const lastMs = times.at(-1);
    const untilMs = ended ? lastSentMs : nowMs;
    if (lastMs !== undefined && untilMs !== undefined && untilMs > lastMs) times.push(untilMs);
    return times.slice(1).map((toMs, at) => ({ fromMs: times[at] ?? toMs, toMs }));
  }
}

/** Index of the first of `length` ascending values that is >= bound. */
function firstAtLeast(length: number, valueAt: (index: number) => number, bound: number): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (valueAt(middle) < bound) low = middle + 1;
    else high = middle;
  }
  return low;
}
