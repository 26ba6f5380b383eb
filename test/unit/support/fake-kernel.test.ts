/** The fake kernel has to lie exactly as little as the model tests claim: side effects, look-ups and sabotage. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { probeMark } from '../../../src/core/config.js';
import type { RouteState, RuleState } from '../../../src/core/kernel.js';
import { classic, foreignDefault, NUMBERS, separate } from '../../support/topology.js';

const GUARD: Partial<RouteState> = { type: 'unreachable', nexthops: [], metric: 4_294_967_295 };

function rule(slot: number): RuleState {
  const mark = probeMark(NUMBERS, slot);
  return { family: 4, priority: 700 + slot, table: 7100 + slot, mark, mask: NUMBERS.markMask, protocol: 110, other: false };
}

test('link down flushes its routes and IPv6 addresses but not guards; up restores connected networks, no defaults', () => {
  const { kernel } = classic([4, 6]);
  kernel.foreign({ op: 'route-add', route: foreignDefault(kernel, '192.168.1.1', 'eth0') });
  kernel.foreign({ op: 'route-add', route: foreignDefault(kernel, '192.168.1.1', 'eth0', { table: 7100 }) });
  kernel.foreign({ op: 'route-add', route: foreignDefault(kernel, '192.168.1.1', 'eth0', { table: 7100, ...GUARD }) });
  kernel.setAdmin('eth0', false);
  assert.equal(kernel.render(), 'ip route 7100: unreachable default proto boot metric 4294967295\n');
  assert.deepEqual(
    kernel.state.addresses.map((address) => address.family),
    [4],
  );
  kernel.setAdmin('eth0', true);
  assert.equal(
    kernel.render(),
    'ip route main: 192.168.1.0/24 dev eth0 proto kernel src 192.168.1.2\nip route 7100: unreachable default proto boot metric 4294967295\n',
  );
});

test('carrier loss keeps routes, and ignore_routes_with_linkdown makes the next metric take over', () => {
  const { kernel } = separate(['fast', 'backup']);
  kernel.foreign({ op: 'route-add', route: foreignDefault(kernel, '10.0.0.1', 'wan0') });
  kernel.foreign({ op: 'route-add', route: foreignDefault(kernel, '10.1.0.1', 'wan1', { metric: 1 }) });
  const before = kernel.render();
  const out = () => {
    const verdict = kernel.lookup('192.0.2.1', 0, null);
    return typeof verdict === 'string' ? verdict : verdict.hop.gateway;
  };
  kernel.setCarrier('wan0', false);
  assert.equal(kernel.render(), before);
  assert.equal(out(), '10.0.0.1');
  kernel.foreign({ op: 'sysctl-set', key: 'net/ipv4/conf/wan0/ignore_routes_with_linkdown', value: '1' });
  assert.equal(out(), '10.1.0.1');
  kernel.setCarrier('wan1', false);
  assert.equal(out(), '10.1.0.1', 'the sysctl of the other device says nothing');
  kernel.setSysctl('net.ipv4.conf.all.ignore_routes_with_linkdown', '1');
  assert.equal(out(), 'refused');
});

test('a mark looks up its own table; the guard stops it; without the rule it would leak through main', () => {
  const { kernel } = classic();
  kernel.foreign({ op: 'route-add', route: foreignDefault(kernel, '192.168.1.1', 'eth0') });
  const mark = probeMark(NUMBERS, 0);
  const leaking = kernel.lookup('192.0.2.1', mark, null);
  assert.ok(typeof leaking === 'object' && leaking.hop.gateway === '192.168.1.1');
  kernel.foreign({ op: 'rule-add', rule: rule(0) });
  kernel.foreign({ op: 'route-add', route: foreignDefault(kernel, '192.168.1.1', 'eth0', { table: 7100, ...GUARD }) });
  assert.equal(kernel.lookup('192.0.2.1', mark, null), 'refused');
  assert.equal(kernel.lookup('192.0.2.1', mark, 'eth0'), 'silent', 'with a bound device IPv4 asks for the neighbour instead');
  kernel.foreign({ op: 'route-add', route: foreignDefault(kernel, '192.168.1.253', 'eth0', { table: 7100 }) });
  const steered = kernel.lookup('192.0.2.1', mark, null);
  assert.ok(typeof steered === 'object' && steered.hop.gateway === '192.168.1.253');
});

test('snapshots hold defaults, connected networks, the tables and the sysctls asked for, nothing else', async () => {
  const { kernel } = classic();
  kernel.foreign({ op: 'route-add', route: foreignDefault(kernel, '192.168.1.1', 'eth0', { destination: '10.0.0.0/8' }) });
  kernel.foreign({ op: 'route-add', route: foreignDefault(kernel, '192.168.1.1', 'eth0', { table: 7100 }) });
  kernel.foreign({ op: 'route-add', route: foreignDefault(kernel, '192.168.1.1', 'eth0', { table: 9999 }) });
  const key = 'net/ipv4/conf/eth0/rp_filter';
  const seen = await kernel.snapshot({ tables: [7100], sysctls: [key, 'net/ipv4/conf/ghost/rp_filter'], nft: false });
  assert.deepEqual(
    seen.routes.map((r) => `${r.table} ${r.destination}`),
    ['254 192.168.1.0/24', '7100 default'],
  );
  assert.deepEqual(seen.sysctls, { [key]: '2', 'net/ipv4/conf/ghost/rp_filter': null });
  assert.equal(seen.nft, null);
});

test('sabotage fails chosen operations without touching anything, and watchers hear of every real change', async () => {
  const { kernel } = classic();
  let heard = 0;
  kernel.watch(() => {
    heard += 1;
  });
  kernel.sabotage = (_op, index) => (index === 1 ? 'EPERM' : null);
  const route = foreignDefault(kernel, '192.168.1.1', 'eth0');
  const results = await kernel.apply([
    { op: 'route-add', route },
    { op: 'route-replace', route: { ...route, protocol: 4 } },
    { op: 'route-add', route },
  ]);
  assert.deepEqual(
    results.map((result) => result.errno),
    [null, 'EPERM', 'EEXIST'],
  );
  assert.equal(heard, 1);
  assert.match(kernel.render(), /default via 192\.168\.1\.1 dev eth0 proto boot\n/);
});

test('a sysctl put back to its former value leaves no trace', () => {
  const { kernel } = classic();
  const before = kernel.render();
  kernel.setSysctl('net/ipv4/conf/eth0/send_redirects', '0');
  assert.notEqual(kernel.render(), before);
  kernel.setSysctl('net/ipv4/conf/eth0/send_redirects', '1');
  assert.equal(kernel.render(), before);
});
