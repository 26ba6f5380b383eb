/** `backroute simulate`: reads recordings, plays them to the engine for each configuration, and tells what that would have cost. */
import { HistoryError } from '../../history/reader.js';
import { playLinks } from '../../simulate/play.js';
import { SourceError } from '../../simulate/read/problem.js';
import { type Scored, score } from '../../simulate/score/scored.js';
import { linkFacts, report, type Simulation } from '../../simulate/show/report.js';
import { plot } from '../../simulate/show/svg.js';
import { text } from '../../simulate/show/text.js';
import { ExitError } from '../exit-error.js';
import type { Io } from '../io.js';
import { type Align, type Colour, table } from '../paint.js';
import type { Places } from '../places.js';
import { requireWritable, writeDrawing } from './simulate-drawing.js';
import type { SimulateOptions, SimulateRun } from './simulate-order.js';
import { type Play, type Plays, plays } from './simulate-plays.js';
import { Progress } from './simulate-progress.js';

const INTERRUPTED = 130;

/** @returns 0, or 130 when interrupted: then the part done was told */
export async function simulate(places: Places, options: SimulateOptions, io: Io, run: SimulateRun): Promise<number> {
  const progress = new Progress(run.progress);
  try {
    if (options.plot !== null) await requireWritable(options.plot);
    const wanted = await plays(places, options, { signal: run.signal, progress: (share) => progress.tell('reading', share) });
    const simulation = await playAll(wanted, options.seed, run.signal, progress);
    progress.end();
    // The file first: what is printed is not followed by an error.
    if (options.plot !== null) await writeDrawing(options.plot, plot(simulation), io);
    if (options.json) io.out(`${JSON.stringify(report(simulation), null, 2)}\n`);
    else print(simulation, io);
    return run.signal.aborted ? INTERRUPTED : 0;
  } catch (error) {
    progress.end();
    if (run.signal.aborted && error instanceof Error && error.name === 'AbortError') {
      io.err('interrupted before anything was played\n');
      return INTERRUPTED;
    }
    if (error instanceof SourceError) throw new ExitError(1, error.message, error.remedy);
    if (error instanceof HistoryError) throw new ExitError(1, error.message);
    throw error;
  }
}

async function playAll(wanted: Plays, seed: number, signal: AbortSignal, progress: Progress): Promise<Simulation> {
  const scored: Scored[] = [];
  const done: Play[] = [];
  const notes = [...wanted.notes];
  for (const [place, play] of wanted.plays.entries()) {
    if (signal.aborted && place > 0) break;
    const { name, config, known, prices } = play;
    const tell = (share: number): void => progress.tell(`playing ${name}`, (place + share) / wanted.plays.length);
    const played = await playLinks({ name, config, links: known, prices, seed }, { signal, progress: tell });
    scored.push(score(played, play.links, prices, play.recorded));
    done.push(play);
    if (played.shares.length > 0) {
      notes.push(
        `${name}: uplinks of one tier shared the traffic: time and loss count by their shares; all that it is compared with has one uplink at a time`,
      );
    }
  }
  const [first] = done;
  return {
    seed,
    plays: scored,
    uplinks: done.map(({ config }) => config.uplinks.map(({ name }) => name)),
    links: first === undefined ? [] : first.links.map((link, i) => linkFacts(link.name, first.sources[i] ?? null, link)),
    originWallMs: first?.links[0]?.originWallMs ?? null,
    notes,
  };
}

const ALIGN: readonly Align[] = ['left', 'right', 'right', 'right', 'right', 'right'];
const TONES: Readonly<Record<string, Colour>> = { head: 'dim', own: 'bold', peer: 'dim' };

function print(simulation: Simulation, { out, paint }: Io): void {
  const { links, sentences, table: rows, notes } = text(simulation);
  const lines = table(
    rows.map(({ cells, tone }) => cells.map((cell) => (TONES[tone] === undefined ? cell : paint(TONES[tone], cell)))),
    ALIGN,
  );
  out(`${links.join('\n')}\n`);
  if (sentences.length > 0) out(`\n${paint('bold', sentences.join('\n'))}\n`);
  out(`\n${lines.join('\n')}\n`);
  if (notes.length > 0) out(`\n${notes.map((note) => paint('dim', `note: ${note}`)).join('\n')}\n`);
}
