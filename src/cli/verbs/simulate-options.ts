/** The options of `backroute simulate` as commander sees them, and what each may hold. Loads nothing of what they ask for. */
import type { Command } from 'commander';
import { decimal, duration, integer, type Reader } from '../../config/units.js';
import { ExitError } from '../exit-error.js';
import type { Io } from '../io.js';
import type { PlaceOptions, Places } from '../places.js';
import type { SimulateOptions, SourceOption } from './simulate-order.js';

interface Given extends Omit<PlaceOptions, 'config'> {
  readonly config?: readonly string[];
  readonly trace?: readonly string[];
  readonly outages?: readonly string[];
  readonly history?: boolean;
  readonly since?: string;
  readonly switchCost?: number;
  readonly backupCost?: number;
  readonly seed: number;
  readonly json?: boolean;
  readonly plot?: string;
}

const MOST_SEED = 2 ** 32 - 1;
/** What a shell expects of a program ended by Ctrl-C: 128 + SIGINT. */
const INTERRUPTED = 130;
const NAMED = /^([a-z][a-z0-9_-]*)=(.+)$/i;

export function addSimulate(
  program: Command,
  io: Io,
  places: (options: PlaceOptions) => Places,
  done: (exitCode: number) => void,
): void {
  const sources: SourceOption[] = [];
  const collect = (value: string, former: readonly string[] = []): string[] => {
    const named = NAMED.exec(value);
    sources.push({ file: named?.[2] ?? value, uplink: named?.[1] ?? null });
    return [...former, value];
  };
  program
    .command('simulate')
    .description('play a recording to the engine and tell what it would have done, and what that costs')
    .option('--outages <[name=]file>', 'a list of outages; - for standard input; several files are several uplinks', collect)
    .option('--trace <[name=]file>', 'a trace of probes, or the output of ping -D; may be mixed with --outages', collect)
    .option('--history', "the daemon's own recording")
    .option('--since <when>', 'with --history: the last 30d, 12h, or from a date on, as 2026-03-01')
    .option(
      '--config <file>',
      'a configuration; several are compared (default: nothing set)',
      (file, former: readonly string[] = []) => [...former, file],
    )
    .option(
      '--switch-cost <duration>',
      'one switch hurts like so much outage (default: as configured)',
      read('--switch-cost', SWITCH_COST),
    )
    .option(
      '--backup-cost <number>',
      'a second on the backup hurts like so many seconds of outage (default: as configured)',
      read('--backup-cost', BACKUP_COST),
    )
    .option('--seed <number>', 'for the chance in it; the same gives the same', read('--seed', SEED), 1)
    .option('--json', 'for programs')
    .option('--plot <file.svg>', 'draw the time line')
    .option('--state-dir <dir>', 'where the history is (default: /var/lib/backroute)')
    .action(async (given: Given) => {
      const { config, ...rest } = given;
      const outer = program.opts<PlaceOptions>().config;
      const options = checked(given, sources, config ?? (outer === undefined ? [] : [outer]));
      const { simulate } = await import('./simulate.js');
      const stop = new AbortController();
      const interrupt = (): void => {
        // The second one is meant: at once.
        if (stop.signal.aborted) process.exit(INTERRUPTED);
        stop.abort();
      };
      process.on('SIGINT', interrupt);
      try {
        done(await simulate(places(rest), options, io, { signal: stop.signal, progress: process.stderr.isTTY ? io.err : null }));
      } finally {
        process.off('SIGINT', interrupt);
      }
    });
}

const SWITCH_COST = duration({ min: 100, max: 600_000, why: 'As in the configuration.' });
const BACKUP_COST = decimal({ min: 0, max: 0.99, why: 'With 1 a second on it would be as bad as a second of outage.' });
const SEED = integer({ min: 0, max: MOST_SEED, why: 'It has 32 bits.' });

function read<T>(option: string, reader: Reader<T>): (text: string) => T {
  return (text) => {
    const result = reader(text);
    if (!result.ok) throw new ExitError(1, `${option}: '${text}': ${result.message}`, result.hint ?? result.allowed);
    return result.value;
  };
}

function checked(given: Given, sources: readonly SourceOption[], configs: readonly string[]): SimulateOptions {
  const history = given.history === true;
  if (!history && sources.length === 0) {
    throw new ExitError(1, 'nothing to play', 'Give --outages FILE, --trace FILE or --history.');
  }
  if (history && sources.length > 0) throw new ExitError(1, '--history and files cannot be played together');
  if (!history && given.since !== undefined) throw new ExitError(1, '--since goes with --history');
  if (sources.filter(({ file }) => file === '-').length > 1) throw new ExitError(1, 'standard input can be read once');
  return {
    sources,
    history: history ? { since: given.since ?? null } : null,
    configs,
    switchCostMs: given.switchCost ?? null,
    backupCost: given.backupCost ?? null,
    seed: given.seed,
    json: given.json === true,
    plot: given.plot ?? null,
  };
}
