/** A play beside all that it is compared with, billed by one arithmetic on the part that was played. Pure. */
import type { Link } from '../link.js';
import type { Bill, Played, Prices } from '../played.js';
import { type Clairvoyance, clairvoyant } from './clairvoyant.js';
import { Ground, type Step } from './course.js';
import { bestFixed, type FixedPlay, peers } from './rules.js';

export interface Scored {
  readonly played: Played;
  readonly ground: Ground;
  /** of the play; the switch back that it owes at the end is in it */
  readonly bill: Bill;
  readonly course: readonly Step[];
  readonly clairvoyant: Clairvoyance;
  readonly bestFixed: FixedPlay;
  readonly never: Bill;
  readonly peers: Readonly<Record<string, FixedPlay>>;
  /** what really happened then, where it is recorded */
  readonly recorded: { readonly bill: Bill; readonly course: readonly Step[]; readonly beginsOn: number } | null;
}

/**
 * @param links of each uplink, in the order of preference
 * @param recorded a step at the beginning says what was in use then: that is no switch
 */
export function score(played: Played, links: readonly Link[], prices: Prices, recorded: readonly Step[] | null): Scored {
  const { span } = played;
  const ground = new Ground(
    links.map(({ silences, lossy }) => ({
      // What lies behind the part that was played is not known to it.
      silences: silences
        .filter(({ fromMs }) => fromMs < span.toMs)
        .map((s) => (s.toMs > span.toMs ? { ...s, toMs: span.toMs } : s)),
      lossy,
    })),
    prices,
    span,
  );
  const course = played.shares.length > 0 ? played.shares : played.moves.map(({ atMs, to }) => ({ atMs, to }));
  const [begin] = recorded ?? [];
  const beginsOn = begin !== undefined && begin.atMs <= span.fromMs ? begin.to : 0;
  const really = recorded?.filter(({ atMs }) => atMs < span.toMs) ?? null;
  return {
    played,
    ground,
    course,
    bill: ground.bill(course, played.beginsOn),
    clairvoyant: clairvoyant(ground),
    bestFixed: bestFixed(ground),
    never: ground.bill([]),
    peers: peers(ground),
    recorded: really === null ? null : { bill: ground.bill(really, beginsOn), course: really, beginsOn },
  };
}

/** null where the clairvoyant pays nothing: then nothing was to be decided. */
export function ratioOf(cost: number, least: number): number | null {
  return least > 0 ? cost / least : null;
}
