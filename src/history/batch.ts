/**
 * What the daemon hands to the history's thread, and what comes back. Plain data: it is cloned on its way. Knows neither SQL nor timers.
 */
import type { HistoryEntry } from '../core/entry.js';
import type { Family, Health, Reason } from '../core/model.js';

export interface PathName {
  readonly uplink: string;
  readonly family: Family;
}

export interface TargetName extends PathName {
  readonly label: string;
}

/** Samples of one target in one minute. */
export interface MinuteSamples {
  /** Unix minute */
  readonly minute: number;
  readonly target: TargetName;
  /** pairs: ms within the minute, RTT in ms or -1 where it was lost */
  readonly values: readonly number[];
}

/** How a path is now, beside the entries that tell how it came to that: what is in the file must agree with it. */
export interface Standing extends PathName {
  readonly health: Exclude<Health, 'unknown'>;
  readonly reason: Reason | null;
  /** Unix ms; of a silence its beginning, not the verdict's */
  readonly sinceMs: number;
  /** it has been watched without a break since then, Unix ms */
  readonly watchedSinceMs: number;
}

export interface HistoryLimits {
  /** age at which figures of minutes go, ms */
  readonly keepMs: number;
  /** age at which single samples go, ms */
  readonly rawMs: number;
  /** of the file with all that stands beside it */
  readonly maxBytes: number;
}

export interface HistoryBatch {
  readonly nowMs: number;
  /** in the order in which they came */
  readonly entries: readonly HistoryEntry[];
  readonly samples: readonly MinuteSamples[];
  readonly standing: readonly Standing[];
  readonly limits: HistoryLimits;
}

export type HistoryAsk =
  | { readonly kind: 'write'; readonly batch: HistoryBatch }
  /** the last words, if there are any; then the file is closed */
  | { readonly kind: 'close'; readonly batch: HistoryBatch | null };

export type HistoryAnswer =
  /** `told`: what a person should know, such as a damaged file put aside */
  | { readonly kind: 'written'; readonly bytes: number; readonly told: string | null }
  /**
   * `opened`: the same thread may try again; otherwise another one shall. `final`: it will fail again until somebody does something and the
   * daemon is started anew
   */
  | { readonly kind: 'failed'; readonly message: string; readonly opened: boolean; readonly final: boolean }
  /** The file must be set aside, by another thread: this one holds it open as long as it lives. `why` is a predicate. */
  | { readonly kind: 'damaged'; readonly why: string };

/** What the thread is born with. */
export interface HistoryBirth {
  readonly directory: string;
  /** what is wrong with the file that is there: it is set aside first; null = nothing that is known */
  readonly setAside: string | null;
}
