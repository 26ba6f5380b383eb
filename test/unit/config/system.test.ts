/** A configuration against a machine: a kernel state made by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../../src/config/parse.js';
import { formatProblem } from '../../../src/config/problem.js';
import { checkAgainstSystem } from '../../../src/config/system.js';
import type { AddressState, KernelState, LinkState, RouteState, RuleState } from '../../../src/core/kernel.js';
import type { Family } from '../../../src/core/model.js';

function link(index: number, name: string, more: Partial<LinkState> = {}): LinkState {
  return { index, name, adminUp: true, carrier: true, loopback: name === 'lo', pointToPoint: false, ...more };
}

function address(ifindex: number, text: string, prefixLength: number): AddressState {
  const family: Family = text.includes(':') ? 6 : 4;
  return { ifindex, family, address: text, prefixLength, peer: null, tentative: false };
}

function route(table: number, destination: string, protocol: number, ifindex: number, gateway: string | null): RouteState {
  const family: Family = destination.includes(':') ? 6 : 4;
  const nexthops = [{ ifindex, gateway, onlink: false }];
  return {
    family,
    table,
    destination,
    type: 'unicast',
    protocol,
    metric: 0,
    tos: 0,
    scope: gateway === null ? 253 : 0,
    prefsrc: null,
    nexthops,
    expires: false,
    rest: '',
  };
}

function rule(priority: number, table: number, protocol: number, more: Partial<RuleState> = {}): RuleState {
  return { family: 4, priority, table, mark: 0, mask: 0, protocol, other: false, ...more };
}

/** lo, a LAN on eth0 (routes known), a second network on eth1 (address only), ppp0, and eth9 without addresses. */
const MACHINE: KernelState = {
  links: [link(1, 'lo'), link(2, 'eth0'), link(3, 'eth1'), link(4, 'ppp0', { pointToPoint: true }), link(9, 'eth9')],
  addresses: [
    address(1, '127.0.0.1', 8),
    address(2, '192.168.1.2', 24),
    address(2, 'fe80::2', 64),
    address(3, '10.0.0.2', 30),
    address(3, '2001:db8:1::2', 64),
  ],
  routes: [
    route(254, '192.168.1.0/24', 2, 2, null),
    route(254, 'fe80::/64', 2, 2, null),
    route(254, 'default', 16, 2, '192.168.1.1'),
  ],
  rules: [rule(0, 255, 2), rule(32766, 254, 2)],
  neighbours: [],
  sysctls: {},
  nft: null,
};

const NAMES: Readonly<Record<string, readonly string[]>> = {
  near: ['192.168.1.7', 'fe80::7'],
  far: ['203.0.113.7'],
  six: ['2001:db8:1::1'],
};

function check(text: string, state: KernelState = MACHINE, tools: { nft: boolean } | null = null): string[] {
  const result = parseConfig(text, 'f');
  assert.ok(result.ok, result.ok ? '' : result.problems.map(formatProblem).join('\n'));
  return checkAgainstSystem(result.config, state, (name) => NAMES[name] ?? [], result.source, tools).map(formatProblem);
}

const one = (uplink: string): string => `uplinks:\n  a: {${uplink}}\n`;

test('a configuration that fits says nothing', () => {
  assert.deepEqual(
    check(`uplinks:
  fast: {gateway: 192.168.1.253, targets: [203.0.113.1]}
  backup: {gateway: near}
  third: {gateway: 10.0.0.1, gateway6: "2001:db8:1::1", interface: eth1}
  six: {gateway6: fe80::9%eth0}
  dial: {gateway: 198.51.100.1, interface: ppp0}
`),
    [],
  );
});

