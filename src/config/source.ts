/**
 * YAML text to plain values with every scalar left as text (a file mode 0660 or a key `off` must not become a number or a
 * boolean), and the way back from a path to its line. Finds syntax errors and duplicate keys. Knows no key of ours.
 */
import {
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  type ParsedNode,
  parseDocument,
} from 'yaml';
import { MAX_ALIASES } from './defaults.js';
import { formatPath, type Path, type Problem } from './problem.js';

export interface Place {
  readonly line: number;
  readonly column: number;
}

/** Where things stand in one file. */
export interface Source {
  readonly file: string;
  /** the place of a value; of its nearest ancestor where the path does not exist */
  place(path: Path): Place;
  /** the place of the key, for what is wrong with a name */
  placeOfKey(path: Path): Place;
  /** the text of a single value, `a mapping`, `a list`, `nothing`; null = the path does not exist */
  textAt(path: Path): string | null;
  /** keys of a mapping in the order of the file (a plain object would put 2 before 10) */
  keysAt(path: Path): string[];
}

export type SourceResult =
  | { readonly ok: true; readonly value: unknown; readonly source: Source; readonly problems: readonly Problem[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Letters of a value that a problem quotes. */
const MAX_FOUND = 200;
const MAX_SYNTAX_ERRORS = 20;
const MAX_DEPTH = 30;
/** Values in all, repetitions counted. */
const MAX_NODES = 100_000;

export function fileProblem(file: string, message: string, hint: string | null = null): Problem {
  return { severity: 'error', file, line: 0, column: 0, path: '', found: null, message, allowed: null, hint };
}

export function readSource(text: string, file: string): SourceResult {
  const excess = tooMuch(text);
  if (excess !== null) {
    const before = text.slice(0, excess.offset).split('\n');
    return {
      ok: false,
      problems: [{ ...fileProblem(file, excess.message), line: before.length, column: (before.at(-1)?.length ?? 0) + 1 }],
    };
  }
  const lines = new LineCounter();
  // The library's own search for duplicates takes time with the square of the keys: it is done here.
  const document = parseDocument(text, {
    schema: 'failsafe',
    lineCounter: lines,
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'error',
  });
  if (document.errors.length > 0) {
    const problems = document.errors.slice(0, MAX_SYNTAX_ERRORS).map((error): Problem => {
      const { line, col } = lines.linePos(error.pos[0]);
      // The library reports its own exhausted stack as an error of the file.
      const why = error.message.includes('call stack') ? 'too many levels in one another' : error.message.replace(/\.$/, '');
      const message = `this is no valid YAML: ${why}`;
      return { ...fileProblem(file, message), line: Math.max(1, line), column: Math.max(1, col) };
    });
    return { ok: false, problems };
  }
  if (document.contents === null || (isScalar(document.contents) && document.contents.value === '')) {
    return {
      ok: false,
      problems: [fileProblem(file, 'the file says nothing', 'It needs at least uplinks: with one uplink and its gateway.')],
    };
  }
  const reader = new PlainReader(document, file, lines);
  const value = reader.read(document.contents, []);
  const source = new YamlSource(document, file, lines, reader.anchors);
  return reader.refused === null
    ? { ok: true, value, source, problems: reader.problems }
    : { ok: false, problems: [reader.refused] };
}

/**
 * Counted before anything is built of them: the library takes 3 s and 400 MB for a megabyte of the worst YAML, while
 * routing waits. Sixty-three uplinks with every key written out have 20,000.
 */
const MAX_TOKENS = 30_000;
/** The library nests calls as deep as the brackets are. */
const MAX_BRACKETS = 100;

/** Tokens that stand for no text: document start, end of flow, scalar follows. */
const LEXER_MARKS: ReadonlySet<string> = new Set(['\u0002', '\u0018', '\u001f']);

function tooMuch(text: string): { message: string; offset: number } | null {
  let offset = 0;
  let tokens = 0;
  let depth = 0;
  for (const token of new Lexer().lex(text)) {
    if (token === '[' || token === '{') depth++;
    else if (token === ']' || token === '}') depth = Math.max(0, depth - 1);
    if (depth > MAX_BRACKETS) return { message: 'too many brackets in one another', offset };
    if (++tokens > MAX_TOKENS)
      return { message: `more than ${MAX_TOKENS} words and signs: no configuration needs so many`, offset };
    if (!LEXER_MARKS.has(token)) offset += token.length;
  }
  return null;
}

type Anchors = ReadonlyMap<string, Node>;

class PlainReader {
  readonly problems: Problem[] = [];
  /** set where the file as a whole is not to be trusted */
  refused: Problem | null = null;
  readonly anchors = new Map<string, Node>();
  #aliases = 0;
  #nodes = 0;

  constructor(
    readonly document: Document.Parsed,
    readonly file: string,
    readonly lines: LineCounter,
  ) {}

  read(node: Node | ParsedNode | null | undefined, path: Path): unknown {
    if (this.refused !== null || node === null || node === undefined) return '';
    this.#nodes++;
    if (this.#nodes > MAX_NODES) return this.#refuse(node, path, `more than ${MAX_NODES} values`);
    if (path.length > MAX_DEPTH) return this.#refuse(node, path, 'too many levels in one another');
    if (isAlias(node)) {
      const target = this.anchors.get(node.source);
      if (target === undefined) return this.#complain(node, path, `there is no &${node.source} before this place`);
      this.#aliases++;
      if (this.#aliases > MAX_ALIASES) return this.#refuse(node, path, `more than ${MAX_ALIASES} repetitions by alias (*name)`);
      return this.read(target, path);
    }
    let value: unknown;
    if (isMap(node)) value = this.#mapping(node.items, path);
    else if (isSeq(node)) value = node.items.map((item, index) => this.read(item as Node, [...path, index]));
    else value = isScalar(node) && typeof node.value === 'string' ? node.value : '';
    // Only now: an alias inside its own anchor has nothing to repeat yet.
    if ('anchor' in node && node.anchor !== undefined) this.anchors.set(node.anchor, node);
    return value;
  }

  #mapping(items: readonly unknown[], path: Path): Record<string, unknown> {
    // No prototype: __proto__ is a key like any other.
    const result: Record<string, unknown> = Object.create(null);
    const seen = new Map<string, Node>();
    for (const pair of items) {
      if (!isPair(pair)) continue;
      const key = pair.key as Node;
      if (!isScalar(key) || typeof key.value !== 'string') {
        this.#complain(key, path, 'a key must be a plain word');
        continue;
      }
      const first = seen.get(key.value);
      if (first !== undefined) {
        const line = this.#place(first).line;
        this.#complain(
          key,
          [...path, key.value],
          `the same name stands in line ${line} already`,
          'Keep one of them, or give one another name.',
        );
        continue;
      }
      seen.set(key.value, key);
      result[key.value] = this.read(pair.value as Node | null, [...path, key.value]);
    }
    return result;
  }

  #place(node: Node): Place {
    const { line, col } = this.lines.linePos(node.range?.[0] ?? 0);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }

  #problem(node: Node, path: Path, message: string, hint: string | null): Problem {
    return { ...fileProblem(this.file, message, hint), ...this.#place(node), path: formatPath(path) };
  }

  #complain(node: Node, path: Path, message: string, hint: string | null = null): string {
    this.problems.push(this.#problem(node, path, message, hint));
    return '';
  }

  #refuse(node: Node, path: Path, message: string): string {
    this.refused = this.#problem(node, path, message, null);
    return '';
  }
}

