/**
 * Compiles to dist/. `tsc -b` never removes what it made of a source that is gone, and a test that nobody has any more would
 * run for ever: so that is removed here. Plain Node.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { Problem, runChild } from './children.mjs';

const OUTPUT = /\.(?:js|js\.map|d\.ts|d\.ts\.map)$/;

/** Rejects with a Problem when a source does not compile; the compiler has printed what. */
export async function build(root) {
  removeStaleOutputs(root);
  const { code } = await runChild([process.execPath, join(root, 'node_modules/typescript/bin/tsc'), '-b'], { cwd: root });
  if (code !== 0) throw new Problem('the sources do not compile', 'the lines above say where');
}

/** Returns what it removed, relative to `root`. */
export function removeStaleOutputs(root) {
  const removed = [];
  for (const tree of ['src', 'bench', 'test']) {
    for (const path of filesBelow(join(root, 'dist', tree))) {
      const source = join(root, relative(join(root, 'dist'), path)).replace(OUTPUT, '.ts');
      if (!OUTPUT.test(path) || existsSync(source)) continue;
      rmSync(path);
      removed.push(relative(root, path));
    }
  }
  return removed;
}

/** Files in a folder and its folders, in the order of their names; none where there is no such folder. */
export function filesBelow(dir) {
  let entries;
  try {
    entries = readdirSync(dir, { withFileTypes: true });
  } catch {
    return [];
  }
  return entries
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => (entry.isDirectory() ? filesBelow(join(dir, entry.name)) : [join(dir, entry.name)]));
}
