/**
 * Keeps the kernel as planned: compares each snapshot with the plan, repairs drift at once but not without end, and
 * remembers what stood in our place. It decides nothing about uplinks. Longer than most: each step looks at what the one before it left.
 */
import type { KernelNumbers } from '../config.js';
import type { KernelOp, KernelState, Nexthop, OpResult, RouteState } from '../kernel.js';
import type { HistoryRecord, RestoreMemory } from '../messages.js';
import type { Family } from '../model.js';
import { nothingRemembered } from './cleanup.js';
import { type Difference, differ, mainDefaults, sameRoute } from './diff.js';
import { sameRule } from './kernel-model.js';
import { Ledger } from './ledger.js';
import { opKey, opText } from './op-key.js';
import { FIRST_METRIC, makePlan, type Plan, type PlanInput } from './plan.js';
import { protocolName } from './protocols.js';
import { RepairLimit } from './repair-limit.js';

/** Refused operations are tried again after this. */
const RETRY_MS = 1_000;
/** nft is a process, and perhaps not installed at all: it is tried ever more rarely, up to this. */
const NFT_RETRY_MAX_MS = 60_000;
/** Without any default route there is nothing to be careful of. */
const RETRY_WITHOUT_DEFAULT_MS = 50;

export interface KeeperPort {
  apply(ops: readonly KernelOp[]): void;
  record(record: HistoryRecord): void;
  /** what must outlive the process has changed */
  remembered(): void;
  /** call `reconcile` again then */
  wakeAt(atMs: number): void;
}

export class Keeper {
  readonly #port: KeeperPort;
  readonly #limit = new RepairLimit();
  readonly #ledger = new Ledger(opKey);
  #plan: Plan | null = null;
  #memory: RestoreMemory;
  /** refusals told, by operation: each is told once until it works */
  readonly #refused = new Map<string, string>();
  #retryAtMs = Number.NEGATIVE_INFINITY;
  /** the table that nft refused last; null = none */
  #nftRefused: { readonly fingerprint: string; readonly delayMs: number; readonly untilMs: number } | null = null;
  #rationTold = false;
  /** a repair waits for its ration */
  #deferred = false;

  constructor(memory: RestoreMemory, port: KeeperPort) {
    this.#memory = memory;
    this.#port = port;
  }

  /** The kernel as last read, with everything applied or handed out since. */
  get state(): KernelState | null {
    return this.#ledger.state;
  }

  get memory(): RestoreMemory {
    return this.#memory;
  }

  /** Everything remembered has been put back. */
  forgetMemory(): void {
    this.#memory = nothingRemembered(this.#memory.bootId);
  }

