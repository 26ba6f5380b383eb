/**
 * Fixed rules on several links: silence borne before an uplink counts as down, health wanted before it counts as up again; the
 * first in the order that is up is used, and where none is, the last choice stays. Event arithmetic, without probes: what
 * such a rule would cost if it noticed everything at once. Loss that is not complete is felt, but moves nobody. Pure.
 */
import type { Silence } from '../link.js';
import type { Bill } from '../played.js';
import type { Ground, Step } from './course.js';
import { FIXED_GRID, PEERS } from './single.js';

/** s */
export interface Fixed {
  readonly patienceS: number;
  readonly holdS: number;
}

export interface FixedPlay extends Fixed {
  readonly bill: Bill;
  readonly course: readonly Step[];
}

interface Event {
  readonly atMs: number;
  readonly uplink: number;
  readonly up: boolean;
}

/** When a link counts as down and as up again. Each silence within the hold begins it anew. O(silences) */
function* eventsOf(silences: readonly Silence[], uplink: number, { patienceS, holdS }: Fixed): Generator<Event> {
  let upAtMs: number | null = null;
  for (const { fromMs, toMs } of silences) {
    if (upAtMs !== null && fromMs < upAtMs) {
      upAtMs = toMs + 1000 * holdS;
      continue;
    }
    if (upAtMs !== null) yield { atMs: upAtMs, uplink, up: true };
    upAtMs = null;
    if (toMs - fromMs <= 1000 * patienceS) continue;
    yield { atMs: fromMs + 1000 * patienceS, uplink, up: false };
    upAtMs = toMs + 1000 * holdS;
  }
  if (upAtMs !== null) yield { atMs: upAtMs, uplink, up: true };
}

/** O(n log n) in the silences of all links. */
export function playFixed(ground: Ground, rule: Fixed): FixedPlay {
  const events = ground.links.flatMap(({ silences }, uplink) => [...eventsOf(silences, uplink, rule)]);
  events.sort((a, b) => a.atMs - b.atMs || a.uplink - b.uplink);
  const up = ground.links.map(() => true);
  const course: Step[] = [];
  let on = 0;
  for (const [i, event] of events.entries()) {
    up[event.uplink] = event.up;
    // What happens to several at one moment is known before the choice is made; one that is up again and down at once is both.
    const next = events[i + 1];
    if (next?.atMs === event.atMs && next.uplink !== event.uplink) continue;
    const best = up.indexOf(true);
    if (best < 0 || best === on) continue;
    on = best;
    course.push({ atMs: event.atMs, to: on });
  }
  return { ...rule, course, bill: ground.bill(course) };
}

/** The fixed rule that would have been cheapest. O(rules x n log n) */
export function bestFixed(ground: Ground): FixedPlay {
  let best: FixedPlay | null = null;
  for (const [patienceS, holdS] of FIXED_GRID) {
    const tried = playFixed(ground, { patienceS, holdS });
    if (best === null || tried.bill.cost < best.bill.cost) best = tried;
  }
  return best ?? playFixed(ground, { patienceS: 0, holdS: 1 });
}

/** What well-known programs would have cost with what they ship. */
export function peers(ground: Ground): Record<string, FixedPlay> {
  return Object.fromEntries(
    Object.entries(PEERS).map(([name, [patienceS, holdS]]) => [name, playFixed(ground, { patienceS, holdS })]),
  );
}
