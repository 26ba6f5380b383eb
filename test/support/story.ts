/**
 * One scenario test: a timeline played in a virtual world, what must be true of it, and the golden log beside it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Engine } from '../../src/core/engine.js';
import type { Family } from '../../src/core/model.js';
import { assertGolden } from './golden.js';
import { type Configs, play, renderLog, ways } from './timeline.js';
import { foreignDefault, type Topology } from './topology.js';
import { type MakeEngine, VirtualWorld } from './virtual-world.js';

export interface Story {
  readonly topology: Topology;
  readonly timeline: string;
  readonly configs?: Configs;
  /** a timeline that begins without any route, or in which the administrator takes the last one away */
  readonly mayLackRoute?: boolean;
  /** what must be true at the end, beyond what always must */
  check(world: VirtualWorld): void;
}

export const makeEngine: MakeEngine = (config, surroundings, saved) => new Engine(config, surroundings, saved);

const SEED = 20_260_301;

export function story(name: string, tell: () => Story): void {
  test(name, () => {
    const { topology, timeline, configs, mayLackRoute, check } = tell();
    const world = new VirtualWorld(topology, makeEngine, SEED);
    play(world, timeline, configs);
    const log = renderLog(world);
    try {
      assert.equal(world.prober.leaks, 0, 'a probe left through another uplink');
      for (const meter of world.meters.values()) {
        const { noRouteMs } = meter.feltMs(world.nowMs);
        if (mayLackRoute !== true) assert.equal(noRouteMs, 0, `no default route for ${noRouteMs} ms`);
      }
      check(world);
    } catch (error) {
      console.error(log);
      throw error;
    }
    assertGolden(`scenario/${name.replace(/[^a-z0-9]+/gi, '-').toLowerCase()}.txt`, log);
  });
}

/** Installs the default that a distribution's network scripts would have made. */
export function withDefault(topology: Topology, via: string, device: string, protocol = 3, metric = 0): Topology {
  const route = foreignDefault(topology.kernel, via, device, { protocol, metric });
  const errno = topology.kernel.foreign({ op: 'route-add', route });
  assert.equal(errno, null);
  return topology;
}

/** The uplinks that carried the default, in order. */
export function assertWays(world: VirtualWorld, expected: readonly string[], family: Family = 4): void {
  assert.deepEqual(ways(world, family), expected);
}

export function assertFelt(world: VirtualWorld, atMostMs: number, family: Family = 4): void {
  const { outageMs } = world.meter(family).feltMs(world.nowMs);
  assert.ok(outageMs <= atMostMs, `a client felt ${outageMs} ms of outage, at most ${atMostMs} were expected`);
}

/** Texts of the records of one kind, with their transitions. */
export function told(world: VirtualWorld, kind: Parameters<VirtualWorld['records']>[0]): string[] {
  return world.records(kind).map((r) => `${r.uplink ?? '-'}: ${r.from ?? ''}>${r.to ?? ''} ${r.reason ?? r.text}`);
}
