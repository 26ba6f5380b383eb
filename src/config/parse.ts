/**
 * The text of a configuration to a Config, or to every problem in it at once. Puts the reader, the schema and the merge
 * together and turns their findings into words. Touches neither files nor the kernel.
 */
import type * as z from 'zod/mini';
import { safeParse } from 'zod/mini';
import type { Config } from '../core/config.js';
import type { ComplaintParams } from './leaf.js';
import { mergeConfig, type Order } from './merge.js';
import { nearest } from './nearest.js';
import { type Complaint, complaint, formatPath, inFileOrder, type Path, type Problem, type Report } from './problem.js';
import { fileSchema } from './schema.js';
import { fileProblem, readSource, type Source } from './source.js';
import { NAME_PATTERN } from './values.js';

export type ParseResult =
  | { readonly ok: true; readonly config: Config; readonly warnings: readonly Problem[]; readonly source: Source }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** More say nothing that the first ones did not. */
const MAX_PROBLEMS = 100;

const NAME = new RegExp(NAME_PATTERN);

/** Mappings whose keys are names, and what they name. */
const NAMED = { uplinks: 'an uplink', via: 'an entry of via', notify: 'a channel', follow: 'a follower' } as const;

/** `file` is only named in problems. Never throws. */
export function parseConfig(text: string, file: string): ParseResult {
  const read = readSource(text, file);
  if (!read.ok) return read;
  const { source } = read;
  const problems: Problem[] = [...read.problems];
  const report = (
    path: Path,
    found: string | null,
    wrong: Complaint,
    severity: 'error' | 'warning' = 'error',
    ofKey = false,
  ): void => {
    const place = ofKey ? source.placeOfKey(path) : source.place(path);
    problems.push({ severity, file, ...place, path: formatPath(path), found: found ?? singleAt(source, path), ...wrong });
  };
  const order: Order = { uplinks: source.keysAt(['uplinks']), via: source.keysAt(['via']) };
  for (const [section, what] of Object.entries(NAMED)) {
    const wrong = source.keysAt([section]).filter((name) => !NAME.test(name));
    for (const name of wrong.slice(0, MAX_PROBLEMS)) {
      const wanted = `the name of ${what} begins with a letter or digit and has at most 32 letters, digits, hyphens and underscores`;
      report([section, name], name, complaint(wanted), 'error', true);
    }
  }
  const shape = safeParse(fileSchema, read.value);
  let config: Config | null = null;
  let hidden = 0;
  if (shape.success) {
    if (order.uplinks.length === 0)
      report(['uplinks'], null, complaint('at least one uplink is wanted', 'such as fast: {gateway: 192.168.1.253}'));
    config = mergeConfig(shape.data, order, report);
  } else {
    const { issues } = shape.error;
    hidden = Math.max(0, issues.length - MAX_PROBLEMS);
    for (const issue of issues.slice(0, MAX_PROBLEMS)) {
      for (const [path, found, wrong, ofKey] of explain(issue, source)) {
        report(path, found ?? source.textAt(path), wrong, 'error', ofKey);
      }
    }
    if (issues.length < MAX_PROBLEMS) judgeTheRest(read.value, issues, order, report);
  }
  const errors = inFileOrder(problems.filter((problem) => problem.severity === 'error'));
  hidden += Math.max(0, errors.length - MAX_PROBLEMS);
  if (hidden > 0) {
    const more = fileProblem(file, `${hidden} or more further problems are not shown`);
    return { ok: false, problems: [...errors.slice(0, MAX_PROBLEMS), more] };
  }
  if (errors.length > 0 || config === null) return { ok: false, problems: errors };
  return { ok: true, config, warnings: inFileOrder(problems), source };
}

/** That a mapping is there says nothing where its content is wrong, only where something else is wanted. */
function singleAt(source: Source, path: Path): string | null {
  const text = source.textAt(path);
  return text === 'a mapping' || text === 'a list' ? null : text;
}

