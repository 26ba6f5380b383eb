/**
 * How often our routes are put back when somebody keeps changing them: 10 times in 10 s, then once a minute. Two programs
 * that undo each other's work without end would be worse than either.
 */

const BURST = 10;
const BURST_SPAN_MS = 10_000;
const SLOW_MS = 60_000;

export class RepairLimit {
  #repairs: number[] = [];
  #slow = false;

  /** @returns 0 = now; else how long to wait, ms */
  waitMs(nowMs: number): number {
    const last = this.#repairs.at(-1);
    if (last === undefined) return 0;
    if (this.#slow) {
      if (nowMs - last >= SLOW_MS) return 0;
      return last + SLOW_MS - nowMs;
    }
    return 0;
  }

  repaired(nowMs: number): void {
    // A quiet minute after the last repair ends the quarrel.
    const last = this.#repairs.at(-1);
    if (this.#slow && last !== undefined && nowMs - last >= 2 * SLOW_MS) this.#slow = false;
    this.#repairs = [...this.#repairs.filter((t) => nowMs - t < BURST_SPAN_MS), nowMs];
    if (this.#repairs.length >= BURST) this.#slow = true;
  }

  /** Somebody fights us: repairs are rationed. */
  rationed(nowMs: number): boolean {
    const last = this.#repairs.at(-1);
    return this.#slow && last !== undefined && nowMs - last < 2 * SLOW_MS;
  }
}
