/**
 * The program that takes a lab down when its owner dies without having done so, by SIGKILL for instance. Tethered to the
 * owner (tether.ts); arguments: state folder, name of the lab.
 */
import { existsSync } from 'node:fs';
import { sayReady } from './helper-process.js';
import { findState, namespacePath } from './state.js';
import { tearDown } from './teardown.js';
import { awaitTether } from './tether.js';
import { until } from './until.js';

const [stateDir = '', name = ''] = process.argv.slice(2);
sayReady();
if ((await awaitTether()) === 'owner-gone') {
  const state = findState(stateDir, name);
  if (state !== null) {
    await tearDown(stateDir, state);
    // An `ip` that the owner had just started may still be making namespaces: look again for a moment.
    const reappeared = () => Object.values(state.namespaces).some((namespace) => existsSync(namespacePath(namespace)));
    if (!state.complete && (await until(reappeared, 1000))) await tearDown(stateDir, state);
  }
}
process.exit(0);
