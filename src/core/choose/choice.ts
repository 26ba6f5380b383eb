/**
 * The choice of one family: which uplink holds its default route, since when and why. Asks the selector, remembers the
 * answer and tells of switches; the engine says when to choose and carries the consequences to the kernel.
 */

import type { KernelState } from '../kernel.js';
import type { HistoryRecord, SavedState } from '../messages.js';
import { type Admin, type Family, type Reason, reasonText } from '../model.js';
import type { Path } from '../paths/path.js';
import { mainDefaults } from '../plan/diff.js';
import { recordOf } from '../show/records.js';
import { drillWeights } from '../traffic/drill-scene.js';
import { type Candidate, selectSharing, selectUplink, tiersOf } from './selector.js';

/** All uplinks silent within this span of each other: the fault is probably on our side. */
const TOGETHER_MS = 5_000;
/** At start the verdicts are waited for so long: the first one in is not always that of the best uplink. */
const START_PATIENCE_MS = 1_500;

/** Its part of the new connections is its weight among those of all that share. */
export interface Share {
  readonly uplink: string;
  readonly weight: number;
}

/** What is ordered and known beside the paths' own state. */
export interface ChoiceOrders {
  adminOf(uplink: string): Admin;
  /** why it is disabled although nobody said so; null = by order, or it is not disabled */
  closedOf(uplink: string): Reason | null;
  /** the backup is being tried */
  readonly drill: { readonly uplink: string; readonly traffic: 'some' | 'all' } | null;
}

export class FamilyChoice {
  readonly family: Family;
  active: string | null = null;
  reason: Reason = 'starting';
  /** those that share new connections, the active one among them */
  sharing: readonly Share[] = [];
  sinceMs: number;
  #bornMs: number;
  #localTold = false;
  /** the first place in main has been ours since this start */
  #taken = false;
  /** shares for the sake of a drill alone */
  #tried: string | null = null;

  constructor(family: Family, nowMs: number) {
    this.family = family;
    this.sinceMs = nowMs;
    this.#bornMs = nowMs;
  }

  begin(nowMs: number): void {
    this.sinceMs = nowMs;
    this.#bornMs = nowMs;
  }

  /**
   * At start the machine forwards somehow: that is our choice until the first verdicts are in.
   * @param ownProtocol routes with this protocol are ours, of an earlier run
   * @returns the path found, or null
   */
  adopt(
    state: KernelState,
    paths: readonly Path[],
    ownProtocol: number,
    former: SavedState['active'][Family] | undefined,
    nowMs: number,
    nowWallMs: number,
  ): HistoryRecord | null {
    const [route] = mainDefaults(state, this.family).toSorted((a, b) => a.metric - b.metric);
    if (route === undefined) return null;
    const ways = route.nexthops.flatMap((hop) => {
      const path = paths.find((p) => p.isBehind(hop));
      return path === undefined ? [] : [{ path, weight: hop.weight ?? 1 }];
    });
    const [first] = ways.toSorted((a, b) => paths.indexOf(a.path) - paths.indexOf(b.path));
    if (first === undefined) return null;
    // Of several that share, the one that led before leads on: who follows it need not move.
    const path = ways.find((w) => w.path.uplink.name === former?.uplink)?.path ?? first.path;
    const ours = route.protocol === ownProtocol;
    this.active = path.uplink.name;
    if (ours) this.sharing = ways.map((w) => ({ uplink: w.path.uplink.name, weight: w.weight }));
    // Ours is kept in force without a break; somebody else's stays untouched until there is a verdict.
    this.reason = ours ? 'starting' : 'adopted';
    if (ours && former?.uplink === path.uplink.name) {
      this.sinceMs = nowMs - Math.max(0, nowWallMs - former.sinceWallMs);
      // What was only found then is ours by now.
      this.reason = former.reason === 'adopted' ? 'starting' : former.reason;
    }
    return recordOf(
      'started',
      'info',
      `IPv${this.family} goes by ${this.active}: ${ours ? 'our own route of an earlier run' : 'found so'}`,
      path,
    );
  }

