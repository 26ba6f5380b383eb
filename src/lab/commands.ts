/**
 * `backroute lab up|cut|mend|status|down` as plain functions: parsed options in, friendly text out through a writer. Mistakes
 * are LabErrors with a remedy; {@link labErrorText} prints them. argv and exit codes are src/cli's.
 */
import { readFileSync } from 'node:fs';
import { LabError } from './errors.js';
import { describeFailure, type Failure, failureKinds, isFailureKind } from './failures.js';
import { Lab } from './lab.js';
import { describeLink, type LinkOptions } from './link-options.js';
import { isAlive } from './processes.js';
import { parseRecording, type Recording } from './replay.js';
import { DEFAULT_STATE_DIR, findState, type LabState, listLabs, readState } from './state.js';
import { tearDown } from './teardown.js';
import { isTopologyName, SERVER4, topologies } from './topologies.js';

/** Where text goes, e.g. `(text) => process.stdout.write(text)`. */
export type Write = (text: string) => void;

export interface LabSelector {
  /** may be left out where there is only one lab */
  readonly name?: string;
  /** default /run/backroute-lab */
  readonly stateDir?: string;
}

export interface LabUpOptions extends LabSelector {
  /** a name of {@link topologies}; default classic. The lab's name is the same where none is given */
  readonly topology?: string;
  /** link-options.ts parses `fast:delay=30ms,loss=1%` */
  readonly links?: Readonly<Record<string, LinkOptions>>;
}

export interface LabCutOptions extends LabSelector {
  readonly uplink: string;
  /** a name of {@link failureKinds}; default silent, or what `lossPercent` or `delayMs` say */
  readonly kind?: string;
  readonly lossPercent?: number;
  readonly delayMs?: number;
}

export interface LabReplayOptions extends LabSelector {
  readonly uplink: string;
  /** CSV: `start_ms,duration_ms` or `t_ms,rtt_ms` */
  readonly file: string;
  readonly timeScale?: number;
  readonly fromMs?: number;
  readonly loop?: boolean;
}

/** Builds a lab that stays until `down`. */
export async function labUp(options: LabUpOptions, write: Write): Promise<void> {
  const { topology = 'classic', stateDir = DEFAULT_STATE_DIR } = options;
  if (!isTopologyName(topology)) {
    throw new LabError(`there is no topology "${topology}"`, `there are: ${Object.keys(topologies).join(', ')}`);
  }
  const name = options.name ?? topology;
  const startedMs = performance.now();
  const lab = await Lab.create(topology, { name, stateDir, tieToProcess: false, ...(options.links && { links: options.links }) });
  const uplinks = lab.uplinks.map(
    (uplink) =>
      `  ${uplink.name.padEnd(8)} router ${uplink.gateway4}, beyond it ${uplink.upstream4} (${describeLink(uplink.out)})\n`,
  );
  const other = name === 'classic' && stateDir === DEFAULT_STATE_DIR ? '' : ` --name ${name}`;
  write(
    [
      `The lab "${name}" is up after ${Math.round(performance.now() - startedMs)} ms: ${lab.topology.summary}.\n`,
      ...uplinks,
      `Look around:   ip netns exec ${lab.ns('gateway')} route -n\n`,
      `               ip netns exec ${lab.ns('client')} ping ${SERVER4}\n`,
      `Make trouble:  backroute lab cut fast${other}\n`,
      `Mend it:       backroute lab mend fast${other}\n`,
      `Remove it:     backroute lab down${other}\n`,
    ].join(''),
  );
}

/** Makes an uplink fail. */
export async function labCut(options: LabCutOptions, write: Write): Promise<void> {
  const lab = await openSelected(options);
  const failure = failureOf(options);
  const inForce = await lab.cut(options.uplink, failure);
  write(`${clockTime(inForce.date)} ${options.uplink} is cut: ${describeFailure(failure)} (${failureKinds[failure.kind]})\n`);
}

/** Undoes every failure of an uplink, and ends a replay. */
export async function labMend(options: LabSelector & { readonly uplink: string }, write: Write): Promise<void> {
  const lab = await openSelected(options);
  const inForce = await lab.mend(options.uplink);
  write(`${clockTime(inForce.date)} ${options.uplink} is mended\n`);
}

/** Plays a recorded list of outages or a trace on an uplink's link. */
export async function labReplay(options: LabReplayOptions, write: Write): Promise<void> {
  const lab = await openSelected(options);
  let recording: Recording;
  try {
    recording = parseRecording(readFileSync(options.file, 'utf8'));
  } catch (error) {
    throw new LabError(`${options.file}: ${error instanceof Error ? error.message : error}`);
  }
  const { timeScale = 1, fromMs = 0, loop = false } = options;
  const inForce = await lab.replay(options.uplink, recording, { timeScale, fromMs, loop });
  const what =
    recording.kind === 'outages' ? `${recording.outages.length} outages` : `a trace of ${recording.points.length} round trips`;
  write(`${clockTime(inForce.date)} ${options.uplink} plays ${what} from ${options.file}; \`backroute lab mend\` ends it\n`);
}

