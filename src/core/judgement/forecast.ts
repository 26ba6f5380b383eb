/**
 * From what is remembered of an uplink to hazards: of the silence that has begun, of the good time that has begun, and of
 * those that any circumstances would bring. Circumstances are the cause, the good time before, and the silence before that.
 */
import { GAP_KINDS_S, type Forecast as KindHazards, SILENCE_KINDS_S, stepsWithKinds } from './game.js';
import { hazards, type Lifetime, nearness, stepEdges, stepOf } from './life-table.js';
import type { Remembered, SilenceCause } from './memory.js';
import type { Tuning } from './tuning.js';

export const silenceSteps = stepsWithKinds(stepEdges(0.25, 1.25, 2_000), SILENCE_KINDS_S);
export const goodSteps = stepsWithKinds(stepEdges(0.5, 1.4, 50_000), GAP_KINDS_S);

/**
 * Before anything is known a silence that has lasted long is expected to last long (a constant chance to end per step of a
 * constant ratio: Pareto's law), and so is a good time.
 */
const SILENCE_PRIOR = silenceSteps.edgesS.map((_, step) => (step === 0 ? 0.15 : 0.12));
const GOOD_PRIOR = goodSteps.edgesS.map((_, step) => (step === 0 ? 0.03 : 0.1));
interface Seen extends Lifetime {
  readonly episode: Remembered;
}

/** A length that an episode has, and the kinds of it. */
type Circumstance = readonly [(episode: Remembered) => number | null, readonly number[]];

export class Forecast {
  readonly #silences: readonly Seen[];
  readonly #goods: readonly Seen[];
  readonly #anySilence: readonly number[];
  readonly #anyGood: readonly number[];
  readonly #tuning: Tuning;

  /** O(episodes + steps). */
  constructor(remembered: readonly Remembered[], tuning: Tuning) {
    this.#tuning = tuning;
    this.#silences = remembered.map((episode) => ({
      episode,
      step: stepOf(silenceSteps.edgesS, episode.silenceS),
      ended: episode.ended,
      weight: episode.weight,
    }));
    this.#goods = remembered.flatMap((episode) =>
      episode.gapS === null
        ? []
        : [{ episode, step: stepOf(goodSteps.edgesS, episode.gapS), ended: true, weight: episode.weight }],
    );
    this.#anySilence = hazards(this.#silences, SILENCE_PRIOR, tuning.priorWeight);
    this.#anyGood = hazards(this.#goods, GOOD_PRIOR, tuning.priorWeight);
  }

  /**
   * Hazards of a silence after so long a good time, and such a silence before it. `cause` null: whatever the cause. From the
   * general to the particular: all silences, those of the cause, those after as long a good time, those with such a silence
   * before; each corrects what the one before it says by as much as it has seen.
   */
  silence(gapS: number | null, formerSilenceS: number | null, cause: SilenceCause | null): readonly number[] {
    const { generalWeight } = this.#tuning;
    const caused = cause === null ? this.#silences : this.#silences.filter((seen) => seen.episode.cause === cause);
    const any = cause === null ? this.#anySilence : hazards(caused, this.#anySilence, generalWeight);
    const after = caused.map((seen) => ({ ...seen, weight: seen.weight * nearness(seen.episode.gapS, gapS) }));
    const both = after.map((seen) => ({ ...seen, weight: seen.weight * nearness(seen.episode.formerSilenceS, formerSilenceS) }));
    return hazards(both, hazards(after, any, generalWeight), generalWeight);
  }

  /** Hazards of a good time after such a silence, and so long a good time before it. */
  good(silenceS: number | null, formerGapS: number | null): readonly number[] {
    const { generalWeight } = this.#tuning;
    const after = this.#goods.map((seen) => ({
      ...seen,
      weight: seen.weight * nearness(seen.episode.formerSilenceS, silenceS),
    }));
    const both = after.map((seen) => ({ ...seen, weight: seen.weight * nearness(seen.episode.formerGapS, formerGapS) }));
    return hazards(both, hazards(after, this.#anyGood, generalWeight), generalWeight);
  }

  /** O(kinds x (episodes + steps)): what `silence` and `good` say of each kind, with the parts that several share reckoned once. */
  kinds(): KindHazards {
    const silence = this.#narrowed(
      this.#silences,
      this.#anySilence,
      [(e) => e.gapS, GAP_KINDS_S],
      [(e) => e.formerSilenceS, SILENCE_KINDS_S],
    );
    const good = this.#narrowed(
      this.#goods,
      this.#anyGood,
      [(e) => e.formerSilenceS, SILENCE_KINDS_S],
      [(e) => e.formerGapS, GAP_KINDS_S],
    );
    return { silence: silence.flat(), good: GAP_KINDS_S.flatMap((_, gap) => good.map((ofSilence) => ofSilence[gap] ?? [])) };
  }

  /** Hazards for each kind of the first circumstance, and in these for each of the second. */
  #narrowed(seen: readonly Seen[], any: readonly number[], first: Circumstance, second: Circumstance): number[][][] {
    const { generalWeight } = this.#tuning;
    const near = ([of, kindsS]: Circumstance): Float64Array[] =>
      kindsS.map((kindS) => Float64Array.from(seen, ({ episode }) => nearness(of(episode), kindS)));
    const nearSecond = near(second);
    return near(first).map((nearFirst) => {
      const after = nearFirst.map((nearby, i) => (seen[i]?.weight ?? 0) * nearby);
      const general = hazards(seen, any, generalWeight, after);
      return nearSecond.map((nearby) => {
        const both = after.map((weight, i) => weight * (nearby[i] ?? 0));
        return hazards(seen, general, generalWeight, both);
      });
    });
  }
}
