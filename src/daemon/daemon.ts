/**
 * `backroute run`: the composition root's long-running half. Starts in the order that a network in use wants (kernel and
 * probes first, people after), answers signals, keeps the service manager informed, and ends as the config says.
 */
import { join } from 'node:path';
import type { Answer, ApiBackend, HealthView } from '../api/backend.js';
import { answers, type ControlSocket, openControlSocket, SOCKET_FILE } from '../api/server.js';
import { PROGRAM_VERSION } from '../api/version.js';
import type { Config } from '../core/config.js';
import type { OpResult } from '../core/kernel.js';
import type { StatusView } from '../core/messages.js';
import type { Family } from '../core/model.js';
import { PING_GROUP_RANGE } from '../core/plan/plan-sysctls.js';
import { describeRecord } from '../core/show/describe.js';
import { serviceManager } from '../kernel/notify.js';
import { readSysctl } from '../kernel/sysctl.js';
import {
  type Assembly,
  assemble,
  holderOf,
  lockStateDir,
  makeRunDir,
  type Places,
  readConfig,
  requireNetAdmin,
} from './assembly.js';
import type { Log } from './log.js';
import { type ExitCode, StartError } from './start-error.js';

export interface RunOptions extends Places {
  readonly dryRun: boolean;
}

/** Reading leases takes some ms; whatever hinders it must not keep routing waiting. */
const LEASES_MS = 200;
/** No path may be there to probe, and an interface may come late: READY does not wait longer for a first probe. */
const FIRST_PROBE_MS = 300;
/** An uplink that does not answer keeps the log and the control socket waiting no longer than this. */
const FIRST_VERDICT_MS = 300;
const VERDICT_LOOK_MS = 10;
/** The disk or nft may hang: the end waits this long for the last words. */
const STOP_MS = 5_000;
const LATE_MS = 2_000;
/** Whoever gives an order waits so long for the disk to take it. */
const KEPT_MS = 5_000;

/** Runs until a signal or a fatal error. @throws StartError when it cannot start */
export async function runDaemon(options: RunOptions): Promise<ExitCode> {
  const { config, warnings } = await readConfig(options.configPath);
  if (!options.dryRun) requireNetAdmin();
  const lock = options.dryRun ? null : await lockStateDir(options.stateDir);
  if (lock === null && !options.dryRun) {
    throw new StartError(
      1,
      `another backroute works with ${options.stateDir}: ${holderOf(options.stateDir)}`,
      'see it with: backroute status',
    );
  }
  const socketPath = join(options.runDir, SOCKET_FILE);
  if (!options.dryRun) {
    makeRunDir(options.runDir);
    if (await answers(socketPath)) {
      throw new StartError(1, `another backroute serves ${socketPath}`, 'name another directory with --run-dir');
    }
  }
  try {
    return await new Daemon(options, config, warnings).run(socketPath);
  } finally {
    lock?.release();
  }
}

class Daemon {
  readonly #options: RunOptions;
  readonly #manager = serviceManager(process.env);
  readonly #startedMs = performance.now();
  readonly #warnings: readonly string[];
  #config: Config;
  #end: (code: ExitCode) => void = () => undefined;
  #reloading: Promise<unknown> = Promise.resolve();

  constructor(options: RunOptions, config: Config, warnings: readonly string[]) {
    this.#options = options;
    this.#config = config;
    this.#warnings = warnings;
  }

