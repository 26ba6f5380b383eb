/**
 * Whether an interface's counters are one uplink's alone. Where it cannot be told, they are: a cap must not stop counting because
 * a stick stands beside the one network card. Knows no uplink's cost.
 */
import type { KernelState, NeighbourState } from '../kernel.js';
import { type Located, ownsInterface } from '../plan/plan-input.js';

/** The kernel has learned these by asking, or by having been asked; the others are multicast, written by hand, or nobody. */
const LEARNED: readonly NeighbourState['state'][] = ['reachable', 'stale', 'delay', 'probe'];

/**
 * False where another uplink is on its interface too; and where the LAN is: no other interface is left for it, and more machines
 * than a router are seen here.
 * @param former interfaces that a LAN was seen on
 */
export function countsAlone(
  path: Located,
  all: readonly Located[],
  state: KernelState,
  former: ReadonlySet<string> = new Set(),
): boolean {
  if (all.some((other) => other.uplink !== path.uplink && other.interface === path.interface)) return false;
  if (ownsInterface(path, all, state, former)) return true;
  const ifindex = state.links.find((link) => link.name === path.interface)?.index;
  const here = state.neighbours.filter((n) => n.ifindex === ifindex && LEARNED.includes(n.state));
  return new Set(here.flatMap((n) => n.mac ?? [])).size <= 1;
}
