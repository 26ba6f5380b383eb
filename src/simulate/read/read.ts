/** A recording of any known format, recognised by what it holds, becomes a link. Knows nothing of what is played on it. */
import { readFile } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import type { Link } from '../link.js';
import { csvReader, type RecordReader } from './csv.js';
import { eachLine, type Input, WANTED } from './lines.js';
import { looksLikePing, PingReader } from './ping.js';
import { SourceError, shown } from './problem.js';
import { isTime, noTime } from './times.js';

export interface ReadRun {
  readonly signal?: AbortSignal;
  /** the share of the file that was read, where its size is known */
  readonly progress?: (share: number) => void;
}

export interface Recording {
  readonly link: Link;
  /** what was assumed and left out, for people */
  readonly notes: readonly string[];
}

/** Beside a trace: the Unix ms at which traces of this folder begin, by name. */
const STARTS_FILE = 't0_unix_ms.json';
const HEAD_BYTES = 65_536;
// biome-ignore lint/suspicious/noControlCharactersInRegex: looked for, they are in no text
const BINARY = /[\x01-\x08\x0e-\x1a\x1c-\x1f]/;
const COLUMN_NAMES = /^["\w -]+(,["\w -]+)+$/;

/** @throws SourceError where it is no recording, with the line */
export async function readRecording(input: Input, run: ReadRun = {}): Promise<Recording> {
  let reader: RecordReader | null = null;
  await eachLine(
    input,
    (head) => {
      refuseBinary(input.name, head);
      if (looksLikePing(head.toString('latin1', 0, HEAD_BYTES))) reader = new PingReader(input.name);
    },
    (bytes, from, to, line) => {
      if (reader !== null) reader.line(bytes, from, to, line);
      else reader = byHeader(input.name, bytes.toString('latin1', from, to), line);
    },
    run,
  );
  // Assigned in a closure, which the compiler does not follow.
  const read = reader as RecordReader | null;
  if (read === null) throw new SourceError(`${input.name}: nothing but empty lines`, WANTED);
  const link = read.link(await startOf(input));
  if (link.span.toMs <= link.span.fromMs)
    throw new SourceError(`${input.name}: it covers no time`, 'A recording of some hours is wanted.');
  return { link, notes: read.notes };
}

function byHeader(name: string, header: string, line: number): RecordReader {
  const columns = header.split(',').map((column) => column.trim().replace(/^"(.*)"$/, '$1'));
  const reader = csvReader(name, columns);
  if (reader !== null) return reader;
  const what = BINARY.test(header)
    ? 'this is no text'
    : /^[-\d.,\s]+$/.test(header)
      ? 'the header is missing'
      : COLUMN_NAMES.test(header)
        ? 'no known columns'
        : 'no known format';
  throw new SourceError(`${name}:${line}: ${what}: ${shown(header)}`, WANTED);
}

const MAGIC: readonly (readonly [start: string, what: string, remedy: string])[] = [
  [
    'SQLite format 3\0',
    'this is an SQLite database, a text file is wanted',
    "The daemon's own history is played with --history.",
  ],
  ['\x1f\x8b', 'this is compressed by gzip', 'zcat FILE | backroute simulate --trace -'],
  ['\xfd7zXZ', 'this is compressed by xz', 'xzcat FILE | backroute simulate --trace -'],
  ['\x28\xb5\x2f\xfd', 'this is compressed by zstd', 'zstdcat FILE | backroute simulate --trace -'],
  ['\xff\xfe', 'the file is UTF-16', 'Save it as UTF-8.'],
  ['\xfe\xff', 'the file is UTF-16', 'Save it as UTF-8.'],
  ['\xd4\xc3\xb2\xa1', 'this is a capture of packets', 'Record with ping -D instead.'],
];

function refuseBinary(name: string, head: Buffer): void {
  const start = head.toString('latin1', 0, 16);
  for (const [magic, what, remedy] of MAGIC) if (start.startsWith(magic)) throw new SourceError(`${name}: ${what}`, remedy);
}

/** Null where nothing beside the file says when it began. */
async function startOf({ path }: Input): Promise<number | null> {
  if (path === null) return null;
  const file = join(dirname(path), STARTS_FILE);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch {
    return null;
  }
  let starts: unknown;
  try {
    starts = JSON.parse(text);
  } catch {
    throw new SourceError(`${file}: no JSON`, 'Wanted: {"NAME": Unix ms of the beginning of NAME.csv, ...}');
  }
  const key = basename(path, extname(path));
  const start = typeof starts === 'object' && starts !== null ? (starts as Record<string, unknown>)[key] : undefined;
  if (start === undefined) return null;
  if (typeof start !== 'number' || !Number.isFinite(start)) {
    throw new SourceError(`${file}: ${key}: ${shown(JSON.stringify(start))} is no number`, 'Wanted: Unix ms.');
  }
  if (!isTime(start)) throw noTime(`${file}: ${key}: ${shown(JSON.stringify(start))}`);
  return start;
}