  /** What the kernel refuses to do, as sentences. */
  get refusals(): readonly string[] {
    return [...this.#refused.values()];
  }

  /** Whether our nftables table stands, or may stand soon: without it nobody marks connections. */
  get nftHolds(): boolean {
    return this.#nftRefused === null || (this.#ledger.known?.nft?.fingerprint ?? 'absent') !== 'absent';
  }

  /** Routes, rules or sysctls are handed out and nobody knows yet what became of them. */
  get applying(): boolean {
    return this.#ledger.pending.some((op) => op.op !== 'nft-table');
  }

  rationed(nowMs: number): boolean {
    return this.#limit.rationed(nowMs);
  }

  /** Takes a fresh snapshot in. Nothing is changed yet: `reconcile` does that, once the paths have looked at it too. */
  see(state: KernelState): void {
    if (this.#ledger.state === null) this.#firstLook(state);
    this.#ledger.read(state);
  }

  /**
   * Brings the kernel to the plan.
   * @param input what shall stand
   * @param numbers whose the objects are
   * @param seenAnew the snapshot is new: what differs from the last plan is somebody else's doing
   */
  reconcile(input: PlanInput, numbers: KernelNumbers, seenAnew: boolean, nowMs: number): void {
    const state = this.#ledger.state;
    if (state === null) return;
    const plan = makePlan(input, state);
    const difference = differ(state, plan, numbers);
    this.#forgetOldRefusals([...difference.ops, ...difference.nftOps]);
    const before = this.#plan;
    const nftOps = difference.nftOps.filter((op) => this.#mayTryNft(op, nowMs));
    if (difference.ops.length + nftOps.length === 0) {
      this.#plan = plan;
      return;
    }
    const looked = (seenAnew || this.#deferred) && before !== null;
    const drift = looked ? (this.#driftOf(state, before, plan, numbers) ?? this.#nftDrift(before, plan, nftOps)) : null;
    this.#deferred = false;
    if (drift !== null) {
      // A new plan is no quarrel: a switch does not wait for a ration.
      const waitMs = drift.missing || before === null || !samePlan(before, plan) ? 0 : this.#limit.waitMs(nowMs);
      if (waitMs > 0) {
        if (!this.#rationTold) this.#tellRation();
        this.#deferred = true;
        this.#port.wakeAt(nowMs + waitMs);
        return;
      }
      this.#limit.repaired(nowMs);
      if (!this.#limit.rationed(nowMs)) this.#rationTold = false;
      this.#port.record(drift.record);
    }
    // The kernel has just refused something: not again in the same breath, unless the plan asks for something new.
    if (this.#refused.size > 0 && nowMs < this.#retryAtMs && drift === null && before !== null && samePlan(before, plan)) {
      this.#port.wakeAt(this.#retryAtMs);
      return;
    }
    this.#plan = plan;
    this.#remember(difference);
    if (difference.ops.length > 0) this.#apply(difference.ops);
    if (nftOps.length > 0) this.#apply(nftOps);
  }

  /** @returns the routes that the kernel refused */
  applied(results: readonly OpResult[], nowMs: number): RouteState[] {
    this.#ledger.settled(results);
    const refusedRoutes: RouteState[] = [];
    for (const result of results) {
      const key = opKey(result.op);
      if (result.ok || isAlreadyTrue(result)) {
        if (result.op.op === 'nft-table') this.#nftRefused = null;
        if (this.#refused.delete(key)) {
          this.#tell('info', `the kernel accepts again: ${opText(result.op)}`, { operation: result.op.op });
        }
        continue;
      }
      const why = `${opText(result.op)}: ${result.errno ?? 'refused'}${result.message === null ? '' : ` (${result.message})`}`;
      if (!this.#refused.has(key))
        this.#tell('error', `the kernel refused ${why}`, { operation: result.op.op, errno: result.errno });
      this.#refused.set(key, why);
      if (result.op.op === 'nft-table') this.#nftFailed(result.op.fingerprint, nowMs);
      if (result.op.op === 'route-replace' || result.op.op === 'route-add') refusedRoutes.push(result.op.route);
    }
    if (results.some((r) => !r.ok && r.op.op !== 'nft-table')) {
      this.#retryAtMs = nowMs + (this.#lacksDefault() ? RETRY_WITHOUT_DEFAULT_MS : RETRY_MS);
      this.#port.wakeAt(this.#retryAtMs);
    }
    return refusedRoutes;
  }

  /** Operations not asked for any more leave the list of refusals. */
  forgetRefusals(): void {
    this.#refused.clear();
    this.#nftRefused = null;
  }

  /** Whether rule, table route and guard of a slot stand: only then may a probe leave. */
  steered(family: Family, table: number): boolean {
    const state = this.#ledger.state;
    const plan = this.#plan;
    if (state === null || plan === null) return false;
    const routes = plan.tables.filter((r) => r.family === family && r.table === table);
    const rule = plan.rules.find((r) => r.family === family && r.table === table);
    // Other rules look into this table too; a refusal of those is none of the probes'.
    const refused = routes.some((route) => this.#refused.has(opKey({ op: 'route-replace', route })));
    return (
      !refused &&
      rule !== undefined &&
      !this.#refused.has(opKey({ op: 'rule-add', rule })) &&
      routes.length === 2 &&
      routes.every((w) => state.routes.some((r) => sameRoute(r, w))) &&
      state.rules.some((r) => sameRule(r, rule))
    );
  }

  #mayTryNft(op: KernelOp, nowMs: number): boolean {
    const refused = this.#nftRefused;
    return refused === null || op.op !== 'nft-table' || op.fingerprint !== refused.fingerprint || nowMs >= refused.untilMs;
  }

  #nftFailed(fingerprint: string, nowMs: number): void {
    const former = this.#nftRefused;
    const delayMs = former?.fingerprint === fingerprint ? Math.min(NFT_RETRY_MAX_MS, 2 * former.delayMs) : RETRY_MS;
    this.#nftRefused = { fingerprint, delayMs, untilMs: nowMs + delayMs };
    this.#port.wakeAt(nowMs + delayMs);
  }

  /** A family that should have a default route has none at all. */
  #lacksDefault(): boolean {
    const state = this.state;
    return state !== null && this.#plan?.defaults.some((w) => mainDefaults(state, w.family).length === 0) === true;
  }

  /** What is not asked for any more is not refused any more. */
  #forgetOldRefusals(ops: readonly KernelOp[]): void {
    const asked = new Set([...ops, ...this.#ledger.pending].map(opKey));
    for (const key of this.#refused.keys()) if (!asked.has(key)) this.#refused.delete(key);
  }

  #firstLook(state: KernelState): void {
    // Only who comes while nothing of ours stands can say how things were before us: later ones find our own routes.
    if (this.#memory.hadDefault !== null) return;
    const families: Family[] = [4, 6];
    const hadDefault = families.filter((family) => mainDefaults(state, family).length > 0);
    this.#memory = { ...this.#memory, hadDefault };
    this.#port.remembered();
  }

  #remember(difference: Difference): void {
    let memory = this.#memory;
    for (const route of difference.displaced) {
      // A client that renews its lease puts a new route in the place of its old one: the newest is what it wants back. One
      // that stands beside ours, or beside another one now, was meant to stand beside its older ones too.
      const beside = !difference.ops.some((op) => op.op === 'route-replace' && samePlaceInMain(op.route, route));
      const alike = (r: RouteState): boolean =>
        r.family === route.family && r.metric === route.metric && r.protocol === route.protocol;
      const renewed = (r: RouteState): boolean =>
        !beside && !difference.displaced.some((other) => sameRoute(other, r)) && alike(r) && sameLinks(r, route);
      const former = memory.routes.find((r) => sameRoute(r, route)) ?? memory.routes.find(renewed);
      const known = former !== undefined && sameRoute(former, route);
      // In the place of the old one: cleanup puts them back in this order.
      const routes =
        former === undefined
          ? [...memory.routes.filter((r) => !(alike(r) && this.#isLost(r))), route]
          : memory.routes.map((r) => (r === former ? route : r));
      memory = { ...memory, routes };
      if (!known) {
        this.#tell(
          'notice',
          `a default route of ${protocolName(route.protocol)} stood in our place: remembered for cleanup`,
          {
            protocol: route.protocol,
            gateway: route.nexthops[0]?.gateway ?? null,
          },
          'foreign',
        );
      }
    }
    for (const [key, { before, set }] of Object.entries(difference.sysctls)) {
      const first = memory.sysctls[key]?.before ?? before;
      memory = { ...memory, sysctls: { ...memory.sysctls, [key]: { before: first, set } } };
      const again = this.#refused.has(opKey({ op: 'sysctl-set', key, value: set }));
      if (!again) this.#tell('info', `set ${key} to ${set} (it was ${before})`, { key, before, set }, 'sysctl');
    }
    if (memory !== this.#memory) {
      this.#memory = memory;
      this.#port.remembered();
    }
  }

  /** Its links are gone, and it with them: what dials in anew gets a new interface each time, and would be remembered each time. */
  #isLost(route: RouteState): boolean {
    const links = this.#ledger.state?.links;
    const gone = ({ ifindex }: Nexthop): boolean => links?.every((link) => link.index !== ifindex) === true;
    return route.nexthops.length > 0 && route.nexthops.every(gone);
  }

  #apply(ops: readonly KernelOp[]): void {
    // From now on the state is what these make of it; what is refused is taken back with the result.
    this.#ledger.handedOut(ops);
    this.#port.apply(ops);
  }

  /** What somebody else has changed in what we had planned; null where nothing of ours is touched. */
  #driftOf(
    state: KernelState,
    before: Plan,
    plan: Plan,
    numbers: KernelNumbers,
  ): { missing: boolean; record: HistoryRecord } | null {
    // Only what is still wanted and was there by the last plan: routes that fell with their link are no drift, nor is what
    // the kernel never accepted.
    const stood = (route: RouteState): boolean => !this.#refused.has(opKey({ op: 'route-replace', route }));
    const lostDefaults = before.defaults.filter(
      (w) => stood(w) && plan.defaults.some((p) => sameRoute(p, w)) && !standsFirst(state, w),
    );
    const lostTables = before.tables.filter(
      (w) => stood(w) && plan.tables.some((p) => sameRoute(p, w)) && !state.routes.some((r) => sameRoute(r, w)),
    );
    const lostRules = before.rules.filter(
      (w) =>
        !this.#refused.has(opKey({ op: 'rule-add', rule: w })) &&
        plan.rules.some((p) => sameRule(p, w)) &&
        !state.rules.some((r) => sameRule(r, w)),
    );
    const intruders = plan.defaults
      .filter(stood)
      .flatMap((w) =>
        mainDefaults(state, w.family).filter((r) => r.metric === w.metric && !sameRoute(r, w) && r.protocol !== numbers.protocol),
      );
    const first = lostDefaults.find((w) => w.metric === FIRST_METRIC[w.family]);
    const intruder = intruders.find((r) => r.family === (first?.family ?? r.family)) ?? intruders[0];
    if (lostDefaults.length + lostTables.length + lostRules.length + intruders.length === 0) return null;
    // An intruder behind our place does not fill it.
    const missing = lostDefaults.some(
      (w) => w.metric === FIRST_METRIC[w.family] && !intruders.some((r) => r.family === w.family && r.metric === w.metric),
    );
    const text =
      intruder !== undefined
        ? `${protocolName(intruder.protocol)} put its own default route in our place: repaired`
        : first !== undefined
          ? 'somebody deleted our default route: put back'
          : `somebody changed ${lostDefaults.length + lostTables.length} of our routes and ${lostRules.length} of our rules: repaired`;
    return {
      missing,
      record: record('drift', 'warning', text, {
        protocol: intruder?.protocol ?? null,
        family: first?.family ?? intruder?.family ?? null,
        routes: lostDefaults.length + lostTables.length,
        rules: lostRules.length,
      }),
    };
  }

  /** The table that was planned last stood, and does not any more. */
  #nftDrift(before: Plan, plan: Plan, nftOps: readonly KernelOp[]): { missing: boolean; record: HistoryRecord } | null {
    const wanted = plan.nft.rules !== null && before.nft.fingerprint === plan.nft.fingerprint;
    if (!wanted || nftOps.length === 0 || this.#nftRefused !== null) return null;
    const text = 'somebody removed our nftables table: put back';
    return { missing: false, record: record('drift', 'warning', text, { protocol: null, family: null, routes: 0, rules: 0 }) };
  }

  #tellRation(): void {
    this.#rationTold = true;
    this.#tell('error', 'another program keeps changing our routes: from now on they are put back once a minute', {}, 'drift');
  }

  #tell(
    severity: HistoryRecord['severity'],
    text: string,
    data: HistoryRecord['data'],
    kind: HistoryRecord['kind'] = 'kernel',
  ): void {
    this.#port.record(record(kind, severity, text, data));
  }
}

function record(
  kind: HistoryRecord['kind'],
  severity: HistoryRecord['severity'],
  text: string,
  data: HistoryRecord['data'],
): HistoryRecord {
  return { kind, severity, uplink: null, family: null, from: null, to: null, reason: null, durationMs: null, text, data };
}

function standsFirst(state: KernelState, wanted: RouteState): boolean {
  const first = mainDefaults(state, wanted.family).find((r) => r.metric === wanted.metric);
  return first !== undefined && sameRoute(first, wanted);
}

function samePlaceInMain(a: RouteState, b: RouteState): boolean {
  return a.family === b.family && a.table === b.table && a.metric === b.metric && a.destination === b.destination;
}

function sameLinks(a: RouteState, b: RouteState): boolean {
  return a.nexthops.length === b.nexthops.length && a.nexthops.every((hop, i) => hop.ifindex === b.nexthops[i]?.ifindex);
}

function samePlan(a: Plan, b: Plan): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Deleting what is gone, adding what is there: the wish is fulfilled. */
function isAlreadyTrue(result: OpResult): boolean {
  const { op } = result.op;
  if (op === 'route-delete' || op === 'rule-delete' || op === 'neighbour-delete')
    return result.errno === 'ESRCH' || result.errno === 'ENOENT';
  return op === 'rule-add' && result.errno === 'EEXIST';
}
