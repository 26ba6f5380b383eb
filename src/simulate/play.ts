/**
 * Plays recorded links to the engine, the very same code that the daemon runs, on a virtual clock, and tells what it decided and
 * what that cost. Knows neither files nor the command line.
 *
 * The bill is exact over the links' own times (docs/judgement.md). The engine settles before the links begin, and that is free. After
 * their end it runs on, with everything good, until it is back on the first uplink, and that is billed: whoever is on a backup in the
 * end has to go back. Where it has not when the longest hold is over (a link that is degraded in the end stays so), or was stopped
 * before, it is billed as if it went back where the links end.
 */
import { setImmediate } from 'node:timers/promises';
import type { Config, UplinkConfig } from '../core/config.js';
import { Account } from './account.js';
import { FarLine } from './far-line.js';
import { houseConfig } from './house-config.js';
import { type LayOut, layOut, shifted } from './lay-out.js';
import type { Link } from './link.js';
import type { Bill, Played, Prices } from './played.js';
import { World } from './world.js';

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
  /** false: nothing is skipped, each probe is played: the same result, slowly */
  readonly skips?: boolean;
}

const SETTLING_MS = 10_000;
/** Beyond the longest hold: until a recovery is noticed and confirmed. */
const NOTICED_MS = 3_600_000;
/** Of a link that does not know when it was. */
const SOME_WALL_MS = 1_767_225_600_000;
/** Others in this process are let run so often. */
const SLICE_MS = 40;
const EVENTS_AT_ONCE = 500;

/**
 * Yields to the event loop now and then. O(what happened): calm time costs nearly nothing.
 * @throws RangeError where links and uplinks do not fit
 */
export async function playLinks(request: PlayRequest, run: PlayRun = {}): Promise<Played> {
  const { config, links, seed } = request;
  const laid = layOut(
    config.uplinks.map((uplink) => uplink.name),
    links,
  );
  const show = new Show(request, laid, seed, run.skips ?? true);
  let sliceEndsMs = performance.now() + SLICE_MS;
  while (!show.step()) {
    if (performance.now() < sliceEndsMs) continue;
    run.progress?.(show.share);
    await setImmediate();
    if (run.signal?.aborted === true) return show.result(false);
    sliceEndsMs = performance.now() + SLICE_MS;
  }
  run.progress?.(1);
  return show.result(true);
}

/** One play: the world's clock is 0 where the engine begins to settle. */
class Show {
  readonly #request: PlayRequest;
  readonly #laid: LayOut;
  readonly #account: Account;
  readonly #world: World;
  /** on the axis, where the world's clock is 0 */
  readonly #originMs: number;
  readonly #endMs: number;
  /** until here it may take to be back */
  readonly #backByMs: number;
  /** what was to pay where the links end; null = it is not there yet */
  #billAtEnd: Bill | null = null;

  constructor(request: PlayRequest, laid: LayOut, seed: number, skips: boolean) {
    this.#request = request;
    this.#laid = laid;
    this.#originMs = laid.span.fromMs - SETTLING_MS;
    this.#endMs = laid.span.toMs - this.#originMs;
    this.#backByMs = this.#endMs + Math.max(...request.config.uplinks.map(longestHoldMs)) + NOTICED_MS;
    const lines = laid.links.map(
      (link, place) => new FarLine(link === null ? null : shifted(link, -this.#originMs), seed + 7919 * (place + 1)),
    );
    this.#account = new Account(lines, request.prices, SETTLING_MS);
    this.#world = new World({
      config: houseConfig(request.config),
      lines,
      account: this.#account,
      originWallMs: (laid.originWallMs ?? SOME_WALL_MS) + this.#originMs,
      settledMs: SETTLING_MS,
      seed,
      skips,
    });
  }

  get share(): number {
    return Math.max(0, Math.min(1, (this.#world.nowMs - SETTLING_MS) / (this.#endMs - SETTLING_MS)));
  }

  /** A part of it. @returns whether it is over */
  step(): boolean {
    if (this.#billAtEnd === null) {
      if (!this.#world.run(this.#endMs, EVENTS_AT_ONCE)) return false;
      this.#billAtEnd = this.#account.bill(this.#endMs);
      return this.#world.isBack;
    }
    // One event after the other, so that it ends with the one that leads back.
    for (let left = EVENTS_AT_ONCE; left > 0; left -= 1) {
      if (this.#world.run(this.#backByMs, 1) || this.#world.isBack || this.#staysAway) return true;
    }
    return false;
  }

  /** The first uplink is not good though nothing fails any more: no hold leads back. */
  get #staysAway(): boolean {
    if (this.#world.nowMs < this.#endMs + NOTICED_MS) return false;
    return this.#world.healths.findLast(({ uplink }) => uplink === 0)?.health !== 'up';
  }

  result(complete: boolean): Played {
    const { span } = this.#laid;
    const axis = (worldMs: number): number => worldMs + this.#originMs;
    const played = Math.max(SETTLING_MS, Math.min(this.#world.nowMs, this.#endMs));
    const { isBack, moves, shares } = this.#world;
    const bill = isBack ? this.#account.bill(Math.max(this.#world.nowMs, SETTLING_MS)) : this.#billWithWayBack(played);
    const counts = ({ atMs }: { readonly atMs: number }): boolean => isBack || atMs <= played;
    const shared = shares.some((sharing) => sharing.shares.filter((share) => share > 0).length > 1);
    return {
      name: this.#request.name,
      ...bill,
      span: { fromMs: span.fromMs, toMs: complete ? span.toMs : axis(played) },
      complete,
      beginsOn: shares[0]?.to ?? 0,
      moves: moves.filter(counts).map((move) => ({ ...move, atMs: axis(move.atMs) })),
      shares: shared ? shares.filter(counts).map((one) => ({ ...one, atMs: Math.max(span.fromMs, axis(one.atMs)) })) : [],
      healths: this.#world.healths.map((change) => ({ ...change, atMs: Math.max(span.fromMs, axis(change.atMs)) })),
      probes: this.#world.probes,
    };
  }

  #billWithWayBack(atMs: number): Bill {
    const bill = this.#billAtEnd ?? this.#account.bill(atMs);
    return { ...bill, switches: bill.switches + 1, cost: bill.cost + this.#request.prices.switchS };
  }
}

/** How long traffic is kept away from an uplink that is good again, at most. */
function longestHoldMs({ recoverAfterMs, holdDown, holdBounds }: UplinkConfig): number {
  return recoverAfterMs === null ? holdBounds.maxMs : Math.max(recoverAfterMs, holdDown.maxMs);
}
