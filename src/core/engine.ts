/**
 * The heart: events in, effects out. It owns the paths, the choice of each family and the keeper of the kernel, and is the
 * only place where these meet. Pure: time, randomness and everything that happens come in as arguments. Longer than most
 * files here: what each event sets going stands in one place, so that the order of things can be read.
 */
import { Aftermath } from './aftermath/aftermath.js';
import { Agenda } from './agenda.js';
import type { Calm, Skipped } from './calm.js';
import { type ChoiceOrders, FamilyChoice } from './choose/choice.js';
import { adminOf, type Orders, obey, ordersFor } from './choose/orders.js';
import { type Config, ownTables } from './config.js';
import { Cadence } from './detect/cadence.js';
import type { KernelOp, KernelState, OpResult, SnapshotRequest } from './kernel.js';
import type { Command, Effect, Event, HistoryRecord, SavedState, StallCause, StatusView, Surroundings } from './messages.js';
import { type Admin, type Family, reasonText } from './model.js';
import { Names } from './paths/names.js';
import type { Path } from './paths/path.js';
import { PathSet } from './paths/path-set.js';
import { allRest, skipProbes } from './paths/rest.js';
import { blamed } from './plan/blame.js';
import { nothingRemembered, planCleanup } from './plan/cleanup.js';
import { Keeper } from './plan/keeper.js';
import { essenceOf, type PlanSight } from './plan/plan-essence.js';
import { needsNft, type PlanParts, planInput } from './plan/plan-input.js';
import { sysctlKeys } from './plan/plan-sysctls.js';
import { adminRecord, gatewayRecord, healthRecord, recordOf, silenceRecord, stallRecord, targetRecord } from './show/records.js';
import { savedState } from './show/saved-state.js';
import { buildView } from './show/view.js';
import { Traffic } from './traffic/traffic.js';

/** A timer this late means that the process did not run: what was outstanding proves nothing. */
const STALL_MS = 250;
/** Even without any notification the kernel is read again after this. */
const SLOW_READ_MS = 30_000;
/** A route that the kernel refused makes its uplink no choice for so long. */
const REFUSED_MS = 5_000;
/** Loss and latency are looked at this often. */
const FIGURES_EVERY_MS = 1_000;
/** What was learned is kept on disk so late at most: a link that blips must not wear out an SD card. */
const KEEP_LEARNED_MS = 60_000;
/** A target is told dead when it was silent for this long and for five intervals while its uplink lived. */
const DEAD_TARGET_MS = 5_000;

const FAMILIES: readonly Family[] = [4, 6];

export class Engine {
  #config: Config;
  readonly #around: Surroundings;
  readonly #agenda = new Agenda();
  readonly #paths: PathSet;
  readonly #families: readonly FamilyChoice[];
  readonly #names: Names;
  readonly #keeper: Keeper;
  readonly #aftermath: Aftermath;
  readonly #traffic: Traffic;
  readonly #restored: SavedState | null;
  /** what the engine itself does at a steady pace */
  #cadences: readonly Cadence[] = [];
  #orders: Orders;
  #out: Effect[] = [];
  #dueMs: number | null = null;
  #started = false;
  #choose = false;
  #plan = false;
  #seenAnew = false;
  /** whether probes may leave is to be looked at anew */
  #steer = false;
  #save = false;
  #keepsLearned = false;
  #stopped = false;
  /** what puts the former routes back, when stopping; null = nothing does */
  #restoring: ReadonlySet<KernelOp> | null = null;
  /** the process did not run, and the kernel has not been read since */
  #blind = false;
  /** what the last plan was made of, see plan-essence.ts */
  #planned: { readonly state: KernelState; readonly config: Config; readonly essence: string | null } | null = null;
  /** what the last reading asked for */
  #requested = '';
  /** end of the last stall told */
  #stalledUntilMs = Number.NEGATIVE_INFINITY;
  #now = 0;

