/** `backroute check`: is the config right, here on this machine, and what can be expected of it. Changes nothing. */
import { lookup } from 'node:dns/promises';
import { adviseConfig } from '../../config/advice.js';
import { formatAdvice } from '../../config/advice-text.js';
import { loadConfig } from '../../config/load.js';
import { formatProblem, formatProblems } from '../../config/problem.js';
import { checkAgainstSystem } from '../../config/system.js';
import type { Config, GatewayRef } from '../../core/config.js';
import type { KernelState } from '../../core/kernel.js';
import { ExitError } from '../exit-error.js';
import { isInstalled } from '../installed.js';
import type { Io } from '../io.js';
import type { Places } from '../places.js';

/** A dead resolver holds each name for many seconds; a check should not. */
const LOOKUP_MS = 3_000;

export async function check(places: Places, options: { readonly json?: boolean }, io: Io): Promise<void> {
  const result = await loadConfig(places.configPath);
  if (!result.ok) {
    if (options.json === true) io.out(`${JSON.stringify({ ok: false, problems: result.problems, advice: null }, null, 2)}\n`);
    throw new ExitError(2, formatProblems(result.problems));
  }
  const { config, warnings, source } = result;
  const state = await readKernel();
  const addresses = await resolveAll(namesIn(config));
  const resolve = (name: string): readonly string[] => addresses.get(name) ?? [];
  const here = state === null ? [] : checkAgainstSystem(config, state, resolve, source, { nft: isInstalled('nft') });
  const { serviceProblems } = await import('../service-problems.js');
  const problems = [...warnings, ...here, ...(await serviceProblems(config.services, source))];
  const errors = problems.filter((problem) => problem.severity === 'error');
  if (options.json === true) {
    io.out(`${JSON.stringify({ ok: errors.length === 0, problems, advice: adviseConfig(config) }, null, 2)}\n`);
    if (errors.length > 0) throw new ExitError(2, formatProblems(errors));
    return;
  }
  for (const problem of problems.filter(({ severity }) => severity === 'warning')) {
    io.out(`${io.paint('yellow', formatProblem(problem))}\n`);
  }
  if (errors.length > 0) throw new ExitError(2, formatProblems(errors));
  io.out(`${io.paint('green', `${places.configPath} is valid.`)}\n\n${formatAdvice(adviseConfig(config))}\n`);
}

/** Null where there is no rtnetlink to ask: the file is checked all the same. */
async function readKernel(): Promise<KernelState | null> {
  try {
    const { RtnlKernel } = await import('../../kernel/kernel.js');
    const kernel = new RtnlKernel();
    try {
      return await kernel.snapshot({ tables: [], sysctls: [], nft: false });
    } finally {
      await kernel.close();
    }
  } catch {
    return null;
  }
}

export function namesIn(config: Config): string[] {
  const hosts: GatewayRef[] = config.uplinks.flatMap((uplink) => [
    ...uplink.gateways.map((gateway) => gateway.host),
    ...uplink.targets.map((target) => target.host),
  ]);
  return [...new Set(hosts.flatMap((host) => (host.kind === 'name' ? [host.name] : [])))];
}

async function resolveAll(names: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = await Promise.all(
    names.map(async (name) => {
      const late = new Promise<never[]>((resolve) => setTimeout(() => resolve([]), LOOKUP_MS).unref());
      const answers = await Promise.race([lookup(name, { all: true }).catch(() => []), late]);
      return [name, answers.map((answer) => answer.address)] as const;
    }),
  );
  return new Map(found);
}
