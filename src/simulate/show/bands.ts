/** One band per uplink: its true silences and losses, what it was taken for, and the line of what was in use. Pure. */
import type { Move } from '../played.js';
import type { Scored } from '../score/scored.js';
import { element, escaped, type Frame, label } from './svg-parts.js';

interface Layout {
  readonly top: number;
  readonly height: number;
  readonly gap: number;
  /** a moment for people */
  readonly wall: (atMs: number) => string;
}

/** The share of a pixel's time from which on it is drawn so. The shortest blip must be seen, and a long one be darker. */
const SHADES: readonly (readonly [from: number, colour: string])[] = [
  [0.5, '#7f1d1d'],
  [0.05, '#b91c1c'],
  [0.005, '#ef4444'],
  [0, '#fca5a5'],
];
const LOSS = '#fdba74';
const GOOD = '#f0fdf4';
const HEALTHS = { up: '#16a34a', degraded: '#eab308', down: '#dc2626' } as const;
const HEALTH_HEIGHT = 6;
/** Moves nearer to each other than this share a mark. */
const MARK_PIXELS = 6;
/** As many are told in one mark; the rest are counted. */
const TOLD = 4;

export function bandParts(scored: Scored, names: readonly string[], frame: Frame, layout: Layout): string[] {
  const rowTop = (uplink: number): number => layout.top + uplink * (layout.height + layout.gap);
  const bands = names.flatMap((name, uplink) => {
    const top = rowTop(uplink);
    const words = name.length > 17 ? `${name.slice(0, 15)}...` : name;
    return [
      element('rect', { x: frame.left, y: top, width: frame.width, height: layout.height, fill: GOOD, stroke: '#d1d5db' }),
      ...truthParts(scored, uplink, frame, top, layout.height - HEALTH_HEIGHT),
      ...healthParts(scored, uplink, frame, top + layout.height - HEALTH_HEIGHT),
      element('text', { x: frame.left - 10, y: top + 20, 'text-anchor': 'end', 'font-weight': 600 }, escaped(words)),
      label(frame.left - 10, top + 35, uplink === 0 ? 'preferred' : 'backup', {
        'text-anchor': 'end',
        'font-size': 10,
        fill: '#6b7280',
      }),
    ];
  });
  return [
    ...bands,
    ...useParts(scored, names, frame, (uplink) => rowTop(uplink) + (layout.height - HEALTH_HEIGHT) / 2, layout.wall),
  ];
}

/** Per pixel: how much of its time was silent, how much was loss; runs of the same colour are one rectangle. */
function truthParts({ ground, played }: Scored, uplink: number, frame: Frame, top: number, height: number): string[] {
  const perPixelMs = (frame.toMs - frame.fromMs) / frame.width;
  const colours: (string | null)[] = Array.from({ length: frame.width }, () => null);
  const link = ground.links[uplink];
  const cover = (fromMs: number, toMs: number, paint: (pixel: number, ms: number) => void): void => {
    const from = Math.max(fromMs, played.span.fromMs);
    const to = Math.min(toMs, played.span.toMs);
    if (to <= from) return;
    const last = Math.min(frame.width - 1, Math.floor((to - frame.fromMs) / perPixelMs));
    for (let pixel = Math.max(0, Math.floor((from - frame.fromMs) / perPixelMs)); pixel <= last; pixel += 1) {
      const begin = frame.fromMs + pixel * perPixelMs;
      const ms = Math.min(to, begin + perPixelMs) - Math.max(from, begin);
      if (ms > 0) paint(pixel, ms);
    }
  };
  for (const { fromMs, toMs } of link?.lossy ?? []) {
    cover(fromMs, toMs, (pixel) => {
      colours[pixel] = LOSS;
    });
  }
  const silentMs = new Float64Array(frame.width);
  for (const { fromMs, toMs } of link?.silences ?? []) {
    cover(fromMs, toMs, (pixel, ms) => {
      silentMs[pixel] = (silentMs[pixel] ?? 0) + ms;
    });
  }
  for (const [pixel, ms] of silentMs.entries()) {
    if (ms > 0) colours[pixel] = SHADES.find(([from]) => ms / perPixelMs >= from)?.[1] ?? null;
  }
  return runs(colours, frame.left, top, height);
}