/** Tells of one lab, or of all. */
export async function labStatus(options: LabSelector, write: Write): Promise<void> {
  const { stateDir = DEFAULT_STATE_DIR } = options;
  const names = options.name === undefined ? listLabs(stateDir) : [options.name];
  if (names.length === 0) return write('There is no lab. Build one with `backroute lab up`.\n');
  for (const name of names) await describe(readState(stateDir, name), stateDir, write);
}

/** Removes a lab. `force`: also one that belongs to a running process. */
export async function labDown(options: LabSelector & { readonly force?: boolean }, write: Write): Promise<void> {
  const { stateDir = DEFAULT_STATE_DIR, force = false } = options;
  const name = selectedName(options);
  const state = readState(stateDir, name);
  if (state.tied && isAlive(state.builder) && !force) {
    throw new LabError(
      `the lab "${name}" belongs to the running process ${state.builder.pid} and goes with it`,
      'end that process, or use --force',
    );
  }
  const { ended } = await tearDown(stateDir, state);
  write(
    `The lab "${name}" is gone${ended === 0 ? '' : `; ${ended} program${ended === 1 ? '' : 's'} that ran in it ended with it`}.\n`,
  );
}

/** A LabError as the CLI shows it; other errors as they are. */
export function labErrorText(error: unknown): string {
  if (!(error instanceof LabError)) return `${error instanceof Error ? error.message : error}\n`;
  return error.remedy === null ? `${error.message}\n` : `${error.message}\n  -> ${error.remedy}\n`;
}

async function describe(state: LabState, stateDir: string, write: Write): Promise<void> {
  const lab = await Lab.open(state.name, stateDir);
  const owner = state.tied ? `, belongs to process ${state.builder.pid}${isAlive(state.builder) ? '' : ' (gone)'}` : '';
  write(`${state.name}: ${state.topology}, up since ${state.createdAt}${state.complete ? '' : ', not complete'}${owner}\n`);
  write(`  namespaces: ${Object.values(state.namespaces).join(' ')}\n`);
  for (const uplink of lab.uplinks) {
    const process = state.links[uplink.name];
    const failures = (state.failures[uplink.name] ?? []).map(describeFailure);
    let condition = 'its process is gone: take the lab down and build it anew';
    let link = '';
    if (process !== undefined && isAlive(process)) {
      const report = await lab.linkReport(uplink.name);
      condition = failures.length > 0 ? `CUT: ${failures.join(', ')}` : report.replaying ? 'plays a recording' : 'works';
      const { out, in: back } = report;
      link = `, ${describeLink(out.profile)}, ${out.counters.delivered} packets out, ${back.counters.delivered} in`;
    }
    write(`  ${uplink.name.padEnd(8)} ${condition}${link}\n`);
  }
}

function failureOf(options: LabCutOptions): Failure {
  const { lossPercent, delayMs } = options;
  const kind = options.kind ?? (lossPercent !== undefined ? 'loss' : delayMs !== undefined ? 'slow' : 'silent');
  if (!isFailureKind(kind)) {
    throw new LabError(`there is no failure "${kind}"`, `there are: ${Object.keys(failureKinds).join(', ')}`);
  }
  if (kind === 'loss') {
    if (lossPercent === undefined || !(lossPercent > 0 && lossPercent <= 100)) {
      throw new LabError('loss needs a percentage above 0, 100 at most', 'for example `--loss 30`');
    }
    return { kind, share: lossPercent / 100 };
  }
  if (kind === 'slow') {
    if (delayMs === undefined || !(delayMs > 0)) throw new LabError('slow needs a delay', 'for example `--delay 300ms`');
    return { kind, extraMs: delayMs };
  }
  return { kind };
}

async function openSelected(options: LabSelector): Promise<Lab> {
  return Lab.open(selectedName(options), options.stateDir ?? DEFAULT_STATE_DIR);
}

function selectedName({ name, stateDir = DEFAULT_STATE_DIR }: LabSelector): string {
  if (name !== undefined) return name;
  const names = listLabs(stateDir).filter((one) => findState(stateDir, one) !== null);
  const [only] = names;
  if (only === undefined) throw new LabError('there is no lab', 'build one with `backroute lab up`');
  if (names.length > 1) throw new LabError('there are several labs', `say which with --name: ${names.join(', ')}`);
  return only;
}

function clockTime(date: Date): string {
  return `${date.toTimeString().slice(0, 8)}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}