/** How much is left out of a file where something in it is wrong: the key of an uplink, a whole channel, else a whole section. */
const STEPS_LEFT_OUT: Readonly<Record<string, number>> = { uplinks: 3, via: 2, notify: 2, follow: 2 };

/**
 * What is wrong between several keys, told where those keys are right themselves: the wrong ones are left out, and nothing
 * more is said of an uplink that misses one.
 */
function judgeTheRest(value: unknown, issues: readonly z.core.$ZodIssue[], order: Order, report: Report): void {
  const wrong = issues.flatMap((issue): Path[] => {
    const path = stepsOf(issue);
    return issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...path, key]) : [path];
  });
  let rest = value;
  for (const path of wrong) rest = without(rest, path.slice(0, STEPS_LEFT_OUT[String(path[0])] ?? 1));
  const shape = safeParse(fileSchema, rest);
  if (!shape.success) return;
  const touched = (step: string, name?: string): boolean =>
    wrong.some((path) => path[0] === step && (name === undefined || path[1] === name));
  mergeConfig(shape.data, order, (path, found, complaint, severity) => {
    const [section, name] = path;
    if (typeof section !== 'string') return;
    const unsure =
      section in NAMED && typeof name === 'string'
        ? touched(section, name) || (section === 'uplinks' && touched('defaults'))
        : touched(section);
    // Of neighbours in the file, and of what an uplink can carry, nothing is known while an uplink is not.
    const unsureOfOthers =
      touched('uplinks') && (path.at(-1) === 'tier' || section === 'drill' || (section === 'via' && path.length === 2));
    if (!unsure && !unsureOfOthers) report(path, found, complaint, severity);
  });
}

function without(value: unknown, path: Path): unknown {
  const [step, ...rest] = path;
  if (typeof value !== 'object' || value === null || Array.isArray(value) || typeof step !== 'string') return value;
  const copy: Record<string, unknown> = Object.assign(Object.create(null), value);
  if (rest.length === 0) delete copy[step];
  else copy[step] = without(copy[step], rest);
  return copy;
}

function stepsOf(issue: z.core.$ZodIssue): Path {
  return issue.path.filter((step) => typeof step !== 'symbol');
}

type Explained = readonly [path: Path, found: string | null, wrong: Complaint, ofKey: boolean];

/** One finding of zod in our words; several where several keys are unknown. */
function explain(issue: z.core.$ZodIssue, source: Source): Explained[] {
  const path = stepsOf(issue);
  if (issue.code === 'custom') {
    const params = issue.params as ComplaintParams | undefined;
    return [[path, params?.hidden === true ? '(not shown)' : null, params?.complaint ?? complaint(issue.message), false]];
  }
  // The schema gives the known keys as its message: see mapping() in leaf.ts.
  const known = issue.message.split(', ');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.slice(0, MAX_PROBLEMS).map((key) => [[...path, key], key, unknownKey(key, path, known), true]);
  }
  const { code } = issue;
  const missing = source.textAt(path) === null;
  if (missing)
    return [
      [
        path,
        null,
        complaint(
          `${path.at(-1)} is missing`,
          null,
          path.length === 1 ? 'At least one uplink with its gateway is needed.' : null,
        ),
        false,
      ],
    ];
  if (code === 'invalid_type' && issue.expected === 'array')
    return [[path, null, complaint('a list is wanted', 'such as [192.0.2.1, example.com]'), false]];
  if (code === 'invalid_type')
    return [
      [
        path,
        null,
        complaint(
          'a mapping is wanted',
          issue.message.includes(':') ? `such as ${issue.message}` : `with the keys ${issue.message}`,
        ),
        false,
      ],
    ];
  return [[path, null, complaint(issue.message), false]];
}

