/**
 * What is remembered of one uplink: its last silences, each with the good time before it. The newest weigh most; the oldest
 * fall out. Says nothing about what follows from them.
 */

/** What fell silent: the link itself, the next router, what lies beyond it, or only a share of the packets. */
export type SilenceCause = 'carrier' | 'gateway' | 'upstream' | 'loss';

export const SILENCE_CAUSES: readonly SilenceCause[] = ['carrier', 'gateway', 'upstream', 'loss'];

/** So many silences are remembered: with REMEMBERED_SHARE the first that falls out weighs less than a tenth of the newest. */
export const REMEMBERED = 128;
/** What a silence weighs compared with the next one. */
const REMEMBERED_SHARE = 0.98;

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
  /** 1 for the newest */
  readonly weight: number;
}

export class Memory {
  #episodes: readonly Episode[];

  constructor(episodes: readonly Episode[] = []) {
    this.#episodes = episodes.slice(-REMEMBERED);
  }

  get episodes(): readonly Episode[] {
    return this.#episodes;
  }

  add(episode: Episode): void {
    this.#episodes = [...this.#episodes, episode].slice(-REMEMBERED);
  }

  /** With circumstances and weights, oldest first. */
  remembered(): Remembered[] {
    const count = this.#episodes.length;
    return this.#episodes.map((episode, index) => {
      const former = episode.gapS === null ? undefined : this.#episodes[index - 1];
      return {
        ...episode,
        formerSilenceS: former?.silenceS ?? null,
        formerGapS: former?.gapS ?? null,
        weight: REMEMBERED_SHARE ** (count - 1 - index),
      };
    });
  }
}
