/**
 * The world around one engine on a virtual clock: a kernel in memory, lines that answer as the links tell, and the account of what
 * traffic goes through. It carries the engine's effects out as the daemon does, but nothing is ever late: timers come on time, and an
 * operation is in force in the instant in which it was decided. Its clock is 0 where it begins; knows no files.
 */
import type { CalmLine } from '../core/calm.js';
import type { Config } from '../core/config.js';
import { Engine } from '../core/engine.js';
import type { KernelOp, KernelState, OpResult, SnapshotRequest } from '../core/kernel.js';
import type { Effect, Event, HistoryRecord } from '../core/messages.js';
import { type PathKey, pathKey } from '../core/model.js';
import { applyOp } from '../core/plan/kernel-model.js';
import type { ProbeAsk } from '../core/probe.js';
import type { Account } from './account.js';
import { Arrivals } from './arrivals.js';
import type { FarLine } from './far-line.js';
import { gatewayOf, houseKernel, ifindexOf } from './house-config.js';
import type { Move, Played, Sharing } from './played.js';
import { Chance } from './random.js';

/** Until a notification of the kernel has been read. */
const NOTIFIED_MS = 0.3;
/** After operations of its own the daemon reads what became of them. */
const READ_AFTER_MS = 20;
const MAIN_TABLE = 254;

export interface WorldSetting {
  /** already housed */
  readonly config: Config;
  /** one for each uplink */
  readonly lines: readonly FarLine[];
  readonly account: Account;
  /** Unix ms of 0 on the world's clock */
  readonly originWallMs: number;
  /** moves before this are no moves: the engine settles */
  readonly settledMs: number;
  readonly seed: number;
  /** false: every probe is played, for comparison */
  readonly skips: boolean;
}

export class World {
  readonly moves: Move[] = [];
  /** how traffic is divided when the engine has settled, and each change of it */
  readonly shares: Sharing[] = [];
  readonly healths: Played['healths'][number][] = [];
  probes = 0;
  nowMs = 0;
  readonly #setting: WorldSetting;
  readonly #engine: Engine;
  readonly #places: ReadonlyMap<string, number>;
  /** by place */
  readonly #keys: readonly PathKey[];
  readonly #answers = new Arrivals();
  /** what nobody will answer: told at last, though the engine has long judged it */
  readonly #givenUp = new Arrivals();
  readonly #flips: number[];
  #kernel: KernelState;
  #timerMs = Number.POSITIVE_INFINITY;
  #readMs = Number.POSITIVE_INFINITY;
  #applied: readonly OpResult[] | null = null;
  #lastSwitch: HistoryRecord | null = null;
  #leader: number | null = null;
  #firstCarries = false;

  constructor(setting: WorldSetting) {
    this.#setting = setting;
    const { config, lines } = setting;
    this.#places = new Map(config.uplinks.map((uplink, place) => [uplink.name, place]));
    this.#keys = config.uplinks.map((uplink) => pathKey(uplink.name, 4));
    this.#kernel = houseKernel(config.uplinks.length);
    this.#flips = lines.map((line) => line.carrierChangesMs(0));
    const chance = new Chance(setting.seed);
    const surroundings = {
      bootId: 'simulation',
      gid: 0,
      forgetful: true,
      random: () => chance.next(),
      wallMs: (ms: number) => setting.originWallMs + ms,
    };
    this.#engine = new Engine(config, surroundings, null);
    this.#carryOut(this.#engine.start(0));
  }

  /** The uplink that leads the default route; null = there is none. */
  /** The first uplink carries traffic, alone or with others of its tier; or nobody does, which is as good as it was. */
  get isBack(): boolean {
    return this.#leader === null || this.#firstCarries;
  }

