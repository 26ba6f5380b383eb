/** A next hop that the system installed with `onlink`: an address of its own and nothing else, as cloud machines get it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GatewayConfig } from '../../../src/core/config.js';
import type { Family } from '../../../src/core/model.js';
import { FakeKernel } from '../../support/fake-kernel.js';
import { FarSide } from '../../support/far-side.js';
import { makeEngine } from '../../support/story.js';
import { config, foreignDefault, gateway, icmp, uplinkConfig } from '../../support/topology.js';
import { VirtualWorld } from '../../support/virtual-world.js';

const ROUTER: Readonly<Record<Family, string>> = { 4: '172.31.1.1', 6: '2001:db8:ffff::1' };
const TARGET: Readonly<Record<Family, string>> = { 4: '198.51.100.1', 6: '2001:db8:1::1' };
const auto = (family: Family): GatewayConfig => ({ family, host: { kind: 'auto' } });

/** `first` goes by wan0, whose address is a network of itself; `second` by the network of wan1. */
function cloud(first: GatewayConfig, device: string | null = 'wan0'): VirtualWorld {
  const { family } = first;
  const kernel = new FakeKernel();
  for (const name of ['lo', 'wan0', 'wan1']) kernel.addLink(name);
  kernel.addAddress('wan0', family === 4 ? '203.0.113.7/32' : '2001:db8:7::7/64');
  kernel.addAddress('wan1', family === 4 ? '10.1.0.2/24' : 'fd00:1::2/64');
  const other = family === 4 ? '10.1.0.1' : 'fd00:1::1';
  const sides = [
    new FarSide('first', 'wan0', new Map([[family, ROUTER[family]]])),
    new FarSide('second', 'wan1', new Map([[family, other]])),
  ];
  const targets = [icmp(TARGET[family])];
  const uplinks = [
    uplinkConfig('first', { gateways: [first], interface: device, targets }),
    uplinkConfig('second', { gateways: [gateway(other)], targets }),
  ];
  return new VirtualWorld({ kernel, farSides: sides, config: config(uplinks) }, makeEngine, 7);
}

/** As netplan's `on-link`, networkd's `GatewayOnLink` or a script of the provider leaves it. */
function install(world: VirtualWorld, family: Family, metric: number): void {
  const route = foreignDefault(world.kernel, ROUTER[family], 'wan0', { protocol: 4, metric });
  const nexthops = route.nexthops.map((hop) => ({ ...hop, onlink: true }));
  assert.equal(world.kernel.foreign({ op: 'route-append', route: { ...route, nexthops } }), null);
}

function start(world: VirtualWorld): void {
  world.startProcess();
  world.runUntil(world.elapsedMs + 20_000);
}

const seen = (world: VirtualWorld): string => {
  const path = world.engine?.view(world.nowMs).uplinks[0]?.paths[0];
  return `${path?.gateway} ${path?.health} ${path?.reason}`;
};

/** Every next hop of ours by the router, in main and in our tables. */
const hops = (world: VirtualWorld, family: Family): boolean[] =>
  world.kernel.state.routes
    .filter((r) => r.protocol === 110)
    .flatMap((r) => r.nexthops.filter((hop) => hop.gateway === ROUTER[family]).map((hop) => hop.onlink));

for (const family of [4, 6] as const) {
  for (const metric of [family === 4 ? 0 : 1, 1024]) {
    test(`IPv${family}: a next hop by itself is found at metric ${metric}, and used as it was installed`, () => {
      const world = cloud(auto(family));
      install(world, family, metric);
      start(world);
      assert.equal(seen(world), `${ROUTER[family]} up answers`);
      assert.deepEqual(hops(world, family), [true, true]);
    });
  }

  test(`IPv${family}: a next hop of the file too, on the named interface or where the route is`, () => {
    for (const device of ['wan0', null]) {
      const world = cloud(gateway(ROUTER[family]), device);
      install(world, family, 1024);
      start(world);
      assert.equal(seen(world), `${ROUTER[family]} up answers`);
      assert.deepEqual(hops(world, family), [true, true]);
    }
  });
}

test('that it is on the link is known after our route took the place, after a restart, and without the saved state', () => {
  for (const first of [auto(4), gateway(ROUTER[4])]) {
    const world = cloud(first);
    install(world, 4, 0);
    start(world);
    assert.ok(world.kernel.state.routes.every((r) => r.protocol === 110 || r.nexthops[0]?.onlink !== true));
    // Without what was saved a gateway by itself is not known at all: our own route proves nothing of it.
    for (const forgets of first.host.kind === 'auto' ? [false] : [false, true]) {
      world.killProcess();
      if (forgets) world.saved = null;
      const from = world.elapsedMs;
      start(world);
      assert.equal(seen(world), `${ROUTER[4]} up answers`);
      assert.deepEqual(
        world.log.filter((e) => e.type === 'op' && e.atMs >= from),
        [],
      );
    }
  }
});

test('down and up again it comes back, though nobody puts the former route back', () => {
  const world = cloud(gateway(ROUTER[4]));
  install(world, 4, 0);
  start(world);
  world.kernel.setAdmin('wan0', false);
  world.runUntil(world.elapsedMs + 5_000);
  assert.equal(seen(world), `${ROUTER[4]} down carrier-lost`);
  world.kernel.setAdmin('wan0', true);
  world.runUntil(world.elapsedMs + 60_000);
  assert.equal(seen(world), `${ROUTER[4]} up answers`);
  world.kernel.removeAddresses('wan0', 4);
  world.runUntil(world.elapsedMs + 5_000);
  assert.equal(seen(world), `${ROUTER[4]} down no-address`);
});

test('where no such route was met the gateway is in no network, as ever', () => {
  const world = cloud(gateway(ROUTER[4]));
  start(world);
  assert.equal(seen(world), `${ROUTER[4]} down no-address`);
  assert.deepEqual(hops(world, 4), []);
});

test('a route that loses or gains the flag is another one', () => {
  const world = cloud(gateway('10.1.0.9'), null);
  world.kernel.removeAddresses('wan0', 4);
  start(world);
  const flags = (): boolean[] =>
    world.kernel.state.routes
      .filter((r) => r.protocol === 110)
      .flatMap((r) => r.nexthops.filter((hop) => hop.gateway === '10.1.0.9').map((hop) => hop.onlink));
  assert.deepEqual(flags(), [false, false]);
  const route = foreignDefault(world.kernel, '10.1.0.9', 'wan1', { protocol: 4, metric: 500 });
  world.kernel.foreign({
    op: 'route-append',
    route: { ...route, nexthops: route.nexthops.map((h) => ({ ...h, onlink: true })) },
  });
  world.runUntil(world.elapsedMs + 5_000);
  assert.deepEqual(flags(), [true, true]);
});