  constructor(config: Config, surroundings: Surroundings, saved: SavedState | null) {
    this.#config = config;
    this.#around = surroundings;
    this.#restored = saved;
    this.#orders = { forced: saved?.forced ?? null, disabled: saved?.disabled ?? [] };
    this.#families = FAMILIES.map((family) => new FamilyChoice(family, 0));
    this.#names = new Names(saved?.names ?? {}, this.#agenda, (name, family) => this.#emit({ type: 'resolve', name, family }));
    this.#paths = new PathSet(config, saved, {
      agenda: this.#agenda,
      around: surroundings,
      send: (path, ask) => {
        this.#traffic.probeSent(path, ask);
        this.#emit({ type: 'probe', ask });
      },
      forget: (path) => this.#emit({ type: 'forget-path', path }),
      assess: (path, now) => this.#assess(path, now),
      suspected: (path, now) => this.#lookAtAlternatives(path, now),
      gatewayFound: (path) => this.#gatewayFound(path),
      mayCarry: (path) => this.#adminOf(path.uplink.name) !== 'disabled',
      wantName: (name, family) => this.#names.want(name, family),
    });
    this.#aftermath = new Aftermath(config.services, saved?.outages ?? {}, {
      agenda: this.#agenda,
      random: surroundings.random,
      wallMs: (ms) => surroundings.wallMs(ms),
      emit: (effect) => this.#emit(effect),
      record: (record) => this.#record(record),
      families: () => this.#families,
      paths: () => this.#paths.all(),
      wantName: (name, family) => this.#names.want(name, family, true),
      addressesOf: (name, family) => this.#names.addressesOf(name, family),
    });
    this.#traffic = new Traffic(config, saved, {
      agenda: this.#agenda,
      around: surroundings,
      emit: (effect) => this.#emit(effect),
      record: (record) => this.#record(record),
      families: () => this.#families,
      paths: () => this.#paths.all(),
      adminOf: (uplink) => this.#adminOf(uplink),
      delegatedPrefix: (device) => this.#paths.delegatedPrefix(device),
      lans: () => this.#paths.lans,
      marksFlows: () => this.#keeper.nftHolds,
      save: () => {
        this.#save = true;
      },
      choose: () => {
        this.#choose = true;
      },
    });
    const sameBoot = saved !== null && saved.restore.bootId === surroundings.bootId;
    const memory = sameBoot ? saved.restore : nothingRemembered(surroundings.bootId);
    this.#keeper = new Keeper(memory, {
      apply: (ops) => this.#emit({ type: 'apply', ops }),
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

  /** The configuration in force. */
  get config(): Config {
    return this.#config;
  }

  /** The first effects. Nothing is changed in the kernel before it has been read once. */
  start(now: number): Effect[] {
    this.#now = now;
    for (const family of this.#families) family.begin(now);
    this.#build(now);
    this.#readKernel();
    this.#cadences = [
      new Cadence(this.#agenda, now + SLOW_READ_MS, SLOW_READ_MS, false, () => this.#readKernel()),
      new Cadence(this.#agenda, now + FIGURES_EVERY_MS, FIGURES_EVERY_MS, false, (at) => this.#lookAtFigures(at)),
    ];
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
        if (!event.duplicate) this.#paths.take(event.id)?.detector.answered(event.id, event.rttMs, event.note, now);
        break;
      case 'probe-failed':
        this.#paths.take(event.id)?.detector.failed(event.id, event.reason, event.detail, now);
        break;
      case 'kernel-seen':
        this.#kernelSeen(event.state, event.lost === true, now);
        break;
      case 'kernel-unreadable':
        this.#tell('kernel', 'error', `the kernel cannot be read: ${event.message}`);
        // Better the last idea of it than none.
        this.#blind = false;
        this.#steer = true;
        break;
      case 'ops-applied':
        this.#opsApplied(event.results, now);
        break;
      case 'stalled':
        this.#stalled(event.fromMs, event.toMs, event.cause);
        break;
      case 'command':
        this.#command(event.command, now);
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
        for (const path of this.#paths.of(event.family)) path.nameFailed(event.name, now);
        break;
      case 'follow-finished':
        this.#aftermath.finished(event.outcome, now);
        break;
      case 'flows-ended':
        this.#traffic.flowsEnded(event.outcome);
        break;
      case 'flows-counted':
        this.#traffic.flowsCounted(event.count, now);
        break;
      case 'uplink-hint':
        if (this.#paths.hear(event.hint)) this.#relocate(now);
        break;
      case 'router-advert':
        this.#traffic.advert(event.advert, now);
        break;
      case 'stopping':
        this.#stop();
        break;
    }
    return this.#finish();
  }

  /**
   * Moves on over a time in which nothing happens, at once: regular probes, figures and slow readings that would have changed
   * nothing but counters are left out, everything else stays as if they had been. Not with drills or metered uplinks, which look
   * at the clock themselves. O(paths x targets x window + probes), a nanosecond or two a probe.
   * @returns null where there is nothing to leave out
   */
  skipCalm(calm: Calm, nowMs: number): Skipped | null {
    if (this.#blind || this.#stopped || !this.#started || this.#keeper.applying) return null;
    if (this.#config.drill !== null || this.#config.uplinks.some((u) => u.metered !== null)) return null;
    const paths = this.#paths.all();
    // While nothing works, what is chosen depends on how long each has been silent.
    if (!paths.some((path) => path.verdict.health === 'up') || !this.#traffic.isPaced(nowMs)) return null;
    const rest = allRest(paths, calm, Math.min(calm.untilMs, this.#agenda.nextFixedMs()), nowMs);
    const dueMs = this.#agenda.nextMs();
    if (rest === null || dueMs === null || dueMs >= rest.cutMs) return null;
    this.#now = nowMs;
    for (const cadence of this.#cadences) cadence.skipTo(rest.cutMs, () => undefined);
    const { probes, targetProbes } = skipProbes(paths, calm, rest.cutMs);
    const effects = this.#finish();
    return { untilMs: Math.min(rest.untilMs, this.#dueMs ?? rest.untilMs), targetProbes, probes, effects };
  }

  snapshotRequest(): SnapshotRequest {
    const interfaces = this.#paths.all().flatMap((p) => (p.interface === null ? (p.uplink.interface ?? []) : p.interface));
    const tables = ownTables(this.#config.kernel);
    // Asked for as long as our table may stand, so that it goes when it is not needed any more.
    const standing = this.#keeper.state?.nft?.fingerprint ?? 'absent';
    const nft = standing !== 'absent' || needsNft(this.#config, this.#paths.all());
    return { tables, sysctls: sysctlKeys([...new Set(interfaces)]), nft };
  }

  /** Whether every path that can be judged has its verdict, and everything asked of the kernel is known. */
  settled(): boolean {
    const state = this.#keeper.state;
    const known = state !== null && (state.nft !== null || !this.snapshotRequest().nft);
    return known && this.#paths.all().every((p) => p.verdict.health !== 'unknown');
  }

  saved(): SavedState {
    return savedState(
      {
        numbers: this.#config.kernel,
        paths: this.#paths,
        orders: this.#orders,
        names: this.#names,
        families: this.#families,
        memory: this.#keeper.memory,
        aftermath: this.#aftermath,
        traffic: this.#traffic,
      },
      this.#now,
      (ms) => this.#around.wallMs(ms),
    );
  }

  view(now: number): StatusView {
    return buildView({
      now,
      wallMs: (ms) => this.#around.wallMs(ms),
      config: this.#config,
      families: this.#families.filter((f) => this.#paths.of(f.family).length > 0),
      paths: this.#paths.all(),
      adminOf: (uplink) => adminOf(this.#orders, uplink),
      services: this.#aftermath.view(now),
      traffic: this.#traffic,
      delegatedPrefix: (device) => this.#paths.delegatedPrefix(device),
      refusals: this.#keeper.refusals,
      rationed: this.#keeper.rationed(now),
    });
  }

  // ---- paths -------------------------------------------------------------------------------------------------------

  #build(now: number): void {
    this.#orders = ordersFor(
      this.#orders,
      this.#config.uplinks.map((u) => u.name),
    );
    this.#names.unwantAll();
    this.#paths.build(this.#config, now);
    this.#aftermath.configure(this.#config.services, now);
    this.#traffic.configure(this.#config, now);
    this.#steer = true;
  }

  #assess(path: Path, now: number): void {
    const borne = path.verdict.health !== 'down' && !path.yields;
    const { change, silence } = path.assess(now);
    this.#choose = true;
    const patienceEndsMs = path.patienceEndsMs();
    if (patienceEndsMs !== null && patienceEndsMs > now) this.#agenda.at(patienceEndsMs, (at) => this.#assess(path, at));
    // When its hold-down is over, the choice is to be made anew; decay is only arithmetic and needs no timer.
    const holdEndsMs = path.holdDownEndsToWaitFor(now);
    if (holdEndsMs !== null) {
      this.#agenda.at(holdEndsMs, () => {
        this.#choose = true;
      });
    }
    if (silence !== null) {
      this.#record(silenceRecord(path, silence, borne, this.#around.wallMs(silence.beganMs)));
      this.#keepLearned(now);
    }
    if (change === null) return;
    this.#record(healthRecord(path, change, adminOf(this.#orders, path.uplink.name) === 'forced', now));
    this.#save = true;
  }

  #keepLearned(now: number): void {
    if (this.#keepsLearned) return;
    this.#keepsLearned = true;
    this.#agenda.at(now + KEEP_LEARNED_MS, () => {
      this.#keepsLearned = false;
      this.#save = true;
    });
  }

  /**
   * The path in use is doubted: find out at once whether the others are any better, before anybody moves to them. Another one is: whether
   * that in use still works, before connections are ended because of it.
   */
  #lookAtAlternatives(doubted: Path, now: number): void {
    // Asked just now, they would have to be waited for before the traffic is back where it belongs.
    const goneBackTo = this.#traffic.suspected(doubted, now);
    const active = this.#families.find((f) => f.family === doubted.family)?.active;
    for (const path of this.#paths.of(doubted.family)) {
      const asked = doubted.uplink.name === active || path.uplink.name === active;
      if (!asked || path === doubted || goneBackTo.includes(path.uplink.name)) continue;
      if (adminOf(this.#orders, path.uplink.name) !== 'disabled') path.detector.recheck(now);
    }
  }

  #lookAtFigures(now: number): void {
    this.#traffic.look(now);
    // One a second: many at once, as when many uplinks come back or at the first status, would hold up the loop.
    this.#paths.all().find((path) => path.silences.settle());
    for (const path of this.#paths.all()) {
      if (path.detector.state !== 'answering') continue;
      this.#assess(path, now);
      for (const target of path.detector.targets) {
        const death = target.deathToTell(Math.max(DEAD_TARGET_MS, 5 * path.detector.intervalMs), now);
        if (death !== null) this.#record(targetRecord(path, target, death === 'dead'));
      }
    }
  }

  // ---- the kernel --------------------------------------------------------------------------------------------------

  #kernelSeen(state: KernelState, lost: boolean, now: number): void {
    const before = this.#keeper.state;
    if (lost) this.#tell('kernel', 'notice', 'notifications of the kernel were lost: everything was read again');
    this.#blind = false;
    this.#keeper.see(state);
    this.#paths.locate(state, this.#keeper.memory.routes, now);
    this.#traffic.kernelSeen(state, now);
    this.#steer = true;
    if (before !== null) this.#paths.recheck(before, state, now);
    if (!this.#started) this.#adopt(state, now);
    this.#started = true;
    this.#seenAnew = true;
    this.#plan = true;
    this.#choose = true;
    // Interfaces became known with this very snapshot: their sysctls were not asked for yet.
    if (JSON.stringify(this.snapshotRequest()) !== this.#requested) this.#readKernel();
  }

  #readKernel(): void {
    const request = this.snapshotRequest();
    this.#requested = JSON.stringify(request);
    this.#emit({ type: 'read-kernel', request });
  }

  /** Something else than the kernel has changed where a gateway is. */
  #relocate(now: number): void {
    const state = this.#keeper.state;
    if (state !== null) this.#paths.locate(state, this.#keeper.memory.routes, now);
    this.#choose = true;
    this.#plan = true;
  }

  #gatewayFound(path: Path): void {
    this.#record(gatewayRecord(path));
    this.#save = true;
  }

  #adopt(state: KernelState, now: number): void {
    for (const family of this.#families) {
      if (family.active !== null) continue;
      const former = this.#restored?.active[family.family];
      const record = family.adopt(
        state,
        this.#paths.of(family.family),
        this.#config.kernel.protocol,
        former,
        now,
        this.#around.wallMs(now),
      );
      if (record !== null) this.#record(record);
    }
  }

  #opsApplied(results: readonly OpResult[], now: number): void {
    if (this.#stopped) {
      // What was under way before says nothing of that. Put back once, it must not be put back again by a later cleanup; what
      // failed is still to be done by one.
      const ours = this.#restoring !== null && results.every(({ op }) => this.#restoring?.has(op));
      if (!ours || !results.every((r) => r.ok)) return;
      this.#keeper.forgetMemory();
      this.#save = true;
      return;
    }
    for (const path of blamed(this.#keeper.applied(results, now), this.#paths.all())) {
      path.refusedUntilMs = now + REFUSED_MS;
      this.#agenda.at(path.refusedUntilMs, () => {
        this.#choose = true;
      });
    }
    this.#steer = true;
    if (results.some((r) => !r.ok)) this.#readKernel();
    this.#choose = true;
  }

  // ---- choosing ----------------------------------------------------------------------------------------------------

  #chooseAll(now: number): void {
    const state = this.#keeper.state;
    if (state === null) return;
    // Whoever is tried is let go at the first sign of trouble, not with the next second.
    this.#traffic.lookAtDrill(now);
    for (const family of this.#families) {
      const before = family.active;
      const orders: ChoiceOrders = {
        adminOf: (uplink) => this.#adminOf(uplink),
        closedOf: (uplink) => (this.#traffic.closed(uplink) ? 'cap-reached' : null),
        drill: this.#traffic.drillIn(family.family),
      };
      for (const record of family.choose(this.#paths.of(family.family), orders, state, now)) this.#record(record);
      if (family.active !== before) this.#save = true;
    }
    this.#aftermath.chosen(now);
  }

  #reconcile(now: number): void {
    const state = this.#keeper.state;
    if (state === null) return;
    const parts: PlanParts = {
      config: this.#config,
      families: this.#families,
      pathsOf: (family) => this.#paths.of(family),
      adminOf: (uplink) => this.#adminOf(uplink),
      bindings: this.#aftermath.bindings(state),
      delegatedPrefix: (device) => this.#paths.delegatedPrefix(device),
      lans: this.#paths.lans,
      lingers: (path) => this.#traffic.lingers(path),
      gid: this.#around.gid,
      state,
    };
    const input = planInput(parts);
    this.#keeper.reconcile(input, this.#config.kernel, this.#seenAnew, now);
    this.#seenAnew = false;
    this.#traffic.routed(input.paths, now);
    this.#planned = { state, config: this.#config, essence: essenceOf(this.#planSight()) };
  }

  /** What was chosen is what was planned last, for the same kernel: most choices confirm the former one. */
  #isPlanned(): boolean {
    const former = this.#planned;
    if (former === null || former.essence === null) return false;
    return (
      former.state === this.#keeper.state && former.config === this.#config && former.essence === essenceOf(this.#planSight())
    );
  }

  #planSight(): PlanSight {
    return {
      config: this.#config,
      families: this.#families,
      paths: this.#paths.all(),
      adminOf: (uplink) => this.#adminOf(uplink),
      lingers: (path) => this.#traffic.lingers(path),
      refused: this.#keeper.refusals.length > 0,
      drilled: this.#families.some((f) => this.#traffic.drillIn(f.family) !== null),
    };
  }

  // ---- everything else ---------------------------------------------------------------------------------------------

  /** By order, or because its cap is reached. */
  #adminOf(uplink: string): Admin {
    const ordered = adminOf(this.#orders, uplink);
    return ordered === 'auto' && this.#traffic.closed(uplink) ? 'disabled' : ordered;
  }

  #stalled(fromMs: number, toMs: number, cause: StallCause): void {
    const spanMs = toMs - fromMs;
    if (cause === 'clock-stepped') {
      this.#record(stallRecord(cause, spanMs));
      return;
    }
    this.#dueMs = null;
    // Noticed here and by the daemon, or by two of its clocks: one gap is told, and taken out of the good time, once.
    if (toMs <= this.#stalledUntilMs) return;
    this.#stalledUntilMs = toMs;
    this.#record(stallRecord(cause, spanMs));
    for (const path of this.#paths.all()) {
      path.unwatched(spanMs, toMs);
      path.detector.suspend();
    }
    // Others may have changed anything meanwhile: nothing is decided, changed or asked before the kernel has been read.
    this.#blind = true;
    this.#readKernel();
    this.#choose = true;
  }

  /** After this nothing is planned any more: what the kernel holds then is what stays. */
  #stop(): void {
    const state = this.#keeper.state;
    const restore = this.#config.onStop === 'restore' && state !== null;
    this.#tell('stopping', 'info', restore ? 'stopping: the former routes come back' : 'stopping: the routes stay as they are');
    const drilled = this.#families.some((family) => this.#traffic.drillIn(family.family) !== null);
    this.#traffic.stopping(this.#now);
    // Nobody would take the traffic back from the one that was being tried.
    if (drilled && !this.#blind) {
      this.#chooseAll(this.#now);
      this.#reconcile(this.#now);
    }
    this.#aftermath.stopping(this.#now);
    this.#stopped = true;
    this.#save = true;
    if (!restore) return;
    for (const path of this.#paths.all()) path.dispose();
    const ops = planCleanup(state, this.#config.kernel, this.saved());
    this.#restoring = new Set(ops);
    this.#emit({ type: 'apply', ops });
  }

  #command(command: Command, now: number): void {
    if (command.verb === 'drill') {
      this.#traffic.command(command, now);
      return;
    }
    if (command.verb === 'forget') {
      this.#forget(command.uplink, now);
      return;
    }
    this.#orders = obey(this.#orders, command);
    this.#record(adminRecord(command));
    for (const path of this.#paths.all()) {
      if (path.uplink.name === this.#orders.forced && path.verdict.health === 'down') {
        this.#tell('admin', 'error', `${path.uplink.name} is forced although ${reasonText[path.verdict.reason]}: obeyed`, path);
      }
    }
    this.#save = true;
    this.#choose = true;
    this.#plan = true;
  }

  #forget(uplink: string | null, now: number): void {
    const meant = this.#paths.all().filter((path) => uplink === null || path.uplink.name === uplink);
    for (const path of meant) path.silences.forget();
    this.#record(adminRecord({ verb: 'forget', uplink }));
    // What is borne, and how long it must have been good, is another time now.
    for (const path of meant) this.#assess(path, now);
    this.#save = true;
  }

  #reload(config: Config, now: number): void {
    this.#config = config;
    this.#build(now);
    this.#keeper.forgetRefusals();
    for (const family of this.#families) {
      if (family.active !== null && this.#paths.get(family.active, family.family) === undefined) family.active = null;
    }
    this.#tell('config', 'notice', 'the configuration was read again and is in force');
    this.#relocate(now);
    this.#readKernel();
    this.#choose = true;
    this.#plan = true;
    this.#save = true;
  }

  #nameResolved(name: string, family: Family, addresses: readonly string[], now: number): void {
    const before = this.#names.addressOf(name, family);
    const changed = this.#names.resolved(name, family, addresses, now);
    if (!changed) return;
    this.#save = true;
    const address = this.#names.addressOf(name, family);
    if (address === null) return;
    // One of many addresses that take turns in the answers is no news.
    if (address !== before) this.#tell('name', 'info', `${name} is ${address}`);
    this.#plan = true;
    if (!this.#paths.resolved(name, family, address)) return;
    this.#relocate(now);
    if (this.#keeper.state !== null) {
      // The default found at start may be through the very gateway whose name is known only now.
      this.#adopt(this.#keeper.state, now);
    }
    this.#plan = true;
    this.#choose = true;
  }

  // ---- telling -----------------------------------------------------------------------------------------------------

  #tell(kind: HistoryRecord['kind'], severity: HistoryRecord['severity'], text: string, path?: Path): void {
    this.#record(recordOf(kind, severity, text, path ?? null, {}));
  }

  #record(record: HistoryRecord): void {
    this.#emit({ type: 'record', record });
    this.#aftermath.take(record, this.#now);
  }

  #emit(effect: Effect): void {
    this.#out.push(effect);
  }

  /** Chooses and plans as often as the one asks for the other, then hands out what has gathered. */
  #finish(): Effect[] {
    const now = this.#now;
    for (let round = 0; round < 3 && !this.#stopped && !this.#blind && (this.#choose || this.#plan); round += 1) {
      if (this.#choose) {
        this.#choose = false;
        this.#chooseAll(now);
        if (!this.#isPlanned()) this.#plan = true;
      }
      if (this.#plan) {
        this.#plan = false;
        this.#reconcile(now);
        this.#steer = true;
      }
    }
    if (this.#steer && !this.#stopped && !this.#blind && !this.#keeper.applying) {
      this.#steer = false;
      this.#paths.steer((family, table) => this.#keeper.steered(family, table), now);
      for (const path of this.#paths.all()) path.detector.resume(now);
    }
    this.#aftermath.handOut();
    if (this.#save) {
      this.#save = false;
      if (this.#around.forgetful !== true) this.#emit({ type: 'save', saved: this.saved() });
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
