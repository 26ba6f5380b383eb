/**
 * The least possible cost for one who knows everything that will happen on every link: what all others are measured by.
 * Dynamic programming over the moments at which anything changes, one state per uplink. Pure.
 */
import type { Ground, Step } from './course.js';

export interface Clairvoyance {
  /** seconds of felt outage, the way back included */
  readonly cost: number;
  /** a course of that cost */
  readonly course: readonly Step[];
}

/** O(changes x uplinks) time and memory. */
export function clairvoyant(ground: Ground): Clairvoyance {
  const { links, prices, span } = ground;
  const count = links.length;
  const moments = momentsOf(ground);
  const costs = new Float64Array(count).fill(prices.switchS);
  costs[0] = 0;
  // For each stretch and uplink: the uplink that one is on in the stretch before.
  const origins = new Uint8Array(moments.length * count);
  for (let at = 0; at < moments.length; at += 1) {
    const cheapest = least(costs);
    const moved = (costs[cheapest] ?? 0) + prices.switchS;
    const fromMs = moments[at] ?? 0;
    const toMs = moments[at + 1] ?? span.toMs;
    for (let uplink = 0; uplink < count; uplink += 1) {
      const stayed = costs[uplink] ?? 0;
      // The first stretch is entered from the start, which `costs` says already.
      const moves = at > 0 && moved < stayed;
      origins[at * count + uplink] = moves ? cheapest : uplink;
      const lost = ground.losses[uplink]?.shareAt(fromMs) ?? 0;
      costs[uplink] = (moves ? moved : stayed) + ((toMs - fromMs) / 1000) * (lost + ground.priceOf(uplink));
    }
  }
  const ends = costs.map((cost, uplink) => (uplink === 0 ? cost : cost + prices.switchS));
  const end = least(ends);
  return { cost: ends[end] ?? 0, course: courseTo(end, moments, origins, count) };
}

function courseTo(end: number, moments: readonly number[], origins: Uint8Array, count: number): Step[] {
  const course: Step[] = [];
  let on = end;
  for (let at = moments.length - 1; at >= 0; at -= 1) {
    const from = at === 0 ? 0 : (origins[at * count + on] ?? on);
    if (from !== on) course.push({ atMs: moments[at] ?? 0, to: on });
    on = from;
  }
  return course.reverse();
}

/** Every moment within the span at which a link's loss changes, ordered, its beginning first. */
function momentsOf({ losses, span }: Ground): number[] {
  const inside = losses.flatMap((loss) => loss.changesMs.filter((ms) => ms > span.fromMs && ms < span.toMs));
  const sorted = Float64Array.from(inside).sort();
  const moments = [span.fromMs];
  for (const ms of sorted) if (ms !== moments.at(-1)) moments.push(ms);
  return moments;
}

function least(values: Float64Array): number {
  let index = 0;
  for (let i = 1; i < values.length; i += 1) if ((values[i] ?? 0) < (values[index] ?? 0)) index = i;
  return index;
}
