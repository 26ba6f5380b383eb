/** `run`, `once` and `helper`: hand over to the composition root. The one place outside it that knows it, loaded only when asked for. */
import type { Io } from '../io.js';
import type { Places } from '../places.js';
import { statusText } from '../status-text.js';

export async function run(places: Places, options: { readonly dryRun?: boolean }): Promise<number> {
  const { runDaemon } = await import('../../daemon/daemon.js');
  return runDaemon({ ...places, dryRun: options.dryRun === true });
}

export async function helper(places: Places, options: { readonly group?: string }): Promise<number> {
  const { runHelper } = await import('../../daemon/helper.js');
  return runHelper({ ...places, group: options.group ?? null });
}

export async function once(places: Places, io: Io): Promise<number> {
  const { runOnce } = await import('../../daemon/once.js');
  const { exitCode, view, note } = await runOnce(places);
  // cron mails whatever is printed: a person at a terminal gets the picture, cron only what the log says.
  if (view !== null && io.isTerminal) io.out(statusText(view, io.paint));
  if (note !== null) io.err(`${note}\n`);
  return exitCode;
}