class YamlSource implements Source {
  constructor(
    readonly document: Document.Parsed,
    readonly file: string,
    readonly lines: LineCounter,
    readonly anchors: Anchors,
  ) {}

  place(path: Path): Place {
    const { key, value } = this.#find(path);
    // A mapping or list is best shown by its key; a value of its own line (a block scalar, a list entry) by itself.
    const node =
      value !== null && !isMap(value) && !isSeq(value) && (value.range?.[0] ?? 0) < (value.range?.[1] ?? 0)
        ? value
        : (key ?? value);
    return this.#placeOf(node);
  }

  placeOfKey(path: Path): Place {
    const { key, value } = this.#find(path);
    return this.#placeOf(key ?? value);
  }

  textAt(path: Path): string | null {
    const { value, exact } = this.#find(path);
    if (!exact) return null;
    if (isMap(value)) return 'a mapping';
    if (isSeq(value)) return 'a list';
    if (!isScalar(value) || typeof value.value !== 'string' || value.value === '') return 'nothing';
    return value.value.slice(0, MAX_FOUND);
  }

  keysAt(path: Path): string[] {
    const { value, exact } = this.#find(path);
    if (!exact || !isMap(value)) return [];
    const keys = value.items.map((pair) => (isScalar(pair.key) && typeof pair.key.value === 'string' ? pair.key.value : null));
    return [...new Set(keys.filter((key) => key !== null))];
  }

  #placeOf(node: Node | null): Place {
    const { line, col } = this.lines.linePos(node?.range?.[0] ?? 0);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }

  #resolve(node: Node | null): Node | null {
    return isAlias(node) ? (this.anchors.get(node.source) ?? null) : node;
  }

  #find(path: Path): { key: Node | null; value: Node | null; exact: boolean } {
    let key: Node | null = null;
    let value = this.#resolve(this.document.contents);
    for (const step of path) {
      if (isMap(value) && typeof step === 'string') {
        const pair = value.items.find((item) => isScalar(item.key) && item.key.value === step);
        if (pair === undefined) return { key, value, exact: false };
        key = pair.key as Node;
        value = this.#resolve(pair.value as Node | null);
      } else if (isSeq(value) && typeof step === 'number' && step < value.items.length) {
        value = this.#resolve(value.items[step] as Node);
        key = value;
      } else {
        return { key, value, exact: false };
      }
    }
    return { key, value, exact: true };
  }
}
