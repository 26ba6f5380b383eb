/**
 * `npm start`: from a fresh clone to the main job at work. Installs what is missing, builds, plays the demo in a network of
 * namespaces; `npm start -- --keep` leaves it running until Ctrl-C. The exit code is the demo's.
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
      'the demo makes network namespaces, which needs root',
      'run `npm start` as root, or where sudo asks no password or there is a terminal to ask at',
    );
  }
  const blocking = missing.filter((program) => program === 'ip' || program === 'nft');
  if (blocking.length > 0) throw new Problem(`the demo needs ${blocking.join(' and ')}`, 'apt-get install iproute2 nftables');
  // As an argument of env(1): sudo drops what is in the environment.
  const environment = ['env', `BACKROUTE_STARTER=${process.pid}`];
  const demo = [process.execPath, join(ROOT, 'bin/backroute'), 'lab', 'demo', ...args];
  const { code } = await runChild([...asRoot, ...environment, ...demo], { cwd: ROOT });
  return code;
});
