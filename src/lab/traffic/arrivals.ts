/**
 * What a receiver of a byte stream notes: how much came, whether each byte is the one that belongs there, and when there was
 * silence. Pure: times come in.
 */
import type { Gap } from '../packet-log.js';

/** Prime, so that a block that is lost, doubled or moved never falls on the same bytes again. */
const PERIOD = 65_521;

const PATTERN = (() => {
  const bytes = Buffer.alloc(2 * PERIOD);
  let state = 1;
  for (let at = 0; at < PERIOD; at++) {
    // Numerical Recipes' generator: any fixed sequence without short repetitions serves.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[at] = state >>> 24;
  }
  bytes.copy(bytes, PERIOD, 0, PERIOD);
  return bytes;
})();

/** The most that {@link pattern} gives at once. */
export const PATTERN_BYTES = PERIOD;

/** The bytes that stand at `position` of every stream, at most {@link PATTERN_BYTES}. Not to be changed. */
export function pattern(position: number, length: number): Buffer {
  const from = position % PERIOD;
  return PATTERN.subarray(from, from + Math.min(length, PERIOD));
}

/** How many bytes of a block that arrived at `position` are not those that belong there. */
export function misplacedIn(block: Buffer, position: number): number {
  let misplaced = 0;
  for (let at = 0; at < block.length; at += PERIOD) {
    const part = block.subarray(at, at + PERIOD);
    const wanted = pattern(position + at, part.length);
    if (part.equals(wanted)) continue;
    for (let one = 0; one < part.length; one++) if (part[one] !== wanted[one]) misplaced++;
  }
  return misplaced;
}

/** The silences of a stream, over all of its connections. */
export class Silences {
  readonly #thresholdMs: number;
  readonly #gaps: Gap[] = [];
  #lastMs: number | null = null;
  #endedMs: number | null = null;

  constructor(thresholdMs: number) {
    this.#thresholdMs = thresholdMs;
  }

  arrived(atMs: number): void {
    const lastMs = this.#lastMs;
    if (lastMs !== null && atMs - lastMs > this.#thresholdMs) this.#gaps.push({ fromMs: lastMs, toMs: atMs });
    this.#lastMs = atMs;
  }

  /** From now on silence is none. */
  ended(atMs: number): void {
    this.#endedMs ??= atMs;
  }

  /** Something is expected again: silence counts, from the last arrival on. */
  expected(): void {
    this.#endedMs = null;
  }

  /** Every silence longer than the threshold, the one that lasts included. */
  gaps(nowMs: number): Gap[] {
    const untilMs = this.#endedMs ?? nowMs;
    const lasting = this.#lastMs !== null && untilMs - this.#lastMs > this.#thresholdMs;
    return lasting ? [...this.#gaps, { fromMs: this.#lastMs ?? untilMs, toMs: untilMs }] : [...this.#gaps];
  }
}
