/**
 * Drives an engine against a fake kernel and far sides under a virtual clock: carries its effects out as the daemon
 * does, brings back what follows from them, and notes everything. Nothing here waits; ten minutes take milliseconds.
 */
import type { FollowAsk, Notice } from '../../src/core/action.js';
import type { Config } from '../../src/core/config.js';
import type { FlowAsk } from '../../src/core/flow.js';
import type { UplinkHint } from '../../src/core/hint.js';
import type { KernelOp, KernelState, OpResult, RouteState, SnapshotRequest } from '../../src/core/kernel.js';
import type { Effect, Event, HistoryRecord, SavedState, StatusView, Surroundings } from '../../src/core/messages.js';
import type { Family } from '../../src/core/model.js';
import { EventQueue, type Ticket } from './event-queue.js';
import type { FakeKernel } from './fake-kernel.js';
import type { FarSide } from './far-side.js';
import { OutageMeter } from './outage-meter.js';
import { Random } from './random.js';
import type { Topology } from './topology.js';
import { VirtualProber } from './virtual-prober.js';
import { VirtualProcess } from './virtual-process.js';

/** What the world needs of src/core/engine.ts. */
export interface EngineUnderTest {
  start(now: number): Effect[];
  handle(event: Event, now: number): Effect[];
  view(now: number): StatusView;
  saved(): SavedState;
  snapshotRequest(): SnapshotRequest;
  settled(now: number): boolean;
}

export type MakeEngine = (config: Config, surroundings: Surroundings, saved: SavedState | null) => EngineUnderTest;

export type LogEntry = { readonly atMs: number } & (
  | { readonly type: 'record'; readonly record: HistoryRecord }
  | { readonly type: 'op'; readonly result: OpResult }
  | { readonly type: 'note'; readonly text: string }
);

/** Packets of a client are for these: nobody's target, only the default route leads there. */
const FAR_AWAY: Readonly<Record<Family, string>> = { 4: '192.0.2.99', 6: '2001:db8:ffff::99' };
/** a real timer comes a little late */
const TIMER_LATENESS_MS = 1.2;
/** until a netlink notification has been read */
const NOTIFICATION_DELAY_MS = 0.3;
/** the daemon rests this long between two readings */
const READ_GAP_MS = 20;
const READ_AFTER_APPLY_MS = 50;
/** a timer this late is called a stall by the daemon */
const STALL_MS = 250;
const FOLLOW_MS = 50;
const FLOWS_MS = 20;
const START_MS = 1000;
const WALL_OFFSET_MS = 1_800_000_000_000;
const RANK_WORLD = 0;
/** an answer due at the same instant as the timer is handed in before it, as the daemon promises */
const RANK_ANSWER = 1;
const RANK_TIMER = 2;
const BUSY_LIMIT = 5000;

export class VirtualWorld {
  readonly kernel: FakeKernel;
  readonly farSides: readonly FarSide[];
  readonly random: Random;
  readonly log: LogEntry[] = [];
  /** what the engine wanted people to be told */
  readonly notices: Notice[] = [];
  /** what it wanted of services; each is done 50 ms later */
  readonly follows: FollowAsk[] = [];
  /** connections it had ended, in order; each is done 20 ms later */
  readonly endedFlows: FlowAsk[] = [];
  /** how many connections are open, by mark; none said = none */
  readonly openFlows = new Map<number, number>();
  readonly names = new Map<string, readonly string[]>();
  /** what lease files and hooks say, as long as nobody says otherwise: on disk, over the end of the process */
  readonly #leases = new Map<string, UplinkHint>();
  readonly meters: ReadonlyMap<Family, OutageMeter>;
  readonly prober: VirtualProber;
  saved: SavedState | null = null;
  config: Config;
  nowMs = START_MS;
  /** called after every single operation of ours, in the middle of a batch too */
  onOp: ((result: OpResult, before: KernelState) => void) | null = null;
  /** called after everything that happened */
  onStep: (() => void) | null = null;
  /** the process dies after this many further operations */
  opsToLive: number | null = null;
  engine: EngineUnderTest | null = null;
  /** when somebody last took our rules or tables away: until that is noticed probes may go astray */
  tamperedMs = Number.NEGATIVE_INFINITY;
  /** routes that stood when the process last read the kernel */
  seen: ReadonlySet<RouteState> = new Set();
  /** when the present process began */
  startedMs = 0;
  /** whether the daemon notices stalls itself; the engine must manage without */
  watchful = true;
  readonly #make: MakeEngine;
  readonly #queue = new EventQueue();
  #timer: Ticket | null = null;
  #timerDueMs: number | null = null;
  #toldDueMs: number | null = null;
  #reading: { readonly ticket: Ticket; readonly atMs: number } | null = null;
  #lastReadMs = Number.NEGATIVE_INFINITY;
  readonly #process: VirtualProcess;
  /** of a client's packets, as long as the kernel stays as it is: they are asked for at every instant */
  readonly #hops = new Map<Family, { readonly version: number; readonly hops: ReturnType<FakeKernel['ways']> }>();
  #eventsAtThisInstant = 0;

