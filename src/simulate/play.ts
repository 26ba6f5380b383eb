/**
 * Plays recorded links to the engine, the very same code that the daemon runs, on a virtual clock, and tells what it decided and
 * what that cost. Knows neither files nor the command line.
 */
import type { Config } from '../core/config.js';
import type { Link } from './link.js';
import type { Played, Prices } from './played.js';

export interface PlayRequest {
  /** of the configuration, for people */
  readonly name: string;
  readonly config: Config;
  /** by name where a link is named like an uplink, otherwise in order; an uplink without a link is ideal. At least one, no more than uplinks */
  readonly links: readonly Link[];
  readonly prices: Prices;
  /** same request, same result */
  readonly seed: number;
}

export interface PlayRun {
  /** gives the part done */
  readonly signal?: AbortSignal;
  /** the share done, 0..1, now and then */
  readonly progress?: (share: number) => void;
}

/** @throws RangeError where links and uplinks do not fit */
export async function playLinks(request: PlayRequest, run: PlayRun = {}): Promise<Played> {
  await Promise.resolve();
  throw new Error(`not played yet: ${request.name} ${run.signal?.aborted}`);
}