test('a gateway on no connected network is an error that names the networks', () => {
  assert.deepEqual(check(one('gateway: 192.168.2.1')), [
    'f:2: uplinks.a.gateway: found "192.168.2.1"; this gateway is on no connected network. Connected are 10.0.0.2/30 on eth1, 192.168.1.0/24 on eth0.',
  ]);
  assert.deepEqual(check(one('gateway: 192.168.1.1, interface: eth1')), [
    'f:2: uplinks.a.gateway: found "192.168.1.1"; this gateway is on no network of eth1. Connected are 10.0.0.2/30 on eth1.',
  ]);
});

test('a gateway that the system installed with onlink needs no network', () => {
  const routes = MACHINE.routes.map((r) => (r.destination === 'default' ? route(254, 'default', 16, 3, '172.31.1.1') : r));
  const cloud = (onlink: boolean): KernelState => ({
    ...MACHINE,
    routes: routes.map((r) => ({ ...r, nexthops: r.nexthops.map((hop) => ({ ...hop, onlink })) })),
  });
  for (const where of ['', ', interface: eth1']) {
    assert.deepEqual(check(one(`gateway: 172.31.1.1${where}`), cloud(true)), []);
    assert.match(check(one(`gateway: 172.31.1.1${where}`), cloud(false)).join(), /on no (connected )?network/);
  }
  assert.match(check(one('gateway: 172.31.1.1, interface: eth0'), cloud(true)).join(), /on no network of eth0/);
});

test('what may yet come is a warning', () => {
  assert.deepEqual(check(one('gateway: 192.168.2.1, interface: wan7')), [
    'f:2: warning: uplinks.a.interface: found "wan7"; there is no such interface now; it may come. There are eth0, eth1, ppp0, eth9.',
  ]);
  assert.match(
    check(one('gateway: 192.168.2.1, interface: eth9')).join(),
    /warning: .*on no network of eth9\. There is no IPv4 network there yet/,
  );
  assert.match(check(one('gateway: far')).join(), /warning: uplinks\.a\.gateway: found "far \(203\.0\.113\.7\)"/);
  assert.match(check(one('gateway: nobody')).join(), /warning: .*no IPv4 address now/);
  assert.match(check(one('gateway: six')).join(), /warning: .*no IPv4 address now/);
  assert.deepEqual(check(one('gateway6: six')), []);
});

test('the same way out under two names', () => {
  assert.match(
    check('uplinks:\n  a: {gateway: near}\n  b: {gateway: 192.168.1.7}\n').join(),
    /^f:3: uplinks\.b\.gateway: .*uplink a has the same gateway on eth0/,
  );
  assert.match(
    check('uplinks:\n  a: {gateway: near}\n  b: {gateway: 192.168.1.7, interface: eth0}\n').join(),
    /uplink a has the same gateway on eth0/,
  );
});

test('a link-local gateway behind a name needs an interface', () => {
  assert.match(check(one('gateway6: near')).join(), /^f:2: uplinks\.a\.gateway6: found "near \(fe80::7\)"; .*Add interface/);
  assert.deepEqual(check(one('gateway6: near, interface: eth0')), []);
});

test('our own addresses are neither gateways nor targets', () => {
  assert.match(check(one('gateway: 192.168.1.2')).join(), /address of this machine itself/);
  assert.match(
    check(one('gateway: 192.168.1.1, targets: [203.0.113.1, 10.0.0.2]')).join(),
    /^f:2: uplinks\.a\.targets\[1\]: found "10\.0\.0\.2"; .*this machine itself/,
  );
});

test('a target on a connected network is a warning, told where it stands', () => {
  const found = check('defaults:\n  targets: [192.168.1.77]\nuplinks:\n  a: {gateway: 192.168.1.1}\n');
  assert.deepEqual(found, [
    'f:2: warning: defaults.targets[0]: found "192.168.1.77"; this target is on the connected network 192.168.1.0/24. It proves nothing of the way beyond the gateway.',
  ]);
});

