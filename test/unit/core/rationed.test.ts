/** Targets that answer only so many questions a second: asking a restless path more often than that must not make an outage of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeEngine, withDefault } from '../../support/story.js';
import { config, separate, type Topology } from '../../support/topology.js';
import { VirtualWorld } from '../../support/virtual-world.js';

const RUN_MS = 3_600_000;

/** Each target answers from a bucket of five. @returns the world, and how many questions found it empty */
function rationed(perS: number): { world: VirtualWorld; topology: Topology; refused: () => number } {
  const made = separate(['fast', 'backup']);
  const uplinks = made.config.uplinks.map((u) => ({ ...u, failAfterMs: null, recoverAfterMs: null }));
  const topology: Topology = withDefault({ ...made, config: config(uplinks) }, '10.0.0.1', 'wan0');
  const world = new VirtualWorld(topology, makeEngine, 7);
  let refused = 0;
  for (const far of topology.farSides) {
    const answer = far.ask.bind(far);
    const bucket = { tokens: 5, atMs: 0 };
    far.ask = (address, random) => {
      if (far.isGateway(address)) return answer(address, random);
      bucket.tokens = Math.min(5, bucket.tokens + ((world.elapsedMs - bucket.atMs) * perS) / 1000);
      bucket.atMs = world.elapsedMs;
      if (bucket.tokens < 1) {
        refused += 1;
        return null;
      }
      bucket.tokens -= 1;
      return answer(address, random);
    };
  }
  return { world, topology, refused: () => refused };
}

for (const perS of [2, 3, 5]) {
  test(`${perS} answers a second: after one outage traffic comes back and stays, and the target is left in peace`, () => {
    const { world, topology, refused } = rationed(perS);
    world.startProcess();
    world.runUntil(600_000);
    assert.equal(refused(), 0, 'at its usual pace');
    const [fast] = topology.farSides;
    assert.ok(fast !== undefined);
    fast.upstreamAlive = false;
    world.runUntil(608_000);
    fast.upstreamAlive = true;
    world.runUntil(RUN_MS);
    assert.equal(world.engine?.view(world.nowMs).families[0]?.active, 'fast');
    assert.ok(world.records('switch').length <= 3, 'there and back');
    assert.ok(refused() < 200, `${refused()} questions too many in an hour`);
    const told = world.records('target').map(({ text }) => text);
    assert.equal(told.filter((text) => /answers only some of what is asked so often/.test(text)).length, 1);
  });
}
