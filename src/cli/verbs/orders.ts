/** `force`, `disable`, `enable`, `auto`, `forget`, `reload`: an order to the daemon, and what it decided. */
import { askDaemon, errorText } from '../client.js';
import { ExitError } from '../exit-error.js';
import type { Io } from '../io.js';
import { type Places, socketPath } from '../places.js';

export type Verb = 'force' | 'disable' | 'enable' | 'auto' | 'forget';

export async function order(places: Places, verb: Verb, uplink: string | null, io: Io): Promise<void> {
  const body = uplink === null ? { verb } : { verb, uplink };
  show(await askDaemon(socketPath(places), 'POST', '/command', body), io, 1);
}

export async function reload(places: Places, io: Io): Promise<void> {
  show(await askDaemon(socketPath(places), 'POST', '/reload'), io, 2);
}

function show({ body }: { readonly body: unknown }, io: Io, failure: 1 | 2): void {
  const mistake = errorText(body);
  if (mistake !== null) throw new ExitError(1, mistake);
  const answer = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  const details = Array.isArray(answer.details) ? answer.details.map(String) : [];
  if (answer.ok !== true) throw new ExitError(failure, [String(answer.text), ...details].join('\n'));
  io.out([...details.map((line) => io.paint('dim', line)), String(answer.text)].map((line) => `${line}\n`).join(''));
}