  constructor(topology: Topology, make: MakeEngine, seed: number) {
    this.kernel = topology.kernel;
    this.farSides = topology.farSides;
    this.config = topology.config;
    this.#make = make;
    this.random = new Random(seed);
    this.#process = new VirtualProcess(this.#queue, () => this.nowMs);
    const families = new Set(topology.config.uplinks.flatMap((uplink) => uplink.gateways.map((gateway) => gateway.family)));
    this.meters = new Map([...families].map((family) => [family, new OutageMeter(family)]));
    this.prober = new VirtualProber({
      kernel: this.kernel,
      random: this.random,
      now: () => this.nowMs,
      farBehind: (device, gateway) => this.#farBehind(device, gateway),
      carries: (far) => this.#carries(far),
      later: (delayMs, run) => void this.#process.schedule(this.nowMs + delayMs, RANK_ANSWER, run),
      deliver: (event) => this.deliver(event),
      note: (text) => this.note(text),
    });
    this.kernel.watch(() => {
      this.#readSoon(NOTIFICATION_DELAY_MS);
    });
  }

  /** Time since the world began. */
  get elapsedMs(): number {
    return this.nowMs - START_MS;
  }

  at(elapsedMs: number, run: () => void): void {
    this.#queue.add(START_MS + elapsedMs, RANK_WORLD, run);
  }

  runUntil(elapsedMs: number): void {
    const end = START_MS + elapsedMs;
    this.#measure();
    for (;;) {
      const next = this.#queue.take(end);
      if (next === null) break;
      this.#advance(next.atMs);
      next.run();
      this.#measure();
      this.onStep?.();
    }
    this.nowMs = Math.max(this.nowMs, end);
  }

