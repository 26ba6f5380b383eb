/**
 * Builds the adapters and the loop around one engine, for the daemon and for `once`. Knows who is joined to whom, and
 * nothing of how long it runs or who asks.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROGRAM_VERSION } from '../api/version.js';
import { loadConfig } from '../config/load.js';
import { formatProblem, formatProblems } from '../config/problem.js';
import type { FollowOutcome } from '../core/action.js';
import type { Config } from '../core/config.js';
import { Engine } from '../core/engine.js';
import type { FlowKeeper } from '../core/flow.js';
import type { Kernel, KernelState, OpResult } from '../core/kernel.js';
import type { SavedState, Surroundings } from '../core/messages.js';
import type { Prober } from '../core/probe.js';
import { HistoryKeeper } from '../history/history.js';
import { EventJournal } from '../history/journal.js';
import { ensureWritable, LOCK_FILE, loadState, StateStore } from '../history/state-store.js';
import { bootId } from '../kernel/boot.js';
import { LinuxFlowKeeper } from '../kernel/flows/keeper.js';
import { RtnlKernel } from '../kernel/kernel.js';
import { type FileLock, lockFile, lockHolder } from '../kernel/lock.js';
import { kernelSockets } from '../kernel/sockets.js';
import { createProber } from '../probe/prober.js';
import { realClock } from './clock.js';
import { DryRunFlows, DryRunFollowing, DryRunKernel, DryRunProber } from './dry-run.js';
import { createLog, type Log } from './log.js';
import { Loop } from './loop.js';
import { systemLookup } from './name-resolver.js';
import { Recorder } from './recorder.js';
import { Services } from './services.js';
import { StartError } from './start-error.js';
import { Watchers } from './watchers.js';

export interface Places {
  readonly configPath: string;
  readonly stateDir: string;
  readonly runDir: string;
}

/** @throws StartError 2 with every problem, one per line */
export async function readConfig(path: string): Promise<{ config: Config; warnings: readonly string[] }> {
  const result = await loadConfig(path);
  if (!result.ok) throw new StartError(2, formatProblems(result.problems));
  return { config: result.config, warnings: result.warnings.map(formatProblem) };
}

export interface HeldLock {
  release(): void;
}

/**
 * One writer at a time per state directory.
 * @returns null when another process holds it; {@link holderOf} names it
 * @throws StartError when the directory cannot be made or written
 */
export async function lockStateDir(stateDir: string): Promise<FileLock | null> {
  try {
    await ensureWritable(stateDir);
    return lockFile(join(stateDir, LOCK_FILE));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const denied = code === 'EACCES' || code === 'EPERM';
    throw new StartError(
      denied ? 3 : 1,
      `the state directory ${stateDir} cannot be written: ${message}`,
      denied ? 'run it as root, or name another directory with --state-dir' : 'name another directory with --state-dir',
    );
  }
}

export function holderOf(stateDir: string): string {
  const pid = lockHolder(join(stateDir, LOCK_FILE));
  return pid === null ? 'another process' : `process ${pid}`;
}

/** @throws StartError */
export function makeRunDir(runDir: string): void {
  try {
    mkdirSync(runDir, { recursive: true, mode: 0o755 });
  } catch (error) {
    throw new StartError(
      3,
      `the run directory ${runDir} cannot be made: ${(error as Error).message}`,
      'run it as root, or name another directory with --run-dir',
    );
  }
}

/** capabilities(7), bit 12. Without it no route, no rule and no mark can be set. @throws StartError 3 */
export function requireNetAdmin(): void {
  if (hasCapability(12)) return;
  throw new StartError(
    3,
    'this process may not change the network: it lacks the capability CAP_NET_ADMIN',
    'run it as root, or from its systemd unit, or see what it would do with: backroute run --dry-run',
  );
}