  async run(socketPath: string): Promise<ExitCode> {
    const { dryRun, stateDir, runDir } = this.#options;
    const ended = new Promise<ExitCode>((resolve) => {
      this.#end = resolve;
    });
    const assembly = await assemble({
      config: this.#config,
      stateDir,
      runDir,
      dryRun,
      onFatal: (error) => {
        assembly.log.write('error', `too many internal errors, ending so that a fresh start adopts the routes: ${String(error)}`);
        this.#end(1);
      },
    });
    const { loop, log } = assembly;
    process.on('uncaughtException', (error) => loop.uncaught(error));
    process.on('unhandledRejection', (error) => loop.uncaught(error));
    this.#listenToSignals(assembly);
    for (const warning of this.#warnings) log.write('warning', warning);
    if (dryRun) warnOfPingGroup(log);

    try {
      return await this.#live(assembly, socketPath, ended);
    } finally {
      await within(STOP_MS, assembly.close());
    }
  }

  async #live(assembly: Assembly, socketPath: string, ended: Promise<ExitCode>): Promise<ExitCode> {
    const { loop, log } = assembly;
    const { dryRun } = this.#options;
    await within(LEASES_MS, assembly.watchers.prepare(assembly.engine.config));
    loop.start();
    assembly.watchers.handOver();
    const early = await Promise.race([this.#adopted(assembly), ended]);
    const socket = typeof early === 'number' || dryRun ? null : await this.#serve(assembly, socketPath);
    const watchdog = this.#feedWatchdog(assembly);
    this.#manager.ready(firstSentence(assembly));
    log.write('info', `ready after ${Math.round(performance.now())} ms`, { version: PROGRAM_VERSION, pid: process.pid });
    // People come after packets: what serves them is loaded once the first answers are in. Loading blocks the loop for 100 ms and
    // more; answers that lay unread meanwhile would look slow, and deadlines would be long for the next twenty probes.
    await Promise.race([firstVerdicts(assembly), ended]);
    await log.open();
    await assembly.services?.start().catch((error: unknown) => log.write('error', `services cannot follow: ${String(error)}`));
    assembly.history?.start();
    await assembly.watchers.configure(assembly.engine.config);
    await socket?.warmUp().catch((error: unknown) => log.write('error', `the control socket cannot answer: ${String(error)}`));

    const code = await ended;
    clearInterval(watchdog);
    this.#manager.stopping();
    // After a fatal error the engine is not asked for last words: the routes stay as they are.
    await within(STOP_MS, loop.stop(code === 0 && !dryRun ? { type: 'stopping' } : null));
    await within(STOP_MS, socket?.close() ?? Promise.resolve());
    return code;
  }

  /** Probing has begun and the first changes are made. @throws StartError 3 when the kernel refused them all for want of permission */
  async #adopted({ loop, probing, firstResults }: Assembly): Promise<void> {
    let results: readonly OpResult[] = [];
    void firstResults.then((made) => {
      results = made;
    });
    await Promise.race([probing, pause(FIRST_PROBE_MS)]);
    await within(FIRST_PROBE_MS, loop.applied());
    if (results.length > 0 && results.every(isPermission)) {
      throw new StartError(
        3,
        `the kernel refuses every change: ${results[0]?.errno}`,
        'run it as root in the network namespace it is meant for',
      );
    }
  }

  #listenToSignals(assembly: Assembly): void {
    let asked = false;
    const stop = (): void => {
      // Asked twice: somebody is impatient, and the routes are safe at any instant.
      if (asked) process.exit(1);
      asked = true;
      this.#end(0);
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
    process.on('SIGHUP', () => void this.#reload(assembly));
  }

  #feedWatchdog(assembly: Assembly): NodeJS.Timeout | undefined {
    const intervalMs = this.#manager.watchdogIntervalMs;
    if (intervalMs === null) return undefined;
    return setInterval(() => {
      if (healthProblems(assembly).length === 0) this.#manager.watchdog();
    }, intervalMs / 2);
  }

  async #serve(assembly: Assembly, path: string): Promise<ControlSocket> {
    const { group, mode } = this.#config.socket;
    try {
      return await openControlSocket({ path, group, mode, backend: this.#backend(assembly) });
    } catch (error) {
      throw new StartError(
        1,
        `the control socket ${path} cannot be served: ${(error as Error).message}`,
        'see socket: in the config',
      );
    }
  }

  #backend(assembly: Assembly): ApiBackend {
    const { loop, engine, recorder, journal, kept, services, history } = assembly;
    const view = (): StatusView => {
      const now = engine.view(performance.now());
      if (services === null) return { ...now, dryRun: this.#options.dryRun };
      const messages = services.outbox();
      const refused = messages.filter(({ state }) => state === 'refused').length;
      return {
        ...now,
        outbox: { waiting: messages.length - refused, refused },
        problems: [...now.problems, ...services.problems(), ...(history?.problems() ?? [])],
      };
    };
    return {
      view,
      health: (): HealthView => {
        const problems = healthProblems(assembly);
        const uptimeMs = Math.round(performance.now() - this.#startedMs);
        return { ok: problems.length === 0, version: PROGRAM_VERSION, pid: process.pid, uptimeMs, problems };
      },
      eventsReady: () => journal?.ready() ?? Promise.resolve(),
      events: (query) => journal?.recent(query) ?? [],
      follow: (listener) => recorder.follow(listener),
      command: async (command): Promise<Answer> => {
        const details = loop.ask({ type: 'command', command }).map(describeRecord);
        const text = decision(view());
        // Acknowledged means kept over restarts, even after a power cut in the next instant.
        const onDisk = await within(KEPT_MS, kept());
        const warnings = onDisk === true ? [] : ['the disk has not taken it yet: it is in force, and a restart would forget it'];
        return { ok: true, text, details: [...details, ...warnings] };
      },
      reload: () => this.#reload(assembly),
    };
  }

  /** One at a time: two editors saving at once must not end with the older file in force. */
  #reload(assembly: Assembly): Promise<Answer> {
    const next = this.#reloading.then(() => this.#reloadNow(assembly));
    this.#reloading = next;
    return next;
  }

  async #reloadNow(assembly: Assembly): Promise<Answer> {
    const { loop, log, recorder } = assembly;
    this.#manager.reloading();
    try {
      const { config, warnings } = await readConfig(this.#options.configPath);
      const fixed = needsRestart(this.#config, config);
      if (fixed !== null)
        throw new StartError(2, `${this.#options.configPath}: ${fixed} cannot change while running`, 'restart instead');
      this.#config = config;
      for (const warning of warnings) log.write('warning', warning);
      const details = loop.ask({ type: 'config-reloaded', config }).map(describeRecord);
      assembly.services?.reload(config.services);
      assembly.history?.configure(config.history, pathsOf(config));
      void assembly.watchers.configure(config);
      if (!this.#options.dryRun) recorder.writeTextTo(config.log);
      return { ok: true, text: `${this.#options.configPath} is in force`, details: [...warnings, ...details] };
    } catch (error) {
      const problems = (error instanceof Error ? error.message : String(error)).split('\n');
      log.write('error', `reload: nothing was changed: ${problems.join('; ')}`);
      return { ok: false, text: 'the config has problems: nothing was changed', details: problems };
    } finally {
      this.#manager.ready(firstSentence(assembly));
    }
  }
}

function pathsOf({ uplinks }: Config): { uplink: string; family: Family }[] {
  return uplinks.flatMap(({ name, gateways }) => gateways.map(({ family }) => ({ uplink: name, family })));
}

function healthProblems({ loop }: Assembly): string[] {
  const late = loop.lateMs();
  return late > LATE_MS ? [`the loop is ${Math.round(late)} ms late`] : [];
}

function isPermission(result: OpResult): boolean {
  return !result.ok && (result.errno === 'EPERM' || result.errno === 'EACCES');
}

function firstSentence({ engine }: Assembly): string {
  return decision(engine.view(performance.now()));
}

/** `IPv4 leaves by fast, IPv6 by backup` */
function decision(view: StatusView): string {
  const parts = view.families.map(({ family, active }) =>
    active === null ? `IPv${family} keeps the route it has` : `IPv${family} leaves by ${active}`,
  );
  return parts.length === 0 ? 'no uplink is configured' : parts.join(', ');
}

/** A real run sets it; a dry run can only say that its verdicts on ICMP targets are worth nothing. */
function warnOfPingGroup(log: Log): void {
  const range = readSysctl(PING_GROUP_RANGE);
  const gid = process.getegid?.() ?? 0;
  const [low = 1, high = 0] = (range ?? '').split(/\s+/).map(Number);
  if (range === null || (low <= gid && gid <= high)) return;
  const words = range.replace(/\s+/g, ' ');
  log.write(
    'warning',
    `group ${gid} may not send ICMP probes (net.ipv4.ping_group_range is "${words}") and a dry run does not change that: its verdicts mean nothing until: sysctl -w net.ipv4.ping_group_range='${gid} ${gid}'`,
  );
}

/** What names our objects in the kernel: changed under a running daemon, the old ones would be nobody's. */
function needsRestart(before: Config, after: Config): string | null {
  if (JSON.stringify(before.kernel) !== JSON.stringify(after.kernel)) return 'kernel:';
  return JSON.stringify(before.socket) === JSON.stringify(after.socket) ? null : 'socket:';
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}

/** Resolves when every uplink has its first verdict, or after a while. */
async function firstVerdicts({ engine }: Assembly): Promise<void> {
  const untilMs = performance.now() + FIRST_VERDICT_MS;
  while (!engine.settled() && performance.now() < untilMs) await pause(VERDICT_LOOK_MS);
}

/** What the work gives; null when the time is up before. */
function within<T>(ms: number, work: Promise<T>): Promise<T | null> {
  return Promise.race([work, pause(ms).then(() => null)]);
}
