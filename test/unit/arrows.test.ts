/**
 * The arrows between the folders of src/, as docs/architecture draws them. A forbidden import fails here with the reason.
 * Reads the sources as text; types count as imports, since they bind files together just as well.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

/** The sources' folder, seen from dist/test/unit/. */
const SRC = fileURLToPath(new URL('../../../src/', import.meta.url));

const ADAPTERS = ['config', 'kernel', 'probe', 'action', 'history', 'api'];
const TOPS = ['cli', 'lab', 'daemon', 'simulate'];

/** Without comments and, where `strings` is false, without the contents of strings; line breaks stay. */
function stripped(source: string, strings: boolean): string {
  const token = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g;
  return source.replace(token, (found) => {
    if (found.startsWith('/')) return found.replace(/[^\n]/g, ' ');
    return strings ? found : found.replace(/[^\n'"`]/g, ' ');
  });
}

/** Everything that is imported or re-exported, dynamically too. */
function importsOf(source: string): string[] {
  const code = stripped(source, true);
  const bare = stripped(source, false);
  const found: string[] = [];
  for (const match of code.matchAll(/\b(?:import|export)\b[^'"`;=()]*?\bfrom\s*(['"])(.+?)\1|\bimport\s*\(?\s*(['"])(.+?)\3/g)) {
    const specifier = match[2] ?? match[4];
    // The word itself must stand in the code, not in a text about it.
    if (specifier !== undefined && /^[ie]/.test(bare.slice(match.index))) found.push(specifier);
  }
  return found;
}

interface SourceFile {
  /** relative to src/ */
  readonly path: string;
  readonly folder: string;
  readonly text: string;
  readonly imports: readonly string[];
}

function sourceFiles(): SourceFile[] {
  const paths = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((p) => p.endsWith('.ts') && !p.endsWith('.d.ts'));
  return paths.sort().map((path) => {
    const text = readFileSync(join(SRC, path), 'utf8');
    return { path, folder: path.split('/')[0] ?? '', text, imports: importsOf(text) };
  });
}

/** The imported file of ours, relative to src/; null for packages and node: modules. */
function target(file: SourceFile, specifier: string): string | null {
  if (!specifier.startsWith('.')) return null;
  return normalize(join(dirname(file.path), specifier)).replace(/\.js$/, '.ts');
}

/** Why this import must not be; null where it may. */
function objection(file: SourceFile, specifier: string): string | null {
  const path = target(file, specifier);
  if (path === null) {
    return file.folder === 'core' ? `core decides and touches nothing: it imports only core, not ${specifier}` : null;
  }
  if (path.startsWith('..')) return 'src stands on its own: nothing outside it is imported';
  const to = path.split('/')[0] ?? '';
  if (to === file.folder) return null;
  if (file.folder === 'core') return `core imports nothing outside core: what it needs of ${to} comes in as an argument`;
  if (to === 'daemon')
    return file.path === 'cli/verbs/run.ts' ? null : 'the daemon is the composition root: only the verbs run and once start it';
  if (TOPS.includes(to))
    return TOPS.includes(file.folder) ? topObjection(file.folder, to) : `${to} is built from the adapters, not under them`;
  if (ADAPTERS.includes(file.folder) && ADAPTERS.includes(to))
    return `adapters do not know each other: ${file.folder} and ${to} meet in the daemon`;
  return null;
}

function topObjection(from: string, to: string): string | null {
  return from === 'cli' && (to === 'lab' || to === 'simulate') ? null : `${from} does not need ${to}`;
}

const files = sourceFiles();

test('every folder has its place in the picture', () => {
  assert.ok(files.length > 50, `only ${files.length} sources were found under ${SRC}`);
  const known = ['core', ...ADAPTERS, ...TOPS];
  for (const file of files) assert.ok(known.includes(file.folder), `src/${file.path}: no arrow is drawn for ${file.folder}`);
});

test('every import goes along an arrow', () => {
  const wrong = files.flatMap((file) =>
    file.imports.flatMap((specifier) => {
      const why = objection(file, specifier);
      return why === null ? [] : [`src/${file.path} imports ${specifier}: ${why}`];
    }),
  );
  assert.deepEqual(wrong, []);
});

test('what is imported exists', () => {
  const known = new Set(files.map((f) => f.path));
  for (const file of files) {
    for (const specifier of file.imports) {
      const path = target(file, specifier);
      assert.ok(path === null || known.has(path), `src/${file.path} imports ${specifier}, which is not there`);
    }
  }
});

test('core has no clock, no chance, no process and no console: these come in as arguments', () => {
  const banned =
    /(?<![.\w$])(Date|setTimeout|setInterval|setImmediate|queueMicrotask|performance|process|console|globalThis|require|fetch)\b(?!\s*\??:)|\bMath\.random\b/g;
  const wrong = files
    .filter((f) => f.folder === 'core')
    .flatMap((f) => {
      const lines = stripped(f.text, false).split('\n');
      return lines.flatMap((line, i) => [...line.matchAll(banned)].map((m) => `src/${f.path}:${i + 1} uses ${m[0]}`));
    });
  assert.deepEqual(wrong, []);
});

test('no file imports itself over others: a circle of files is one file in disguise', () => {
  const edges = new Map(
    files.map((f) => [f.path, f.imports.map((s) => target(f, s)).filter((p): p is string => p !== null)] as const),
  );
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (path: string, way: readonly string[]): void => {
    const at = way.indexOf(path);
    if (at >= 0) {
      circles.push([...way.slice(at), path].join(' -> '));
      return;
    }
    if (done.has(path)) return;
    for (const next of edges.get(path) ?? []) visit(next, [...way, path]);
    done.add(path);
  };
  for (const path of edges.keys()) visit(path, []);
  assert.deepEqual(circles, []);
});

// ---- the reader itself -----------------------------------------------------------------------------------------------

test('the reader sees every form of import, and nothing in comments or strings', () => {
  const source = `
    import a from './a.js'; // import no from './no.js'
    import type { B } from "./b.js";
    import {
      c,
      type D,
    } from './c.js';
    import './e.js';
    export * from './f.js';
    export { g } from './g.js';
    const h = await import('./h.js');
    /* import no from './no.js' */
    const text = 'import no from "./no.js"';
    const url = 'https://example.org'; export const i = 1;
  `;
  assert.deepEqual(importsOf(source), ['./a.js', './b.js', './c.js', './e.js', './f.js', './g.js', './h.js']);
});

test('the arrows object where they should', () => {
  const file = (path: string): SourceFile => ({ path, folder: path.split('/')[0] ?? '', text: '', imports: [] });
  for (const [from, specifier, allowed] of [
    ['core/engine.ts', './path.js', true],
    ['core/engine.ts', 'node:fs', false],
    ['core/engine.ts', 'zod', false],
    ['core/engine.ts', '../config/load.js', false],
    ['config/load.ts', '../core/config.js', true],
    ['config/load.ts', 'node:fs', true],
    ['probe/icmp.ts', '../kernel/sockets.js', false],
    ['api/server.ts', '../daemon/loop.js', false],
    ['history/journal.ts', '../cli/main.js', false],
    ['daemon/assembly.ts', '../probe/prober.js', true],
    ['daemon/assembly.ts', '../cli/main.js', false],
    ['cli/verbs/run.ts', '../../daemon/daemon.js', true],
    ['cli/table.ts', '../daemon/daemon.js', false],
    ['lab/plan.ts', '../daemon/daemon.js', false],
    ['lab/plan.ts', '../../test/support/tun.js', false],
  ] as const) {
    assert.equal(objection(file(from), specifier) === null, allowed, `${from} -> ${specifier}`);
  }
});
