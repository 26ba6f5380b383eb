/** Asks the daemon over its control socket. Knows the wire, not what the answers mean. */
import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { createInterface, type Interface } from 'node:readline';
import { ExitError } from './exit-error.js';

export interface DaemonAnswer {
  readonly status: number;
  readonly body: unknown;
}

const TIMEOUT_MS = 10_000;

/** @throws ExitError 4 when no daemon answers, 3 when the socket may not be used */
export async function askDaemon(socketPath: string, method: 'GET' | 'POST', path: string, body?: unknown): Promise<DaemonAnswer> {
  const response = await open(socketPath, method, path, body, TIMEOUT_MS);
  let text = '';
  response.setEncoding('utf8');
  for await (const chunk of response) text += String(chunk);
  try {
    return { status: response.statusCode ?? 0, body: JSON.parse(text) as unknown };
  } catch {
    throw new ExitError(1, `what serves ${socketPath} is not this program: its answer is no JSON`);
  }
}

/** Calls `onLine` for each line until the daemon ends the stream. Rejects when it breaks off. */
export async function followDaemon(socketPath: string, path: string, onLine: (line: string) => void): Promise<void> {
  const { lines } = await openStream(socketPath, path);
  for await (const line of lines) onLine(line);
}

export interface DaemonStream {
  /** ends with the stream or after `close`; throws ExitError 4 when it breaks off */
  readonly lines: AsyncIterable<string>;
  readonly close: () => void;
}

/** When this resolves the daemon has subscribed us: nothing that happens from now on is missed. */
export async function openStream(socketPath: string, path: string): Promise<DaemonStream> {
  const response = await open(socketPath, 'GET', path, undefined, null);
  let reader: Interface | null = null;
  let closed = false;
  async function* read(): AsyncGenerator<string> {
    if (closed) return;
    // Not before somebody reads: an interface begins at once, and its lines are lost until it is iterated.
    reader = createInterface({ input: response, crlfDelay: Number.POSITIVE_INFINITY });
    try {
      for await (const line of reader) if (line !== '') yield line;
    } catch {
      // Broken off; so says `complete`.
    }
    if (!response.complete && !closed) throw new ExitError(4, 'the daemon has ended, or cut this slow reader off');
  }
  return {
    lines: read(),
    close: () => {
      closed = true;
      // A response destroyed from this side does not end its reader.
      reader?.close();
      response.destroy();
    },
  };
}

/** The text of an error answer `{error, hint}`, or null. */
export function errorText(body: unknown): string | null {
  if (typeof body !== 'object' || body === null || !('error' in body)) return null;
  const hint = 'hint' in body && typeof body.hint === 'string' ? ` (${body.hint})` : '';
  return `${String(body.error)}${hint}`;
}

function open(
  socketPath: string,
  method: string,
  path: string,
  body: unknown,
  timeoutMs: number | null,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const payload = body === undefined ? null : JSON.stringify(body);
    const headers = payload === null ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) };
    const call = request({ socketPath, method, path, headers: { host: 'backroute', ...headers }, agent: false }, resolve);
    call.on('error', (error: NodeJS.ErrnoException) => reject(explain(error, socketPath)));
    if (timeoutMs !== null) {
      call.setTimeout(timeoutMs, () => call.destroy(new ExitError(1, `the daemon does not answer within ${timeoutMs / 1000} s`)));
    }
    call.end(payload ?? undefined);
  });
}

function explain(error: NodeJS.ErrnoException, socketPath: string): Error {
  if (error instanceof ExitError) return error;
  switch (error.code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return new ExitError(
        4,
        'no daemon is running',
        `nothing answers at ${socketPath}; start it with: systemctl start backroute`,
      );
    case 'EACCES':
      return new ExitError(
        3,
        `this user may not use ${socketPath}`,
        'run it as root, or join the group that socket: group: names',
      );
    default:
      return new ExitError(1, `${socketPath}: ${error.message}`);
  }
}

/** True when somebody accepts connections there. */
export function answersOnSocket(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path: socketPath });
    const done = (alive: boolean): void => {
      socket.destroy();
      resolve(alive);
    };
    socket.once('connect', () => done(true));
    socket.once('error', (error: NodeJS.ErrnoException) => done(error.code === 'EACCES'));
  });
}
