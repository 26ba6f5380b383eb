/**
 * The lease database of ISC dhclient: dhclient.leases(5), and what dhclient writes beyond it. A journal that is appended to: the
 * last lease of an interface counts. Takes whatever bytes there are: what cannot be read is passed over. Pure.
 */
import { delegatedPrefix, isInterfaceName, type LeaseWord, nextHop } from './word.js';

interface Statement {
  readonly words: readonly string[];
  /** null = it ended with a semicolon */
  readonly block: readonly Statement[] | null;
}

/** Deeper than ia-pd in lease6 nothing is nested; a file that is has not been written by dhclient. */
const MAX_DEPTH = 8;

/**
 * The last word for each interface and family, expired or not. A lease that is only half there (it is being written, or the
 * reader began in the middle) counts for nothing.
 */
export function parseDhclientLeases(text: string, source: string): LeaseWord[] {
  const last = new Map<string, LeaseWord>();
  for (const chunk of text.split(/^(?=lease6?[ \t]*\{)/m)) {
    const lease = parseStatement(chunk);
    const read = lease?.words[0] === 'lease' ? wordOfLease4 : lease?.words[0] === 'lease6' ? wordOfLease6 : null;
    const word = lease !== null && read !== null ? read(lease, source) : null;
    if (word !== null) last.set(`${word.interface} ${word.family}`, word);
  }
  return [...last.values()];
}

function wordOfLease4(lease: Statement, source: string): LeaseWord | null {
  const name = wordAfter(lease, 'interface');
  const expires = parseExpire(findStatement(lease, 'expire')?.words.slice(1) ?? []);
  if (name === null || !isInterfaceName(name) || expires === undefined) return null;
  return {
    interface: name,
    family: 4,
    source,
    gateway: gatewayOf(lease),
    prefix: null,
    expiresWallMs: expires,
  };
}

/** A client that was given classless routes must not look at the routers: RFC 3442. */
function gatewayOf(lease: Statement): string | null {
  const option = (name: string) => lease.block?.find((one) => one.words[0] === 'option' && one.words[1] === name)?.words.slice(2);
  const classless = option('rfc3442-classless-static-routes') ?? option('classless-static-routes') ?? option('unknown-121');
  if (classless !== undefined) return defaultOfClasslessRoutes(classless.join(' '));
  return nextHop(option('routers')?.[0]?.split(',')[0] ?? '', 4);
}

/** `0,10,1,0,1` (decimal) or `0:a:1:0:1` (hexadecimal): width, significant octets, router; again and again. */
export function defaultOfClasslessRoutes(text: string): string | null {
  const hex = text.includes(':');
  const bytes = text.split(/[\s,:]+/).map((part) => Number.parseInt(part, hex ? 16 : 10));
  if (bytes.some((byte) => !(byte >= 0 && byte <= 255))) return null;
  for (let at = 0; at < bytes.length; ) {
    const width = bytes[at] ?? 0;
    if (width > 32) return null;
    const router = at + 1 + Math.ceil(width / 8);
    if (router + 4 > bytes.length) return null;
    if (width === 0) return nextHop(bytes.slice(router, router + 4).join('.'), 4);
    at = router + 4;
  }
  return null;
}

function wordOfLease6(lease: Statement, source: string): LeaseWord | null {
  const name = wordAfter(lease, 'interface');
  if (name === null || !isInterfaceName(name)) return null;
  const none: LeaseWord = { interface: name, family: 6, source, gateway: null, prefix: null, expiresWallMs: null };
  if (findStatement(lease, 'released') !== null) return none;
  for (const association of lease.block?.filter((one) => one.words[0] === 'ia-pd') ?? []) {
    for (const delegated of association.block?.filter((one) => one.words[0] === 'iaprefix') ?? []) {
      const prefix = delegatedPrefix(delegated.words[1] ?? '');
      const starts = Number(wordAfter(delegated, 'starts') ?? Number.NaN);
      const life = Number(wordAfter(delegated, 'max-life') ?? Number.NaN);
      if (prefix === null || !Number.isFinite(starts) || !(life > 0)) continue;
      // 0xffffffff is for ever: RFC 8415, 7.7
      return { ...none, prefix, expiresWallMs: life >= 0xffffffff ? null : (starts + life) * 1000 };
    }
  }
  return none;
}

/**
 * `never`, `epoch SECONDS`, or `WEEKDAY YEAR/MONTH/DAY HOUR:MINUTE:SECOND` in UTC; nothing at all = never (BOOTP).
 * @returns Unix ms, null = never, undefined = not understood
 */
function parseExpire(words: readonly string[]): number | null | undefined {
  if (words.length === 0 || words[0] === 'never') return null;
  if (words[0] === 'epoch') return /^\d{1,12}$/.test(words[1] ?? '') ? Number(words[1]) * 1000 : undefined;
  const [, date = '', time = ''] = words;
  const match = /^(\d{4,5})\/(\d\d?)\/(\d\d?) (\d\d?):(\d\d?):(\d\d?)$/.exec(`${date} ${time}`);
  if (match === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

function findStatement(parent: Statement, word: string): Statement | null {
  return parent.block?.find((one) => one.words[0] === word) ?? null;
}

function wordAfter(parent: Statement, word: string): string | null {
  return findStatement(parent, word)?.words[1] ?? null;
}

/** The one statement that a chunk begins with; null when its end is missing. What follows it is left aside. */
function parseStatement(chunk: string): Statement | null {
  const open: { words: string[]; block: Statement[] }[] = [];
  let words: string[] = [];
  // A quoted string (its own quotes and backslashes are escaped), a comment, a mark, or a word. A string without an end matches
  // to the end of the text: tried again from each quote in it, a hostile file would take hours.
  for (const match of chunk.matchAll(/"((?:[^"\\]|\\[\s\S]?)*)("|$)|#[^\n]*|([{};])|([^\s{};"#]+)/g)) {
    const [whole, quoted, end, mark, word] = match;
    if (end === '') return null;
    if (quoted !== undefined) words.push(quoted.replace(/\\(.)/g, '$1'));
    else if (word !== undefined) words.push(word);
    else if (mark === '{') {
      if (open.length >= MAX_DEPTH) return null;
      open.push({ words, block: [] });
      words = [];
    } else if (mark === ';') {
      if (open.length === 0) return null;
      open.at(-1)?.block.push({ words, block: null });
      words = [];
    } else if (mark === '}') {
      const closed = open.pop();
      if (closed === undefined) return null;
      const parent = open.at(-1);
      if (parent === undefined) return closed;
      parent.block.push(closed);
      words = [];
    } else if (!whole.startsWith('#')) return null;
  }
  return null;
}
