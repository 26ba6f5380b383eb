/**
 * What is known of a lab on disk: STATE_DIR/NAME.json, and STATE_DIR/NAME/ for sockets and logs. Written before anything is
 * made, so that whoever finds the file can take down whatever exists. Knows nothing of how it is made.
 */
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { LabError } from './errors.js';
import type { Failure } from './failures.js';
import type { ProcessIdentity } from './processes.js';
import type { TopologyName } from './topologies.js';
import type { TopologyVariant } from './topology-variant.js';

export const DEFAULT_STATE_DIR = '/run/backroute-lab';

export interface LabState {
  readonly version: 1;
  readonly name: string;
  readonly topology: TopologyName;
  /** what is otherwise than the topology says */
  readonly variant?: TopologyVariant;
  /** ISO 8601 */
  readonly createdAt: string;
  /** the process that built it */
  readonly builder: ProcessIdentity;
  /** the lab goes when its builder ends; otherwise it stays until it is taken down */
  readonly tied: boolean;
  /** true once everything is made */
  readonly complete: boolean;
  /** node -> namespace */
  readonly namespaces: Readonly<Record<string, string>>;
  /** uplink -> process of its emulated link */
  readonly links: Readonly<Record<string, ProcessIdentity>>;
  /** uplink -> what was cut and not mended yet */
  readonly failures: Readonly<Record<string, readonly Failure[]>>;
}

export function isLabName(name: string): boolean {
  return /^[a-z0-9][a-z0-9-]{0,39}$/.test(name);
}

export function statePath(stateDir: string, name: string): string {
  return join(stateDir, `${name}.json`);
}

/** Sockets and logs of the lab's processes. */
export function filesDir(stateDir: string, name: string): string {
  return join(stateDir, name);
}

/** The state before its name is claimed. */
export function draftPath(stateDir: string, name: string, builderPid: number): string {
  return join(stateDir, `.${name}.${builderPid}.draft`);
}

export function linkSocketPath(stateDir: string, name: string, uplink: string): string {
  return join(filesDir(stateDir, name), `${uplink}.sock`);
}

export function namespacePath(namespace: string): string {
  return `/run/netns/${namespace}`;
}

/** Claims the name. Throws a LabError when a lab of that name exists, or a namespace that would be its. */
export function createState(stateDir: string, state: LabState): void {
  // Checked before the state names them: what it names is taken down with the lab.
  const foreign = Object.values(state.namespaces).filter((namespace) => existsSync(namespacePath(namespace)));
  if (foreign.length > 0 && findState(stateDir, state.name) === null) {
    throw new LabError(
      `there are namespaces of the lab "${state.name}", but this state folder knows none: ${foreign.join(', ')}`,
      'choose another name with --name, or remove them with `ip netns del`',
    );
  }
  const draft = draftPath(stateDir, state.name, state.builder.pid);
  writeDraft(stateDir, draft, serialise(state));
  try {
    // A link appears whole or not at all, and never over another file: whoever kills us here leaves no half of a state.
    linkSync(draft, statePath(stateDir, state.name));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    throw new LabError(
      `there is a lab "${state.name}" already`,
      `take it down with \`backroute lab down --name ${state.name}\`, or choose another name with --name`,
    );
  } finally {
    rmSync(draft, { force: true });
  }
  mkdirSync(filesDir(stateDir, state.name), { recursive: true });
}

/** Another lab's end may remove the empty folder between our making and our using it. */
function writeDraft(stateDir: string, draft: string, text: string, attemptsLeft = 5): void {
  mkdirSync(stateDir, { recursive: true });
  try {
    writeFileSync(draft, text);
  } catch (error) {
    if (attemptsLeft === 0 || !(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    writeDraft(stateDir, draft, text, attemptsLeft - 1);
  }
}

/** Reads, changes and replaces the file in one go; the reader never sees half of it. Returns what is there now. */
export function updateState(stateDir: string, name: string, change: (state: LabState) => LabState): LabState {
  const next = change(readState(stateDir, name));
  const draft = join(filesDir(stateDir, name), `state.${process.pid}`);
  writeFileSync(draft, serialise(next));
  renameSync(draft, statePath(stateDir, name));
  return next;
}

/** Throws a LabError when there is no such lab. */
export function readState(stateDir: string, name: string): LabState {
  const state = findState(stateDir, name);
  if (state !== null) return state;
  const others = listLabs(stateDir);
  throw new LabError(
    `there is no lab "${name}"`,
    others.length === 0 ? 'build one with `backroute lab up`' : `there is: ${others.join(', ')} (--name)`,
  );
}

export function findState(stateDir: string, name: string): LabState | null {
  let text: string;
  try {
    text = readFileSync(statePath(stateDir, name), 'utf8');
  } catch {
    return null;
  }
  const state = parseState(text, statePath(stateDir, name));
  if (state.version !== 1) throw new LabError(`${statePath(stateDir, name)} is of another version of Backroute`);
  return state;
}

function parseState(text: string, path: string): LabState {
  try {
    return JSON.parse(text);
  } catch {
    throw new LabError(`${path} is damaged`, 'remove its namespaces with `ip netns del`, then the file');
  }
}

export function listLabs(stateDir: string): string[] {
  try {
    return readdirSync(stateDir).flatMap((file) => (file.endsWith('.json') ? [file.slice(0, -'.json'.length)] : []));
  } catch {
    return [];
  }
}

/** Removes the lab's files, and the folder where it was the last lab. */
export function removeState(stateDir: string, name: string): void {
  rmSync(filesDir(stateDir, name), { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
  rmSync(statePath(stateDir, name), { force: true });
  removeIfEmpty(stateDir);
}

export function removeIfEmpty(dir: string): void {
  try {
    rmdirSync(dir);
  } catch {
    // Others have something in it, or it is gone.
  }
}

function serialise(state: LabState): string {
  return `${JSON.stringify(state, null, 2)}\n`;
}
