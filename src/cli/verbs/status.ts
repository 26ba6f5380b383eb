/** `backroute status`: the daemon's view as JSON for programs, as text for people, once or every second. */
import type { StatusView } from '../../core/messages.js';
import { askDaemon, errorText } from '../client.js';
import { ExitError } from '../exit-error.js';
import type { Io } from '../io.js';
import { type Places, socketPath } from '../places.js';
import { statusText } from '../status-text.js';

export interface StatusOptions {
  readonly json?: boolean;
  readonly watch?: boolean;
}

const WATCH_MS = 1_000;
/** ECMA-48: cursor home, erase below; without erasing first, nothing flickers. */
const HOME = '\u001b[H';
const ERASE_BELOW = '\u001b[J';
const ERASE_LINE_END = '\u001b[K';

export async function status(places: Places, options: StatusOptions, io: Io): Promise<void> {
  if (options.watch !== true) {
    io.out(await render(places, options, io));
    return;
  }
  if (io.isTerminal) io.out('\u001b[2J');
  for (;;) {
    const text = await render(places, options, io);
    io.out(io.isTerminal ? `${HOME}${text.replaceAll('\n', `${ERASE_LINE_END}\n`)}${ERASE_BELOW}` : text);
    await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
  }
}

async function render(places: Places, options: StatusOptions, io: Io): Promise<string> {
  const { status: code, body } = await askDaemon(socketPath(places), 'GET', '/status');
  if (code !== 200 || !isView(body)) throw new ExitError(1, errorText(body) ?? 'the daemon gave no status');
  // One object a line when watched: what programs that read streams want.
  if (options.json === true) return `${JSON.stringify(body, null, options.watch === true ? undefined : 2)}\n`;
  return statusText(completed(body), io.paint);
}

/** A daemon that was started before an update lacks what is new. */
function completed(view: StatusView): StatusView {
  return {
    ...{ services: [], via: [], drill: null, rogues: [], outbox: { waiting: 0, refused: 0 } },
    ...view,
    families: view.families.map((family) => ({ ...{ sharing: [] }, ...family })),
    uplinks: view.uplinks.map((uplink) => ({
      ...{ tier: null, weight: 1, usage: null, prefix: null },
      ...uplink,
      paths: uplink.paths.map((path) => ({ ...{ gatewaySource: null, draining: null }, ...path })),
    })),
  };
}

function isView(body: unknown): body is StatusView {
  return typeof body === 'object' && body !== null && 'version' in body && body.version === 1 && 'uplinks' in body;
}
