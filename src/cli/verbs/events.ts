/** `backroute events`: what happened, from the daemon, or from its file when none runs; and what happens, as it happens. */
import type { HistoryEntry } from '../../core/entry.js';
import { readJournal } from '../../history/journal.js';
import { askDaemon, errorText, followDaemon } from '../client.js';
import { eventText } from '../event-text.js';
import { ExitError, exitCodeOf } from '../exit-error.js';
import type { Io } from '../io.js';
import { type Places, socketPath } from '../places.js';

export interface EventsOptions {
  readonly follow?: boolean;
  readonly json?: boolean;
  readonly limit: number;
}

export async function events(places: Places, options: EventsOptions, io: Io): Promise<void> {
  const show = (entry: HistoryEntry): void =>
    io.out(options.json === true ? `${JSON.stringify(entry)}\n` : `${eventText(entry, Date.now(), io.paint)}\n`);
  if (options.follow === true) {
    await followDaemon(socketPath(places), `/events/follow?limit=${options.limit}`, (line) =>
      show(JSON.parse(line) as HistoryEntry),
    );
    return;
  }
  for (const entry of await latest(places, options.limit)) show(entry);
}

async function latest(places: Places, limit: number): Promise<readonly HistoryEntry[]> {
  try {
    const { status, body } = await askDaemon(socketPath(places), 'GET', `/events?limit=${limit}`);
    if (status !== 200 || typeof body !== 'object' || body === null || !('events' in body)) {
      throw new ExitError(1, errorText(body) ?? 'the daemon gave no events');
    }
    return body.events as readonly HistoryEntry[];
  } catch (error) {
    if (exitCodeOf(error) !== 4) throw error;
    return readJournal(places.stateDir, { limit, sinceWallMs: null });
  }
}
