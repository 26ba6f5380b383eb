/**
 * `npm run bench`: installs what is missing, builds, measures. The figures mean something only on a machine with nothing else to do.
 */
import { join } from 'node:path';
import { build } from './lib/build.mjs';
import { Problem, runChild, runScript } from './lib/children.mjs';
import { ROOT, setUp } from './setup.mjs';

runScript(async (args) => {
  const { asRoot, missing } = await setUp();
  await build(ROOT);
  if (asRoot === null) {
    throw new Problem(
      'the benchmark makes network namespaces, which needs root',
      'run `npm run bench` as root, or where sudo asks no password or there is a terminal to ask at',
    );
  }
  const blocking = missing.filter((program) => program === 'ip' || program === 'nft');
  if (blocking.length > 0)
    throw new Problem(`the benchmark needs ${blocking.join(' and ')}`, 'apt-get install iproute2 nftables');
  // As an argument of env(1): sudo drops what is in the environment.
  const environment = ['env', `BACKROUTE_STARTER=${process.pid}`];
  const argv = [...asRoot, ...environment, process.execPath, join(ROOT, 'dist/bench/main.js'), ...args];
  const { code } = await runChild(argv, { cwd: ROOT });
  return code;
});
