/**
 * `backroute once`: one verdict on every uplink, each silence confirmed by a burst, a switch if needed, and out: for cron.
 * What it must remember is in the kernel and the state file. Must not run beside a daemon or itself.
 */
import { join } from 'node:path';
import { answers, SOCKET_FILE } from '../api/server.js';
import type { Config, UplinkConfig } from '../core/config.js';
import type { SavedState, StatusView } from '../core/messages.js';
import { pathKey } from '../core/model.js';
import { loadState } from '../history/state-store.js';
import { assemble, holderOf, lockStateDir, type Places, readConfig, requireNetAdmin } from './assembly.js';
import { type ExitCode, StartError } from './start-error.js';

/** Verdicts are due within 2 s; a first lookup of a name may take longer. */
const VERDICT_MS = 10_000;
const POLL_MS = 20;

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
    const { saved } = await loadState(places.stateDir);
    return await judgeOnce(patientAcrossRuns(config, saved, Date.now()), places.stateDir, warnings);
  } finally {
    lock.release();
  }
}

async function judgeOnce(config: Config, stateDir: string, warnings: readonly string[]): Promise<OnceResult> {
  let fatal: unknown = null;
  const assembly = await assemble({
    config,
    stateDir,
    dryRun: false,
    onFatal: (error) => {
      fatal = error;
    },
  });
  const { loop, engine, log } = assembly;
  try {
    for (const warning of warnings) log.write('warning', warning);
    loop.start();
    const untilMs = performance.now() + VERDICT_MS;
    while (!engine.settled() && fatal === null && performance.now() < untilMs) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    const settled = engine.settled();
    await loop.stop(null);
    const view = engine.view(performance.now());
    if (fatal !== null) throw fatal;
    return { exitCode: settled ? 0 : 1, view, note: settled ? null : `no verdict within ${VERDICT_MS / 1000} s` };
  } finally {
    await assembly.close();
  }
}

/**
 * Time between two runs is time seen by nobody, so patience counts across them: a silence that the burst confirms acts at
 * once; the way back is free when the last failure is at least `recover-after` ago, and else left to a later run.
 */
export function patientAcrossRuns(config: Config, saved: SavedState | null, nowWallMs: number): Config {
  return { ...config, uplinks: config.uplinks.map((uplink) => patientUplink(uplink, saved, nowWallMs)) };
}

function patientUplink(uplink: UplinkConfig, saved: SavedState | null, nowWallMs: number): UplinkConfig {
  const failedMs = uplink.gateways.map(({ family }) => saved?.failures[pathKey(uplink.name, family)]?.lastWallMs ?? 0);
  const quietMs = nowWallMs - Math.max(0, ...failedMs);
  const free = quietMs < 0 || quietMs >= uplink.recoverAfterMs;
  const recoverAfterMs = free ? 0 : uplink.recoverAfterMs;
  return { ...uplink, failAfterMs: 0, recoverAfterMs, holdDown: free ? { ...uplink.holdDown, maxMs: 0 } : uplink.holdDown };
}
