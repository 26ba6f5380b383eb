/**
 * Hundreds of random lives on the fake kernel hold the rules that must never break. BACKROUTE_SEED plays the same ones again,
 * BACKROUTE_LIVES another number of them. What breaks a rule is cut down to the lines it takes and printed.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tiersOf } from '../../src/core/choose/selector.js';
import { Random, seedFromEnvironment } from '../support/random.js';
import { END_S, MENDED_S, type RandomStory, randomStory } from '../support/random-story.js';
import { Breach, RuleWatch } from '../support/rules.js';
import { makeEngine } from '../support/story.js';
import { prepare } from '../support/timeline.js';
import { VirtualWorld } from '../support/virtual-world.js';

const LIVES = Number(process.env.BACKROUTE_LIVES ?? 200);

/** Plays one life; cleans up at a random moment or at its end. @returns what broke, or null */
function live(seed: number, story: RandomStory, lines: readonly string[]): Error | null {
  const topology = story.topology();
  const former = topology.kernel.render();
  const world = new VirtualWorld(topology, makeEngine, seed);
  const watch = new RuleWatch(world);
  const random = new Random(seed ^ 0x5eed);
  const breakOffMs = random.chance(0.4) ? random.between(0, MENDED_S * 1000) : END_S * 1000;
  try {
    prepare(world, lines.join('\n'), story.configs);
    world.runUntil(breakOffMs);
    if (breakOffMs === END_S * 1000) mustHaveRecovered(world);
    watch.cleanUp(story.gentle ? former : null);
    return null;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** Everything was mended minutes ago: the most preferred uplink carries the traffic, with all that are of its tier. */
function mustHaveRecovered(world: VirtualWorld): void {
  for (const family of world.meters.keys()) {
    const able = world.config.uplinks.filter((uplink) => uplink.gateways.some((gateway) => gateway.family === family));
    const tiers = tiersOf(able.map((uplink) => uplink.tier));
    const expected = able.filter((_, i) => tiers[i] === 0).map((uplink) => uplink.name);
    const ways = world.waysOut(family);
    const taken = ways.map((way) => way.to);
    const complete = expected.every((name) => taken.includes(name)) && taken.every((name) => expected.includes(name));
    if (!complete || ways.some((way) => !way.works))
      throw new Breach('recovery', `IPv${family} goes by ${taken.join(' and ')}, not ${expected.join(' and ')}`);
  }
}

/** Leaves out what is not needed for the same rule to break. */
function cutDown(seed: number, story: RandomStory, rule: string): readonly string[] {
  let lines = story.lines;
  for (let index = lines.length - 1; index >= 0; index -= 1) {
    const line = lines[index] ?? '';
    // the mending at the end stays: without it nothing has to recover
    if (line.endsWith(' start') || Number.parseFloat(line) >= MENDED_S) continue;
    const fewer = lines.toSpliced(index, 1);
    if (ruleOf(live(seed, story, fewer)) === rule) lines = fewer;
  }
  return lines;
}

function ruleOf(error: Error | null): string | null {
  if (error === null) return null;
  return error instanceof Breach ? error.rule : error.message;
}

test(`${LIVES} random lives hold the rules`, (context) => {
  const seed = seedFromEnvironment();
  context.diagnostic(`BACKROUTE_SEED=${seed}`);
  const random = new Random(seed);
  for (let number = 0; number < LIVES; number += 1) {
    const lifeSeed = Math.floor(random.next() * 2 ** 32);
    const story = randomStory(lifeSeed);
    const broken = live(lifeSeed, story, story.lines);
    if (broken === null) continue;
    const lines = cutDown(lifeSeed, story, ruleOf(broken) ?? '');
    const again = live(lifeSeed, story, lines) ?? broken;
    const uplinks = story
      .topology()
      .config.uplinks.map((uplink) => uplink.name)
      .join(' ');
    assert.fail(
      `life ${number} of BACKROUTE_SEED=${seed} (its own seed ${lifeSeed}, uplinks ${uplinks}):\n${lines.join('\n')}\n${again.stack ?? again.message}`,
    );
  }
});
