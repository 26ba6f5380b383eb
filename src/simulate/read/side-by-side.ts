/** Recordings of several links on one axis: by their absolute times where they have them; only what all speak of is played. */
import type { Link, Span } from '../link.js';
import { SourceError } from './problem.js';

export interface SideBySide {
  readonly links: readonly Link[];
  /** what was assumed and left out, for people */
  readonly notes: readonly string[];
}

/** @throws SourceError where they have no moment in common */
export function sideBySide(links: readonly Link[]): SideBySide {
  const [first] = links;
  if (first === undefined || links.length === 1) return { links, notes: [] };
  const notes: string[] = [];
  const origins = links.map((link) => link.originWallMs);
  const known = origins.every((origin) => origin !== null);
  if (!known) {
    const without = links.filter((link) => link.originWallMs === null).map((link) => link.name);
    notes.push(`${without.join(', ')}: without an absolute start: all are laid side by side as if they began together`);
  }
  const originMs = known ? Math.min(...origins.map((origin) => origin ?? 0)) : null;
  const shifted = links.map((link) => {
    const byMs = originMs === null ? -link.span.fromMs : (link.originWallMs ?? 0) - originMs;
    return shiftedBy(link, byMs, originMs);
  });
  const span = {
    fromMs: Math.max(...shifted.map((link) => link.span.fromMs)),
    toMs: Math.min(...shifted.map((link) => link.span.toMs)),
  };
  if (span.toMs <= span.fromMs) {
    throw new SourceError(
      `${links.map(({ name }) => name).join(' and ')} have no moment in common`,
      known ? 'They were recorded one after the other.' : null,
    );
  }
  for (const link of shifted) {
    const leftOutMs = link.span.toMs - link.span.fromMs - (span.toMs - span.fromMs);
    if (leftOutMs >= 60_000)
      notes.push(`${link.name}: ${(leftOutMs / 3_600_000).toFixed(1)} h were left out: not all were recorded then`);
  }
  return { links: shifted.map((link) => cutTo(link, span)), notes };
}

function shiftedBy(link: Link, byMs: number, originWallMs: number | null): Link {
  const move = <T extends Span>(part: T): T => ({ ...part, fromMs: part.fromMs + byMs, toMs: part.toMs + byMs });
  return {
    ...link,
    originWallMs,
    span: move(link.span),
    silences: link.silences.map(move),
    lossy: link.lossy.map(move),
    rtts: link.rtts.map((step) => ({ ...step, fromMs: step.fromMs + byMs })),
  };
}

/** The part of a link within a span. `unwatchedMs` is kept: nobody knows where it lies. */
export function cutTo(link: Link, span: Span): Link {
  const part = <T extends Span>(parts: readonly T[]): T[] =>
    parts
      .filter(({ fromMs, toMs }) => toMs > span.fromMs && fromMs < span.toMs)
      .map((one) => ({ ...one, fromMs: Math.max(one.fromMs, span.fromMs), toMs: Math.min(one.toMs, span.toMs) }));
  const begun = link.rtts.findLastIndex(({ fromMs }) => fromMs <= span.fromMs);
  return {
    ...link,
    span,
    silences: part(link.silences),
    lossy: part(link.lossy),
    rtts: link.rtts.slice(Math.max(0, begun)).filter(({ fromMs }) => fromMs < span.toMs),
  };
}

/** A link that never fails: the backup where nothing is known of one. */
export function idealBeside(name: string, link: Link): Link {
  return { name, originWallMs: link.originWallMs, span: link.span, silences: [], lossy: [], rtts: [], unwatchedMs: 0 };
}
