/**
 * The real engine on the measured links, by the simulation: probes every second, deadlines, bursts and all. Two uplinks at once,
 * one beside an ideal backup, and random loss that is no outage.
 */
import { parseConfig } from '../../src/config/parse.js';
import { formatProblems } from '../../src/config/problem.js';
import type { Config } from '../../src/core/config.js';
import type { Link } from '../../src/simulate/link.js';
import { playLinks } from '../../src/simulate/play.js';
import type { Prices } from '../../src/simulate/played.js';
import { idealBeside, sideBySide } from '../../src/simulate/read/side-by-side.js';
import { type Scored, score } from '../../src/simulate/score/scored.js';
import type { Costs } from '../../src/simulate/score/single.js';
import { columns, say, times } from './print.js';
import { mean, ratioOf } from './study.js';
import { outagesOf } from './traces.js';

export type NamedLinks = Readonly<Record<string, Link>>;

/** Chance sets the phases of the probes: a single life says little of what is 0.02 apart. */
const SEEDS = [1, 2, 3];
const PAIR = ['train_o2_3tgt', 'train_telekom_3tgt'] as const;
const LOSS_SHARES = [0.01, 0.05, 0.2];
const LOSS_DAYS = 2;
const DAY_MS = 86_400_000;

/** Two uplinks, the second one the backup; nothing else is set but what is given. */
function configWith(switchS: number, more = ''): Config {
  const uplinks = [1, 2].map((n) => `  line${n}: {gateway: 192.0.2.${n}, targets: [198.51.100.${n}]}\n`).join('');
  const result = parseConfig(`switch-cost: ${switchS}s\n${more}\nuplinks:\n${uplinks}`, 'judge');
  if (!result.ok) throw new Error(formatProblems(result.problems));
  return result.config;
}

async function playOn(first: Link, second: Link, { switchS, backup }: Costs, more = '', seed = 1): Promise<Scored> {
  const prices: Prices = { switchS, perSecond: [0, backup] };
  const links = [
    { ...first, name: 'line1' },
    { ...second, name: 'line2' },
  ];
  const played = await playLinks({ name: 'judge', config: configWith(switchS, more), links, prices, seed });
  return score(played, links, prices, null);
}

const besideIdeal = (link: Link, costs: Costs, more = '', seed = 1): Promise<Scored> =>
  playOn(link, idealBeside('ideal', link), costs, more, seed);

const ratio = ({ bill, clairvoyant }: Scored): number => bill.cost / clairvoyant.cost;

/** The engine's decisions beside those of the rule alone, which notices everything at once. */
export async function engineAlone(
  links: NamedLinks,
  names: readonly string[],
  switchCostsS: readonly number[],
  backup: number,
  limits: Readonly<Record<number, readonly [number, number]>>,
): Promise<void> {
  say('\nthe real engine, probing every second, nothing set, cost / clairvoyant, median of 3 seeds; in brackets the rule alone');
  for (const switchS of switchCostsS) {
    const costs = { switchS, backup };
    const played: number[] = [];
    const cells: string[] = [];
    for (const name of names) {
      const link = links[name];
      if (link === undefined) continue;
      const each: number[] = [];
      for (const seed of SEEDS) each.push(ratio(await besideIdeal(link, costs, '', seed)));
      const own = each.sort((a, b) => a - b)[SEEDS.length >> 1] ?? Number.NaN;
      played.push(own);
      cells.push(`${times(own)} (${times(ratioOf(outagesOf(link), costs))})`);
    }
    const [meanWanted, worstWanted] = limits[switchS] ?? [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    const beyond = [mean(played) - meanWanted, Math.max(...played) - worstWanted].map((by) => Math.max(0, by));
    const judged = beyond.every((by) => by < 0.005)
      ? 'within the limits'
      : `beyond the limits by ${beyond.map(times).join(', ')}`;
    const line = [`switch cost ${switchS} s`, ...cells, times(mean(played)), times(Math.max(...played))];
    say(`${columns(line, [18, 14, 14, 14, 14, 14, 8])}  ${judged}`);
  }
}

/** Both may fail. Each alone: the same time on that uplink, whatever happens. */
export async function pairAtOnce(links: NamedLinks, switchCostsS: readonly number[], backup: number): Promise<void> {
  const [o2, telekom] = PAIR.map((name) => links[name]);
  if (o2 === undefined || telekom === undefined) return;
  const laid = sideBySide([o2, telekom]).links;
  say('\ntwo uplinks at once, the two train operators side by side: cost / clairvoyant of the pair');
  const widths = [37, 10];
  say(columns(['', 'Backroute', 'fixed', 'first', 'second', 'PolyWAN', 'pfSense', 'mwan3', 'keepalived'], widths));
  for (const [title, first, second] of [
    ['O2 preferred', laid[0], laid[1]],
    ['Telekom preferred', laid[1], laid[0]],
  ] as const) {
    if (first === undefined || second === undefined) continue;
    for (const switchS of switchCostsS) {
      const scored = await playOn(first, second, { switchS, backup });
      const { clairvoyant, bestFixed, never, ground, peers } = scored;
      const least = clairvoyant.cost;
      // Whoever has the second one alone neither switches nor pays for a backup.
      const seconds = ground.lostS(1, ground.span.fromMs, ground.span.toMs);
      const others = ['PolyWAN', 'pfSense/dpinger', 'mwan3 shipped', 'keepalived 1 s'].map(
        (peer) => peers[peer]?.bill.cost ?? Number.NaN,
      );
      const cells = [scored.bill.cost, bestFixed.bill.cost, never.cost, seconds, ...others].map((cost) => times(cost / least));
      say(columns([`${title}, switch cost ${switchS} s`, ...cells], widths));
    }
  }
}

/** Loss that hits each packet for itself: nobody should move for it, unless it is so much that another uplink is better. */
export async function falseFailovers(backup: number): Promise<void> {
  say('\nfailovers per day by random loss alone, ideal backup; in brackets seconds felt per day, and what never moving feels');
  say(columns(['', ...LOSS_SHARES.map((share) => `${100 * share} %`)], [20, 20]));
  for (const [title, more] of [
    ['nothing set', ''],
    ['fail-after 1 s', 'defaults: {fail-after: 1s}'],
    ['fail-after 0 s', 'defaults: {fail-after: 0s}'],
  ] as const) {
    const cells: string[] = [];
    for (const share of LOSS_SHARES) {
      const span = { fromMs: 0, toMs: LOSS_DAYS * DAY_MS };
      const link: Link = {
        name: 'lossy',
        originWallMs: null,
        span,
        silences: [],
        lossy: [{ ...span, share }],
        rtts: [],
        unwatchedMs: 0,
      };
      const { played, bill, never } = await besideIdeal(link, { switchS: 2.5, backup }, more);
      const away = played.moves.filter(({ from, to }) => from === 0 && to !== 0).length;
      cells.push(
        `${(away / LOSS_DAYS).toFixed(1)} (${Math.round(bill.feltS / LOSS_DAYS)} of ${Math.round(never.feltS / LOSS_DAYS)})`,
      );
    }
    say(columns([title, ...cells], [20, 20]));
  }
}
