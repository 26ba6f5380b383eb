/** The model against transcripts of a real kernel (6.18, `ip` in a namespace): each expectation was printed by Linux. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KernelOp, KernelState, RouteState, RuleState } from '../../../../src/core/kernel.js';
import { applyOp } from '../../../../src/core/plan/kernel-model.js';
import { linkNames, renderRoute } from '../../../support/render-kernel.js';
import { classic, foreignDefault } from '../../../support/topology.js';

const { kernel } = classic([4, 6]);
const start = kernel.state;

function route(via: string, change: Partial<RouteState> = {}): RouteState {
  return foreignDefault(kernel, via, 'eth0', change);
}

function six(via: string, change: Partial<RouteState> = {}): RouteState {
  return route(via, { metric: 5, ...change });
}

/** Applies all, expects each to end as told (`ok` or an errno), and gives the last state. */
function play(from: KernelState, steps: readonly (readonly [KernelOp, string])[]): KernelState {
  return steps.reduce((state, [op, expected]) => {
    const applied = applyOp(state, op);
    assert.equal(applied.errno ?? 'ok', expected, JSON.stringify(op));
    if (applied.errno !== null) assert.equal(applied.state, state);
    return applied.state;
  }, from);
}

function defaults(state: KernelState): string[] {
  const names = linkNames(state.links);
  return state.routes
    .filter((r) => r.destination === 'default')
    .map((r) => renderRoute(r, names).replace(/^ip.* main: default ?/, ''));
}

const replace = (r: RouteState): KernelOp => ({ op: 'route-replace', route: r });
const add = (r: RouteState): KernelOp => ({ op: 'route-add', route: r });
const append = (r: RouteState): KernelOp => ({ op: 'route-append', route: r });
const remove = (r: RouteState): KernelOp => ({ op: 'route-delete', route: r });

test('IPv4 REPLACE swaps the first route of the same metric, whatever its protocol', () => {
  const end = play(start, [
    [add(route('192.168.1.9', { protocol: 16 })), 'ok'],
    [add(route('192.168.1.8', { protocol: 16, metric: 100 })), 'ok'],
    [replace(route('192.168.1.1', { protocol: 110 })), 'ok'],
    [replace(route('192.168.1.1', { protocol: 110 })), 'ok'],
  ]);
  assert.deepEqual(defaults(end), ['via 192.168.1.1 dev eth0 proto 110', 'via 192.168.1.8 dev eth0 proto dhcp metric 100']);
});

test('IPv4 REPLACE fails with EEXIST where the very same route stands behind another', () => {
  const wanted = route('192.168.1.1', { protocol: 110 });
  const end = play(start, [
    [add(route('192.168.1.9')), 'ok'],
    [append(wanted), 'ok'],
    [append(wanted), 'EEXIST'],
    [replace(wanted), 'EEXIST'],
    [remove(route('192.168.1.9')), 'ok'],
    [replace(wanted), 'ok'],
  ]);
  assert.deepEqual(defaults(end), ['via 192.168.1.1 dev eth0 proto 110']);
});

test('an exclusive add fails for any route in the place', () => {
  play(start, [
    [add(route('192.168.1.9')), 'ok'],
    [add(route('192.168.1.1')), 'EEXIST'],
    [add(route('192.168.1.1', { metric: 1 })), 'ok'],
    [add(route('192.168.1.1', { tos: 16 })), 'ok'],
    [add(route('192.168.1.1', { table: 7100 })), 'ok'],
    [add(six('fe80::1')), 'ok'],
    [add(six('fe80::2')), 'EEXIST'],
  ]);
});

test('routes stand by TOS, then metric, then in the order they came', () => {
  const end = play(start, [
    [add(route('192.168.1.4', { metric: 4 })), 'ok'],
    [add(route('192.168.1.9')), 'ok'],
    [add(route('192.168.1.16', { tos: 16, metric: 9 })), 'ok'],
    [append(route('192.168.1.10')), 'ok'],
    [add(route('192.168.1.3', { metric: 2 })), 'ok'],
  ]);
  assert.deepEqual(
    defaults(end).map((line) => line.split(' ')[1]),
    ['192.168.1.16', '192.168.1.9', '192.168.1.10', '192.168.1.3', '192.168.1.4'],
  );
});

