/**
 * Makes what a lab's state file announces: namespaces, cables, link processes, addresses, routes. Whoever calls it has claimed the
 * name and takes down what is left when this rejects.
 */
import { join } from 'node:path';
import { perfectLink } from './emulator.js';
import { type StartedHelper, startHelper } from './helper-process.js';
import type { LinkOptions } from './link-options.js';
import type { LinkProcessOptions } from './link-process.js';
import { cableCommands, type LinkEnds, linkEnds, nodeScript } from './plan.js';
import { identify, type ProcessIdentity } from './processes.js';
import { run } from './run.js';
import { filesDir, type LabState, linkSocketPath, namespacePath, updateState } from './state.js';
import { releaseTether } from './tether.js';
import type { UplinkSpec } from './topologies.js';
import { topologyOf } from './topology-variant.js';

export interface BuildOptions {
  readonly links?: Readonly<Record<string, LinkOptions>>;
  readonly seed?: number;
}

/**
 * Starts the program that takes the lab down should we die. To be called before the name is claimed, so that there is no
 * instant at which our death leaves something behind.
 */
export function startJanitor(stateDir: string, name: string, builder: ProcessIdentity): StartedHelper {
  const janitor = startHelper({
    module: 'janitor',
    args: [stateDir, name, JSON.stringify(builder)],
    namespace: null,
    logPath: null,
  });
  // It is awaited with the rest of the building; a rejection before that must not count as unhandled.
  janitor.ready.catch(() => {});
  return janitor;
}

interface StartedLink extends StartedHelper {
  readonly uplink: string;
}

/** Resolves when every link carries packets and every route stands. Rejects with a LabError. */
export async function buildLab(state: LabState, stateDir: string, janitor: StartedHelper, options: BuildOptions): Promise<void> {
  const topology = topologyOf(state.topology, state.variant);
  const namespaces = Object.values(state.namespaces);
  await run(['ip', '-batch', '-'], { input: namespaces.map((name) => `netns add ${name}\n`).join('') });
  const links = linkEnds(topology).map((ends, at) => startLink(state, stateDir, ends, topology.uplinks[at], at, options));
  const cables = cableCommands(topology, state.namespaces).map((line) => `${line}\n`);
  const settled = await Promise.allSettled([
    run(['ip', '-batch', '-'], { input: cables.join('') }),
    janitor.ready,
    ...links.map((link) => link.ready),
  ]);
  updateState(stateDir, state.name, (found) => ({ ...found, links: identities(links) }));
  for (const result of settled) if (result.status === 'rejected') throw result.reason;
  await Promise.all(
    Object.entries(state.namespaces).map(([node, namespace]) =>
      run(['ip', 'netns', 'exec', namespace, 'sh', '-es'], { input: nodeScript(topology, node) }),
    ),
  );
  updateState(stateDir, state.name, (found) => ({ ...found, complete: true }));
  if (state.tied) return;
  await Promise.all([janitor.child, ...links.map((link) => link.child)].map(releaseTether));
}

function startLink(
  state: LabState,
  stateDir: string,
  ends: LinkEnds,
  spec: UplinkSpec | undefined,
  at: number,
  options: BuildOptions,
): StartedLink {
  const { uplink, a, b } = ends;
  const { out, in: back, ...both } = options.links?.[uplink] ?? {};
  const end = ({ node, device }: LinkEnds['a']) => ({ namespacePath: namespacePath(state.namespaces[node] ?? ''), device });
  const arg: Partial<LinkProcessOptions> = {
    a: end(a),
    b: end(b),
    socketPath: linkSocketPath(stateDir, state.name, uplink),
    out: { ...perfectLink, ...spec?.out, ...both, ...out },
    in: { ...perfectLink, ...spec?.in, ...both, ...back },
    seed: (options.seed ?? 1) + 1000 * at,
  };
  const logPath = join(filesDir(stateDir, state.name), `${uplink}.log`);
  return { uplink, ...startHelper({ module: 'link-process', args: [JSON.stringify(arg)], namespace: null, logPath }) };
}

/** Processes that have ended already have nothing to be ended. */
function identities(links: readonly StartedLink[]): LabState['links'] {
  return Object.fromEntries(
    links.flatMap(({ uplink, child }) => {
      const identity = child.pid === undefined ? null : identify(child.pid);
      return identity === null ? [] : [[uplink, identity]];
    }),
  );
}
