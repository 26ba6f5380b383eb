/**
 * What the history holds, as programs read it: outages, switches, figures of each minute, single samples, and when anybody
 * watched at all. Shapes alone; knows neither SQL nor files. `…Ms` are Unix ms unless the name says a length.
 */
import type { HistoryEntry } from '../core/entry.js';
import type { Family, Reason } from '../core/model.js';

/** As core/judgement/memory.ts tells silences apart; `other` = what that does not know of (a portal, slow answers). */
export type OutageCause = 'carrier' | 'gateway' | 'upstream' | 'loss' | 'other';

/** Half-open: `fromMs` belongs to it, `toMs` does not. */
export interface TimeSpan {
  readonly fromMs: number;
  readonly toMs: number;
}

/** One uplink in one family did not work, or lost a share of the packets. */
export interface OutageRow {
  readonly uplink: string;
  readonly family: Family;
  /** of the first probe that went unanswered, or a moment before */
  readonly beganMs: number;
  /** null = it lasts, as far as is known; see {@link interrupted} */
  readonly endedMs: number | null;
  readonly cause: OutageCause;
  /** the daemon's own word for it; null = it was too short for a verdict */
  readonly reason: Reason | null;
  /** share of the packets that was lost, in (0, 1]; 1 = a silence. `null` = degraded, and nobody measured by how much */
  readonly severity: number | null;
  /** it held the default route of its family when it began */
  readonly active: boolean;
  /** it lasted at least until `endedMs`; then nobody watched any more */
  readonly interrupted: boolean;
  /** it ended before anything was done about it: the health of the uplink never changed */
  readonly borne: boolean;
}

/** The default route of a family moved. */
export interface SwitchRow {
  readonly atMs: number;
  readonly family: Family;
  /** null = none of ours held it before */
  readonly from: string | null;
  readonly to: string;
  readonly reason: Reason | null;
  /** length of the silence of `from` that was felt before the switch; 0 = it worked until then */
  readonly feltMs: number;
  /** why just then, in a sentence; null = not recorded */
  readonly ground: string | null;
}

/** Regular probes of one target in one minute. Confirm bursts are not among them: they are sent because something was lost. */
export interface MinuteRow {
  /** its beginning, a multiple of 60,000 */
  readonly minuteMs: number;
  readonly uplink: string;
  readonly family: Family;
  /** as the configuration writes it; `gateway` where the gateway is all that is watched */
  readonly target: string;
  /** answered or lost; those of which nobody can say are left out */
  readonly sent: number;
  readonly lost: number;
  /** of the answered ones, nearest rank, ms; null = none was answered */
  readonly p50Ms: number | null;
  readonly p90Ms: number | null;
  readonly p99Ms: number | null;
  readonly maxMs: number | null;
  /** mean difference between one answer's time and the next one's, ms; null = fewer than two */
  readonly jitterMs: number | null;
}

export interface SampleRow {
  /** when it was asked */
  readonly atMs: number;
  readonly uplink: string;
  readonly family: Family;
  readonly target: string;
  /** to 0.01 ms; null = no answer within 5 s */
  readonly rttMs: number | null;
}

/** In this span the health of this path was known: what no span covers, nobody knows. */
export interface WatchedRow extends TimeSpan {
  readonly uplink: string;
  readonly family: Family;
}

/** One that was ever known, with when it was watched first and last. */
export interface PathRow {
  readonly uplink: string;
  readonly family: Family;
  /** null = never watched */
  readonly watched: TimeSpan | null;
}

export type EventRow = HistoryEntry;
