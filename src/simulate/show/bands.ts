/** One band per uplink: its true silences and losses, and below them what it was taken for. Pure. */
import type { Scored } from '../score/scored.js';
import { element, escaped, type Frame, label } from './svg-parts.js';

interface Layout {
  readonly top: number;
  readonly height: number;
  readonly gap: number;
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
const HEALTHS = { up: '#86efac', degraded: '#facc15', brieflyDown: '#f87171', down: '#dc2626' } as const;
/** A smaller share of a pixel's time is drawn lighter. */
const SHORT = 0.05;
const HEALTH_HEIGHT = 8;

export function bandParts(scored: Scored, names: readonly string[], frame: Frame, layout: Layout): string[] {
  const rowTop = (uplink: number): number => layout.top + uplink * (layout.height + layout.gap);
  return names.flatMap((name, uplink) => {
    const top = rowTop(uplink);
    const words = name.length > 17 ? `${name.slice(0, 15)}...` : name;
    return [
      element('rect', { x: frame.left, y: top, width: frame.width, height: layout.height, fill: GOOD, stroke: '#d1d5db' }),
      ...truthParts(scored, uplink, frame, top, layout.height - HEALTH_HEIGHT - 1),
      ...healthParts(scored, uplink, frame, top + layout.height - HEALTH_HEIGHT - 1),
      element('text', { x: frame.left - 10, y: top + 17, 'text-anchor': 'end', 'font-weight': 600 }, escaped(words)),
      label(frame.left - 10, top + 31, uplink === 0 ? 'preferred' : 'backup', {
        'text-anchor': 'end',
        'font-size': 10,
        fill: '#6b7280',
      }),
    ];
  });
}

/** Per pixel: how much of its time was silent, how much was loss; runs of the same colour are one rectangle. */
function truthParts({ ground }: Scored, uplink: number, frame: Frame, top: number, height: number): string[] {
  const perPixelMs = (frame.toMs - frame.fromMs) / frame.width;
  const colours: (string | null)[] = Array.from({ length: frame.width }, () => null);
  const link = ground.links[uplink];
  for (const { fromMs, toMs } of link?.lossy ?? []) {
    eachPixel(frame, fromMs, toMs, (pixel) => {
      colours[pixel] = LOSS;
    });
  }
  const silentMs = new Float64Array(frame.width);
  for (const { fromMs, toMs } of link?.silences ?? []) {
    eachPixel(frame, fromMs, toMs, (pixel, ms) => {
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
  const known = new Uint8Array(frame.width);
  const badMs = { degraded: new Float64Array(frame.width), down: new Float64Array(frame.width) };
  const records = played.healths.filter((record) => record.uplink === uplink);
  for (const [i, { atMs, health }] of records.entries()) {
    eachPixel(frame, atMs, records[i + 1]?.atMs ?? played.span.toMs, (pixel, ms) => {
      known[pixel] = 1;
      if (health !== 'up') badMs[health][pixel] = (badMs[health][pixel] ?? 0) + ms;
    });
  }
  const colours = Array.from(known, (is, pixel) => {
    if (is === 0) return null;
    const down = (badMs.down[pixel] ?? 0) / perPixelMs;
    if (down > 0) return down < SHORT ? HEALTHS.brieflyDown : HEALTHS.down;
    return (badMs.degraded[pixel] ?? 0) > 0 ? HEALTHS.degraded : HEALTHS.up;
  });
  return runs(colours, frame.left, top, HEALTH_HEIGHT);
}

/** Every pixel that a stretch touches, with how much of it lies there. */
function eachPixel(frame: Frame, fromMs: number, toMs: number, paint: (pixel: number, ms: number) => void): void {
  const perPixelMs = (frame.toMs - frame.fromMs) / frame.width;
  const from = Math.max(fromMs, frame.fromMs);
  const to = Math.min(toMs, frame.toMs);
  if (to <= from) return;
  const last = Math.min(frame.width - 1, Math.floor((to - frame.fromMs) / perPixelMs));
  for (let pixel = Math.floor((from - frame.fromMs) / perPixelMs); pixel <= last; pixel += 1) {
    const begin = frame.fromMs + pixel * perPixelMs;
    const ms = Math.min(to, begin + perPixelMs) - Math.max(from, begin);
    if (ms > 0) paint(pixel, ms);
  }
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
