/**
 * A child process for the kernel adapter's tests: watches, and answers one word a line on its standard input. It exists to
 * be stopped, continued and ended in every way, which the test's own process cannot be.
 */
import { createInterface } from 'node:readline';
import { RtnlKernel } from '../../src/kernel/kernel.js';

const kernel = new RtnlKernel();
const request = { tables: [1000], sysctls: [], nft: false };
const say = (message: object): void => {
  process.stdout.write(`${JSON.stringify(message)}\n`);
};
let changes = 0;
let lost = false;
await kernel.snapshot(request);
kernel.watch((change) => {
  changes++;
  if (change.lost) lost = true;
});
say({ ready: true });

const lines = createInterface({ input: process.stdin });
lines.on('line', async (word) => {
  if (word === 'count') say({ changes, lost, cpuMs: process.cpuUsage().user / 1000 + process.cpuUsage().system / 1000 });
  if (word === 'routes') {
    const state = await kernel.snapshot(request);
    say({ table: state.routes.filter((route) => route.table === 1000).length });
  }
  if (word === 'throw') throw new Error('thrown on purpose');
  if (word === 'exit') process.exit(7);
  if (word === 'close') {
    // Natural end: nothing may hold the loop once the kernel is closed and the input is gone.
    await kernel.close();
    lines.close();
    process.stdin.destroy();
  }
});
