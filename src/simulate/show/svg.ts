/**
 * The time line of a simulation as one SVG that needs nothing else: what each uplink really did, what it was taken for, which
 * one was in use, and the cost as it grows. What is smaller than a pixel is merged: a year is no larger than an hour. Pure.
 */
import type { Scored } from '../score/scored.js';
import { bandParts } from './bands.js';
import { type Line, panelParts } from './panel.js';
import type { Simulation } from './report.js';
import { element, escaped, type Frame, label } from './svg-parts.js';
import { lengthText, ruleText } from './text.js';
import { timeTicks } from './ticks.js';
import { useParts } from './use.js';

const WIDTH = 1200;
const LEFT = 150;
const RIGHT = 24;
const TOP = 84;
const BAND = 36;
const BAND_GAP = 10;
const LANE = 18;
const PANEL = 240;
const TICKS = 10;

const COLOURS = { play: '#1d4ed8', fixed: '#9a3412', least: '#15803d', recorded: '#6d28d9' };
/** Of further configurations. */
const OTHERS = ['#0e7490', '#be185d', '#4d7c0f', '#7c2d12', '#334155'];

export function plot(simulation: Simulation): string {
  const [first] = simulation.plays;
  if (first === undefined) return '';
  const { span } = first.played;
  const names = simulation.uplinks[0] ?? [];
  const bandsHeight = names.length * (BAND + BAND_GAP);
  const lanesTop = TOP + bandsHeight + 8;
  const panelTop = lanesTop + names.length * LANE + 20;
  const height = panelTop + PANEL + 76;
  const frame: Frame = { left: LEFT, width: WIDTH - LEFT - RIGHT, fromMs: span.fromMs, toMs: span.toMs };
  const lines = linesOf(simulation, first);
  const parts = [
    element('rect', { width: WIDTH, height, fill: '#ffffff' }),
    ...titleParts(simulation, first),
    ...axisParts(frame, simulation.originWallMs, panelTop + PANEL),
    ...bandParts(first, names, frame, { top: TOP, height: BAND, gap: BAND_GAP }),
    ...useParts(first, names, frame, { top: lanesTop, lane: LANE, wall: wallOf(simulation) }),
    ...panelParts(lines, frame, { top: panelTop, height: PANEL }),
    ...legendParts(lines, height - 16),
  ];
  const description = `${names.join(', ')}: what they did, which one was in use, and what it cost`;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" ` +
    `font-family="system-ui, 'DejaVu Sans', Helvetica, Arial, sans-serif" font-size="12" fill="#1f2937" role="img">\n` +
    `<title>${escaped(description)}</title>\n${parts.join('\n')}\n</svg>\n`
  );
}

function titleParts({ notes, plays }: Simulation, { played, bill, clairvoyant, never, recorded, ground }: Scored): string[] {
  const seconds = (played.span.toMs - played.span.fromMs) / 1000;
  const ratio = clairvoyant.cost > 0 ? `, ${(bill.cost / clairvoyant.cost).toFixed(2)} times the clairvoyant's` : '';
  const instead =
    recorded === null ? `${figure(never.feltS)} s without a switch` : `${figure(recorded.bill.feltS)} s as it really was`;
  const others = plays.length > 1 ? ` (the first of ${plays.length} configurations)` : '';
  const partial = played.complete ? '' : ' (interrupted: the part done)';
  return [
    label(LEFT, 28, `${played.name}${others}: ${lengthText(seconds)}${partial}`, { 'font-size': 18, 'font-weight': 600 }),
    label(
      LEFT,
      48,
      `switched ${bill.switches} times, felt ${figure(bill.feltS)} s of outage instead of ${instead}, ` +
        `${lengthText(bill.onBackupS)} on the backup: cost ${figure(bill.cost)} s${ratio} (a switch: ${ground.prices.switchS} s)`,
    ),
    ...(notes.length > 0 ? [label(LEFT, 66, notes.join('; ').slice(0, 170), { fill: '#6b7280', 'font-size': 11 })] : []),
  ];
}

function linesOf({ plays }: Simulation, first: Scored): Line[] {
  return [
    { name: 'clairvoyant', colour: COLOURS.least, course: first.clairvoyant.course, ground: first.ground, width: 1.5 },
    {
      name: `best fixed rule in hindsight (${ruleText(first.bestFixed)})`,
      colour: COLOURS.fixed,
      course: first.bestFixed.course,
      ground: first.ground,
      width: 1.5,
    },
    ...(first.recorded === null
      ? []
      : [
          {
            name: 'as it really was',
            colour: COLOURS.recorded,
            course: first.recorded.course,
            beginsOn: first.recorded.beginsOn,
            ground: first.ground,
            width: 1.5,
          },
        ]),
    ...plays.slice(1).map(({ played, course, ground }, i) => ({
      name: played.name,
      colour: OTHERS[i % OTHERS.length] ?? '#334155',
      course,
      beginsOn: played.beginsOn,
      ground,
      width: 1.5,
    })),
    {
      name: first.played.name,
      colour: COLOURS.play,
      course: first.course,
      beginsOn: first.played.beginsOn,
      ground: first.ground,
      width: 2.5,
    },
  ];
}

function axisParts(frame: Frame, originWallMs: number | null, bottom: number): string[] {
  const x = (ms: number): number => frame.left + ((ms - frame.fromMs) / (frame.toMs - frame.fromMs)) * frame.width;
  const ticks = timeTicks(frame.fromMs, frame.toMs, originWallMs, TICKS);
  return [
    ...ticks.map(({ at }) => element('path', { d: `M${x(at).toFixed(1)} ${TOP - 4}V${bottom}`, stroke: '#e5e7eb' })),
    ...ticks.map(({ at, label: words }) => label(x(at), bottom + 16, words, { 'text-anchor': 'middle', fill: '#4b5563' })),
    label(frame.left + frame.width, bottom + 32, originWallMs === null ? 'time since the beginning' : 'UTC', {
      'text-anchor': 'end',
      fill: '#6b7280',
    }),
  ];
}

const LEGEND = [
  ['#7f1d1d', 'silent'],
  ['#fdba74', 'loss'],
  ['#86efac', 'taken for up'],
  ['#facc15', 'degraded'],
  ['#dc2626', 'down'],
] as const;
/** of a letter at this size, about */
const LETTER = 6;

function legendParts(lines: readonly Line[], y: number): string[] {
  const parts: string[] = [];
  let x = LEFT;
  for (const [colour, words] of LEGEND) {
    parts.push(
      element('rect', { x, y: y - 9, width: 10, height: 10, fill: colour }),
      label(x + 14, y, words, { 'font-size': 11 }),
    );
    x += 26 + words.length * LETTER;
  }
  for (const { name, colour, width } of lines.toReversed()) {
    const words = name.length > 48 ? `...${name.slice(-45)}` : name;
    parts.push(
      element('path', { d: `M${x.toFixed(0)} ${y - 4}h16`, stroke: colour, 'stroke-width': width }),
      label(x + 20, y, words, { 'font-size': 11 }),
    );
    x += 34 + words.length * LETTER;
  }
  return parts;
}

function wallOf({ originWallMs }: Simulation): (atMs: number) => string {
  return (atMs) =>
    originWallMs === null
      ? `after ${lengthText(atMs / 1000)}`
      : `${new Date(originWallMs + atMs).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

const figure = (seconds: number): string => seconds.toFixed(seconds < 10 ? 1 : 0);
