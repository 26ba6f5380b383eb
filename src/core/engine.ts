/**
 * The heart: events in, effects out. It owns the paths, the choice of each family and the keeper of the kernel, and is the
 * only place where these meet. Pure: time, randomness and everything that happens come in as arguments.
 */
import { Agenda } from './agenda.js';
import { type Config, MAX_UPLINKS, probeMark, tableOf } from './config.js';
import { formatDuration } from './describe.js';
import { mainDefaults } from './diff.js';
import { Keeper } from './keeper.js';
import type { KernelState, SnapshotRequest } from './kernel.js';
import type { Command, Effect, Event, HistoryRecord, SavedState, StallCause, StatusView, Surroundings } from './messages.js';
import { type Admin, type Family, type PathKey, type Reason, reasonText } from './model.js';
import { Names } from './names.js';
import { sameAddress, splitZone } from './net.js';
import { type HealthChange, Path, type PathPort } from './path.js';
import { FIRST_METRIC, sysctlKeys } from './plan.js';
import { type Candidate, selectUplink } from './selector.js';
import type { Target } from './target.js';
import { buildView } from './view.js';

/** A timer this late means that the process did not run: what was outstanding proves nothing. */
const STALL_MS = 250;
/** Even without any notification the kernel is read again after this. */
const SLOW_READ_MS = 30_000;
/** A route that the kernel refused makes its uplink no choice for so long. */
const REFUSED_MS = 5_000;
/** Loss and latency are looked at this often. */
const FIGURES_EVERY_MS = 1_000;
/** All uplinks silent within this span of each other: the fault is probably on our side. */
const TOGETHER_MS = 5_000;
/** A target is told dead when it was silent for this long and for five intervals while its uplink lived. */
const DEAD_TARGET_MS = 5_000;

const FAMILIES: readonly Family[] = [4, 6];

/** The choice of one family. */
export interface FamilyState {
  readonly family: Family;
  active: string | null;
  reason: Reason;
  sinceMs: number;
  /** all uplinks silent at once has been told */
  localTold: boolean;
}

export class Engine {
  #config: Config;
  readonly #around: Surroundings;
  readonly #agenda = new Agenda();
  readonly #paths = new Map<PathKey, Path>();
  readonly #families: readonly FamilyState[];
  readonly #names: Names;
  readonly #keeper: Keeper;
  readonly #slots = new Map<string, number>();
  readonly #probeOwner = new Map<number, Path>();
  readonly #restored: SavedState | null;
  #forced: string | null;
  #disabled: Set<string>;
  #nextProbeId = 1;
  #out: Effect[] = [];
  #dueMs: number | null = null;
  #started = false;
  #choose = false;
  #plan = false;
  #seenAnew = false;
  #save = false;
  /** route operations handed out whose results are not back */
  #applying = 0;
  #now = 0;

