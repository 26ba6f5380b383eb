/** The entry of bin/backroute: runs the command line, prints what went wrong, ends with the right code. */
import { CommanderError } from 'commander';
import { exitCodeOf, remedyOf } from './exit-error.js';
import { processIo } from './io.js';
import { paintFor } from './paint.js';
import { createProgram } from './program.js';

const io = processIo();
let exitCode = 0;
try {
  await createProgram(io, process.env, (code) => {
    exitCode = code;
  }).parseAsync(process.argv);
} catch (error) {
  if (error instanceof CommanderError) {
    // --help and --version come this way too; the text is out already.
    exitCode = error.exitCode;
  } else {
    const paint = paintFor(process.stderr, process.env);
    io.err(`${paint('red', error instanceof Error ? error.message : String(error))}\n`);
    const remedy = remedyOf(error);
    if (remedy !== null) io.err(`  -> ${remedy}\n`);
    exitCode = exitCodeOf(error);
    if (process.env.BACKROUTE_DEBUG !== undefined && error instanceof Error) io.err(`${error.stack}\n`);
  }
}
// Handles may be left (a lookup in its thread, a socket half closed): nothing of them matters any more. What was written
// leaves first: standard output to a pipe is asynchronous.
process.stdout.write('', () => process.stderr.write('', () => process.exit(exitCode)));
