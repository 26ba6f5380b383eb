/**
 * The real `backroute run` in a lab's gateway: started like a service manager would, asked over its control socket, ended.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { SOCKET_FILE } from '../src/api/server.js';
import { askDaemon } from '../src/cli/client.js';
import type { HistoryEntry } from '../src/core/entry.js';
import type { StatusView } from '../src/core/messages.js';
import {
  AF_UNIX,
  bind,
  close,
  recv,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  socket,
  watchReadable,
} from '../src/kernel/libc.js';
import { unixAddress } from '../src/kernel/notify.js';
import { monotonicMs } from '../src/lab/clock.js';
import { LabError } from '../src/lab/errors.js';
import type { Lab } from '../src/lab/lab.js';
import { toolEnvironment } from '../src/lab/run.js';
import { filesDir } from '../src/lab/state.js';
import { until } from '../src/lab/until.js';
import { activeUplink, type Contender, type Running } from './contender.js';

const PROGRAM = fileURLToPath(new URL('../../bin/backroute', import.meta.url));
const START_MS = 15_000;
const STOP_MS = 8_000;
const WARM_UP_PROBES = 12;

export class Daemon implements Running {
  readonly child: ChildProcess;
  /** from the moment before the process was asked for to the arrival of READY=1 */
  readonly readyMs: number;
  readonly #lab: Lab;
  readonly #socketPath: string;
  readonly #ended: Promise<unknown>;

  private constructor(lab: Lab, child: ChildProcess, ended: Promise<unknown>, socketPath: string, readyMs: number) {
    this.#lab = lab;
    this.child = child;
    this.#ended = ended;
    this.#socketPath = socketPath;
    this.readyMs = readyMs;
  }

  /** Resolves with READY=1 (sd_notify(3)). State of an earlier run in the same lab is found and adopted. */
  static async start(lab: Lab, configText: string): Promise<Daemon> {
    const dir = join(filesDir(lab.stateDir, lab.name), 'daemon');
    mkdirSync(dir, { recursive: true });
    const configPath = join(dir, 'backroute.yaml');
    writeFileSync(configPath, configText);
    const logPath = join(dir, 'backroute.log');
    const log = openSync(logPath, 'a');
    const ready = listenForReady(join(dir, 'notify'));
    const runDir = join(dir, 'run');
    const argv = ['run', '--config', configPath, '--state-dir', join(dir, 'state'), '--run-dir', runDir];
    const { WATCHDOG_USEC: _, WATCHDOG_PID: __, ...environment } = toolEnvironment();
    const askedMs = monotonicMs();
    const child = lab.spawn('gateway', [process.execPath, PROGRAM, ...argv], {
      stdio: ['ignore', log, log],
      detached: true,
      env: { ...environment, NOTIFY_SOCKET: ready.path },
    });
    closeSync(log);
    const ended = once(child, 'exit');
    const readyAtMs = await Promise.race([ready.atMs, ended.then(() => null)]);
    ready.close();
    if (readyAtMs === null) {
      child.kill('SIGKILL');
      throw new LabError('backroute run did not get ready', `it said: ${readFileSync(logPath, 'utf8').trim().slice(-600)}`);
    }
    return new Daemon(lab, child, ended, join(runDir, SOCKET_FILE), readyAtMs - askedMs);
  }

  async status(): Promise<StatusView> {
    return (await askDaemon(this.#socketPath, 'GET', '/status')).body as StatusView;
  }

  async events(sinceWallMs: number): Promise<readonly HistoryEntry[]> {
    const { body } = await askDaemon(this.#socketPath, 'GET', `/events?limit=1000&since=${Math.floor(sinceWallMs)}`);
    return (body as { readonly events: readonly HistoryEntry[] }).events;
  }

  async settled(): Promise<boolean> {
    const first = this.#lab.uplinks[0]?.name;
    const { uplinks } = await this.status();
    const paths = uplinks.flatMap((uplink) => uplink.paths);
    if (!paths.every((path) => path.health === 'up' && path.suspicion === 'none')) return false;
    return (await activeUplink(this.#lab)) === first;
  }

  async deadlineMs(): Promise<number | null> {
    const { uplinks } = await this.status();
    const active = uplinks.flatMap((uplink) => uplink.paths).find((path) => path.active);
    return active?.targets[0]?.deadlineMs ?? null;
  }

  async stop(): Promise<void> {
    const timer = setTimeout(() => this.child.kill('SIGKILL'), STOP_MS);
    this.child.kill('SIGTERM');
    await this.#ended;
    clearTimeout(timer);
  }
}

/** A datagram socket as systemd has one: resolves with the time at which READY=1 arrived, or null after a while. */
function listenForReady(path: string): { path: string; atMs: Promise<number | null>; close(): void } {
  rmSync(path, { force: true });
  const address = unixAddress(path);
  if (address === null) throw new LabError(`the path ${path} is too long for a socket`);
  const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  bind(fd, address);
  const buffer = Buffer.alloc(4096);
  let watch: { close(): void } = { close: () => undefined };
  let timer: NodeJS.Timeout | undefined;
  const atMs = new Promise<number | null>((resolve) => {
    timer = setTimeout(() => resolve(null), START_MS);
    watch = watchReadable(fd, () => {
      const nowMs = monotonicMs();
      for (let bytes = recv(fd, buffer); bytes !== null; bytes = recv(fd, buffer)) {
        // Promises settled here wait for the loop's next entry into JavaScript: the time is taken before.
        if (buffer.toString('utf8', 0, bytes).split('\n').includes('READY=1')) setImmediate(resolve, nowMs);
      }
    });
  });
  return {
    path,
    atMs,
    close() {
      clearTimeout(timer);
      watch.close();
      close(fd);
      rmSync(path, { force: true });
    },
  };
}

export interface OurSettings {
  readonly intervalMs: number;
  /** per uplink, in the lab's order; default: the provider's first router */
  readonly targets?: readonly (readonly string[])[];
}

/** Failures follow each other quickly here: a failback comes after half a second and the hold-down does not grow. */
export function ourConfig(lab: Lab, { intervalMs, targets }: OurSettings): string {
  const uplinks = lab.uplinks.map((uplink, i) => {
    const list = targets?.[i] ?? [uplink.upstream4];
    return `  ${uplink.name}:\n    gateway: ${uplink.gateway4}\n    targets: [${list.join(', ')}]\n`;
  });
  return `uplinks:
${uplinks.join('')}defaults:
  probe: {interval: ${intervalMs}ms}
  fail-after: 0s
  recover-after: 500ms
  hold-down: {factor: 1}
`;
}

export const ours: Contender = {
  name: 'backroute',
  probes: 'icmp',
  settings: 'fail-after 0s, recover-after 500ms',
  unable: () => null,
  async start(lab, intervalMs) {
    const daemon = await Daemon.start(lab, ourConfig(lab, { intervalMs }));
    if (await until(() => daemon.settled(), START_MS, 50)) {
      // What is promised is promised for a daemon that has watched its uplinks for a while: it knows how long answers take.
      await pause(Math.max(3000, WARM_UP_PROBES * intervalMs));
      return daemon;
    }
    await daemon.stop();
    throw new LabError('backroute did not settle on the fast uplink', 'look at the machine: does it have time left?');
  },
};
