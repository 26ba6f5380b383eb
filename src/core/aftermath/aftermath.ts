/**
 * What follows the engine's decisions: services brought to the active uplink, people told, smarthosts bound to their way out.
 * Joins followers, notices and bindings to the paths; routing never waits for any of it.
 */
import type { FollowOutcome, Notice, NoticeFigures } from '../action.js';
import type { Agenda } from '../agenda.js';
import type { FamilyChoice } from '../choose/choice.js';
import type { KernelState } from '../kernel.js';
import type { Effect, FollowerView, HistoryRecord, Outage } from '../messages.js';
import type { Family, PathKey } from '../model.js';
import type { Path } from '../paths/path.js';
import { type BoundHost, bindingsOf, boundHosts, isAddress } from '../plan/bindings.js';
import type { Binding } from '../plan/plan-rules.js';
import type { ServicesConfig } from '../services.js';
import { Followers } from './followers.js';
import { Notices } from './notices.js';

export interface AftermathPort {
  readonly agenda: Agenda;
  readonly random: () => number;
  wallMs(monotonicMs: number): number;
  emit(effect: Effect): void;
  record(record: HistoryRecord): void;
  families(): readonly FamilyChoice[];
  paths(): readonly Path[];
  wantName(name: string, family: Family): void;
  addressesOf(name: string, family: Family): readonly string[];
}

export class Aftermath {
  readonly #port: AftermathPort;
  readonly #followers: Followers;
  readonly #notices: Notices;
  #services: ServicesConfig;
  #bound: readonly BoundHost[] = [];
  /** told of before the choice that follows from it was made */
  #gathered: Notice[] = [];

  constructor(services: ServicesConfig, outages: Readonly<Record<PathKey, Outage>>, port: AftermathPort) {
    this.#services = services;
    this.#port = port;
    this.#followers = new Followers({
      follow: (ask) => port.emit({ type: 'follow', ask }),
      cancel: (run) => port.emit({ type: 'cancel-follow', run }),
      record: (record) => port.record(record),
      wakeAt: (atMs) => port.agenda.at(atMs, (now) => this.#followers.wake(now)),
    });
    this.#notices = new Notices(outages, {
      agenda: port.agenda,
      random: port.random,
      wallMs: (ms) => port.wallMs(ms),
      active: () => this.#active(),
      figures: (now) => this.#figures(now),
      notify: (notice) => this.#gathered.push(notice),
    });
  }

  get outages(): Readonly<Record<PathKey, Outage>> {
    return this.#notices.outages;
  }

  /** After the paths have been built. */
  configure(services: ServicesConfig, nowMs: number): void {
    this.#services = services;
    this.#bound = boundHosts(services.followers);
    for (const { host, uplink } of this.#bound) {
      if (isAddress(host)) continue;
      for (const path of this.#port.paths()) if (path.uplink.name === uplink) this.#port.wantName(host, path.family);
    }
    this.#followers.configure(services.followers, nowMs);
    // Who is told of nothing is not told of an end either.
    this.#notices.keep(this.#tells ? this.#port.paths().map((path) => path.key) : []);
  }

  /** Everything that was recorded passes here. */
  take(record: HistoryRecord, nowMs: number): void {
    if (this.#tells) this.#notices.take(record, nowMs);
  }

  /** Everything is decided: people hear what is active now, not what was active when the failure was noticed. */
  handOut(): void {
    for (const notice of this.#gathered) this.#port.emit({ type: 'notify', notice: { ...notice, active: this.#active() } });
    this.#gathered = [];
  }

  /** The process is about to end: nothing is held back any more. */
  stopping(nowMs: number): void {
    this.#notices.flush(nowMs);
  }

  /** The choices have been made anew. Services follow the first family that has any uplink: IPv4 where there is IPv4. */
  chosen(nowMs: number): void {
    const family = this.#port.families().find((f) => this.#port.paths().some((p) => p.family === f.family));
    if (family === undefined || family.active === null) return;
    // What was merely found at start is not followed before there is a verdict on it.
    const path = this.#port.paths().find((p) => p.family === family.family && p.uplink.name === family.active);
    if (path !== undefined && path.verdict.health !== 'unknown') this.#followers.want(family.active, nowMs);
  }

  finished(outcome: FollowOutcome, nowMs: number): void {
    this.#followers.finished(outcome, nowMs);
  }

  bindings(state: KernelState): Binding[] {
    return bindingsOf(this.#bound, this.#port.paths(), state, (name, family) => this.#port.addressesOf(name, family));
  }

  view(nowMs: number): FollowerView[] {
    return this.#followers.view(nowMs);
  }

  get #tells(): boolean {
    return this.#services.channels.length > 0 || this.#services.hooks !== null;
  }

  #active(): Notice['active'] {
    const families = this.#port.families().filter((f) => this.#port.paths().some((p) => p.family === f.family));
    return families.map((f) => ({ family: f.family, uplink: f.active }));
  }

  #figures(nowMs: number): NoticeFigures[] {
    return this.#port.paths().map((path) => {
      const { loss, rttMs } = path.figures(nowMs);
      return { uplink: path.uplink.name, family: path.family, health: path.verdict.health, loss, rttMs };
    });
  }
}
