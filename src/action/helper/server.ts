/**
 * The root helper's half: takes requests of the daemon, looks them up in the administrator's configuration, has them carried
 * out and answers. Asks nothing of the daemon, and carries out nothing that the configuration does not hold.
 */
import { chmodSync, chownSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import type { FollowAsk, FollowOutcome, Notice } from '../../core/action.js';
import type { FollowerConfig, ServicesConfig } from '../../core/services.js';
import { type Answer, type Facts, LineReader, parseRequest, type Request } from './protocol.js';

export interface HelperParts {
  /** the socket's path */
  readonly path: string;
  /** numeric group that may connect; null = root alone */
  readonly gid: number | null;
  /** The configuration as it is on disk now. @throws with the reason in words when it does not validate */
  readonly load: () => Promise<ServicesConfig>;
  follow(ask: FollowAsk, facts: Facts): void;
  cancel(run: number): void;
  hooks(services: ServicesConfig, notice: Notice): void;
}

export interface Helper {
  /** to be called for every outcome of `follow` */
  finished(outcome: FollowOutcome): void;
  /** goes into the daemon's log, while one is connected */
  log(severity: 'info' | 'warning' | 'error', text: string): void;
  close(): Promise<void>;
}

/** Rejects when the socket cannot be served. */
export async function serveHelper(parts: HelperParts): Promise<Helper> {
  /** runs are numbered by each daemon for itself: here by connection and number */
  const owners = new Map<number, { readonly socket: Socket; readonly run: number }>();
  const sockets = new Set<Socket>();
  let nextRun = 1;

  const answer = (socket: Socket, message: Answer): void => {
    if (socket.writable) socket.write(`${JSON.stringify(message)}\n`);
  };
  const refuse = (socket: Socket, run: number, text: string): void =>
    answer(socket, { type: 'finished', outcome: { run, ok: false, changed: false, rolledBack: null, superseded: false, text } });

  const handle = async (socket: Socket, request: Request): Promise<void> => {
    if (request.type === 'cancel') {
      for (const [run, owner] of owners) if (owner.socket === socket && owner.run === request.run) parts.cancel(run);
      return;
    }
    let services: ServicesConfig;
    try {
      services = await parts.load();
    } catch (error) {
      const text = `the configuration does not validate: ${error instanceof Error ? error.message : String(error)}`;
      if (request.type === 'follow') refuse(socket, request.run, text);
      else answer(socket, { type: 'log', severity: 'error', text: `hooks: ${text}` });
      return;
    }
    if (request.type === 'hooks') {
      parts.hooks(services, request.notice);
      return;
    }
    const follower = services.followers.find((f) => f.name === request.follower);
    if (follower === undefined) {
      refuse(socket, request.run, `the configuration holds no ${request.follower}`);
      return;
    }
    if (!holds(follower, request.uplink)) {
      refuse(socket, request.run, `the configuration holds nothing of ${request.uplink} for ${request.follower}`);
      return;
    }
    const run = nextRun;
    nextRun += 1;
    owners.set(run, { socket, run: request.run });
    parts.follow({ run, follower, uplink: request.uplink }, request.facts);
  };

  const server = createServer((socket) => {
    sockets.add(socket);
    socket.setEncoding('utf8');
    const reader = new LineReader();
    let turn: Promise<void> = Promise.resolve();
    socket.on('data', (chunk: string) => {
      let lines: string[];
      try {
        lines = reader.push(chunk);
      } catch {
        socket.destroy();
        return;
      }
      for (const line of lines) {
        const request = parseRequest(line);
        if (request === null) {
          socket.destroy();
          return;
        }
        // In the order asked: a cancel must not overtake the configuration read for its run.
        turn = turn.then(() => handle(socket, request));
      }
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      sockets.delete(socket);
      // Its transactions go on to their end: the next daemon asks anew and finds them verified or repeats them.
      for (const [run, owner] of owners) if (owner.socket === socket) owners.delete(run);
    });
  });
  await listen(server, parts.path, parts.gid);

  return {
    finished: (outcome) => {
      const owner = owners.get(outcome.run);
      owners.delete(outcome.run);
      if (owner !== undefined) answer(owner.socket, { type: 'finished', outcome: { ...outcome, run: owner.run } });
    },
    log: (severity, text) => {
      for (const socket of sockets) answer(socket, { type: 'log', severity, text });
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** Without an entry of its own an uplink asks nothing of a service. */
function holds(follower: FollowerConfig, uplink: string): boolean {
  switch (follower.kind) {
    case 'mail-relay':
      return Object.hasOwn(follower.smarthosts, uplink);
    case 'files':
      return Object.hasOwn(follower.copies, uplink);
    case 'resolver':
      return Object.hasOwn(follower.servers, uplink);
  }
}

async function listen(server: Server, path: string, gid: number | null): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  rmSync(path, { force: true });
  // libuv binds inside listen(): the umask gives the socket its mode from the first instant.
  const former = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, () => resolve());
      process.umask(former);
    });
  } finally {
    process.umask(former);
  }
  if (gid === null) return;
  chownSync(path, 0, gid);
  chmodSync(path, 0o660);
}
