/**
 * Lays links side by side on one axis and gives each to its uplink. Links that know their absolute time are laid by it, and the time
 * that all of them speak of is played; others begin together, and the longest says how long it takes.
 */
import type { Link, Span } from './link.js';

export interface LayOut {
  /** by the uplinks' order, on the common axis; null = an ideal uplink */
  readonly links: readonly (Link | null)[];
  readonly span: Span;
  /** Unix ms of 0 on the axis; null = not known */
  readonly originWallMs: number | null;
}

/**
 * The axis is that of the first link.
 * @throws RangeError where there are no links, more than uplinks, or none of their times in common
 */
export function layOut(uplinks: readonly string[], links: readonly Link[]): LayOut {
  const [first] = links;
  if (first === undefined) throw new RangeError('there is no link to play');
  if (links.length > uplinks.length)
    throw new RangeError(`${links.length} links were given for ${uplinks.length} uplinks: each needs its own`);
  const absolute = links.every((link) => link.originWallMs !== null);
  const laid = links.map((link) => {
    const byWall = (link.originWallMs ?? 0) - (first.originWallMs ?? 0);
    return shifted(link, absolute ? byWall : first.span.fromMs - link.span.fromMs);
  });
  const ends = laid.map(({ span }) => span.toMs);
  const span = absolute
    ? { fromMs: Math.max(...laid.map((l) => l.span.fromMs)), toMs: Math.min(...ends) }
    : { fromMs: first.span.fromMs, toMs: Math.max(...ends) };
  if (!(span.fromMs < span.toMs)) {
    const names = links.map((link) => link.name).join(' and ');
    throw new RangeError(links.length === 1 ? `${names} covers no time` : `${names} have no time in common`);
  }
  return { links: places(uplinks, laid), span, originWallMs: first.originWallMs };
}

/** By name where any is named like an uplink, the others in the order of the uplinks that are left. */
function places(uplinks: readonly string[], links: readonly Link[]): (Link | null)[] {
  const named = (uplink: string): Link | undefined => links.find((link) => link.name === uplink);
  const rest = links.filter((link) => uplinks.indexOf(link.name) < 0 || named(link.name) !== link);
  return uplinks.map((uplink) => named(uplink) ?? rest.shift() ?? null);
}

/** The same, so much later on the axis. */
export function shifted(link: Link, byMs: number): Link {
  if (byMs === 0) return link;
  const move = <T extends Span>(span: T): T => ({ ...span, fromMs: span.fromMs + byMs, toMs: span.toMs + byMs });
  return {
    ...link,
    originWallMs: link.originWallMs === null ? null : link.originWallMs - byMs,
    span: move(link.span),
    silences: link.silences.map(move),
    lossy: link.lossy.map(move),
    rtts: link.rtts.map((step) => ({ ...step, fromMs: step.fromMs + byMs })),
  };
}
