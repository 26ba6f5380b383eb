/**
 * All paths of a configuration: built, rebuilt on reload with the state of the unchanged ones, found in the kernel's links,
 * and allowed to probe while the kernel steers them. Knows which probe belongs to which path. Decides nothing about health
 * or choice.
 */
import type { Agenda } from '../agenda.js';
import { type Config, probeMark, tableOf } from '../config.js';
import type { Target } from '../detect/target.js';
import type { UplinkHint } from '../hint.js';
import type { KernelState, RouteState } from '../kernel.js';
import type { SavedState, Surroundings } from '../messages.js';
import type { Family, PathKey } from '../model.js';
import { sameAddress, splitZone } from '../net.js';
import { lansOf } from '../plan/plan-input.js';
import type { ProbeAsk } from '../probe.js';
import { Path, type PathPort, type PathSight } from './path.js';
import { judgementOptions, Silences } from './silences.js';
import { assignSlots, slotsGiven } from './slots.js';

export interface PathSetPort {
  readonly agenda: Agenda;
  readonly around: Surroundings;
  send(path: Path, ask: ProbeAsk): void;
  /** the sockets of this path are stale */
  forget(path: PathKey): void;
  assess(path: Path, nowMs: number): void;
  suspected(path: Path, nowMs: number): void;
  /** `gateway: auto` found another next hop, or lost it */
  gatewayFound(path: Path): void;
  /** whether traffic could go by it as far as orders are concerned */
  mayCarry(path: Path): boolean;
  /** keep this name resolved; gives the last good address */
  wantName(name: string, family: Family): string | null;
}

export class PathSet {
  readonly #port: PathSetPort;
  readonly #restored: SavedState | null;
  readonly #paths = new Map<PathKey, Path>();
  /** which path a probe under way belongs to */
  readonly #owners = new Map<number, Path>();
  readonly #hints = new Map<string, UplinkHint>();
  readonly #lans = new Set<string>();
  #slots: ReadonlyMap<string, number> = new Map();
  /** those of uplinks that have left the file too */
  #slotsGiven: ReadonlyMap<string, number> = new Map();
  #config: Config;
  #nextProbeId = 1;

  constructor(config: Config, restored: SavedState | null, port: PathSetPort) {
    this.#config = config;
    this.#restored = restored;
    this.#port = port;
  }

  get slots(): ReadonlyMap<string, number> {
    return this.#slots;
  }

  /** Interfaces on which a LAN was seen. */
  get lans(): ReadonlySet<string> {
    return this.#lans;
  }