  /** Whether the first place in main is ours to fill: not while an adopted foreign route waits for its first verdict. */
  holdsFirstPlace(paths: readonly Path[]): boolean {
    if (this.active === null) return false;
    const path = paths.find((p) => p.uplink.name === this.active);
    // Once taken it is kept: a reload that asks the path anew gives it back to nobody.
    if (this.reason !== 'adopted' || (path !== undefined && path.verdict.health !== 'unknown')) this.#taken = true;
    return this.#taken;
  }

  /** Chooses anew. @returns what is to be told; `active` has changed when one of the records is a switch from another one */
  choose(paths: readonly Path[], orders: ChoiceOrders, state: KernelState, nowMs: number): HistoryRecord[] {
    const records: HistoryRecord[] = [];
    const tiers = tiersOf(paths.map((p) => p.uplink.tier));
    const candidates = paths.map((p, i) => candidateOf(p, tiers[i] ?? i, orders, nowMs));
    const hasDefault = mainDefaults(state, this.family).length > 0;
    const choice = selectUplink(candidates, this.active, hasDefault, nowMs - this.#bornMs < START_PATIENCE_MS);
    const local = this.#localFault(
      paths.filter((p) => orders.adminOf(p.uplink.name) !== 'disabled'),
      nowMs,
    );
    if (local !== null) records.push(local);
    if (choice.uplink === null) return records;
    if (choice.uplink !== this.active) {
      const drilled = choice.reason === 'forced' && choice.uplink === orders.drill?.uplink;
      records.push(this.#switchTo(choice.uplink, drilled ? 'drill' : choice.reason, paths, nowMs));
      this.#share(candidates, orders, paths);
      return records;
    }
    const shared = this.#share(candidates, orders, paths);
    if (shared !== null) records.push(shared);
    const stuck = choice.reason === 'no-choice';
    if (stuck && this.reason !== 'no-choice') {
      const path = paths.find((p) => p.uplink.name === this.active) ?? null;
      records.push(recordOf('switch', 'error', `no uplink works: IPv${this.family} stays on ${this.active}`, path));
    }
    // Why it came to this uplink stays said while it holds; being stuck, forced or freed again is news, and so is the first verdict.
    const passing = ['starting', 'no-choice', 'forced', 'drill'].includes(this.reason);
    const drilled = choice.reason === 'forced' && choice.uplink === orders.drill?.uplink;
    if (stuck || passing || choice.reason === 'forced') this.reason = drilled ? 'drill' : choice.reason;
    return records;
  }

  /** Finds anew who shares. @returns what is to be told when it changed without a switch */
  #share(candidates: readonly Candidate[], { drill }: ChoiceOrders, paths: readonly Path[]): HistoryRecord | null {
    if (this.active === null) return null;
    const before = this.sharing.map((s) => s.uplink).filter((name) => name !== this.#tried);
    const names = selectSharing(candidates, this.active, before);
    const weightOf = (uplink: string): number => paths.find((p) => p.uplink.name === uplink)?.uplink.weight ?? 1;
    const tried =
      drill?.traffic === 'some' && !names.includes(drill.uplink) ? candidates.find((c) => c.uplink === drill.uplink) : null;
    const members = names.map((uplink) => ({ uplink, weight: names.length === 1 ? 1 : weightOf(uplink) }));
    const joins = tried?.routable === true && tried.joins && tried.admin === 'auto';
    const drilled = joins || this.#tried !== null;
    this.#tried = joins ? tried.uplink : null;
    this.sharing = joins ? drillWeights(members, tried.uplink) : members;
    // One that led a drill of everything is no member of what comes after it.
    const tierOf = (uplink: string | null): number | undefined => candidates.find((c) => c.uplink === uplink)?.tier;
    const drilledBefore = drilled || before.some((name) => tierOf(name) !== tierOf(this.active));
    const same = names.length === before.length && names.every((name) => before.includes(name));
    // What a drill does is told by the drill, and a first choice is told as such.
    if (same || drilledBefore || before.length === 0) return null;
    const all = this.sharing.reduce((sum, s) => sum + s.weight, 0);
    const text =
      names.length === 1
        ? `IPv${this.family} goes by ${this.active} alone now`
        : `IPv${this.family} is shared by ${this.sharing.map((s) => `${s.uplink} (${s.weight} of ${all})`).join(', ')}`;
    return { ...recordOf('share', names.length < before.length ? 'warning' : 'notice', text), family: this.family };
  }

  #switchTo(to: string, reason: Reason, paths: readonly Path[], nowMs: number): HistoryRecord {
    const from = this.active;
    const left = paths.find((p) => p.uplink.name === from);
    const durationMs = from === null ? null : nowMs - this.sinceMs;
    this.active = to;
    this.reason = reason;
    this.sinceMs = nowMs;
    const silentSinceMs = left?.detector.silentSinceMs ?? null;
    const ground = this.#groundOf(to, reason, left, paths);
    const silentMs = silentSinceMs === null ? null : Math.round(nowMs - silentSinceMs);
    return {
      ...recordOf('switch', 'warning', '', null, { silentMs, ground }),
      severity: reason === 'preferred' || from === null ? 'notice' : 'warning',
      uplink: to,
      family: this.family,
      from,
      to,
      reason,
      durationMs,
      text:
        from === null
          ? `IPv${this.family} goes by ${to}`
          : `IPv${this.family} moves from ${from} to ${to}: ${reasonText[reason]}${ground === null ? '' : ` (${ground})`}`,
    };
  }

