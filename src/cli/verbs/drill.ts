/**
 * `backroute drill`: has the daemon send real traffic by the backup and waits for its reports. What is tried, and when it is
 * given up, the daemon alone decides; ending this command ends nothing there.
 */

import type { HistoryEntry } from '../../core/entry.js';
import type { Command } from '../../core/messages.js';
import type { DrillOutcome } from '../../core/traffic/drill-report.js';
import { askDaemon, type DaemonStream, errorText, openStream } from '../client.js';
import { eventText } from '../event-text.js';
import { ExitError } from '../exit-error.js';
import type { Io } from '../io.js';
import { type Places, socketPath } from '../places.js';

export type DrillOrder = Omit<Extract<Command, { readonly verb: 'drill' }>, 'verb'>;

/** What a shell expects of a program ended by Ctrl-C: 128 + SIGINT. */
const INTERRUPTED = 130;
/** Something is still to come after these: drill-report.ts. */
const NOT_FINAL: ReadonlySet<unknown> = new Set<DrillOutcome>(['begun', 'put-off']);
/** What a person who waits for the drill wants to see of all that happens. */
const SHOWN: ReadonlySet<HistoryEntry['kind']> = new Set(['drill', 'switch', 'share', 'health']);

/** @returns 0 when every uplink that was tried works, 1 when one does not or could not be tried, 130 when interrupted */
export async function drill(places: Places, order: DrillOrder, io: Io, stop: AbortSignal): Promise<number> {
  // Before the order: the first record must not be missed.
  const stream = await openStream(socketPath(places), '/events/follow?limit=0');
  stop.addEventListener('abort', stream.close);
  try {
    const { body } = await askDaemon(socketPath(places), 'POST', '/command', { verb: 'drill', ...order });
    const mistake = errorText(body) ?? refusal(body);
    if (mistake !== null) throw new ExitError(1, mistake);
    if (io.isTerminal) io.err(`${io.paint('dim', 'Ctrl-C ends the waiting, not the drill.')}\n`);
    if (stop.aborted) stream.close();
    const works = await reports(stream, io);
    if (works !== null) return works ? 0 : 1;
  } finally {
    stop.removeEventListener('abort', stream.close);
    stream.close();
  }
  if (!stop.aborted)
    throw new ExitError(
      4,
      'the daemon ended, or cut this reader off, before the drill was over',
      'backroute events tells how far it came',
    );
  io.err('The drill goes on. What comes of it: backroute events\n');
  return INTERRUPTED;
}

/** @returns whether all works; null where the stream ended before the last report */
async function reports(stream: DaemonStream, io: Io): Promise<boolean | null> {
  let works = true;
  for await (const line of stream.lines) {
    const entry = JSON.parse(line) as Partial<HistoryEntry>;
    if (!isEntry(entry) || !SHOWN.has(entry.kind)) continue;
    io.out(`${eventText(entry, Date.now(), io.paint)}\n`);
    const { outcome, left } = entry.data;
    if (entry.kind !== 'drill' || NOT_FINAL.has(outcome)) continue;
    works &&= outcome === ('works' satisfies DrillOutcome);
    if (typeof left !== 'number' || left === 0) return works;
  }
  return null;
}

function isEntry(line: Partial<HistoryEntry>): line is HistoryEntry {
  return line.kind !== undefined && line.data !== undefined;
}

function refusal(body: unknown): string | null {
  if (typeof body !== 'object' || body === null || !('ok' in body)) return 'the daemon gave no answer';
  return body.ok === true ? null : 'text' in body ? String(body.text) : 'the daemon refuses';
}
