/**
 * Takes a lab down by what its state file says: processes in its namespaces, link processes, namespaces, files. Works from
 * any process, on a half-made lab, and twice. Touches nothing that the state does not name.
 */
import { existsSync, rmSync } from 'node:fs';
import { endProcesses, processesIn } from './processes.js';
import { run } from './run.js';
import { type LabState, namespacePath, removeIfEmpty, removeState } from './state.js';

const ETC_NETNS = '/etc/netns';

/** Files that `ip netns exec` lays over /etc for one namespace (ip-netns(8)). */
export function etcDir(namespace: string): string {
  return `${ETC_NETNS}/${namespace}`;
}

/** Resolves with the number of programs that still ran inside the lab and were ended. */
export async function tearDown(stateDir: string, state: LabState): Promise<{ ended: number }> {
  const namespaces = Object.values(state.namespaces);
  const inside = processesIn(namespaces.map(namespacePath));
  await Promise.all([endProcesses(inside, 500), endProcesses(Object.values(state.links), 200)]);
  const existing = namespaces.filter((namespace) => existsSync(namespacePath(namespace)));
  if (existing.length > 0) {
    // -force: one that has just vanished does not keep the others.
    await run(['ip', '-force', '-batch', '-'], { input: existing.map((name) => `netns del ${name}\n`).join(''), check: false });
  }
  for (const namespace of namespaces) rmSync(etcDir(namespace), { recursive: true, force: true });
  removeIfEmpty(ETC_NETNS);
  removeState(stateDir, state.name);
  return { ended: inside.length };
}
