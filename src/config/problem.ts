/**
 * What is wrong with a configuration, told so that an administrator can mend it at once: where, what was found, what is
 * allowed, and the likeliest right text. Knows nothing of YAML, zod or what the keys mean.
 */

/** Steps from the top of the file: keys and list indexes. */
export type Path = readonly (string | number)[];

export interface Problem {
  readonly severity: 'error' | 'warning';
  /** as the user named it */
  readonly file: string;
  /** from 1; 0 = the file as a whole */
  readonly line: number;
  /** from 1; 0 = the file as a whole */
  readonly column: number;
  /** `uplinks.fast.targets[0]`; empty = the file as a whole */
  readonly path: string;
  /** the text that stands there; null = nothing to quote */
  readonly found: string | null;
  /** what is wrong or wanted, without a full stop */
  readonly message: string;
  /** the range or choice that is allowed, as a phrase that continues the message; null = the message says it */
  readonly allowed: string | null;
  /** a whole sentence: the likeliest right text or what to do; null = none */
  readonly hint: string | null;
}

/** The part of a {@link Problem} that a reader of one value can know. */
export interface Complaint {
  readonly message: string;
  readonly allowed: string | null;
  readonly hint: string | null;
}

export function complaint(message: string, allowed: string | null = null, hint: string | null = null): Complaint {
  return { message, allowed, hint };
}

/** Tells of something wrong at a path; `found` null = what stands there; `severity` error unless said otherwise. */
export type Report = (path: Path, found: string | null, wrong: Complaint, severity?: 'error' | 'warning') => void;

export function formatPath(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else text += text === '' ? printable(step) : `.${printable(step)}`;
  }
  return text;
}

const MAX_QUOTED = 60;

/** What ends a line, steers a terminal or turns the direction of writing. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const STEERING = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

// What stands in a file may hold escape sequences: they must not reach a terminal or a log.
function printable(text: string): string {
  const short = text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}…` : text;
  return /^[\x20-\x7e…]*$/.test(short) ? short : JSON.stringify(short).slice(1, -1).replace(STEERING, '?');
}

/** One line whatever it is made of, such as a file whose name holds a line end: no escape sequence survives. */
function visible(text: string): string {
  return text.replace(STEERING, '?');
}

/** `text` in double quotes, shortened, with control characters made visible. */
export function quote(text: string): string {
  return `"${printable(text)}"`;
}

/** One line for people: `backroute.yaml:7: uplinks.fast.fail-after: found "5"; a duration with unit is wanted, such as 200ms, 5s, 2m. Did you mean 5s?` */
export function formatProblem(problem: Problem): string {
  const where = problem.line > 0 ? `${problem.file}:${problem.line}` : problem.file;
  const severity = problem.severity === 'warning' ? ' warning:' : '';
  const path = problem.path === '' ? '' : ` ${problem.path}:`;
  const found = problem.found === null ? '' : ` found ${quote(problem.found)};`;
  const allowed = problem.allowed === null ? '' : `, ${problem.allowed}`;
  const hint = problem.hint === null ? '' : ` ${problem.hint}`;
  return visible(`${where}:${severity}${path}${found} ${problem.message}${allowed}.${hint}`);
}

/** One line each, in the order of the file. */
export function formatProblems(problems: readonly Problem[]): string {
  return inFileOrder(problems).map(formatProblem).join('\n');
}

/** What concerns the file as a whole comes last. */
export function inFileOrder(problems: readonly Problem[]): Problem[] {
  const lineOf = (problem: Problem): number => problem.line || Number.MAX_SAFE_INTEGER;
  return [...problems].sort((a, b) => lineOf(a) - lineOf(b) || a.column - b.column);
}
