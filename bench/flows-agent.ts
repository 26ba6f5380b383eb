/**
 * Measures in a network namespace of its own how long routing waits while open connections are ended: run under `unshare --net` with the
 * number of entries as its argument. Prints one JSON object.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { LinuxFlowKeeper } from '../src/kernel/flows/keeper.js';
import { RtnlKernel } from '../src/kernel/kernel.js';
import { makeEntries, manyConnections } from './conntrack.js';
import type { FlowFigures } from './flows.js';

const MARK = 0x01000000;
const MASK = 0x7f000000;
const NUMBERS = { protocol: 110, tableBase: 7100, ruleBase: 700, markMask: MASK };
/** so many replaces at least, whatever an end takes */
const REPLACES = 200;
const MAX_ROUNDS = 60;

const COMMANDS = `
link set lo up
link add lan index 50 type veth peer name home index 150
link add wan index 51 type veth peer name far index 151
link set lan up
link set home up
link set wan up
link set far up
addr add 192.168.77.254/16 dev lan
addr add 10.9.0.2/24 dev wan
neigh add 192.168.77.1 lladdr 02:00:00:00:00:01 dev lan
neigh add 192.168.77.2 lladdr 02:00:00:00:00:02 dev lan
route add default via 10.9.0.1
`;

const TABLE = `table inet backroute {
  set dead4 { type ipv4_addr . inet_service . ipv4_addr . inet_service; flags timeout; }
  set dead6 { type ipv6_addr . inet_service . ipv6_addr . inet_service; flags timeout; }
  chain raw-output { type filter hook output priority -300; meta mark and 0x7f000000 == 0x40000000 notrack; }
  chain forward { type filter hook forward priority -150; ip saddr . tcp sport . ip daddr . tcp dport @dead4 reject with tcp reset; }
}`;

async function main(count: number): Promise<FlowFigures> {
  for (const words of COMMANDS.trim().split('\n')) execFileSync('ip', words.split(' '));
  execFileSync('nft', [TABLE]);
  const kernel = new RtnlKernel();
  const keeper = new LinuxFlowKeeper({ numbers: NUMBERS });
  const selector = { family: 4, mark: MARK, mask: MASK, udpPorts: null } as const;
  // The thread is started by the first ask.
  await keeper.count({ id: 0, selector });
  const endMs: number[] = [];
  const replaceUs: number[] = [];
  const blockMs: number[] = [];
  for (let round = 0; round < MAX_ROUNDS && replaceUs.length < REPLACES; round++) {
    makeEntries(manyConnections(count, MARK));
    let ending = true;
    const ended = keeper.end({ id: round, selector, reset: true }).finally(() => {
      ending = false;
    });
    let last = now();
    while (ending) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      const woken = now();
      // A timer of 1 ms; what another process had of the core is not ours.
      blockMs.push(Math.max(0, woken.ms - last.ms - 1 - (woken.queuedMs - last.queuedMs)));
      if (!ending) break;
      const started = now();
      const [result] = await kernel.apply([replace(replaceUs.length % 2)]);
      last = now();
      replaceUs.push(Math.max(0, last.ms - started.ms - (last.queuedMs - started.queuedMs)) * 1000);
      if (result?.ok !== true) throw new Error(`route replace: ${result?.errno}`);
    }
    const { entries, tookMs } = await ended;
    if (entries !== count) throw new Error(`${entries} of ${count} entries were deleted`);
    endMs.push(tookMs);
    execFileSync('nft', ['flush set inet backroute dead4']);
  }
  await keeper.close();
  await kernel.close();
  return { endMs, replaceUs, blockMs };
}

function replace(which: number): Parameters<RtnlKernel['apply']>[0][number] {
  const nexthops = [{ ifindex: 51, gateway: `10.9.0.${1 + 2 * which}`, onlink: false }];
  const route = {
    family: 4,
    table: 254,
    destination: 'default',
    type: 'unicast',
    protocol: 110,
    metric: 0,
    tos: 0,
    scope: 0,
  } as const;
  return { op: 'route-replace', route: { ...route, prefsrc: null, nexthops, expires: false, rest: '' } };
}

/** And for how long this thread has ever waited for a core (proc(5), schedstat). */
function now(): { ms: number; queuedMs: number } {
  const [, queued] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'latin1').split(' ');
  return { ms: performance.now(), queuedMs: Number(queued) / 1e6 };
}

process.stdout.write(JSON.stringify(await main(Number(process.argv[2]))));
