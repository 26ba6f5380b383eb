/**
 * What happens to the traffic itself beside the choice of a way: open connections kept, drained or ended; what metered uplinks
 * cost; drills of the backup; strangers who would lead clients around us. Joins these parts to the paths and choices; each
 * decides for itself, and routing waits for none of them.
 */
import type { Agenda } from '../agenda.js';
import type { FamilyChoice } from '../choose/choice.js';
import type { Config } from '../config.js';
import type { FlowCount, FlowOutcome } from '../flow.js';
import type { RouterAdvert } from '../hint.js';
import type { KernelState } from '../kernel.js';
import type {
  Command,
  DrillView,
  Effect,
  HistoryRecord,
  RogueView,
  SavedState,
  SavedUsage,
  Surroundings,
  UsageView,
} from '../messages.js';
import type { Admin, Family, PathKey } from '../model.js';
import type { Path } from '../paths/path.js';
import { isSomewhereToGo, pathWorks, prefixOf } from '../plan/plan-input.js';
import { isWhole } from '../plan/plan-nft.js';
import type { PlanPath } from '../plan/plan-path.js';
import type { ProbeAsk } from '../probe.js';
import { recordOf } from '../show/records.js';
import { Drill } from './drill.js';
import type { DrillWish } from './drill-run.js';
import type { DrillScene } from './drill-scene.js';
import { type FlowSight, Flows, type FlowsConfig } from './flows.js';
import { Metering } from './metering.js';
import { countsAlone } from './own-counters.js';
import { probeBytes } from './probe-bytes.js';
import { restlessIntervalMs } from './restless-pace.js';
import { Rogues, type UplinkGround } from './rogues.js';

export interface TrafficPort {
  readonly agenda: Agenda;
  readonly around: Surroundings;
  emit(effect: Effect): void;
  record(record: HistoryRecord): void;
  families(): readonly FamilyChoice[];
  paths(): readonly Path[];
  /** by order, or because its cap is reached */
  adminOf(uplink: string): Admin;
  delegatedPrefix(device: string | null): string | null;
  /** interfaces that a LAN was seen on */
  lans(): ReadonlySet<string>;
  /** whether connections get marks: nftables is there and takes our table */
  marksFlows(): boolean;
  /** something that outlives the process has changed */
  save(): void;
  /** the choice is to be made anew */
  choose(): void;
}

/** Who rations answers goes on doing so: asked too often, a path is not for so long. */
const UNHURRIED_MS = 86_400_000;

export class Traffic {
  readonly #port: TrafficPort;
  #config: Config;
  readonly #flows: Flows;
  readonly #metering: Metering;
  readonly #drill: Drill;
  readonly #rogues: Rogues;
  /** paths whose connections are remembered */
  #remembered: ReadonlySet<PathKey> = new Set();
  /** until when a path is not asked more often than configured: it was, and did not answer all of it */
  readonly #unhurried = new Map<PathKey, number>();
  /** metered uplinks that have not got their interface, named here, to themselves */
  readonly #uncounted = new Map<string, string>();

