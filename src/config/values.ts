/**
 * Values that keys of several sections take: times, counts, words, paths. Knows what editors are told of them, not the keys.
 */
import { leaf, type ValueSchema } from './leaf.js';
import {
  type Bounds,
  bad,
  choice,
  DURATION_PATTERN,
  duration,
  formatDuration,
  formatSize,
  good,
  integer,
  type Read,
  type Reader,
  SIZE_PATTERN,
  size,
} from './units.js';

export const time = (description: string, bounds: Bounds, builtIn?: number): ValueSchema<number> =>
  leaf(duration(bounds), {
    type: 'string',
    pattern: DURATION_PATTERN,
    description: `${description} From ${formatDuration(bounds.min)} to ${formatDuration(bounds.max)}.`,
    ...(builtIn === undefined ? {} : { default: formatDuration(builtIn) }),
  });

export const count = (description: string, bounds: Bounds, builtIn: number): ValueSchema<number> =>
  leaf(integer(bounds), { type: 'integer', minimum: bounds.min, maximum: bounds.max, description, default: builtIn });

/** A number that need not be there. */
export const number = (description: string, bounds: Bounds): ValueSchema<number> =>
  leaf(integer(bounds), { type: 'integer', minimum: bounds.min, maximum: bounds.max, description });

export const bytes = (description: string, bounds: Bounds, builtIn?: number): ValueSchema<number> =>
  leaf(size(bounds), {
    type: 'string',
    pattern: SIZE_PATTERN,
    description: `${description} From ${formatSize(bounds.min)} to ${formatSize(bounds.max)}.`,
    ...(builtIn === undefined ? {} : { default: formatSize(builtIn) }),
  });

/** The word off, or what the reader takes. */
export const orOff =
  <T>(reader: Reader<T>): Reader<T | 'off'> =>
  (text) =>
    text === 'off' ? good('off') : reader(text);

/** Of uplinks, channels and followers; parse.ts judges the names itself: it knows the line of a key. */
export const NAME_PATTERN = '^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$';

export const word = <const T extends string>(description: string, builtIn: T, ...choices: readonly T[]): ValueSchema<T> =>
  leaf(choice(...choices), { enum: choices, description, default: builtIn });

/** A path without control characters: it goes into logs, and into other programs' files. */
function readPath(text: string, example: string): Read<string> {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there
  if (!text.startsWith('/') || /[\x00-\x1f\x7f]/.test(text)) return bad('an absolute path is wanted', `such as ${example}`);
  return text.split('/').includes('..') ? bad('a path without .. is wanted', `such as ${example}`) : good(text);
}

export const filePath =
  (example: string): Reader<string> =>
  (text) => {
    const path = readPath(text, example);
    return path.ok && text.endsWith('/') ? bad('the path of a file is wanted, not of a folder', `such as ${example}`) : path;
  };

export const folderPath =
  (example: string): Reader<string> =>
  (text) => {
    const path = readPath(text, example);
    return path.ok && path.value !== '/' ? good(path.value.replace(/\/+$/, '')) : path;
  };

/** The schema of a file's path. */
export const file = (description: string, example: string, builtIn?: string): ValueSchema<string> =>
  leaf(filePath(example), { type: 'string', pattern: '^/', description, ...(builtIn === undefined ? {} : { default: builtIn }) });
