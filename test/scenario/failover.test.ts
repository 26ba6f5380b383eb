/** Uplinks that fail and come back: who carries the default route, why, and what a client felt. */
import assert from 'node:assert/strict';
import { assertFelt, assertWays, story, told, withDefault } from '../support/story.js';
import { classic, separate } from '../support/topology.js';

const onFast = () => withDefault(classic(), '192.168.1.253', 'eth0');

story('silent upstream', () => ({
  topology: onFast(),
  timeline: `
    0s    start
    20.3s cut fast upstream
    50s   mend fast
    100s  end`,
  check(world) {
    assertWays(world, ['fast', 'backup', 'fast']);
    assertFelt(world, 2300);
    assert.match(told(world, 'health').join('\n'), /fast: up>down upstream-silent/);
    assert.match(told(world, 'switch').join('\n'), /fast>backup upstream-silent\n.*backup>fast preferred/);
  },
}));

story('dead router', () => ({
  topology: onFast(),
  timeline: `
    0s    start
    20.7s cut fast gateway
    60s   mend fast
    120s  end`,
  check(world) {
    assertWays(world, ['fast', 'backup', 'fast']);
    assertFelt(world, 2300);
    assert.match(told(world, 'health').join('\n'), /fast: up>down gateway-silent/);
  },
}));

story('the gateway never answers pings', () => ({
  topology: onFast(),
  timeline: `
    0s    mute fast
    0s    mute backup
    0s    start
    20s   cut fast upstream
    40s   end`,
  check(world) {
    assertWays(world, ['fast', 'backup']);
    assert.doesNotMatch(told(world, 'health').join('\n'), /gateway-silent/, 'a gateway that never answered proves nothing');
  },
}));

story('carrier loss', () => ({
  topology: withDefault(separate(['fast', 'backup']), '10.0.0.1', 'wan0'),
  timeline: `
    0s   start
    20s  carrier wan0 off
    60s  carrier wan0 on
    110s end`,
  check(world) {
    assertWays(world, ['fast', 'backup', 'fast']);
    assertFelt(world, 30);
    assert.match(told(world, 'health').join('\n'), /fast: up>down carrier-lost/);
  },
}));

story('link set down and up', () => ({
  topology: withDefault(separate(['fast', 'backup']), '10.0.0.1', 'wan0'),
  timeline: `
    0s   start
    20s  link wan0 down
    60s  link wan0 up
    110s end`,
  check(world) {
    assertWays(world, ['fast', 'backup', 'fast']);
    assertFelt(world, 30);
  },
}));

story('interface vanishes and comes back under another number', () => ({
  topology: withDefault(separate(['fast', 'backup']), '10.0.0.1', 'wan0'),
  timeline: `
    0s   start
    20s  unplug wan0
    60s  plug wan0 10.0.0.2/24
    110s end`,
  check(world) {
    assertWays(world, ['fast', 'backup', 'fast']);
    assert.match(told(world, 'health').join('\n'), /fast: up>down interface-gone/);
  },
}));

story('brownout', () => ({
  topology: onFast(),
  timeline: `
    0s   start
    60s  loss fast 0.4
    240s loss fast 0
    500s end`,
  check(world) {
    assertWays(world, ['fast', 'backup', 'fast']);
    const health = told(world, 'health').join('\n');
    assert.match(health, /fast: up>degraded loss-high/);
    assert.match(health, /fast: (degraded|down)>up answers/);
  },
}));

story('hold-down grows with repeated failures', () => ({
  topology: onFast(),
  timeline: `
    0s   start
    20s  cut fast upstream
    30s  mend fast
    90s  cut fast upstream
    100s mend fast
    200s cut fast upstream
    210s mend fast
    400s end`,
  check(world) {
    const switches = world.log.flatMap((entry) => (entry.type === 'record' && entry.record.kind === 'switch' ? [entry] : []));
    const back = switches.filter((entry) => entry.record.to === 'fast').map((entry) => entry.atMs);
    const mended = [30_000, 100_000, 210_000];
    const waits = mended.map((mendMs) => (back.find((atMs) => atMs > mendMs) ?? Number.NaN) - mendMs);
    const [first = 0, second = 0, third = 0] = waits;
    assert.ok(first >= 30_000 && first < 32_000, `first ${first}`);
    assert.ok(second >= 60_000 && second < 62_000, `second ${second}`);
    assert.ok(third >= 120_000 && third < 122_000, `third ${third}`);
  },
}));

story('everything down and back: the first that returns is taken', () => ({
  topology: onFast(),
  timeline: `
    0s   start
    20s  cut fast upstream
    40s  cut backup upstream
    80s  mend fast
    140s end`,
  check(world) {
    assertWays(world, ['fast', 'backup', 'fast']);
    // from 40 s to 80 s nothing works; then it must not wait for a hold-down
    assertFelt(world, 2300 + 40_000 + 1500);
  },
}));

story('both fail at once: the last choice is kept, and this machine suspected', () => ({
  topology: onFast(),
  timeline: `
    0s   start
    20s  cut fast gateway
    20s  cut backup gateway
    60s  mend backup
    60s  mend fast
    120s end`,
  check(world) {
    assert.ok(world.records('local').length > 0, 'all silent at once is told as suspected to be ours');
    assertFelt(world, 40_000 + 1500);
  },
}));

story('a router complains', () => ({
  topology: onFast(),
  timeline: `
    0s   start
    20s  complain fast unreachable
    40s  end`,
  check(world) {
    assertWays(world, ['fast', 'backup']);
    assert.match(told(world, 'health').join('\n'), /fast: up>down unreachable/);
  },
}));

story('three uplinks: standbys stand in order of preference and health', () => ({
  topology: withDefault(separate(['fast', 'middle', 'slow']), '10.0.0.1', 'wan0'),
  timeline: `
    0s  start
    20s cut middle upstream
    40s cut fast upstream
    60s end`,
  check(world) {
    assertWays(world, ['fast', 'slow']);
    const defaults = world.kernel
      .render()
      .split('\n')
      .filter((line) => line.includes('main: default'))
      .map((line) => line.split(' ')[5]);
    assert.equal(defaults.length, 3);
    assert.equal(defaults[0], '10.2.0.1');
  },
}));

story('both families fail and switch by themselves', () => {
  const topology = withDefault(classic([4, 6]), '192.168.1.253', 'eth0');
  return {
    topology: withDefault(topology, 'fe80::253', 'eth0', 9),
    timeline: `
    0s  start
    20s cut fast upstream
    60s mend fast
    110s end`,
    check(world) {
      assertWays(world, ['fast', 'backup', 'fast'], 4);
      assertWays(world, ['fast', 'backup', 'fast'], 6);
      assertFelt(world, 2300, 6);
    },
  };
});
