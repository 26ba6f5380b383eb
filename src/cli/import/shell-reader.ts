/**
 * Reads the text of a shell script without running any of it: which commands stand there, and what its constants are. What
 * only a shell could know ($(…), positional parameters, patterns) stays unknown, with the reason. Knows nothing of routes.
 * Source: POSIX.1-2017, Shell Command Language, sections 2.2 to 2.10.
 */
import type { Environment, Value } from './environment.js';
import { joined } from './environment.js';
import { COMMAND, dollarLength, expand } from './expansion.js';
import { closingParenthesis, closingQuote, letterLength } from './shell-quotes.js';

export interface Word extends Value {
  /** as it stands there */
  readonly raw: string;
}

export interface Assignment {
  readonly name: string;
  readonly value: Word;
  /** a branch, a loop or a function may or may not set it */
  readonly certain: boolean;
}

/** One simple command, or assignments alone. */
export interface Statement {
  /** from 1 */
  readonly line: number;
  readonly words: readonly Word[];
  readonly assignments: readonly Assignment[];
  /** `>` and `>>` with their targets */
  readonly output: readonly Word[];
  /** statements of one branch have the same number */
  readonly block: number;
  /** set where the block is a function's body */
  readonly inFunction: string | null;
  /** more than a plain command: its output goes on, or it hangs on another's success */
  readonly joined: boolean;
}

/** No script of constants comes near. */
export const MAX_STATEMENTS = 5_000;

const OPENING: ReadonlySet<string> = new Set(['if', 'while', 'until', 'for', 'select', 'case', '{']);
const CLOSING: ReadonlySet<string> = new Set(['fi', 'done', 'esac', '}']);
const TURNING: ReadonlySet<string> = new Set(['then', 'else', 'elif', 'do']);
const NOTHING: ReadonlySet<string> = new Set(['!', 'time']);
const DECLARING: ReadonlySet<string> = new Set(['export', 'readonly', 'declare', 'typeset', 'local']);

/** `environment`: what earlier files have set; it is carried on. Never throws. */
export function readShell(text: string, environment: Environment): readonly Statement[] {
  return new ShellReader(text, environment).read();
}

class ShellReader {
  readonly #statements: Statement[] = [];
  #at = 0;
  #line = 1;
  #depth = 0;
  #parentheses = 0;
  #block = 0;
  #function: { readonly name: string; readonly depth: number } | null = null;
  #joined = false;
  #open: { line: number; words: Word[]; output: Word[] } | null = null;
  /** delimiters of here documents whose text begins in the next line */
  #documents: { readonly end: string; readonly tabs: boolean }[] = [];

  constructor(
    readonly text: string,
    readonly environment: Environment,
  ) {}

