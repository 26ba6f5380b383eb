/** What status shows, seen through a running engine. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PathView, StatusView } from '../../../../src/core/messages.js';
import { makeEngine, withDefault } from '../../../support/story.js';
import { classic, config, icmp, separate } from '../../../support/topology.js';
import { VirtualWorld } from '../../../support/virtual-world.js';

function running(untilMs = 20_000): VirtualWorld {
  const topology = withDefault(classic(), '192.168.1.253', 'eth0');
  const uplinks = topology.config.uplinks.map((u) => ({ ...u, targets: [...u.targets, icmp('203.0.113.5')] }));
  const world = new VirtualWorld({ ...topology, config: config(uplinks) }, makeEngine, 7);
  world.startProcess();
  world.runUntil(untilMs);
  return world;
}

function view(world: VirtualWorld): StatusView {
  assert.ok(world.engine !== null);
  return world.engine.view(world.nowMs);
}

function pathOf(world: VirtualWorld, uplink: string): PathView {
  const path = view(world).uplinks.find((u) => u.name === uplink)?.paths[0];
  assert.ok(path !== undefined);
  return path;
}

test('in good times: who is active, since when, with figures and without problems', () => {
  const world = running(70_000);
  const seen = view(world);
  assert.deepEqual(
    seen.families.map((f) => [f.family, f.active, f.next]),
    [[4, 'fast', null]],
  );
  assert.deepEqual(seen.problems, []);
  const path = pathOf(world, 'fast');
  assert.deepEqual([path.active, path.health, path.reason, path.suspicion, path.loss], [true, 'up', 'answers', 'none', 0]);
  assert.deepEqual([path.interface, path.gateway, path.holdDownLeftMs], ['eth0', '192.168.1.253', null]);
  assert.ok(path.rttMs !== null && path.rttMs > 19 && path.rttMs < 25);
  assert.equal(pathOf(world, 'backup').active, false);
});

test('the numbers are those of the kernel', () => {
  const { uplinks } = view(running());
  assert.deepEqual(
    uplinks.map((u) => [u.name, u.slot, u.table, u.mark]),
    [
      ['fast', 0, 7100, 0x41000000],
      ['backup', 1, 7101, 0x42000000],
    ],
  );
});

test('looking changes nothing, and what was looked at survives JSON', () => {
  const world = running();
  const first = view(world);
  assert.deepEqual(view(world), first);
  assert.deepEqual(JSON.parse(JSON.stringify(first)), first);
});

test('a failover: why, and the countdown to the way back, second by second', () => {
  const world = running();
  world.farSide('fast').upstreamAlive = false;
  world.runUntil(30_000);
  assert.deepEqual([view(world).families[0]?.active, view(world).families[0]?.reason], ['backup', 'upstream-silent']);
  assert.equal(view(world).families[0]?.next, null, 'no countdown while it is down');
  world.farSide('fast').upstreamAlive = true;
  world.runUntil(35_000);
  const early = view(world).families[0]?.next;
  assert.equal(early?.uplink, 'fast');
  assert.equal(pathOf(world, 'fast').holdDownLeftMs, early?.inMs);
  world.runUntil(40_000);
  assert.equal((early?.inMs ?? 0) - (view(world).families[0]?.next?.inMs ?? 0), 5_000);
  world.deliver({ type: 'command', command: { verb: 'force', uplink: 'backup' } });
  assert.equal(view(world).families[0]?.next, null, 'a forced uplink is not left by itself');
});

test('a silence that is borne shows before there is any verdict', () => {
  const world = running();
  world.farSide('fast').upstreamAlive = false;
  for (let ms = 20_000; pathOf(world, 'fast').suspicion !== 'silent'; ms += 10) {
    assert.ok(ms < 22_000);
    world.runUntil(ms);
  }
  assert.equal(pathOf(world, 'fast').health, 'up');
});

test('one dead target among living ones is a problem that names it', () => {
  const world = running();
  world.farSide('fast').deadTargets.add('203.0.113.5');
  world.runUntil(60_000);
  const path = pathOf(world, 'fast');
  assert.equal(path.health, 'up');
  assert.equal(path.loss, 0, 'the best one counts');
  assert.deepEqual(
    path.targets.map((t) => [t.label, t.alive]),
    [
      ['212.254.0.1', true],
      ['203.0.113.5', false],
    ],
  );
  assert.match(view(world).problems.join('\n'), /^fast \(IPv4\): target 203\.0\.113\.5 has not answered for \d+(\.\d)? s$/);
  world.farSide('fast').deadTargets.clear();
  world.runUntil(70_000);
  assert.deepEqual(view(world).problems, []);
});

test('everything down, and a forced one that is down, are problems said first', () => {
  const world = running();
  for (const far of world.farSides) far.upstreamAlive = false;
  world.deliver({ type: 'command', command: { verb: 'force', uplink: 'fast' } });
  world.runUntil(30_000);
  const [first, second] = view(world).problems;
  assert.match(first ?? '', /^no uplink works for IPv4/);
  assert.match(second ?? '', /^fast \(IPv4\) is forced although/);
  assert.equal(view(world).uplinks[0]?.admin, 'forced');
});

test('one of the same tier that must still prove itself will share: that is no switch to come', () => {
  const made = separate(['a', 'b', 'c']);
  const uplinks = made.config.uplinks.map((u, i) => (i < 2 ? { ...u, tier: 1 } : u));
  const world = new VirtualWorld({ ...made, config: config(uplinks) }, makeEngine, 7);
  world.startProcess();
  world.runUntil(20_000);
  const family = (): StatusView['families'][number] | undefined => view(world).families[0];
  assert.deepEqual(
    family()?.sharing.map((s) => s.uplink),
    ['a', 'b'],
  );
  world.farSide('a').upstreamAlive = false;
  world.runUntil(40_000);
  world.farSide('a').upstreamAlive = true;
  world.runUntil(50_000);
  assert.deepEqual([family()?.active, family()?.next], ['b', null]);
  world.farSide('a').upstreamAlive = false;
  world.farSide('b').upstreamAlive = false;
  world.runUntil(60_000);
  world.farSide('a').upstreamAlive = true;
  world.runUntil(70_000);
  assert.deepEqual([family()?.active, family()?.next?.uplink], ['c', 'a']);
});

test('a closed uplink is no way for chosen traffic, and nobody will fail back to it', () => {
  const made = separate(['lte', 'dsl']);
  const any = {
    name: 'voip',
    uplink: 'lte',
    families: [4],
    source: null,
    destination: null,
    protocols: [],
    ports: null,
  } as const;
  const metered = { probeBudgetBytes: 1e9, capBytes: 1000, startsOnDay: 1, atCap: 'disable' } as const;
  const uplinks = made.config.uplinks.map((u, i) => (i === 0 ? { ...u, metered } : u));
  const via = [{ ...any, fallback: 'block' }] as const;
  const world = new VirtualWorld({ ...made, config: config(uplinks, { via }) }, makeEngine, 7);
  made.kernel.setCounters('wan0', { rxBytes: 0, txBytes: 0 });
  world.startProcess();
  world.runUntil(20_000);
  assert.deepEqual([view(world).families[0]?.active, view(world).via[0]?.now], ['lte', 'uplink']);
  made.kernel.setCounters('wan0', { rxBytes: 5_000, txBytes: 0 });
  world.runUntil(60_000);
  assert.deepEqual([view(world).families[0]?.active, view(world).via[0]?.now], ['dsl', 'block']);
  assert.equal(view(world).uplinks[0]?.usage?.closed, true);
  assert.equal(view(world).families[0]?.next, null);
});
