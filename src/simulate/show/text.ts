/** What came of a simulation for people: a sentence, and a table of what else it could have cost. Lines without colours. Pure. */
import type { Bill } from '../played.js';
import type { Fixed } from '../score/rules.js';
import { ratioOf, type Scored } from '../score/scored.js';
import { FOREVER_S } from '../score/single.js';
import type { LinkFacts, Simulation } from './report.js';

/** A row's words, and how loud it is. */
export interface TextRow {
  readonly cells: readonly string[];
  readonly tone: 'head' | 'own' | 'measure' | 'peer';
}

export interface Text {
  readonly links: readonly string[];
  readonly sentences: readonly string[];
  readonly table: readonly TextRow[];
  readonly notes: readonly string[];
}

export function text(simulation: Simulation): Text {
  const [first] = simulation.plays;
  if (first === undefined) return { links: [], sentences: [], table: [], notes: [] };
  const several = simulation.plays.length > 1;
  return {
    links: [spanLine(simulation, first), ...simulation.links.map(linkLine)],
    sentences: several ? [] : sentences(first),
    table: [
      { cells: ['', 'switches', 'felt', 'on backup', 'cost', '/ clairvoyant'], tone: 'head' },
      ...simulation.plays.map((play) => row(play.played.name, play.bill, play.clairvoyant.cost, 'own')),
      ...measures(first),
      ...(several ? [] : peerRows(first)),
    ],
    notes: [
      ...(first.played.complete ? [] : ['interrupted: only the part up to then was played']),
      ...(first.clairvoyant.cost === 0
        ? ['nothing failed on the preferred uplink: the clairvoyant pays nothing, so there is no multiple']
        : []),
      ...(several && pricesDiffer(simulation)
        ? ['the configurations have different prices: the lower rows are for those of the first']
        : []),
      ...simulation.notes,
    ],
  };
}

function spanLine({ originWallMs }: Simulation, { played, ground }: Scored): string {
  const { fromMs, toMs } = played.span;
  const wall = (ms: number): string => new Date((originWallMs ?? 0) + ms).toISOString().slice(0, 16).replace('T', ' ');
  const when = originWallMs === null ? '' : `, ${wall(fromMs)} to ${wall(toMs)} UTC`;
  const prices = ground.prices.perSecond.slice(1).map((price) => `${price}`);
  const each = [...new Set(prices)].length <= 1 ? (prices[0] ?? '0') : prices.join(', ');
  return `Played: ${lengthText((toMs - fromMs) / 1000)}${when}. A switch hurts like ${ground.prices.switchS} s of outage, a second on the backup like ${each} s`;
}

function linkLine({ name, source, outages, silent, lossy, unwatched }: LinkFacts): string {
  if (source === null) return `  ${name}: taken as never failing`;
  const parts = [`${outages} ${outages === 1 ? 'outage' : 'outages'}, ${lengthText(silent)} in all`];
  if (lossy > 0) parts.push(`loss during ${lengthText(lossy)}`);
  if (unwatched > 0) parts.push(`${lengthText(unwatched)} nobody watched: taken as good`);
  return `  ${name} (${source}): ${parts.join('; ')}`;
}

function sentences({ bill, never, recorded }: Scored): string[] {
  const times = (count: number): string => (count === 1 ? 'once' : `${count} times`);
  if (recorded === null) {
    return [
      `You would have switched ${times(bill.switches)} and felt ${feltText(bill.feltS)} of outage instead of ${feltText(never.feltS)} without a switch.`,
    ];
  }
  return [
    `You would have switched ${times(bill.switches)} instead of ${recorded.bill.switches}, felt ${feltText(bill.feltS)} of outage instead of ` +
      `${feltText(recorded.bill.feltS)}; ${feltText(never.feltS)} without a switch.`,
  ];
}

function measures({ clairvoyant, ground, bestFixed, never, recorded }: Scored): TextRow[] {
  const least = clairvoyant.cost;
  return [
    ...(recorded === null ? [] : [row('what really happened', recorded.bill, least, 'measure')]),
    row('clairvoyant: knows all outages beforehand', ground.bill(clairvoyant.course), least, 'measure'),
    row(`best fixed rule in hindsight (${ruleText(bestFixed)})`, bestFixed.bill, least, 'measure'),
    row('never switching', never, least, 'measure'),
  ];
}

function peerRows({ peers, clairvoyant }: Scored): TextRow[] {
  return Object.entries(peers).map(([name, { bill }]) => row(`  as ${name}`, bill, clairvoyant.cost, 'peer'));
}

function row(title: string, { switches, feltS, onBackupS, cost }: Bill, least: number, tone: TextRow['tone']): TextRow {
  const ratio = ratioOf(cost, least);
  return {
    cells: [
      title,
      `${switches}`,
      feltText(feltS),
      lengthText(onBackupS),
      cost.toFixed(1),
      ratio === null ? '-' : ratio.toFixed(2),
    ],
    tone,
  };
}

/** Silence borne and health wanted. */
export function ruleText({ patienceS, holdS }: Fixed): string {
  return patienceS >= FOREVER_S ? 'never leaves' : `${patienceS} s, ${holdS} s`;
}

const pricesDiffer = ({ plays }: Simulation): boolean =>
  new Set(plays.map(({ ground }) => JSON.stringify(ground.prices))).size > 1;

/** Outage that is felt stays in seconds: that is what is compared. */
const feltText = (seconds: number): string => `${seconds.toFixed(seconds > 0 && seconds < 10 ? 1 : 0)} s`;

/** `41 s`, `12.5 min`, `3.4 h`, `2.3 d` */
export function lengthText(seconds: number): string {
  const [unit, size] =
    seconds < 120 ? ['s', 1] : seconds < 7_200 ? ['min', 60] : seconds < 172_800 ? ['h', 3_600] : ['d', 86_400];
  const value = seconds / Number(size);
  return `${value >= 100 || (size === 1 && Number.isInteger(value)) ? Math.round(value) : value.toFixed(1)} ${unit}`;
}
