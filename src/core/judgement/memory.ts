/**
 * What is remembered of one uplink: its last silences, each with the good time before it. They fade as others
 * follow, the more the more alike. Says nothing about what follows from them.
 */
import { nearness } from './life-table.js';
import { defaultTuning, type Tuning } from './tuning.js';

/** What fell silent: the link itself, the next router, what lies beyond it, or only a share of the packets. */
export type SilenceCause = 'carrier' | 'gateway' | 'upstream' | 'loss';

export const SILENCE_CAUSES: readonly SilenceCause[] = ['carrier', 'gateway', 'upstream', 'loss'];

/** So many silences are remembered; then the one that weighs least falls out. */
export const REMEMBERED = 128;

export interface Episode {
  /** good time before the silence, s; null where nobody watched a part of it */
  readonly gapS: number | null;
  /** length of the silence, s */
  readonly silenceS: number;
  /** false: it lasted at least so long, and then nobody watched */
  readonly ended: boolean;
  readonly cause: SilenceCause;
  /** share of the traffic that was lost, in (0, 1] */
  readonly severity: number;
}

/** An episode with what preceded it: its circumstances, which a forecast compares with those of the moment. */
export interface Remembered extends Episode {
  /** the silence before `gapS`, s, and the good time before that; null = not known */
  readonly formerSilenceS: number | null;
  readonly formerGapS: number | null;
  /** in (0, 1]: 1 when it is new */
  readonly weight: number;
}

export class Memory {
  #episodes: readonly Remembered[];
  readonly #tuning: Tuning;

  constructor(episodes: readonly Remembered[] = [], tuning: Tuning = defaultTuning) {
    this.#tuning = tuning;
    this.#episodes = episodes.slice(-REMEMBERED);
  }

  /** Oldest first. */
  get episodes(): readonly Remembered[] {
    return this.#episodes;
  }

  /** O(episodes). */
  add(episode: Episode): void {
    const former = episode.gapS === null ? undefined : this.#episodes.at(-1);
    const added: Remembered = {
      ...episode,
      formerSilenceS: former?.silenceS ?? null,
      formerGapS: former?.gapS ?? null,
      weight: 1,
    };
    const { fade, fadeUnlike } = this.#tuning;
    const faded = this.#episodes.map((old) => {
      const share = fade * Math.max(fadeUnlike, likeness(old, added));
      return { ...old, weight: rounded(old.weight * (1 - share)) };
    });
    if (faded.length >= REMEMBERED) {
      const least = faded.reduce((index, { weight }, i) => (weight < (faded[index]?.weight ?? 1) ? i : index), 0);
      faded.splice(least, 1);
    }
    this.#episodes = [...faded, added];
  }
}

/** In how like circumstances two silences began, in [0, 1]. */
function likeness(a: Remembered, b: Remembered): number {
  return a.cause === b.cause ? nearness(a.gapS, b.gapS) * nearness(a.formerSilenceS, b.formerSilenceS) : 0;
}

/** Short in JSON, and the same after a restart. Never 0. */
function rounded(weight: number): number {
  return Math.max(1e-5, Math.round(weight * 1e5) / 1e5);
}
