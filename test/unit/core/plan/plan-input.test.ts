/** Whose interface is whose alone, what a delegated prefix gives, and who works. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Agenda } from '../../../../src/core/agenda.js';
import type { UplinkConfig } from '../../../../src/core/config.js';
import { Path } from '../../../../src/core/paths/path.js';
import { lansOf, needsNft, ownsInterface, pathWorks, prefixOf } from '../../../../src/core/plan/plan-input.js';
import { FakeKernel } from '../../../support/fake-kernel.js';
import { classic, config, gateway, noSilences, separate, uplinkConfig } from '../../../support/topology.js';

const fast = { uplink: 'fast', interface: 'wan0' };
const backup = { uplink: 'backup', interface: 'wan1' };

function machine(lan: string | null = 'lan'): FakeKernel {
  const kernel = new FakeKernel();
  for (const name of ['lo', 'wan0', 'wan1']) kernel.addLink(name);
  if (lan !== null) {
    kernel.addLink(lan);
    kernel.addAddress(lan, '192.168.1.1/24');
  }
  return kernel;
}

test('an interface is an uplink’s own when nobody else’s way is there and the LAN is somewhere else', () => {
  const { state } = machine();
  assert.ok(ownsInterface(fast, [fast, backup], state));
  assert.ok(ownsInterface(fast, [fast, { ...fast }], state), 'its other family is no stranger');
  assert.ok(!ownsInterface(fast, [fast, { ...backup, interface: 'wan0' }], state));
});

test('with no interface left for the LAN it must be here; containers, idle ports and link-local addresses prove none', () => {
  const bare = machine(null);
  assert.ok(!ownsInterface(fast, [fast, backup], bare.state));
  for (const inner of ['docker0', 'veth1', 'br-0123456789ab']) {
    const kernel = machine(inner);
    assert.ok(!ownsInterface(fast, [fast, backup], kernel.state), inner);
  }
  bare.addLink('eth9');
  assert.ok(!ownsInterface(fast, [fast, backup], bare.state), 'without an address');
  bare.addAddress('eth9', 'fe80::1/64');
  assert.ok(!ownsInterface(fast, [fast, backup], bare.state), 'every interface has one of these');
  bare.addAddress('eth9', '192.168.9.1/24');
  assert.ok(ownsInterface(fast, [fast, backup], bare.state));
});

test('a bridge is a LAN like any other; a tunnel (WireGuard, VPN) proves none', () => {
  assert.ok(ownsInterface(fast, [fast, backup], machine('br-lan').state));
  const kernel = machine(null);
  kernel.addLink('wg0', { pointToPoint: true });
  kernel.addAddress('wg0', '10.9.0.1/24');
  assert.ok(!ownsInterface(fast, [fast, backup], kernel.state));
});

test('nobody else can be on a point-to-point link', () => {
  const kernel = machine(null);
  kernel.addLink('ppp0', { pointToPoint: true });
  assert.ok(ownsInterface({ uplink: 'lte', interface: 'ppp0' }, [fast], kernel.state));
});

test('a LAN that loses its addresses for a moment has not moved to the uplink', () => {
  const kernel = machine();
  const former = new Set(lansOf([fast, backup], kernel.state));
  assert.deepEqual([...former], ['lan']);
  kernel.removeAddresses('lan', 4);
  kernel.setAdmin('lan', false);
  assert.ok(!ownsInterface(fast, [fast, backup], kernel.state), 'at first sight it cannot be told');
  assert.ok(ownsInterface(fast, [fast, backup], kernel.state, former));
  kernel.removeLink('lan');
  assert.ok(!ownsInterface(fast, [fast, backup], kernel.state, former), 'it is gone for good');
  assert.ok(!ownsInterface(fast, [fast, { ...backup, interface: 'lan' }], machine().state, former), 'an uplink is there now');
});

function pathOf(change: Partial<UplinkConfig>): Path {
  const port = {
    agenda: new Agenda(),
    random: () => 0,
    ask: () => 1,
    changed: () => {},
    suspected: () => {},
    lossElsewhere: () => 1,
  };
  const uplink = uplinkConfig('fast', { gateways: [gateway('fe80::1')], interface: 'wan0', ...change });
  return new Path(uplink, 6, 0, port, noSilences(uplink), 0);
}

test('of a delegated prefix the first network as large as the LAN’s; none where it is too small or not known', () => {
  const delegated = (prefix: string | null) => (): string | null => prefix;
  const auto = pathOf({ prefix: 'auto' });
  assert.equal(prefixOf(auto, 'fd00:1::/64', delegated('2001:db8:5::/56')), '2001:db8:5::/64');
  assert.equal(prefixOf(auto, 'fd00:1::/64', delegated('2001:db8:5::/64')), '2001:db8:5::/64');
  assert.equal(prefixOf(auto, 'fd00:1::/56', delegated('2001:db8:5::/64')), null);
  assert.equal(prefixOf(auto, 'fd00:1::/64', delegated(null)), null);
  assert.equal(prefixOf(auto, null, delegated('2001:db8:5::/56')), null);
  assert.equal(prefixOf(pathOf({ prefix: '2001:db8:7::/64' }), 'fd00:1::/64', delegated('2001:db8:5::/56')), '2001:db8:7::/64');
  assert.equal(prefixOf(pathOf({}), 'fd00:1::/64', delegated('2001:db8:5::/56')), null);
});

test('a path works unless it is down or shut; one not judged yet works', () => {
  const path = pathOf({});
  assert.ok(pathWorks(path, () => 'auto'));
  assert.ok(!pathWorks(path, () => 'disabled'));
  path.verdict = { health: 'degraded', reason: 'loss-high' };
  assert.ok(pathWorks(path, () => 'forced'));
  path.verdict = { health: 'down', reason: 'silent' };
  assert.ok(!pathWorks(path, () => 'forced'));
});

test('nft is asked only where something is wished of it', () => {
  const of = (change: Parameters<typeof config>[1], paths: readonly Path[] = []): boolean =>
    needsNft(config(separate(['a', 'b']).config.uplinks, change), paths);
  assert.ok(!of({}));
  assert.ok(of({ masquerade: true }));
  assert.ok(of({ lanPrefix: 'fd00:1::/64' }));
  assert.ok(of({}, [pathOf({}), pathOf({})]), 'redirects of IPv6');
  assert.ok(!of({ sysctls: 'leave' }, [pathOf({}), pathOf({})]));
  assert.equal(classic().config.connections, null);
});
