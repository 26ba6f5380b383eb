/**
 * The program that takes a lab down when its owner dies without having done so, by SIGKILL for instance. Tethered to the
 * owner (tether.ts); arguments: state folder, name of the lab, the owner's identity as JSON.
 */
import { existsSync } from 'node:fs';
import { sayReady } from './helper-process.js';
import type { ProcessIdentity } from './processes.js';
import { filesDir, findState, namespacePath } from './state.js';
import { tearDown } from './teardown.js';
import { awaitTether } from './tether.js';
import { until } from './until.js';

const [stateDir = '', name = '', ownerText = '{}'] = process.argv.slice(2);
const owner: Partial<ProcessIdentity> = JSON.parse(ownerText);
sayReady();
if ((await awaitTether()) === 'owner-gone') {
  const state = findState(stateDir, name);
  // The name may be another's: then ours was never claimed.
  if (state !== null && state.builder.pid === owner.pid && state.builder.startTicks === owner.startTicks) {
    await tearDown(stateDir, state);
    // A program that the owner had just started may still be making something: look again for a moment.
    const paths = [...Object.values(state.namespaces).map(namespacePath), filesDir(stateDir, name)];
    const reappeared = () => paths.some((path) => existsSync(path));
    if (!state.complete && (await until(reappeared, 1000))) await tearDown(stateDir, state);
  }
}
process.exit(0);
