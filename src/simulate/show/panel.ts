/** The cost as it grows: one line for each course. Pure. */
import type { Ground, Step } from '../score/course.js';
import { element, type Frame, label } from './svg-parts.js';
import { numberTicks } from './ticks.js';

export interface Line {
  readonly name: string;
  readonly colour: string;
  readonly width: number;
  readonly ground: Ground;
  readonly course: readonly Step[];
  /** place; left out = the first uplink */
  readonly beginsOn?: number;
}

const TICKS = 5;

export function panelParts(lines: readonly Line[], frame: Frame, { top, height }: { top: number; height: number }): string[] {
  const moments = Array.from(
    { length: frame.width + 1 },
    (_, pixel) => frame.fromMs + (pixel / frame.width) * (frame.toMs - frame.fromMs),
  );
  const costs = lines.map(({ ground, course, beginsOn }) => ground.costsAt(course, moments, beginsOn));
  const ticks = numberTicks(Math.max(...costs.map((line) => line.at(-1) ?? 0)), TICKS);
  const most = ticks.at(-1) ?? 1;
  const y = (cost: number): number => top + height - (cost / most) * height;
  return [
    element('rect', { x: frame.left, y: top, width: frame.width, height, fill: 'none', stroke: '#d1d5db' }),
    ...ticks
      .slice(1)
      .map((tick) => element('path', { d: `M${frame.left} ${y(tick).toFixed(1)}h${frame.width}`, stroke: '#e5e7eb' })),
    ...ticks.map((tick) => label(frame.left - 10, y(tick) + 4, `${tick} s`, { 'text-anchor': 'end', fill: '#4b5563' })),
    label(frame.left + 8, top + 18, 'cost so far: outage felt, switches and time on the backup, as seconds of outage', {
      fill: '#6b7280',
    }),
    ...lines.map(({ colour, width }, i) =>
      element('path', {
        d: pathOf(costs[i] ?? [], frame.left, y),
        fill: 'none',
        stroke: colour,
        'stroke-width': width,
        'stroke-linejoin': 'round',
      }),
    ),
  ];
}

/** Without the points in between where it goes straight on. */
function pathOf(costs: readonly number[], left: number, y: (cost: number) => number): string {
  const points = costs.map((cost) => Math.round(y(cost) * 10) / 10);
  let path = '';
  for (const [pixel, at] of points.entries()) {
    const before = points[pixel - 1];
    const after = points[pixel + 1];
    if (before !== undefined && after !== undefined && Math.abs(after - at - (at - before)) < 0.05) continue;
    path += `${path === '' ? 'M' : 'L'}${left + pixel} ${at}`;
  }
  return path;
}
