/**
 * Outages out of probes: from the first that was lost to the first that was answered again. As judge.py beside the measured
 * traces does it, so that figures can be compared. Knows no file.
 */
import type { SilenceCause } from '../../core/judgement/memory.js';
import type { Link, Silence } from '../link.js';
import { SourceError } from './problem.js';
import { RttSteps } from './rtt-steps.js';

/** A later answer counts as lost. */
export const LATE_MS = 1_000;
/** Probes further apart than this: nobody probed, which is no outage. */
export const UNWATCHED_MS = 60_000;
/** The least length of an outage that was not seen to its end. */
const LEAST_MS = 200;
/** A recording with more of them is none: it would not fit into memory either. */
const MOST_SILENCES = 2_000_000;

/** Ordered silences; those that touch become one. One without length is kept: nobody feels it, but it makes a fixed rule's hold begin anew. */
export class Silences {
  readonly #silences: Silence[] = [];

  constructor(private readonly name: string) {}

  add(fromMs: number, toMs: number, cause: SilenceCause): void {
    const last = this.#silences.at(-1);
    if (last !== undefined && fromMs <= last.toMs) {
      if (toMs > last.toMs) {
        this.#silences[this.#silences.length - 1] = { ...last, toMs, cause: last.toMs > last.fromMs ? last.cause : cause };
      }
    } else if (toMs >= fromMs) {
      if (this.#silences.length >= MOST_SILENCES) {
        throw new SourceError(`${this.name}: more than ${MOST_SILENCES} outages`, 'Give a part of it.');
      }
      this.#silences.push({ fromMs, toMs, cause });
    }
  }

  get all(): readonly Silence[] {
    return this.#silences;
  }
}

export class ProbeCutter {
  readonly #silences: Silences;
  readonly #rtts = new RttSteps();
  #firstMs = Number.NaN;
  #formerMs = Number.NaN;
  #silentSinceMs = Number.NaN;
  #unwatchedMs = 0;
  /** probes so far */
  count = 0;

  constructor(private readonly name: string) {
    this.#silences = new Silences(name);
  }

  /**
   * @param atMs when it was sent; not before the former one
   * @param rttMs NaN = never answered
   */
  probe(atMs: number, rttMs: number): void {
    if (this.count === 0) this.#firstMs = atMs;
    else if (atMs - this.#formerMs > UNWATCHED_MS) this.#pause(atMs);
    this.count += 1;
    this.#formerMs = atMs;
    if (rttMs <= LATE_MS) {
      if (!Number.isNaN(this.#silentSinceMs)) this.#silences.add(this.#silentSinceMs, atMs, 'upstream');
      this.#silentSinceMs = Number.NaN;
      this.#rtts.add(atMs, rttMs);
    } else if (Number.isNaN(this.#silentSinceMs)) this.#silentSinceMs = atMs;
  }

  /** Nobody probes until this moment, however short that is. */
  pause(untilMs: number): void {
    if (this.count > 0 && untilMs > this.#formerMs) this.#pause(untilMs);
  }

  /** @param originWallMs Unix ms of 0 on the probes' axis */
  link(originWallMs: number | null): Link {
    if (this.#silentSinceMs < this.#formerMs) this.#silences.add(this.#silentSinceMs, this.#formerMs, 'upstream');
    this.#silentSinceMs = Number.NaN;
    return {
      name: this.name,
      originWallMs,
      span: { fromMs: this.#firstMs, toMs: this.#formerMs },
      silences: this.#silences.all,
      lossy: [],
      rtts: this.#rtts.steps,
      unwatchedMs: this.#unwatchedMs,
    };
  }

  #pause(untilMs: number): void {
    this.#unwatchedMs += untilMs - this.#formerMs;
    if (!Number.isNaN(this.#silentSinceMs)) {
      this.#silences.add(this.#silentSinceMs, Math.max(this.#formerMs, this.#silentSinceMs + LEAST_MS), 'upstream');
    }
    this.#silentSinceMs = Number.NaN;
    this.#formerMs = untilMs;
  }
}
