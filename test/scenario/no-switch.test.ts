/** What must never move the default route: noise, dead targets, our own sleep. */
import assert from 'node:assert/strict';
import { assertWays, story, told, withDefault } from '../support/story.js';
import { classic, config, icmp, type Topology } from '../support/topology.js';

const onFast = () => withDefault(classic(), '192.168.1.253', 'eth0');

function twoTargets(): Topology {
  const topology = onFast();
  const [fast, backup] = topology.config.uplinks;
  assert.ok(fast !== undefined && backup !== undefined);
  return { ...topology, config: config([{ ...fast, targets: [icmp('212.254.0.1'), icmp('198.51.100.9')] }, backup]) };
}

story('one of two targets dead', () => ({
  topology: twoTargets(),
  timeline: `
    0s   start
    20s  cut fast target 198.51.100.9
    120s mend fast
    150s end`,
  check(world) {
    assertWays(world, ['fast']);
    assert.equal(world.records('switch').filter((record) => record.from === 'fast').length, 0);
    assert.ok(world.records('target').length >= 2, 'its death and its return are told');
  },
}));

story('random loss of 5 percent for 5 minutes', () => ({
  topology: onFast(),
  timeline: `
    0s   start
    20s  loss fast 0.05
    320s loss fast 0
    330s end`,
  check(world) {
    assertWays(world, ['fast']);
    assert.doesNotMatch(told(world, 'health').join('\n'), /down/);
  },
}));

story('stalls of the process', () => ({
  topology: onFast(),
  timeline: `
    0s   start
    20s  stall 5s
    40s  stall 300ms
    60s  stall 1.2s
    61.5s stall 2s
    90s  end`,
  check(world) {
    assertWays(world, ['fast']);
    assert.doesNotMatch(told(world, 'health').join('\n'), /down|degraded/);
    assert.ok(world.records('stall').length >= 1, 'a stall is told');
  },
}));

story('the machine sleeps', () => ({
  topology: onFast(),
  timeline: `
    0s   start
    20s  suspend 60s
    90s  suspend 2s
    120s end`,
  check(world) {
    assertWays(world, ['fast']);
    assert.doesNotMatch(told(world, 'health').join('\n'), /down|degraded/);
    assert.match(told(world, 'stall').join('\n'), /suspended/);
  },
}));

story('a stall during an outage delays the verdict, no more', () => ({
  topology: onFast(),
  timeline: `
    0s   start
    20s  cut fast upstream
    20.2s stall 5s
    60s  end`,
  check(world) {
    assertWays(world, ['fast', 'backup']);
    const { outageMs } = world.meter(4).feltMs(world.nowMs);
    assert.ok(outageMs < 5200 + 2300, `felt ${outageMs} ms`);
  },
}));

story('a saturated line is slow, not dead', () => ({
  topology: onFast(),
  timeline: `
    0s   start
    20s  rtt fast 350ms
    80s  rtt fast 900ms
    140s rtt fast 20ms
    200s end`,
  check(world) {
    assertWays(world, ['fast']);
    assert.doesNotMatch(told(world, 'health').join('\n'), /latency-high/);
  },
}));

story('a silence shorter than fail-after is borne', () => ({
  topology: onFast(),
  timeline: `
    0s     start
    20s    cut fast upstream
    20.9s  mend fast
    40s    cut fast upstream
    40.5s  mend fast
    60s    end`,
  check(world) {
    assertWays(world, ['fast']);
    assert.doesNotMatch(told(world, 'health').join('\n'), /down/);
  },
}));
