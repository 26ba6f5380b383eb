/**
 * Makes what a lab's state file announces: namespaces, cables, link processes, addresses, routes. Whoever calls it has claimed the
 * name and takes down what is left when this rejects.
 */
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { perfectLink } from './emulator.js';
import { startHelper } from './helper-process.js';
import type { LinkOptions } from './link-options.js';
import type { LinkProcessOptions } from './link-process.js';
import { cableCommands, type LinkEnds, linkEnds, nodeScript } from './plan.js';
import { identify } from './processes.js';
import { run } from './run.js';
import { filesDir, type LabState, linkSocketPath, namespacePath, updateState } from './state.js';
import { releaseTether } from './tether.js';
import { topologies, type UplinkSpec } from './topologies.js';

export interface BuildOptions {
  readonly links?: Readonly<Record<string, LinkOptions>>;
  readonly seed?: number;
  /** false: the lab is released at the end and lives on its own */
  readonly tieToProcess: boolean;
  /** who takes the lab down when we die; called before anything is made, and with null once the lab is released */
  readonly onJanitor: (janitor: ChildProcess | null) => void;
}

interface StartedLink {
  readonly uplink: string;
  readonly child: ChildProcess;
  readonly ready: Promise<void>;
}

/** Resolves when every link carries packets and every route stands. Rejects with a LabError. */
export async function buildLab(state: LabState, stateDir: string, options: BuildOptions): Promise<void> {
  const topology = topologies[state.topology];
  const janitor = startHelper({
    module: 'janitor',
    args: [stateDir, state.name],
    namespace: null,
    logPath: join(filesDir(stateDir, state.name), 'janitor.log'),
  });
  options.onJanitor(janitor.child);
  const namespaces = Object.values(state.namespaces);
  // Both are awaited with the rest below; a rejection before that must not count as unhandled.
  janitor.ready.catch(() => {});
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
  if (options.tieToProcess) return;
  await Promise.all([janitor.child, ...links.map((link) => link.child)].map(releaseTether));
  options.onJanitor(null);
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
