/**
 * Compares a text with the file that holds how it should be. BACKROUTE_GOLDEN=write makes the files anew: read the diff
 * before committing it.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** @param name path below test/golden */
export function assertGolden(name: string, actual: string): void {
  const path = goldenPath(name);
  if (process.env.BACKROUTE_GOLDEN === 'write') {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, actual);
    return;
  }
  assert.ok(existsSync(path), `there is no golden file ${name}: run once with BACKROUTE_GOLDEN=write and read what it wrote`);
  assert.equal(actual, readFileSync(path, 'utf8'), `differs from test/golden/${name}`);
}

/** The sources' folder, seen from dist/test/support/. */
function goldenPath(name: string): string {
  return fileURLToPath(new URL(`../../../test/golden/${name}`, import.meta.url));
}
