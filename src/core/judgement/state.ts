/** What outlives the process of a judgement, as JSON of a few KB, and back. What does not look right is forgotten, never fatal. */
import { type Episode, Memory, SILENCE_CAUSES } from './memory.js';
import type { Trust } from './trust.js';

/** One silence: good time before it (null = unknown), length, both ms; 1 where its end was seen; cause; severity. */
export type SavedEpisode = readonly [number | null, number, 0 | 1, number, number];

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
    ({ gapS, silenceS, ended, cause, severity }): SavedEpisode => [
      gapS === null ? null : Math.round(1000 * gapS),
      Math.round(1000 * silenceS),
      ended ? 1 : 0,
      SILENCE_CAUSES.indexOf(cause),
      severity,
    ],
  );
  return { version: 1, episodes, behindS, excessS: trust.excessS, believed: trust.believed };
}

export function memoryOf(state: JudgementState | null): Memory {
  if (state === null) return new Memory();
  return new Memory(
    state.episodes.flatMap(([gapMs, silenceMs, ended, causeIndex, severity]): Episode[] => {
      const cause = SILENCE_CAUSES[causeIndex];
      if (cause === undefined) return [];
      const gapS = gapMs === null ? null : gapMs / 1000;
      return [{ gapS, silenceS: silenceMs / 1000, ended: ended === 1, cause, severity }];
    }),
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
  if (!Array.isArray(value) || value.length !== 5) return false;
  const [gapMs, silenceMs, ended, cause, severity] = value as unknown[];
  if ((gapMs !== null && !isLength(gapMs)) || !isLength(silenceMs) || (ended !== 0 && ended !== 1)) return false;
  if (typeof cause !== 'number' || SILENCE_CAUSES[cause] === undefined) return false;
  return typeof severity === 'number' && severity > 0 && severity <= 1;
}
