/** What came of a simulation as one JSON object: docs/simulate.md lists its fields, which stay as they are. Pure. */
import type { Link, Span } from '../link.js';
import type { Bill } from '../played.js';
import type { FixedPlay } from '../score/rules.js';
import { ratioOf, type Scored } from '../score/scored.js';
import { FOREVER_S } from '../score/single.js';

/** Of one link, for people and programs. */
export interface LinkFacts {
  readonly name: string;
  /** where it comes from; null = nothing is known of this uplink, it never fails */
  readonly source: string | null;
  readonly outages: number;
  /** seconds */
  readonly silent: number;
  readonly lossy: number;
  readonly unwatched: number;
}

export interface Simulation {
  readonly seed: number;
  /** at least one */
  readonly plays: readonly Scored[];
  /** of each uplink of the first play, in the order of preference */
  readonly links: readonly LinkFacts[];
  /** Unix ms of 0 on the axis */
  readonly originWallMs: number | null;
  readonly uplinks: readonly (readonly string[])[];
  /** what was assumed and left out */
  readonly notes: readonly string[];
}

export function linkFacts(uplink: string, source: string | null, { silences, lossy, unwatchedMs }: Link): LinkFacts {
  const seconds = (spans: readonly Span[]): number =>
    rounded(spans.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0) / 1000);
  return {
    name: uplink,
    source,
    outages: silences.filter(({ fromMs, toMs }) => toMs > fromMs).length,
    silent: seconds(silences),
    lossy: seconds(lossy),
    unwatched: rounded(unwatchedMs / 1000),
  };
}

/** The first play's figures at the top; all of them in `plays` where there are several. */
export function report(simulation: Simulation): Record<string, unknown> {
  const plays = simulation.plays.map((_, place) => playReport(simulation, place));
  return plays.length === 1 ? { ...plays[0] } : { ...plays[0], plays };
}

function playReport(simulation: Simulation, place: number): Record<string, unknown> {
  const scored = simulation.plays[place];
  if (scored === undefined) return {};
  const { played, bill, clairvoyant, bestFixed, never, peers, recorded, ground } = scored;
  const least = clairvoyant.cost;
  const names = simulation.uplinks[place] ?? [];
  const wall = (atMs: number): string | null =>
    simulation.originWallMs === null ? null : new Date(simulation.originWallMs + atMs).toISOString();
  return {
    name: played.name,
    seed: simulation.seed,
    complete: played.complete,
    ...billed(bill, least),
    clairvoyant: rounded(least),
    bestFixed: fixed(bestFixed, least),
    never: billed(never, least),
    recorded: recorded === null ? null : billed(recorded.bill, least),
    peers: Object.fromEntries(Object.entries(peers).map(([name, peer]) => [name, fixed(peer, least)])),
    prices: { switch: ground.prices.switchS, perSecond: ground.prices.perSecond },
    span: {
      from: wall(played.span.fromMs),
      to: wall(played.span.toMs),
      seconds: rounded((played.span.toMs - played.span.fromMs) / 1000),
    },
    probes: played.probes,
    links: simulation.links.map((link, i) => ({ ...link, name: names[i] ?? link.name })),
    moves: played.moves.map(({ atMs, from, to, reason, ground: why }) => ({
      at: rounded((atMs - played.span.fromMs) / 1000),
      time: wall(atMs),
      from: names[from] ?? from,
      to: names[to] ?? to,
      reason,
      ground: why,
    })),
    notes: simulation.notes,
  };
}

function billed({ feltS, switches, onBackupS, cost }: Bill, least: number): Record<string, number | null> {
  return {
    cost: rounded(cost),
    ratio: roundedOrNull(ratioOf(cost, least)),
    felt: rounded(feltS),
    switches,
    onBackup: rounded(onBackupS),
  };
}

function fixed({ patienceS, holdS, bill }: FixedPlay, least: number): Record<string, number | null> {
  return { patience: patienceS >= FOREVER_S ? null : patienceS, hold: holdS, ...billed(bill, least) };
}

const rounded = (value: number): number => Math.round(value * 1000) / 1000;
const roundedOrNull = (value: number | null): number | null => (value === null ? null : Math.round(value * 10_000) / 10_000);
