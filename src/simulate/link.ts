/**
 * What one line really did, second by second: the truth that a simulation plays against the engine. Made from a list of
 * outages, a trace of probes or the recorded history; knows neither files nor the engine. All times in ms on one axis.
 */
import type { SilenceCause } from '../core/judgement/memory.js';

export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Nothing is answered and nothing gets through. */
export interface Silence extends Span {
  readonly cause: SilenceCause;
}

/** A part of the packets is lost, each for itself. */
export interface Lossy extends Span {
  /** in (0, 1) */
  readonly share: number;
}

/** The round trip takes so long from here on. */
export interface RttStep {
  readonly fromMs: number;
  readonly rttMs: number;
}

export interface Link {
  /** for people: the file's name, or the uplink's */
  readonly name: string;
  /** Unix ms of 0 on the axis; null = the source has no absolute time. Links that know theirs are laid side by side by it. */
  readonly originWallMs: number | null;
  /** what the source speaks of */
  readonly span: Span;
  /** a list of outages: what lies outside the span counts as good, and its 0 is its beginning. Left out = the span is all there is */
  readonly openEnded?: boolean;
  /** ordered, none touches another */
  readonly silences: readonly Silence[];
  /** ordered, none touches another; a silence wins over it */
  readonly lossy: readonly Lossy[];
  /** ordered; empty = {@link USUAL_RTT_MS} throughout */
  readonly rtts: readonly RttStep[];
  /** within the span, but nobody watched: taken as good, and told */
  readonly unwatchedMs: number;
}

export const USUAL_RTT_MS = 20;
