/**
 * A program that talks TCP at the orders of a test (talker.ts): one JSON command a line on standard input, one JSON
 * answer a line on standard output. What it serves says back to everyone the address that it sees, and their own words.
 */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

export type TalkCommand =
  | { readonly do: 'listen'; readonly port: number }
  /** the answer is the local port; null = any */
  | { readonly do: 'open'; readonly id: number; readonly host: string; readonly port: number; readonly localPort: number | null }
  /** the answer is the line that comes back */
  | { readonly do: 'say'; readonly id: number; readonly text: string };

export interface TalkAnswer {
  readonly n: number;
  /** `silence` when nothing came within the patience; an errno such as ECONNRESET when the connection ended */
  readonly value: string;
}

/** Long enough for three emulated links on a busy machine, and for a SYN that is sent again. */
const PATIENCE_MS = 1500;

class Talk {
  readonly socket: Socket;
  #text = '';
  #end: string | null = null;
  #look: () => void = () => undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => {
      this.#text += chunk.toString();
      this.#look();
    });
    const ended = (why: string): void => {
      this.#end ??= why;
      this.#look();
    };
    socket.on('error', (error: NodeJS.ErrnoException) => ended(error.code ?? 'error'));
    socket.on('close', () => ended('closed'));
    socket.on('connect', () => this.#look());
  }

  /** The next whole line, or how the connection ended. */
  line(): Promise<string> {
    return this.#when(() => {
      const end = this.#text.indexOf('\n');
      if (end < 0) return this.#end;
      const line = this.#text.slice(0, end);
      this.#text = this.#text.slice(end + 1);
      return line;
    });
  }

  opened(): Promise<string> {
    return this.#when(
      () => this.#end ?? (this.socket.localPort === undefined || this.socket.connecting ? null : String(this.socket.localPort)),
    );
  }

  #when(is: () => string | null): Promise<string> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => done('silence'), PATIENCE_MS);
      const done = (value: string): void => {
        clearTimeout(timer);
        this.#look = () => undefined;
        resolve(value);
      };
      this.#look = () => {
        const value = is();
        if (value !== null) done(value);
      };
      this.#look();
    });
  }
}

const seen = (address: string | undefined): string => (address ?? '').replace('::ffff:', '');
const talks = new Map<number, Talk>();

async function listen(port: number): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => socket.write(`${seen(socket.remoteAddress)} ${chunk.toString()}`));
  });
  server.listen(port, '::');
  await once(server, 'listening');
  return 'ok';
}

async function carryOut(command: TalkCommand): Promise<string> {
  switch (command.do) {
    case 'listen':
      return listen(command.port);
    case 'open': {
      const { host, port, localPort } = command;
      const talk = new Talk(connect({ host, port, ...(localPort !== null && { localPort }) }));
      talks.set(command.id, talk);
      return talk.opened();
    }
    case 'say': {
      const talk = talks.get(command.id);
      if (talk === undefined) return 'no such talk';
      talk.socket.write(`${command.text}\n`);
      return talk.line();
    }
  }
}

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const { n, ...command } = JSON.parse(line) as TalkCommand & { n: number };
  void carryOut(command as TalkCommand).then((value) => {
    const answer: TalkAnswer = { n, value };
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  });
});
lines.on('close', () => process.exit(0));
process.stdout.write(`${JSON.stringify({ n: 0, value: 'ready' } satisfies TalkAnswer)}\n`);