test('a delete with metric 0 takes the first route that fits otherwise, of any metric', () => {
  const end = play(start, [
    [add(route('192.168.1.9')), 'ok'],
    [add(route('192.168.1.1', { metric: 100, protocol: 110 })), 'ok'],
    [remove(route('192.168.1.1', { protocol: 111 })), 'ESRCH'],
    [remove(route('192.168.1.8', { protocol: 110 })), 'ESRCH'],
    [remove(route('192.168.1.1', { protocol: 110, metric: 99 })), 'ESRCH'],
    [remove(route('192.168.1.1', { protocol: 110 })), 'ok'],
  ]);
  assert.deepEqual(defaults(end), ['via 192.168.1.9 dev eth0 proto boot']);
});

test('IPv6 metric 0 means 1024', () => {
  const end = play(start, [
    [add(six('fe80::1', { metric: 0 })), 'ok'],
    [add(six('fe80::2', { metric: 1024 })), 'EEXIST'],
  ]);
  assert.deepEqual(defaults(end), ['via fe80::1 dev eth0 proto boot metric 1024']);
});

test('IPv6 append at the same metric makes a multipath route that keeps the first protocol', () => {
  const pair = play(start, [
    [add(six('fe80::2', { protocol: 98 })), 'ok'],
    [append(six('fe80::3', { protocol: 97 })), 'ok'],
    [append(six('fe80::3', { protocol: 96 })), 'EEXIST'],
  ]);
  assert.deepEqual(defaults(pair), ['nexthop via fe80::2 dev eth0 nexthop via fe80::3 dev eth0 proto 98 metric 5']);

  const gatewayTaken = play(pair, [[remove(six('fe80::3', { protocol: 98 })), 'ok']]);
  assert.deepEqual(defaults(gatewayTaken), ['via fe80::2 dev eth0 proto 98 metric 5']);

  const replaced = play(pair, [[replace(six('fe80::7', { protocol: 99 })), 'ok']]);
  assert.deepEqual(defaults(replaced), ['via fe80::7 dev eth0 proto 99 metric 5']);

  const allTaken = play(pair, [[remove(six('fe80::2', { nexthops: [], protocol: 98 })), 'ok']]);
  assert.deepEqual(defaults(allTaken), []);
});

test('IPv6 unreachable routes stand beside those with a gateway, and REPLACE swaps its own kind first', () => {
  const guard = six('fe80::1', { type: 'unreachable', nexthops: [] });
  const both = play(start, [
    [add(six('fe80::5', { protocol: 97 })), 'ok'],
    [add(guard), 'EEXIST'],
    [append(guard), 'ok'],
    [append(guard), 'EEXIST'],
  ]);
  assert.equal(defaults(both).length, 2);
  const left = play(both, [[remove(six('fe80::5', { protocol: 97 })), 'ok']]);
  assert.equal(left.routes.find((r) => r.destination === 'default')?.type, 'unreachable');
  assert.deepEqual(defaults(play(left, [[replace(six('fe80::6')), 'ok']])), ['via fe80::6 dev eth0 proto boot metric 5']);
});

test('a gateway must be on a connected network, unless onlink; link-local ones always are', () => {
  const hop = { ifindex: kernel.link('eth0').index, gateway: '10.9.9.9', onlink: true };
  play(start, [
    [add(route('10.9.9.9')), 'ENETUNREACH'],
    [add(route('10.9.9.9', { nexthops: [hop] })), 'ok'],
    [add(six('fd00:9::1')), 'EHOSTUNREACH'],
    [add(six('fd00:1::1')), 'ok'],
    [replace(six('fe80::1')), 'ok'],
    [add(route('192.168.1.2', { metric: 3 })), 'EINVAL'],
  ]);
  assert.equal(applyOp(start, add(route('10.9.9.9'))).message, 'Nexthop has invalid gateway');
});

