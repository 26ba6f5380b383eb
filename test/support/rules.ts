/**
 * The rules that must never break, as checks at every instant of a virtual world: after every single operation of ours,
 * and after everything that happens. A breach is thrown with the number of its rule.
 */
import { cleanupRequest, planCleanup } from '../../src/core/cleanup.js';
import { MAX_UPLINKS, OWN_TABLES } from '../../src/core/config.js';
import { sameRoute as sameWay } from '../../src/core/diff.js';
import type { KernelState, OpResult, RouteState } from '../../src/core/kernel.js';
import type { HistoryRecord } from '../../src/core/messages.js';
import type { Family } from '../../src/core/model.js';
import { MAIN_TABLE } from './fake-kernel.js';
import { type FarSide, USUAL_RTT_MS } from './far-side.js';
import { linkNames, renderOp, renderRoute } from './render-kernel.js';
import type { VirtualWorld } from './virtual-world.js';

/** A missing default, or one that somebody replaced, is back within this. */
const REPAIR_MS = 100;
/** After this long without any trouble nobody may call an uplink down. */
const CALM_MS = 10_000;
/** Somebody took our rule or table away: until that is noticed probes may go astray. */
const TAMPERED_MS = 100;

/** More than the longest `fail-after`, interval and burst together. */
const OUTAGE_MS = 10_000;
/** After a start the first verdicts are awaited before anything foreign is moved. */
const SETTLING_MS = 3000;
/** What the kernel refused is tried again after a second. */
const RETRIED_MS = 2000;
/** Repairs may be rationed for so long after that was told. */
const RATIONED_MS = 180_000;

export class Breach extends Error {
  constructor(
    readonly rule: string,
    text: string,
  ) {
    super(`${rule}: ${text}`);
  }
}

export class RuleWatch {
  readonly #world: VirtualWorld;
  readonly #families: readonly Family[];
  /** since when something has been so, by its name */
  readonly #since = new Map<string, number>();
  /** when each uplink was last in trouble of any kind */
  readonly #troubledMs = new Map<string, number>();
  #refusedMs = Number.NEGATIVE_INFINITY;
  #recordsSeen = 0;
  #leaksSeen = 0;

  constructor(world: VirtualWorld) {
    this.#world = world;
    this.#families = [...world.meters.keys()];
    world.onOp = (result, before) => this.#afterOp(result, before);
    world.onStep = () => this.#afterStep();
  }

