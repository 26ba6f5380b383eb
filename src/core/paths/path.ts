/**
 * One uplink in one family: where it is, how it is, and what is remembered of it. The engine moves the paths; a path
 * knows neither the others nor the choice between them. Longer than most: one state; what can be said of it by a function stands beside
 * (topology, trouble, rest).
 */
import type { Agenda } from '../agenda.js';
import type { GatewayRef, UplinkConfig } from '../config.js';
import { Detector, type DetectorPort } from '../detect/detector.js';
import { assessHealth, type PathFigures, pathFigures, type Verdict } from '../detect/health.js';
import {
  demandedMs,
  failed,
  failuresLeft,
  type HoldDown,
  leftMs,
  neverFailed,
  recovered,
  startedOver,
  unwatched,
} from '../detect/hold-down.js';
import type { Target, TargetAddress } from '../detect/target.js';
import type { UplinkHint } from '../hint.js';
import type { KernelState, Nexthop } from '../kernel.js';
import { type Family, type PathKey, pathKey, type Reason } from '../model.js';
import { sameAddress, splitZone } from '../net.js';
import type { ProbePath } from '../probe.js';
import { AutoGateway } from './auto-gateway.js';
import type { EndedSilence, Silences } from './silences.js';
import { linkNamed, onlinkHops, placeGateway, type RouteSight } from './topology.js';
import { troubleNow } from './trouble.js';

/** So long a gateway's name may take before its path counts as down. */
const NAME_PATIENCE_MS = 1_000;

export interface PathPort {
  readonly agenda: Agenda;
  readonly random: () => number;
  ask(path: Path, target: Target, giveUpMs: number, nowMs: number, regular: boolean): number;
  changed(path: Path, nowMs: number): void;
  suspected(path: Path, nowMs: number): void;
  /** share of the packets that the best other path loses; 1 = there is none that could take the traffic */
  lossElsewhere(path: Path, nowMs: number): number;
}

/** A new snapshot, and whose the routes in it are. */
export interface PathSight extends RouteSight {
  /** the interface of the same uplink's other family, for a link-local gateway without a zone */
  readonly hint: string | null;
}

/** What happened to a path in one assessment. */
export interface HealthChange {
  readonly from: Verdict;
  readonly to: Verdict;
  /** how long the former health had lasted */
  readonly durationMs: number;
}

export interface Assessment {
  readonly change: HealthChange | null;
  /** over by now, whether it was borne or not */
  readonly silence: EndedSilence | null;
}

/** While a silence is borne its end is noticed within half of this on average. */
const WATCHED_PACE_MS = 200;

export class Path {
  readonly key: PathKey;
  readonly family: Family;
  readonly slot: number;
  uplink: UplinkConfig;
  readonly detector: Detector;
  readonly #gatewayHost: GatewayRef;

  /** address of the gateway; null until its name resolves, and where the link has only one other end */
  gateway: string | null;
  /** with `gateway: auto` */
  readonly auto: AutoGateway | null;
  interface: string | null = null;
  ifindex: number | null = null;
  /** the gateway's, as last seen; null = never seen */
  mac: string | null = null;
  /** the kernel takes routes through it */
  connected = false;
  /** its route has to say `onlink`: no network of the link needs to hold the gateway */
  onlink = false;
  linkFault: Reason | null = 'no-address';
  /** the gateway's name has been asked for, and the answer may still come */
  #awaitsName = false;
  readonly #changed: (nowMs: number) => void;
  /** rule, table and guard stand in the kernel: a probe cannot take another way */
  steered = false;
  /** no choice before this time: the kernel has just refused its route */
  refusedUntilMs = Number.NEGATIVE_INFINITY;

  verdict: Verdict = { health: 'unknown', reason: 'starting' };
  sinceMs: number;
  holdDown: HoldDown = neverFailed;
  readonly silences: Silences;
  /** a trouble has been borne long enough */
  #patienceOver = false;
  #awaitedHoldEndMs = Number.NEGATIVE_INFINITY;
  readonly #lossElsewhere: (nowMs: number) => number;

