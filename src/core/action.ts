/**
 * What follows a decision, as the engine asks for it: bring a service to what an uplink wants, run the hooks, tell people.
 * The engine decides whether and when; src/action/ carries it out beside the loop and reports how it went. Nothing here waits.
 */

import type { Family, Health, Reason } from './model.js';
import type { FollowerConfig, Topic } from './services.js';

/** Bring one follower to what this uplink wants. Idempotent: where it already stands so, nothing is touched but that is verified. */
export interface FollowAsk {
  /** unique while the process lives */
  readonly run: number;
  readonly follower: FollowerConfig;
  readonly uplink: string;
}

export interface FollowOutcome {
  readonly run: number;
  /** it stands as wanted, and that was read back */
  readonly ok: boolean;
  /** something had to be changed */
  readonly changed: boolean;
  /** after a failure the former state stands again; null where nothing had been changed */
  readonly rolledBack: boolean | null;
  /** ended early because `cancel` was called */
  readonly superseded: boolean;
  /** one sentence for people: what was done, or what failed and why; no secrets */
  readonly text: string;
}

/** Something worth telling people, in plain words and in figures. */
export interface Notice {
  /** unique over restarts; becomes the Message-ID */
  readonly id: string;
  /** id of the first notice of the same outage: recovery answers failure */
  readonly thread: string;
  readonly wallMs: number;
  readonly topic: Topic;
  readonly severity: 'info' | 'notice' | 'warning' | 'error';
  readonly uplink: string | null;
  readonly family: Family | null;
  readonly from: string | null;
  readonly to: string | null;
  readonly reason: Reason | null;
  /** when the state told of began, Unix ms */
  readonly sinceWallMs: number;
  /** on recovery: how long the outage was */
  readonly outageMs: number | null;
  /** short, useful as a subject line, without the host's name */
  readonly subject: string;
  /** paragraphs of the message */
  readonly text: readonly string[];
  /** what is active now */
  readonly active: readonly { readonly family: Family; readonly uplink: string | null }[];
  /** the last minute of each path */
  readonly figures: readonly NoticeFigures[];
  /** more than one where flapping was folded */
  readonly folded: number;
}

export interface NoticeFigures {
  readonly uplink: string;
  readonly family: Family;
  readonly health: Health;
  /** share 0..1 */
  readonly loss: number | null;
  readonly rttMs: number | null;
}