  /** Takes the program out of the kernel at this moment and looks at what is left. @param former the kernel before we came, if it must be just that */
  cleanUp(former: string | null): void {
    const world = this.#world;
    const { kernel, config, saved } = world;
    world.killProcess();
    kernel.sabotage = null;
    const before = kernel.state;
    for (const op of planCleanup(kernel.snapshotNow(cleanupRequest(config.kernel, saved)), config.kernel, saved))
      world.carryOut(op);
    const names = linkNames(kernel.state.links);
    for (const route of kernel.state.routes) {
      if (this.#isOurs(route)) throw new Breach('rule 2', `cleanup left ${renderRoute(route, names)}`);
    }
    for (const rule of kernel.state.rules) {
      if (rule.protocol === config.kernel.protocol) throw new Breach('rule 2', `cleanup left rule ${rule.priority}`);
    }
    for (const family of this.#families) {
      const lost =
        saved?.restore.hadDefault.includes(family) === true && hasDefault(before, family) && !hasDefault(kernel.state, family);
      if (lost) throw new Breach('rule 1', `cleanup left no IPv${family} default route`);
    }
    const now = kernel.render();
    if (former !== null && now !== former)
      throw new Breach('rule 2', `cleanup restored something else:\n${now}\nbefore it was\n${former}`);
  }

  // ---- after every operation of ours ---------------------------------------------------------------------------------

  #afterOp(result: OpResult, before: KernelState): void {
    const { kernel } = this.#world;
    const after = kernel.state;
    const what = renderOp(result.op, linkNames(before.links));
    for (const family of this.#families) {
      if (hasDefault(before, family) && !hasDefault(after, family))
        throw new Breach('rule 1', `no IPv${family} default after: ${what}`);
    }
    for (const route of before.routes) if (!after.routes.includes(route)) this.#mayTake(route, what);
    for (const rule of before.rules) {
      if (after.rules.includes(rule) || rule.protocol === this.#world.config.kernel.protocol) continue;
      throw new Breach('rule 2', `a foreign rule fell to: ${what}`);
    }
  }

  /** A route of others may only go when it stood in the place of a default of ours, and is remembered. */
  #mayTake(route: RouteState, what: string): void {
    if (this.#isOurs(route)) return;
    const line = renderRoute(route, linkNames(this.#world.kernel.state.links));
    const first = route.family === 4 ? 0 : 1;
    const inPlace = route.metric >= first && route.metric <= first + MAX_UPLINKS;
    if (!isDefaultOfMain(route) || !inPlace) throw new Breach('rule 2', `${line} fell to: ${what}`);
    // put there since the last reading: nobody can remember what he has not seen
    if (!this.#world.seen.has(route)) return;
    const remembered = this.#world.saved?.restore.routes ?? [];
    if (!remembered.some((kept) => sameWay(kept, route)))
      throw new Breach('rule 2', `${line} was not remembered, it fell to: ${what}`);
  }

  #isOurs(route: RouteState): boolean {
    const { protocol, tableBase } = this.#world.config.kernel;
    if (route.table === MAIN_TABLE) return route.destination === 'default' && route.protocol === protocol;
    return route.table >= tableBase && route.table < tableBase + OWN_TABLES;
  }

  // ---- after everything that happens ---------------------------------------------------------------------------------

  #afterStep(): void {
    this.#noteTrouble();
    this.#checkRecords();
    this.#checkLeaks();
    for (const family of this.#families) {
      this.#checkDefault(family);
      this.#checkPlace(family);
      this.#checkOutage(family);
    }
  }

  #noteTrouble(): void {
    const { kernel, nowMs } = this.#world;
    if (kernel.sabotage !== null) this.#refusedMs = nowMs;
    for (const far of this.#world.farSides) {
      const link = kernel.findLink(far.device);
      const calm =
        far.works() &&
        far.loss === 0 &&
        far.gatewayAnswers &&
        far.deadTargets.size === 0 &&
        far.rttMs === USUAL_RTT_MS &&
        link?.adminUp === true &&
        link.carrier &&
        kernel.sabotage === null &&
        nowMs - this.#world.tamperedMs > TAMPERED_MS;
      if (!calm) this.#troubledMs.set(far.name, nowMs);
    }
  }

  /** Rules 3 and 4: an uplink without any trouble is never called down, whatever this process went through. */
  #checkRecords(): void {
    const { log } = this.#world;
    for (; this.#recordsSeen < log.length; this.#recordsSeen += 1) {
      const entry = log[this.#recordsSeen];
      if (entry?.type === 'record' && entry.record.kind === 'health') this.#checkHealth(entry.record);
    }
  }

  #checkHealth({ uplink, family, from, to, reason }: HistoryRecord): void {
    if (uplink === null || from === to || to !== 'down') return;
    const calmMs = this.#world.nowMs - (this.#troubledMs.get(uplink) ?? Number.NEGATIVE_INFINITY);
    if (calmMs < CALM_MS || this.#isStrange(uplink)) return;
    throw new Breach('rule 4', `${uplink}/${family} is called down (${reason}) after ${calmMs} ms without any trouble`);
  }

  /** A reload may have given it targets that nobody answers for. */
  #isStrange(uplink: string): boolean {
    const far: FarSide | undefined = this.#world.farSides.find((side) => side.name === uplink);
    return far === undefined;
  }

  #checkLeaks(): void {
    const { nowMs } = this.#world;
    const { leaks } = this.#world.prober;
    const excused = nowMs - this.#world.tamperedMs <= TAMPERED_MS;
    if (leaks > this.#leaksSeen && !excused) throw new Breach('rule 3', 'a probe left through another uplink');
    this.#leaksSeen = leaks;
  }

