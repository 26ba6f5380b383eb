/**
 * A lab: networks made of namespaces with emulated links between routers and providers. Built from a topology, cut and
 * mended while it runs, removed without a trace. The demo, the benchmark, the tests and `backroute lab` all use this class.
 * It knows nothing of the daemon that may run inside.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildLab, startJanitor } from './build.js';
import { type Moment, momentAt, monotonicMs } from './clock.js';
import { askControl } from './control-client.js';
import { LabError } from './errors.js';
import { commandsToMend, type Failure, type FailureName, stepsToCut } from './failures.js';
import type { LinkOptions } from './link-options.js';
import type { LinkCommand, LinkReport } from './link-process.js';
import { type Meter, type MeterOptions, startMeter } from './meter.js';
import { namespacesOf } from './plan.js';
import { identify } from './processes.js';
import type { Recording, ReplayOptions } from './replay.js';
import { missingRequirement } from './requirements.js';
import { type RunOptions, type RunResult, run, toolEnvironment } from './run.js';
import {
  createState,
  DEFAULT_STATE_DIR,
  filesDir,
  findState,
  isLabName,
  type LabState,
  linkSocketPath,
  readState,
  updateState,
} from './state.js';
import { etcDir, tearDown } from './teardown.js';
import { releaseTether } from './tether.js';
import type { InterfaceSpec, NodeSpec, Topology, TopologyName, UplinkSpec } from './topologies.js';
import { type TopologyVariant, topologyOf } from './topology-variant.js';

export interface LabOptions {
  /** lower-case letters, digits, dashes; namespaces are called `br-NAME-NODE`. Default: topology and a random number */
  readonly name?: string;
  /** default /run/backroute-lab */
  readonly stateDir?: string;
  /** true (default): the lab is removed when this process ends, however it ends. false: it stays until destroy() or `lab down` */
  readonly tieToProcess?: boolean;
  /** uplink -> changes to the topology's defaults (one-way delay: fast 10 ms, backup 20 ms, third 30 ms) */
  readonly links?: Readonly<Record<string, LinkOptions>>;
  /** what shall be otherwise than the topology says */
  readonly variant?: TopologyVariant;
  /** of the links' random numbers; default 1 */
  readonly seed?: number;
}

/** When a change was in force: not before `askedAtMs`, and since `monotonicMs` at the latest (CLOCK_MONOTONIC, clock.ts). */
export interface InForce extends Moment {
  readonly askedAtMs: number;
}

export class Lab {
  readonly name: string;
  readonly topology: Topology;
  readonly stateDir: string;
  readonly #namespaces: Readonly<Record<string, string>>;
  readonly #janitor: ChildProcess | null;
  #destroyed: Promise<{ ended: number }> | null = null;
  #meters = 0;

  private constructor(state: LabState, stateDir: string, janitor: ChildProcess | null) {
    this.#janitor = janitor;
    this.name = state.name;
    this.topology = topologyOf(state.topology, state.variant);
    this.stateDir = stateDir;
    this.#namespaces = state.namespaces;
  }

  /** Builds a lab; resolves when every link of it carries packets. Rejects with a LabError and leaves nothing behind. */
  static async create(topologyName: TopologyName, options: LabOptions = {}): Promise<Lab> {
    const missing = missingRequirement();
    if (missing !== null) throw missing;
    const {
      name = `${topologyName}-${randomInt(1e9).toString(36)}`,
      stateDir = DEFAULT_STATE_DIR,
      tieToProcess = true,
      variant = {},
    } = options;
    if (!isLabName(name)) throw new LabError(`"${name}" cannot be a lab's name`, 'use lower-case letters, digits and dashes');
    const topology = topologyOf(topologyName, variant);
    for (const uplink of Object.keys(options.links ?? {})) findUplink(topology, uplink);
    const builder = identify(process.pid);
    if (builder === null) throw new LabError('/proc is not readable');
    const state: LabState = {
      version: 1,
      name,
      topology: topologyName,
      variant,
      createdAt: new Date().toISOString(),
      builder,
      tied: tieToProcess,
      complete: false,
      namespaces: namespacesOf(topology, `br-${name}`),
      links: {},
      failures: {},
    };
    const janitor = startJanitor(stateDir, name, builder);
    try {
      createState(stateDir, state);
    } catch (error) {
      await releaseTether(janitor.child);
      throw error;
    }
    const lab = new Lab(state, stateDir, janitor.child);
    try {
      await buildLab(state, stateDir, janitor, options);
    } catch (error) {
      await lab.destroy();
      throw error;
    }
    return lab;
  }