test('numbers that others use', () => {
  const own = one('gateway: 192.168.1.1');
  const rules = (...more: RuleState[]): KernelState => ({ ...MACHINE, rules: [...MACHINE.rules, ...more] });
  const routes = (...more: RouteState[]): KernelState => ({ ...MACHINE, routes: [...MACHINE.routes, ...more] });
  assert.match(
    check(own, rules(rule(705, 100, 4))).join(),
    /kernel\.rule-base: found "700"; rule 705, made by static \(protocol 4\), stands among ours\. Choose another rule-base/,
  );
  assert.match(
    check(own, rules(rule(5000, 7110, 0))).join(),
    /kernel\.table-base: found "7100"; rule 5000, made by unspec .* uses table 7110/,
  );
  assert.match(
    check(own, rules(rule(5000, 51820, 4, { mark: 0x1000000, mask: 0xff000000 }))).join(),
    /mark-mask: .*0x1000000\/0xff000000/,
  );
  assert.match(check(own, routes(route(7163, 'default', 4, 2, '192.168.1.9'))).join(), /table 7163 holds a route made by static/);
  assert.match(
    check(own, routes(route(254, '10.9.0.0/16', 110, 2, '192.168.1.9'))).join(),
    /warning: kernel\.protocol: .*10\.9\.0\.0\/16/,
  );
});

test('what an earlier run of ours left is no collision', () => {
  const state: KernelState = {
    ...MACHINE,
    rules: [...MACHINE.rules, rule(700, 7100, 110, { mark: 0x41000000, mask: 0x7f000000 })],
    routes: [...MACHINE.routes, route(7100, 'default', 110, 2, '192.168.1.1'), route(254, 'default', 110, 2, '192.168.1.1')],
  };
  assert.deepEqual(check(one('gateway: 192.168.1.1'), state), []);
});

test('all 512 priorities are ours, with what an earlier run put there', () => {
  const own = one('gateway: 192.168.1.1');
  const withRule = (added: RuleState): KernelState => ({ ...MACHINE, rules: [...MACHINE.rules, added] });
  assert.match(check(own, withRule(rule(1211, 100, 4))).join(), /found "700"; rule 1211, made by static/);
  assert.deepEqual(check(own, withRule(rule(1212, 100, 4))), []);
  assert.deepEqual(check(own, withRule(rule(699, 100, 4))), []);
  const flow = rule(828, 254, 110, { mark: 0x1000000, mask: 0x7f000000, suppress: 0 });
  assert.deepEqual(check(own, withRule(flow)), []);
  assert.deepEqual(check(own, withRule(rule(956, 0, 110, { destination: '203.0.113.0/24', action: 'unreachable' }))), []);
  assert.match(check(own, withRule({ ...flow, protocol: 4 })).join(), /rule 828, made by static .*stands among ours/);
});

test('an interface that auto waits for may come', () => {
  assert.deepEqual(check(one('gateway: auto, gateway6: auto, interface: eth9')), []);
  assert.match(
    check(one('gateway: auto, interface: wwan0')).join(),
    /^f:2: warning: uplinks\.a\.interface: found "wwan0"; there is no such interface now; it may come/,
  );
});

test('an interface is known by its other names too', () => {
  const links = MACHINE.links.map((one) => (one.name === 'eth0' ? { ...one, altNames: ['enp3s0'] } : one));
  assert.deepEqual(check(one('gateway: 192.168.1.253, interface: enp3s0'), { ...MACHINE, links }), []);
  assert.match(
    check('uplinks:\n  a: {gateway: near}\n  b: {gateway: 192.168.1.7, interface: enp3s0}\n', { ...MACHINE, links }).join(),
    /uplink a has the same gateway on eth0/,
  );
});