/** Keys that are right, but at another place. */
const HOMES: Readonly<Record<string, string>> = {
  interval: 'probe',
  burst: 'probe',
  'burst-pace': 'probe',
  timeout: 'probe',
  'deadline-floor': 'probe',
  window: 'probe',
  factor: 'hold-down',
  decay: 'hold-down',
  loss: 'degraded',
  latency: 'degraded',
  jitter: 'degraded',
  policy: 'degraded',
  group: 'socket',
  mode: 'socket',
  protocol: 'kernel',
  'table-base': 'kernel',
  'rule-base': 'kernel',
  'mark-mask': 'kernel',
  cap: 'metered',
  'probe-budget': 'metered',
  'starts-on': 'metered',
  'at-cap': 'metered',
  failover: 'connections',
  failback: 'connections',
  drain: 'connections',
  'move-udp': 'connections',
  inbound: 'connections',
  every: 'drill',
  traffic: 'drill',
  mail: 'notify',
  webhook: 'notify',
  mqtt: 'notify',
  smarthosts: 'mail-relay',
  servers: 'resolver',
  dnsmasq: 'resolver',
  commands: 'hooks',
};

/** What people call a secret, without hyphens; and by which pair of keys its place is named. */
const SECRET_KEYS: Readonly<Record<string, 'password' | 'token'>> = {
  password: 'password',
  passwd: 'password',
  pass: 'password',
  secret: 'password',
  token: 'token',
  accesstoken: 'token',
  apikey: 'token',
  bearer: 'token',
};

/** Keys that only an uplink has: each has its own. */
const OWN_KEYS: readonly string[] = ['gateway', 'gateway6', 'interface', 'tier', 'weight', 'metered', 'prefix'];

const TOP_KEYS = Object.keys(fileSchema._zod.def.shape);

/** What people call a mark of the firewall. */
const MARK_KEY = /^(fw|ct|conn)?-?marks?$/i;

function unknownKey(key: string, path: Path, known: readonly string[]): Complaint {
  const allowed = `known here are ${known.join(', ')}`;
  const home = HOMES[key];
  if (home !== undefined && known.includes(home)) return complaint('this key is unknown', allowed, `It belongs under ${home}:.`);
  const secret = SECRET_KEYS[key.toLowerCase().replace(/[-_]/g, '')];
  if (secret !== undefined && known.includes(`${secret}-file`)) {
    return complaint(
      'a secret does not stand in this file, which is shown, copied and kept in backups',
      null,
      `Write it alone into a file that only root may read and name that by ${secret}-file:, or name an environment variable by ${secret}-env:.`,
    );
  }
  if (path[0] === 'uplinks' && MARK_KEY.test(key)) {
    return complaint(
      'an uplink has no mark of its own choice: two could have the same one',
      null,
      'Marks are made from mark-mask under kernel: the number of the uplink in its low six bits, and its top bit for probes. Choose the bits there.',
    );
  }
  if (path[0] === 'uplinks' && key === 'table')
    return complaint('an uplink has no table of its own choice', null, 'Tables are counted from table-base under kernel:.');
  const meant = nearest(key, known);
  if (meant !== null) return complaint('this key is unknown', allowed, `Did you mean ${meant}?`);
  if (path.length === 0 && ['targets', 'probe', 'fail-after', 'recover-after', 'hold-down', 'degraded', 'quorum'].includes(key)) {
    return complaint('this key is unknown', allowed, 'It belongs under defaults: or in an uplink.');
  }
  if ((path.length === 0 || path[0] === 'defaults') && OWN_KEYS.includes(key))
    return complaint('every uplink has its own', allowed, `Write ${key}: in the uplink.`);
  if (path.length > 0 && TOP_KEYS.includes(key))
    return complaint('this key is unknown', allowed, 'It belongs at the top of the file.');
  if (home !== undefined && TOP_KEYS.includes(home))
    return complaint('this key is unknown', allowed, `It belongs under ${home}: at the top of the file.`);
  if (key === '<<')
    return complaint('merging mappings by << is not supported', allowed, 'What serves all uplinks belongs under defaults:.');
  return complaint('this key is unknown', allowed);
}
