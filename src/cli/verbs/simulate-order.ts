/** What `backroute simulate` is asked for, as checked by its options. */
import { duration } from '../../config/units.js';
import { ExitError } from '../exit-error.js';

/** What is played: one file of a link. */
export interface SourceOption {
  /** `-` = standard input */
  readonly file: string;
  /** of the uplink, where it was given */
  readonly uplink: string | null;
}

export interface SimulateOptions {
  /** in the order given, traces and lists of outages in one row */
  readonly sources: readonly SourceOption[];
  /** null = the sources are played */
  readonly history: { readonly since: string | null } | null;
  /** empty = nothing set, or for the history the daemon's own */
  readonly configs: readonly string[];
  /** null = as configured */
  readonly switchCostMs: number | null;
  readonly backupCost: number | null;
  readonly seed: number;
  readonly json: boolean;
  readonly plot: string | null;
}

/** What the program hands to the verb. */
export interface SimulateRun {
  readonly signal: AbortSignal;
  /** writes progress; null = nobody looks at it */
  readonly progress: ((text: string) => void) | null;
}

const DAY_MS = 86_400_000;

/** Unix ms of what `--since` says. */
export function sinceMs(text: string, nowMs: number): number {
  const length = duration({ min: 1, max: 100_000 * DAY_MS, why: 'That is before everything.' })(text);
  if (length.ok) return nowMs - length.value;
  const date = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2}))?$/.exec(text);
  if (date !== null) {
    const [year, month, day, hour, minute] = date.slice(1).map((part) => Number(part ?? 0));
    const at = new Date(year ?? 0, (month ?? 1) - 1, day, hour, minute);
    if (at.getMonth() === (month ?? 0) - 1 && at.getDate() === day) return at.getTime();
  }
  throw new ExitError(
    1,
    `--since: '${text}' is neither a length nor a date`,
    'Such as 30d, 12h, 2026-03-01 or 2026-03-01T18:30.',
  );
}
