/** What `backroute simulate` is asked for, as checked by its options. */

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
