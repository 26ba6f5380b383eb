/**
 * The rules that must never break, as checks at every instant of a virtual world: after every single operation of ours,
 * and after everything that happens. A breach is thrown with the number of its rule.
 */
import assert from 'node:assert/strict';
import { type Config, flowMark, MAX_UPLINKS, OWN_TABLES, tableOf } from '../../src/core/config.js';
import type { KernelState, OpResult, RouteState, RuleState } from '../../src/core/kernel.js';
import type { HistoryRecord, PathView, StatusView } from '../../src/core/messages.js';
import type { Family } from '../../src/core/model.js';
import { cleanupRequest, planCleanup } from '../../src/core/plan/cleanup.js';
import { sameRoute as sameWay } from '../../src/core/plan/diff.js';
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
/** What can be seen is looked at this often. */
const LOOK_EVERY_MS = 10_000;
/** Before the first verdicts of a new process. */
const ADOPTING_MS = 20;
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
  #endsSeen = 0;
  #stamp = '';
  /** as last told: a reload may have forgotten it since */
  readonly #down = new Set<string>();
  #lookedMs = Number.NEGATIVE_INFINITY;
  #config: Config | null = null;
  /** everyone who has had a slot, by mark: those who left the file too */
  readonly #markOf = new Map<number, string>();
  #configuredMs = Number.NEGATIVE_INFINITY;

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
        saved?.restore.hadDefault?.includes(family) === true && hasDefault(before, family) && !hasDefault(kernel.state, family);
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
    for (const route of before.routes) {
      if (after.routes.includes(route)) continue;
      this.#mayTake(route, what);
      this.#mayAdopt(route, after, what);
    }
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

  /** A new process that finds uplinks sharing goes on with it until it has its own verdicts, if nothing happened meanwhile. */
  #mayAdopt(route: RouteState, after: KernelState, what: string): void {
    const { nowMs, startedMs, config, kernel } = this.#world;
    if (!isDefaultOfMain(route) || route.nexthops.length < 2 || !this.#isOurs(route)) return;
    if (nowMs - startedMs > ADOPTING_MS || nowMs - this.#configuredMs < CALM_MS || this.#world.engine === null) return;
    if (after.routes.some((other) => sameWay(other, route))) return;
    const members = this.#world.farSides.filter((far) =>
      route.nexthops.some((hop) => kernel.linkName(hop.ifindex) === far.device && hop.gateway === far.gateways.get(route.family)),
    );
    const uplinks = config.uplinks.filter((uplink) => members.some((far) => far.name === uplink.name));
    // What a drill lets in goes with the process that let it in.
    const weightOf = (far: FarSide | undefined): number | undefined =>
      uplinks.find((uplink) => uplink.name === far?.name)?.weight;
    const weighed = route.nexthops.every(
      (hop) => (hop.weight ?? 1) === weightOf(members.find((far) => kernel.linkName(hop.ifindex) === far.device)),
    );
    const byFile = weighed && uplinks.every((uplink) => uplink.tier !== null && uplink.tier === uplinks[0]?.tier);
    const calm = members.every((far) => nowMs - (this.#troubledMs.get(far.name) ?? Number.NEGATIVE_INFINITY) > CALM_MS);
    const saved = this.#world.saved;
    const ordered = saved === null || saved.forced !== null || saved.disabled.length > 0;
    if (byFile && calm && !ordered && members.length === route.nexthops.length)
      throw new Breach('sharing', `after a restart the set that stood there fell to: ${what}`);
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
    this.#checkEnds();
    this.#checkView();
    // Asking the engine costs most of all: it has no other opinion unless something was told or changed.
    const stamp = `${this.#world.kernel.version} ${this.#world.log.length}`;
    const asks = stamp !== this.#stamp || [...this.#since.keys()].some((what) => what.startsWith('engine'));
    this.#stamp = stamp;
    if (asks) this.#checkFlowRules();
    for (const family of this.#families) {
      this.#checkDefault(family);
      this.#checkPlace(family);
      this.#checkOutage(family);
      if (asks) this.#checkMembers(family);
    }
  }

  #noteTrouble(): void {
    const { kernel, nowMs } = this.#world;
    if (kernel.sabotage !== null) this.#refusedMs = nowMs;
    if (this.#config !== this.#world.config) this.#configuredMs = nowMs;
    this.#config = this.#world.config;
    for (const [name, slot] of Object.entries(this.#world.saved?.slots ?? {}))
      this.#markOf.set(flowMark(this.#world.config.kernel, slot), name);
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
        this.#isKnown(far) &&
        nowMs - this.#world.tamperedMs > TAMPERED_MS;
      if (!calm) this.#troubledMs.set(far.name, nowMs);
    }
  }

  /** With `gateway: auto` somebody must have said where it is, and its addresses must be there. */
  #isKnown(far: FarSide): boolean {
    const { kernel, config, saved } = this.#world;
    const uplink = config.uplinks.find((one) => one.name === far.name);
    if (uplink === undefined) return true;
    const slot = saved?.slots[far.name];
    const table = slot === undefined ? null : tableOf(config.kernel, slot);
    const index = kernel.findLink(far.device)?.index;
    return uplink.gateways.every(({ family, host }) => {
      if (!kernel.state.addresses.some((a) => a.ifindex === index && a.family === family)) return false;
      const gateway = far.gateways.get(family);
      const leads = (route: RouteState): boolean =>
        route.family === family && route.table === table && route.nexthops.some((hop) => hop.gateway === gateway);
      return host.kind !== 'auto' || kernel.state.routes.some(leads);
    });
  }

  /** Connections are only ended where their uplink fails, was left, or left the file, and where there is somewhere to go. */
  #checkEnds(): void {
    const { endedFlows, config, engine, nowMs } = this.#world;
    for (; this.#endsSeen < endedFlows.length; this.#endsSeen += 1) {
      const ask = endedFlows[this.#endsSeen];
      if (ask === undefined || engine === null) continue;
      const { family, mark } = ask.selector;
      const view = engine.view(nowMs);
      const uplink = view.uplinks.find((one) => flowMark(config.kernel, one.slot) === mark);
      const name = uplink?.name ?? this.#markOf.get(mark);
      if (name === undefined) throw new Breach('connections', `ended with mark ${mark}, which is nobody's`);
      const choice = view.families.find((one) => one.family === family);
      const used = choice?.active === name || choice?.sharing.some((share) => share.uplink === name) === true;
      if (used && this.#works(view, name, family))
        throw new Breach('connections', `those of ${name}/${family} were ended although it works and is in use`);
      const target = choice?.active ?? null;
      if (target === null || target === name || !this.#works(view, target, family))
        throw new Breach('connections', `those of ${name}/${family} were ended with nowhere to go (${target})`);
    }
  }

  #works({ uplinks }: StatusView, name: string, family: Family): boolean {
    const uplink = uplinks.find((one) => one.name === name);
    const path = uplink?.paths.find((one) => one.family === family);
    return uplink?.admin !== 'disabled' && uplink?.usage?.closed !== true && path !== undefined && path.health !== 'down';
  }

  /** While an uplink is down nothing is sent into its table for a mark's sake. */
  #checkFlowRules(): void {
    const world = this.#world;
    const { kernel: numbers, uplinks } = world.config;
    for (const family of this.#families) {
      const able = world.engine !== null && !world.stalled && !this.#refusing() && this.#mayBeDown();
      const standing = able
        ? world.kernel.state.rules.filter((rule) => rule.family === family && isFlowRule(rule, numbers.ruleBase))
        : [];
      const view = standing.length > 0 ? (world.engine?.view(world.nowMs) ?? null) : null;
      for (const { name } of uplinks) {
        const slot = world.saved?.slots[name] ?? -1;
        const stands = standing.some((rule) => rule.mark === flowMark(numbers, slot));
        const isPath = (uplink: string, is: (path: PathView) => boolean): boolean =>
          view?.uplinks.some((u) => u.name === uplink && u.paths.some((p) => p.family === family && is(p))) === true;
        const active = view?.families.find((f) => f.family === family)?.active ?? name;
        // With nowhere to go its connections wait where they are.
        const somewhere = active !== name && isPath(active, (p) => p.health !== 'down' && p.suspicion === 'none');
        const down = stands && somewhere && isPath(name, (p) => p.health === 'down');
        const lastedMs = this.#lasted(`engine: rules ${name}/${family}`, down);
        if (lastedMs > REPAIR_MS && !this.#rationed())
          throw new Breach(
            'connections',
            `rules of ${name}/${family} stand for ${lastedMs} ms although it is down and ${active} is not`,
          );
      }
    }
  }

  /** What can be seen of it, and what it keeps, never fails and survives its way through JSON. */
  #checkView(): void {
    const { engine, nowMs } = this.#world;
    if (engine === null || nowMs - this.#lookedMs < LOOK_EVERY_MS) return;
    this.#lookedMs = nowMs;
    for (const value of [engine.view(nowMs), engine.saved()]) assert.deepEqual(JSON.parse(JSON.stringify(value)), value);
  }

  /** Several that share: none of them is down, and none is shut. */
  #checkMembers(family: Family): void {
    const world = this.#world;
    const first = world.kernel.state.routes.find(
      (route) => route.family === family && isDefaultOfMain(route) && this.#isOurs(route) && route.nexthops.length > 1,
    );
    const able = first !== undefined && world.engine !== null && !world.stalled && !this.#refusing() && this.#mayBeDown();
    const bad = able && first !== undefined ? this.#badMember(first) : null;
    const lastedMs = this.#lasted(`engine: members ${family}`, bad !== null);
    if (lastedMs > REPAIR_MS && !this.#rationed())
      throw new Breach('sharing', `${bad} shares IPv${family} for ${lastedMs} ms although it does not work`);
  }

  /** Whether it is worth asking the engine: it has told of one that is down, or somebody was shut. */
  #mayBeDown(): boolean {
    const { saved, config } = this.#world;
    const shut = (saved?.disabled.length ?? 0) > 0 || config.uplinks.some((uplink) => uplink.metered?.atCap === 'disable');
    return shut || this.#down.size > 0;
  }

  #isMember(route: RouteState, { family, gateway, interface: device }: PathView): boolean {
    const { kernel } = this.#world;
    return (
      route.family === family && route.nexthops.some((hop) => hop.gateway === gateway && kernel.linkName(hop.ifindex) === device)
    );
  }

  #badMember(route: RouteState): string | null {
    const world = this.#world;
    const view = world.engine?.view(world.nowMs);
    if (view === undefined) return null;
    // One that is forced without a way to it leaves the first place as it was. And the one that leads stays until it is known who
    // can take over: how long that may take is another rule's.
    const active = view.families.find((one) => one.family === route.family)?.active;
    const led = view.uplinks.some((u) => u.name === active && u.paths.some((p) => this.#isMember(route, p)));
    for (const uplink of led ? view.uplinks : []) {
      const path = uplink.paths.find((one) => one.family === route.family);
      if (uplink.name === active || path === undefined || !this.#isMember(route, path)) continue;
      if (!this.#works(view, uplink.name, route.family)) return uplink.name;
    }
    return null;
  }

  /** Rules 3 and 4: an uplink without any trouble is never called down, whatever this process went through. */
  #checkRecords(): void {
    const { log } = this.#world;
    for (; this.#recordsSeen < log.length; this.#recordsSeen += 1) {
      const entry = log[this.#recordsSeen];
      if (entry?.type !== 'record' || entry.record.kind !== 'health') continue;
      const { uplink, family, to } = entry.record;
      if (to === 'down') this.#down.add(`${uplink}/${family}`);
      else this.#down.delete(`${uplink}/${family}`);
      this.#checkHealth(entry.record);
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
    const dead = this.#world.waysOut(family).find((way) => !way.works && way.to !== 'elsewhere');
    const avoidable = dead !== undefined && this.#hasBetter(family, dead.to) && !this.#rationed();
    const outageMs = this.#lasted(`outage ${family}`, avoidable);
    if (outageMs > OUTAGE_MS) throw new Breach('failover', `IPv${family} stays on ${dead?.to}, dead for ${outageMs} ms`);
  }

  #hasBetter(family: Family, than: string): boolean {
    const { engine, stalled, nowMs, startedMs, farSides, saved, config } = this.#world;
    if (engine === null || stalled || this.#refusing() || nowMs - startedMs < CALM_MS) return false;
    if (saved === null || saved.forced !== null) return false;
    const { uplinks } = engine.view(nowMs);
    return farSides.some(
      (far) =>
        far.name !== than &&
        uplinks.find((uplink) => uplink.name === far.name)?.usage?.closed !== true &&
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
    return this.#isKnown(far) && far.gateways.has(family) && link?.adminUp === true && link.carrier && addressed;
  }
}

function isFlowRule({ priority }: RuleState, ruleBase: number): boolean {
  return priority >= ruleBase + 128 && priority < ruleBase + 256;
}

function isDefaultOfMain(route: RouteState): boolean {
  return route.table === MAIN_TABLE && route.destination === 'default';
}

function hasDefault(state: KernelState, family: Family): boolean {
  return state.routes.some((route) => route.family === family && isDefaultOfMain(route) && route.type === 'unicast');
}