  /**
   * Lets time pass up to there, or for so many events.
   * @returns whether it is there
   */
  run(untilMs: number, events: number): boolean {
    for (let left = events; left > 0; left -= 1) {
      if (this.#setting.skips) this.#skip(untilMs);
      const nextMs = this.#nextMs();
      if (nextMs > untilMs) {
        this.nowMs = Math.max(this.nowMs, untilMs);
        return true;
      }
      this.nowMs = Math.max(this.nowMs, nextMs);
      this.#happen();
    }
    return false;
  }

  #nextMs(): number {
    let next = Math.min(this.#timerMs, this.#readMs, this.#answers.nextMs, this.#givenUp.nextMs);
    if (this.#applied !== null) next = this.nowMs;
    for (const flipMs of this.#flips) next = Math.min(next, flipMs);
    return next;
  }

  /** One thing, of those that are due now. Answers come before the timer, as the daemon promises. */
  #happen(): void {
    const now = this.nowMs;
    if (this.#applied !== null) {
      const results = this.#applied;
      this.#applied = null;
      this.#tell({ type: 'ops-applied', results });
      return;
    }
    const flipped = this.#flips.findIndex((flipMs) => flipMs <= now);
    if (flipped >= 0) {
      this.#flipCarrier(flipped);
    } else if (this.#answers.nextMs <= now) {
      const { id, rttMs } = this.#answers.take() ?? { id: 0, rttMs: 0 };
      this.#tell({ type: 'probe-answered', id, rttMs: rttMs ?? 0, duplicate: false, note: null });
    } else if (this.#givenUp.nextMs <= now) {
      const { id } = this.#givenUp.take() ?? { id: 0 };
      this.#tell({ type: 'probe-failed', id, reason: 'timeout', detail: 'no answer' });
    } else if (this.#readMs <= now) {
      this.#readMs = Number.POSITIVE_INFINITY;
      this.#tell({ type: 'kernel-seen', state: this.#snapshot(this.#engine.snapshotRequest()) });
    } else {
      this.#timerMs = Number.POSITIVE_INFINITY;
      this.#tell({ type: 'timer' });
    }
  }

  #tell(event: Event): void {
    this.#carryOut(this.#engine.handle(event, this.nowMs));
  }

  // ---- what the engine wants ---------------------------------------------------------------------------------------

  #carryOut(effects: readonly Effect[]): void {
    for (const effect of effects) {
      switch (effect.type) {
        case 'probe':
          this.#ask(effect.ask);
          break;
        case 'set-timer':
          this.#timerMs = Math.max(effect.atMs, this.nowMs);
          break;
        case 'apply':
          this.#apply(effect.ops);
          break;
        case 'read-kernel':
          this.#readMs = Math.min(this.#readMs, this.nowMs);
          break;
        case 'record':
          this.#note(effect.record);
          break;
        default:
        // Nobody is to be told, nothing kept, and no names, services or connections are part of this world.
      }
    }
  }

