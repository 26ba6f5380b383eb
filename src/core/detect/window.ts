/**
 * The last regular samples of one target. Loss, RTT and jitter are judged anew at question time from the samples
 * themselves: nothing is accumulated, so a late reply simply turns a lost sample back into an answered one.
 * Burst probes do not stand here: they are sent because something was lost, and would bias the loss.
 */

interface Sample {
  id: number;
  state: 'pending' | 'answered' | 'lost' | 'void';
  rttMs: number;
  /** at this time a pending sample counts as lost */
  dueMs: number;
}

/** the id of no probe */
const NOBODYS = -1;

function isLost(sample: Sample, nowMs: number): boolean {
  return sample.state === 'lost' || (sample.state === 'pending' && sample.dueMs <= nowMs);
}

export interface WindowSummary {
  /** samples that count: answered or lost */
  readonly samples: number;
  readonly lost: number;
  /** share of lost samples 0..1; null without samples */
  readonly loss: number | null;
  /** median RTT of the answered samples */
  readonly rttMs: number | null;
  /** standard deviation of the RTT of the answered samples */
  readonly jitterMs: number | null;
}

export class SampleWindow {
  readonly #capacity: number;
  readonly #ring: Sample[] = [];
  #next = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  sent(id: number, dueMs: number): void {
    this.#ring[this.#next] = { id, state: 'pending', rttMs: 0, dueMs };
    this.#next = (this.#next + 1) % this.#capacity;
  }

  answered(id: number, rttMs: number): void {
    const sample = this.#find(id);
    if (sample === undefined) return;
    sample.state = 'answered';
    sample.rttMs = rttMs;
  }

  /** A definite failure, or an overdue answer. A later `answered` repairs it. */
  lost(id: number): void {
    const sample = this.#find(id);
    if (sample !== undefined && sample.state === 'pending') sample.state = 'lost';
  }

  /** Nobody can say what became of it: it counts neither way. */
  void(id: number): void {
    const sample = this.#find(id);
    if (sample !== undefined) sample.state = 'void';
  }

  /**
   * A silence that began then has been borne and has ended: it counts as one lost sample, however long it was. What a silence
   * means is judged by patience; counted sample by sample it would make the path look lossy when it is well again.
   */
  forgive(sinceMs: number, nowMs: number): void {
    const lost = this.#ring.filter((s) => isLost(s, nowMs) && s.dueMs > sinceMs).sort((a, b) => a.dueMs - b.dueMs);
    for (const sample of lost.slice(1)) sample.state = 'void';
  }

  /** So many regular probes were all answered after this time, or all lost (null), and nobody looked meanwhile. O(capacity). */
  filled(probes: number, rttMs: number | null): void {
    const state = rttMs === null ? 'lost' : 'answered';
    for (let left = Math.min(probes, this.#capacity); left > 0; left -= 1) {
      const sample = this.#ring[this.#next] ?? { id: NOBODYS, state, rttMs: 0, dueMs: 0 };
      sample.id = NOBODYS;
      sample.state = state;
      sample.rttMs = rttMs ?? 0;
      sample.dueMs = Number.NEGATIVE_INFINITY;
      this.#ring[this.#next] = sample;
      this.#next = (this.#next + 1) % this.#capacity;
    }
  }

  /** Every sample was answered after exactly this time. O(n). */
  isOnly(rttMs: number): boolean {
    return this.#ring.every((sample) => sample.state === 'answered' && sample.rttMs === rttMs);
  }

  clear(): void {
    this.#ring.length = 0;
    this.#next = 0;
  }

  /** O(n log n) for the median, n = capacity. */
  summarize(nowMs: number): WindowSummary {
    let lost = 0;
    let sum = 0;
    const rtts: number[] = [];
    for (const sample of this.#ring) {
      if (sample.state === 'answered') {
        rtts.push(sample.rttMs);
        sum += sample.rttMs;
      } else if (isLost(sample, nowMs)) lost += 1;
    }
    const samples = rtts.length + lost;
    if (rtts.length === 0) return { samples, lost, loss: samples === 0 ? null : 1, rttMs: null, jitterMs: null };
    rtts.sort((a, b) => a - b);
    const middle = rtts.length >> 1;
    const median = rtts.length % 2 === 1 ? (rtts[middle] ?? 0) : ((rtts[middle - 1] ?? 0) + (rtts[middle] ?? 0)) / 2;
    const mean = sum / rtts.length;
    let squares = 0;
    for (const rtt of rtts) squares += (rtt - mean) ** 2;
    return { samples, lost, loss: lost / samples, rttMs: median, jitterMs: Math.sqrt(squares / rtts.length) };
  }

  /** Lost samples alone, without sorting: O(n). */
  lostCount(nowMs: number): number {
    let lost = 0;
    for (const sample of this.#ring) if (isLost(sample, nowMs)) lost += 1;
    return lost;
  }

  #find(id: number): Sample | undefined {
    // Answers nearly always belong to one of the newest samples: look backwards from the write position.
    const n = this.#ring.length;
    for (let back = 1; back <= n; back += 1) {
      const sample = this.#ring[(this.#next - back + n) % n];
      if (sample?.id === id) return sample;
    }
    return undefined;
  }
}
