/**
 * The owner's side of the traffic hosts: starts one in a lab's node when the first agent there is wanted, shares it, ends it
 * with the last one. Knows nothing of what the agents do.
 */
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LabError } from '../errors.js';
import type { Lab } from '../lab.js';
import { filesDir } from '../state.js';
import type { AgentKind, AgentTypes, HostAnswer, HostCommand } from './host-protocol.js';

/**
 * `ahead` of all ordinary processes is for whoever measures time and works little; `ordinary` for whoever makes load. They
 * never share a process: the load would hold the measure up.
 */
export type HostClass = 'ahead' | 'ordinary';

/** One end of a flow, in another process. */
export interface RemoteAgent<K extends AgentKind> {
  readonly started: AgentTypes[K]['started'];
  report(): Promise<AgentTypes[K]['report']>;
  quiet(): Promise<void>;
  /** The agent is gone, and its host with the last one. */
  close(): Promise<void>;
}

const PROGRAM = fileURLToPath(new URL('./host-process.js', import.meta.url));
const START_DEADLINE_MS = 10_000;
const ANSWER_DEADLINE_MS = 10_000;

interface Shared {
  readonly host: Promise<Host>;
  users: number;
}

const hosts = new WeakMap<Lab, Map<string, Shared>>();

/** Rejects with a LabError when the process or the agent cannot be started (an address that is not there, a port in use). */
export async function startAgent<K extends AgentKind>(
  lab: Lab,
  node: string,
  hostClass: HostClass,
  kind: K,
  options: AgentTypes[K]['options'],
): Promise<RemoteAgent<K>> {
  const ofLab = hosts.get(lab) ?? new Map<string, Shared>();
  hosts.set(lab, ofLab);
  const key = `${node} ${hostClass}`;
  const shared = ofLab.get(key) ?? { host: Host.start(lab, node, hostClass), users: 0 };
  ofLab.set(key, shared);
  shared.users++;
  const leave = async () => {
    shared.users--;
    if (shared.users > 0) return;
    if (ofLab.get(key) === shared) ofLab.delete(key);
    await shared.host.then(
      (host) => host.end(),
      () => {},
    );
  };
  try {
    const host = await shared.host;
    const agent = host.nextAgent++;
    const started = (await host.ask({ do: 'start', agent, kind, options })) as AgentTypes[K]['started'];
    return {
      started,
      report: async () => (await host.ask({ do: 'report', agent })) as AgentTypes[K]['report'],
      quiet: async () => void (await host.ask({ do: 'quiet', agent })),
      close: async () => {
        await host.ask({ do: 'close', agent });
        await leave();
      },
    };
  } catch (error) {
    await leave();
    throw error;
  }
}

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;

interface Pending {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

class Host {
  nextAgent = 0;
  readonly #child: ChildProcess;
  readonly #node: string;
  readonly #pending = new Map<number, Pending>();
  #nextId = 0;

  private constructor(child: ChildProcess, node: string) {
    this.#child = child;
    this.#node = node;
    child.on('message', (answer: HostAnswer) => this.#answered(answer));
    child.on('exit', () => this.#failAll('has ended'));
    child.on('disconnect', () => this.#failAll('has hung up'));
    this.#letGo();
  }

  static start(lab: Lab, node: string, hostClass: HostClass): Promise<Host> {
    const logPath = join(filesDir(lab.stateDir, lab.name), `traffic-${node}-${hostClass}.log`);
    const log = openSync(logPath, 'a');
    // A session of its own: a Ctrl-C is for the owner to handle.
    const child = lab.spawn(node, [process.execPath, PROGRAM, hostClass], { stdio: ['ignore', log, log, 'ipc'], detached: true });
    closeSync(log);
    return new Promise((resolve, reject) => {
      const fail = (problem: string) => {
        clearTimeout(timer);
        child.kill('SIGKILL');
        reject(new LabError(`the traffic host in ${node} ${problem}`, `it said: ${readFileSync(logPath, 'utf8').slice(-600)}`));
      };
      const timer = setTimeout(() => fail('did not get ready within 10 s'), START_DEADLINE_MS);
      const onEnd = () => fail('ended at once');
      child.once('error', (error) => fail(`could not be started: ${error.message}`));
      child.once('exit', onEnd);
      child.once('message', () => {
        clearTimeout(timer);
        child.off('exit', onEnd);
        resolve(new Host(child, node));
      });
    });
  }

  ask(command: WithoutId<HostCommand>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      const timer = setTimeout(() => this.#fail(id, 'does not answer'), ANSWER_DEADLINE_MS);
      this.#pending.set(id, { resolve, reject, timer });
      this.#child.channel?.ref();
      if (!this.#child.connected) return this.#fail(id, 'is gone');
      this.#child.send({ id, ...command }, (error) => {
        if (error !== null) this.#fail(id, `is gone (${error.message})`);
      });
    });
  }

  /** Resolves when the process is gone. */
  end(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) return resolve();
      this.#child.ref();
      this.#child.once('exit', () => resolve());
      if (this.#child.connected) this.#child.disconnect();
    });
  }

  #answered(answer: HostAnswer): void {
    const pending = this.#settled(answer.id);
    if (answer.ok) pending?.resolve(answer.result);
    else pending?.reject(new LabError(`traffic in ${this.#node}: ${answer.error}`));
  }

  #fail(id: number, problem: string): void {
    this.#settled(id)?.reject(new LabError(`the traffic host in ${this.#node} ${problem}`));
  }

  #failAll(problem: string): void {
    for (const id of [...this.#pending.keys()]) this.#fail(id, problem);
  }

  #settled(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    clearTimeout(pending?.timer);
    if (this.#pending.size === 0) this.#letGo();
    return pending;
  }

  /** Between questions the host shall not keep its owner from ending. */
  #letGo(): void {
    this.#child.unref();
    this.#child.channel?.unref();
  }
}