  constructor(config: Config, surroundings: Surroundings, saved: SavedState | null) {
    this.#config = config;
    this.#around = surroundings;
    this.#restored = saved;
    this.#forced = saved?.forced ?? null;
    this.#disabled = new Set(saved?.disabled ?? []);
    this.#families = FAMILIES.map((family) => ({ family, active: null, reason: 'starting', sinceMs: 0, localTold: false }));
    this.#names = new Names(saved?.names ?? {}, this.#agenda, (name, family) => this.#emit({ type: 'resolve', name, family }));
    const sameBoot = saved !== null && saved.restore.bootId === surroundings.bootId;
    const memory = sameBoot ? saved.restore : { bootId: surroundings.bootId, routes: [], sysctls: {}, hadDefault: [] };
    this.#keeper = new Keeper(memory, {
      apply: (ops) => {
        if (ops.some((op) => op.op !== 'nft-table')) this.#applying += 1;
        this.#emit({ type: 'apply', ops });
      },
      record: (record) => this.#record(record),
      remembered: () => {
        this.#save = true;
      },
      wakeAt: (atMs) => {
        this.#agenda.at(atMs, () => {
          this.#plan = true;
        });
      },
    });
  }

  /** The first effects. Nothing is changed in the kernel before it has been read once. */
  start(now: number): Effect[] {
    this.#now = now;
    for (const family of this.#families) family.sinceMs = now;
    this.#dropUnknownOrders();
    this.#buildPaths(now);
    this.#emit({ type: 'read-kernel', request: this.snapshotRequest() });
    this.#every(SLOW_READ_MS, now, () => this.#emit({ type: 'read-kernel', request: this.snapshotRequest() }));
    this.#every(FIGURES_EVERY_MS, now, (at) => this.#lookAtFigures(at));
    return this.#finish();
  }

  handle(event: Event, now: number): Effect[] {
    this.#now = now;
    if (event.type !== 'stalled' && this.#dueMs !== null && now - this.#dueMs > STALL_MS) {
      this.#stalled(this.#dueMs, now, 'process-stalled');
    }
    switch (event.type) {
      case 'timer':
        this.#agenda.runDue(now);
        break;
      case 'probe-answered':
        if (!event.duplicate) this.#take(event.id)?.detector.answered(event.id, event.rttMs, event.note, now);
        break;
      case 'probe-failed':
        this.#take(event.id)?.detector.failed(event.id, event.reason, event.detail, now);
        break;
      case 'kernel-seen':
        this.#kernelSeen(event.state, event.lost === true, now);
        break;
      case 'kernel-unreadable':
        this.#tell('kernel', 'error', `the kernel cannot be read: ${event.message}`);
        break;
      case 'ops-applied':
        this.#opsApplied(event.results, now);
        break;
      case 'stalled':
        this.#stalled(event.fromMs, event.toMs, event.cause);
        break;
      case 'command':
        this.#command(event.command);
        break;
      case 'config-reloaded':
        this.#reload(event.config, now);
        break;
      case 'name-resolved':
        this.#nameResolved(event.name, event.family, event.addresses, now);
        break;
      case 'name-failed':
        if (this.#names.failed(event.name, event.family, event.error, now)) {
          const last = this.#names.addressOf(event.name, event.family);
          const kept = last === null ? 'it has no address yet' : `its last address ${last} is kept`;
          this.#tell('name', 'warning', `${event.name} does not resolve (${event.error}): ${kept}`);
        }
        break;
      case 'stopping':
        this.#tell('stopping', 'info', 'stopping: the routes stay as they are');
        this.#save = true;
        break;
    }
    return this.#finish();
  }

  snapshotRequest(): SnapshotRequest {
    const interfaces = [...this.#paths.values()].flatMap((p) =>
      p.interface === null ? (p.uplink.interface ?? []) : p.interface,
    );
    const tables = Array.from({ length: MAX_UPLINKS }, (_, slot) => tableOf(this.#config.kernel, slot));
    const ipv6 = [...this.#paths.values()].filter((p) => p.family === 6).length > 1;
    return { tables, sysctls: sysctlKeys([...new Set(interfaces)]), nft: ipv6 && this.#config.sysctls === 'set' };
  }

  /** Whether every path that can be judged has its verdict. */
  settled(): boolean {
    return this.#keeper.state !== null && [...this.#paths.values()].every((p) => p.verdict.health !== 'unknown');
  }

  saved(): SavedState {
    const wall = (ms: number): number => Math.round(this.#around.wallMs(ms));
    const failures = [...this.#paths.values()].flatMap((p): [string, { count: number; lastWallMs: number }][] => {
      const count = p.failures(this.#now);
      return count === 0 ? [] : [[p.key, { count, lastWallMs: wall(this.#now) }]];
    });
    return {
      version: 1,
      slots: Object.fromEntries(this.#slots),
      forced: this.#forced,
      disabled: [...this.#disabled].sort(),
      names: this.#names.lastGood(),
      active: Object.fromEntries(
        this.#families.flatMap((f) =>
          f.active === null ? [] : [[f.family, { uplink: f.active, sinceWallMs: wall(f.sinceMs), reason: f.reason }]],
        ),
      ),
      failures: Object.fromEntries(failures),
      restore: this.#keeper.memory,
    };
  }

  view(now: number): StatusView {
    return buildView({
      now,
      wallMs: (ms) => this.#around.wallMs(ms),
      config: this.#config,
      families: this.#families.filter((f) => [...this.#paths.values()].some((p) => p.family === f.family)),
      paths: [...this.#paths.values()],
      adminOf: (uplink) => this.#adminOf(uplink),
      refusals: this.#keeper.refusals,
      rationed: this.#keeper.rationed(now),
    });
  }

  // ---- paths -------------------------------------------------------------------------------------------------------

  #buildPaths(now: number): void {
    const port: PathPort = {
      agenda: this.#agenda,
      random: this.#around.random,
      ask: (path, target, giveUpMs) => this.#ask(path, target, giveUpMs),
      changed: (path, at) => this.#assess(path, at),
      suspected: (path, at) => this.#lookAtAlternatives(path, at),
    };
    this.#assignSlots();
    const kept = new Map(this.#paths);
    this.#paths.clear();
    for (const uplink of this.#config.uplinks) {
      for (const { family } of uplink.gateways) {
        const former = kept.get(`${uplink.name}/${family}`);
        if (former?.sameProbing(uplink)) {
          kept.delete(former.key);
          former.uplink = uplink;
          this.#paths.set(former.key, former);
          continue;
        }
        const path = new Path(uplink, family, this.#slots.get(uplink.name) ?? 0, port, now);
        this.#recallFailures(path);
        this.#paths.set(path.key, path);
      }
    }
    for (const gone of kept.values()) {
      gone.dispose();
      this.#forget(gone);
    }
    this.#names.unwantAll();
    for (const path of this.#paths.values()) {
      for (const name of path.names()) {
        const address = this.#names.want(name, path.family);
        if (address !== null) path.resolved(name, [address]);
      }
    }
  }

  /** An uplink keeps its kernel numbers for as long as it is in the file, over restarts too. */
  #assignSlots(): void {
    const names = this.#config.uplinks.map((u) => u.name);
    for (const name of this.#slots.keys()) if (!names.includes(name)) this.#slots.delete(name);
    const remembered = this.#restored?.slots ?? {};
    for (const name of names) {
      const slot = remembered[name];
      const free = slot !== undefined && slot >= 0 && slot < MAX_UPLINKS && ![...this.#slots.values()].includes(slot);
      if (!this.#slots.has(name) && slot !== undefined && free) this.#slots.set(name, slot);
    }
    for (const name of names) {
      if (this.#slots.has(name)) continue;
      const used = new Set(this.#slots.values());
      let slot = 0;
      while (used.has(slot)) slot += 1;
      this.#slots.set(name, slot);
    }
  }

  #recallFailures(path: Path): void {
    const remembered = this.#restored?.failures[path.key];
    if (remembered === undefined) return;
    const forgiven = Math.floor((this.#around.wallMs(this.#now) - remembered.lastWallMs) / path.uplink.holdDown.decayMs);
    path.holdDown = { failures: Math.max(0, remembered.count - Math.max(0, forgiven)), goodSinceMs: null };
  }

  #ask(path: Path, target: Target, giveUpMs: number): number {
    const id = this.#nextProbeId;
    this.#nextProbeId += 1;
    this.#probeOwner.set(id, path);
    const { spec } = target;
    const mark = probeMark(this.#config.kernel, path.slot);
    this.#emit({
      type: 'probe',
      ask: {
        id,
        path: path.probePath(mark, this.#deviceOf(path)),
        question: spec.question,
        address: splitZone(spec.address ?? '')[0],
        giveUpMs,
      },
    });
    return id;
  }

  #take(id: number): Path | null {
    const path = this.#probeOwner.get(id) ?? null;
    this.#probeOwner.delete(id);
    return path;
  }

  #forget(path: Path): void {
    this.#emit({ type: 'forget-path', path: path.key });
    // Their probes end without an outcome.
    for (const [id, owner] of this.#probeOwner) if (owner === path) this.#probeOwner.delete(id);
  }

  /** The device a probe is bound to, where the uplink has it for itself. */
  #deviceOf(path: Path): string | null {
    const shared = [...this.#paths.values()].some(
      (p) => p !== path && p.family === path.family && p.interface === path.interface,
    );
    return shared ? null : path.interface;
  }

  #assess(path: Path, now: number): void {
    const change = path.assess(now);
    this.#choose = true;
    const patienceEndsMs = path.patienceEndsMs();
    if (patienceEndsMs !== null) this.#agenda.at(patienceEndsMs, (at) => this.#assess(path, at));
    if (change === null) return;
    this.#tellHealth(path, change);
    this.#save = true;
    // When its hold-down is over, the choice is to be made anew; decay is only arithmetic and needs no timer.
    const leftMs = path.holdDownLeftMs(now);
    if (leftMs !== null && leftMs > 0) {
      this.#agenda.at(now + leftMs, () => {
        this.#choose = true;
      });
    }
  }

  /** The path in use is doubted: find out at once whether the others are any better, before anybody moves to them. */
  #lookAtAlternatives(doubted: Path, now: number): void {
    const active = this.#families.find((f) => f.family === doubted.family)?.active;
    if (active !== doubted.uplink.name) return;
    for (const path of this.#paths.values()) {
      if (path.family === doubted.family && path !== doubted && this.#adminOf(path.uplink.name) !== 'disabled')
        path.detector.recheck(now);
    }
  }

  #lookAtFigures(now: number): void {
    for (const path of this.#paths.values()) {
      if (path.detector.state !== 'answering') continue;
      this.#assess(path, now);
      for (const target of path.detector.targets) this.#tellTarget(path, target, now);
    }
  }

  // ---- the kernel --------------------------------------------------------------------------------------------------

  #kernelSeen(state: KernelState, lost: boolean, now: number): void {
    const before = this.#keeper.state;
    if (lost) this.#tell('kernel', 'notice', 'notifications of the kernel were lost: everything was read again');
    this.#keeper.see(state);
    this.#locateAll(state, now);
    for (const path of this.#paths.values()) if (before !== null && touches(path, before, state)) path.detector.recheck(now);
    if (!this.#started) this.#adopt(state, now);
    this.#started = true;
    this.#seenAnew = true;
    this.#plan = true;
    this.#choose = true;
    // Interfaces became known with this very snapshot: their sysctls were not asked for yet.
    const request = this.snapshotRequest();
    if (request.sysctls.some((key) => !(key in state.sysctls)) || (request.nft && state.nft === null)) {
      this.#emit({ type: 'read-kernel', request });
    }
  }

  #locateAll(state: KernelState, now: number): void {
    for (const path of this.#paths.values()) {
      const sibling = this.#paths.get(`${path.uplink.name}/${path.family === 4 ? 6 : 4}`);
      const faultBefore = path.linkFault;
      const moved = path.locate(state, sibling?.interface ?? null);
      if (moved || (faultBefore !== null && path.linkFault === null)) this.#forget(path);
      if (moved) path.detector.stop();
      if (faultBefore !== path.linkFault || path.verdict.health === 'unknown') this.#assess(path, now);
    }
  }

  /** At start the machine forwards somehow: that is our choice until the first verdicts are in. */
  #adopt(state: KernelState, now: number): void {
    for (const family of this.#families) {
      const [route] = mainDefaults(state, family.family).toSorted((a, b) => a.metric - b.metric);
      const hop = route?.nexthops[0];
      const path = [...this.#paths.values()].find(
        (p) =>
          p.family === family.family &&
          hop !== undefined &&
          hop.gateway !== null &&
          p.ifindex === hop.ifindex &&
          p.gateway !== null &&
          sameAddress(p.gateway, hop.gateway),
      );
      if (route === undefined || path === undefined) continue;
      family.active = path.uplink.name;
      const ours = route.protocol === this.#config.kernel.protocol;
      // Ours is kept in force without a break; somebody else's stays untouched until there is a verdict.
      family.reason = ours ? 'starting' : 'adopted';
      const former = this.#restored?.active[family.family];
      if (ours && former?.uplink === path.uplink.name) {
        family.sinceMs = now - Math.max(0, this.#around.wallMs(now) - former.sinceWallMs);
        family.reason = former.reason;
      }
      this.#tell(
        'started',
        'info',
        `IPv${family.family} goes by ${path.uplink.name}: ${ours ? 'our own route of an earlier run' : 'found so'}`,
        path,
      );
    }
  }

  #opsApplied(results: Parameters<Keeper['applied']>[0], now: number): void {
    for (const route of this.#keeper.applied(results, now)) {
      const gateway = route.nexthops[0]?.gateway;
      for (const path of this.#paths.values()) {
        if (path.family !== route.family || gateway === null || gateway === undefined || path.gateway === null) continue;
        if (route.metric !== FIRST_METRIC[route.family] || !sameAddress(path.gateway, gateway)) continue;
        path.refusedUntilMs = now + REFUSED_MS;
        this.#agenda.at(path.refusedUntilMs, () => {
          this.#choose = true;
        });
      }
    }
    if (results.some((r) => r.op.op !== 'nft-table')) this.#applying = Math.max(0, this.#applying - 1);
    if (results.some((r) => !r.ok)) this.#emit({ type: 'read-kernel', request: this.snapshotRequest() });
    this.#choose = true;
  }

  /** Probes leave only while rule, table and guard of their path are known to stand: otherwise they could take another way. */
  #steerProbes(now: number): void {
    if (this.#applying > 0) return;
    for (const path of this.#paths.values()) {
      path.steered = this.#keeper.steered(path.family, tableOf(this.#config.kernel, path.slot));
      path.probeIfPossible(now);
    }
  }

  // ---- choosing ----------------------------------------------------------------------------------------------------

  #chooseAll(now: number): void {
    for (const family of this.#families) {
      const paths = this.#ranked(family.family);
      if (paths.length === 0) continue;
      const state = this.#keeper.state;
      if (state === null) continue;
      const choice = selectUplink(
        paths.map((p) => this.#candidate(p, now)),
        family.active,
        mainDefaults(state, family.family).length > 0,
      );
      this.#tellLocalFault(family, paths, now);
      if (choice.uplink === family.active || choice.uplink === null) {
        if (choice.uplink !== null && choice.reason === 'no-choice' && family.reason !== 'no-choice') {
          family.reason = 'no-choice';
          this.#tell(
            'switch',
            'error',
            `no uplink works: IPv${family.family} stays on ${choice.uplink}`,
            this.#paths.get(`${choice.uplink}/${family.family}`),
          );
        } else if (choice.uplink !== null && choice.reason !== 'no-choice' && family.reason === 'no-choice')
          family.reason = choice.reason;
        else if (choice.reason === 'forced' || family.reason === 'forced') family.reason = choice.reason;
        continue;
      }
      this.#switch(family, choice.uplink, choice.reason, now);
    }
  }

  #switch(family: FamilyState, to: string, reason: Reason, now: number): void {
    const from = family.active;
    const durationMs = from === null ? null : now - family.sinceMs;
    const left = from === null ? undefined : this.#paths.get(`${from}/${family.family}`);
    family.active = to;
    family.reason = reason;
    family.sinceMs = now;
    this.#plan = true;
    this.#save = true;
    const silentSinceMs = left?.detector.silentSinceMs;
    this.#record({
      kind: 'switch',
      severity: reason === 'preferred' || from === null ? 'notice' : 'warning',
      uplink: to,
      family: family.family,
      from,
      to,
      reason,
      durationMs,
      text:
        from === null
          ? `IPv${family.family} goes by ${to}`
          : `IPv${family.family} moves from ${from} to ${to}: ${reasonText[reason]}`,
      data: { silentMs: silentSinceMs === null || silentSinceMs === undefined ? null : Math.round(now - silentSinceMs) },
    });
  }

  #candidate(path: Path, now: number): Candidate {
    return {
      uplink: path.uplink.name,
      admin: this.#adminOf(path.uplink.name),
      health: path.verdict.health,
      reason: path.verdict.reason,
      yields: path.uplink.degraded.policy === 'yield',
      held: path.held(now),
      doubtful: path.doubtful,
      routable: path.connected && now >= path.refusedUntilMs,
    };
  }

  #ranked(family: Family): Path[] {
    return [...this.#paths.values()].filter((p) => p.family === family);
  }

  #adminOf(uplink: string): Admin {
    if (this.#forced === uplink) return 'forced';
    return this.#disabled.has(uplink) ? 'disabled' : 'auto';
  }

  #reconcile(now: number): void {
    const order = (family: Family, active: string | null): Path[] => {
      const fallback = (p: Path): number => {
        if (p.uplink.name === active) return -1;
        return this.#adminOf(p.uplink.name) === 'disabled' ? 2 : p.verdict.health === 'down' ? 1 : 0;
      };
      return this.#ranked(family).toSorted((a, b) => fallback(a) - fallback(b));
    };
    this.#keeper.reconcile(
      {
        numbers: this.#config.kernel,
        paths: this.#families.flatMap((f) =>
          order(f.family, f.active).map((p) => ({ family: p.family, slot: p.slot, hop: p.hop() })),
        ),
        chosen: { 4: this.#isChosen(4), 6: this.#isChosen(6) },
        setSysctls: this.#config.sysctls === 'set',
        gid: this.#around.gid,
      },
      this.#config.kernel,
      this.#seenAnew,
      now,
    );
    this.#seenAnew = false;
  }

  #isChosen(family: Family): boolean {
    const state = this.#families.find((f) => f.family === family);
    // Adopted and not yet judged: the kernel's first default stays whose it is until there is a verdict.
    if (state === undefined || state.active === null) return false;
    const path = this.#paths.get(`${state.active}/${family}`);
    return path?.verdict.health !== 'unknown' || state.reason !== 'adopted';
  }

  // ---- everything else ---------------------------------------------------------------------------------------------

  #stalled(fromMs: number, toMs: number, cause: StallCause): void {
    this.#dueMs = null;
    const spanMs = toMs - fromMs;
    const what: Record<StallCause, string> = {
      'process-stalled': `this process did not run for ${formatDuration(spanMs)}: its samples are void`,
      suspended: `the machine was suspended for ${formatDuration(spanMs)}: samples are void`,
      'clock-stepped': 'the clock was set: nothing here depends on it',
    };
    this.#record(recordOf('stall', 'notice', what[cause], null, { cause, spanMs: Math.round(spanMs) }));
    if (cause === 'clock-stepped') return;
    for (const path of this.#paths.values()) {
      path.unwatched(spanMs);
      path.detector.voidOutstanding(this.#now);
    }
    this.#emit({ type: 'read-kernel', request: this.snapshotRequest() });
    this.#choose = true;
  }

  #command(command: Command): void {
    switch (command.verb) {
      case 'force':
        this.#forced = command.uplink;
        this.#disabled.delete(command.uplink);
        break;
      case 'disable':
        this.#disabled.add(command.uplink);
        if (this.#forced === command.uplink) this.#forced = null;
        break;
      case 'enable':
        this.#disabled.delete(command.uplink);
        break;
      case 'auto':
        this.#forced = null;
        this.#disabled.clear();
        break;
    }
    const uplink = command.verb === 'auto' ? null : command.uplink;
    const text =
      command.verb === 'auto'
        ? 'back to automatic: nothing is forced or disabled'
        : `the administrator: ${command.verb} ${command.uplink}`;
    this.#record({ ...recordOf('admin', 'notice', text, null, { verb: command.verb }), uplink });
    for (const path of this.#paths.values()) {
      if (path.uplink.name === this.#forced && path.verdict.health === 'down') {
        this.#tell('admin', 'error', `${path.uplink.name} is forced although ${reasonText[path.verdict.reason]}: obeyed`, path);
      }
    }
    this.#save = true;
    this.#choose = true;
    this.#plan = true;
  }

  #reload(config: Config, now: number): void {
    this.#config = config;
    this.#dropUnknownOrders();
    this.#buildPaths(now);
    this.#keeper.forgetRefusals();
    for (const family of this.#families) {
      if (family.active !== null && !this.#paths.has(`${family.active}/${family.family}`)) family.active = null;
    }
    this.#tell('config', 'notice', 'the configuration was read again and is in force');
    if (this.#keeper.state !== null) this.#locateAll(this.#keeper.state, now);
    this.#emit({ type: 'read-kernel', request: this.snapshotRequest() });
    this.#choose = true;
    this.#plan = true;
    this.#save = true;
  }

  #dropUnknownOrders(): void {
    const names = new Set(this.#config.uplinks.map((u) => u.name));
    if (this.#forced !== null && !names.has(this.#forced)) this.#forced = null;
    this.#disabled = new Set([...this.#disabled].filter((name) => names.has(name)));
  }

  #nameResolved(name: string, family: Family, addresses: readonly string[], now: number): void {
    const changed = this.#names.resolved(name, family, addresses, now);
    if (!changed) return;
    this.#save = true;
    const address = this.#names.addressOf(name, family);
    if (address === null) return;
    this.#tell('name', 'info', `${name} is ${address}`);
    for (const path of this.#paths.values()) {
      if (path.family !== family || !path.resolved(name, [address])) continue;
      this.#forget(path);
      path.detector.stop();
    }
    if (this.#keeper.state !== null) this.#locateAll(this.#keeper.state, now);
    this.#plan = true;
    this.#choose = true;
  }

  // ---- telling -----------------------------------------------------------------------------------------------------

  #tellHealth(path: Path, change: HealthChange): void {
    const { from, to, durationMs } = change;
    const forced = this.#adminOf(path.uplink.name) === 'forced';
    const severity = to.health === 'down' ? (forced ? 'error' : 'warning') : to.health === 'degraded' ? 'warning' : 'notice';
    const silentSinceMs = path.detector.silentSinceMs;
    const still = from.health === to.health ? 'still ' : '';
    this.#record({
      kind: 'health',
      severity: from.health === to.health || from.health === 'unknown' ? 'info' : severity,
      uplink: path.uplink.name,
      family: path.family,
      from: from.health,
      to: to.health,
      reason: to.reason,
      durationMs,
      text: `${path.uplink.name} is ${still}${to.health}: ${reasonText[to.reason]}`,
      data: {
        silentMs: to.health === 'down' && silentSinceMs !== null ? Math.round(this.#now - silentSinceMs) : null,
        holdDownMs: to.health === 'up' ? path.holdDownMs() : null,
      },
    });
  }

  #tellTarget(path: Path, target: Target, now: number): void {
    const silentMs = target.silentSinceMs === null ? 0 : now - target.silentSinceMs;
    const dead = target.silent && silentMs >= Math.max(DEAD_TARGET_MS, 5 * path.uplink.probe.intervalMs);
    if (dead === target.reportedDead) return;
    if (!dead && silentMs > 0) return;
    target.reportedDead = dead;
    const text = dead
      ? `target ${target.spec.label} does not answer, others of ${path.uplink.name} do`
      : `target ${target.spec.label} answers again`;
    this.#tell('target', dead ? 'warning' : 'info', text, path);
  }

  #tellLocalFault(family: FamilyState, paths: readonly Path[], now: number): void {
    const watched = paths.filter((p) => this.#adminOf(p.uplink.name) !== 'disabled');
    const silent = watched.filter((p) => p.verdict.health === 'down' && p.linkFault === null);
    const together = silent.length === watched.length && watched.length > 1;
    if (!together) {
      if (watched.some((p) => p.good)) family.localTold = false;
      return;
    }
    const since = silent.map((p) => p.detector.silentSinceMs ?? now);
    if (family.localTold || Math.max(...since) - Math.min(...since) > TOGETHER_MS) return;
    family.localTold = true;
    this.#tell(
      'local',
      'error',
      'every uplink fell silent at the same time: look at this machine first (LAN port, switch, firewall), or at a target they share',
    );
  }

  #tell(kind: HistoryRecord['kind'], severity: HistoryRecord['severity'], text: string, path?: Path): void {
    this.#record(recordOf(kind, severity, text, path ?? null, {}));
  }

  #record(record: HistoryRecord): void {
    this.#emit({ type: 'record', record });
  }

  #every(periodMs: number, fromMs: number, run: (nowMs: number) => void): void {
    this.#agenda.at(fromMs + periodMs, (now) => {
      run(now);
      this.#every(periodMs, now, run);
    });
  }

  #emit(effect: Effect): void {
    this.#out.push(effect);
  }

  /** Chooses and plans as often as the one asks for the other, then hands out what has gathered. */
  #finish(): Effect[] {
    const now = this.#now;
    for (let round = 0; round < 3 && (this.#choose || this.#plan); round += 1) {
      if (this.#choose) {
        this.#choose = false;
        this.#chooseAll(now);
        this.#plan = true;
      }
      if (this.#plan) {
        this.#plan = false;
        this.#reconcile(now);
      }
    }
    this.#steerProbes(now);
    if (this.#save) {
      this.#save = false;
      this.#emit({ type: 'save', saved: this.saved() });
    }
    const nextMs = this.#agenda.nextMs();
    if (nextMs !== null && nextMs !== this.#dueMs) this.#emit({ type: 'set-timer', atMs: nextMs });
    // What was due long ago has just been told as a stall: it is not one again.
    this.#dueMs = nextMs === null ? null : Math.max(nextMs, now);
    const out = this.#out;
    this.#out = [];
    return out;
  }
}

function recordOf(
  kind: HistoryRecord['kind'],
  severity: HistoryRecord['severity'],
  text: string,
  path: Path | null,
  data: HistoryRecord['data'],
): HistoryRecord {
  return {
    kind,
    severity,
    uplink: path?.uplink.name ?? null,
    family: path?.family ?? null,
    from: null,
    to: null,
    reason: null,
    durationMs: null,
    text,
    data,
  };
}

/** Whether something near the path changed that makes a look worthwhile: its link's addresses, or its gateway's neighbour entry failed. */
function touches(path: Path, before: KernelState, after: KernelState): boolean {
  const addresses = (s: KernelState): string =>
    JSON.stringify(
      s.addresses
        .filter((a) => a.ifindex === path.ifindex && a.family === path.family)
        .map((a) => `${a.address}/${a.prefixLength}`),
    );
  const gateway = path.gateway === null ? null : splitZone(path.gateway)[0];
  const failed = (s: KernelState): boolean =>
    s.neighbours.some(
      (n) => n.ifindex === path.ifindex && n.state === 'failed' && gateway !== null && sameAddress(n.address, gateway),
    );
  return addresses(before) !== addresses(after) || (failed(after) && !failed(before));
}