function hasCapability(bit: number): boolean {
  try {
    const line = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'));
    return line?.[1] === undefined || ((BigInt(`0x${line[1]}`) >> BigInt(bit)) & 1n) === 1n;
  } catch {
    // Cannot be told: the kernel itself will say it with the first change.
    return true;
  }
}

export interface Assembly {
  readonly engine: Engine;
  readonly loop: Loop;
  readonly log: Log;
  readonly recorder: Recorder;
  readonly journal: EventJournal | null;
  readonly prober: Prober;
  /** what others know of the uplinks */
  readonly watchers: Watchers;
  /** null in a dry run */
  readonly services: Services | null;
  /** null in a dry run; writes nothing before it is started */
  readonly history: HistoryKeeper | null;
  /** Resolves when the state as it is now is on disk, or the disk refused it (which is told): whether it is there. */
  readonly kept: () => Promise<boolean>;
  /** Resolves with the first probe asked. */
  readonly probing: Promise<void>;
  /** Resolves with the results of the first operations. */
  readonly firstResults: Promise<readonly OpResult[]>;
  close(): Promise<void>;
}

export interface AssemblyOptions {
  readonly config: Config;
  readonly stateDir: string;
  readonly runDir: string;
  readonly dryRun: boolean;
  /** The program fails again and again and should end. */
  readonly onFatal: (error: unknown) => void;
}

/** @throws StartError when the kernel cannot be spoken to */
export async function assemble(options: AssemblyOptions): Promise<Assembly> {
  const { config, stateDir, runDir, dryRun, onFatal } = options;
  const log = createLog(1, dryRun ? true : null);
  const tellDisk = (what: string) => (message: string | null) =>
    message === null
      ? log.write('notice', `${what} can be written again`)
      : log.write('error', `${what} cannot be written: ${message}`);
  const journal = dryRun ? null : new EventJournal(stateDir, tellDisk('the event journal'));
  const recorder = new Recorder({ log, journal: journal ?? { append: () => undefined }, wallMs: realClock.wallMs });
  const tellHistory = (severity: 'notice' | 'error', text: string): void => log.write(severity, text);
  const history = dryRun
    ? null
    : new HistoryKeeper(config.history, { directory: stateDir, clock: realClock, report: tellHistory });
  if (history !== null) recorder.follow((entry) => history.record(entry));
  const { saved, problem } = await loadState(stateDir);
  if (problem !== null) log.write('error', problem);
  if (!dryRun) refuseOtherNumbers(config, saved);

  const engine = new Engine(config, surroundings(), saved);
  const store = dryRun ? forgetfulStore : new StateStore(stateDir, tellDisk('the state'));
  const real = openKernel();
  const dryKernel = dryRun ? new DryRunKernel(real, config.kernel, (line) => log.write('notice', `would: ${line}`)) : null;
  const first = observed(dryKernel ?? real, (state) => {
    seen = state;
    watchers.kernelSeen(state);
  });
  let seen: KernelState | null = null;
  const watchers = new Watchers({
    runDir,
    state: () => seen,
    post: (event) => loop.post(event),
    onProblem: (text) => log.write('warning', text),
  });
  const realProber = createProber(kernelSockets, (outcome) => {
    // The engine first: it says whether this process stood still, and then the outcome proves nothing.
    loop.outcome(outcome);
    history?.outcome(outcome);
  });
  const prober = dryKernel === null ? realProber : new DryRunProber(realProber, dryKernel, (text) => log.write('warning', text));
  let onProbe: () => void = () => undefined;
  const probing = new Promise<void>((resolve) => {
    onProbe = resolve;
  });
  const flows: FlowKeeper = dryRun
    ? new DryRunFlows((line) => log.write('notice', `would: ${line}`))
    : new LinuxFlowKeeper({ numbers: config.kernel });
  const onOutcome = (outcome: FollowOutcome): void => loop.post({ type: 'follow-finished', outcome });
  const services = dryRun
    ? null
    : new Services(config.services, {
        stateDir,
        helperPath: helperSocket(runDir),
        version: PROGRAM_VERSION,
        clock: realClock,
        random: Math.random,
        log,
        view: () => engine.view(performance.now()),
        onOutcome,
      });
  const loop = new Loop({
    engine,
    kernel: first.kernel,
    flows,
    prober: {
      ask: (ask) => {
        prober.ask(ask);
        history?.asked(ask);
        onProbe();
      },
      forget: (path) => {
        prober.forget(path);
        history?.forget(path);
      },
      takeReadCount: () => prober.takeReadCount(),
      close: () => prober.close(),
    },
    clock: realClock,
    lookup: systemLookup,
    following: services ?? new DryRunFollowing((line) => log.write('notice', line), onOutcome),
    store,
    record: (record) => recorder.record(record),
    onTrouble: (doing, error) =>
      log.write(
        'error',
        `internal error (${doing}), routing goes on: ${error instanceof Error ? error.message : String(error)}`,
        {
          stack: error instanceof Error ? error.stack : undefined,
        },
      ),
    onFatal,
  });
  if (!dryRun) recorder.writeTextTo(config.log);

  return {
    engine,
    loop,
    log,
    recorder,
    journal,
    prober,
    watchers,
    services,
    history,
    async kept() {
      await store.flushed();
      return !store.refused;
    },
    probing,
    firstResults: first.results,
    async close() {
      watchers.close();
      await flows.close();
      prober.close();
      const written = history?.close();
      await services?.close();
      await first.kernel.close();
      await recorder.close();
      await journal?.close();
      await written;
      await log.close();
    },
  };
}