test('a link that is down or gone takes no routes', () => {
  const { kernel: other } = classic([4, 6]);
  other.setAdmin('eth0', false);
  const onlink = { ifindex: other.link('eth0').index, gateway: '192.168.1.1', onlink: true };
  play(other.state, [
    [add(route('192.168.1.1')), 'ENETUNREACH'],
    [add(route('192.168.1.1', { nexthops: [onlink] })), 'ENETDOWN'],
    [add(route('192.168.1.1', { nexthops: [{ ...onlink, gateway: null }] })), 'ENETDOWN'],
    [add(six('fe80::1')), 'ENETDOWN'],
    [add(six('fe80::1', { type: 'unreachable', nexthops: [] })), 'ok'],
    [add(route('192.168.1.1', { nexthops: [{ ...onlink, ifindex: 77 }] })), 'ENODEV'],
  ]);
});

test('rules: the protocol is part of what they are', () => {
  const rule: RuleState = { family: 4, priority: 700, table: 7100, mark: 5, mask: 7, protocol: 99, other: false };
  const end = play(start, [
    [{ op: 'rule-add', rule }, 'ok'],
    [{ op: 'rule-add', rule: { ...rule, protocol: 98 } }, 'ok'],
    [{ op: 'rule-add', rule }, 'EEXIST'],
    [{ op: 'rule-add', rule: { ...rule, priority: 600 } }, 'ok'],
    [{ op: 'rule-delete', rule: { ...rule, protocol: 97 } }, 'ENOENT'],
    [{ op: 'rule-delete', rule }, 'ok'],
  ]);
  assert.deepEqual(
    end.rules.map((r) => [r.priority, r.protocol]),
    [
      [600, 99],
      [700, 98],
    ],
  );
});

test('sysctls, neighbours and our table answer too', () => {
  const state = {
    ...start,
    sysctls: { 'net/ipv4/conf/eth0/rp_filter': '1', 'net/ipv4/conf/gone/rp_filter': null },
    neighbours: [{ ifindex: 2, address: '192.168.1.1', family: 4, state: 'failed', mac: null }] as const,
  };
  const end = play(state, [
    [{ op: 'sysctl-set', key: 'net/ipv4/conf/gone/rp_filter', value: '2' }, 'ENOENT'],
    [{ op: 'sysctl-set', key: 'net/ipv4/conf/eth0/rp_filter', value: '2' }, 'ok'],
    [{ op: 'neighbour-delete', family: 4, ifindex: 2, address: '192.168.1.1' }, 'ok'],
    [{ op: 'neighbour-delete', family: 4, ifindex: 2, address: '192.168.1.1' }, 'ENOENT'],
    [{ op: 'nft-table', fingerprint: 'x', rules: { dropNdRedirectsOn: ['eth0'] } }, 'ok'],
  ]);
  assert.equal(end.sysctls['net/ipv4/conf/eth0/rp_filter'], '2');
  assert.deepEqual(end.nft, { fingerprint: 'x' });
});

/** Two interfaces, shared by weight. */
function shared(family: 4 | 6, weights: readonly [number, number], change: Partial<RouteState> = {}): RouteState {
  const [one, other] = family === 4 ? (['192.168.1.1', '192.168.1.9'] as const) : (['fe80::1', 'fe80::9'] as const);
  const { index: ifindex } = kernel.link('eth0');
  const hops = [one, other].map((gateway, i) => ({ ifindex, gateway, onlink: false, weight: weights[i] ?? 1 }));
  return (family === 4 ? route : six)(one, { nexthops: hops, ...change });
}

test('IPv4: a shared route is another one with other weights; a weight of 1 is none', () => {
  const end = play(start, [
    [add(shared(4, [3, 1])), 'ok'],
    [append(shared(4, [3, 1])), 'EEXIST'],
    [append(shared(4, [4, 1])), 'ok'],
    [replace(shared(4, [2, 2])), 'ok'],
  ]);
  assert.deepEqual(defaults(end), [
    'nexthop via 192.168.1.1 dev eth0 weight 2 nexthop via 192.168.1.9 dev eth0 weight 2 proto boot',
    'nexthop via 192.168.1.1 dev eth0 weight 4 nexthop via 192.168.1.9 dev eth0 proto boot',
  ]);
  const [, second] = end.routes.filter((r) => r.destination === 'default');
  assert.deepEqual(
    second?.nexthops.map((hop) => Object.hasOwn(hop, 'weight')),
    [true, false],
  );
});

