/**
 * A file of any size line by line, as bytes of one buffer that is used again and again: no line is copied, none made a
 * string. Knows what no text has: NUL bytes and lines without end.
 */
import { fstat, type Stats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { promisify } from 'node:util';
import { SourceError } from './problem.js';

const CHUNK_BYTES = 1 << 20;
/** A longer line is none of a recording. */
export const LONGEST_LINE_BYTES = 65_536;
/** A year of `ping -D` every second is 2.4 GB. More is refused before it is read. */
export const LARGEST_FILE_BYTES = 4 * 2 ** 30;

/** `bytes[from..to)` without its line end; valid during the call alone. `line` counts from 1; empty lines are left out */
export type LineSink = (bytes: Buffer, from: number, to: number, line: number) => void;

export interface Input {
  /** for people */
  readonly name: string;
  /** null = standard input */
  readonly path: string | null;
}

/**
 * @param opened sees the first bytes of the file before its first line; may throw
 * @param progress told the share that was read, where the size is known
 * @throws SourceError where the file cannot be read or is no text; whatever `sink` throws
 */
export async function eachLine(
  input: Input,
  opened: (head: Buffer) => void,
  sink: LineSink,
  run: { readonly signal?: AbortSignal; readonly progress?: (share: number) => void } = {},
): Promise<void> {
  const file = await openInput(input);
  try {
    const size = checkedSize(input, await file.stat());
    const { stopped, forget } = stopOf(run.signal);
    const read: Read = (buffer, at, length) => Promise.race([file.read(buffer, at, length), stopped]);
    try {
      await readLines(input, read, opened, sink, (bytes) => {
        if (bytes > LARGEST_FILE_BYTES) throw tooLarge(input, bytes);
        if (size > 0) run.progress?.(Math.min(1, bytes / size));
      });
    } finally {
      forget();
    }
  } catch (error) {
    throw systemError(input, error);
  } finally {
    await file.close();
  }
}

/** Rejects when it is time to stop: a read from a pipe may never end by itself. */
function stopOf(signal: AbortSignal | undefined): { stopped: Promise<never>; forget: () => void } {
  let stop = (): void => undefined;
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(signal?.reason);
  });
  stopped.catch(() => undefined);
  if (signal?.aborted === true) stop();
  signal?.addEventListener('abort', stop);
  return { stopped, forget: () => signal?.removeEventListener('abort', stop) };
}

async function readLines(
  input: Input,
  read: Read,
  opened: (head: Buffer) => void,
  sink: LineSink,
  tell: (bytes: number) => void,
): Promise<void> {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES + LONGEST_LINE_BYTES);
  let total = 0;
  let line = 1;
  let kept = 0; // bytes of an unfinished line at the buffer's start
  for (;;) {
    const bytesRead = await read(buffer, kept, CHUNK_BYTES);
    total += bytesRead;
    tell(total);
    const end = kept + bytesRead;
    let from = 0;
    if (total === bytesRead) {
      if (bytesRead === 0) throw new SourceError(`${input.name}: the file is empty`, WANTED);
      opened(buffer.subarray(0, end));
      if (buffer[0] === 0xef && buffer[1] === 0xbb && buffer[2] === 0xbf) from = 3;
    }
    const nul = buffer.subarray(0, end).indexOf(0, kept);
    const limit = nul < 0 ? end : nul;
    for (let to = Math.max(from, kept); ; to += 1) {
      while (to < limit && buffer[to] !== 0x0a) to += 1;
      if (to >= limit) break;
      const last = to > from && buffer[to - 1] === 0x0d ? to - 1 : to;
      if (last > from) sink(buffer, from, last, line);
      line += 1;
      from = to + 1;
    }
    if (nul >= 0) {
      throw new SourceError(`${input.name}:${line}: a NUL byte: from here on this is no text`, 'A text file is wanted.');
    }
    if (end - from > LONGEST_LINE_BYTES) {
      throw new SourceError(
        `${input.name}:${line}: the line is longer than ${LONGEST_LINE_BYTES} bytes: this is no recording`,
        WANTED,
      );
    }
    if (bytesRead === 0) {
      const last = end > from && buffer[end - 1] === 0x0d ? end - 1 : end;
      if (last > from) sink(buffer, from, last, line);
      return;
    }
    buffer.copy(buffer, 0, from, end);
    kept = end - from;
  }
}

export const WANTED =
  'Wanted: CSV with the columns t_ms,rtt_ms (probes), start_ms,duration_ms or state,duration_s (outages), or the output of ping -D.';

type Read = (buffer: Buffer, at: number, length: number) => Promise<number>;

interface Opened {
  readonly read: Read;
  readonly stat: () => Promise<Stats>;
  readonly close: () => Promise<void>;
}

async function openInput({ name, path }: Input): Promise<Opened> {
  if (path === null) return standardInput();
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    throw systemError({ name, path }, error);
  }
  return {
    read: async (buffer, at, length) => (await file.read(buffer, at, length, null)).bytesRead,
    stat: () => file.stat(),
    close: () => file.close(),
  };
}

/**
 * As a stream, not by reads of its descriptor: one that waits for a pipe holds a thread of libuv's, and the process cannot end before
 * that thread does.
 */
function standardInput(): Opened {
  const chunks: AsyncIterator<Buffer> = process.stdin[Symbol.asyncIterator]();
  let rest: Buffer = Buffer.alloc(0);
  return {
    read: async (buffer, at, length) => {
      while (rest.length === 0) {
        const next = await chunks.next();
        if (next.done === true) return 0;
        rest = next.value;
      }
      const copied = rest.copy(buffer, at, 0, Math.min(length, rest.length));
      rest = rest.subarray(copied);
      return copied;
    },
    stat: () => promisify(fstat)(0),
    close: () => Promise.resolve(),
  };
}

function checkedSize(input: Input, stat: Stats): number {
  if (stat.isDirectory()) throw new SourceError(`${input.name}: this is a directory, a file is wanted`);
  if (!stat.isFile()) return 0;
  if (stat.size > LARGEST_FILE_BYTES) throw tooLarge(input, stat.size);
  return stat.size;
}

const tooLarge = ({ name }: Input, bytes: number): SourceError =>
  new SourceError(
    `${name}: ${(bytes / 2 ** 30).toFixed(1)} GiB, at most ${LARGEST_FILE_BYTES / 2 ** 30} GiB are read`,
    'Give a part of it, or one line of several.',
  );

function systemError({ name }: Input, error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  switch (code) {
    case 'ENOENT':
      return new SourceError(`${name}: there is no such file`);
    case 'EACCES':
    case 'EPERM':
      return new SourceError(`${name}: this user may not read it`);
    case 'EISDIR':
      return new SourceError(`${name}: this is a directory, a file is wanted`);
    case 'ENOTDIR':
      return new SourceError(`${name}: there is no such file: a part of its path is no directory`);
    case 'EIO':
    case 'ENXIO':
      return new SourceError(`${name}: the file cannot be read: ${error instanceof Error ? error.message : ''}`);
    default:
      return error;
  }
}
