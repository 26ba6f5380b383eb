/** Where the parts meet that care for the traffic itself: seen through a running engine. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Config, ConnectionsConfig, UplinkConfig } from '../../../../src/core/config.js';
import type { PathView, StatusView } from '../../../../src/core/messages.js';
import { makeEngine } from '../../../support/story.js';
import { config, separate } from '../../../support/topology.js';
import { VirtualWorld } from '../../../support/virtual-world.js';

const POLICY: ConnectionsConfig = { failover: 'end', failback: 'drain', drainMs: 60_000, moveUdpPorts: [], inbound: 'same' };

function running(
  names: readonly string[],
  change: (uplink: UplinkConfig, index: number) => Partial<UplinkConfig>,
  more: Partial<Config> = {},
  seed = 7,
): VirtualWorld {
  const made = separate(names);
  const uplinks = made.config.uplinks.map((u, i) => ({ ...u, ...change(u, i) }));
  const world = new VirtualWorld({ ...made, config: config(uplinks, { connections: POLICY, ...more }) }, makeEngine, seed);
  world.startProcess();
  world.runUntil(30_000);
  return world;
}

/** a and b share, c stands behind them. */
const sharing = (more: Partial<Config> = {}): VirtualWorld =>
  running(['a', 'b', 'c'], (_, i) => (i < 2 ? { tier: 1, weight: i === 0 ? 3 : 1 } : {}), more);

function view(world: VirtualWorld): StatusView {
  assert.ok(world.engine !== null);
  return world.engine.view(world.nowMs);
}

const pathOf = (world: VirtualWorld, name: string): PathView | undefined =>
  view(world).uplinks.find((u) => u.name === name)?.paths[0];
const shares = (world: VirtualWorld): string[] => view(world).families[0]?.sharing.map((s) => s.uplink) ?? [];
const marks = (world: VirtualWorld): number[] => world.endedFlows.map((ask) => ask.selector.mark >>> 24);
const run = (world: VirtualWorld, forMs: number): void => world.runUntil(world.elapsedMs + forMs);

test('a restart adopts uplinks that share as they are, whoever led them', () => {
  const world = sharing();
  world.farSide('a').upstreamAlive = false;
  run(world, 20_000);
  world.farSide('a').upstreamAlive = true;
  run(world, 60_000);
  assert.deepEqual([view(world).families[0]?.active, shares(world)], ['b', ['a', 'b']]);
  for (const saved of [world.saved, null]) {
    world.killProcess();
    world.saved = saved;
    const from = world.elapsedMs;
    world.startProcess();
    run(world, 20_000);
    // Who leads decides the order of those behind them, and nothing else.
    const ops = world.log.flatMap((e) => (e.type === 'op' && e.atMs >= from ? [e.result.op] : []));
    const ofStandbys = ops.filter((op) => op.op === 'route-replace' && op.route.table === 254 && op.route.metric > 0);
    assert.deepEqual([ops.length - ofStandbys.length, ofStandbys.length], [0, saved === null ? 2 : 0]);
    assert.deepEqual([view(world).families[0]?.active, shares(world)], [saved === null ? 'a' : 'b', ['a', 'b']]);
  }
});

test('a member that the administrator shuts leaves the set, and its connections are ended; the others keep theirs', () => {
  const world = sharing();
  world.openFlows.set(0x1000000, 5);
  world.openFlows.set(0x2000000, 5);
  world.deliver({ type: 'command', command: { verb: 'disable', uplink: 'b' } });
  run(world, 20_000);
  assert.deepEqual(shares(world), ['a']);
  assert.deepEqual([...new Set(marks(world))], [2]);
  assert.equal(world.openFlows.get(0x1000000), 5);
});