  /** Rules 1 and 8: a default that others took away is back soon, as long as this process runs and has a way to offer. */
  #checkDefault(family: Family): void {
    const world = this.#world;
    const able = world.engine !== null && !world.stalled && !this.#refusing() && this.#canRoute(family);
    const missingMs = this.#lasted(`missing ${family}`, able && !hasDefault(world.kernel.state, family));
    if (missingMs > REPAIR_MS) throw new Breach('rule 8', `no IPv${family} default for ${missingMs} ms`);
  }

  /** Rule 8: what others put in our first place is gone soon, unless they fight us. */
  #checkPlace(family: Family): void {
    const world = this.#world;
    const first = world.kernel.state.routes.find((route) => route.family === family && isDefaultOfMain(route));
    const intruded = first !== undefined && !this.#isOurs(first) && first.metric <= (family === 4 ? 0 : 1);
    const lastedMs = this.#lasted(`place ${family}`, intruded && this.#shouldHold(family));
    if (lastedMs <= REPAIR_MS || this.#rationed()) return;
    throw new Breach('rule 8', `a foreign IPv${family} default held our place for ${lastedMs} ms`);
  }

  /** What it is all for: nobody sits on a dead uplink while another one has long been without any trouble. */
  #checkOutage(family: Family): void {
    const way = this.#world.wayOut(family);
    const avoidable = !way.works && way.to !== 'elsewhere' && this.#hasBetter(family) && !this.#rationed();
    const outageMs = this.#lasted(`outage ${family}`, avoidable);
    if (outageMs > OUTAGE_MS) throw new Breach('failover', `IPv${family} stays on ${way.to}, dead for ${outageMs} ms`);
  }

  #hasBetter(family: Family): boolean {
    const { engine, stalled, nowMs, startedMs, farSides, saved, config } = this.#world;
    if (engine === null || stalled || this.#refusing() || nowMs - startedMs < CALM_MS) return false;
    if (saved === null || saved.forced !== null) return false;
    return farSides.some(
      (far) =>
        config.uplinks.some((uplink) => uplink.name === far.name) &&
        !saved.disabled.includes(far.name) &&
        far.gateways.has(family) &&
        nowMs - (this.#troubledMs.get(far.name) ?? Number.NEGATIVE_INFINITY) > CALM_MS,
    );
  }

  /** Whether the program has had the time and has the means to hold the first place. */
  #shouldHold(family: Family): boolean {
    const world = this.#world;
    if (world.engine === null || world.stalled || this.#refusing()) return false;
    if (world.nowMs - world.startedMs <= SETTLING_MS) return false;
    const active = world.engine.view(world.nowMs).families.find((view) => view.family === family)?.active ?? null;
    const far = world.farSides.find((side) => side.name === active);
    return far !== undefined && this.#carries(far, family);
  }

  /** For how long something has been so without a break, ms. */
  #lasted(what: string, isSo: boolean): number {
    if (!isSo) {
      this.#since.delete(what);
      return 0;
    }
    const sinceMs = this.#since.get(what) ?? this.#world.nowMs;
    this.#since.set(what, sinceMs);
    return this.#world.nowMs - sinceMs;
  }

  #rationed(): boolean {
    const { log, elapsedMs } = this.#world;
    return log.some(
      (entry) => entry.type === 'record' && entry.atMs > elapsedMs - RATIONED_MS && /once a minute/.test(entry.record.text),
    );
  }

  /** The kernel refuses, or did so a moment ago: what was refused is tried again once a second only. */
  #refusing(): boolean {
    return this.#world.nowMs - this.#refusedMs <= RETRIED_MS;
  }

  #canRoute(family: Family): boolean {
    const { farSides, config } = this.#world;
    return farSides.some((far) => config.uplinks.some((uplink) => uplink.name === far.name) && this.#carries(far, family));
  }

  #carries(far: FarSide, family: Family): boolean {
    const { kernel } = this.#world;
    const link = kernel.findLink(far.device);
    const addressed = kernel.state.addresses.some((entry) => entry.ifindex === link?.index && entry.family === family);
    return far.gateways.has(family) && link?.adminUp === true && link.carrier && addressed;
  }
}

function isDefaultOfMain(route: RouteState): boolean {
  return route.table === MAIN_TABLE && route.destination === 'default';
}

function hasDefault(state: KernelState, family: Family): boolean {
  return state.routes.some((route) => route.family === family && isDefaultOfMain(route) && route.type === 'unicast');
}