  /** In order of preference. */
  all(): readonly Path[] {
    return [...this.#paths.values()];
  }

  of(family: Family): readonly Path[] {
    return this.all().filter((p) => p.family === family);
  }

  get(uplink: string, family: Family): Path | undefined {
    return this.#paths.get(`${uplink}/${family}`);
  }

  /** Builds the paths of a configuration; those whose probing it does not change go on as they are. */
  build(config: Config, nowMs: number): void {
    this.#config = config;
    this.#slots = assignSlots(
      config.uplinks.map((u) => u.name),
      this.#slotsGiven,
      this.#restored?.slots ?? {},
    );
    this.#slotsGiven = slotsGiven(this.#slotsGiven, this.#slots);
    const former = new Map(this.#paths);
    this.#paths.clear();
    for (const [place, uplink] of config.uplinks.entries()) {
      const learning = judgementOptions(uplink, config.uplinks.slice(place + 1), config.switchCostMs);
      for (const { family } of uplink.gateways) {
        const same = former.get(`${uplink.name}/${family}`);
        same?.silences.reconfigure(learning);
        const failures = same?.failures(nowMs) ?? this.#restored?.failures[`${uplink.name}/${family}`]?.count ?? 0;
        if (same?.sameProbing(uplink)) {
          former.delete(same.key);
          same.uplink = uplink;
          this.#paths.set(same.key, same);
          continue;
        }
        const key: PathKey = `${uplink.name}/${family}`;
        const silences = same?.silences ?? new Silences(learning, this.#restored?.silences?.[key] ?? null);
        silences.interrupted(nowMs);
        const last = same?.auto?.current?.address ?? this.#restored?.gateways?.[key] ?? null;
        const path = new Path(uplink, family, this.#slots.get(uplink.name) ?? 0, this.#pathPort(), silences, nowMs, last);
        for (const hint of this.#hints.values()) path.hear(hint);
        // Time in which nobody watched forgives nothing.
        path.holdDown = { failures, goodSinceMs: null };
        this.#paths.set(path.key, path);
      }
    }
    for (const gone of former.values()) {
      gone.dispose();
      this.forget(gone);
    }
    for (const path of this.#paths.values()) {
      for (const name of path.names()) {
        const address = this.#port.wantName(name, path.family);
        if (address !== null) path.resolved(name, [address]);
      }
    }
  }

  /** The path that asked, once per probe. */
  take(id: number): Path | null {
    const path = this.#owners.get(id) ?? null;
    this.#owners.delete(id);
    return path;
  }

  forget(path: Path): void {
    this.#port.forget(path.key);
    // Their probes end without an outcome.
    for (const [id, owner] of this.#owners) if (owner === path) this.#owners.delete(id);
  }

  /** What somebody says of an interface: `locate` tells what it changes. @returns whether it concerns any path */
  hear(hint: UplinkHint): boolean {
    const key = `${hint.interface}/${hint.family}/${hint.source}`;
    const prefix = this.delegatedPrefix(hint.interface);
    this.#hints.delete(key);
    this.#hints.set(key, hint);
    const heard = this.all().filter((path) => path.hear(hint)).length > 0;
    const delegated = prefix !== this.delegatedPrefix(hint.interface);
    return heard || (delegated && this.all().some((path) => path.uplink.prefix === 'auto' && path.isOn(hint.interface)));
  }

  /** The prefix delegated to us on this interface, as last said. */
  delegatedPrefix(device: string | null): string | null {
    return [...this.#hints.values()].findLast((hint) => hint.interface === device && hint.prefix !== null)?.prefix ?? null;
  }

  /**
   * Looks for every gateway in a new snapshot.
   * @param displaced foreign defaults that we took the place of
   */
  locate(state: KernelState, displaced: readonly RouteState[], nowMs: number): void {
    for (const path of this.#paths.values()) {
      const sibling = this.get(path.uplink.name, path.family === 4 ? 6 : 4);
      const faultBefore = path.linkFault;
      const gatewayBefore = path.auto?.current ?? null;
      const ownProtocol = this.#config.kernel.protocol;
      const sight: PathSight = { state, hint: sibling?.interface ?? null, ownProtocol, displaced };
      const interfaceBefore = path.interface;
      let moved = path.locate(sight);
      // Hints name the interface as the kernel does, the file perhaps by another name of it.
      if (path.auto !== null && path.interface !== interfaceBefore && path.interface !== path.uplink.interface) {
        for (const said of this.#hints.values()) path.hear(said);
        moved = path.locate(sight) || moved;
      }
      if (path.auto !== null && path.auto.current?.address !== gatewayBefore?.address) this.#port.gatewayFound(path);
      if (moved) path.mac = null;
      path.noteNeighbour(state);
      if (moved || (faultBefore !== null && path.linkFault === null)) this.forget(path);
      if (moved) path.detector.stop();
      if (faultBefore !== path.linkFault || path.verdict.health === 'unknown') this.#port.assess(path, nowMs);
    }
    for (const name of lansOf(this.all(), state)) this.#lans.add(name);
  }

  /** An event near a path asks for a look at once: its addresses or routes changed, or its gateway's neighbour entry failed. */
  recheck(before: KernelState, after: KernelState, nowMs: number): void {
    for (const path of this.#paths.values()) if (touches(path, before, after)) path.detector.recheck(nowMs);
  }

  /** Probes leave only while rule, table and guard of their path are known to stand: otherwise they could take another way. */
  steer(steered: (family: Family, table: number) => boolean, nowMs: number): void {
    for (const path of this.#paths.values()) {
      path.steered = steered(path.family, tableOf(this.#config.kernel, path.slot));
      path.probeIfPossible(nowMs);
    }
  }

  /** @returns whether any path took the address */
  resolved(name: string, family: Family, address: string): boolean {
    const changed = this.of(family).filter((path) => path.resolved(name, [address]));
    for (const path of changed) {
      this.forget(path);
      path.detector.stop();
    }
    return changed.length > 0;
  }

  #pathPort(): PathPort {
    return {
      agenda: this.#port.agenda,
      random: this.#port.around.random,
      ask: (path, target, giveUpMs, _nowMs, regular) => this.#ask(path, target, giveUpMs, regular),
      changed: (path, nowMs) => this.#port.assess(path, nowMs),
      suspected: (path, nowMs) => this.#port.suspected(path, nowMs),
      lossElsewhere: (path, nowMs) => this.#lossElsewhere(path, nowMs),
    };
  }

  #lossElsewhere(path: Path, nowMs: number): number {
    const others = this.of(path.family).filter((other) => {
      const works = other.verdict.health === 'up' || other.verdict.health === 'degraded';
      return other !== path && works && other.connected && !other.doubtful && this.#port.mayCarry(other);
    });
    return Math.min(1, ...others.map((other) => other.figures(nowMs).loss ?? 0));
  }

  #ask(path: Path, target: Target, giveUpMs: number, regular: boolean): number {
    const id = this.#nextProbeId;
    this.#nextProbeId += 1;
    this.#owners.set(id, path);
    const mark = probeMark(this.#config.kernel, path.slot);
    this.#port.send(path, {
      id,
      path: path.probePath(mark, this.#deviceOf(path)),
      question: target.spec.question,
      address: splitZone(target.spec.address ?? '')[0],
      giveUpMs,
      sample: regular ? target.spec.label : null,
    });
    return id;
  }

  /** The device a probe is bound to, where the uplink has it for itself. */
  #deviceOf(path: Path): string | null {
    for (const other of this.#paths.values()) {
      if (other !== path && other.family === path.family && other.interface === path.interface) return null;
    }
    return path.interface;
  }
}

function touches(path: Path, before: KernelState, after: KernelState): boolean {
  return (
    addressesOf(path, before) !== addressesOf(path, after) ||
    routesOf(path, before) !== routesOf(path, after) ||
    (gatewayFailed(path, after) && !gatewayFailed(path, before))
  );
}

function routesOf(path: Path, state: KernelState): string {
  const mine = state.routes.filter((r) => r.family === path.family && r.nexthops.some((hop) => hop.ifindex === path.ifindex));
  return mine
    .map((r) => `${r.table} ${r.destination} ${r.metric} ${r.protocol} ${r.nexthops.map((hop) => hop.gateway).join()}`)
    .sort()
    .join('\n');
}

function addressesOf(path: Path, state: KernelState): string {
  const mine = state.addresses.filter((a) => a.ifindex === path.ifindex && a.family === path.family);
  return mine.map((a) => `${a.address}/${a.prefixLength}`).join(' ');
}

function gatewayFailed(path: Path, state: KernelState): boolean {
  const gateway = path.gateway === null ? null : splitZone(path.gateway)[0];
  return state.neighbours.some(
    (n) => n.ifindex === path.ifindex && n.state === 'failed' && gateway !== null && sameAddress(n.address, gateway),
  );
}