test('a member whose router changes is another hop of the set, and nobody is accused of it', () => {
  const world = running(['a', 'b'], (_, i) => ({
    tier: 1,
    interface: `wan${i}`,
    gateways: [{ family: 4, host: { kind: 'auto' } }],
  }));
  const lease = (device: string, gateway: string): void =>
    world.deliver({ type: 'uplink-hint', hint: { interface: device, family: 4, source: 'lease', gateway, prefix: null } });
  lease('wan0', '10.0.0.1');
  lease('wan1', '10.1.0.1');
  run(world, 60_000);
  assert.deepEqual(shares(world), ['a', 'b']);
  world.farSide('b').gateways.set(4, '10.1.0.9');
  lease('wan1', '10.1.0.9');
  run(world, 60_000);
  assert.deepEqual(
    world.waysOut(4).map((way) => [way.to, way.works]),
    [
      ['a', true],
      ['b', true],
    ],
  );
  assert.deepEqual(world.records('drift'), []);
});

test('a link that vanishes takes the whole route of several with it: a way out stands all the same, before we look', () => {
  const world = sharing();
  world.killProcess();
  world.kernel.removeLink('wan1');
  assert.deepEqual(
    world.waysOut(4).map((way) => [way.to, way.works]),
    [['a', true]],
  );
});

test('a drill of all is over with the carrier of what is tried, not with the next second', () => {
  const world = running(['fast', 'backup'], () => ({}));
  world.deliver({ type: 'command', command: { verb: 'drill', uplink: 'backup', traffic: 'all', forMs: 60_000 } });
  run(world, 5_000);
  assert.equal(world.wayOut(4).to, 'backup');
  world.kernel.setCarrier('wan1', false);
  run(world, 50);
  assert.equal(world.wayOut(4).to, 'fast');
  run(world, 10_000);
  assert.match(
    world
      .records('drill')
      .map((r) => r.text)
      .join('\n'),
    /does not work: IPv4 is down, the link has no carrier/,
  );
});

test('the only one left is closed by its cap: it carries on, and stays what the kernel falls back to', () => {
  const metered = { probeBudgetBytes: 1e9, capBytes: 1_000, startsOnDay: 1, atCap: 'disable' } as const;
  const world = running(['dsl', 'lte'], (_, i) => (i === 1 ? { metered } : {}));
  world.kernel.setCounters('wan1', { rxBytes: 0, txBytes: 0 });
  run(world, 31_000);
  world.farSide('dsl').upstreamAlive = false;
  run(world, 20_000);
  assert.equal(world.wayOut(4).to, 'lte');
  world.kernel.setCounters('wan1', { rxBytes: 5_000, txBytes: 0 });
  run(world, 60_000);
  assert.equal(view(world).uplinks[1]?.usage?.closed, true);
  assert.equal(world.wayOut(4).to, 'lte');
  assert.deepEqual(
    marks(world).filter((mark) => mark === 2),
    [],
    'nowhere to go',
  );
  world.farSide('dsl').upstreamAlive = true;
  run(world, 60_000);
  assert.equal(world.wayOut(4).to, 'dsl');
  world.kernel.setCarrier('wan0', false);
  world.killProcess();
  assert.equal(world.wayOut(4).to, 'lte', 'the kernel alone knows no caps');
});

test('the deadline of a drain is an hour of the day: it holds over a restart, a sleeping machine and a stall', () => {
  for (const meanwhile of ['restart', 'suspend', 'stall']) {
    const world = running(['fast', 'backup'], () => ({}));
    world.farSide('fast').upstreamAlive = false;
    run(world, 20_000);
    world.openFlows.set(0x2000000, 3);
    world.farSide('fast').upstreamAlive = true;
    run(world, 40_000);
    const until = pathOf(world, 'backup')?.draining?.untilWallMs ?? null;
    assert.ok(until !== null, meanwhile);
    if (meanwhile === 'restart') {
      world.killProcess();
      world.startProcess();
    } else if (meanwhile === 'suspend') world.suspend(5_000);
    else world.stall(5_000);
    run(world, 10_000);
    assert.ok(Math.abs((pathOf(world, 'backup')?.draining?.untilWallMs ?? 0) - until) <= 2, meanwhile);
    const before = world.endedFlows.length;
    run(world, 60_000);
    assert.deepEqual(marks(world).slice(before), [2], meanwhile);
    assert.equal(pathOf(world, 'backup')?.draining, null);
  }
});

