/** Whose route the kernel refused: of several that share one, not all are to blame. Pure. */
import type { RouteState } from '../kernel.js';
import type { Path } from '../paths/path.js';
import { FIRST_METRIC } from './plan.js';

/** @param refused routes that the kernel did not take. @returns the paths that are no choice for a while */
export function blamed(refused: readonly RouteState[], paths: readonly Path[]): Path[] {
  const guilty = refused.flatMap((route) => {
    // Those whose own routes are refused as well, where there are any.
    const alone = refused.filter((r) => r.family === route.family && r.nexthops.length === 1).flatMap((r) => r.nexthops);
    const hops = route.nexthops.filter((hop) => alone.some((g) => g.ifindex === hop.ifindex && g.gateway === hop.gateway));
    const inUse = paths.filter((path) => path.family === route.family && route.metric === FIRST_METRIC[route.family]);
    return inUse.filter((path) => (hops.length > 0 ? hops : route.nexthops).some((hop) => path.isBehind(hop)));
  });
  return [...new Set(guilty)];
}