  #ask(ask: ProbeAsk): void {
    this.probes += 1;
    const place = this.#keys.indexOf(ask.path.key);
    const gateway = ask.address === gatewayOf(place) && !this.#isAlone(place);
    const rttMs = this.#setting.lines[place]?.ask(this.nowMs, gateway) ?? null;
    if (rttMs === null || rttMs > ask.giveUpMs) this.#givenUp.add({ atMs: this.nowMs + ask.giveUpMs, id: ask.id, rttMs: null });
    else this.#answers.add({ atMs: this.nowMs + rttMs, id: ask.id, rttMs });
  }

  /** Watched through its gateway alone: then that stands for the whole line. */
  #isAlone(place: number): boolean {
    return this.#setting.config.uplinks[place]?.targets.length === 0;
  }

  #apply(ops: readonly KernelOp[]): void {
    const results = ops.map((op): OpResult => {
      const { state, errno, message } = applyOp(this.#kernel, op);
      this.#kernel = state;
      return { op, ok: errno === null, errno, message };
    });
    this.#applied = [...(this.#applied ?? []), ...results];
    this.#readMs = Math.min(this.#readMs, this.nowMs + READ_AFTER_MS);
    this.#follow();
  }

  /** Traffic goes where the kernel's default route leads, and nowhere else. */
  #follow(): void {
    const defaults = this.#kernel.routes.filter((r) => r.table === MAIN_TABLE && r.destination === 'default');
    const [first] = defaults.toSorted((a, b) => a.metric - b.metric);
    const weights = this.#keys.map((_, place) => {
      const hop = first?.nexthops.find((h) => h.ifindex === ifindexOf(place));
      return hop === undefined ? 0 : (hop.weight ?? 1);
    });
    const all = weights.reduce((sum, weight) => sum + weight, 0);
    const shares = all === 0 ? [] : weights.map((weight) => weight / all);
    this.#setting.account.goes(shares, this.nowMs);
    this.#firstCarries = (weights[0] ?? 0) > 0;
    const wanted = this.#lastSwitch?.to == null ? null : (this.#places.get(this.#lastSwitch.to) ?? null);
    const leader = wanted !== null && (weights[wanted] ?? 0) > 0 ? wanted : weights.findIndex((weight) => weight > 0);
    if (leader >= 0) this.#divided({ atMs: this.nowMs, to: leader, shares });
    if (leader < 0 || leader === this.#leader) return;
    const from = this.#leader;
    this.#leader = leader;
    if (from === null || this.nowMs < this.#setting.settledMs) return;
    this.#setting.account.switched();
    const ground = this.#lastSwitch?.data.ground;
    this.moves.push({
      atMs: this.nowMs,
      from,
      to: leader,
      reason: this.#lastSwitch?.reason ?? 'answers',
      ground: typeof ground === 'string' ? ground : null,
    });
  }

  #divided(now: Sharing): void {
    const last = this.shares.at(-1);
    if (last?.to === now.to && last.shares.every((share, place) => share === now.shares[place])) return;
    if (this.nowMs < this.#setting.settledMs) this.shares.length = 0;
    this.shares.push(now);
  }

  #note(record: HistoryRecord): void {
    if (record.kind === 'switch' && record.to !== null) this.#lastSwitch = record;
    if (record.kind !== 'health' || record.uplink === null) return;
    const uplink = this.#places.get(record.uplink);
    const health = record.to;
    if (uplink !== undefined && (health === 'up' || health === 'degraded' || health === 'down')) {
      this.healths.push({ uplink, atMs: this.nowMs, health });
    }
  }

  // ---- the kernel --------------------------------------------------------------------------------------------------

  #snapshot({ sysctls }: SnapshotRequest): KernelState {
    return { ...this.#kernel, sysctls: Object.fromEntries(sysctls.map((key) => [key, null])) };
  }

  #flipCarrier(place: number): void {
    const line = this.#setting.lines[place];
    if (line === undefined) return;
    const carrier = line.hasCarrier(this.nowMs);
    const index = ifindexOf(place);
    const links = this.#kernel.links.map((link) => (link.index === index ? { ...link, carrier } : link));
    this.#kernel = { ...this.#kernel, links };
    this.#flips[place] = line.carrierChangesMs(this.nowMs);
    this.#readMs = Math.min(this.#readMs, this.nowMs + NOTIFIED_MS);
  }

  // ---- calm --------------------------------------------------------------------------------------------------------

  /** Where nothing will happen for a while, time passes at once. */
  #skip(endMs: number): void {
    if (this.#applied !== null || this.#answers.nextMs !== Number.POSITIVE_INFINITY) return;
    if (this.#readMs !== Number.POSITIVE_INFINITY) return;
    const { lines } = this.#setting;
    for (;;) {
      const nextMs = Math.min(this.#timerMs, endMs, ...this.#flips);
      // The lines may change while nobody asks: then what holds from there on counts.
      let untilMs = this.#changesMs();
      while (untilMs <= nextMs) {
        this.nowMs = untilMs;
        untilMs = this.#changesMs();
      }
      untilMs = Math.min(untilMs, endMs, ...this.#flips);
      if (untilMs <= this.nowMs) return;
      const calm = new Map<PathKey, CalmLine>(
        this.#keys.map((key, place) => [key, lines[place]?.calmLine(this.nowMs) ?? ALWAYS_GOOD]),
      );
      const skipped = this.#engine.skipCalm({ untilMs, lines: calm }, this.nowMs);
      if (skipped === null) return;
      for (const [key, probes] of skipped.targetProbes) lines[this.#keys.indexOf(key)]?.passed(probes);
      this.probes += skipped.probes;
      this.#carryOut(skipped.effects);
      this.nowMs = Math.max(this.nowMs, skipped.untilMs);
    }
  }

  #changesMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const line of this.#setting.lines) next = Math.min(next, line.changesMs(this.nowMs));
    return next;
  }
}

const ALWAYS_GOOD: CalmLine = { rttMs: 20, gatewayRttMs: 1, probes: Number.POSITIVE_INFINITY };
