/** Beginning, ending and beginning again: adoption, restarts, names, and a kernel that says no. */
import assert from 'node:assert/strict';
import type { UplinkConfig } from '../../src/core/config.js';
import { assertFelt, assertWays, story, told, withDefault } from '../support/story.js';
import { classic, config, type Topology } from '../support/topology.js';

const onFast = () => withDefault(classic(), '192.168.1.253', 'eth0');
const onBackup = () => withDefault(classic(), '192.168.1.1', 'eth0');

function withGatewayName(topology: Topology): Topology {
  const [fast, backup] = topology.config.uplinks;
  assert.ok(fast !== undefined && backup !== undefined);
  const named: UplinkConfig = { ...fast, gateways: [{ family: 4, host: { kind: 'name', name: 'fast.lan' } }] };
  return { ...topology, config: config([named, backup]) };
}

story('start on the preferred uplink', () => ({
  topology: onFast(),
  timeline: `
    0s  start
    10s end`,
  check(world) {
    assertWays(world, ['fast']);
    const firstHealth = world.log.find((entry) => entry.type === 'record' && entry.record.kind === 'health');
    assert.ok(firstHealth !== undefined && firstHealth.atMs < 2000, 'a verdict within 2 s');
  },
}));

story('start without any default route', () => ({
  topology: classic(),
  mayLackRoute: true,
  timeline: `
    0s  start
    10s end`,
  check(world) {
    // without a verdict yet: something is better than nothing
    assertWays(world, ['fast']);
    assertFelt(world, 100);
  },
}));

story('start on the backup moves to the preferred', () => ({
  topology: onBackup(),
  timeline: `
    0s  start
    60s end`,
  check(world) {
    assertWays(world, ['backup', 'fast']);
    assertFelt(world, 0);
  },
}));

story('start with the preferred uplink dead', () => ({
  topology: onFast(),
  timeline: `
    0s  cut fast upstream
    0s  start
    30s end`,
  check(world) {
    assertWays(world, ['fast', 'backup']);
    assertFelt(world, 2000);
  },
}));

story('start while the default belongs to nobody we know', () => ({
  topology: withDefault(classic(), '192.168.1.77', 'eth0', 16),
  timeline: `
    0s  start
    30s end`,
  check(world) {
    assertWays(world, ['elsewhere', 'fast']);
    assertFelt(world, 2000);
    assert.ok(world.saved?.restore.routes.some((route) => route.nexthops[0]?.gateway === '192.168.1.77'));
  },
}));

story('killed and restarted: what stands is adopted without a change', () => ({
  topology: onFast(),
  timeline: `
    0s  start
    20s cut fast upstream
    40s kill
    45s start
    60s end`,
  check(world) {
    assertWays(world, ['fast', 'backup']);
    const after = world.log.filter((entry) => entry.atMs >= 45_000 && entry.type === 'op');
    assert.deepEqual(after, [], 'nothing had to be changed');
  },
}));

story('killed while the uplink recovers: the hold-down is not forgotten', () => ({
  topology: onFast(),
  timeline: `
    0s  start
    20s cut fast upstream
    30s mend fast
    35s kill
    36s start
    120s end`,
  check(world) {
    assertWays(world, ['fast', 'backup', 'fast']);
    const back = world.log.find(
      (entry) => entry.type === 'record' && entry.record.kind === 'switch' && entry.record.to === 'fast',
    );
    assert.ok(back !== undefined && back.atMs >= 60_000, 'it had to prove itself');
  },
}));

story('restart with an interface that is gone', () => ({
  topology: onFast(),
  timeline: `
    0s  start
    20s kill
    21s link eth0 down
    25s start
    30s link eth0 up
    60s end`,
  mayLackRoute: true,
  check(world) {
    assert.equal(world.wayOut(4).to, 'fast');
    assert.ok(world.wayOut(4).works);
  },
}));

story('the gateway gets another address by name', () => ({
  topology: withGatewayName(onFast()),
  timeline: `
    0s  name fast.lan/4 192.168.1.253
    0s  start
    60s move fast 192.168.1.250
    60s name fast.lan/4 192.168.1.250
    240s end`,
  check(world) {
    assert.equal(world.wayOut(4).to, 'fast');
    assert.match(world.kernel.render(), /main: default via 192\.168\.1\.250/);
    assert.doesNotMatch(world.kernel.render(), /192\.168\.1\.253/);
  },
}));

story('a name that stops resolving keeps its last good address', () => ({
  topology: withGatewayName(onFast()),
  timeline: `
    0s  name fast.lan/4 192.168.1.253
    0s  start
    20s name fast.lan/4 gone
    400s kill
    401s start
    420s end`,
  check(world) {
    assertWays(world, ['fast']);
    assertFelt(world, 0);
  },
}));

story('a gateway whose name never resolves', () => ({
  topology: withGatewayName(onBackup()),
  timeline: `
    0s  start
    30s name fast.lan/4 192.168.1.253
    160s end`,
  check(world) {
    assertWays(world, ['backup', 'fast']);
    assert.match(told(world, 'health').join('\n'), /fast: unknown>down gateway-unresolved/);
  },
}));

story('the kernel refuses the switch at first', () => ({
  topology: onFast(),
  timeline: `
    0s  start
    19s fail ENOBUFS 1 route-replace
    20s cut fast upstream
    40s end`,
  check(world) {
    assertWays(world, ['fast', 'backup']);
    assert.ok(world.records('kernel').length >= 2, 'refusal and success are told');
  },
}));

story('the kernel refuses everything', () => ({
  topology: onFast(),
  timeline: `
    0s  fail EPERM 100000
    0s  start
    8s  end`,
  check(world) {
    assertWays(world, ['fast']);
    assert.ok(world.records('kernel').length > 0);
    assert.ok(world.log.filter((entry) => entry.type === 'op').length < 2000, 'it does not hammer the kernel');
  },
}));
