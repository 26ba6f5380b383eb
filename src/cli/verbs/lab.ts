/** `backroute lab …`: hands parsed options to the lab's own commands and turns its mistakes into exit codes. */
import type { Command } from 'commander';
import { ExitError } from '../exit-error.js';
import type { Io } from '../io.js';

type Lab = typeof import('../../lab/commands.js');

/** @param done told the exit code of the demo */
export function addLab(program: Command, io: Io, done: (exitCode: number) => void): void {
  const lab = program
    .command('lab')
    .description('networks made of namespaces with emulated links, to try things out (needs root)');
  const select = (command: Command): Command =>
    command.option('--name <name>', 'which lab, where there are several').option('--state-dir <dir>', 'where labs are noted');

  select(lab.command('demo'))
    .description('the classic network: the fast provider goes silent, failover, repair, failback')
    .option('--keep', 'leave the network up afterwards, until Ctrl-C')
    .action(async (options: { name?: string; stateDir?: string; keep?: boolean }) => {
      const { labDemo } = await import('../../lab/demo.js');
      done(await labDemo({ keep: options.keep === true, paint: io.paint, ...selected(options) }, io.out));
    });
  select(lab.command('up'))
    .description('build a lab that stays until `lab down`')
    .argument('[topology]', 'classic, two-nic, three-uplinks, office, prefixes, point-to-point or same-gateway', 'classic')
    .option('--link <options...>', 'options of an emulated link, as fast:delay=30ms,loss=1%', [])
    .action(async (topology: string, options: { name?: string; stateDir?: string; link: string[] }) => {
      await act(async (commands) => {
        const { parseLinkOption } = await import('../../lab/link-options.js');
        const links = Object.fromEntries(
          options.link.map((text) => {
            const { uplink, link } = parseLinkOption(text);
            return [uplink, link] as const;
          }),
        );
        await commands.labUp({ topology, links, ...selected(options) }, io.out);
      });
    });
  select(lab.command('cut'))
    .description('make an uplink fail')
    .argument('<uplink>')
    .option('--kind <kind>', 'how: silent where nothing is said')
    .option('--loss <percent>', 'lose this share of the packets', numberOf)
    .option('--delay <time>', 'make packets late by this much, as 300ms', millisecondsOf)
    .action((uplink: string, options: { name?: string; stateDir?: string; kind?: string; loss?: number; delay?: number }) =>
      act((commands) =>
        commands.labCut(
          {
            uplink,
            ...selected(options),
            ...(options.kind === undefined ? {} : { kind: options.kind }),
            ...(options.loss === undefined ? {} : { lossPercent: options.loss }),
            ...(options.delay === undefined ? {} : { delayMs: options.delay }),
          },
          io.out,
        ),
      ),
    );
  select(lab.command('mend'))
    .description('undo every failure of an uplink')
    .argument('<uplink>')
    .action((uplink: string, options: { name?: string; stateDir?: string }) =>
      act((commands) => commands.labMend({ uplink, ...selected(options) }, io.out)),
    );
  select(lab.command('replay'))
    .description('play a list of outages or a trace on an uplink')
    .argument('<uplink>')
    .argument('<file>', 'CSV: start_ms,duration_ms or t_ms,rtt_ms')
    .option('--time-scale <factor>', 'play it slower (above 1) or faster', numberOf)
    .option('--from <time>', 'begin there, as 90s', millisecondsOf)
    .option('--loop', 'begin anew at its end')
    .action(
      (
        uplink: string,
        file: string,
        options: { name?: string; stateDir?: string; timeScale?: number; from?: number; loop?: boolean },
      ) =>
        act((commands) =>
          commands.labReplay(
            {
              uplink,
              file,
              ...selected(options),
              ...(options.timeScale === undefined ? {} : { timeScale: options.timeScale }),
              ...(options.from === undefined ? {} : { fromMs: options.from }),
              ...(options.loop === undefined ? {} : { loop: options.loop }),
            },
            io.out,
          ),
        ),
    );
  select(lab.command('status'))
    .description('tell of one lab, or of all')
    .action((options: { name?: string; stateDir?: string }) => act((commands) => commands.labStatus(selected(options), io.out)));
  select(lab.command('down'))
    .description('remove a lab')
    .option('--force', 'also one that belongs to a running process')
    .action((options: { name?: string; stateDir?: string; force?: boolean }) =>
      act((commands) => commands.labDown({ ...selected(options), force: options.force === true }, io.out)),
    );
}

async function act(work: (commands: Lab) => Promise<void>): Promise<void> {
  const [commands, { LabError }] = await Promise.all([import('../../lab/commands.js'), import('../../lab/errors.js')]);
  try {
    await work(commands);
  } catch (error) {
    if (error instanceof LabError) throw new ExitError(1, error.message, error.remedy);
    throw error;
  }
}

function selected(options: { readonly name?: string; readonly stateDir?: string }): { name?: string; stateDir?: string } {
  return {
    ...(options.name === undefined ? {} : { name: options.name }),
    ...(options.stateDir === undefined ? {} : { stateDir: options.stateDir }),
  };
}

function numberOf(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0) throw new ExitError(1, `'${text}' is not a number from 0 on`);
  return value;
}

function millisecondsOf(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  const unit = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[match?.[2] ?? ''];
  if (match === null || unit === undefined) throw new ExitError(1, `'${text}' is not a time`, 'for example 300ms, 5s, 2m');
  return Number(match[1]) * unit;
}
