/**
 * A child process for the kernel adapter's tests: watches, and answers one word a line on its standard input. It exists to
 * be stopped, continued and ended in every way, and to work beside the test's own process, which cannot do that to itself.
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

/** By which of eth0 and eth0.5 each default in turn leads. */
const TURNS = {
  toggle: [[0], [1]],
  share: [[0], [0, 1], [1], [1, 0], [0, 1], [1, 0]],
} as const;

/** Replaces the default route of main again and again. */
async function toggle(family: 4 | 6, turns: readonly (readonly number[])[]): Promise<{ refused: number }> {
  const gateways = family === 4 ? ['192.168.1.1', '10.1.0.1'] : ['2001:db8:1::1', '2001:db8:2::1'];
  const hop = (way: number) => ({ ifindex: 10 + way, gateway: gateways[way] ?? null, onlink: false });
  let refused = 0;
  for (let round = 0; round < 2000; round++) {
    const nexthops = (turns[round % turns.length] ?? []).map(hop);
    const [result] = await kernel.apply([
      {
        op: 'route-replace',
        route: {
          family,
          table: 254,
          destination: 'default',
          type: 'unicast',
          protocol: 177,
          metric: family === 4 ? 0 : 1,
          tos: 0,
          scope: 0,
          prefsrc: null,
          nexthops,
          expires: false,
          rest: '',
        },
      },
    ]);
    if (result?.ok !== true) refused++;
    // About one a millisecond: packets pass before, during and after each.
    if (round % 4 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return { refused };
}

const lines = createInterface({ input: process.stdin });
lines.on('line', async (word) => {
  if (word === 'count') say({ changes, lost, cpuMs: process.cpuUsage().user / 1000 + process.cpuUsage().system / 1000 });
  if (word === 'routes') {
    const state = await kernel.snapshot(request);
    say({ table: state.routes.filter((route) => route.table === 1000).length });
  }
  const [verb, family] = word.split(' ');
  if (verb === 'toggle' || verb === 'share') say(await toggle(family === '6' ? 6 : 4, TURNS[verb]));
  if (word === 'throw') throw new Error('thrown on purpose');
  if (word === 'exit') process.exit(7);
  if (word === 'close') {
    // Natural end: nothing may hold the loop once the kernel is closed and the input is gone.
    await kernel.close();
    lines.close();
    process.stdin.destroy();
  }
});