  constructor(config: Config, saved: SavedState | null, port: TrafficPort) {
    const { agenda, around } = port;
    this.#config = config;
    this.#port = port;
    const wallMs = (ms: number): number => around.wallMs(ms);
    const utcOffsetMs = (ms: number): number => around.utcOffsetMs?.(ms) ?? 0;
    const record = (one: HistoryRecord): void => port.record(one);
    // Deadlines were written in Unix time; the engine's clock began at 0.
    const drains = Object.entries(saved?.drains ?? {}).map(([key, untilWallMs]): [PathKey, number | null] => [
      key,
      untilWallMs === null ? null : untilWallMs - wallMs(0),
    ]);
    this.#flows = new Flows(this.#flowsConfig(), new Map(drains), {
      agenda,
      end: (ask) => port.emit({ type: 'end-flows', ask }),
      count: (ask) => port.emit({ type: 'count-flows', ask }),
      record,
      changed: () => port.save(),
      emptied: () => port.choose(),
    });
    this.#metering = new Metering(saved?.usage ?? {}, { wallMs, utcOffsetMs, record });
    this.#drill = new Drill(saved?.lastDrillWallMs ?? null, {
      wallMs,
      utcOffsetMs,
      record,
      count: (uplink, family) => this.#countFor(uplink, family),
      wakeAt: (atMs) => void agenda.at(atMs, (now) => this.lookAtDrill(now)),
    });
    this.#rogues = new Rogues({ wallMs, record, wakeAt: (atMs) => void agenda.at(atMs, (now) => this.#rogues.look(now)) });
  }

  /** After the paths have been built. */
  configure(config: Config, nowMs: number): void {
    this.#config = config;
    this.#flows.configure(
      this.#flowsConfig(),
      this.#port.paths().map((path) => path.key),
    );
    this.#metering.configure(config.uplinks, nowMs);
    const names = config.uplinks.map((u) => u.name);
    this.#drill.configure(config.drill, names, nowMs);
    this.#pace(nowMs);
  }

  // ---- what the choice is to know ----------------------------------------------------------------------------------

  /** Its cap is reached: it shall carry nothing more in this month. */
  closed(uplink: string): boolean {
    return this.#metering.closed(uplink);
  }

  /** Connections by it are still to be ended. */
  lingers(path: Path): boolean {
    return this.#flows.lingers(path.key);
  }

  /** The backup that is being tried in this family. */
  drillIn(family: Family): DrillWish | null {
    const wish = this.#drill.wish;
    return wish?.families.includes(family) === true ? wish : null;
  }

  // ---- what happens ------------------------------------------------------------------------------------------------

  /** Once a second, and when choices have been made. */
  look(nowMs: number): void {
    this.#lookAtUsage(nowMs);
    this.lookAtDrill(nowMs);
  }

  #lookAtUsage(nowMs: number): void {
    const carrying = new Set(
      this.#port.families().flatMap((f) => [...(f.active === null ? [] : [f.active]), ...f.sharing.map((s) => s.uplink)]),
    );
    const news = this.#metering.look(nowMs, carrying);
    if (news.save) this.#port.save();
    if (news.changed) this.#port.choose();
    this.#pace(nowMs);
  }

  /** Whether each path is asked as often as it should be now. */
  isPaced(nowMs: number): boolean {
    return this.#port
      .paths()
      .every((path) => path.detector.intervalMs === this.#intervalMs(path, nowMs) && !path.detector.isRationed);
  }

  lookAtDrill(nowMs: number): void {
    this.#drilled(this.#drill.look(this.#scene(), nowMs));
  }

  kernelSeen(state: KernelState, nowMs: number): void {
    const paths = this.#port.paths();
    this.#uncounted.clear();
    for (const { name, metered } of this.#config.uplinks) {
      const path = paths.find((p) => p.uplink.name === name && p.interface !== null);
      if (metered === null || path === undefined || path.interface === null) continue;
      const shared = !countsAlone(path, paths, state, this.#port.lans());
      if (shared) this.#uncounted.set(name, path.interface);
      const link = state.links.find((l) => l.name === path.interface);
      const reading = link?.counters === undefined ? null : { link: { name: link.name, ifindex: link.index }, ...link.counters };
      this.#metering.counters(name, shared ? 'shared' : reading, this.#port.around.bootId, nowMs);
    }
    // What closes an uplink is told before the switch that it causes.
    this.#lookAtUsage(nowMs);
  }

  probeSent(path: Path, ask: ProbeAsk): void {
    this.#metering.probeSent(path.uplink.name, probeBytes(ask.question, path.family));
  }

  /** An answer is overdue. @returns uplinks that had this family before a drill of all that it has just ended: to be gone back to */
  suspected(path: Path, nowMs: number): readonly string[] {
    if (this.#config.connections?.failover === 'end' && this.#remembered.has(path.key))
      this.#port.emit({ type: 'prepare-flows' });
    const scene = this.#scene();
    const wish = this.drillIn(path.family);
    this.#drilled(this.#drill.suspected(path.uplink.name, path.family, scene, nowMs));
    if (wish?.traffic !== 'all' || this.#drill.wish === wish) return [];
    const mine = this.#port.paths().filter((p) => p.family === path.family);
    return mine.map((p) => p.uplink.name).filter((uplink) => this.#drill.standsInFor(uplink, path.family, scene));
  }

  command(command: Extract<Command, { verb: 'drill' }>, nowMs: number): void {
    this.#drill.command(command, this.#scene(), nowMs);
    this.#drilled(true);
  }

  advert(advert: RouterAdvert, nowMs: number): void {
    this.#rogues.take(advert, nowMs);
  }

  flowsEnded(outcome: FlowOutcome): void {
    this.#flows.finished(outcome);
  }

  flowsCounted(count: FlowCount, nowMs: number): void {
    this.#flows.counted(count);
    this.#drilled(this.#drill.counted(count));
    this.lookAtDrill(nowMs);
  }

  stopping(nowMs: number): void {
    this.#drill.abandon('this program is about to end', nowMs);
  }

  /** Choices are made and the routes that follow from them handed out: the kernel's adapters work in this order. */
  routed(planned: readonly PlanPath[], nowMs: number): void {
    const marked = this.#port.marksFlows();
    const scene = this.#scene();
    const sights = this.#port.families().flatMap((family) => {
      const paths = this.#port.paths().filter((p) => p.family === family.family);
      const works = (path: Path): boolean => pathWorks(path, (uplink) => this.#port.adminOf(uplink));
      const chosen = paths.find((p) => p.uplink.name === family.active);
      return paths.map((path): FlowSight => {
        const place = planned.find((p) => p.family === path.family && p.slot === path.slot);
        return {
          path,
          remembered: marked && place !== undefined && isWhole(place, planned, this.#config.masquerade),
          works: works(path),
          inUse:
            path === chosen ||
            family.sharing.some((s) => s.uplink === path.uplink.name) ||
            this.#drill.standsInFor(path.uplink.name, path.family, scene),
          elsewhere: isSomewhereToGo(path, chosen, works),
        };
      });
    });
    this.#remembered = new Set(sights.flatMap((s) => (s.remembered ? [s.path.key] : [])));
    this.#flows.chosen(sights, nowMs);
    this.#rogues.configure(this.#config.routerAdvertisements === 'ignore' ? null : groundsOf(planned, this.#port.paths()));
  }

  // ---- what outlives the process, and what is shown ----------------------------------------------------------------

  /** Deadlines as Unix ms. */
  drains(): Readonly<Record<PathKey, number | null>> {
    const wall = [...this.#flows.drains].map(([key, untilMs]) => [key, untilMs === null ? null : this.#wall(untilMs)]);
    return Object.fromEntries(wall);
  }

  usage(): Readonly<Record<string, SavedUsage>> {
    return this.#metering.saved;
  }

  get lastDrillWallMs(): number | null {
    return this.#drill.lastDrillWallMs;
  }

  drainingOn(path: Path): { readonly open: number | null; readonly untilWallMs: number | null } | null {
    const drain = this.#flows.drainOf(path.key);
    return drain === null ? null : { open: drain.open, untilWallMs: drain.untilMs === null ? null : this.#wall(drain.untilMs) };
  }

  usageView(uplink: string, nowMs: number): UsageView | null {
    return this.#metering.view(uplink, nowMs);
  }

  /** The interface that a metered uplink has not got to itself, so that its counters say nothing; null = they do, or none is known. */
  uncountedOn(uplink: string): string | null {
    return this.#uncounted.get(uplink) ?? null;
  }

  drillView(nowMs: number): DrillView | null {
    return this.#drill.view(nowMs);
  }

  rogueViews(): readonly RogueView[] {
    return this.#rogues.view();
  }

  // ------------------------------------------------------------------------------------------------------------------

  #wall(monotonicMs: number): number {
    return Math.round(this.#port.around.wallMs(monotonicMs));
  }

  #drilled(changed: boolean): void {
    if (!changed) return;
    this.#port.choose();
    this.#port.save();
  }

  #pace(nowMs: number): void {
    for (const path of this.#port.paths()) {
      if (path.detector.isRationed) {
        this.#unhurried.set(path.key, nowMs + UNHURRIED_MS);
        const text = `${path.uplink.name} answers only some of what is asked so often: asked at its usual pace for a day`;
        this.#port.record(recordOf('target', 'info', text, path, {}));
      }
      path.detector.askEvery(this.#intervalMs(path, nowMs), nowMs);
    }
  }

  /** Each path at its usual interval, or more often while it is restless and what it does decides where traffic goes. */
  #intervalMs(path: Path, nowMs: number): number {
    const { uplink } = path;
    const restless = uplink.failAfterMs === null && uplink.metered === null && nowMs < path.silences.restlessUntilMs;
    const hurry = restless && this.#matters(path) && nowMs >= (this.#unhurried.get(path.key) ?? Number.NEGATIVE_INFINITY);
    return hurry ? restlessIntervalMs(uplink, this.#config.switchCostMs) : this.#metering.intervalMs(uplink);
  }

  /** It carries traffic, or would if it were good: who watches the one less closely than the other learns wrongly how they differ. */
  #matters({ uplink, family }: Path): boolean {
    const choice = this.#port.families().find((one) => one.family === family);
    const names = this.#config.uplinks.map(({ name }) => name);
    const inUse = names.indexOf(choice?.active ?? '');
    return names.indexOf(uplink.name) <= inUse || choice?.sharing.some((one) => one.uplink === uplink.name) === true;
  }

  #countFor(uplink: string, family: Family): number | null {
    const path = this.#port.paths().find((p) => p.uplink.name === uplink && p.family === family);
    return path === undefined || this.#config.connections === null ? null : this.#flows.countFor(path);
  }

  #scene(): DrillScene {
    const families = this.#port.families();
    const wish = this.#drill.wish;
    return {
      paths: this.#port.paths(),
      families,
      adminOf: (uplink) => this.#port.adminOf(uplink),
      closed: (uplink) => this.#metering.closed(uplink),
      draining: (uplink) => this.#port.paths().some((p) => p.uplink.name === uplink && this.#flows.drainOf(p.key) !== null),
      // What only the drill itself lets in is no use of its own.
      shares: (uplink, family) =>
        wish?.uplink !== uplink && families.some((f) => f.family === family && f.sharing.some((s) => s.uplink === uplink)),
    };
  }

  #flowsConfig(): FlowsConfig {
    const { connections, kernel, via, lanPrefix } = this.#config;
    // A delegated one becomes known, and changes, at any time.
    const prefixes = (): string[] =>
      this.#port.paths().flatMap((path) => {
        const prefix = path.family === 6 ? prefixOf(path, lanPrefix, (device) => this.#port.delegatedPrefix(device)) : null;
        return prefix === null ? [] : [prefix];
      });
    return { policy: connections, numbers: kernel, via, prefixes };
  }
}

function groundsOf(planned: readonly PlanPath[], paths: readonly Path[]): UplinkGround[] {
  const devices = new Set(planned.flatMap((p) => (p.place === null ? [] : [p.place.interface])));
  return [...devices].map((device) => {
    const mine = planned.filter((p) => p.place?.interface === device);
    const routers = mine.flatMap(({ family, slot, place }) => {
      const uplink = paths.find((p) => p.slot === slot)?.uplink.name;
      if (family !== 6 || place === null || place.gateway === null || uplink === undefined) return [];
      return [{ uplink, address: place.gateway, mac: place.mac }];
    });
    return { interface: device, shared: mine.some((p) => p.place?.own === false), routers };
  });
}
