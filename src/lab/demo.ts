/**
 * `backroute lab demo`: the classic network, the real daemon in its gateway, a client that measures what it feels; the fast
 * provider goes silent and comes back. Tells it as a timeline and removes everything on every way out. Judges whether it
 * happened, never how fast: that is the benchmark's.
 */
import { join } from 'node:path';
import type { HistoryEntry } from '../core/entry.js';
import type { Write } from './commands.js';
import { DemoDaemon } from './demo-daemon.js';
import { Interrupted, listenForInterruption } from './demo-interruption.js';
import { keepRunning } from './demo-keep.js';
import { AFTERMATH_MS, METER, Stage } from './demo-stage.js';
import { because, indented, milliseconds, networkPicture, type Paint, summary, switchLine, unpainted } from './demo-text.js';
import { LabError } from './errors.js';
import { Lab } from './lab.js';
import { DEFAULT_STATE_DIR, filesDir, listLabs } from './state.js';
import type { UplinkSpec } from './topologies.js';

export interface DemoOptions {
  /** after the story, stay until interrupted; default false */
  readonly keep?: boolean;
  /** of the lab; default `demo`, or with a number where there is one already */
  readonly name?: string;
  /** default /run/backroute-lab */
  readonly stateDir?: string;
  readonly paint?: Paint;
}

/** Everything works for this long before the cut. */
const CALM_MS = 1500;
const EVENT_TIMEOUT_MS = 15_000;

const RECOVER_AFTER_S = 5;
const config = (fast: UplinkSpec, backup: UplinkSpec): string => `uplinks:
  ${fast.name}:
    gateway: ${fast.gateway4}
    targets: [${fast.upstream4}]
  ${backup.name}:
    gateway: ${backup.gateway4}
defaults:
  # Given here, so that the demo goes the same way each time; both are learned from the line itself where nothing is said.
  fail-after: 1s
  recover-after: ${RECOVER_AFTER_S}s
`;

/**
 * Resolves with the exit code: 0 when failover and failback happened (with `keep`: when it was interrupted after them), 1 when
 * something did not happen (and says what), 128 + the signal's number when interrupted before. Nothing is left in any case.
 */
export async function labDemo(options: DemoOptions, write: Write): Promise<number> {
  const { paint = unpainted, keep = false, stateDir = DEFAULT_STATE_DIR, name = freeName(stateDir) } = options;
  const interruption = listenForInterruption();
  let lab: Lab | null = null;
  let finished = false;
  try {
    write(`${paint('bold', 'Backroute demo')}: two ways out of one network, in network namespaces of this machine.\n\n`);
    lab = await Lab.create('classic', { name, stateDir, tieToProcess: true });
    interruption.signal.throwIfAborted();
    const stage = setStage(lab, interruption.signal, paint, write);
    await play(stage);
    finished = true;
    if (keep) await keepRunning(stage);
    return 0;
  } catch (error) {
    if (error instanceof Interrupted) return finished ? 0 : error.exitCode;
    write(`\n${paint('red', 'The demo failed:')} ${error instanceof Error ? error.message : String(error)}\n`);
    if (error instanceof LabError && error.remedy !== null) write(`  -> ${error.remedy}\n`);
    return 1;
  } finally {
    if (lab !== null) {
      await lab.destroy();
      const why = interruption.signal.aborted ? 'Interrupted. ' : '';
      write(`\n${why}All namespaces, processes and files of the demo are gone again.\n`);
    }
    interruption.forget();
  }
}

function setStage(lab: Lab, interrupted: AbortSignal, paint: Paint, write: Write): Stage {
  const configText = config(lab.uplink('fast'), lab.uplink('backup'));
  write(`${networkPicture(lab.topology, METER.intervalMs, paint)}\n${indented(configText)}\n`);
  const daemon = new DemoDaemon(lab, join(filesDir(lab.stateDir, lab.name), 'daemon'), configText);
  return new Stage(lab, daemon, interrupted, paint, write);
}

