/**
 * What follows a switch, joined to the loop: the runner of followers and the hooks (here, or in the root helper), the outbox and
 * the ways of telling people. Loaded only when the configuration asks for any of it, and after the first probes are out.
 */
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { OutboxEntry } from '../action/outbox.js';
import type { TestResult } from '../action/telling/telling.js';
import type { FollowAsk, FollowOutcome, Notice } from '../core/action.js';
import type { StatusView } from '../core/messages.js';
import type { ServicesConfig } from '../core/services.js';
import type { Clock } from './clock.js';
import type { Log, Severity } from './log.js';

export interface ServicesParts {
  readonly stateDir: string;
  /** socket of the root helper; used where this process may not change other programs' files itself */
  readonly helperPath: string;
  readonly version: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly view: () => StatusView;
  readonly onOutcome: (outcome: FollowOutcome) => void;
}

/** What the loop asks for; each returns at once. */
export interface Following {
  follow(ask: FollowAsk): void;
  cancel(run: number): void;
  notify(notice: Notice): void;
}

/** Where the modules are once they are loaded. */
interface Loaded {
  readonly following: {
    follow(ask: FollowAsk): void;
    cancel(run: number): void;
    hooks(notice: Notice): void;
    /** nothing runs or waits */
    idle(): boolean;
    close(): Promise<void>;
  };
  readonly outbox: import('../action/outbox.js').Outbox;
  readonly telling: import('../action/telling/telling.js').Telling;
  configure(services: ServicesConfig): void;
}

/** Retained figures at brokers are brought up to date this often; changes of state at once. */
const FIGURES_MS = 15_000;

