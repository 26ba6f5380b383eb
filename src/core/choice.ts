/**
 * The choice of one family: which uplink holds its default route, since when and why. Asks the selector, remembers the
 * answer and tells of switches; the engine says when to choose and carries the consequences to the kernel.
 */
import { mainDefaults } from './diff.js';
import type { KernelState } from './kernel.js';
import type { HistoryRecord, SavedState } from './messages.js';
import { type Admin, type Family, type Reason, reasonText } from './model.js';
import { sameAddress } from './net.js';
import type { Path } from './path.js';
import { recordOf } from './records.js';
import { type Candidate, selectUplink } from './selector.js';

/** All uplinks silent within this span of each other: the fault is probably on our side. */
const TOGETHER_MS = 5_000;
/** At start the verdicts are waited for so long: the first one in is not always that of the best uplink. */
const START_PATIENCE_MS = 1_500;

export class FamilyChoice {
  readonly family: Family;
  active: string | null = null;
  reason: Reason = 'starting';
  sinceMs: number;
  #bornMs: number;
  #localTold = false;
  /** the first place in main has been ours since this start */
  #taken = false;

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
    const hop = route?.nexthops[0];
    if (route === undefined || hop === undefined || hop.gateway === null) return null;
    const { gateway } = hop;
    const path = paths.find((p) => p.ifindex === hop.ifindex && p.gateway !== null && sameAddress(p.gateway, gateway));
    if (path === undefined) return null;
    const ours = route.protocol === ownProtocol;
    this.active = path.uplink.name;
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
  choose(paths: readonly Path[], adminOf: (uplink: string) => Admin, state: KernelState, nowMs: number): HistoryRecord[] {
    const records: HistoryRecord[] = [];
    const candidates = paths.map((p) => candidateOf(p, adminOf(p.uplink.name), nowMs));
    const hasDefault = mainDefaults(state, this.family).length > 0;
    const choice = selectUplink(candidates, this.active, hasDefault, nowMs - this.#bornMs < START_PATIENCE_MS);
    const local = this.#localFault(
      paths.filter((p) => adminOf(p.uplink.name) !== 'disabled'),
      nowMs,
    );
    if (local !== null) records.push(local);
    if (choice.uplink === null) return records;
    if (choice.uplink !== this.active) {
      records.push(this.#switchTo(choice.uplink, choice.reason, paths, nowMs));
      return records;
    }
    const stuck = choice.reason === 'no-choice';
    if (stuck && this.reason !== 'no-choice') {
      const path = paths.find((p) => p.uplink.name === this.active) ?? null;
      records.push(recordOf('switch', 'error', `no uplink works: IPv${this.family} stays on ${this.active}`, path));
    }
    // Why it came to this uplink stays said while it holds; being stuck, forced or freed again is news, and so is the first verdict.
    const passing = this.reason === 'starting' || this.reason === 'no-choice' || this.reason === 'forced';
    if (stuck || passing || choice.reason === 'forced') this.reason = choice.reason;
    return records;
  }

  #switchTo(to: string, reason: Reason, paths: readonly Path[], nowMs: number): HistoryRecord {
    const from = this.active;
    const left = paths.find((p) => p.uplink.name === from);
    const durationMs = from === null ? null : nowMs - this.sinceMs;
    this.active = to;
    this.reason = reason;
    this.sinceMs = nowMs;
    const silentSinceMs = left?.detector.silentSinceMs ?? null;
    return {
      ...recordOf('switch', 'warning', '', null, { silentMs: silentSinceMs === null ? null : Math.round(nowMs - silentSinceMs) }),
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
          : `IPv${this.family} moves from ${from} to ${to}: ${reasonText[reason]}`,
    };
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

function candidateOf(path: Path, admin: Admin, nowMs: number): Candidate {
  return {
    uplink: path.uplink.name,
    admin,
    health: path.verdict.health,
    reason: path.verdict.reason,
    yields: path.uplink.degraded.policy === 'yield',
    held: path.held(nowMs),
    doubtful: path.doubtful,
    routable: path.connected && nowMs >= path.refusedUntilMs,
  };
}
