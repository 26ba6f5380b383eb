/** The kernel's notifications against a real kernel: latency, relevance, floods, stops, and every way out of the process. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import type { KernelChange, RouteState } from '../../src/core/kernel.js';
import { RtnlKernel } from '../../src/kernel/kernel.js';
import { Agent, enterTestNamespace, eventually, needsRoot, type TestNamespace } from './kernel-namespace.js';

function defaultRoute(gateway: string, metric: number, table = 254): RouteState {
  return {
    family: 4,
    table,
    destination: 'default',
    type: 'unicast',
    protocol: 177,
    metric,
    tos: 0,
    scope: 0,
    prefsrc: null,
    nexthops: [{ ifindex: 10, gateway, onlink: false }],
    expires: false,
    rest: '',
  };
}

describe('kernel watcher', { skip: needsRoot }, () => {
  let namespace: TestNamespace;
  const kernel = new RtnlKernel();
  /** makes the changes, so that the watcher's session is not the one that made them */
  const other = new RtnlKernel();
  let changes: KernelChange[] = [];
  const agents: Agent[] = [];
  const startAgent = async (): Promise<Agent> => {
    const agent = new Agent();
    agents.push(agent);
    await agent.ready();
    return agent;
  };
  const batch = (lines: readonly string[]): void => {
    execFileSync('ip', ['-n', namespace.name, '-batch', '-'], { input: `${lines.join('\n')}\n` });
  };
  const foreignRoutes = (verb: string, count: number, rest: string): string[] =>
    Array.from({ length: count }, (_, i) => `route ${verb} 172.${16 + (i >> 12)}.${(i >> 4) & 255}.${(i & 15) * 16}/28 ${rest}`);
  /** Makes a change that must be told, and waits for it: whatever came before it has then been read. */
  const fence = async (): Promise<void> => {
    const told = changes.length;
    namespace.ip('rule add fwmark 0x77 priority 7777 table 1000');
    await eventually('rule change', () => changes.slice(told).some((change) => change.what.has('rule')));
    namespace.ip('rule del priority 7777');
    await eventually('rule change', () => changes.slice(told + 1).some((change) => change.what.has('rule')));
  };

  before(async () => {
    namespace = enterTestNamespace();
    await kernel.snapshot({ tables: [1000], sysctls: [], nft: false });
    kernel.watch((change) => changes.push(change));
    await fence();
  });
  after(async () => {
    for (const { child } of agents) child.kill('SIGKILL');
    await kernel.close();
    await other.close();
  });

  test('tells what kind of thing changed', async () => {
    const cases: [string, string][] = [
      ['route', 'route add default via 192.168.1.1 metric 50'],
      ['route', 'route add 198.51.100.0/24 via 192.168.1.1 table 1000'],
      ['route', 'route add 198.51.100.0/24 dev eth0 scope link'],
      ['route', '-6 route add default via fe80::1 dev eth0 metric 50'],
      ['address', 'addr add 192.0.2.1/32 dev lo'],
      ['link', 'link set eth0.5 mtu 1400'],
      ['rule', '-6 rule add fwmark 0x5 table 1000 priority 6001'],
      // No route says so where the kernel does not expand them (net.ipv4.nexthop_compat_mode=0).
      ['route', 'nexthop replace id 7 via 10.1.0.10 dev eth0.5'],
      ['route', 'nexthop del id 7'],
      ['link', 'link property add dev eth0 altname fibre'],
      // Only an entry that was valid makes an event when it fails.
      ['neighbour', 'neigh change 192.168.1.200 dev eth0 nud failed'],
    ];
    namespace.ip('neigh add 192.168.1.200 lladdr 02:00:00:00:00:09 dev eth0 nud reachable');
    namespace.ip('nexthop add id 7 via 10.1.0.9 dev eth0.5');
    namespace.ip('route add 203.0.113.0/24 via 192.168.1.200 table 1000');
    await kernel.snapshot({ tables: [1000], sysctls: [], nft: false });
    for (const [kind, words] of cases) {
      await fence();
      changes = [];
      namespace.ip(words);
      await eventually(`${kind} after ${words}`, () => changes.some((change) => [...change.what].includes(kind as never)));
    }
    namespace.ip('route del default metric 50');
    namespace.ip('-6 rule del priority 6001');
    await fence();
  });

  test('of neighbours that fail only those are told that a route goes by', async () => {
    const fails = (address: string): void => {
      namespace.ip(`neigh replace ${address} lladdr 02:00:00:00:00:09 dev eth0 nud reachable`);
      namespace.ip(`neigh change ${address} dev eth0 nud failed`);
    };
    const isTold = (): boolean => changes.some((change) => change.what.has('neighbour'));
    changes = [];
    for (let host = 201; host < 250; host += 1) fails(`192.168.1.${host}`);
    await fence();
    assert.equal(isTold(), false, 'somebody scans the network');
    fails('192.168.1.200');
    await eventually('the gateway is told', isTold);
  });

  test('loss of carrier at the other end is told as a link change', async () => {
    await fence();
    changes = [];
    namespace.peerIp('link set p1 down');
    await eventually('link change', () => changes.some((change) => change.what.has('link')));
    const state = await kernel.snapshot({ tables: [1000], sysctls: [], nft: false });
    assert.equal(state.links.find((link) => link.name === 'eth0.5')?.carrier, false);
    namespace.peerIp('link set p1 up');
    await eventually('carrier back', async () =>
      (await kernel.snapshot({ tables: [1000], sysctls: [], nft: false })).links.some((l) => l.name === 'eth0.5' && l.carrier),
    );
  });

  test('from the change to the callback: a few milliseconds at most', async (t) => {
    const latenciesMs: number[] = [];
    for (let round = 0; round < 50; round++) {
      await fence();
      changes = [];
      const started = performance.now();
      await other.apply([{ op: round % 2 === 0 ? 'route-add' : 'route-delete', route: defaultRoute('192.168.1.1', 60) }]);
      await new Promise<void>((resolve) => {
        const look = (): void => (changes.length > 0 ? resolve() : void setImmediate(look));
        look();
      });
      latenciesMs.push(performance.now() - started);
    }
    latenciesMs.sort((a, b) => a - b);
    const median = latenciesMs[25] ?? Number.NaN;
    t.diagnostic(`change to callback: median ${median.toFixed(3)} ms, worst ${latenciesMs.at(-1)?.toFixed(3)} ms`);
    assert.ok(median < 10, `median ${median} ms`);
  });

  test('6,000 foreign routes cause no callback', async () => {
    await fence();
    changes = [];
    batch(foreignRoutes('add', 6000, 'via 192.168.1.1'));
    await fence();
    assert.deepEqual(
      changes.filter((change) => change.what.has('route') || change.lost),
      [],
    );
    batch(foreignRoutes('del', 6000, 'via 192.168.1.1'));
    await fence();
  });

  test('a burst in a table of ours is told in few callbacks, the first at once', async () => {
    await fence();
    changes = [];
    batch(foreignRoutes('add', 2000, 'via 192.168.1.1 table 1000'));
    await fence();
    const told = changes.filter((change) => change.what.has('route')).length;
    assert.ok(told >= 1 && told < 200, `${told} callbacks`);
    namespace.ip('route flush table 1000');
    await fence();
  });

  test('files and names are served while nothing changes: no thread of the pool is held', async () => {
    const started = performance.now();
    await Promise.all(Array.from({ length: 16 }, () => Promise.all([readFile('/proc/self/stat'), lookup('localhost')])));
    assert.ok(performance.now() - started < 2000);
  });

  test('a flood while the process is stopped leaves it alive and right', async () => {
    const agent = await startAgent();
    agent.child.kill('SIGSTOP');
    batch(foreignRoutes('add', 6000, 'via 192.168.1.1 table 1000'));
    agent.child.kill('SIGCONT');
    assert.equal((await agent.ask('routes')).table, 6000);
    await eventually('a callback', async () => Number((await agent.ask('count')).changes) > 0);
    namespace.ip('route flush table 1000');
    await eventually('the flush seen', async () => (await agent.ask('routes')).table === 0);
  });

  test('notifications beyond the buffer are told as lost, and the watcher goes on', async () => {
    const agent = await startAgent();
    agent.child.kill('SIGSTOP');
    const routes = foreignRoutes('add', 16000, 'via 192.168.1.1 table 1000');
    for (let round = 0; round < 3; round++) {
      batch(routes);
      namespace.ip('route flush table 1000');
    }
    agent.child.kill('SIGCONT');
    await eventually('lost', async () => (await agent.ask('count')).lost === true);
    const { changes: told } = await agent.ask('count');
    namespace.ip('route add 198.51.100.0/24 via 192.168.1.1 table 1000');
    await eventually('a callback after the loss', async () => Number((await agent.ask('count')).changes) > Number(told));
    assert.equal((await agent.ask('routes')).table, 1);
  });

  for (const [word, code] of [
    ['close', 0],
    ['exit', 7],
    ['throw', 1],
  ] as const) {
    test(`the process ends at once: ${word}`, async () => {
      const agent = await startAgent();
      const ended = once(agent.child, 'exit', { signal: AbortSignal.timeout(3000) });
      agent.child.stdin.write(`${word}\n`);
      assert.deepEqual(await ended, [code, null]);
    });
  }
});