  read(): readonly Statement[] {
    while (this.#at < this.text.length && this.#statements.length < MAX_STATEMENTS) this.#step();
    this.#end(false);
    return this.#statements;
  }

  #step(): void {
    const sign = this.text[this.#at] ?? '';
    if (sign === '\n') this.#newline();
    else if (sign === ' ' || sign === '\t') this.#at++;
    else if (sign === '\\' && this.text[this.#at + 1] === '\n') this.#skip(2);
    else if (sign === '#') this.#at = this.#lineEnd();
    else if (sign === '<' || sign === '>') this.#redirect('1');
    else if (';&|'.includes(sign)) this.#operator(sign);
    else if (sign === '(' || sign === ')') this.#parenthesis(sign);
    else {
      const line = this.#line;
      const word = this.#word();
      const next = this.text[this.#at];
      if (/^\d$/.test(word.raw) && (next === '<' || next === '>')) this.#redirect(word.raw);
      else this.#take(word, line);
    }
  }

  /** Goes on by so many letters, and counts the lines among them. */
  #skip(letters: number): string {
    const passed = this.text.slice(this.#at, this.#at + letters);
    this.#at += letters;
    for (const letter of passed) if (letter === '\n') this.#line++;
    return passed;
  }

  #lineEnd(): number {
    const end = this.text.indexOf('\n', this.#at);
    return end < 0 ? this.text.length : end;
  }

  #newline(): void {
    this.#end(false);
    this.#skip(1);
    for (const { end, tabs } of this.#documents.splice(0)) {
      while (this.#at < this.text.length) {
        const line = this.text.slice(this.#at, this.#lineEnd());
        this.#skip(line.length + 1);
        if ((tabs ? line.replace(/^\t+/, '') : line) === end) break;
      }
    }
  }

  #operator(sign: string): void {
    const double = this.text[this.#at + 1] === sign;
    this.#end(sign !== ';' && (double || sign === '|'));
    this.#at += double ? 2 : 1;
    if (sign === ';' && double) this.#block++;
  }

  #parenthesis(sign: string): void {
    const [name, ...more] = this.#open?.words ?? [];
    if (sign === '(' && name !== undefined && more.length === 0 && /^\(\s*\)/.test(this.text.slice(this.#at, this.#at + 10))) {
      this.#header(name.raw);
      this.#skip(this.text.indexOf(')', this.#at) - this.#at + 1);
      return;
    }
    // In front of a closing one that nothing has opened stands a pattern of `case`.
    if (sign === ')' && this.#parentheses === 0 && this.#depth > 0) this.#open = null;
    this.#parentheses = Math.max(0, this.#parentheses + (sign === '(' ? 1 : -1));
    this.#end(false);
    this.#at++;
  }

  #header(name: string): void {
    this.#open = null;
    this.#block++;
    this.#function ??= { name, depth: this.#depth };
  }

  /** `channel`: the number in front of the sign; only what standard output writes to matters. */
  #redirect(channel: string): void {
    const sign = /^(<<<|<<-?|>>|>\||[<>]&|<>|<|>)/.exec(this.text.slice(this.#at, this.#at + 3))?.[0] ?? '<';
    this.#at += sign.length;
    while (this.text[this.#at] === ' ' || this.text[this.#at] === '\t') this.#at++;
    const line = this.#line;
    const target = this.#word();
    if (sign === '<<' || sign === '<<-') {
      this.#documents.push({ end: target.raw.replace(/['"\\]/g, ''), tabs: sign === '<<-' });
    }
    if (channel === '1' && (sign === '>' || sign === '>>' || sign === '>|')) this.#opened(line).output.push(target);
  }

  #opened(line: number): { line: number; words: Word[]; output: Word[] } {
    this.#open ??= { line, words: [], output: [] };
    return this.#open;
  }

  #take(word: Word, line: number): void {
    if ((this.#open === null || this.#open.words.length === 0) && this.#reserved(word.raw)) return;
    this.#opened(line).words.push(word);
  }

  /** Words of the grammar, where a command may begin. */
  #reserved(raw: string): boolean {
    if (raw === 'function') {
      const name = /^[ \t]*([\w-]+)[ \t]*(\(\s*\))?/.exec(this.text.slice(this.#at, this.#at + 200));
      this.#header(name?.[1] ?? '');
      this.#skip(name?.[0].length ?? 0);
    } else if (OPENING.has(raw)) {
      this.#depth++;
      this.#block++;
      // What a loop runs over and what a case looks at is no command.
      if (raw === 'for' || raw === 'select') this.#skip(/^[^\n;]*/.exec(this.text.slice(this.#at))?.[0].length ?? 0);
      if (raw === 'case') this.#skip(/^[^\n]*?\bin\b|^[^\n]*/.exec(this.text.slice(this.#at))?.[0].length ?? 0);
    } else if (CLOSING.has(raw)) {
      this.#depth = Math.max(0, this.#depth - 1);
      this.#block++;
      if (this.#function !== null && this.#depth <= this.#function.depth) this.#function = null;
    } else if (TURNING.has(raw)) this.#block++;
    else return NOTHING.has(raw);
    this.#open = null;
    return true;
  }

  #end(joins: boolean): void {
    const open = this.#open;
    this.#open = null;
    const depends = this.#joined || joins;
    this.#joined = joins;
    if (open === null || (open.words.length === 0 && open.output.length === 0)) return;
    // Behind && and || it hangs on another's success.
    const certain = this.#depth === 0 && this.#function === null && !depends;
    const { assignments, words } = split(open.words, certain);
    for (const { name, value } of assignments) {
      // In front of a command it holds for that one alone.
      if (words.length === 0 || DECLARING.has(words[0]?.raw ?? '')) this.environment.set(name, certain ? value : unsure(name));
    }
    for (const { name, value } of this.environment.takeAssumed()) {
      assignments.push({ name, value: { raw: value.value ?? '', ...value }, certain });
    }
    const block = this.#block;
    this.#statements.push({
      line: open.line,
      words,
      assignments,
      output: open.output,
      block,
      inFunction: this.#function?.name ?? null,
      joined: depends,
    });
  }

  #word(): Word {
    const start = this.#at;
    const parts: Value[] = [];
    while (this.#at < this.text.length) {
      const sign = this.text[this.#at] ?? '';
      if (/[ \t\n;&|<>()]/.test(sign)) {
        if (sign !== '(' || !/^\w+\+?=$/.test(this.text.slice(start, this.#at))) break;
        parts.push({ value: null, unknown: 'it is a list of the shell' });
        this.#skip(closingParenthesis(this.text, this.#at + 1) - this.#at);
        continue;
      }
      parts.push(this.#part(sign));
    }
    const raw = this.text.slice(start, this.#at);
    // Nothing at all, behind a sign that wants a word: it is not waited for.
    return { raw, ...joined(parts) };
  }

  #part(sign: string): Value {
    switch (sign) {
      case '\\': {
        const passed = this.#skip(2);
        return { value: passed === '\\\n' ? '' : passed.slice(1), unknown: null };
      }
      case "'":
      case '"': {
        const end = closingQuote(this.text, this.#at);
        const inner = this.#skip(end - this.#at);
        const text = inner.slice(1, inner.length > 1 && inner.endsWith(sign) ? -1 : undefined);
        return sign === "'" ? { value: text, unknown: null } : expand(text, this.environment, true, 0);
      }
      case '`': {
        this.#skip(closingQuote(this.text, this.#at) - this.#at);
        return COMMAND;
      }
      case '$': {
        const length = dollarLength(this.text, this.#at);
        return expand(this.#skip(length), this.environment, false, 0);
      }
      default:
        return { value: this.#skip(letterLength(this.text, this.#at)), unknown: null };
    }
  }
}

function unsure(name: string): Value {
  return { value: null, unknown: `$${name} is set under a condition only` };
}

function split(words: readonly Word[], certain: boolean): { assignments: Assignment[]; words: Word[] } {
  const assignments: Assignment[] = [];
  const rest: Word[] = [];
  for (const word of words) {
    const name = /^([A-Za-z_]\w*)=/.exec(word.raw)?.[1];
    const declares = DECLARING.has(rest[0]?.raw ?? '');
    if (name === undefined || (rest.length > 0 && !declares)) {
      rest.push(word);
      continue;
    }
    const raw = word.raw.slice(name.length + 1);
    const value = word.value === null ? null : word.value.slice(name.length + 1);
    assignments.push({ name, value: { raw, value, unknown: word.unknown }, certain });
  }
  return { assignments, words: rest };
}
