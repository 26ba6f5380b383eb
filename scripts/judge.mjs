/**
 * `npm run judge`: installs what is missing, builds, and plays the judgement on measured and made-up links. Needs no root.
 */
import { join } from 'node:path';
import { build } from './lib/build.mjs';
import { runChild, runScript } from './lib/children.mjs';
import { ROOT, setUp } from './setup.mjs';

runScript(async (args) => {
  await setUp();
  await build(ROOT);
  const { code } = await runChild([process.execPath, join(ROOT, 'dist/bench/judge/main.js'), ...args], { cwd: ROOT });
  return code;
});
