/**
 * `backroute once`: one verdict on every uplink, each silence confirmed by a burst, a switch if needed, and out: for cron.
 * What it must remember is in the kernel and the state file. Must not run beside a daemon or itself.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { answers, SOCKET_FILE } from '../api/server.js';
import type { Config, UplinkConfig } from '../core/config.js';
import type { StatusView } from '../core/messages.js';
import { type PathKey, pathKey } from '../core/model.js';
import { writeAtomically } from '../history/state-store.js';
import { type Assembly, assemble, holderOf, lockStateDir, type Places, readConfig, requireNetAdmin } from './assembly.js';
import { type ExitCode, StartError } from './start-error.js';

/** Verdicts are due within 2 s; a first lookup of a name may take longer. */
const VERDICT_MS = 10_000;
const POLL_MS = 20;
/** What follows is waited for so long, and as long as the slowest service and hook may take; the loop goes on meanwhile. */
const AFTERMATH_MS = 60_000;

const MEMORY_FILE = 'once.json';

/** Per path that has ever failed: since when runs found it good; null = the last run did not. */
export type OnceMemory = Readonly<Record<PathKey, { readonly goodSinceWallMs: number | null }>>;

export interface OnceResult {
  readonly exitCode: ExitCode;
  /** null when another run was under way */
  readonly view: StatusView | null;
  /** what a person is told beside the view */
  readonly note: string | null;
}

/** @throws StartError */
export async function runOnce(places: Places): Promise<OnceResult> {
  const { config, warnings } = await readConfig(places.configPath);
  requireNetAdmin();
  // The daemon holds the same lock; its socket tells which of the two it is.
  const daemonRuns = await answers(join(places.runDir, SOCKET_FILE));
  const lock = daemonRuns ? null : await lockStateDir(places.stateDir);
  if (lock === null) {
    if (daemonRuns) throw new StartError(1, 'the daemon runs: it watches all the time', 'use one of the two, not both');
    return { exitCode: 0, view: null, note: `another run is under way (${holderOf(places.stateDir)}): nothing was done` };
  }
  try {
    const memoryPath = join(places.stateDir, MEMORY_FILE);
    const memory = await readMemory(memoryPath);
    const result = await judgeOnce(patientAcrossRuns(config, memory, Date.now()), places, warnings);
    if (result.view !== null) await writeAtomically(memoryPath, `${JSON.stringify(remember(memory, result.view))}\n`);
    return result;
  } finally {
    lock.release();
  }
}

async function judgeOnce(config: Config, { stateDir, runDir }: Places, warnings: readonly string[]): Promise<OnceResult> {
  let fatal: unknown = null;
  const assembly = await assemble({
    config,
    stateDir,
    runDir,
    dryRun: false,
    onFatal: (error) => {
      fatal = error;
    },
  });
  const { loop, engine, log } = assembly;
  try {
    for (const warning of warnings) log.write('warning', warning);
    // Leases may name a gateway that no route shows; who else advertises himself is the daemon's business.
    await assembly.watchers.prepare(config);
    loop.start();
    assembly.watchers.handOver();
    const untilMs = performance.now() + VERDICT_MS;
    while (!engine.settled() && fatal === null && performance.now() < untilMs) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    const settled = engine.settled();
    // The kernel has its routes first; only then is loaded what makes services follow and tells people.
    if (fatal === null) await aftermath(assembly, config, () => fatal !== null);
    await loop.stop(null);
    const view = engine.view(performance.now());
    if (fatal !== null) throw fatal;
    return { exitCode: settled ? 0 : 1, view, note: settled ? null : `no verdict within ${VERDICT_MS / 1000} s` };
  } finally {
    await assembly.close();
  }
}

/** Lets services follow and messages be tried once, those of earlier runs too. Whatever fails is told, and left to the next run. */
async function aftermath({ loop, engine, services, log }: Assembly, config: Config, over: () => boolean): Promise<void> {
  if (services === null) return;
  await loop.applied();
  await services.start().catch((error: unknown) => log.write('error', `services cannot follow: ${String(error)}`));
  const { followers, hooks } = config.services;
  const longestMs = Math.max(0, hooks?.timeoutMs ?? 0, ...followers.map(({ timeoutMs }) => 2 * timeoutMs));
  const untilMs = performance.now() + AFTERMATH_MS + longestMs;
  const busy = (): boolean => !services.idle() || engine.view(performance.now()).services.some(({ running }) => running);
  while (busy() && !over()) {
    if (performance.now() >= untilMs) {
      log.write('warning', 'services or messages are not done yet: the next run goes on with them');
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** `recover-after: auto`: one verdict a minute teaches nothing about silences. */
const LEARNED_ELSEWHERE_MS = 30_000;

/**
 * Time between two runs is time seen by nobody, so patience counts across them: a silence that the burst confirms acts at
 * once; the way back is free once an uplink that had failed was found good by two runs at least `recover-after` apart.
 */
export function patientAcrossRuns(config: Config, memory: OnceMemory, nowWallMs: number): Config {
  return { ...config, uplinks: config.uplinks.map((uplink) => patientUplink(uplink, memory, nowWallMs)) };
}

function patientUplink(uplink: UplinkConfig, memory: OnceMemory, nowWallMs: number): UplinkConfig {
  const recoverAfterMs = uplink.recoverAfterMs ?? LEARNED_ELSEWHERE_MS;
  const free = uplink.gateways.every(({ family }) => {
    const path = memory[pathKey(uplink.name, family)];
    if (path === undefined) return true;
    const goodMs = nowWallMs - (path.goodSinceWallMs ?? nowWallMs);
    // The clock was set back: a time in the future must not block the way for ever.
    return path.goodSinceWallMs !== null && (goodMs < 0 || goodMs >= recoverAfterMs);
  });
  if (!free) return { ...uplink, failAfterMs: 0, recoverAfterMs };
  return { ...uplink, failAfterMs: 0, recoverAfterMs: 0, holdDown: { ...uplink.holdDown, maxMs: 0 } };
}

/** What a run found, for the next one. An uplink that never failed needs no memory. */
export function remember(memory: OnceMemory, view: StatusView): OnceMemory {
  const next: Record<PathKey, { readonly goodSinceWallMs: number | null }> = {};
  for (const uplink of view.uplinks) {
    for (const path of uplink.paths) {
      const key = pathKey(uplink.name, path.family);
      const before = memory[key];
      const good = path.health === 'up' || path.health === 'degraded';
      if (!good) next[key] = { goodSinceWallMs: null };
      else if (before !== undefined) next[key] = { goodSinceWallMs: before.goodSinceWallMs ?? view.wallMs };
    }
  }
  return next;
}

/** Unreadable or damaged counts as none: the first run decides as a first run. */
async function readMemory(path: string): Promise<OnceMemory> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (typeof value !== 'object' || value === null) return {};
    const entries = Object.entries(value).filter(
      (entry): entry is [PathKey, { goodSinceWallMs: number | null }] =>
        typeof entry[1] === 'object' &&
        entry[1] !== null &&
        (entry[1].goodSinceWallMs === null || typeof entry[1].goodSinceWallMs === 'number'),
    );
    return Object.fromEntries(entries);
  } catch {
    return {};
  }
}