  /** A lab that exists already, built by this or another process. Rejects with a LabError where there is none of that name. */
  static async open(name: string, stateDir = DEFAULT_STATE_DIR): Promise<Lab> {
    return new Lab(readState(stateDir, name), stateDir, null);
  }

  /** In order of preference. */
  get uplinks(): readonly UplinkSpec[] {
    return this.topology.uplinks;
  }

  /** Throws a LabError that lists the names. */
  uplink(name: string): UplinkSpec {
    return findUplink(this.topology, name);
  }

  /** The namespace of a node, for `ip -n` and `ip netns exec`. */
  ns(node: string): string {
    const namespace = this.#namespaces[node];
    if (namespace === undefined) {
      throw new LabError(`there is no node "${node}"`, `there are: ${Object.keys(this.#namespaces).join(', ')}`);
    }
    return namespace;
  }

  /** The name of `node`'s interface that leads to `peer` without a router between. */
  interfaceOf(node: string, peer: string): string {
    const segments = new Set(this.#node(peer).interfaces.map((one) => one.segment));
    const found: InterfaceSpec | undefined = this.#node(node).interfaces.find((one) => segments.has(one.segment));
    if (found === undefined) throw new LabError(`${node} and ${peer} share no network in ${this.topology.name}`);
    return found.name;
  }

  /** Runs a program in a node to its end. Rejects with a LabError on an exit code other than 0, unless `check: false`. */
  exec(node: string, argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return run(['ip', 'netns', 'exec', this.ns(node), ...argv], options);
  }

  /** Starts a program in a node; the pid is the program's own. Whatever still runs in the lab's namespaces ends with the lab. */
  spawn(node: string, argv: readonly string[], options: SpawnOptions = {}): ChildProcess {
    return spawn('ip', ['netns', 'exec', this.ns(node), ...argv], { env: toolEnvironment(), ...options });
  }

  /** A file that programs started from now on in `node` see as /etc/NAME (`hosts`, `resolv.conf`), which must exist on this machine. */
  etcFile(node: string, name: string, text: string): void {
    mkdirSync(etcDir(this.ns(node)), { recursive: true });
    writeFileSync(join(etcDir(this.ns(node)), name), text);
  }

  /** Makes an uplink fail; failures add up until mended. Resolves once it is in force. */
  async cut(uplinkName: string, what: FailureName | Failure = 'silent'): Promise<InForce> {
    const failure: Failure = typeof what === 'string' ? { kind: what } : what;
    const uplink = this.uplink(uplinkName);
    const steps = stepsToCut(this.topology, uplink, failure, this.#namespaces);
    const standing = readState(this.stateDir, this.name).failures[uplinkName] ?? [];
    const again = standing.some((one) => one.kind === failure.kind);
    const inForce = await this.#inForce(async () => {
      if (steps.overlay !== null) return this.#askLink(uplinkName, { do: 'fail', overlay: steps.overlay });
      if (!again) await this.#runAll(steps.commands);
      return monotonicMs();
    });
    this.#noteFailures(uplinkName, [...standing.filter((one) => one.kind !== failure.kind), failure]);
    return inForce;
  }