  /** @param lastGateway what `gateway: auto` found in an earlier run */
  constructor(
    uplink: UplinkConfig,
    family: Family,
    slot: number,
    port: PathPort,
    silences: Silences,
    nowMs: number,
    lastGateway: string | null = null,
  ) {
    this.silences = silences;
    this.#lossElsewhere = (at) => port.lossElsewhere(this, at);
    this.key = pathKey(uplink.name, family);
    this.family = family;
    this.slot = slot;
    this.uplink = uplink;
    this.sinceMs = nowMs;
    const gateway = uplink.gateways.find((g) => g.family === family);
    if (gateway === undefined) throw new Error(`uplink ${uplink.name} has no IPv${family} gateway`);
    this.#gatewayHost = gateway.host;
    this.gateway = gateway.host.kind === 'address' ? gateway.host.address : null;
    this.auto = gateway.host.kind === 'auto' ? new AutoGateway(family, lastGateway) : null;
    this.#changed = (at) => port.changed(this, at);
    if (gateway.host.kind === 'name') {
      this.#awaitsName = true;
      port.agenda.at(nowMs + NAME_PATIENCE_MS, (at) => {
        if (!this.#awaitsName) return;
        this.#awaitsName = false;
        this.#changed(at);
      });
    }
    const detectorPort: DetectorPort = {
      agenda: port.agenda,
      random: port.random,
      ask: (target, giveUpMs, now, regular) => port.ask(this, target, giveUpMs, now, regular),
      changed: (now) => port.changed(this, now),
      suspected: (now) => port.suspected(this, now),
    };
    const targets = targetsOf(uplink, family);
    const gatewayTarget: TargetAddress = { label: 'gateway', question: { kind: 'icmp' }, address: this.gateway };
    this.detector =
      targets.length === 0
        ? new Detector([gatewayTarget], null, uplink.probe, 1, detectorPort)
        : new Detector(targets, gatewayTarget, uplink.probe, uplink.quorum, detectorPort);
  }

  /** Names that must be resolved for this path. */
  names(): string[] {
    const hosts = [
      this.#gatewayHost,
      ...this.uplink.targets.filter((t) => t.host.kind === 'name' || t.host.family === this.family).map((t) => t.host),
    ];
    return [...new Set(hosts.flatMap((h) => (h.kind === 'name' ? [h.name] : [])))];
  }

  /**
   * Takes resolved addresses in. The address in use is kept while it is still among them.
   * @returns whether the gateway or any target got another address
   */
  resolved(name: string, addresses: readonly string[]): boolean {
    let changed = false;
    const pick = (current: string | null): string | null => {
      if (current !== null && addresses.includes(current)) return current;
      changed = true;
      return addresses[0] ?? current;
    };
    if (this.#gatewayHost.kind === 'name' && this.#gatewayHost.name === name) {
      this.gateway = pick(this.gateway);
      this.#awaitsName = false;
      const asked = this.detector.gateway ?? this.detector.targets[0];
      if (asked !== undefined) asked.spec.address = this.gateway;
    }
    const named = this.uplink.targets.filter((t) => t.host.kind === 'name' || t.host.family === this.family);
    named.forEach((target, i) => {
      const mine = this.detector.targets[i];
      if (target.host.kind === 'name' && target.host.name === name && mine !== undefined)
        mine.spec.address = pick(mine.spec.address);
    });
    if (changed) this.detector.addressesChanged();
    return changed;
  }

  /** Somebody said that the name does not resolve: no use in waiting for it any longer. */
  nameFailed(name: string, nowMs: number): void {
    if (!this.#awaitsName || this.#gatewayHost.kind !== 'name' || this.#gatewayHost.name !== name) return;
    this.#awaitsName = false;
    this.#changed(nowMs);
  }

  /** What somebody else says of its interface. @returns whether it concerns this path */
  hear(hint: UplinkHint): boolean {
    if (this.auto === null || hint.family !== this.family || !this.isOn(hint.interface)) return false;
    this.auto.hear(hint);
    return true;
  }

  /** Whether it is on this interface: by the name that the file has for it, or by that under which it was found. */
  isOn(device: string): boolean {
    return device === this.uplink.interface || device === this.interface;
  }

  /** Looks for the gateway in a new snapshot. @returns whether the path now is on another link, or at another gateway, than before */
  locate(sight: PathSight): boolean {
    const { state, hint } = sight;
    if (this.auto !== null) return this.#locateAuto(this.auto, sight);
    if (this.gateway === null) {
      this.linkFault = 'gateway-unresolved';
      this.connected = false;
      return false;
    }
    const place = placeGateway(state, {
      family: this.family,
      gateway: this.gateway,
      wanted: this.uplink.interface,
      lastKnown: this.interface,
      hint,
      onlink: onlinkHops(sight, this.family),
    });
    this.linkFault = place.fault;
    this.connected = place.connected;
    this.onlink = place.onlink;
    if (place.link === null) {
      const lost = this.ifindex !== null;
      this.ifindex = null;
      return lost;
    }
    const moved = this.ifindex !== place.link.index;
    this.ifindex = place.link.index;
    this.interface = place.link.name;
    return moved;
  }

  /** What its gateway's neighbour entry says; entries come and go, the router stays the same. */
  noteNeighbour(state: KernelState): void {
    const gateway = this.gateway === null ? null : splitZone(this.gateway)[0];
    if (gateway === null) return;
    const entry = state.neighbours.find((n) => n.ifindex === this.ifindex && n.mac !== null && sameAddress(n.address, gateway));
    this.mac = entry?.mac ?? this.mac;
  }

  #locateAuto(auto: AutoGateway, sight: PathSight): boolean {
    const { state } = sight;
    const link = linkNamed(state, this.uplink.interface);
    const before = { ifindex: this.ifindex, gateway: this.gateway };
    this.connected = false;
    this.onlink = false;
    this.ifindex = link?.index ?? null;
    this.interface = link?.name ?? this.interface;
    if (link === null) {
      this.linkFault = 'interface-gone';
      return before.ifindex !== null;
    }
    auto.see({ ...sight, link });
    const found = auto.current;
    this.gateway = found?.address ?? null;
    const here = state.addresses.filter((a) => a.ifindex === link.index && a.family === this.family);
    if (!link.adminUp || !link.carrier) this.linkFault = 'carrier-lost';
    else if (found === null) this.linkFault = this.family === 4 && here.length === 0 ? 'no-address' : 'no-gateway';
    else this.linkFault = null;
    if (found !== null && found.address !== null) {
      const place = placeGateway(state, {
        family: this.family,
        gateway: found.address,
        wanted: link.name,
        lastKnown: link.name,
        hint: null,
        onlink: onlinkHops(sight, this.family),
      });
      this.connected = place.connected;
      this.onlink = place.onlink;
      this.linkFault = place.fault;
    } else if (found !== null) {
      this.connected = link.adminUp;
    }
    // Without a router's address the other end of the link is what can be watched of it.
    const watched = this.gateway ?? here.find((a) => a.peer !== null)?.peer ?? null;
    const asked = this.detector.gateway ?? (this.uplink.targets.length === 0 ? this.detector.targets[0] : undefined);
    if (asked !== undefined && asked.spec.address !== watched) {
      asked.spec.address = watched;
      this.detector.addressesChanged();
    }
    return before.ifindex !== this.ifindex || (before.gateway !== this.gateway && before.gateway !== null);
  }

  /** How a probe has to leave. Only meaningful while the path has an interface. */
  probePath(mark: number, device: string | null): ProbePath {
    return { key: this.key, family: this.family, mark, device, interface: this.interface ?? '' };
  }

  /** `hop` of the plan: null while no route through it can stand. */
  hop(): { ifindex: number; interface: string; gateway: string | null; onlink: boolean } | null {
    if (!this.connected || this.ifindex === null || this.interface === null) return null;
    if (this.gateway === null && this.auto === null) return null;
    return {
      ifindex: this.ifindex,
      interface: this.interface,
      gateway: this.gateway === null ? null : splitZone(this.gateway)[0],
      onlink: this.onlink,
    };
  }

  /** Whether this next hop is its own. */
  isBehind(hop: Nexthop): boolean {
    if (hop.ifindex !== this.ifindex) return false;
    if (hop.gateway === null || this.gateway === null) return hop.gateway === this.gateway;
    return sameAddress(hop.gateway, this.gateway);
  }

  figures(nowMs: number): PathFigures {
    return pathFigures(this.detector.targets, this.uplink.quorum, this.uplink.probe.windowSamples, nowMs);
  }

  get good(): boolean {
    return this.verdict.health === 'up' || (this.verdict.health === 'degraded' && !this.yields);
  }

  /** Degraded so that traffic leaves it for a better one. What is lost is borne as long as a silence of that share would be. */
  get yields(): boolean {
    if (this.verdict.health !== 'degraded' || this.uplink.degraded.policy === 'keep') return false;
    return this.verdict.reason !== 'loss-high' || this.uplink.failAfterMs !== null || this.#patienceOver;
  }

  /** When a trouble being borne will have lasted long enough; null while none is. */
  patienceEndsMs(): number | null {
    if (this.detector.suspended || this.verdict.health === 'down') return null;
    const silent = this.detector.state === 'silent' || this.detector.state === 'recovering';
    if (this.uplink.failAfterMs === null) {
      const lossy = this.verdict.reason === 'loss-high' && !this.#patienceOver;
      return silent || lossy ? this.silences.patienceEndsMs() : null;
    }
    return silent ? (this.detector.silentSinceMs ?? 0) + this.uplink.failAfterMs : null;
  }

  /** Draws the conclusion from everything known. */
  assess(nowMs: number): Assessment {
    const wasGood = this.good;
    const from = this.verdict;
    const silence = this.#learn(from.reason === 'loss-high', nowMs);
    const patienceEndsMs = this.patienceEndsMs();
    const figures = (): PathFigures => this.figures(nowMs);
    const to = assessHealth(
      from,
      {
        linkFault: this.#awaitsName ? null : this.linkFault,
        detector: this.detector.state,
        patienceOver: patienceEndsMs !== null && nowMs >= patienceEndsMs,
        silentReason: this.detector.reason,
        // Only a path that answers is judged by them.
        get figures() {
          return figures();
        },
      },
      this.uplink.degraded,
    );
    this.verdict = to;
    const lossy = to.reason === 'loss-high';
    const lossyOver = lossy !== (from.reason === 'loss-high') ? this.#learn(lossy, nowMs) : null;
    const endsMs = this.patienceEndsMs();
    this.#patienceOver = lossy && (this.#patienceOver || (endsMs !== null && nowMs >= endsMs));
    if (to.health === 'down') this.detector.accepted();
    if (wasGood && !this.good) this.holdDown = failed(this.holdDown, this.uplink.holdDown, nowMs);
    // The first verdict of all, when it is bad, makes the path a failed one too: its return must be proven like any other.
    else if (from.health === 'unknown' && to.health === 'down' && this.holdDown.failures === 0) {
      this.holdDown = failed(this.holdDown, this.uplink.holdDown, nowMs);
    }
    // Good without a break: a silence that is only borne makes the wait begin anew, or a link that blips would count as well.
    if (this.good && this.silences.trouble !== null && (this.holdDownLeftMs(nowMs) ?? 0) > 0) {
      this.holdDown = startedOver(this.holdDown, this.uplink.holdDown, nowMs);
    } else if (this.good && this.silences.trouble === null) this.holdDown = recovered(this.holdDown, nowMs);
    const over = silence ?? lossyOver;
    if (from.health === to.health && from.reason === to.reason) return { change: null, silence: over };
    const durationMs = nowMs - this.sinceMs;
    if (from.health !== to.health) this.sinceMs = nowMs;
    return { change: { from, to, durationMs }, silence: over };
  }

  /** Tells what is seen to those who learn from it. */
  #learn(lossy: boolean, nowMs: number): EndedSilence | null {
    const trouble = troubleNow({
      nowMs,
      linkFault: this.linkFault !== null,
      known: !this.#awaitsName && (this.verdict.health !== 'unknown' || this.silences.trouble !== null),
      detector: this.detector,
      lossy,
      figures: () => this.figures(nowMs),
      lossElsewhere: () => this.#lossElsewhere(nowMs),
      windowSamples: this.uplink.probe.windowSamples,
    });
    if (trouble === 'as-before') return null;
    const paceMs = this.verdict.health === 'down' ? this.detector.intervalMs : WATCHED_PACE_MS;
    return this.silences.see(trouble, nowMs - paceMs / 2, this.detector.lostShare);
  }

