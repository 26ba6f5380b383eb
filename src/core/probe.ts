/**
 * One question to one target through one uplink, and what came of it. src/probe/ asks; the engine judges.
 * Whether an answer is late is the engine's to say: a prober only reports what arrived and when.
 */
import type { TargetQuestion } from './config.js';
import type { Family, LossReason, PathKey } from './model.js';

/** Through which uplink a probe leaves, whatever the routing table says. */
export interface ProbePath {
  readonly key: PathKey;
  readonly family: Family;
  /** SO_MARK */
  readonly mark: number;
  /** SO_BINDTODEVICE where the uplink owns its interface; null in the one-armed case */
  readonly device: string | null;
  /** name of the interface: scope of link-local targets */
  readonly interface: string;
}

export interface ProbeAsk {
  /** unique while the process lives; ascending */
  readonly id: number;
  readonly path: ProbePath;
  readonly question: TargetQuestion;
  /** resolved address of the target (or of its server, for dns) */
  readonly address: string;
  /** so long after the ask nothing is expected any more: resources are given back. The engine's own deadline is far earlier */
  readonly giveUpMs: number;
  /** label of the target whose regular sample it is; null or absent = part of a burst, of the watch over a silence, or for the gateway */
  readonly sample?: string | null;
}

export type ProbeOutcome =
  /** The answer carried our token and came from the address asked. `duplicate`: a second answer to the same probe. */
  | {
      readonly kind: 'answered';
      readonly id: number;
      readonly rttMs: number;
      readonly duplicate: boolean;
      /** something worth telling that is no failure: `certificate expired 2026-01-01` */
      readonly note: string | null;
    }
  | { readonly kind: 'failed'; readonly id: number; readonly reason: LossReason; readonly detail: string };

export interface Prober {
  /** Sends at once. Never throws: every failure comes as an outcome, never before this call has returned. */
  ask(ask: ProbeAsk): void;
  /** The path's sockets are stale (mark, device or interface changed, link came back): close them; their probes end without an outcome. */
  forget(path: PathKey): void;
  /** Number of datagrams and connections read since the last call: the loop asks this to know whether answers were still waiting. */
  takeReadCount(): number;
  close(): void;
}
