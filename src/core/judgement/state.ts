/** What outlives the process of a judgement, as JSON of a few KB, and back. What does not look right is forgotten, never fatal. */
import { Memory, type Remembered, SILENCE_CAUSES } from './memory.js';
import type { Trust } from './trust.js';
import type { Tuning } from './tuning.js';

/**
 * One silence: good time before it (null = unknown), its length, the silence before that good time, and the good time before
 * that (null = unknown), all s; 1 where its end was seen; cause; severity; weight.
 */
export type SavedEpisode = readonly [number | null, number, number | null, number | null, 0 | 1, number, number, number];

export interface JudgementState {
  readonly version: 1;
  /** oldest first; the cause is its place among SILENCE_CAUSES */
  readonly episodes: readonly SavedEpisode[];
  /** see WorkFunction, s */
  readonly behindS: number;
  /** see Trust */
  readonly excessS: number;
  readonly believed: boolean;
}

export function stateOf(memory: Memory, behindS: number, trust: Trust): JudgementState {
  const episodes = memory.episodes.map(
    (episode): SavedEpisode => [
      episode.gapS,
      episode.silenceS,
      episode.formerSilenceS,
      episode.formerGapS,
      episode.ended ? 1 : 0,
      SILENCE_CAUSES.indexOf(episode.cause),
      episode.severity,
      episode.weight,
    ],
  );
  return { version: 1, episodes, behindS, excessS: trust.excessS, believed: trust.believed };
}

export function memoryOf(state: JudgementState | null, tuning: Tuning): Memory {
  if (state === null) return new Memory([], tuning);
  return new Memory(
    state.episodes.flatMap(([gapS, silenceS, formerSilenceS, formerGapS, ended, causeIndex, severity, weight]): Remembered[] => {
      const cause = SILENCE_CAUSES[causeIndex];
      if (cause === undefined) return [];
      return [{ gapS, silenceS, formerSilenceS, formerGapS, ended: ended === 1, cause, severity, weight }];
    }),
    tuning,
  );
}

/** @returns the state, or null where the value (read from disk) is none */
export function parseJudgementState(value: unknown): JudgementState | null {
  if (typeof value !== 'object' || value === null) return null;
  const { version, episodes, behindS, excessS, believed } = value as Partial<Record<keyof JudgementState, unknown>>;
  if (version !== 1 || !Array.isArray(episodes) || typeof believed !== 'boolean') return null;
  if (!isLength(behindS) || typeof excessS !== 'number' || !Number.isFinite(excessS)) return null;
  if (!episodes.every(isSavedEpisode)) return null;
  return { version, episodes, behindS, excessS, believed };
}

function isLength(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

function isSavedEpisode(value: unknown): value is SavedEpisode {
  if (!Array.isArray(value) || value.length !== 8) return false;
  const [gapS, silenceS, formerSilenceS, formerGapS, ended, cause, severity, weight] = value as unknown[];
  if (!isLength(silenceS) || (ended !== 0 && ended !== 1)) return false;
  if (![gapS, formerSilenceS, formerGapS].every((length) => length === null || isLength(length))) return false;
  if (typeof cause !== 'number' || SILENCE_CAUSES[cause] === undefined) return false;
  return isShare(severity) && isShare(weight);
}

function isShare(value: unknown): value is number {
  return typeof value === 'number' && value > 0 && value <= 1;
}