  unwatched(spanMs: number, nowMs: number): void {
    this.holdDown = unwatched(this.holdDown, spanMs);
    this.silences.interrupted(nowMs);
  }

  /** Why the present trouble is borne for so long; null where the file says how long, or there is none. */
  patienceGround(): string | null {
    return this.uplink.failAfterMs === null && this.silences.trouble !== null ? this.silences.patience(0).ground : null;
  }

  /** Why it stays away for so long; null where the file says how long. */
  holdGround(): string | null {
    return this.uplink.recoverAfterMs === null ? this.silences.holdGround() : null;
  }

  failures(nowMs: number): number {
    return failuresLeft(this.holdDown, this.uplink.holdDown, nowMs);
  }

  holdDownLeftMs(nowMs: number): number | null {
    return leftMs(this.holdDown, this.holdDownMs(), nowMs);
  }

  /** The good time that failback demands: nothing of a path that never failed. */
  holdDownMs(): number {
    const { failures } = this.holdDown;
    if (failures === 0) return 0;
    if (this.uplink.recoverAfterMs === null) return this.silences.holdMs();
    return demandedMs(failures, this.uplink.recoverAfterMs, this.uplink.holdDown);
  }

  /** When a hold-down is over that nobody waits for yet; null = none, or somebody does. */
  holdDownEndsToWaitFor(nowMs: number): number | null {
    const leftMs = this.good ? this.holdDownLeftMs(nowMs) : null;
    if (leftMs === null || leftMs === 0) return null;
    const endsMs = nowMs + leftMs;
    if (Math.abs(endsMs - this.#awaitedHoldEndMs) < 1) return null;
    this.#awaitedHoldEndMs = endsMs;
    return endsMs;
  }

  /** Whether traffic may come back to it while the present choice still works. */
  held(nowMs: number): boolean {
    return this.good && this.holdDownLeftMs(nowMs) === 0;
  }

  /** A burst runs on it, or a silence is being borne. */
  get doubtful(): boolean {
    return this.detector.state !== 'answering' && this.verdict.health !== 'unknown';
  }

  get suspicion(): 'none' | 'suspect' | 'silent' {
    if (this.detector.state === 'suspect') return 'suspect';
    return this.detector.state === 'silent' && this.verdict.health !== 'down' ? 'silent' : 'none';
  }

  /** Starts or stops asking, as what is known of link and kernel allows. */
  probeIfPossible(nowMs: number): void {
    const possible = this.linkFault === null && this.steered;
    if (!possible && this.detector.state !== 'idle') this.detector.stop();
    else if (possible && this.detector.state === 'idle') this.detector.start(nowMs);
  }

  dispose(): void {
    this.detector.stop();
  }

  /** Whether a new configuration leaves everything that the detector depends on as it was. */
  sameProbing(uplink: UplinkConfig): boolean {
    const essence = (u: UplinkConfig): string => JSON.stringify([u.gateways, u.interface, u.targets, u.probe, u.quorum]);
    return essence(uplink) === essence(this.uplink);
  }
}

function targetsOf(uplink: UplinkConfig, family: Family): TargetAddress[] {
  return uplink.targets
    .filter((t) => t.host.kind === 'name' || t.host.family === family)
    .map(({ label, host, ...question }) => ({ label, question, address: host.kind === 'address' ? host.address : null }));
}