  /** What was learned that made it move just now; null where the file or somebody's word decided. */
  #groundOf(to: string, reason: Reason, left: Path | undefined, paths: readonly Path[]): string | null {
    if (reason === 'preferred') return paths.find((p) => p.uplink.name === to)?.holdGround() ?? null;
    if (reason === 'forced' || reason === 'drill' || left === undefined || left.linkFault !== null) return null;
    return left.verdict.reason === reason ? left.patienceGround() : null;
  }

  /** Every watched path fell silent at nearly the same time: that is hardly every provider's fault. */
  #localFault(watched: readonly Path[], nowMs: number): HistoryRecord | null {
    // One whose link has just come back has not been asked yet.
    const silent = watched.filter(
      (p) => p.verdict.health === 'down' && p.linkFault === null && p.detector.silentSinceMs !== null,
    );
    if (silent.length < watched.length || watched.length < 2) {
      if (watched.some((p) => p.good)) this.#localTold = false;
      return null;
    }
    const since = silent.map((p) => p.detector.silentSinceMs ?? nowMs);
    if (this.#localTold || Math.max(...since) - Math.min(...since) > TOGETHER_MS) return null;
    this.#localTold = true;
    return {
      ...recordOf(
        'local',
        'error',
        'every uplink fell silent at the same time: look at this machine first (LAN port, switch, firewall), or at a target they share',
      ),
      family: this.family,
      reason: 'local-fault',
    };
  }
}

function candidateOf(path: Path, tier: number, { adminOf, closedOf, drill }: ChoiceOrders, nowMs: number): Candidate {
  const name = path.uplink.name;
  const admin = adminOf(name);
  return {
    uplink: name,
    tier,
    admin: drill?.traffic === 'all' && drill.uplink === name && admin === 'auto' ? 'forced' : admin,
    closed: closedOf(name),
    health: path.verdict.health,
    reason: path.verdict.reason,
    yields: path.yields,
    held: path.held(nowMs),
    doubtful: path.doubtful,
    routable: path.connected && nowMs >= path.refusedUntilMs,
    // ip6_route_multipath_add refuses hops without a gateway.
    joins: path.family === 4 || path.gateway !== null,
    likelyBackInMs: () => (path.uplink.failAfterMs === null ? path.silences.likelyLeftMs(nowMs) : null),
  };
}