  startProcess(): void {
    if (this.engine !== null) throw new Error('it runs already');
    this.#process.begin();
    this.startedMs = this.nowMs;
    this.prober.reset();
    this.#reading = null;
    this.#timerDueMs = null;
    this.engine = this.#make(this.config, this.#surroundings(), this.saved);
    this.#carryOut(this.engine.start(this.nowMs));
    // Lease files are still there, and read before the kernel is.
    for (const hint of this.#leases.values()) this.#handle({ type: 'uplink-hint', hint });
  }

  /** A lease file says so, from now on. */
  lease(hint: UplinkHint): void {
    this.#leases.set(`${hint.interface} ${hint.family} ${hint.source}`, hint);
    this.order({ type: 'uplink-hint', hint });
  }

  /** kill -9: nothing of it remains but the kernel and what was saved. */
  killProcess(): void {
    this.engine = null;
    this.#process.die();
    this.#timer?.cancel();
    this.opsToLive = null;
  }

  /** The process stands still: everything for it waits, the world goes on. */
  stall(durationMs: number): void {
    this.#process.stall(durationMs);
  }

  /** The machine sleeps: what is under way is lost. The daemon sees it by its clocks before it handles anything else. */
  suspend(durationMs: number): void {
    const fromMs = this.nowMs;
    this.prober.loseAll();
    this.stall(durationMs);
    this.#process.schedule(fromMs + durationMs, RANK_WORLD, () => {
      this.#toldDueMs = this.#timerDueMs;
      this.#handle({ type: 'stalled', fromMs, toMs: this.nowMs, cause: 'suspended' });
    });
  }

  /** Somebody takes our rules or tables away. */
  tampered(): void {
    this.tamperedMs = this.nowMs;
  }

  get stalled(): boolean {
    return this.#process.stalled;
  }

  deliver(event: Event): void {
    const due = this.#timerDueMs;
    if (this.watchful && due !== null && due !== this.#toldDueMs && this.nowMs - due > STALL_MS) {
      this.#toldDueMs = due;
      this.#handle({ type: 'stalled', fromMs: due, toMs: this.nowMs, cause: 'process-stalled' });
    }
    this.#handle(event);
  }

  #handle(event: Event): void {
    if (this.engine !== null) this.#carryOut(this.engine.handle(event, this.nowMs));
  }

  reload(next: Config): void {
    this.config = next;
    this.order({ type: 'config-reloaded', config: next });
  }

  /** Something that a person wants of the process: it hears of it when it runs. */
  order(event: Event): void {
    this.#process.schedule(this.nowMs, RANK_ANSWER, () => this.deliver(event));
  }

  note(text: string): void {
    this.log.push({ atMs: this.elapsedMs, type: 'note', text });
  }

  farSide(name: string): FarSide {
    const found = this.farSides.find((side) => side.name === name);
    if (found === undefined) throw new Error(`no uplink ${name}`);
    return found;
  }

  records(kind?: HistoryRecord['kind']): readonly HistoryRecord[] {
    return this.log.flatMap((entry) =>
      entry.type === 'record' && (kind === undefined || entry.record.kind === kind) ? [entry.record] : [],
    );
  }

  meter(family: Family): OutageMeter {
    const meter = this.meters.get(family);
    if (meter === undefined) throw new Error(`no uplink has IPv${family}`);
    return meter;
  }

  /** Which uplink a client's packets take now. */
  wayOut(family: Family): { readonly to: string; readonly works: boolean; readonly loss: number } {
    const verdict = this.kernel.lookup(FAR_AWAY[family], 0, null);
    if (typeof verdict === 'string') return { to: 'nowhere', works: false, loss: 0 };
    const far = this.#farBehind(this.kernel.linkName(verdict.hop.ifindex), verdict.hop.gateway);
    if (far === null) return { to: 'elsewhere', works: false, loss: 0 };
    return { to: far.name, works: far.works() && this.#carries(far), loss: far.loss };
  }

  /** Each uplink that some of its connections take now; `nowhere` and `elsewhere` as in {@link wayOut}. */
  waysOut(family: Family): readonly { readonly to: string; readonly works: boolean }[] {
    const known = this.#hops.get(family);
    const { version } = this.kernel;
    const fresh = known?.version === version;
    const hops = fresh ? known.hops : this.kernel.ways({ destination: FAR_AWAY[family], mark: 0, device: null });
    if (!fresh) this.#hops.set(family, { version, hops });
    if (typeof hops === 'string') return [{ to: 'nowhere', works: false }];
    return hops.map((hop) => {
      const far = this.#farBehind(this.kernel.linkName(hop.ifindex), hop.gateway);
      return far === null ? { to: 'elsewhere', works: false } : { to: far.name, works: far.works() && this.#carries(far) };
    });
  }

  #surroundings(): Surroundings {
    return {
      bootId: 'boot-1',
      gid: 0,
      random: () => this.random.next(),
      wallMs: (monotonicMs) => WALL_OFFSET_MS + monotonicMs,
    };
  }

  #advance(atMs: number): void {
    if (atMs > this.nowMs) {
      this.nowMs = atMs;
      this.#eventsAtThisInstant = 0;
    }
    this.#eventsAtThisInstant += 1;
    if (this.#eventsAtThisInstant > BUSY_LIMIT) throw new Error(`the engine goes in circles at ${this.elapsedMs} ms`);
  }

  #carryOut(effects: readonly Effect[]): void {
    const { life } = this.#process;
    // as the daemon: what must outlive the process goes first
    const ordered = [
      ...effects.filter((effect) => effect.type === 'save'),
      ...effects.filter((effect) => effect.type !== 'save'),
    ];
    for (const effect of ordered) {
      if (life !== this.#process.life) return;
      this.#perform(effect);
    }
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case 'probe':
        this.prober.send(effect.ask);
        return;
      case 'forget-path':
        this.prober.forget(effect.path);
        return;
      case 'set-timer':
        this.#setTimer(effect.atMs);
        return;
      case 'apply':
        this.#apply(effect.ops);
        return;
      case 'read-kernel':
        this.#readSoon(0);
        return;
      case 'resolve':
        this.#resolve(effect.name, effect.family);
        return;
      case 'record':
        this.log.push({ atMs: this.elapsedMs, type: 'record', record: effect.record });
        return;
      case 'notify':
        this.notices.push(effect.notice);
        return;
      case 'follow':
        this.#follow(effect.ask);
        return;
      case 'cancel-follow':
        // Too late: it is done.
        return;
      case 'end-flows':
        this.#endFlows(effect.ask);
        return;
      case 'prepare-flows':
        return;
      case 'count-flows': {
        const { id, selector } = effect.ask;
        const open = this.openFlows.get(selector.mark) ?? 0;
        this.#process.schedule(this.nowMs + FLOWS_MS, RANK_ANSWER, () =>
          this.deliver({ type: 'flows-counted', count: { id, open, replied: open } }),
        );
        return;
      }
      case 'save':
        // through JSON and back, as through the disk
        this.saved = JSON.parse(JSON.stringify(effect.saved)) as SavedState;
        return;
    }
  }

  #endFlows(ask: FlowAsk): void {
    this.endedFlows.push(ask);
    const which = ask.selector.udpPorts === null ? 'connections' : `UDP to ${ask.selector.udpPorts.join()}`;
    this.note(`end IPv${ask.selector.family} ${which} with mark 0x${ask.selector.mark.toString(16)}`);
    const entries = this.openFlows.get(ask.selector.mark) ?? 0;
    if (ask.selector.udpPorts === null) this.openFlows.delete(ask.selector.mark);
    this.#process.schedule(this.nowMs + FLOWS_MS, RANK_ANSWER, () =>
      this.deliver({
        type: 'flows-ended',
        outcome: { id: ask.id, entries, resets: 0, sockets: 0, tookMs: FLOWS_MS, problems: [] },
      }),
    );
  }

  /** One operation of ours, noted and shown to whoever watches. */
  carryOut(op: KernelOp): readonly OpResult[] {
    const before = this.kernel.state;
    const results = this.kernel.applyNow([op]);
    for (const result of results) {
      this.log.push({ atMs: this.elapsedMs, type: 'op', result });
      this.onOp?.(result, before);
    }
    return results;
  }

  #apply(ops: readonly KernelOp[]): void {
    const results: OpResult[] = [];
    for (const op of ops) {
      if (this.opsToLive === 0) {
        this.killProcess();
        return;
      }
      if (this.opsToLive !== null) this.opsToLive -= 1;
      results.push(...this.carryOut(op));
    }
    this.#process.schedule(this.nowMs, RANK_ANSWER, () => this.deliver({ type: 'ops-applied', results }));
    this.#process.schedule(this.nowMs + READ_AFTER_APPLY_MS, RANK_ANSWER, () => this.#readSoon(0));
  }

  #setTimer(atMs: number): void {
    if (!Number.isFinite(atMs)) throw new Error(`timer at ${atMs}`);
    this.#timer?.cancel();
    this.#timerDueMs = Math.max(atMs, this.nowMs);
    this.#timer = this.#process.schedule(this.#timerDueMs + this.random.between(0, TIMER_LATENESS_MS), RANK_TIMER, () => {
      // the wish is fulfilled only now: until here the daemon counts the lateness
      this.deliver({ type: 'timer' });
    });
  }

  #readSoon(delayMs: number): void {
    if (this.engine === null) return;
    const atMs = Math.max(this.nowMs + delayMs, this.#lastReadMs + READ_GAP_MS);
    if (this.#reading !== null && this.#reading.atMs <= atMs) return;
    this.#reading?.ticket.cancel();
    const ticket = this.#process.schedule(atMs, RANK_ANSWER, () => {
      this.#reading = null;
      this.#lastReadMs = this.nowMs;
      if (this.engine === null) return;
      this.seen = new Set(this.kernel.state.routes);
      this.deliver({ type: 'kernel-seen', state: this.kernel.snapshotNow(this.engine.snapshotRequest()) });
    });
    this.#reading = { ticket, atMs };
  }

  #follow(ask: FollowAsk): void {
    this.follows.push(ask);
    const outcome = { run: ask.run, ok: true, changed: true, rolledBack: null, superseded: false, text: 'done' };
    this.#process.schedule(this.nowMs + FOLLOW_MS, RANK_ANSWER, () => this.deliver({ type: 'follow-finished', outcome }));
  }

  #resolve(name: string, family: Family): void {
    this.#process.schedule(this.nowMs + 5, RANK_ANSWER, () => {
      const addresses = this.names.get(`${name}/${family}`);
      if (addresses === undefined) this.deliver({ type: 'name-failed', name, family, error: 'EAI_AGAIN' });
      else this.deliver({ type: 'name-resolved', name, family, addresses });
    });
  }

  #farBehind(device: string, gateway: string | null): FarSide | null {
    return this.farSides.find((side) => side.device === device && gateway !== null && side.isGateway(gateway)) ?? null;
  }

  #carries(far: FarSide): boolean {
    const link = this.kernel.findLink(far.device);
    return link?.adminUp === true && link.carrier;
  }

  #measure(): void {
    for (const [family, meter] of this.meters) meter.see(this.wayOut(family), this.nowMs);
  }
}
