/** Orders of the administrator: force, disable, enable, auto, and a new configuration while running. */
import assert from 'node:assert/strict';
import type { Config } from '../../src/core/config.js';
import type { RouteState } from '../../src/core/kernel.js';
import { assertFelt, assertWays, story, told, withDefault } from '../support/story.js';
import { classic, config, gateway, icmp, separate, uplinkConfig } from '../support/topology.js';

const onFast = () => withDefault(classic(), '192.168.1.253', 'eth0');

story('forced and auto', () => ({
  topology: onFast(),
  timeline: `
    0s  start
    20s force backup
    40s auto
    90s end`,
  check(world) {
    assertWays(world, ['fast', 'backup', 'fast']);
    assertFelt(world, 0);
    assert.match(told(world, 'switch').join('\n'), /fast>backup forced/);
  },
}));

for (const traffic of ['all', 'some']) {
  story(`stopped while the backup is being tried with ${traffic} traffic: it is taken back before`, () => ({
    topology: withDefault(separate(['fast', 'backup']), '10.0.0.1', 'wan0'),
    timeline: `
      0s  start
      20s drill backup ${traffic} 60s
      40s stop
      90s end`,
    check(world) {
      const isFirst = (r: RouteState): boolean => r.table === 254 && r.destination === 'default' && r.metric === 0;
      const gateways = (r: RouteState | undefined) => r?.nexthops.map((hop) => hop.gateway) ?? [];
      const taken = world.log.some((e) => {
        const op = e.type === 'op' ? e.result.op : null;
        return op?.op === 'route-replace' && isFirst(op.route) && gateways(op.route).includes('10.1.0.1');
      });
      assert.ok(taken, 'it was tried');
      assert.deepEqual(gateways(world.kernel.state.routes.find(isFirst)), ['10.0.0.1']);
    },
  }));
}

story('a forced uplink that is down is obeyed and told loudly', () => ({
  topology: onFast(),
  timeline: `
    0s  start
    20s cut backup upstream
    30s force backup
    60s end`,
  check(world) {
    assertWays(world, ['fast', 'backup']);
    assert.ok(world.engine?.view(world.nowMs).problems.some((problem) => problem.includes('backup')));
    assert.ok(world.log.some((e) => e.type === 'record' && e.record.severity === 'error' && e.record.text.includes('backup')));
  },
}));

story('disabled and enabled', () => ({
  topology: onFast(),
  timeline: `
    0s  start
    20s disable fast
    40s enable fast
    90s end`,
  check(world) {
    assertWays(world, ['fast', 'backup', 'fast']);
    assert.match(told(world, 'switch').join('\n'), /fast>backup disabled/);
  },
}));

story('a disabled uplink is no fallback', () => ({
  topology: onFast(),
  timeline: `
    0s  start
    20s disable backup
    30s cut fast upstream
    60s end`,
  check(world) {
    assertWays(world, ['fast']);
  },
}));

story('orders outlive the process', () => ({
  topology: onFast(),
  timeline: `
    0s  start
    20s force backup
    21s disable fast
    25s kill
    30s start
    40s auto
    41s enable fast
    90s end`,
  check(world) {
    assertWays(world, ['fast', 'backup', 'fast']);
  },
}));

story('reload keeps what did not change', () => {
  const topology = onFast();
  const [fast, backup] = topology.config.uplinks;
  assert.ok(fast !== undefined && backup !== undefined);
  const third = uplinkConfig('third', { gateways: [gateway('192.168.1.77')], targets: [icmp('198.51.100.77')] });
  const more: Config = config([fast, { ...backup, targets: [icmp('198.51.100.2')] }, third]);
  const less: Config = config([fast, backup]);
  return {
    topology,
    configs: { more, less },
    timeline: `
    0s  start
    20s cut fast upstream
    30s reload more
    40s reload less
    41s mend fast
    120s end`,
    check(world) {
      assertWays(world, ['fast', 'backup', 'fast']);
      assertFelt(world, 2300);
      const fastHealth = world.records('health').filter((record) => record.uplink === 'fast');
      assert.deepEqual(
        fastHealth.map((record) => record.to),
        ['up', 'down', 'up'],
      );
      assert.doesNotMatch(world.kernel.render(), /7102|192\.168\.1\.77/, 'nothing is left of the uplink that was taken out');
    },
  };
});

story('reload takes the active uplink out', () => {
  const topology = onFast();
  const [, backup] = topology.config.uplinks;
  assert.ok(backup !== undefined);
  return {
    topology,
    configs: { backupOnly: config([backup]) },
    timeline: `
    0s  start
    20s reload backupOnly
    40s end`,
    check(world) {
      assertWays(world, ['fast', 'backup']);
      assertFelt(world, 0);
    },
  };
});
