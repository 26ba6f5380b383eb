/**
 * Asks every target through every uplink with that uplink's mark, and the kernel where it would send such a probe. Works
 * where our rules stand, that is once the daemon has run; elsewhere there is nothing to ask.
 */
import { execFile } from 'node:child_process';
import { lookup } from 'node:dns/promises';
import { type Config, type HostRef, probeMark, rulePriorityOf, type TargetConfig } from '../../core/config.js';
import type { KernelState } from '../../core/kernel.js';
import type { Family } from '../../core/model.js';
import type { ProbeAsk } from '../../core/probe.js';
import { kernelSockets } from '../../kernel/sockets.js';
import { createProber } from '../../probe/prober.js';
import type { PathFact, TargetFact } from './facts.js';

const ANSWER_MS = 1_500;
const TRIES = 2;
const LOOKUP_MS = 3_000;

interface Cell {
  readonly path: PathFact;
  readonly target: TargetConfig;
  readonly address: string;
  readonly mark: number;
}

/** @param slots of the saved state: which numbers are whose */
export async function askTargets(
  config: Config,
  state: KernelState,
  paths: readonly PathFact[],
  slots: Readonly<Record<string, number>>,
  withIp: boolean,
): Promise<TargetFact[]> {
  const steered = paths.flatMap((path) => {
    const slot = slots[path.uplink];
    if (slot === undefined) return [];
    const priority = rulePriorityOf(config.kernel, slot);
    const stands = state.rules.some((rule) => rule.priority === priority && rule.family === path.family);
    return stands ? [{ path, mark: probeMark(config.kernel, slot) }] : [];
  });
  const targets = new Map(config.uplinks.flatMap((uplink) => uplink.targets.map((target) => [target.label, target] as const)));
  const cells: Cell[] = [];
  for (const target of targets.values()) {
    for (const family of [4, 6] as const) {
      const address = (await resolveHost(target.host, family))[0];
      if (address === undefined) continue;
      for (const { path, mark } of steered) if (path.family === family) cells.push({ path, target, address, mark });
    }
  }
  const answered = await probeAll(cells);
  return Promise.all(
    cells.map(async (cell) => ({
      target: cell.target.label,
      watchedBy: config.uplinks
        .filter((uplink) => uplink.targets.some(({ label }) => label === cell.target.label))
        .map(({ name }) => name),
      through: cell.path.uplink,
      family: cell.path.family,
      answers: answered.has(cell),
      ...(withIp ? await routeGet(cell) : { gateway: null, device: null }),
    })),
  );
}

/** Addresses of one family; empty when it has none or does not resolve soon. */
export async function resolveHost(host: HostRef, family: Family): Promise<readonly string[]> {
  if (host.kind === 'address') return host.family === family ? [host.address] : [];
  const late = new Promise<never[]>((resolve) => setTimeout(() => resolve([]), LOOKUP_MS).unref());
  const answers = await Promise.race([lookup(host.name, { family, all: true }).catch(() => []), late]);
  return answers.map(({ address }) => address);
}

function probeAll(cells: readonly Cell[]): Promise<ReadonlySet<Cell>> {
  return new Promise((resolve) => {
    const answered = new Set<Cell>();
    const asked = new Map<number, Cell>();
    if (cells.length === 0) return resolve(answered);
    const done = (): void => {
      clearTimeout(timer);
      prober.close();
      resolve(answered);
    };
    const prober = createProber(kernelSockets, (outcome) => {
      const cell = asked.get(outcome.id);
      if (outcome.kind === 'answered' && cell !== undefined) answered.add(cell);
      if (answered.size === cells.length) done();
    });
    const timer = setTimeout(done, ANSWER_MS);
    let id = 0;
    for (let attempt = 0; attempt < TRIES; attempt += 1) {
      for (const cell of cells) {
        id += 1;
        asked.set(id, cell);
        prober.ask(askOf(id, cell));
      }
    }
  });
}

function askOf(id: number, { path, target, address, mark }: Cell): ProbeAsk {
  const { label: _, host: __, ...question } = target;
  const key = `${path.uplink}/${path.family}`;
  const device = path.shared ? null : path.interface;
  return {
    id,
    path: { key, family: path.family, mark, device, interface: path.interface },
    question,
    address,
    giveUpMs: ANSWER_MS,
  };
}

/** What the kernel itself says of a packet with this mark: ip-route(8). */
function routeGet({ path, address, mark }: Cell): Promise<Pick<TargetFact, 'gateway' | 'device'>> {
  const family = path.family === 6 ? ['-6'] : [];
  const args = [...family, '-j', 'route', 'get', address, 'mark', `0x${mark.toString(16)}`];
  return new Promise((resolve) => {
    execFile('ip', args, { timeout: 5_000 }, (error, stdout) => {
      const nowhere = { gateway: null, device: null };
      if (error !== null) return resolve(nowhere);
      try {
        const answer = (JSON.parse(stdout) as { gateway?: string; dev?: string }[])[0];
        // On the link itself: the target is a neighbour, there is nothing to steer.
        resolve(answer?.gateway === undefined ? nowhere : { gateway: answer.gateway, device: answer.dev ?? null });
      } catch {
        resolve(nowhere);
      }
    });
  });
}
