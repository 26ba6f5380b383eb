/**
 * Commands to a running helper process: a unix stream socket with one JSON object per line, each answered by one line,
 * `{"ok": true, "atMs": …, "result": …}` or `{"ok": false, "error": …}`, once the command is in force.
 * For processes that live in an FdLoop; control-client.ts is the other end.
 */
import { rmSync } from 'node:fs';
import { monotonicMs } from './clock.js';
import type { FdLoop } from './fd-loop.js';
import { accept, close, listenUnix, read, wouldBlock, write } from './libc.js';

/** Carries one command out and returns what the answer's `result` shall be. Whatever it throws becomes the answer's `error`. */
export type CommandHandler = (command: unknown) => unknown;

interface Connection {
  input: string;
  output: Buffer;
}

/** Longest command accepted: a trace of a day with ten lines a second. */
const MAX_COMMAND_BYTES = 64 * 2 ** 20;

export function serveControl(loop: FdLoop, path: string, handle: CommandHandler): void {
  rmSync(path, { force: true });
  const listener = listenUnix(path);
  const buffer = Buffer.alloc(65_536);

  const end = (fd: number) => {
    loop.unwatch(fd);
    close(fd);
  };

  /** False when the connection is gone. */
  const flush = (fd: number, connection: Connection): boolean => {
    while (connection.output.length > 0) {
      const written = write(fd, connection.output);
      if (written < 0) {
        if (wouldBlock()) break;
        end(fd);
        return false;
      }
      connection.output = connection.output.subarray(written);
    }
    loop.setWantsWrite(fd, connection.output.length > 0);
    return true;
  };

  const onReady = (fd: number, connection: Connection) => {
    if (!flush(fd, connection)) return;
    for (;;) {
      const bytes = read(fd, buffer);
      if (bytes < 0 && wouldBlock()) return;
      if (bytes <= 0 || connection.input.length > MAX_COMMAND_BYTES) return end(fd);
      connection.input += buffer.toString('latin1', 0, bytes);
      const lines = connection.input.split('\n');
      connection.input = lines.pop() ?? '';
      for (const line of lines) {
        const answer = Buffer.from(`${JSON.stringify(answerTo(line, handle))}\n`);
        connection.output = connection.output.length === 0 ? answer : Buffer.concat([connection.output, answer]);
      }
      if (lines.length > 0 && !flush(fd, connection)) return;
    }
  };

  loop.watch(listener, () => {
    for (let fd = accept(listener); fd >= 0; fd = accept(listener)) {
      const connection: Connection = { input: '', output: Buffer.alloc(0) };
      const accepted = fd;
      loop.watch(accepted, () => onReady(accepted, connection));
    }
  });
}

function answerTo(line: string, handle: CommandHandler): object {
  try {
    const result = handle(JSON.parse(Buffer.from(line, 'latin1').toString('utf8')));
    return { ok: true, atMs: monotonicMs(), result: result ?? null };
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error.message : String(error) };
  }
}
