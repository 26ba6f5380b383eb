/** What a dry run prints for each kind of operation: a command that could be typed, and what it is for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KernelOp, RouteState, RuleState } from '../../../../src/core/kernel.js';
import { describeOp } from '../../../../src/core/plan/op-text.js';
import { foreignDefault, NUMBERS } from '../../../support/topology.js';
import { bareKernel } from './route-chaos.js';

const kernel = bareKernel();
const text = (op: KernelOp): string => describeOp(op, kernel.state, NUMBERS);
const route = (change: Partial<RouteState>): RouteState =>
  foreignDefault(kernel, '192.168.1.253', 'eth0', { protocol: NUMBERS.protocol, ...change });
const rule = (change: Partial<RuleState>): string =>
  text({
    op: 'rule-add',
    rule: { family: 4, priority: 956, table: 7165, mark: 0, mask: 0, protocol: NUMBERS.protocol, other: false, ...change },
  });

test('routes: the way out, of one or several, the standbys, and the tables of probes and of connections', () => {
  const hops = [
    { ifindex: kernel.link('eth0').index, gateway: '192.168.1.253', onlink: false, weight: 3 },
    { ifindex: kernel.link('wan0').index, gateway: '10.0.0.1', onlink: false },
  ];
  assert.equal(
    text({ op: 'route-replace', route: route({ nexthops: hops }) }),
    'ip route replace default nexthop via 192.168.1.253 dev eth0 weight 3 nexthop via 10.0.0.1 dev wan0 proto 110   # the way out',
  );
  assert.match(text({ op: 'route-replace', route: route({ metric: 2 }) }), /metric 2 {3}# the kernel falls back/);
  assert.match(text({ op: 'route-replace', route: route({ table: 7100 }) }), /table 7100 proto 110 {3}# .*probes$/);
  assert.match(text({ op: 'route-replace', route: route({ table: 7164 }) }), /table 7164 proto 110 {3}# .*open connections$/);
  assert.match(text({ op: 'route-delete', route: route({ protocol: 4 }) }), /^ip route delete .* # foreign, in our place/);
});

test('rules: which packets, and whose', () => {
  assert.equal(
    rule({ source: '192.168.1.32/28', ipProtocol: 17, ports: { first: 5060, last: 5060 } }),
    'ip rule add priority 956 from 192.168.1.32/28 ipproto udp dport 5060-5060 table 7165   # via: chosen traffic by a chosen uplink',
  );
  assert.match(rule({ table: 254, suppress: 0 }), /table 254 suppress_prefixlength 0 {3}# what has a way of its own/);
  assert.match(rule({ table: 0, action: 'unreachable' }), /priority 956 unreachable {3}# via: blocked/);
  assert.match(rule({ priority: 700, mark: 0x41000000, mask: 0x7f000000 }), /fwmark 0x41000000\/0x7f000000 .*# sends .* probes/);
  assert.match(rule({ priority: 829, mark: 0x1000000, mask: 0x7f000000 }), /# open connections stay on this uplink$/);
  assert.match(rule({ priority: 764, incoming: 'lo', destination: '192.0.2.25/32' }), /iif lo to 192\.0\.2\.25\/32 .*smarthost/);
});

test('nft: what the table does, and its end', () => {
  const way = { family: 4, interface: 'wan0', gateway: null, mac: null } as const;
  const flows = {
    mask: 0x7f000000,
    ways: [{ ...way, mark: 0x1000000 }],
    inbound: true,
    resetAstray: true,
    untrackedMark: 0x40000000,
  };
  const table = (rules: (KernelOp & { op: 'nft-table' })['rules']): string => text({ op: 'nft-table', fingerprint: 'x', rules });
  assert.match(table({ dropNdRedirectsOn: [], flows }), /remember connections by wan0 \(IPv4\) {3}# open connections stay/);
  assert.match(table({ dropNdRedirectsOn: ['eth0'] }), /drop nd-redirect on eth0 {3}# IPv6 has no sysctl/);
  const prefixes = [{ way: { ...way, family: 6 } as const, inside: 'fd00:1::/64', outside: '2001:db8:5::/64' }];
  assert.match(table({ dropNdRedirectsOn: [], masquerade: [way], prefixes }), /fd00:1::\/64 is 2001:db8:5::\/64 on wan0/);
  assert.equal(table(null), 'nft delete table inet backroute   # ours, no longer wanted');
});

test('sysctls by the names that people know, a dot within an interface’s name as a slash', () => {
  assert.match(
    text({ op: 'sysctl-set', key: 'net/ipv4/conf/eth0.7/rp_filter', value: '2' }),
    /^sysctl -w net\.ipv4\.conf\.eth0\/7\.rp_filter='2'/,
  );
});
