/**
 * Old scripts to the text of a configuration that our own parser takes, or to what is wrong with them. Pure: files come in as
 * bytes, nothing is run, opened or written.
 */
import { parseConfig } from '../../config/parse.js';
import { formatProblem } from '../../config/problem.js';
import { collect, type OldFile } from './collect.js';
import { readOldFile } from './old-file.js';
import { removals, yamlText } from './yaml-text.js';

export interface Given {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export type Imported =
  | {
      readonly ok: true;
      /** the configuration with its comments */
      readonly text: string;
      /** what has to be taken away first, in lines */
      readonly removals: readonly string[];
    }
  /** one line each */
  | { readonly ok: false; readonly problems: readonly string[] };

export function importOldWay(given: readonly Given[]): Imported {
  const files: OldFile[] = [];
  const problems: string[] = [];
  for (const { name, bytes } of given) {
    const read = readOldFile(bytes);
    if (read.ok) files.push({ name, text: read.text });
    else problems.push(`${name}: no old script: ${read.why}`);
  }
  if (problems.length > 0) return { ok: false, problems };
  const { found, strange } = collect(files);
  if (strange.length > 0) {
    const wanted = 'constants such as upstream, fastrouter and backrouter, a line of cron or a host route are looked for';
    return { ok: false, problems: strange.map((name) => `${name}: no old script: nothing in it is known; ${wanted}`) };
  }
  const names = files.map((file) => file.name);
  const yaml = yamlText(found, names);
  if ('why' in yaml) return { ok: false, problems: [`${names.join(', ')}: ${yaml.why}`] };
  const parsed = parseConfig(yaml.text, 'import');
  if (parsed.ok) return { ok: true, text: yaml.text, removals: removals(found) };
  // What each line says was right; together they are not, which only the parser knows.
  const said = parsed.problems.map((problem) => formatProblem({ ...problem, file: names.join(', '), line: 0 }));
  return { ok: false, problems: ['what was read makes no valid whole:', ...said] };
}