  /** Undoes every failure and replay of an uplink. Resolves once it works again. */
  async mend(uplinkName: string): Promise<InForce> {
    const uplink = this.uplink(uplinkName);
    const standing = readState(this.stateDir, this.name).failures[uplinkName] ?? [];
    const inForce = await this.#inForce(async () => {
      const atMs = await this.#askLink(uplinkName, { do: 'mend' });
      const commands = standing.flatMap((failure) => commandsToMend(this.topology, uplink, failure, this.#namespaces));
      if (commands.length === 0) return atMs;
      await this.#runAll(commands);
      return monotonicMs();
    });
    this.#noteFailures(uplinkName, []);
    return inForce;
  }

  /** Changes what the emulated link does by itself; a failure on top of it stays. */
  setLink(uplinkName: string, options: LinkOptions): Promise<InForce> {
    this.uplink(uplinkName);
    const { out, in: back, ...both } = options;
    return this.#inForce(() => this.#askLink(uplinkName, { do: 'set', out: { ...both, ...out }, in: { ...both, ...back } }));
  }

  /** Plays a recording (replay.ts parses the CSV) on the emulated link from now on; null ends it. */
  replay(uplinkName: string, recording: Recording | null, options: ReplayOptions = {}): Promise<InForce> {
    this.uplink(uplinkName);
    return this.#inForce(() => this.#askLink(uplinkName, { do: 'replay', recording, options }));
  }

  /** What the emulated link does now, and what it has carried. */
  async linkReport(uplinkName: string): Promise<LinkReport> {
    this.uplink(uplinkName);
    const answer = await askControl(linkSocketPath(this.stateDir, this.name, uplinkName), { do: 'get' } satisfies LinkCommand);
    return answer.result as LinkReport;
  }

  /** Starts a stream of numbered packets from the client to the server and back (meter.ts). */
  meter(options: MeterOptions = {}): Promise<Meter> {
    const id = `meter-${process.pid}-${this.#meters++}`;
    return startMeter(
      { clientNamespace: this.ns('client'), serverNamespace: this.ns('internet'), filesDir: this.#filesDir, id },
      options,
    );
  }

  /** Removes everything, and ends every program in it. Safe to call twice; resolves with how many programs still ran inside. */
  destroy(): Promise<{ ended: number }> {
    this.#destroyed ??= this.#destroy();
    return this.#destroyed;
  }

  async #destroy(): Promise<{ ended: number }> {
    // Another process may have taken the lab down already.
    const state = findState(this.stateDir, this.name);
    const result = state === null ? { ended: 0 } : await tearDown(this.stateDir, state);
    if (this.#janitor !== null) await releaseTether(this.#janitor);
    return result;
  }

  get #filesDir(): string {
    return filesDir(this.stateDir, this.name);
  }

  async #inForce(change: () => Promise<number>): Promise<InForce> {
    const askedAtMs = monotonicMs();
    return { askedAtMs, ...momentAt(await change()) };
  }

  async #askLink(uplinkName: string, command: LinkCommand): Promise<number> {
    return (await askControl(linkSocketPath(this.stateDir, this.name, uplinkName), command)).atMs;
  }

  async #runAll(commands: readonly string[][]): Promise<void> {
    for (const command of commands) await run(command);
  }

  #noteFailures(uplinkName: string, failures: readonly Failure[]): void {
    this.#update((state) => ({ ...state, failures: { ...state.failures, [uplinkName]: failures } }));
  }

  #update(change: (state: LabState) => LabState): void {
    updateState(this.stateDir, this.name, change);
  }

  #node(name: string): NodeSpec {
    this.ns(name);
    return this.topology.nodes[name] ?? { forwards: false, interfaces: [], loopback: [], routes: [], masqueradeOn: [] };
  }
}

function findUplink(topology: Topology, name: string): UplinkSpec {
  const found = topology.uplinks.find((uplink) => uplink.name === name);
  if (found !== undefined) return found;
  throw new LabError(
    `${topology.name} has no uplink "${name}"`,
    `its uplinks are: ${topology.uplinks.map((one) => one.name).join(', ')}`,
  );
}