test('after a restart nobody is ended before there is a verdict on the uplink that would take over', () => {
  const world = running(['fast', 'backup'], () => ({}));
  world.killProcess();
  world.kernel.setCarrier('wan0', false);
  world.farSide('backup').complaint = 'portal';
  world.startProcess();
  run(world, 60_000);
  assert.deepEqual(marks(world), []);
  world.farSide('backup').complaint = null;
  run(world, 60_000);
  assert.deepEqual([...new Set(marks(world))], [1]);
});

test('without nftables nobody is promised that connections finish where they are', () => {
  const promised = (nftables: boolean): string[] => {
    const topology = separate(['a', 'b']);
    const made = { ...topology, config: config(topology.config.uplinks, { connections: POLICY }) };
    const world = new VirtualWorld(made, makeEngine, 7);
    if (!nftables) world.kernel.sabotage = (op) => (op.op === 'nft-table' ? 'ENOENT' : null);
    world.startProcess();
    run(world, 30_000);
    world.farSide('a').upstreamAlive = false;
    run(world, 20_000);
    world.farSide('a').upstreamAlive = true;
    run(world, 300_000);
    assert.equal(view(world).families[0]?.active, 'a');
    return world.records('flows').map(({ text }) => text);
  };
  assert.ok(promised(true).includes('open connections finish on b, for 1 min at most'));
  assert.deepEqual(promised(false), []);
});

test('where the gateway is found on another interface its counter is not taken for the former one', () => {
  const metered = { probeBudgetBytes: 1e9, capBytes: 20e9, startsOnDay: 1, atCap: 'disable' } as const;
  const world = running(['dsl', 'lte'], (_, i) => (i === 1 ? { metered } : {}));
  world.kernel.setCounters('wan1', { rxBytes: 0, txBytes: 0 });
  run(world, 31_000);
  world.kernel.setCounters('wan1', { rxBytes: 5_000, txBytes: 0 });
  run(world, 31_000);
  world.kernel.removeAddresses('wan1', 4);
  world.kernel.addLink('wan7');
  world.kernel.addAddress('wan7', '10.1.0.2/24');
  world.kernel.setCounters('wan7', { rxBytes: 340e9, txBytes: 0 });
  run(world, 31_000);
  assert.equal(pathOf(world, 'lte')?.interface, 'wan7');
  world.kernel.setCounters('wan7', { rxBytes: 340e9 + 7, txBytes: 0 });
  run(world, 31_000);
  const { bytes, closed } = view(world).uplinks[1]?.usage ?? {};
  assert.deepEqual([bytes, closed], [5_007, false]);
});

test('where the LAN is on its interface too, nothing is taken for its traffic, and that is said', () => {
  const metered = { probeBudgetBytes: 1e9, capBytes: 20_000, startsOnDay: 1, atCap: 'disable' } as const;
  const made = separate(['fibre', 'lte']);
  const uplinks = made.config.uplinks.map((u, i) => ({ ...u, metered: i === 1 ? metered : null }));
  made.kernel.removeLink('lan');
  const world = new VirtualWorld({ ...made, config: config(uplinks) }, makeEngine, 7);
  const { kernel } = world;
  const seen = (address: string, mac: string): void =>
    kernel.setNeighbour({ ifindex: kernel.link('wan1').index, address, family: 4, state: 'stale', mac });
  const count = (rxBytes: number): number | null => {
    kernel.setCounters('wan1', { rxBytes, txBytes: 0 });
    run(world, 31_000);
    return view(world).uplinks[1]?.usage?.bytes ?? null;
  };
  world.startProcess();
  seen('10.1.0.1', '02:00:00:00:00:01');
  assert.deepEqual([count(0), count(5)], [0, 5], 'a stick beside the one card, on which the LAN may be as well');
  seen('10.1.0.50', '02:00:00:00:00:50');
  run(world, 1_000);
  assert.equal(count(500_000), 5);
  assert.deepEqual(view(world).problems, ['lte: the LAN or another uplink is on wan1 too: what lte costs cannot be counted']);
  assert.equal(view(world).uplinks[1]?.usage?.closed, false);
  kernel.addLink('lan');
  kernel.addAddress('lan', '192.168.1.1/24');
  run(world, 1_000);
  assert.deepEqual([count(500_007), view(world).problems], [12, []]);
});

