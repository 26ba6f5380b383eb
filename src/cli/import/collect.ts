/**
 * From the statements of old scripts, cron files and lists of routes to what was found of the old way. First what the constants
 * say, then what the commands do with them. Runs nothing, resolves nothing, opens nothing.
 */
import { readHost } from '../../config/host.js';
import { smarthost } from '../../config/service-values.js';
import { filePath } from '../../config/values.js';
import { copyCommand, reloadCommand, whyLeft } from './body.js';
import { pairFiles, takeConstant, takeReload } from './constants.js';
import { Environment } from './environment.js';
import { OldWay, type Origin, SIDES, type Side } from './old-way.js';
import { sideOf } from './roles.js';
import { type RouteLine, readRoute } from './route-line.js';
import { MAX_STATEMENTS, readShell, type Statement, type Word } from './shell-reader.js';

export interface OldFile {
  /** as the user named it */
  readonly name: string;
  readonly text: string;
}

/** The files in the order given: constants of the earlier ones hold in the later ones. `strange`: those that tell nothing. */
export function collect(files: readonly OldFile[]): { readonly found: OldWay; readonly strange: readonly string[] } {
  const environment = new Environment();
  const found = new OldWay();
  const readers = files.map((file) => new FileReader(file, environment, found));
  for (const reader of readers) reader.readConstants();
  for (const reader of readers) reader.readCommands();
  pairFiles(found);
  keepOldJobs(found, files);
  return { found, strange: readers.filter((reader) => !reader.useful).map((reader) => reader.file.name) };
}

/** The job that calls one of the files given, or the only one there is: other jobs are not the old way's. */
function keepOldJobs(found: OldWay, files: readonly OldFile[]): void {
  const names = files.map((file) => file.name.split('/').at(-1)).filter((name) => name !== '' && name !== 'crontab');
  const isOld = (command: string): boolean => command.split(/[\s;&|()]+/).some((word) => names.includes(word.split('/').at(-1)));
  const all = found.cron.splice(0);
  const old = all.filter(({ value }) => isOld(value));
  found.cron.push(...(old.length > 0 || all.length > 1 ? old : all));
  for (const job of all) {
    if (!found.cron.includes(job)) found.leave(job.origin, 'another job: it may stay, unless it runs the old script');
  }
}

const CRON_FIELD = /^(\*|[\d,*/-]+|[a-z]{3}([,-][a-z]{3})*)(\/\d+)?$/i;

/** The command behind five fields or a nickname: crontab(5). In /etc/cron.d a user stands in front of it. */
function cronCommand(words: readonly Word[]): string | null {
  const raw = words.map((word) => word.raw);
  const fields = /^@(reboot|yearly|annually|monthly|weekly|daily|midnight|hourly)$/.test(raw[0] ?? '') ? 1 : 5;
  const times = raw.slice(0, fields);
  if (raw.length <= fields || (fields === 5 && !times.every((field) => CRON_FIELD.test(field)))) return null;
  return raw.slice(fields).join(' ');
}

class FileReader {
  /** it holds something that only the old way has */
  useful = false;
  readonly #lines: readonly string[];
  readonly #statements: readonly Statement[];
  readonly #isCron: boolean;
  /** lines of cron jobs: whatever stands there is the job's */
  readonly #jobs: ReadonlySet<number>;
  readonly #isScript: boolean;
  readonly #functions: ReadonlySet<string>;
  readonly #sides = new Map<number, Set<Side>>();

  constructor(
    readonly file: OldFile,
    readonly environment: Environment,
    readonly found: OldWay,
  ) {
    this.#lines = file.text.split('\n');
    this.#statements = readShell(file.text, environment);
    const jobs = this.#statements.filter((statement) => cronCommand(statement.words) !== null);
    this.#jobs = new Set(jobs.map((statement) => statement.line));
    this.#isCron = jobs.length > 0;
    this.#isScript = file.text.startsWith('#!') || this.#statements.some((statement) => statement.assignments.length > 0);
    this.#functions = new Set(this.#statements.flatMap(({ inFunction }) => inFunction ?? []));
  }

  #origin(statement: Statement): Origin {
    return { file: this.file.name, line: statement.line, text: this.#lines[statement.line - 1] ?? '' };
  }

