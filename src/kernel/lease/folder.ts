/**
 * Reads the small files of one folder as far as they can be trusted: regular files, by no symbolic link, of an owner who may
 * say so, not writable for strangers, of bounded size and number. Never waits for a pipe, never throws. Knows no format.
 */
import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';

export interface FolderRules {
  readonly matches: (name: string) => boolean;
  /** of a larger file only the end is read, or, with `whole`, nothing */
  readonly maxBytes: number;
  readonly whole: boolean;
  /** the folder itself must be root's or ours, and neither it nor its files writable for a group */
  readonly strict: boolean;
}

export interface FolderFile {
  readonly name: string;
  readonly path: string;
  readonly text: string;
  readonly writtenWallMs: number;
}

export interface FolderReading {
  readonly files: readonly FolderFile[];
  /** sentences for people; about what is not read, and why */
  readonly problems: readonly string[];
  /** false: what is there is not known (no right, I/O error): keep to what was known before */
  readonly complete: boolean;
}

const MAX_FILES = 256;
const GROUP_WRITABLE = 0o020;
const WORLD_WRITABLE = 0o002;

export async function readFolder(folder: string, rules: FolderRules): Promise<FolderReading> {
  const problems: string[] = [];
  let names: string[];
  try {
    const wrong = rules.strict ? await whatIsWrong(folder) : null;
    if (wrong !== null) return { files: [], problems: [`${folder} is not read: ${wrong}`], complete: true };
    names = (await readdir(folder)).filter(rules.matches).sort();
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return { files: [], problems: [], complete: true };
    return { files: [], problems: [`${folder} cannot be read: ${code}`], complete: false };
  }
  if (names.length > MAX_FILES) problems.push(`${folder} holds ${names.length} files: only the first ${MAX_FILES} are read`);
  const files: FolderFile[] = [];
  let complete = true;
  for (const name of names.slice(0, MAX_FILES)) {
    const path = join(folder, name);
    try {
      const file = await readOne(path, rules);
      if (typeof file === 'string') problems.push(`${path} is not read: ${file}`);
      else files.push({ name, path, ...file });
    } catch (error) {
      const code = errorCode(error);
      // Gone since the folder was listed.
      if (code === 'ENOENT') continue;
      if (code === 'ELOOP') problems.push(`${path} is not read: it is a symbolic link`);
      else {
        problems.push(`${path} cannot be read: ${code}`);
        complete = false;
      }
    }
  }
  return { files, problems, complete };
}

async function whatIsWrong(folder: string): Promise<string | null> {
  const stat = await lstat(folder);
  if (stat.isSymbolicLink()) return 'it is a symbolic link';
  if (!stat.isDirectory()) return 'it is no folder';
  if (!isTrusted(stat.uid)) return `it belongs to user ${stat.uid}, not to root or to this program`;
  return (stat.mode & (GROUP_WRITABLE | WORLD_WRITABLE)) === 0 ? null : 'others may write into it';
}

/** @returns the file, or why it is not read */
async function readOne(path: string, rules: FolderRules): Promise<string | { text: string; writtenWallMs: number }> {
  // O_NONBLOCK: opening a pipe must not wait for its writer.
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stat = await file.stat();
    if (!stat.isFile()) return 'it is no regular file';
    if (rules.strict && !isTrusted(stat.uid)) return `it belongs to user ${stat.uid}, not to root or to this program`;
    if ((stat.mode & (rules.strict ? GROUP_WRITABLE | WORLD_WRITABLE : WORLD_WRITABLE)) !== 0) return 'others may write into it';
    if (rules.whole && stat.size > rules.maxBytes) return `it holds ${stat.size} bytes`;
    return { text: await readEnd(file, stat.size, rules.maxBytes), writtenWallMs: stat.mtimeMs };
  } finally {
    await file.close();
  }
}

async function readEnd(file: FileHandle, size: number, maxBytes: number): Promise<string> {
  const bytes = Buffer.alloc(Math.min(size, maxBytes));
  let filled = 0;
  while (filled < bytes.length) {
    const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, size - bytes.length + filled);
    // Cut short since it was measured.
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.toString('utf8', 0, filled);
}

function isTrusted(uid: number): boolean {
  return uid === 0 || uid === process.getuid?.();
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : String(error);
}