/** A drill of all by lte, in which one answer of lte comes some 10 ms after its deadline. */
function lateInDrill(connections: ConnectionsConfig, seed: number, homeDoubted: boolean): VirtualWorld {
  const world = running(['fibre', 'lte'], () => ({}), { connections }, seed);
  const [fibre, lte] = [world.farSide('fibre'), world.farSide('lte')];
  [fibre.rttMs, lte.rttMs] = [40, 45];
  run(world, 60_000);
  world.openFlows.set(0x1000000, 9);
  world.deliver({ type: 'command', command: { verb: 'drill', uplink: 'lte', traffic: 'all', forMs: 60_000 } });
  run(world, 10_000);
  assert.equal(world.wayOut(4).to, 'lte');
  const sent = (): number => world.prober.sent.get('lte/4') ?? 0;
  for (const before = sent(); sent() === before; ) run(world, 1);
  lte.rttMs = 95;
  for (const before = sent(); sent() === before; ) run(world, 1);
  run(world, 1);
  lte.rttMs = 45;
  // Something else has the home asked anew: it cannot be gone back to before it has answered.
  if (homeDoubted) world.at(world.elapsedMs + 55, () => world.kernel.addAddress('wan0', '10.0.0.77/24'));
  return world;
}

test('an answer a little late ends a drill of all: the route is back at once, and nothing that was open is touched', () => {
  for (const failback of ['drain', 'move'] as const) {
    for (let seed = 1; seed <= 10; seed += 1) {
      const story = `${failback}, seed ${seed}`;
      const world = lateInDrill({ ...POLICY, failback, moveUdpPorts: [51_820] }, seed, false);
      world.onStep = () => {
        const breaking = view(world).drill === null && world.wayOut(4).to === 'lte';
        assert.equal(breaking, false, `${story}: off the drill, and not back`);
      };
      run(world, 1_000);
      assert.equal(world.wayOut(4).to, 'fibre', story);
      assert.ok(!marks(world).includes(1), `${story}: connections of fibre were ended`);
      assert.equal(pathOf(world, 'fibre')?.draining, null, story);
      assert.equal(world.openFlows.get(0x1000000), 9, story);
    }
  }
});

test('a drill of all that ends while its home is in doubt: the route waits for its answer, what is open on it stays', () => {
  let waited = 0;
  for (const failback of ['drain', 'move'] as const) {
    for (let seed = 1; seed <= 10; seed += 1) {
      const story = `${failback}, seed ${seed}`;
      const world = lateInDrill({ ...POLICY, failback, moveUdpPorts: [51_820] }, seed, true);
      let here = false;
      world.onStep = () => {
        const proven = pathOf(world, 'lte')?.suspicion === 'none' && pathOf(world, 'fibre')?.suspicion === 'suspect';
        here ||= proven && view(world).drill === null && world.wayOut(4).to === 'lte';
      };
      run(world, 1_000);
      waited += here ? 1 : 0;
      assert.equal(world.wayOut(4).to, 'fibre', story);
      assert.ok(!marks(world).includes(1), `${story}: connections of fibre were ended`);
      assert.equal(pathOf(world, 'fibre')?.draining, null, story);
    }
  }
  assert.ok(waited > 0, 'no drill ended while fibre was in doubt');
});

test('home fails right after a drill of all: its connections are ended, as with any failover', () => {
  for (let seed = 1; seed <= 5; seed += 1) {
    const world = lateInDrill({ ...POLICY, failback: 'move' }, seed, true);
    world.onStep = () => {
      if (view(world).drill === null) world.kernel.setCarrier('wan0', false);
    };
    run(world, 10_000);
    assert.equal(world.wayOut(4).to, 'lte');
    assert.deepEqual([...new Set(marks(world))], [1]);
  }
});
