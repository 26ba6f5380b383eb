/** What follows the engine's decisions, in a virtual world: the effects that ask for it, and when. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Engine } from '../../../../src/core/engine.js';
import type { FilesConfig, ServicesConfig } from '../../../../src/core/services.js';
import { withDefault } from '../../../support/story.js';
import { classic } from '../../../support/topology.js';
import { VirtualWorld } from '../../../support/virtual-world.js';

const EXIM: FilesConfig = {
  kind: 'files',
  name: 'exim',
  copies: { fast: [{ from: '/a', to: '/c' }], backup: [{ from: '/b', to: '/c' }] },
  check: null,
  reload: null,
  timeoutMs: 1_000,
};
const HOOKS = { directory: null, commands: [['true']], topics: ['health', 'switch', 'problem'], timeoutMs: 1_000 } as const;
const SERVICES: ServicesConfig = { channels: [], followers: [EXIM], hooks: HOOKS };

function worldWith(services: ServicesConfig): VirtualWorld {
  const topology = withDefault(classic(), '192.168.1.253', 'eth0');
  return new VirtualWorld(
    { ...topology, config: { ...topology.config, services } },
    (config, around, saved) => new Engine(config, around, saved),
    20_260_301,
  );
}

const subjects = (world: VirtualWorld): string[] => world.notices.map(({ subject }) => subject);
const follows = (world: VirtualWorld): string[] => world.follows.map(({ uplink }) => uplink);

function setUpstream(world: VirtualWorld, alive: boolean): void {
  world.farSide('fast').upstreamAlive = alive;
}

test('services are verified at start, follow a switch and its return; people are told, in one conversation', () => {
  const world = worldWith(SERVICES);
  world.startProcess();
  world.runUntil(10_000);
  assert.deepEqual(follows(world), ['fast'], 'verified, once');
  assert.deepEqual(subjects(world), [], 'a start makes no noise');
  world.at(20_000, () => setUpstream(world, false));
  world.runUntil(60_000);
  assert.deepEqual(follows(world), ['fast', 'backup']);
  setUpstream(world, true);
  world.runUntil(160_000);
  assert.deepEqual(follows(world), ['fast', 'backup', 'fast']);
  assert.deepEqual(
    subjects(world).map((subject) => subject.replace(/: .*| after .*/, '')),
    ['fast is down', 'IPv4 moved from fast to backup', 'fast is up again', 'IPv4 is back on fast'],
  );
  const [first] = world.notices;
  assert.ok(world.notices.every(({ thread }) => thread === first?.id));
  assert.deepEqual(
    world.notices.map(({ active }) => active.find(({ family }) => family === 4)?.uplink),
    ['backup', 'backup', 'backup', 'fast'],
    'what is active is what has just been decided',
  );
  const outageMs = world.notices[2]?.outageMs ?? 0;
  assert.ok(Math.abs(outageMs - 40_000) < 3_000, `told ${outageMs} ms of 40 s`);
  assert.deepEqual(world.engine?.view(world.nowMs).services[0]?.verified, true);
});

test('killed between the route and what follows: the next process asks for it, and the outage goes on', () => {
  const world = worldWith(SERVICES);
  world.startProcess();
  world.runUntil(10_000);
  setUpstream(world, false);
  world.runUntil(20_000);
  const told = world.notices.length;
  world.killProcess();
  world.runUntil(30_000);
  world.startProcess();
  world.runUntil(40_000);
  assert.equal(follows(world).at(-1), 'backup');
  assert.equal(world.notices.length, told, 'no news');
  setUpstream(world, true);
  world.runUntil(100_000);
  const recovery = world.notices.find(({ subject }) => subject.startsWith('fast is up again'));
  assert.ok(Math.abs((recovery?.outageMs ?? 0) - 30_000) < 3_000, `told ${recovery?.outageMs} ms of 30 s`);
  assert.equal(recovery?.thread, world.notices[0]?.id);
});

test('who asks for nothing is told nothing, and nothing of it is kept', () => {
  const world = worldWith({ channels: [], followers: [], hooks: null });
  world.startProcess();
  world.runUntil(10_000);
  setUpstream(world, false);
  world.runUntil(20_000);
  assert.deepEqual([world.notices, world.follows, world.saved?.outages], [[], [], {}]);
});