function healthParts({ played }: Scored, uplink: number, frame: Frame, top: number): string[] {
  const perPixelMs = (frame.toMs - frame.fromMs) / frame.width;
  const rank = ['up', 'degraded', 'down'] as const;
  const worst = new Int8Array(frame.width).fill(-1);
  const records = played.healths.filter((record) => record.uplink === uplink);
  for (const [i, { atMs, health }] of records.entries()) {
    const untilMs = records[i + 1]?.atMs ?? played.span.toMs;
    const last = Math.min(frame.width - 1, Math.floor((untilMs - frame.fromMs) / perPixelMs));
    for (let pixel = Math.max(0, Math.floor((atMs - frame.fromMs) / perPixelMs)); pixel <= last; pixel += 1) {
      worst[pixel] = Math.max(worst[pixel] ?? -1, rank.indexOf(health));
    }
  }
  const colours = Array.from(worst, (value) => {
    const health = rank[value];
    return health === undefined ? null : HEALTHS[health];
  });
  return runs(colours, frame.left, top, HEALTH_HEIGHT);
}

/** Runs of one colour as rectangles, all of one colour in one path. */
function runs(colours: readonly (string | null)[], left: number, top: number, height: number): string[] {
  const paths = new Map<string, string>();
  for (let from = 0; from < colours.length; ) {
    const colour = colours[from] ?? null;
    let to = from + 1;
    while (to < colours.length && colours[to] === colour) to += 1;
    if (colour !== null)
      paths.set(colour, `${paths.get(colour) ?? ''}M${left + from} ${top}h${to - from}v${height}h-${to - from}z`);
    from = to;
  }
  return [...paths].map(([fill, d]) => element('path', { d, fill }));
}

/** The line of the uplink in use, and a mark with words at each move. */
function useParts(
  { played }: Scored,
  names: readonly string[],
  frame: Frame,
  rowOf: (uplink: number) => number,
  wall: (atMs: number) => string,
): string[] {
  const x = (atMs: number): number => frame.left + ((atMs - frame.fromMs) / (frame.toMs - frame.fromMs)) * frame.width;
  let path = `M${frame.left} ${rowOf(played.moves[0]?.from ?? 0)}`;
  let formerX = '';
  for (const { atMs, to } of played.moves) {
    const at = x(atMs).toFixed(1);
    // Several within a tenth of a pixel: up and down on the same spot.
    path += at === formerX ? `V${rowOf(to)}` : `H${at}V${rowOf(to)}`;
    formerX = at;
  }
  path += `H${frame.left + frame.width}`;
  const groups: Move[][] = [];
  for (const move of played.moves) {
    const group = groups.at(-1);
    const [first] = group ?? [];
    if (group !== undefined && first !== undefined && x(move.atMs) - x(first.atMs) < MARK_PIXELS) group.push(move);
    else groups.push([move]);
  }
  const marks = groups.map((group) => {
    const last = group.at(-1) ?? played.moves[0];
    const words = group.slice(0, TOLD).map(({ atMs, from, to, reason, ground }) => {
      return `${wall(atMs)}: ${names[from] ?? from} -> ${names[to] ?? to}, ${reason}${ground === null ? '' : `\n  ${ground}`}`;
    });
    if (group.length > TOLD) words.push(`and ${group.length - TOLD} more`);
    const middle = x(((group[0]?.atMs ?? 0) + (last?.atMs ?? 0)) / 2);
    const shape = { cx: middle.toFixed(1), cy: rowOf(last?.to ?? 0), r: group.length > 1 ? 4 : 3 };
    return element('circle', shape, element('title', {}, escaped(words.join('\n'))));
  });
  return [
    element('path', { d: path, fill: 'none', stroke: '#ffffff', 'stroke-width': 4.5, 'stroke-opacity': 0.8 }),
    element('path', { d: path, fill: 'none', stroke: '#1d4ed8', 'stroke-width': 2 }),
    element('g', { fill: '#1d4ed8', stroke: '#ffffff' }, marks.join('') || '<desc/>'),
  ];
}
