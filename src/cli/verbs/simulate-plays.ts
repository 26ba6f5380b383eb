/** What `backroute simulate` plays: which link stands for which uplink of which configuration, and what hurts how much there. */
import { basename, extname, join } from 'node:path';
import { loadConfig } from '../../config/load.js';
import { parseConfig } from '../../config/parse.js';
import { formatProblems } from '../../config/problem.js';
import type { Config } from '../../core/config.js';
import { openHistory } from '../../history/reader.js';
import { HISTORY_FILE } from '../../history/schema.js';
import type { Link } from '../../simulate/link.js';
import type { Prices } from '../../simulate/played.js';
import { fromHistory, type Recorded } from '../../simulate/read/history.js';
import { type ReadRun, readRecording } from '../../simulate/read/read.js';
import { idealBeside, sideBySide } from '../../simulate/read/side-by-side.js';
import type { Step } from '../../simulate/score/course.js';
import { ExitError } from '../exit-error.js';
import { momentOf } from '../history/time.js';
import type { Places } from '../places.js';
import type { SimulateOptions, SourceOption } from './simulate-order.js';

export interface Play {
  /** of the configuration, for people */
  readonly name: string;
  readonly config: Config;
  /** of each uplink, named like it; those that nothing is known of never fail */
  readonly links: readonly Link[];
  /** those of which something is known */
  readonly known: readonly Link[];
  /** where each uplink's link comes from; null = nothing is known of it */
  readonly sources: readonly (string | null)[];
  readonly prices: Prices;
  /** what was in use then, by places; null = not recorded */
  readonly recorded: readonly Step[] | null;
}

export interface Plays {
  readonly plays: readonly Play[];
  readonly notes: readonly string[];
}

interface Named {
  readonly name: string;
  readonly config: Config;
}

const RECORDED = 'recorded';
const NOTHING_SET = 'Backroute, nothing set';

/** @throws ExitError, SourceError, HistoryError */
export async function plays(places: Places, options: SimulateOptions, run: ReadRun): Promise<Plays> {
  const { history, sources } = options;
  if (history === null) return playsOfFiles(options, sources, run);
  const since = history.since === null ? null : momentOf('--since', history.since, Date.now());
  const configs = await Promise.all((options.configs.length > 0 ? options.configs : [places.configPath]).map(load));
  return playsOfHistory(join(places.stateDir, HISTORY_FILE), configs, since, options, run);
}

async function playsOfFiles(options: SimulateOptions, sources: readonly SourceOption[], run: ReadRun): Promise<Plays> {
  // Configurations first: they are read in no time, and what is wrong with them is told before a long read.
  const given = await Promise.all(options.configs.map(load));
  const configs = given.length > 0 ? given : [{ name: NOTHING_SET, config: configOf(namesOf(sources)) }];
  const assigned = configs.map((one) => placesOf(one, sources));
  const notes: string[] = [];
  const links: Link[] = [];
  for (const [i, { file }] of sources.entries()) {
    const progress = (share: number): void => run.progress?.((i + share) / sources.length);
    const name = file === '-' ? 'standard input' : file;
    const read = await readRecording({ name, path: file === '-' ? null : file }, { ...run, progress });
    links.push(read.link);
    notes.push(...read.notes);
  }
  const laid = sideBySide(links);
  notes.push(...laid.notes);
  const made = configs.map((one, i) => playOf(one, laid.links, assigned[i] ?? [], options));
  return { plays: made, notes };
}

async function playsOfHistory(
  path: string,
  configs: readonly Named[],
  since: number | null,
  options: SimulateOptions,
  run: ReadRun,
): Promise<Plays> {
  const history = openHistory(path);
  try {
    // Configurations that are compared mostly have the same uplinks: what is read once serves them all.
    const byNames = new Map<string, Recorded>();
    const notes = new Set<string>();
    const made: Play[] = [];
    for (const one of configs) {
      const names = one.config.uplinks.map(({ name }) => name);
      const recorded = byNames.get(names.join()) ?? (await fromHistory(history, names, since, run));
      byNames.set(names.join(), recorded);
      for (const note of recorded.notes) notes.add(note);
      const links = recorded.links.map((link) => ({ ...link, name: RECORDED }));
      made.push(playOf(one, links, recorded.places, options, recorded.course));
    }
    return { plays: made, notes: [...notes] };
  } finally {
    history.close();
  }
}

