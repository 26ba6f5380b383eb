/** Standard output and error as the verbs see them; tests hand in their own. */
import { type Paint, paintFor } from './paint.js';

export interface Io {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  readonly paint: Paint;
  readonly isTerminal: boolean;
}

export function processIo(): Io {
  // `backroute events | head`: the reader has what it wanted.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
  });
  return {
    out: (text) => {
      process.stdout.write(text);
    },
    err: (text) => {
      process.stderr.write(text);
    },
    paint: paintFor(process.stdout, process.env),
    isTerminal: process.stdout.isTTY === true,
  };
}