  /** `wrong` null: it was carried. */
  #done(wrong: string | null, origin: Origin): void {
    if (wrong === null) this.useful = true;
    else this.found.leave(origin, wrong);
  }

  readConstants(): void {
    for (const statement of this.#statements) {
      const [first] = statement.words;
      // In front of a command an assignment is part of it.
      if (first !== undefined && !DECLARING.test(first.raw) && first.raw !== ':') continue;
      const origin = this.#origin(statement);
      for (const assignment of statement.assignments) {
        this.#done(takeConstant(this.found, assignment, origin, this.#isCron, this.environment.isUsed(assignment.name)), origin);
      }
    }
  }

  readCommands(): void {
    for (const statement of this.#statements) this.#hint(statement);
    for (const statement of this.#statements) this.#command(statement);
    const last = this.#statements.at(-1);
    if (last !== undefined && this.#statements.length >= MAX_STATEMENTS) {
      this.found.leave(this.#origin(last), 'what follows is not read any more: it is too much');
    }
  }

  /** A branch that sets the default route to one router is that uplink's; so is a function with its name. */
  #hint({ words, block, inFunction }: Statement): void {
    const sides = this.#sides.get(block) ?? new Set();
    const route = readRoute(words.map((word) => word.value ?? word.raw));
    if (route?.action === 'add' && route.destination === 'default' && route.gateway !== null) {
      for (const side of SIDES) if (route.gateway === this.found.facts.gateway[side]?.value) sides.add(side);
    }
    const own = inFunction === null ? null : sideOf(inFunction.toLowerCase()).side;
    if (own !== null) sides.add(own);
    this.#sides.set(block, sides);
  }

  /** The uplink of this branch, where it is clear. */
  #sideHere({ block }: Statement): Side | null {
    const [side, ...more] = this.#sides.get(block) ?? [];
    return side === undefined || more.length > 0 ? null : side;
  }

  #command(statement: Statement): void {
    const words = expanded(statement.words);
    const [first] = words;
    if (first === undefined || DECLARING.test(first.raw) || (first.raw === ':' && statement.assignments.length > 0)) return;
    const { found } = this;
    const origin = this.#origin(statement);
    const cron = cronCommand(statement.words);
    if (cron !== null) {
      found.cron.push({ value: cron, origin });
      this.useful = true;
      return;
    }
    if (this.#jobs.has(statement.line)) return;
    const values = words.map((word) => word.value);
    const copy = copyCommand(values) ?? concatenation(statement, values);
    const known = values.filter((value) => value !== null);
    const whole = known.length === values.length;
    const route = whole ? readRoute(known) : null;
    const reload = whole ? reloadCommand(known) : null;
    if (copy !== null) this.#done(this.#copy(copy, words, statement, origin), origin);
    else if (route !== null) this.#done(this.#route(route, origin), origin);
    else if (reload !== null) {
      const wrong = takeReload(found, reload, origin);
      if (wrong !== null) found.leave(origin, wrong);
    } else if (!whole || !this.#relayhost(known, statement, origin)) {
      found.leave(origin, this.#whyLeft(values, words));
    }
  }

  #whyLeft(values: readonly (string | null)[], words: readonly Word[]): string {
    const [program] = values;
    if (program != null && this.#functions.has(program))
      return 'a function of the old script: its commands are judged one by one';
    return this.#isScript ? whyLeft(values, words) : 'it has nothing to do with the switch: it stays as it is';
  }

  #copy(
    { from, to }: { from: string | null; to: string | null },
    words: readonly Word[],
    statement: Statement,
    origin: Origin,
  ): string | null {
    if (from === null || to === null) {
      return words.find((word) => word.value === null)?.unknown ?? 'its files are known only while it runs';
    }
    if (!PATH(from).ok || !PATH(to).ok) return 'absolute paths of two files are wanted';
    if (/\.(bak|old|orig|save|sav)$|~$/.test(to)) return 'it keeps a copy of what was there';
    const source = words.find((word) => word.value === from)?.raw ?? '';
    const variable = /^"?\$\{?(\w+)\}?"?$/.exec(source)?.[1];
    const named = variable === undefined ? null : sideOf(variable.toLowerCase().replace(/_/g, '')).side;
    const side = named ?? sideOfPath(from) ?? this.#sideHere(statement);
    if (side === null) return 'for which uplink this file is copied is not clear: write it under copies: of the follower';
    return this.found.addCopy(side, { value: { from, to }, origin });
  }

  #route(route: RouteLine, origin: Origin): string | null {
    if (route.destination === 'default') {
      return this.#isScript
        ? 'Backroute sets the default route by itself'
        : 'it may stay: it serves until Backroute starts, which remembers it for cleanup';
    }
    if (!route.isHost) return 'a route to a network: Backroute leaves it alone, and so can you';
    if (route.action === 'delete') return 'it takes a host route away: Backroute makes none';
    if (!readHost(route.destination).ok) return 'where this route leads cannot be read';
    const gateway = route.gateway !== null && readHost(route.gateway).ok ? route.gateway : '';
    this.found.hostRoutes.push({ value: { destination: route.destination, gateway }, origin });
    return null;
  }

  /** `postconf -e relayhost=…` in the branch of one uplink. */
  #relayhost(words: readonly string[], statement: Statement, origin: Origin): boolean {
    if (words[0]?.split('/').at(-1) !== 'postconf') return false;
    const host = /^-e relayhost\s*=\s*(\S+)$/.exec(words.slice(1).join(' '))?.[1];
    const side = this.#sideHere(statement);
    if (host === undefined || side === null || !smarthost(host).ok) return false;
    const { facts } = this.found;
    facts.smarthost = { ...facts.smarthost, [side]: this.found.newer(facts.smarthost[side], { value: host, origin }) };
    return true;
  }
}

const DECLARING = /^(export|readonly|declare|typeset|local)$/;
const PATH = filePath('/etc/exim4/exim4.conf');

/** `cat A > B`. */
function concatenation(
  statement: Statement,
  values: readonly (string | null)[],
): { from: string | null; to: string | null } | null {
  const [target] = statement.output;
  if (values[0] !== 'cat' || values.length !== 2 || target === undefined || target.value === '/dev/null') return null;
  return { from: values[1] ?? null, to: target.value };
}

/** An unquoted variable as a whole word is split at its blanks. */
function expanded(words: readonly Word[]): Word[] {
  return words.flatMap((word) => {
    if (word.value === null || !/^\$(\w+|\{\w+\})$/.test(word.raw) || !/\s/.test(word.value)) return [word];
    const parts = word.value.split(/\s+/).filter((part) => part !== '');
    return parts.map((part): Word => ({ raw: part, value: part, unknown: null }));
  });
}

function sideOfPath(path: string): Side | null {
  return sideOf(path.split('/').at(-1)?.toLowerCase() ?? '').side ?? sideOf(path.toLowerCase()).side;
}
