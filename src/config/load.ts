/**
 * Reads a configuration file: what can be wrong before its first letter is looked at. Knows nothing of YAML.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { MAX_FILE_BYTES } from './defaults.js';
import { type ParseResult, parseConfig } from './parse.js';
import { fileProblem } from './source.js';

/** Never rejects: what the system says of the file is a problem like any other. */
export async function loadConfig(path: string): Promise<ParseResult> {
  const refuse = (message: string, hint: string | null = null): ParseResult => ({
    ok: false,
    problems: [fileProblem(path, message, hint)],
  });
  let bytes: Uint8Array;
  try {
    // O_NONBLOCK: opening a FIFO that nobody writes to would wait for ever.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = await file.stat();
      if (stat.isDirectory()) return refuse('this is a directory, a file is wanted');
      if (!stat.isFile()) return refuse('this is no regular file');
      if (stat.size > MAX_FILE_BYTES)
        return refuse(`the file is too large: ${(stat.size / 1024 / 1024).toFixed(1)} MiB, at most 1 MiB is read`);
      bytes = await readWhole(file);
    } finally {
      await file.close();
    }
  } catch (error) {
    return refuse(...sayWhy(error));
  }
  if (bytes.length > MAX_FILE_BYTES) return refuse('the file grows while it is read: at most 1 MiB is read');
  return parseBytes(bytes, path);
}

/** The same for bytes that are at hand. */
export function parseBytes(bytes: Uint8Array, file: string): ParseResult {
  const refuse = (message: string, hint: string | null = null): ParseResult => ({
    ok: false,
    problems: [fileProblem(file, message, hint)],
  });
  if (bytes.length === 0) return refuse('the file is empty', 'It needs at least uplinks: with one uplink and its gateway.');
  const utf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  if (utf16) return refuse('the file is UTF-16', 'Save it as UTF-8.');
  if (bytes.includes(0)) return refuse('the file is binary: it holds NUL bytes', 'A text file in YAML is wanted.');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return refuse('the file is not UTF-8', 'Save it as UTF-8; a binary file is no configuration.');
  }
  return parseConfig(text, file);
}

async function readWhole(file: FileHandle): Promise<Uint8Array> {
  // One byte more than allowed, so that a file which has grown since is seen.
  const buffer = new Uint8Array(MAX_FILE_BYTES + 1);
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return buffer.subarray(0, length);
}

function sayWhy(error: unknown): [message: string, hint: string | null] {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  switch (code) {
    case 'ENOENT':
      return ['there is no such file', 'Name another one with --config FILE.'];
    case 'ENOTDIR':
      return ['there is no such file: a part of its path is no directory', null];
    case 'EACCES':
    case 'EPERM':
      return ['this user may not read the file', 'Run as root or change its permissions.'];
    case 'ELOOP':
      return ['its symbolic links lead in a circle', null];
    default:
      return [`the file cannot be read: ${error instanceof Error ? error.message : String(error)}`, null];
  }
}
