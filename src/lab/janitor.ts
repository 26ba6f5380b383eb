/**
 * The program that takes a lab down when its owner dies without having done so, by SIGKILL for instance. Tethered to the
 * owner (tether.ts); arguments: state folder, name of the lab, the owner's identity as JSON.
 */
import { existsSync, rmSync } from 'node:fs';
import { sayReady } from './helper-process.js';
import type { ProcessIdentity } from './processes.js';
import { draftPath, filesDir, findState, namespacePath, removeIfEmpty } from './state.js';
import { tearDown } from './teardown.js';
import { awaitTether } from './tether.js';
import { until } from './until.js';

const [stateDir = '', name = '', ownerText = '{}'] = process.argv.slice(2);
const owner: Partial<ProcessIdentity> = JSON.parse(ownerText);
sayReady();
if ((await awaitTether()) === 'owner-gone') {
  rmSync(draftPath(stateDir, name, owner.pid ?? 0), { force: true });
  // No state, or another builder's: then we never claimed the name.
  const state = findState(stateDir, name);
  if (state === null) removeIfEmpty(stateDir);
  else if (state.builder.pid === owner.pid && state.builder.startTicks === owner.startTicks) {
    await tearDown(stateDir, state);
    // A program that the owner had just started may still be making something: look again for a moment.
    const paths = [...Object.values(state.namespaces).map(namespacePath), filesDir(stateDir, name)];
    const reappeared = () => paths.some((path) => existsSync(path));
    if (!state.complete && (await until(reappeared, 1000))) await tearDown(stateDir, state);
  }
}
process.exit(0);
