/**
 * `backroute lab demo`: the classic network, the real daemon in its gateway, a client that measures what it feels; the fast
 * provider goes silent and comes back. Tells it as a timeline and removes everything on every way out. Judges whether it
 * happened, never how fast: that is the benchmark's.
 */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { HistoryEntry } from '../core/entry.js';
import type { Write } from './commands.js';
import { DemoDaemon } from './demo-daemon.js';
import { keepRunning } from './demo-keep.js';
import {
  because,
  clientLine,
  indented,
  type Label,
  milliseconds,
  networkPicture,
  type Outcome,
  type Paint,
  summary,
  switchLine,
  timelineEntry,
  unpainted,
} from './demo-text.js';
import { LabError } from './errors.js';
import { Lab } from './lab.js';
import type { Meter } from './meter.js';
import { identify, isAlive } from './processes.js';
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

/** What {@link keepRunning} needs as well. */
export interface Stage {
  readonly lab: Lab;
  readonly daemon: DemoDaemon;
  readonly stateDir: string;
  readonly interrupted: AbortSignal;
  readonly paint: Paint;
  readonly write: Write;
  readonly tell: (wallMs: number, label: Label, ...lines: string[]) => void;
  /** the default route that rules in the gateway's main table now */
  readonly defaultRoute: () => Promise<string>;
}

/** Set by `npm start` to its own process id: the demo ends with it, even where it was killed without a chance to say so. */
export const STARTER_VARIABLE = 'BACKROUTE_STARTER';

export const METER_INTERVAL_MS = 5;
/** A packet not back after this is lost; the longest round trip here takes 40 ms. */
const METER_GRACE_MS = 500;
/** How long the client goes on after a switch before it is asked what it felt: longer than the grace time. */
export const AFTERMATH_MS = 1500;
const QUIET_MS = 1500;
const EVENT_TIMEOUT_MS = 15_000;

const RECOVER_AFTER_S = 5;
const CONFIG = (fast: UplinkSpec, backup: UplinkSpec): string => `uplinks:
  ${fast.name}:
    gateway: ${fast.gateway4}
    targets: [${fast.upstream4}]
  ${backup.name}:
    gateway: ${backup.gateway4}
defaults:
  recover-after: ${RECOVER_AFTER_S}s   # 30s where nothing is said; less here, so that the demo ends soon
`;

class Interrupted extends Error {
  constructor(readonly exitCode: number) {
    super('interrupted');
  }
}

/**
 * Resolves with the exit code: 0 when failover and failback happened (with `keep`: when it was interrupted after them), 1 when
 * something did not happen (and says what), 128 + the signal's number when interrupted before. Nothing is left in any case.
 */
export async function labDemo(options: DemoOptions, write: Write): Promise<number> {
  const { paint = unpainted, keep = false } = options;
  const interruption = listenForTheEnd();
  let finished = false;
  let lab: Lab | null = null;
  try {
    const stage = await setStage(options, interruption.signal, write, (made) => {
      lab = made;
    });
    await play(stage);
    finished = true;
    if (keep) await keepRunning(stage);
  } catch (error) {
    if (error instanceof Interrupted) return finished ? 0 : error.exitCode;
    write(`\n${paint('red', 'The demo failed:')} ${error instanceof Error ? error.message : String(error)}\n`);
    if (error instanceof LabError && error.remedy !== null) write(`  -> ${error.remedy}\n`);
    return 1;
  } finally {
    if (lab !== null) {
      await (lab as Lab).destroy();
      write(`\n${interruption.signal.aborted ? 'Interrupted. ' : ''}Every namespace, process and file of the demo is gone again.\n`);
    }
    interruption.forget();
  }
  return 0;
}

