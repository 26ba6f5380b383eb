/**
 * Which uplink carries the default route of one family. A pure decision with its reason: no memory, no clock.
 */
import type { Admin, Health, Reason } from '../model.js';

/** One uplink as the choice sees it. The order of the list is the preference. */
export interface Candidate {
  readonly uplink: string;
  /** uplinks of one tier are preferred alike; a lower one is better */
  readonly tier: number;
  readonly admin: Admin;
  /** why it is disabled although nobody said so; null = by order */
  readonly closed: Reason | null;
  readonly health: Health;
  /** why it is in that health */
  readonly reason: Reason;
  /** traffic leaves it for a better one: it is degraded, and that has been borne long enough */
  readonly yields: boolean;
  /** the hold-down is over: traffic may come back to it while the present choice still works */
  readonly held: boolean;
  /** a confirm burst runs or a silence is being borne: nobody moves to it now */
  readonly doubtful: boolean;
  /** a route through it can be installed: link, address and gateway are there and the kernel has not just refused it */
  readonly routable: boolean;
  /** the kernel takes it as one of several next hops of a route */
  readonly joins: boolean;
  /**
   * It is silent, and half of its silences like this one are over within so long; null = not silent, or nothing is learned. Asked
   * only where all are silent: reckoning it takes time that a failover has not.
   */
  readonly likelyBackInMs: () => number | null;
}

/**
 * Where all are silent, going to one that is likely to answer first saves a second of noticing at best, and being wrong costs two
 * switches: its silences must be over this many times as soon.
 */
const SOONER = 8;
/** Below this the one in use is likely to be back itself before it matters. */
const LONG_SILENCE_MS = 10_000;

export interface Choice {
  /** null: nothing to choose from, leave the kernel as it is */
  readonly uplink: string | null;
  readonly reason: Reason;
}

/**
 * @param candidates in order of preference
 * @param active the present choice; null at start when the kernel's default belongs to none of ours
 * @param hasDefault whether the kernel has a default route at all: without one an unproven uplink is better than nothing
 * @param mayWait at start: what the kernel does already may go on until a more preferred uplink has its first verdict
 */
export function selectUplink(
  candidates: readonly Candidate[],
  active: string | null,
  hasDefault: boolean,
  mayWait = false,
): Choice {
  const forced = candidates.find((c) => c.admin === 'forced');
  if (forced !== undefined) return { uplink: forced.uplink, reason: 'forced' };

  const current = candidates.find((c) => c.uplink === active);
  const usable = candidates.filter((c) => c.admin !== 'disabled' && c.routable && !c.doubtful && c !== current);
  const good = usable.filter(isGood);

  if (current !== undefined && current.admin !== 'disabled' && current.routable && isGood(current)) {
    const better = good.find((c) => c.held && c.tier < current.tier);
    return better === undefined
      ? { uplink: current.uplink, reason: current.reason }
      : { uplink: better.uplink, reason: 'preferred' };
  }

  // The present choice is not good. One that has been proven over its hold-down goes before one that has only just come back.
  const next = good.find((c) => c.held) ?? good[0];
  if (current === undefined) {
    const awaited = candidates.findIndex((c) => c.health === 'unknown' && c.admin !== 'disabled');
    if (next !== undefined && hasDefault && mayWait && awaited >= 0 && awaited < rank(candidates, next)) {
      return { uplink: null, reason: 'starting' };
    }
    if (next !== undefined) return { uplink: next.uplink, reason: 'answers' };
    if (hasDefault && candidates.some((c) => c.health === 'unknown')) return { uplink: null, reason: 'starting' };
    const any = usable.find((c) => c.health === 'degraded') ?? usable.find((c) => c.health === 'unknown') ?? usable[0];
    return { uplink: hasDefault ? null : (any?.uplink ?? null), reason: any === undefined ? 'no-choice' : 'starting' };
  }

  const why: Reason = current.admin === 'disabled' ? (current.closed ?? 'disabled') : current.reason;
  if (current.admin !== 'disabled' && current.routable) {
    // No verdict yet: keep forwarding as the kernel does until there is one.
    if (current.health === 'unknown') return { uplink: current.uplink, reason: 'starting' };
    // Degraded still works: leave it only for one that is proven.
    if (current.health === 'degraded') {
      const proven = good.find((c) => c.held);
      return proven === undefined ? { uplink: current.uplink, reason: why } : { uplink: proven.uplink, reason: why };
    }
  }
  if (next !== undefined) return { uplink: next.uplink, reason: why };
  // One that worked until now is just being asked again: that is no lack of choice yet, and its answer is worth the wait.
  const asked = candidates.some((c) => c !== current && c.admin !== 'disabled' && c.routable && c.doubtful && isGood(c));
  const limping = usable.find((c) => c.health === 'degraded');
  if (limping !== undefined && !asked) return { uplink: limping.uplink, reason: why };
  const stuck = !asked && !isGood(current) && current.health !== 'unknown';
  const sooner = stuck ? likelySooner(current, candidates) : undefined;
  if (sooner !== undefined) return { uplink: sooner.uplink, reason: why };
  return { uplink: current.uplink, reason: stuck ? 'no-choice' : asked ? why : current.reason };
}

/**
 * Who carries new connections together with the chosen one: the good ones of its tier. Who shares already stays while a
 * silence is being borne, whoever joins must have proven itself.
 * @param sharing those that share now
 * @returns the chosen one alone where nothing is shared
 */
export function selectSharing(candidates: readonly Candidate[], chosen: string, sharing: readonly string[]): readonly string[] {
  const leader = candidates.find((c) => c.uplink === chosen);
  if (leader === undefined || !leader.joins || leader.admin !== 'auto' || candidates.some((c) => c.admin === 'forced'))
    return [chosen];
  const belongs = (c: Candidate): boolean => {
    if (c === leader) return true;
    if (c.tier !== leader.tier || c.admin !== 'auto' || !c.routable || !c.joins) return false;
    const stays = sharing.includes(c.uplink) && (isGood(c) || c.health === 'unknown');
    return stays || (isGood(c) && c.held && !c.doubtful);
  };
  return candidates.filter(belongs).map((c) => c.uplink);
}

/** A tier for each uplink, in the order of the file: neighbours that name the same tier share one. */
export function tiersOf(tiers: readonly (number | null)[]): number[] {
  let tier = 0;
  return tiers.map((own, i) => {
    if (i > 0 && (own === null || own !== tiers[i - 1])) tier += 1;
    return tier;
  });
}

function likelySooner(current: Candidate, candidates: readonly Candidate[]): Candidate | undefined {
  const staysMs = current.likelyBackInMs();
  if (staysMs === null || staysMs < LONG_SILENCE_MS) return undefined;
  const others = candidates.filter((c) => c !== current && c.admin !== 'disabled' && c.routable && c.health === 'down');
  const sooner = others.flatMap((candidate) => {
    const backMs = candidate.likelyBackInMs();
    return backMs !== null && SOONER * backMs <= staysMs ? [{ candidate, backMs }] : [];
  });
  return sooner.sort((a, b) => a.backMs - b.backMs)[0]?.candidate;
}

function isGood(candidate: Candidate): boolean {
  return candidate.health === 'up' || (candidate.health === 'degraded' && !candidate.yields);
}

function rank(candidates: readonly Candidate[], candidate: Candidate): number {
  return candidates.indexOf(candidate);
}