test('IPv4: a deletion compares the hops in order, never the weights, and a longer list fits too', () => {
  const both = shared(4, [3, 1]);
  const single = route('192.168.1.1');
  play(start, [
    [add(both), 'ok'],
    [remove({ ...both, nexthops: both.nexthops.toReversed() }), 'ESRCH'],
    [remove(single), 'ESRCH'],
    [remove(shared(4, [7, 7])), 'ok'],
    [add(single), 'ok'],
    [remove(both), 'ok'],
  ]);
});

test('IPv6: several hops are taken away one by one, and what can go goes', () => {
  const end = play(start, [
    [add(shared(6, [3, 1])), 'ok'],
    [append(shared(6, [1, 1])), 'EEXIST'],
    [append(six('fe80::7')), 'ok'],
  ]);
  assert.deepEqual(defaults(end), [
    'nexthop via fe80::1 dev eth0 weight 3 nexthop via fe80::9 dev eth0 nexthop via fe80::7 dev eth0 proto boot metric 5',
  ]);
  const { index: ifindex } = kernel.link('eth0');
  const unknown = { ifindex, gateway: 'fe80::77', onlink: false };
  const partly = applyOp(end, remove({ ...shared(6, [1, 1]), nexthops: [unknown, ...shared(6, [1, 1]).nexthops] }));
  assert.equal(partly.errno, 'ESRCH');
  assert.deepEqual(defaults(partly.state), ['via fe80::7 dev eth0 proto boot metric 5']);
});

test('IPv6: no hop twice, none without a gateway among several', () => {
  const both = shared(6, [1, 1]);
  const { index: ifindex } = kernel.link('eth0');
  const bare = { ifindex, gateway: null, onlink: false };
  play(start, [
    [add({ ...both, nexthops: [...both.nexthops, ...both.nexthops] }), 'EEXIST'],
    [add({ ...both, nexthops: [...both.nexthops, bare] }), 'EINVAL'],
    [add(six('', { nexthops: [bare] })), 'ok'],
  ]);
});

test('IPv6: the deletion of a guard takes guards only', () => {
  const guard = six('', { type: 'unreachable', nexthops: [] });
  const end = play(start, [
    [add(six('fe80::1')), 'ok'],
    [remove(guard), 'ESRCH'],
    [append(guard), 'ok'],
    [remove(guard), 'ok'],
  ]);
  assert.deepEqual(defaults(end), ['via fe80::1 dev eth0 proto boot metric 5']);
});

test('rules: what an addition does not name is there already, what a deletion does not name does not matter', () => {
  const base: RuleState = { family: 4, priority: 960, table: 7100, mark: 0, mask: 0, protocol: 110, other: false };
  const chosen: RuleState = { ...base, source: '192.168.1.32/28', ipProtocol: 17, ports: { first: 5060, last: 5061 } };
  const rule = (change: Partial<RuleState>): KernelOp => ({ op: 'rule-add', rule: { ...chosen, ...change } });
  const { source: _, ...anySource } = chosen;
  const end = play(start, [
    [rule({}), 'ok'],
    [rule({}), 'EEXIST'],
    [{ op: 'rule-add', rule: anySource }, 'EEXIST'],
    [rule({ destination: '203.0.113.0/24' }), 'ok'],
    [rule({ ports: { first: 5060, last: 5060 } }), 'ok'],
    [rule({ ipProtocol: 6 }), 'ok'],
    [rule({ table: 254, suppress: 0 }), 'ok'],
    [rule({ table: 254 }), 'ok'],
    [rule({ table: 0, action: 'unreachable' }), 'ok'],
    [{ op: 'rule-delete', rule: { ...base, source: '192.168.1.0/24' } }, 'ENOENT'],
    [{ op: 'rule-delete', rule: base }, 'ok'],
    [rule({}), 'EEXIST'],
    [{ op: 'rule-delete', rule: { ...base, table: 0, action: 'unreachable' } }, 'ok'],
  ]);
  assert.deepEqual(
    end.rules.map((r) => [r.destination, r.ipProtocol, r.ports?.last, r.table, r.suppress, r.action]),
    [
      ['203.0.113.0/24', 17, 5061, 7100, undefined, undefined],
      [undefined, 17, 5060, 7100, undefined, undefined],
      [undefined, 6, 5061, 7100, undefined, undefined],
      [undefined, 17, 5061, 254, 0, undefined],
      [undefined, 17, 5061, 254, undefined, undefined],
    ],
  );
});
