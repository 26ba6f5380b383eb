/**
 * One failure after another: each single operation of a failover and its failback is refused once, or is the last one before
 * kill -9. The next look heals it, a client never has no way and never one that is nobody's, and in the end the kernel stands as ever.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BUILT_IN } from '../../src/config/defaults.js';
import type { KernelOp } from '../../src/core/kernel.js';
import { makeEngine, withDefault } from '../support/story.js';
import { play } from '../support/timeline.js';
import { config, separate } from '../support/topology.js';
import { VirtualWorld } from '../support/virtual-world.js';

const LIFE = `
  0s   start
  20s  cut fast upstream
  60s  mend fast
  150s end`;
const RESTARTED = LIFE.replace('150s end', '140s restart\n  150s end');

function makeWorld(): VirtualWorld {
  const made = separate(['fast', 'backup', 'third']);
  const uplinks = made.config.uplinks.map((u, i) => (i === 0 ? u : { ...u, tier: 2, weight: i }));
  const via = {
    name: 'voip',
    uplink: 'fast',
    families: [4],
    source: '192.168.1.32/28',
    destination: null,
    protocols: ['udp'],
    ports: null,
    fallback: 'block',
  } as const;
  const topology = { ...made, config: config(uplinks, { connections: BUILT_IN.connections, via: [via] }) };
  return new VirtualWorld(withDefault(topology, '10.0.0.1', 'wan0'), makeEngine, 11);
}

/** Plays the life; at every step there is a way out and it is one of ours. */
function live(world: VirtualWorld, timeline: string): string {
  world.onStep = () => {
    const { to } = world.wayOut(4);
    assert.ok(['fast', 'backup', 'third'].includes(to), `at ${world.elapsedMs} ms packets went ${to}`);
  };
  play(world, timeline);
  assert.equal(world.prober.leaks, 0);
  assert.equal(world.meter(4).feltMs(world.nowMs).noRouteMs, 0);
  // Which of the standbys stands first may differ by who answered first after a restart.
  return world.kernel.render();
}

function countOps(): number {
  const world = makeWorld();
  live(world, LIFE);
  return world.log.filter((entry) => entry.type === 'op').length;
}

const ops = countOps();

test(`each of the ${ops} operations is refused once: everything stands as ever in the end`, () => {
  const reference = live(makeWorld(), LIFE);
  assert.ok(ops > 40, 'the life is long enough');
  for (let victim = 1; victim <= ops; victim += 1) {
    const world = makeWorld();
    let left = victim;
    let refused: KernelOp | null = null;
    world.kernel.sabotage = (op) => {
      left -= 1;
      if (left !== 0) return null;
      refused = op;
      return 'ENOBUFS';
    };
    const what = (): string => `operation ${victim}: ${JSON.stringify(refused)}`;
    try {
      assert.equal(live(world, LIFE), reference);
    } catch (error) {
      throw new Error(`${what()}: ${(error as Error).message}`);
    }
    assert.ok(
      world.records('kernel').some((r) => r.severity === 'error'),
      `nobody was told of ${what()}`,
    );
  }
});

test(`kill -9 after each of the ${ops} operations: the next start finds its way`, () => {
  const reference = live(makeWorld(), RESTARTED);
  for (let last = 1; last <= ops; last += 1) {
    const world = makeWorld();
    world.opsToLive = last;
    // Somebody (a service manager) starts it again a moment later.
    for (let atMs = 500; atMs < 150_000; atMs += 500) {
      world.at(atMs, () => {
        if (world.engine === null) world.startProcess();
      });
    }
    try {
      assert.equal(live(world, RESTARTED), reference);
    } catch (error) {
      throw new Error(`after operation ${last}: ${(error as Error).message}`);
    }
  }
});
