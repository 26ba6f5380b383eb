/**
 * What every kind of probe is given to work with: sockets, clock, expiry, and the way to report.
 * The prober makes it; a kind of probe knows nothing else of the prober or of the other kinds.
 */
import type { PathKey } from '../core/model.js';
import type { ProbeAsk, ProbeOutcome } from '../core/probe.js';
import type { Failure } from './errors.js';
import type { Expiry } from './expiry.js';
import type { ProbeSockets } from './sockets.js';

/** As much of an ask as an outcome needs. */
export type AskedBy = Pick<ProbeAsk, 'id' | 'path'>;

export interface ProbeHost {
  readonly sockets: ProbeSockets;
  readonly expiry: Expiry;
  /** performance.now(), or a test's clock */
  readonly nowMs: () => number;
  /** Never to be called while ask() runs. */
  readonly report: (outcome: ProbeOutcome, nowMs: number) => void;
  /** Reports as soon as ask() has returned. */
  readonly failLater: (ask: AskedBy, failure: Failure) => void;
  /** A datagram or a connection's event was read. */
  readonly countRead: () => void;
}

/** One kind of probe. */
export interface ProbeKind {
  /** Never throws; reports only after it has returned. */
  ask(ask: ProbeAsk): void;
  /** Ends the path's probes without an outcome and closes its sockets. */
  forget(path: PathKey): void;
  close(): void;
}
