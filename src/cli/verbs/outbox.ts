/** `backroute outbox`: the messages that wait and those that were refused, read from their folder: no daemon is needed for it. */
import { join } from 'node:path';
import { listOutbox, type OutboxEntry } from '../../action/outbox.js';
import { OUTBOX_FOLDER } from '../../action/outbox-store.js';
import { ExitError } from '../exit-error.js';
import { clockTime } from '../figures.js';
import type { Io } from '../io.js';
import { type Paint, table } from '../paint.js';
import type { Places } from '../places.js';

export async function outbox(places: Places, options: { readonly json?: boolean }, io: Io): Promise<void> {
  const directory = join(places.stateDir, OUTBOX_FOLDER);
  const { entries, problems } = await listOutbox(directory).catch((error: NodeJS.ErrnoException) => {
    const denied = error.code === 'EACCES' || error.code === 'EPERM';
    throw new ExitError(denied ? 3 : 1, `${directory} cannot be read: ${error.message}`, denied ? 'run it as root' : null);
  });
  if (options.json === true) {
    io.out(`${JSON.stringify({ version: 1, messages: entries, problems }, null, 2)}\n`);
    return;
  }
  for (const problem of problems) io.err(`${io.paint('red', problem)}\n`);
  io.out(outboxText(entries, Date.now(), io.paint));
}

/** Ends with a newline. */
export function outboxText(entries: readonly OutboxEntry[], nowWallMs: number, paint: Paint): string {
  if (entries.length === 0) return 'No message waits, and none was refused.\n';
  const header = ['when', 'channel', 'subject', 'state', 'answer'].map((title) => paint('dim', title));
  const rows = entries.map(({ queuedWallMs, channel, subject, state, failure }) => [
    clockTime(queuedWallMs, nowWallMs),
    channel,
    subject,
    paint(state === 'refused' ? 'red' : 'yellow', state),
    failure ?? '-',
  ]);
  return `${table([header, ...rows]).join('\n')}\n`;
}
