/** Other programs in our routes: seen by event, put right at once, told, remembered, and never fought without end. */
import assert from 'node:assert/strict';
import { assertFelt, assertWays, story, told, withDefault } from '../support/story.js';
import { ways } from '../support/timeline.js';
import { classic, separate } from '../support/topology.js';
import type { VirtualWorld } from '../support/virtual-world.js';

const onFast = () => withDefault(classic(), '192.168.1.253', 'eth0');

/** The default routes of main at the end, as `gateway/protocol`. */
function defaults(world: VirtualWorld): string[] {
  return world.kernel.state.routes
    .filter((route) => route.table === 254 && route.destination === 'default' && route.family === 4)
    .map((route) => `${route.nexthops[0]?.gateway}/${route.protocol}/${route.metric}`);
}

const OURS = ['192.168.1.253/110/0', '192.168.1.1/110/1'];

story('foreign replace', () => ({
  topology: onFast(),
  timeline: `
    0s  start
    20s ip route replace default via 192.168.1.77 dev eth0 proto dhcp
    30s end`,
  check(world) {
    assert.deepEqual(defaults(world), OURS);
    assertFelt(world, 100);
    const drift = world.records('drift').at(-1);
    assert.match(drift?.text ?? '', /dhcp/, 'the culprit is named');
    assert.ok(
      world.saved?.restore.routes.some((route) => route.protocol === 16),
      'and remembered for cleanup',
    );
  },
}));

story('foreign delete', () => ({
  topology: onFast(),
  timeline: `
    0s  start
    20s ip route del default via 192.168.1.253 dev eth0
    30s end`,
  check(world) {
    assert.deepEqual(defaults(world), OURS);
    assertFelt(world, 100);
    assert.equal(world.records('drift').length, 1);
  },
}));

story('foreign prepend and append', () => ({
  topology: onFast(),
  timeline: `
    0s  start
    20s ip route prepend default via 192.168.1.77 dev eth0 proto static
    30s ip route append default via 192.168.1.78 dev eth0 proto dhcp
    40s ip route prepend default via 192.168.1.79 dev eth0
    40s ip route prepend default via 192.168.1.80 dev eth0
    50s end`,
  check(world) {
    assert.deepEqual(defaults(world), OURS);
    assertFelt(world, 200);
    const remembered = world.saved?.restore.routes.map((route) => route.nexthops[0]?.gateway) ?? [];
    for (const gateway of ['192.168.1.77', '192.168.1.78', '192.168.1.79', '192.168.1.80'])
      assert.ok(remembered.includes(gateway), gateway);
  },
}));

story('everything of ours is deleted', () => ({
  topology: onFast(),
  mayLackRoute: true,
  timeline: `
    0s  start
    20s ip route del default via 192.168.1.253 dev eth0
    20s ip route del default via 192.168.1.1 dev eth0
    30s end`,
  check(world) {
    assert.deepEqual(defaults(world), OURS);
    assert.ok(world.meter(4).feltMs(world.nowMs).noRouteMs < 100, 'a missing default is back within 100 ms');
  },
}));

story('foreign defaults at other metrics are left alone', () => ({
  topology: onFast(),
  timeline: `
    0s  start
    20s ip route add default via 192.168.1.77 dev eth0 proto dhcp metric 100
    30s end`,
  check(world) {
    assert.deepEqual(defaults(world), [...OURS, '192.168.1.77/16/100']);
    assert.equal(world.records('drift').length, 0);
  },
}));

story('repairs are rationed when somebody fights, a missing default never', () => {
  const fight = Array.from(
    { length: 40 },
    (_, i) => `${(20 + i * 0.25).toFixed(2)}s ip route replace default via 192.168.1.77 dev eth0 proto dhcp`,
  );
  return {
    topology: onFast(),
    timeline: `
    0s  start
    ${fight.join('\n    ')}
    35s ip route del default via 192.168.1.77 dev eth0
    180s end`,
    check(world) {
      const repairs = world.records('drift').filter((record) => /put its own/.test(record.text)).length;
      assert.ok(repairs >= 10 && repairs <= 13, `${repairs} repairs`);
      assert.match(told(world, 'drift').join('\n'), /once a minute/);
      assert.deepEqual(defaults(world), OURS);
      const back = world.log.find((entry) => entry.atMs > 35_000 && entry.type === 'op');
      assert.ok(back !== undefined && back.atMs < 35_100, 'the missing default came back at once');
    },
  };
});

story('cleanup puts everything back', () => {
  const topology = withDefault(separate(['fast', 'backup']), '10.0.0.1', 'wan0', 16);
  const before = topology.kernel.render();
  return {
    topology,
    timeline: `
    0s  start
    30s kill
    31s cleanup
    32s end`,
    check(world) {
      assert.equal(world.kernel.render(), before);
      assertWays(world, ['fast']);
    },
  };
});

story('cleanup leaves sysctls that somebody changed since', () => ({
  topology: onFast(),
  timeline: `
    0s  start
    20s sysctl net/ipv4/conf/eth0/ignore_routes_with_linkdown 0
    20s sysctl net/ipv4/conf/eth0/send_redirects 7
    20.1s kill
    31s cleanup
    32s end`,
  check(world) {
    assert.equal(world.kernel.sysctl('net/ipv4/conf/eth0/send_redirects'), '7');
    assert.equal(world.kernel.sysctl('net/ipv4/conf/eth0/accept_redirects'), '1');
    assert.deepEqual(ways(world, 4), ['fast']);
  },
}));