async function play(stage: Stage): Promise<void> {
  const { lab, paint, write } = stage;
  const fast = lab.uplink('fast');
  const backup = lab.uplink('backup');
  await untilReady(stage, fast, backup);
  const meter = await lab.meter(METER);
  await stage.rest(CALM_MS);

  const cut = await lab.cut(fast.name, 'silent');
  const cutWallMs = cut.date.getTime();
  stage.tell(cutWallMs, 'cut', `the provider behind ${fast.name} goes silent; its router still answers`);
  const failoverMs = await tellSwitch(stage, backup, 'failover', cutWallMs, 'the cut');
  await stage.rest(AFTERMATH_MS);
  const cutStats = await stage.tellFelt(meter, cut.monotonicMs);

  const mended = await lab.mend(fast.name);
  const mendWallMs = mended.date.getTime();
  stage.tell(mendWallMs, 'repair', `the provider behind ${fast.name} answers again`);
  await tellRecovery(stage, fast, mendWallMs);
  const failbackMs = await tellSwitch(stage, fast, 'failback', mendWallMs, 'the repair');
  await stage.rest(AFTERMATH_MS);
  const repairStats = await stage.tellFelt(meter, mended.monotonicMs);
  await meter.stop();

  write(`\n${summary({ failoverMs, failbackMs, cutStats, repairStats }, paint)}`);
  const patience = `A second of silence is borne first (fail-after), and ${RECOVER_AFTER_S} s of good answers are asked for (recover-after).`;
  write(`   ${paint('dim', patience)}\n`);
}

/** From the start of the process until both uplinks have their verdict and the route is adopted. */
async function untilReady(stage: Stage, fast: UplinkSpec, backup: UplinkSpec): Promise<void> {
  const { startedWallMs } = stage.daemon;
  stage.tell(startedWallMs, 'start', 'backroute run', await stage.defaultRoute());
  const verdicts = await Promise.all([fast, backup].map((uplink) => upSince(stage, uplink, startedWallMs)));
  const readyWallMs = Math.max(...verdicts.map((entry) => entry.wallMs));
  stage.tell(
    readyWallMs,
    'ready',
    `${fast.name} and ${backup.name} answer; ${fast.name} is preferred`,
    await expectRoute(stage, fast),
  );
}

async function tellRecovery(stage: Stage, uplink: UplinkSpec, sinceWallMs: number): Promise<void> {
  const up = await upSince(stage, uplink, sinceWallMs);
  stage.tell(
    up.wallMs,
    'recovery',
    `${uplink.name} is up: ${because(up.reason)}`,
    `${milliseconds(up.wallMs - sinceWallMs)} after the repair; it has to stay good for ${RECOVER_AFTER_S} s`,
  );
}

/** Resolves with the time from `sinceWallMs` to the switch. */
async function tellSwitch(
  stage: Stage,
  uplink: UplinkSpec,
  label: 'failover' | 'failback',
  sinceWallMs: number,
  what: string,
): Promise<number> {
  const isIt = (entry: HistoryEntry): boolean =>
    entry.kind === 'switch' && entry.to === uplink.name && entry.wallMs >= sinceWallMs;
  const entry = await stage.waitFor(`a switch to ${uplink.name}`, isIt, EVENT_TIMEOUT_MS);
  const tookMs = entry.wallMs - sinceWallMs;
  stage.tell(entry.wallMs, label, switchLine(entry), `${milliseconds(tookMs)} after ${what}`, await expectRoute(stage, uplink));
  return tookMs;
}

function upSince(stage: Stage, uplink: UplinkSpec, sinceWallMs: number): Promise<HistoryEntry> {
  const isIt = (entry: HistoryEntry): boolean =>
    entry.kind === 'health' && entry.uplink === uplink.name && entry.to === 'up' && entry.wallMs >= sinceWallMs;
  return stage.waitFor(`the verdict that ${uplink.name} is up`, isIt, EVENT_TIMEOUT_MS);
}

/** The ruling default route, in words. Rejects with a LabError when it is not by this uplink. */
async function expectRoute(stage: Stage, uplink: UplinkSpec): Promise<string> {
  const route = await stage.defaultRoute();
  if (route.startsWith(`default via ${uplink.gateway4} `)) return route;
  throw new LabError(`the default route should be by ${uplink.name}, but it is: ${route}`, stage.daemon.lastWords());
}

/** `demo`, or `demo-2` … beside others. */
function freeName(stateDir: string): string {
  const taken = new Set(listLabs(stateDir));
  for (let number = 1; ; number++) {
    const name = number === 1 ? 'demo' : `demo-${number}`;
    if (!taken.has(name)) return name;
  }
}