async function setStage(
  options: DemoOptions,
  interrupted: AbortSignal,
  write: Write,
  onLab: (lab: Lab) => void,
): Promise<Stage> {
  const { paint = unpainted, stateDir = DEFAULT_STATE_DIR, name = freeName(stateDir) } = options;
  write(`${paint('bold', 'Backroute demo')}: two ways out of one network, in network namespaces of this machine.\n\n`);
  const lab = await Lab.create('classic', { name, stateDir, tieToProcess: true });
  onLab(lab);
  interrupted.throwIfAborted();
  const [fast, backup] = bothUplinks(lab);
  const configText = CONFIG(fast, backup);
  write(`${networkPicture(lab.topology, METER_INTERVAL_MS, paint)}\n${indented(configText)}\n`);
  const daemon = new DemoDaemon(lab, join(filesDir(stateDir, lab.name), 'daemon'), configText);
  return {
    lab,
    daemon,
    stateDir,
    interrupted,
    paint,
    write,
    tell: (wallMs, label, ...lines) => write(timelineEntry(wallMs - daemon.startedWallMs, label, lines, paint)),
    defaultRoute: () => rulingRoute(lab),
  };
}

async function play(stage: Stage): Promise<void> {
  const { lab, daemon, paint, write, tell } = stage;
  const [fast, backup] = bothUplinks(lab);
  await open(stage);
  const meter = await lab.meter({ intervalMs: METER_INTERVAL_MS, graceMs: METER_GRACE_MS });
  await rest(stage, QUIET_MS);

  const cut = await lab.cut(fast.name, 'silent');
  tell(cut.date.getTime(), 'cut', `the provider behind ${fast.name} goes silent; its router still answers`);
  const away = await switchTo(stage, backup, cut.date);
  const failoverMs = away.wallMs - cut.date.getTime();
  tell(away.wallMs, 'failover', switchLine(away), `${milliseconds(failoverMs)} after the cut`, await expectRoute(stage, backup));
  await rest(stage, AFTERMATH_MS);
  const cutStats = await feltByClient(stage, meter, cut.monotonicMs);

  const mended = await lab.mend(fast.name);
  tell(mended.date.getTime(), 'repair', `the provider behind ${fast.name} answers again`);
  const up = await daemon.waitFor(`${fast.name} up again`, isHealth(fast, 'up', mended.date), EVENT_TIMEOUT_MS, stage.interrupted);
  const upMs = milliseconds(up.wallMs - mended.date.getTime());
  tell(up.wallMs, 'recovery', `${fast.name} is up: ${because(up.reason)}`, `${upMs} after the repair; it has to stay good for ${RECOVER_AFTER_S} s`);
  const back = await switchTo(stage, fast, mended.date);
  const failbackMs = back.wallMs - mended.date.getTime();
  tell(back.wallMs, 'failback', switchLine(back), `${milliseconds(failbackMs)} after the repair`, await expectRoute(stage, fast));
  await rest(stage, AFTERMATH_MS);
  const repairStats = await feltByClient(stage, meter, mended.monotonicMs);
  await meter.stop();

  const outcome: Outcome = { failoverMs, failbackMs, cutStats, repairStats };
  write(`\n${summary(outcome, paint)}`);
}

/** From the start of the process until both uplinks have their verdict and the route is adopted. */
async function open(stage: Stage): Promise<void> {
  const { daemon, lab, interrupted, tell } = stage;
  const [fast, backup] = bothUplinks(lab);
  tell(daemon.startedWallMs, 'start', 'backroute run', await stage.defaultRoute());
  const since = new Date(daemon.startedWallMs);
  const verdicts = [fast, backup].map((uplink) =>
    daemon.waitFor(`a first verdict that ${uplink.name} is up`, isHealth(uplink, 'up', since), EVENT_TIMEOUT_MS, interrupted),
  );
  const times = (await Promise.all(verdicts)).map((entry) => entry.wallMs);
  tell(Math.max(...times), 'ready', `${fast.name} and ${backup.name} answer, ${fast.name} is preferred`, await expectRoute(stage, fast));
}

