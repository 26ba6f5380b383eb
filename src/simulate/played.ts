/** What came of one configuration on recorded links: the decisions the engine made, and what they cost. Shapes alone. */
import type { Reason } from '../core/model.js';
import type { Span } from './link.js';

/** What hurts how much: docs/judgement.md. All in seconds of felt outage. */
export interface Prices {
  /** one switch */
  readonly switchS: number;
  /** a second on each uplink, by its place in the order of preference; the first is 0 */
  readonly perSecond: readonly number[];
}

export interface Move {
  /** on the links' axis */
  readonly atMs: number;
  /** places in the order of preference */
  readonly from: number;
  readonly to: number;
  readonly reason: Reason;
  /** one sentence: why just then */
  readonly ground: string | null;
}

/** From here on traffic is divided so. */
export interface Sharing {
  /** on the links' axis */
  readonly atMs: number;
  /** the uplink that leads, by its place in the order of preference */
  readonly to: number;
  /** part of the traffic on each uplink, by places; adds up to 1 */
  readonly shares: readonly number[];
}

export interface Bill {
  /** seconds of outage on the uplink in use; a share of the packets lost counts as that share */
  readonly feltS: number;
  readonly switches: number;
  /** seconds on any uplink but the first */
  readonly onBackupS: number;
  /** felt + switches x price + time x price of each uplink, seconds */
  readonly cost: number;
}

export interface Played extends Bill {
  /** of the configuration, for people */
  readonly name: string;
  /** what was played: all of it, or up to where it was stopped */
  readonly span: Span;
  readonly complete: boolean;
  /** the uplink in use (that leads) where it begins, by its place in the order of preference */
  readonly beginsOn: number;
  readonly moves: readonly Move[];
  /** how traffic was divided, from the beginning on; empty = all of it always went by one uplink, as the moves say */
  readonly shares: readonly Sharing[];
  /** what each uplink's health was taken for; ordered, from the engine's records */
  readonly healths: readonly { readonly uplink: number; readonly atMs: number; readonly health: 'up' | 'degraded' | 'down' }[];
  /** probes that the engine asked for, bursts included */
  readonly probes: number;
}
