/**
 * The same outages twice: on an emulated link under the real daemon, and by the simulation. Needs root. Says when each moved;
 * whether that agrees is for the caller to judge.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { parseConfig } from '../../src/config/parse.js';
import { formatProblem } from '../../src/config/problem.js';
import type { Lab } from '../../src/lab/lab.js';
import type { Outage } from '../../src/lab/replay.js';
import { until } from '../../src/lab/until.js';
import type { Link } from '../../src/simulate/link.js';
import { playLinks } from '../../src/simulate/play.js';
import { Chance } from '../../src/simulate/random.js';
import { RTT_MS, withLab } from '../labs.js';
import { Daemon } from '../ours.js';

const SETTLE_MS = 15_000;
/**
 * When within its interval a probe leaves is chance, in the daemon as in the simulation, and a silence is noticed earlier or later by it:
 * so many draws are played, and the nearest is compared.
 */
const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];
/** The daemon has measured its targets for a while before anything happens. */
const WARM_UP_MS = 12_000;

export interface Moved {
  /** since the beginning of the list */
  readonly atMs: number;
  readonly to: string;
}

export interface Compared {
  readonly outages: readonly Outage[];
  readonly daemon: readonly Moved[];
  /** of the draws, the one nearest to the daemon */
  readonly simulated: readonly Moved[];
  /** of moves that both made, what the one was later than the other, ms; null where they made different ones */
  readonly apartMs: readonly number[] | null;
}

/** Blips, silences of seconds and of a minute, in swarms and between them: what radio links do. Same seed, same list. */
export function madeUpOutages(durationMs: number, seed: number): readonly Outage[] {
  const chance = new Chance(seed);
  const between = (low: number, high: number): number => low * (high / low) ** chance.next();
  const outages: Outage[] = [];
  let atMs = 20_000;
  for (;;) {
    const kind = chance.next();
    const lengthMs = Math.round(kind < 0.5 ? between(400, 900) : kind < 0.75 ? between(2_500, 6_000) : between(12_000, 45_000));
    if (atMs + lengthMs > durationMs) return outages;
    outages.push({ startMs: atMs, endMs: atMs + lengthMs });
    atMs += lengthMs + Math.round(chance.next() < 0.3 ? between(3_000, 12_000) : between(20_000, 90_000));
  }
}

export interface CompareOptions {
  /** of what is learned: with less, more moves fit into the time */
  readonly longestHoldMs: number;
}

function configFor(lab: Lab, { longestHoldMs }: CompareOptions): string {
  const uplinks = lab.uplinks.map((uplink) => `  ${uplink.name}: {gateway: ${uplink.gateway4}, targets: [${uplink.upstream4}]}`);
  return `uplinks:\n${uplinks.join('\n')}\ndefaults:\n  recover-after: {max: ${longestHoldMs}ms}\n`;
}

/** Takes as long as the list, and a quarter of a minute more. */
export async function compareInLab(
  outages: readonly Outage[],
  options: CompareOptions,
  say: (line: string) => void,
): Promise<Compared> {
  const endMs = (outages.at(-1)?.endMs ?? 0) + 5_000;
  return withLab('two-nic', async (lab) => {
    const names = lab.uplinks.map(({ name }) => name);
    const [fast = ''] = names;
    const text = configFor(lab, options);
    const daemon = await Daemon.start(lab, text);
    let moves: readonly Moved[];
    try {
      if (!(await until(() => daemon.settled(), SETTLE_MS, 50))) throw new Error('the daemon did not settle on the first uplink');
      await pause(WARM_UP_MS);
      const begun = await lab.replay(fast, { kind: 'outages', outages });
      const startWallMs = begun.date.getTime();
      say(`${outages.length} outages in ${Math.round(endMs / 1000)} s on the emulated link of ${fast}`);
      await pause(endMs);
      const events = await daemon.events(startWallMs);
      moves = events.flatMap(({ kind, from, to, wallMs }) =>
        kind === 'switch' && from !== null && to !== null && wallMs >= startWallMs ? [{ atMs: wallMs - startWallMs, to }] : [],
      );
    } finally {
      await daemon.stop();
    }
    const plays: Compared[] = [];
    for (const seed of SEEDS) {
      // The simulation goes on until it is back; what the daemon would have done then nobody waited for.
      const simulated = (await simulate(text, names, outages, endMs, seed)).filter(({ atMs }) => atMs <= endMs);
      const alike = moves.length === simulated.length && moves.every(({ to }, i) => to === simulated[i]?.to);
      const apartMs = alike ? moves.map(({ atMs }, i) => atMs - (simulated[i]?.atMs ?? 0)) : null;
      plays.push({ outages, daemon: moves, simulated, apartMs });
    }
    return plays.reduce((best, play) => (farthest(play) < farthest(best) ? play : best));
  });
}

function farthest({ apartMs }: Compared): number {
  return apartMs === null ? Number.POSITIVE_INFINITY : Math.max(0, ...apartMs.map(Math.abs));
}

/** @param endMs of what is played: then everything stays good */
export async function simulate(
  text: string,
  names: readonly string[],
  outages: readonly Outage[],
  endMs: number,
  seed: number,
): Promise<Moved[]> {
  const parsed = parseConfig(text, 'lab');
  if (!parsed.ok) throw new Error(parsed.problems.map(formatProblem).join('\n'));
  const { config } = parsed;
  const link: Link = {
    name: names[0] ?? '',
    originWallMs: null,
    span: { fromMs: 0, toMs: endMs },
    silences: outages.map(({ startMs, endMs: toMs }) => ({ fromMs: startMs, toMs, cause: 'upstream' })),
    lossy: [],
    rtts: [{ fromMs: 0, rttMs: RTT_MS }],
    unwatchedMs: 0,
  };
  const prices = { switchS: config.switchCostMs / 1000, perSecond: config.uplinks.map((u, i) => (i === 0 ? 0 : u.backupCost)) };
  const played = await playLinks({ name: 'lab', config, links: [link], prices, seed });
  return played.moves.map(({ atMs, to }) => ({ atMs, to: names[to] ?? '' }));
}

/** For people, a line a move. */
export function comparedText({ daemon, simulated }: Compared): string {
  const time = (move: Moved | undefined): string =>
    move === undefined ? '-'.padStart(22) : `${(move.atMs / 1000).toFixed(2).padStart(9)} s ${move.to.padEnd(10)}`;
  const rows = Array.from({ length: Math.max(daemon.length, simulated.length) }, (_, i) => {
    const [one, other] = [daemon[i], simulated[i]];
    const apart = one !== undefined && other !== undefined ? `${(one.atMs - other.atMs).toFixed(0).padStart(6)} ms` : '';
    return `${time(one)} ${time(other)} ${apart}`;
  });
  return ['the daemon'.padStart(22) + 'the simulation'.padStart(23), ...rows].join('\n');
}
