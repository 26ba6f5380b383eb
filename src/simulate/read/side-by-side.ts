/**
 * Recordings of several links on one axis: by their absolute times where they have them. Only what all traces speak of is played;
 * lists of outages cut nothing off, because what lies outside them counts as good.
 */
import type { Link, Span } from '../link.js';
import { SourceError } from './problem.js';
import { isTooLong, WANTED_TIME, yearsText } from './times.js';

export interface SideBySide {
  readonly links: readonly Link[];
  /** what was assumed and left out, for people */
  readonly notes: readonly string[];
}

/** @throws SourceError where traces have no moment in common, or lists are decades apart */
export function sideBySide(links: readonly Link[]): SideBySide {
  const [first] = links;
  if (first === undefined || links.length === 1) return { links, notes: [] };
  const notes: string[] = [];
  const origins = links.map((link) => link.originWallMs);
  const known = origins.every((origin) => origin !== null);
  // A list begins at its 0, not at its first outage. Beside one the same goes for a trace, whose clock may be the list's.
  const zeros = links.some((link) => link.openEnded === true);
  if (!known) {
    const without = links.filter((link) => link.originWallMs === null).map((link) => link.name);
    const how = zeros ? 'as if their zeros were one moment' : 'as if they began together';
    notes.push(`${without.join(', ')}: without an absolute start: all are laid side by side ${how}`);
  }
  const originMs = known ? Math.min(...origins.map((origin) => origin ?? 0)) : null;
  const shifted = links.map((link) => {
    const byMs = originMs !== null ? (link.originWallMs ?? 0) - originMs : zeros ? 0 : -link.span.fromMs;
    return shiftedBy(link, byMs, originMs);
  });
  const span = commonSpan(shifted);
  if (span.toMs <= span.fromMs) {
    const traces = links.filter((link) => link.openEnded !== true);
    throw new SourceError(
      `${traces.map(({ name }) => name).join(' and ')} have no moment in common`,
      known ? 'They were recorded one after the other.' : null,
    );
  }
  if (isTooLong(span.toMs - span.fromMs)) {
    const names = links.map(({ name }) => name).join(' and ');
    throw new SourceError(`${names} are ${yearsText(span.toMs - span.fromMs)} together`, WANTED_TIME);
  }
  const laid = shifted.map((link) => cutTo(link, span));
  for (const [i, link] of shifted.entries()) {
    const note = leftOut(link, laid[i] ?? link);
    if (note !== null) notes.push(note);
  }
  return { links: laid, notes };
}

/** What all traces speak of; of lists alone, all that any of them speaks of. */
function commonSpan(links: readonly Link[]): Span {
  const traces = links.filter((link) => link.openEnded !== true).map(({ span }) => span);
  if (traces.length > 0) {
    return { fromMs: Math.max(...traces.map(({ fromMs }) => fromMs)), toMs: Math.min(...traces.map(({ toMs }) => toMs)) };
  }
  const lists = links.map(({ span }) => span);
  return { fromMs: Math.min(...lists.map(({ fromMs }) => fromMs)), toMs: Math.max(...lists.map(({ toMs }) => toMs)) };
}

/** What of a link is not played, for people; null = nothing worth a word. */
function leftOut(link: Link, cut: Link): string | null {
  const why = 'were left out: not all were recorded then';
  if (link.openEnded === true) {
    const outages = link.silences.length - cut.silences.length;
    return outages === 0 ? null : `${link.name}: ${outages} of its ${link.silences.length} outages ${why}`;
  }
  const lengthMs = link.span.toMs - link.span.fromMs - (cut.span.toMs - cut.span.fromMs);
  return lengthMs < 60_000 ? null : `${link.name}: ${(lengthMs / 3_600_000).toFixed(1)} h ${why}`;
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
