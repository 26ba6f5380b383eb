/**
 * The command line as commander sees it. Each verb loads what it needs when it is asked for: a `status` must not wait for
 * netlink, nor `run` for tables. Knows no verb's inside.
 */
import { Argument, Command, Option } from 'commander';
import { PROGRAM_VERSION } from '../api/version.js';
import { duration } from '../config/units.js';
import { ExitError } from './exit-error.js';
import type { Io } from './io.js';
import { type PlaceOptions, type Places, placesOf } from './places.js';
import type { HistoryOptions, Subject } from './verbs/history.js';
import { addLab } from './verbs/lab.js';
import type { Verb } from './verbs/orders.js';
import { addSimulate } from './verbs/simulate-options.js';

/** The daemon's own bounds are narrower; these keep the number a number. */
const DAY_MS = 86_400_000;

const EXIT_CODES = `
Exit codes: 0 done, 1 other failure, 2 the config has problems, 3 the kernel or a permission says no, 4 no daemon runs.
Places may also be named by BACKROUTE_CONFIG, BACKROUTE_STATE_DIR and BACKROUTE_RUN_DIR.`;

/** @param done told the exit code of verbs that have one of their own */
export function createProgram(io: Io, environment: NodeJS.ProcessEnv, done: (exitCode: number) => void): Command {
  const program = new Command('backroute')
    .exitOverride()
    .enablePositionalOptions()
    .description('moves the default route to the best working uplink, and back')
    .version(PROGRAM_VERSION)
    .addHelpText('after', EXIT_CODES)
    .configureOutput({ writeOut: io.out, writeErr: io.err })
    .showHelpAfterError('(see backroute --help)');

  // Before the verb and after it: both places are natural.
  const withPlaces = (command: Command): Command =>
    command
      .option('--config <file>', 'the configuration (default: /etc/backroute/backroute.yaml)')
      .option('--state-dir <dir>', 'what outlives the process (default: /var/lib/backroute)')
      .option('--run-dir <dir>', 'the control socket (default: /run/backroute)');
  withPlaces(program);
  const verb = (name: string, description: string): Command => withPlaces(program.command(name).description(description));
  const places = (options: PlaceOptions): Places => placesOf({ ...program.opts<PlaceOptions>(), ...options }, environment);

  verb('run', 'watch the uplinks and move the default route, in the foreground')
    .option('--dry-run', 'print each change and make none')
    .action(async (options: PlaceOptions & { dryRun?: boolean }) => {
      const { run } = await import('./verbs/run.js');
      done(await run(places(options), options));
    });
  verb('once', 'one verdict on every uplink, switch if needed, and end: for cron').action(async (options: PlaceOptions) => {
    const { once } = await import('./verbs/run.js');
    done(await once(places(options), io));
  });
  verb('check', 'validate the config and tell what would be detected how fast')
    .option('--json', 'for programs')
    .action(async (options: PlaceOptions & { json?: boolean }) => {
      const { check } = await import('./verbs/check.js');
      await check(places(options), options, io);
    });
  verb('import', 'read an old switching script and print the config it amounts to; nothing of it is run')
    .argument('<file...>', 'the script; also its line of cron and its route.conf')
    .option('--write', 'write it to --config, if there is none yet')
    .action(async (files: string[], options: PlaceOptions & { write?: boolean }) => {
      const { importScript } = await import('./verbs/import.js');
      await importScript(places(options), files, options, io);
    });
  verb('status', 'what is active, why and since when')
    .option('--json', 'for programs')
    .option('--watch', 'again every second')
    .action(async (options: PlaceOptions & { json?: boolean; watch?: boolean }) => {
      const { status } = await import('./verbs/status.js');
      await status(places(options), options, io);
    });
  verb('events', 'what happened')
    .option('--follow', 'and what happens from now on')
    .option('--json', 'one object a line')
    .option('--limit <number>', 'the latest this many', wholeNumber, 20)
    .action(async (options: PlaceOptions & { follow?: boolean; json?: boolean; limit: number }) => {
      const { events } = await import('./verbs/events.js');
      await events(places(options), options, io);
    });
  verb('history', 'outages and availability by month, to send to the provider; or switches, or figures of minutes')
    .addArgument(new Argument('[what]', 'one of them alone').choices(['availability', 'outages', 'switches', 'minutes']))
    .option('--since <time>', 'as 30d or 2026-03-01 (default: 90d; of minutes 1d)')
    .option('--until <time>', 'a day alone is meant as a whole (default: now)')
    .option('--uplink <name>', 'one uplink alone')
    .option('--all', 'list silences that ended before anything was done, too')
    .option('--json', 'for programs')
    .option('--csv', 'for spreadsheets; outages where nothing else is asked for')
    .action(async (what: Subject | undefined, options: PlaceOptions & HistoryOptions) => {
      const { history } = await import('./verbs/history.js');
      history(places(options), what ?? null, options, io);
    });
  verb('outbox', 'messages that wait to be delivered, and those that were refused')
    .option('--json', 'for programs')
    .action(async (options: PlaceOptions & { json?: boolean }) => {
      const { outbox } = await import('./verbs/outbox.js');
      await outbox(places(options), options, io);
    });
  const notify = program.command('notify').description('what concerns telling people');
  withPlaces(notify.command('test').description('send a test message for real and tell what the server says'))
    .argument('[name]', 'one channel alone')
    .action(async (name: string | undefined, options: PlaceOptions) => {
      const { testNotify } = await import('./verbs/notify.js');
      done(await testNotify(places(options), name ?? null, io));
    });
  for (const [name, description] of [
    ['force', 'use this uplink whatever its health, until `auto`'],
    ['disable', 'never use this uplink, until `enable` or `auto`'],
    ['enable', 'undo `disable`'],
  ] as const satisfies readonly (readonly [Verb, string])[]) {
    verb(name, description)
      .argument('<uplink>')
      .action(async (uplink: string, options: PlaceOptions) => {
        const { order } = await import('./verbs/orders.js');
        await order(places(options), name, uplink, io);
      });
  }
  verb('auto', 'let the probes decide again: nothing forced, nothing disabled').action(async (options: PlaceOptions) => {
    const { order } = await import('./verbs/orders.js');
    await order(places(options), 'auto', null, io);
  });
  verb('forget', 'forget what was learned of the silences of an uplink, as after a change of provider')
    .argument('[uplink]', 'which one (default: all)')
    .action(async (uplink: string | undefined, options: PlaceOptions) => {
      const { order } = await import('./verbs/orders.js');
      await order(places(options), 'forget', uplink ?? null, io);
    });
  verb('drill', 'send real traffic by the backup for a moment and tell whether it works')
    .argument('[uplink]', 'which one (default: as configured, else every one that is not in use)')
    .option('--for <duration>', 'for how long, as 30s (default: as configured)', durationOf)
    .addOption(
      new Option('--traffic <how-much>', 'some: one new connection of 16; all: all new ones (default: as configured)').choices([
        'some',
        'all',
      ]),
    )
    .action(
      async (
        uplink: string | undefined,
        options: PlaceOptions & { readonly for?: number; readonly traffic?: 'some' | 'all' },
      ) => {
        const { drill } = await import('./verbs/drill.js');
        const stop = new AbortController();
        process.once('SIGINT', () => stop.abort());
        const wanted = { uplink: uplink ?? null, traffic: options.traffic ?? null, forMs: options.for ?? null };
        done(await drill(places(options), wanted, io, stop.signal));
      },
    );
  verb('reload', 'read the config again; one that does not validate changes nothing').action(async (options: PlaceOptions) => {
    const { reload } = await import('./verbs/orders.js');
    await reload(places(options), io);
  });
  verb('cleanup', 'take everything of backroute out of the kernel and put back what was there before')
    .option('--dry-run', 'print each change and make none')
    .action(async (options: PlaceOptions & { dryRun?: boolean }) => {
      const { cleanup } = await import('./verbs/cleanup.js');
      await cleanup(places(options), options, io);
    });
  verb('doctor', 'look for what would hurt on this machine, each with its remedy')
    .option('--fix', 'apply the safe remedies (sysctls)')
    .option('--json', 'for programs')
    .action(async (options: PlaceOptions & { fix?: boolean; json?: boolean }) => {
      const { doctor } = await import('./verbs/doctor.js');
      done(await doctor(places(options), options, io));
    });
  verb('helper', 'make services follow for a daemon without root; see backroute-helper.service')
    .option('--group <name>', 'whose members may ask (default: root alone)')
    .action(async (options: PlaceOptions & { group?: string }) => {
      const { helper } = await import('./verbs/run.js');
      done(await helper(places(options), options));
    });
  addSimulate(program, io, places, done);
  addLab(program, io, done);
  return program;
}

function durationOf(text: string): number {
  const read = duration({ min: 0, max: DAY_MS, why: 'a drill is short' })(text);
  if (!read.ok) throw new ExitError(1, `--for: '${text}': ${read.message}`, read.allowed);
  return read.value;
}

function wholeNumber(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= 1_000)) throw new ExitError(1, `--limit: '${text}' is not a whole number from 0 to 1000`);
  return value;
}