async function load(path: string): Promise<Named> {
  const result = await loadConfig(path);
  if (!result.ok) throw new ExitError(2, formatProblems(result.problems));
  return { name: path, config: result.config };
}

/** @param places of `recorded`, in the configuration's order */
function playOf(
  { name, config }: Named,
  recorded: readonly Link[],
  places: readonly number[],
  options: SimulateOptions,
  recordedCourse: readonly Step[] | null = null,
): Play {
  const [first] = recorded;
  if (first === undefined) throw new ExitError(1, 'nothing to play');
  const priced: Config = {
    ...config,
    switchCostMs: options.switchCostMs ?? config.switchCostMs,
    uplinks: config.uplinks.map((uplink) => ({ ...uplink, backupCost: options.backupCost ?? uplink.backupCost })),
  };
  const of = (place: number): Link | undefined => recorded[places.indexOf(place)];
  const links = priced.uplinks.map((uplink, place) => {
    const link = of(place);
    return link === undefined ? idealBeside(uplink.name, first) : { ...link, name: uplink.name };
  });
  return {
    name,
    config: priced,
    links,
    known: links.filter((_, place) => of(place) !== undefined),
    sources: links.map((_, place) => of(place)?.name ?? null),
    prices: {
      switchS: priced.switchCostMs / 1000,
      perSecond: priced.uplinks.map(({ backupCost }, place) => (place === 0 ? 0 : backupCost)),
    },
    recorded: recordedCourse,
  };
}

/** Which uplink each file stands for: by its name, the others in order. */
function placesOf({ name, config }: Named, sources: readonly SourceOption[]): number[] {
  const uplinks = config.uplinks.map((uplink) => uplink.name);
  const named = sources.map(({ uplink }) => (uplink === null ? null : uplinks.indexOf(uplink)));
  const unknown = sources.find((_, i) => named[i] === -1);
  if (unknown !== undefined)
    throw new ExitError(1, `${name}: no uplink is called ${unknown.uplink}`, `There are ${uplinks.join(', ')}.`);
  const free = uplinks.map((_, place) => place).filter((place) => !named.includes(place));
  const all = named.map((place) => place ?? free.shift() ?? -1);
  if (all.includes(-1))
    throw new ExitError(1, `${name}: ${uplinks.length} uplink(s), but ${sources.length} recordings were given`);
  const twice = all.find((place, i) => all.indexOf(place) !== i);
  if (twice !== undefined) throw new ExitError(1, `two recordings for the uplink ${uplinks[twice]}`);
  return all;
}

/** Names of uplinks for files without a configuration. One alone has a backup beside it. */
function namesOf(sources: readonly SourceOption[]): string[] {
  if (sources.length === 1) {
    const name = sources[0]?.uplink ?? 'primary';
    return [name, name === 'backup' ? 'other' : 'backup'];
  }
  const names: string[] = [];
  for (const { file, uplink } of sources) {
    const plain = basename(file, extname(file))
      .toLowerCase()
      .replace(/[^a-z0-9_-]+/g, '-');
    const wanted = uplink ?? (/^[a-z]/.test(plain) ? plain.slice(0, 24) : `uplink${names.length + 1}`);
    names.push(names.includes(wanted) && uplink === null ? `${wanted}-${names.length + 1}` : wanted);
  }
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new ExitError(1, `two recordings for the uplink ${twice}`);
  return names;
}

/** Nothing set but that there are these uplinks; the addresses are those of documentation and never used. */
function configOf(names: readonly string[]): Config {
  const uplinks = names.map((name, i) => `  ${name}: {gateway: 192.0.2.${i + 1}, targets: [198.51.100.${i + 1}]}\n`);
  const result = parseConfig(`uplinks:\n${uplinks.join('')}`, 'the names given');
  if (!result.ok) throw new ExitError(1, formatProblems(result.problems));
  return result.config;
}