test('a cap needs an interface of its own, also where it was found', () => {
  const file = (second: string): string => `uplinks:\n  a: {gateway: 192.168.1.253, metered: {cap: 1GB}}\n  b: {${second}}\n`;
  assert.deepEqual(check(file('gateway: 192.168.1.1')), [
    'f:2: uplinks.a.metered.cap: uplink b uses eth0 too: its counters cannot tell whose bytes they are. Leave cap out, or give the uplink an interface of its own.',
  ]);
  assert.match(check(file('gateway: auto, interface: eth0')).join(), /uplink b uses eth0 too/);
  assert.deepEqual(check(file('gateway: 10.0.0.1')), []);
  const neighbours = ['02:00:00:00:00:01', '02:00:00:00:00:02'].map((mac, i) => {
    return { ifindex: 2, address: `192.168.1.${100 + i}`, family: 4 as const, state: 'stale' as const, mac };
  });
  assert.deepEqual(check(file('gateway: 10.0.0.1'), { ...MACHINE, neighbours }), [
    'f:2: warning: uplinks.a.metered.cap: the LAN seems to be on eth0 too: there are more machines than a router, and no other interface is left for it: its counters cannot tell whose bytes they are. Leave cap out, or give the uplink an interface of its own.',
  ]);
  const addresses = [...MACHINE.addresses, address(9, '172.16.0.1', 24)];
  assert.deepEqual(check(file('gateway: 10.0.0.1'), { ...MACHINE, neighbours, addresses }), []);
  assert.deepEqual(check(file('gateway: 192.168.1.1').replace('{cap: 1GB}', 'true')), []);
});

const SHARED = 'uplinks:\n  a: {gateway: 192.168.1.253, tier: 1}\n  b: {gateway: 192.168.1.1, tier: 1}\n';

test('where uplinks share an interface half of each connection is seen', () => {
  const lone = SHARED.replaceAll(', tier: 1', '');
  assert.deepEqual(check(lone), []);
  assert.match(
    check(`${lone}connections: {failback: move}\n`).join(),
    /^f:4: warning: connections: connections by a, b are not remembered: they share eth0.*Write masquerade: true/,
  );
  assert.deepEqual(check(`${lone}connections: {failback: move}\nmasquerade: true\n`), []);
  assert.deepEqual(check(`${lone}connections: off\n`), []);
  assert.match(
    check(SHARED).join('|'),
    /^f:2: warning: uplinks\.a\.tier: it leaves by eth0 as b does: .*half of each.*masquerade: true[^|]*$/,
  );
  assert.deepEqual(check(`${SHARED}masquerade: true\n`), []);
});

test('without nftables, what needs it is an error and what would like it a warning', () => {
  const absent = (text: string): string => check(text, MACHINE, { nft: false }).join('|');
  const own = one('gateway: 192.168.1.1');
  assert.deepEqual(check(own, MACHINE, { nft: true }), []);
  assert.equal(
    absent(own),
    'f: warning: there is no nftables (nft) on this machine: open connections are neither remembered nor ended. Install it: apt-get install nftables.',
  );
  assert.equal(absent(`${own}connections: off\n`), '');
  assert.match(
    absent(`${own}connections: {drain: 5m}\n`),
    /^f:3: connections: there is no nftables .*apt-get install nftables\.$/,
  );
  assert.match(absent(`${own}masquerade: true\n`), /^f:3: masquerade: there is no nftables .*apt-get install nftables\.$/);
  assert.match(
    absent(`${one('gateway6: "2001:db8:1::1", prefix: auto')}lan-prefix: fd00::/64\n`),
    /^f:3: lan-prefix: there is no nftables .*apt-get install nftables\.$/,
  );
  assert.match(
    absent('uplinks:\n  a: {gateway: 192.168.1.1, tier: 1}\n  b: {gateway: 10.0.0.1, tier: 1}\n'),
    /^f:2: uplinks\.a\.tier: there is no nftables .*apt-get install nftables\.$/,
  );
});

test('without the file, problems carry no line', () => {
  const result = parseConfig(one('gateway: 192.168.2.1'), 'f');
  assert.ok(result.ok);
  const [problem] = checkAgainstSystem(result.config, MACHINE, () => []);
  assert.equal(problem?.line, 0);
});