function switchTo(stage: Stage, uplink: UplinkSpec, since: Date): Promise<HistoryEntry> {
  const wanted = (entry: HistoryEntry): boolean =>
    entry.kind === 'switch' && entry.to === uplink.name && entry.wallMs >= since.getTime();
  return stage.daemon.waitFor(`the switch to ${uplink.name}`, wanted, EVENT_TIMEOUT_MS, stage.interrupted);
}

function isHealth(uplink: UplinkSpec, health: string, since: Date): (entry: HistoryEntry) => boolean {
  return (entry) =>
    entry.kind === 'health' && entry.uplink === uplink.name && entry.to === health && entry.wallMs >= since.getTime();
}

/** The ruling default route, in words. Rejects with a LabError when it is not by this uplink. */
async function expectRoute(stage: Stage, uplink: UplinkSpec): Promise<string> {
  const route = await stage.defaultRoute();
  if (route.startsWith(`default via ${uplink.gateway4} `)) return route;
  throw new LabError(`the default route should be by ${uplink.name} (${uplink.gateway4}), but it is: ${route}`, stage.daemon.lastWords());
}

/** Rejects with a LabError when the client gets no answers now. */
async function feltByClient(stage: Stage, meter: Meter, sinceMs: number): Promise<Outcome['cutStats']> {
  const felt = await meter.stats(sinceMs);
  const last = await meter.stats(sinceMs + felt.longestGapMs);
  if (last.received === 0) throw new LabError('the client gets no answers although the route is in place', stage.daemon.lastWords());
  stage.write(timelineEntry(0, 'ready', ['', clientLine(felt)], stage.paint).split('\n').slice(1).join('\n'));
  return felt;
}

/** The route of main that the kernel obeys: the lowest metric, in the words of `ip route`. */
async function rulingRoute(lab: Lab): Promise<string> {
  const { stdout } = await lab.exec('gateway', ['ip', '-j', '-4', 'route', 'show', 'default']);
  const routes = JSON.parse(stdout) as readonly { gateway?: string; dev?: string; metric?: number }[];
  const [first] = routes.toSorted((a, b) => (a.metric ?? 0) - (b.metric ?? 0));
  return first === undefined ? 'no default route' : `default via ${first.gateway} dev ${first.dev}`;
}

function bothUplinks(lab: Lab): [UplinkSpec, UplinkSpec] {
  return [lab.uplink('fast'), lab.uplink('backup')];
}

/** Time for the client's packets to flow; cut short by an interruption or the daemon's end. */
async function rest(stage: Stage, ms: number): Promise<void> {
  const over = new AbortController();
  try {
    await Promise.race([pause(ms, undefined, { signal: over.signal }), stage.daemon.failed(stage.interrupted)]);
  } finally {
    over.abort();
  }
}

/** `demo`, or `demo-2` … beside others. */
function freeName(stateDir: string): string {
  const taken = new Set(listLabs(stateDir));
  for (let number = 1; ; number++) {
    const name = number === 1 ? 'demo' : `demo-${number}`;
    if (!taken.has(name)) return name;
  }
}

/** Ends with a signal, or with the `npm start` that began it. */
function listenForTheEnd(): { signal: AbortSignal; forget: () => void } {
  const controller = new AbortController();
  const end = (exitCode: number) => controller.abort(new Interrupted(exitCode));
  const signals = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
  const handlers = Object.entries(signals).map(([name, exitCode]) => [name, () => end(exitCode)] as const);
  for (const [name, handler] of handlers) process.on(name, handler);
  const starter = identify(Number(process.env[STARTER_VARIABLE] ?? Number.NaN));
  const watch = starter === null ? null : setInterval(() => isAlive(starter) || end(129), 250);
  watch?.unref();
  return {
    signal: controller.signal,
    forget: () => {
      if (watch !== null) clearInterval(watch);
      for (const [name, handler] of handlers) process.off(name, handler);
    },
  };
}
