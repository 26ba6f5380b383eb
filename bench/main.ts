/**
 * `npm run bench`: measures what is promised of Backroute's speed and cost, in labs on this machine, and prints it as a table
 * beside what was promised, the least that is possible, and other programs that are installed. docs/benchmark.md explains it.
 */
import { writeSync } from 'node:fs';
import { arch, cpus, loadavg, release } from 'node:os';
import { parseArgs } from 'node:util';
import { Interrupted, listenForInterruption } from '../src/lab/demo-interruption.js';
import type { Contender } from './contender.js';
import { atHundredMs, atOneSecond, carrierLoss, type Effort } from './failover.js';
import { openConnections } from './flows.js';
import { destroyCurrentLab } from './labs.js';
import { peers } from './peers/index.js';
import { failedRow, type Row, type RowId, verdictOf } from './row.js';
import { manyTargets, ordinaryLoad, startUp } from './running.js';
import { notesText, settingsText, tableText } from './table.js';

const ROWS: readonly RowId[] = [
  'silent-1s',
  'silent-100ms',
  'carrier',
  'router-1s',
  'failback',
  'start',
  'load',
  'load-512',
  'flows',
];

const HELP = `npm run bench -- [options]
   --quick        fewer runs, shorter: to see that it works, not to believe the figures
   --only ROW     this row alone; may be given more than once (${ROWS.join(', ')})
   --runs N       runs of each row (20)
   --no-beside    leave other programs out
   --json         everything measured as one JSON object on standard output; the table goes to standard error
   --strict       exit code 1 when a row misses its limit or could not be measured
`;

interface Options {
  readonly wanted: ReadonlySet<string>;
  readonly quick: boolean;
  readonly runs: number;
  readonly beside: boolean;
  readonly json: boolean;
  readonly strict: boolean;
}

class UsageError extends Error {}

async function main(options: Options): Promise<number> {
  const say = (text: string): void => void writeSync(options.json ? 2 : 1, text);
  const able = options.beside ? peers.filter((peer) => peer.unable(1000) === null) : [];
  say(heading(options, able));
  const effort: Effort = {
    runs: options.runs,
    besideRuns: options.quick ? 1 : 4,
    besides: able,
    progress: progressLine(),
  };
  const seconds = options.quick ? 10 : 60;
  const { wanted } = options;
  const started = performance.now();
  const rows: Row[] = [
    ...(await attempt('silent-1s', 'failover at 1 s', () => atOneSecond(wanted, effort))),
    ...(await attempt('silent-100ms', 'failover at 100 ms', () => atHundredMs(wanted, effort))),
    ...(await attempt('carrier', 'carrier loss', () => carrierLoss(wanted, effort))),
    ...(await attempt('start', 'start', () => startUp(wanted, effort))),
    ...(await attempt('load', 'ordinary load', () => ordinaryLoad(wanted, effort, seconds))),
    ...(await attempt('load-512', '512 targets', () => manyTargets(wanted, effort, seconds))),
    ...(await attempt('flows', 'open connections', () => openConnections(wanted, effort))),
  ];
  effort.progress('', '');
  const verdicts = rows.map(verdictOf);
  const missed = verdicts.filter((verdict) => verdict === 'MISSED').length;
  const unmeasured = verdicts.filter((verdict) => verdict === 'not measured').length;
  say(`\n${tableText(rows)}\nNotes\n${notesText(rows)}`);
  if (options.beside) say(besideText(rows));
  const minutes = ((performance.now() - started) / 60_000).toFixed(1);
  const quick = options.quick ? ' A quick run: too few to believe.' : '';
  say(`\n${rows.length} rows in ${minutes} min; ${missed} missed, ${unmeasured} not measured.${quick}\n`);
  if (options.json) {
    const machine = { kernel: release(), arch: arch(), cpus: cpus().length, node: process.version, loadavg: loadavg() };
    writeSync(
      1,
      `${JSON.stringify({ version: 1, date: new Date().toISOString(), quick: options.quick, machine, rows }, null, 2)}\n`,
    );
  }
  if (unmeasured > 0) return 1;
  return options.strict && missed > 0 ? 1 : 0;
}

async function attempt(id: string, what: string, work: () => Promise<Row[]>): Promise<Row[]> {
  try {
    return await work();
  } catch (error) {
    return [failedRow(id, what, error)];
  }
}

function heading({ quick, runs }: Options, able: readonly Contender[]): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown CPU';
  const load = loadavg()[0]?.toFixed(2);
  return [
    `Backroute benchmark${quick ? ' (quick)' : ''}: networks of namespaces, answers take 20 ms on every uplink.\n`,
    `   ${cpus().length} x ${model}, Linux ${release()}, Node ${process.version}, load average ${load}\n`,
    `   ${runs} runs a row, failures spread evenly over the probe interval\n`,
    able.length === 0 ? '' : `   beside it: ${able.map((peer) => peer.name).join(', ')}\n`,
  ].join('');
}

function besideText(rows: readonly Row[]): string {
  const missing = peers.flatMap((peer) => {
    const why = peer.unable(1000);
    return why === null ? [] : [`   ${peer.name} takes no part: ${why}\n`];
  });
  const settings = settingsText(rows);
  return `${settings === '' ? '' : `Beside it\n${settings}`}${missing.join('')}`;
}

/** One line that is overwritten on a terminal; a line for each stage elsewhere. */
function progressLine(): (stage: string, step: string) => void {
  let told = '';
  return (stage, step) => {
    if (process.stderr.isTTY) writeSync(2, `\r\u001b[K${stage} ${step}`);
    else if (stage !== told && stage !== '') writeSync(2, `${stage} …\n`);
    told = stage;
  };
}

function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      runs: { type: 'string' },
      'no-beside': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      strict: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) throw new UsageError('');
  const only = values.only.flatMap((word) => word.split(','));
  const unknown = only.find((word) => !ROWS.some((id) => id === word));
  if (unknown !== undefined) throw new UsageError(`--only: there is no row "${unknown}"`);
  const runs = Number(values.runs ?? (values.quick ? 4 : 20));
  if (!Number.isInteger(runs) || runs < 1) throw new UsageError(`--runs: "${values.runs}" is no number of runs`);
  const { quick, json, strict } = values;
  return { wanted: new Set(only.length === 0 ? ROWS : only), quick, runs, beside: !values['no-beside'], json, strict };
}

/** Ends the process; what a lab has made is gone before. */
async function begin(): Promise<void> {
  let options: Options;
  try {
    options = parseOptions(process.argv.slice(2));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`${message}${message === '' ? '' : '\n'}${HELP}`);
    process.exit(message === '' ? 0 : 2);
  }
  const { signal } = listenForInterruption();
  const interrupted = new Promise<number>((resolve) => {
    signal.addEventListener('abort', () => resolve(signal.reason instanceof Interrupted ? signal.reason.exitCode : 1));
  });
  const work = main(options);
  work.catch(() => undefined);
  const code = await Promise.race([work, interrupted]);
  if (signal.aborted) await destroyCurrentLab();
  process.exit(code);
}

await begin();
