/**
 * Carries out what the engine asks of followers: one transaction at a time for each follower, different ones beside each other. A
 * later wish supersedes the running one at its next safe step and starts when that has ended. Never decides, never throws.
 */
import type { FollowAsk, FollowOutcome } from '../core/action.js';
import type { FollowerConfig, ResolverConfig } from '../core/services.js';
import { FilesService } from './following/files.js';
import { Journal } from './following/journal.js';
import { PostfixService, type StuckSessions } from './following/postfix.js';
import { type InterfaceOf, ResolvedService } from './following/resolved.js';
import { DnsmasqService, ResolvConfService } from './following/resolver.js';
import { differing, type Service, textOf } from './following/service.js';
import { sessionsBySs } from './following/sessions.js';
import { type AfterStep, transact } from './following/transaction.js';

export interface FollowRunnerOptions {
  /** journals of running transactions are kept in its folder `following` */
  readonly stateDirectory: string;
  /** whether this uplink works now: SMTP sessions through one that works are left to end by themselves. Absent = none works. */
  readonly uplinkWorks?: (uplink: string) => boolean;
  /** ends stuck SMTP sessions; absent = by `ss -K` */
  readonly sessions?: StuckSessions;
  /** for systemd-resolved, which has its servers by link; absent = none is known */
  readonly interfaceOf?: InterfaceOf;
  /** for tests that end the process at a step; an exception of it is a failure of that step */
  readonly afterStep?: AfterStep;
}

interface Running {
  readonly ask: FollowAsk;
  readonly abort: AbortController;
}

/** The running one and the newest wish behind it. */
interface Lane {
  running: Running;
  next: FollowAsk | null;
}

export class FollowRunner {
  readonly #options: FollowRunnerOptions;
  readonly #onOutcome: (outcome: FollowOutcome) => void;
  readonly #lanes = new Map<string, Lane>();
  readonly #ends = new Set<Promise<void>>();
  readonly #sessions: StuckSessions;
  /** what goes on after a change, by follower */
  readonly #lingering = new Map<string, AbortController>();
  #closed = false;

  /** @param onOutcome once for every ask, never within the call of `follow`, `cancel` or `close` */
  constructor(options: FollowRunnerOptions, onOutcome: (outcome: FollowOutcome) => void) {
    this.#options = options;
    this.#onOutcome = onOutcome;
    this.#sessions = options.sessions ?? sessionsBySs(options.uplinkWorks ?? (() => false));
  }

  /** Never throws, never waits. */
  follow(ask: FollowAsk): void {
    const lane = this.#lanes.get(ask.follower.name);
    if (this.#closed) {
      this.#answerUnbegun(ask);
    } else if (lane === undefined) {
      this.#start(ask);
    } else {
      lane.running.abort.abort();
      if (lane.next !== null) this.#answerUnbegun(lane.next);
      lane.next = ask;
    }
  }

  /** Ends this run at its next safe step: finished or undone, never halfway. An unknown or ended run is no error. */
  cancel(run: number): void {
    for (const lane of this.#lanes.values()) {
      if (lane.running.ask.run === run) lane.running.abort.abort();
      if (lane.next?.run === run) {
        this.#answerUnbegun(lane.next);
        lane.next = null;
      }
    }
  }

  /** Cancels everything. Resolves when nothing is halfway; who cannot wait may exit, the journal covers that. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const abort of this.#lingering.values()) abort.abort();
    for (const lane of this.#lanes.values()) {
      lane.running.abort.abort();
      if (lane.next !== null) this.#answerUnbegun(lane.next);
      lane.next = null;
    }
    while (this.#ends.size > 0) await Promise.all(this.#ends);
  }

  /** What `follow` would do, one line each; reads, and changes nothing. Never rejects. */
  async describe(ask: FollowAsk): Promise<string[]> {
    try {
      const service = this.#service(ask.follower, ask.uplink);
      const wanted = await service.want(new AbortController().signal);
      const actual = await service.read(Object.keys(wanted));
      const wrong = differing(actual, wanted);
      if (wrong.length === 0) return [`${service.goal}; nothing would be changed`];
      const changes = wrong.map((thing) => service.tellChange(thing, actual[thing] ?? null, wanted[thing] ?? null));
      return [...changes, ...service.after].map((line) => `${ask.follower.name}: would ${line}`);
    } catch (error) {
      return [`${ask.follower.name}: would fail: ${textOf(error)}`];
    }
  }

  #start(ask: FollowAsk): void {
    const running: Running = { ask, abort: new AbortController() };
    const name = ask.follower.name;
    this.#lingering.get(name)?.abort();
    this.#lanes.set(name, { running, next: null });
    const end = this.#run(running).then(([outcome, service]) => {
      const next = this.#lanes.get(name)?.next ?? null;
      this.#lanes.delete(name);
      this.#ends.delete(end);
      if (next !== null) this.#start(next);
      else if (outcome.ok && outcome.changed && service !== null && !this.#closed) this.#linger(name, service);
      this.#onOutcome(outcome);
    });
    this.#ends.add(end);
  }

  async #run({ ask, abort }: Running): Promise<readonly [FollowOutcome, Service | null]> {
    try {
      const service = this.#service(ask.follower, ask.uplink);
      const outcome = await transact({
        service,
        journal: new Journal(this.#options.stateDirectory, ask.follower.name),
        signal: abort.signal,
        afterStep: this.#options.afterStep ?? (() => undefined),
      });
      return [{ run: ask.run, ...outcome }, service];
    } catch (error) {
      const superseded = abort.signal.aborted;
      return [{ run: ask.run, ok: false, changed: false, rolledBack: null, superseded, text: textOf(error) }, null];
    }
  }

  /** Of use, and of no importance: whether it succeeds changes nothing of what was told. */
  #linger(name: string, service: Service): void {
    const abort = new AbortController();
    this.#lingering.set(name, abort);
    const end = (service.linger?.(abort.signal) ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => {
        if (this.#lingering.get(name) === abort) this.#lingering.delete(name);
        this.#ends.delete(end);
      });
    this.#ends.add(end);
  }

  #service(follower: FollowerConfig, uplink: string): Service {
    switch (follower.kind) {
      case 'files':
        return new FilesService(follower, uplink);
      case 'mail-relay':
        return new PostfixService(follower, uplink, this.#sessions);
      case 'resolver':
        return this.#resolver(follower, uplink);
    }
  }

  #resolver(config: ResolverConfig, uplink: string): Service {
    switch (config.how) {
      case 'systemd-resolved':
        return new ResolvedService(config, uplink, this.#options.interfaceOf ?? (() => null));
      case 'dnsmasq':
        return new DnsmasqService(config, uplink);
      case 'resolv.conf':
        return new ResolvConfService(config, uplink);
    }
  }

  #answerUnbegun({ run }: FollowAsk): void {
    const text = 'superseded by a later wish before it began';
    const outcome: FollowOutcome = { run, ok: false, changed: false, rolledBack: null, superseded: true, text };
    const end = Promise.resolve().then(() => {
      this.#ends.delete(end);
      this.#onOutcome(outcome);
    });
    this.#ends.add(end);
  }
}
