/**
 * What the unprivileged daemon and the root helper say to each other: JSON lines over a unix socket. The daemon can only name
 * what the administrator's own configuration holds: a follower and an uplink, or a notice for the hooks. No command, path or
 * secret ever travels here.
 */
import type { FollowOutcome, Notice } from '../../core/action.js';

/** What only the daemon knows of the uplinks. */
export interface Facts {
  /** uplinks that work now: sessions through these are left to end by themselves */
  readonly works: readonly string[];
  readonly interfaces: Readonly<Record<string, string>>;
}

export type Request =
  | { readonly type: 'follow'; readonly run: number; readonly follower: string; readonly uplink: string; readonly facts: Facts }
  | { readonly type: 'cancel'; readonly run: number }
  | { readonly type: 'hooks'; readonly notice: Notice };

export type Answer =
  | { readonly type: 'finished'; readonly outcome: FollowOutcome }
  | { readonly type: 'log'; readonly severity: 'info' | 'warning' | 'error'; readonly text: string };

/** A line longer than this is no request of ours. */
export const MAX_LINE_BYTES = 256 * 1024;

/** Splits a stream into lines; gives up on one that never ends. @throws when a line is too long */
export class LineReader {
  #rest = '';

  push(chunk: string): string[] {
    this.#rest += chunk;
    const lines = this.#rest.split('\n');
    this.#rest = lines.pop() ?? '';
    if ([this.#rest, ...lines].some((line) => line.length > MAX_LINE_BYTES)) throw new Error('a line is too long');
    return lines.filter((line) => line !== '');
  }
}

/** null for anything that is no request. */
export function parseRequest(line: string): Request | null {
  const value = parseObject(line);
  if (value === null) return null;
  const { type, run, follower, uplink, notice, facts } = value;
  if (type === 'follow' && isRun(run) && typeof follower === 'string' && typeof uplink === 'string' && isFacts(facts)) {
    return { type, run, follower, uplink, facts };
  }
  if (type === 'cancel' && isRun(run)) return { type, run };
  if (type === 'hooks' && isNotice(notice)) return { type, notice };
  return null;
}

/** null for anything that is no answer. */
export function parseAnswer(line: string): Answer | null {
  const value = parseObject(line);
  if (value === null) return null;
  const { type, outcome, severity, text } = value;
  if (type === 'log' && typeof text === 'string' && (severity === 'info' || severity === 'warning' || severity === 'error')) {
    return { type, severity, text };
  }
  if (type !== 'finished' || !isObject(outcome) || !isRun(outcome.run) || typeof outcome.text !== 'string') return null;
  const { run, ok, changed, rolledBack, superseded } = outcome;
  return {
    type,
    outcome: {
      run,
      ok: ok === true,
      changed: changed === true,
      rolledBack: typeof rolledBack === 'boolean' ? rolledBack : null,
      superseded: superseded === true,
      text: outcome.text,
    },
  };
}

function parseObject(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isFacts(value: unknown): value is Facts {
  if (!isObject(value) || !Array.isArray(value.works) || !isObject(value.interfaces)) return false;
  const words = [...value.works, ...Object.values(value.interfaces)];
  // An interface's name goes into an argument list: nothing but a name may stand there.
  return words.every((word) => typeof word === 'string' && /^[A-Za-z0-9_.:-]{1,64}$/.test(word) && !word.startsWith('-'));
}

/** What a Date can hold: ECMA-262, time values. */
function isTime(value: unknown): value is number {
  return typeof value === 'number' && Math.abs(value) <= 8.64e15;
}

function isRun(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value);
}

/** The shape that hooks read; a daemon taken over could lie in the words, not in the types. */
function isNotice(value: unknown): value is Notice {
  if (!isObject(value)) return false;
  const words = ['id', 'thread', 'topic', 'severity', 'subject'];
  const wordsOrNull = ['uplink', 'from', 'to', 'reason'];
  return (
    words.every((key) => typeof value[key] === 'string') &&
    wordsOrNull.every((key) => value[key] === null || typeof value[key] === 'string') &&
    (value.family === null || value.family === 4 || value.family === 6) &&
    isTime(value.wallMs) &&
    isTime(value.sinceWallMs) &&
    (value.outageMs === null || typeof value.outageMs === 'number') &&
    Array.isArray(value.text) &&
    value.text.every((line) => typeof line === 'string') &&
    Array.isArray(value.active) &&
    value.active.every((one) => isObject(one) && (one.uplink === null || typeof one.uplink === 'string')) &&
    Array.isArray(value.figures) &&
    value.figures.every(isObject) &&
    typeof value.folded === 'number'
  );
}
