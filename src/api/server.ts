/**
 * The control socket: an HTTP server on a unix socket with a group and a mode. Bounded in clients and time, so that no
 * client matters to routing. hono is loaded with the first request or when told to, not before the first probe.
 */
import { chownSync, readFileSync, unlinkSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { connect } from 'node:net';
import type { ApiBackend } from './backend.js';

export const SOCKET_FILE = 'control.sock';

export interface ControlSocketOptions {
  readonly path: string;
  /** name or number of the group; null = the process's own */
  readonly group: string | null;
  /** e.g. 0o660 */
  readonly mode: number;
  readonly backend: ApiBackend;
}

export interface ControlSocket {
  /** Loads what answering needs, so that the first client does not wait for it. */
  warmUp(): Promise<void>;
  close(): Promise<void>;
}

/** Somebody already answers on this socket. */
export class SocketInUse extends Error {}

type Listener = (...args: Parameters<NonNullable<Parameters<typeof createServer>[1]>>) => unknown;

/**
 * @throws SocketInUse when a live program holds the path; an Error with `code` when the directory or group does not allow it
 */
export async function openControlSocket(options: ControlSocketOptions): Promise<ControlSocket> {
  if (await answers(options.path)) throw new SocketInUse(`another program already serves ${options.path}`);
  removeStale(options.path);
  const gid = options.group === null ? null : groupId(options.group);

  let listener: Promise<Listener> | null = null;
  const load = (): Promise<Listener> => {
    listener ??= loadListener(options.backend);
    return listener;
  };
  const server = createServer((request, response) => {
    load().then(
      (listen) => listen(request, response),
      () => response.destroy(),
    );
  });
  // A client that hangs, floods or never ends its request costs a slot for seconds, and only among clients.
  server.maxConnections = 64;
  server.headersTimeout = 5_000;
  server.requestTimeout = 10_000;
  server.keepAliveTimeout = 2_000;
  server.timeout = 60_000;

  await listenPrivately(server, options.path, options.mode);
  if (gid !== null) chownSync(options.path, process.geteuid?.() ?? -1, gid);
  server.on('error', () => undefined);

  return {
    warmUp: async () => {
      await load();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function loadListener(backend: ApiBackend): Promise<Listener> {
  const [{ getRequestListener }, { createApi }] = await Promise.all([import('@hono/node-server'), import('./app.js')]);
  return getRequestListener(createApi(backend).fetch);
}

/** The mode is there from the first instant: bind(2) obeys the umask, and listen() binds before it returns. */
function listenPrivately(server: Server, path: string, mode: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const before = process.umask(0o777 & ~mode);
    try {
      server.listen({ path }, () => {
        server.off('error', reject);
        resolve();
      });
    } finally {
      process.umask(before);
    }
  });
}

/** True when somebody accepts connections there. A socket file without a listener refuses (ECONNREFUSED, unix(7)). */
export function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    const done = (alive: boolean): void => {
      socket.destroy();
      resolve(alive);
    };
    socket.once('connect', () => done(true));
    // EAGAIN: its backlog is full, so it lives. EACCES: cannot tell, and could not replace it either.
    socket.once('error', (error: NodeJS.ErrnoException) => done(error.code === 'EAGAIN' || error.code === 'EACCES'));
  });
}

function removeStale(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Node has no getgrnam(3); groups of our sockets are local ones. @throws Error with `code` ENOGROUP */
export function groupId(group: string): number {
  if (/^\d+$/.test(group)) return Number(group);
  for (const line of readFileSync('/etc/group', 'utf8').split('\n')) {
    const [name, , gid] = line.split(':');
    if (name === group && gid !== undefined && /^\d+$/.test(gid)) return Number(gid);
  }
  throw Object.assign(new Error(`socket: group: there is no group '${group}' in /etc/group`), { code: 'ENOGROUP' });
}