const forgetfulStore = { save: (_saved: SavedState): void => undefined, flushed: () => Promise.resolve(), refused: false };

function openKernel(): Kernel {
  try {
    return new RtnlKernel();
  } catch (error) {
    throw new StartError(3, `the kernel cannot be spoken to over rtnetlink: ${(error as Error).message}`);
  }
}

/** The same kernel; tells what it was seen to be, and the results of the first operations, beside. */
function observed(
  kernel: Kernel,
  onState: (state: KernelState) => void,
): { kernel: Kernel; results: Promise<readonly OpResult[]> } {
  let tell: (results: readonly OpResult[]) => void = () => undefined;
  const results = new Promise<readonly OpResult[]>((resolve) => {
    tell = resolve;
  });
  return {
    results,
    kernel: {
      snapshot: async (request) => {
        const state = await kernel.snapshot(request);
        onState(state);
        return state;
      },
      apply: async (ops) => {
        const made = await kernel.apply(ops);
        tell(made);
        return made;
      },
      watch: (onChange) => kernel.watch(onChange),
      close: () => kernel.close(),
    },
  };
}

/** Where the root helper of a daemon with this run directory listens: beside it, since that one belongs to the daemon. */
export function helperSocket(runDir: string): string {
  return join(`${runDir.replace(/\/+$/, '')}-helper`, 'helper.sock');
}

/** With other numbers the objects of the last run would be nobody's: they have to be taken away under their own first. */
function refuseOtherNumbers(config: Config, saved: SavedState | null): void {
  if (saved?.numbers === undefined || saved.restore.bootId !== bootId()) return;
  if (JSON.stringify(saved.numbers) === JSON.stringify(config.kernel)) return;
  throw new StartError(
    2,
    'kernel: has other numbers than the last run, whose routes and rules still stand',
    'take these away first with: backroute cleanup (it knows the former numbers)',
  );
}

export function surroundings(): Surroundings {
  return {
    bootId: bootId(),
    gid: process.getegid?.() ?? 0,
    random: Math.random,
    // The wall clock may step while we run: the pair of clocks is read at the moment of asking.
    wallMs: (monotonicMs) => Date.now() - performance.now() + monotonicMs,
    utcOffsetMs: (wallMs) => -new Date(wallMs).getTimezoneOffset() * 60_000,
  };
}
