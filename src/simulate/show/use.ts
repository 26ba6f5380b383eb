/** Which uplink was in use: a line that steps at each move, with a mark that tells when and why. Pure. */
import type { Move } from '../played.js';
import type { Scored } from '../score/scored.js';
import { element, escaped, type Frame, label } from './svg-parts.js';

interface Layout {
  readonly top: number;
  /** of one uplink's lane */
  readonly lane: number;
  /** a moment for people */
  readonly wall: (atMs: number) => string;
}

const COLOUR = '#1d4ed8';
/** Moves nearer to each other than this are one stroke of the line. */
const LINE_PIXELS = 1;
/** Moves nearer to each other than this share a mark. */
const MARK_PIXELS = 6;
/** From so many moves on the line is thinner. */
const MANY = 200;
/** As many are told in one mark; the rest are counted. */
const TOLD = 4;

export function useParts({ played }: Scored, names: readonly string[], frame: Frame, { top, lane, wall }: Layout): string[] {
  // The way back may lie behind the end.
  const x = (atMs: number): number => frame.left + Math.min(1, (atMs - frame.fromMs) / (frame.toMs - frame.fromMs)) * frame.width;
  const y = (uplink: number): number => top + (uplink + 0.5) * lane;
  let path = `M${frame.left} ${y(played.beginsOn)}`;
  for (const group of grouped(played.moves, x, LINE_PIXELS)) {
    // Several on one spot: up and down over all that were in use there.
    const lanes = group.map(({ to }) => y(to));
    const last = lanes.at(-1) ?? y(0);
    const extremes = group.length > 2 ? `V${Math.min(...lanes)}V${Math.max(...lanes)}` : group.length === 2 ? `V${lanes[0]}` : '';
    path += `H${x(group[0]?.atMs ?? 0).toFixed(1)}${extremes}V${last}`;
  }
  path += `H${frame.left + frame.width}`;
  return [
    element('rect', {
      x: frame.left,
      y: top,
      width: frame.width,
      height: lane * names.length,
      fill: '#f9fafb',
      stroke: '#d1d5db',
    }),
    ...names.map((name, uplink) =>
      label(frame.left - 10, y(uplink) + 4, `on ${name.length > 15 ? `${name.slice(0, 13)}...` : name}`, {
        'text-anchor': 'end',
        fill: '#4b5563',
      }),
    ),
    element('path', { d: path, fill: 'none', stroke: COLOUR, 'stroke-width': played.moves.length > MANY ? 1 : 2 }),
    ...grouped(played.moves, x, MARK_PIXELS).map((group) => mark(group, names, x, y, wall)),
  ];
}

function grouped(moves: readonly Move[], x: (atMs: number) => number, pixels: number): Move[][] {
  const groups: Move[][] = [];
  for (const move of moves) {
    const group = groups.at(-1);
    if (group?.[0] !== undefined && x(move.atMs) - x(group[0].atMs) < pixels) group.push(move);
    else groups.push([move]);
  }
  return groups;
}

function mark(
  group: readonly Move[],
  names: readonly string[],
  x: (atMs: number) => number,
  y: (uplink: number) => number,
  wall: (atMs: number) => string,
): string {
  const words = group.slice(0, TOLD).map(({ atMs, from, to, reason, ground }) => {
    return `${wall(atMs)}: ${names[from] ?? from} -> ${names[to] ?? to}, ${reason}${ground === null ? '' : `\n  ${ground}`}`;
  });
  if (group.length > TOLD) words.push(`and ${group.length - TOLD} more`);
  const last = group.at(-1);
  const middle = (x(group[0]?.atMs ?? 0) + x(last?.atMs ?? 0)) / 2;
  const shape = { cx: middle.toFixed(1), cy: y(last?.to ?? 0), r: group.length > 1 ? 4 : 3, fill: COLOUR, stroke: '#ffffff' };
  return element('circle', shape, element('title', {}, escaped(words.join('\n'))));
}