export class Services implements Following {
  readonly #parts: ServicesParts;
  #config: ServicesConfig;
  #loading: Promise<Loaded> | null = null;
  #loaded: Loaded | null = null;
  #figures: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(config: ServicesConfig, parts: ServicesParts) {
    this.#config = config;
    this.#parts = parts;
  }

  /** Begins to deliver what an earlier run left behind. */
  async start(): Promise<void> {
    if (this.#asked()) await this.#load();
  }

  reload(config: ServicesConfig): void {
    this.#config = config;
    if (this.#loaded !== null) this.#loaded.configure(config);
    else if (this.#asked()) this.#whenLoaded(() => undefined);
  }

  follow(ask: FollowAsk): void {
    this.#whenLoaded(({ following }) => following.follow(ask));
  }

  cancel(run: number): void {
    this.#whenLoaded(({ following }) => following.cancel(run));
  }

  notify(notice: Notice): void {
    this.#whenLoaded(({ following, outbox, telling }) => {
      for (const { name, topics } of this.#config.channels) if (topics.includes(notice.topic)) outbox.put(name, notice);
      if (this.#config.hooks?.topics.includes(notice.topic) === true) following.hooks(notice);
      // The way out has changed, or an uplink works again: what waited is tried at once.
      telling.update(this.#parts.view());
      telling.kick();
      outbox.kick();
    });
  }

  /** Whether everything asked so far was carried out or tried once. What an engine asks next is not known here. */
  idle(): boolean {
    if (this.#loaded === null) return this.#loading === null;
    return this.#loaded.following.idle() && this.#loaded.outbox.idle;
  }

  /** Sentences for `status`. */
  problems(): string[] {
    return this.#loaded === null ? [] : [...this.#loaded.outbox.problems(), ...this.#loaded.telling.problems()];
  }

  outbox(): OutboxEntry[] {
    return this.#loaded?.outbox.list() ?? [];
  }

  /** Sends one message for real, past the outbox. */
  async test(name: string | null): Promise<{ readonly channel: string; readonly result: TestResult }[]> {
    const channels = this.#config.channels.filter((c) => name === null || c.name === name);
    const { telling } = await this.#load();
    return await Promise.all(
      channels.map(async (channel) => ({ channel: channel.name, result: await telling.sendTest(channel) })),
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#figures !== null) clearInterval(this.#figures);
    const loaded = await this.#loading?.catch(() => null);
    if (loaded === undefined || loaded === null) return;
    await Promise.all([loaded.following.close(), loaded.outbox.close(), loaded.telling.close()]);
  }

  #asked(): boolean {
    const { channels, followers, hooks } = this.#config;
    return channels.length > 0 || followers.length > 0 || hooks !== null;
  }

  /** In the order asked: promises keep it. */
  #whenLoaded(use: (loaded: Loaded) => void): void {
    if (this.#closed) return;
    if (this.#loaded !== null) {
      use(this.#loaded);
      return;
    }
    this.#load()
      .then(use)
      .catch((error: unknown) =>
        this.#parts.log.write('error', `services cannot follow: ${error instanceof Error ? error.message : String(error)}`),
      );
  }

  #load(): Promise<Loaded> {
    this.#loading ??= this.#loadNow();
    return this.#loading;
  }

  async #loadNow(): Promise<Loaded> {
    const { stateDir, clock, random, log, version, view } = this.#parts;
    const [{ Outbox }, { Telling }, following] = await Promise.all([
      import('../action/outbox.js'),
      import('../action/telling/telling.js'),
      this.#loadFollowing(),
    ]);
    const host = hostname();
    const telling = new Telling({ host, version, clock, random });
    const outbox = new Outbox({
      directory: join(stateDir, 'outbox'),
      channels: this.#config.channels,
      deliver: telling.deliver,
      clock,
      random,
      report: ({ severity, channel, text }) =>
        log.write(severity, channel === null || text.includes(channel) ? text : `${channel}: ${text}`),
    });
    telling.configure(this.#config.channels);
    telling.update(view());
    this.#figures = setInterval(() => telling.update(view()), FIGURES_MS);
    this.#figures.unref();
    const loaded: Loaded = {
      following,
      outbox,
      telling,
      configure: (services) => {
        outbox.reload(services.channels);
        telling.configure(services.channels);
        following.configure(services);
      },
    };
    this.#loaded = loaded;
    return loaded;
  }

  async #loadFollowing(): Promise<Loaded['following'] & { configure(services: ServicesConfig): void }> {
    const { helperPath, log, onOutcome, stateDir } = this.#parts;
    const tell = (severity: Severity, text: string): void => log.write(severity, text);
    const works = (uplink: string): boolean => worksIn(this.#parts.view(), uplink);
    const interfaceOf = (uplink: string): string | null => interfaceIn(this.#parts.view(), uplink);
    // Other programs' files and Postfix's tools want root; without it they are the helper's business (docs/adr/0005).
    if (process.geteuid?.() !== 0) {
      const { HelperClient } = await import('../action/helper/client.js');
      const facts = (): { works: string[]; interfaces: Record<string, string> } => factsOf(this.#parts.view());
      const client = new HelperClient({ path: helperPath, facts, onOutcome, onLog: tell });
      return {
        follow: (ask) => client.follow(ask),
        cancel: (run) => client.cancel(run),
        hooks: (notice) => client.hooks(notice),
        idle: () => client.idle,
        configure: () => undefined,
        close: () => client.close(),
      };
    }
    const [{ FollowRunner }, { HookRunner }] = await Promise.all([
      import('../action/follow-runner.js'),
      import('../action/hooks.js'),
    ]);
    const runner = new FollowRunner({ stateDirectory: stateDir, uplinkWorks: works, interfaceOf }, onOutcome);
    const hooks = new HookRunner(this.#config.hooks, {
      report: ({ severity, hook, text }) => tell(severity, hook === null ? `hooks: ${text}` : `hook ${hook}: ${text}`),
    });
    return {
      follow: (ask) => runner.follow(ask),
      cancel: (run) => runner.cancel(run),
      hooks: (notice) => hooks.notify(notice),
      idle: () => hooks.idle,
      configure: (services) => hooks.configure(services.hooks),
      close: async () => {
        await Promise.all([runner.close(), hooks.close()]);
      },
    };
  }
}

/** What the helper has to know of the uplinks to follow well. */
function factsOf(view: StatusView): { works: string[]; interfaces: Record<string, string> } {
  const names = view.uplinks.map((u) => u.name);
  const interfaces = names.flatMap((name): [string, string][] => {
    const found = interfaceIn(view, name);
    return found === null ? [] : [[name, found]];
  });
  return { works: names.filter((name) => worksIn(view, name)), interfaces: Object.fromEntries(interfaces) };
}

function worksIn(view: StatusView, uplink: string): boolean {
  const paths = view.uplinks.find((u) => u.name === uplink)?.paths ?? [];
  return paths.some((p) => p.health === 'up' || p.health === 'degraded');
}

function interfaceIn(view: StatusView, uplink: string): string | null {
  return view.uplinks.find((u) => u.name === uplink)?.paths.find((p) => p.interface !== null)?.interface ?? null;
}
