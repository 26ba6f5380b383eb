/** The fake kernel has to lie exactly as little as the model tests claim: side effects, look-ups and sabotage. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { probeMark } from '../../../src/core/config.js';
import type { RouteState, RuleState } from '../../../src/core/kernel.js';
import type { Packet } from '../../support/fake-fib.js';
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

/** What `test/lab/kernel-fake.test.ts` has seen on Linux, for those who cannot be root. */
function sharing() {
  const { kernel } = separate(['fast', 'backup']);
  const hops = ['wan0', 'wan1'].map((name, i) => ({ ifindex: kernel.link(name).index, gateway: `10.${i}.0.1`, onlink: false }));
  const [first, second] = hops;
  assert.ok(first && second);
  const route = foreignDefault(kernel, '10.0.0.1', 'wan0', { nexthops: [{ ...first, weight: 3 }, second] });
  assert.equal(kernel.foreign({ op: 'route-add', route }), null);
  const ways = (packet: Partial<Packet> = {}) => {
    const found = kernel.ways({ destination: '192.0.2.1', ...packet });
    return typeof found === 'string' ? found : found.map((hop) => hop.gateway);
  };
  return { kernel, route, ways };
}

test('a shared default: both carry by weight, a dead one carries nothing, and with the last of them the route goes', () => {
  const { kernel, ways } = sharing();
  assert.deepEqual(ways(), ['10.0.0.1', '10.1.0.1']);
  const at = (hash: number) => {
    const verdict = kernel.lookup('192.0.2.1', 0, null, { hash });
    return typeof verdict === 'string' ? verdict : verdict.hop.gateway;
  };
  assert.deepEqual([0, 0.74, 0.75, 0.99].map(at), ['10.0.0.1', '10.0.0.1', '10.1.0.1', '10.1.0.1']);
  const whole = kernel.render();
  kernel.setAdmin('wan1', false);
  assert.deepEqual([ways(), at(0.99)], [['10.0.0.1'], '10.0.0.1']);
  assert.match(kernel.render(), /nexthop via 10\.0\.0\.1 dev wan0 weight 3 nexthop via 10\.1\.0\.1 dev wan1/);
  kernel.setAdmin('wan1', true);
  assert.equal(kernel.render(), whole);
  assert.deepEqual(ways(), ['10.0.0.1', '10.1.0.1']);
  kernel.removeAddresses('wan0', 4);
  assert.deepEqual(ways(), ['10.1.0.1']);
  kernel.addAddress('wan0', '10.0.0.3/24');
  assert.deepEqual(ways(), ['10.0.0.1', '10.1.0.1']);
  kernel.setAdmin('wan0', false);
  kernel.setAdmin('wan1', false);
  assert.equal(ways(), 'refused');
  assert.doesNotMatch(kernel.render(), /default/);
});

test('a device that vanishes takes the whole shared IPv4 default', () => {
  const { kernel, ways } = sharing();
  kernel.removeLink('wan1');
  assert.equal(ways(), 'refused');
});

test('chosen traffic: by source, protocol and port, behind the specific routes of main, or blocked', () => {
  const { kernel, ways } = sharing();
  const far = foreignDefault(kernel, '10.1.0.1', 'wan1', { destination: '192.0.2.128/25' });
  const base: RuleState = { family: 4, priority: 956, table: 7101, mark: 0, mask: 0, protocol: 110, other: false };
  const chosen = { source: '192.168.1.32/28', ipProtocol: 17, ports: { first: 5060, last: 5061 } };
  const voip = { source: '192.168.1.40', incoming: 'lan', ipProtocol: 17, port: 5061 };
  for (const op of [
    { op: 'route-add', route: far },
    { op: 'route-add', route: foreignDefault(kernel, '10.0.0.1', 'wan0', { table: 7101 }) },
    { op: 'rule-add', rule: { ...base, ...chosen, table: 254, suppress: 0 } },
    { op: 'rule-add', rule: { ...base, ...chosen, priority: 957 } },
  ] as const) {
    assert.equal(kernel.foreign(op), null);
  }
  assert.deepEqual(ways(voip), ['10.0.0.1']);
  assert.deepEqual(ways({ ...voip, destination: '192.0.2.129' }), ['10.1.0.1'], 'main knows better');
  for (const other of [{ port: 5062 }, { ipProtocol: 6 }, { source: '192.168.1.60' }, {}]) {
    const packet = Object.keys(other).length === 0 ? {} : { ...voip, ...other };
    assert.deepEqual(ways(packet), ['10.0.0.1', '10.1.0.1']);
  }
  kernel.foreign({ op: 'rule-add', rule: { ...base, source: '192.168.1.48/28', table: 0, action: 'unreachable' } });
  assert.equal(ways({ source: '192.168.1.50', incoming: 'lan' }), 'refused');
  assert.deepEqual(ways({ source: '192.168.1.40', incoming: 'lan' }), ['10.0.0.1', '10.1.0.1']);
});

test('an unreachable default in main ends even a look-up that suppresses defaults', () => {
  const { kernel, route, ways } = sharing();
  const flow: RuleState = { family: 4, priority: 828, table: 254, mark: 1, mask: 1, protocol: 110, other: false };
  kernel.foreign({ op: 'rule-add', rule: { ...flow, suppress: 0 } });
  kernel.foreign({ op: 'rule-add', rule: { ...flow, priority: 829, table: 7100 } });
  kernel.foreign({ op: 'route-add', route: foreignDefault(kernel, '10.1.0.1', 'wan1', { table: 7100 }) });
  kernel.foreign({ op: 'route-add', route: foreignDefault(kernel, '10.1.0.1', 'wan1', GUARD) });
  assert.deepEqual(ways({ mark: 1 }), ['10.1.0.1']);
  kernel.foreign({ op: 'route-delete', route });
  assert.equal(ways({ mark: 1 }), 'refused');
});

test('a point-to-point link: the peer is connected, and a default needs no gateway', () => {
  const { kernel } = separate(['fast']);
  const index = kernel.addLink('ppp0', { pointToPoint: true });
  kernel.addAddress('ppp0', '10.64.0.2/32', '10.64.0.1');
  const route = foreignDefault(kernel, '10.64.0.1', 'ppp0');
  assert.equal(kernel.foreign({ op: 'route-add', route }), null);
  const bare = { ...route, scope: 253, metric: 1, nexthops: [{ ifindex: index, gateway: null, onlink: false }] };
  assert.equal(kernel.foreign({ op: 'route-add', route: bare }), null);
  assert.match(kernel.render(), /10\.64\.0\.1\/32 dev ppp0 proto kernel src 10\.64\.0\.2\n/);
  kernel.setAdmin('ppp0', false);
  assert.doesNotMatch(kernel.render(), /ppp0/);
});

test('a new name takes routes and settings along; counters are read, not told', async () => {
  const { kernel } = separate(['fast']);
  kernel.foreign({ op: 'route-add', route: foreignDefault(kernel, '10.0.0.1', 'wan0') });
  kernel.setSysctl('net.ipv4.conf.wan0.rp_filter', '1');
  const told: string[] = [];
  kernel.watch((change) => told.push(...change.what));
  kernel.renameLink('wan0', 'wwan9');
  kernel.setAltNames('wwan9', ['lte']);
  kernel.setCounters('wwan9', { rxBytes: 5, txBytes: 7 });
  assert.deepEqual(told, ['link', 'link']);
  assert.match(kernel.render(), /default via 10\.0\.0\.1 dev wwan9/);
  assert.deepEqual([kernel.sysctl('net.ipv4.conf.wwan9.rp_filter'), kernel.sysctl('net.ipv4.conf.wan0.rp_filter')], ['1', null]);
  const { links } = await kernel.snapshot({ tables: [], sysctls: [], nft: false });
  const { name, altNames, counters } = links.find((link) => link.index === kernel.link('wwan9').index) ?? {};
  assert.deepEqual([name, altNames, counters], ['wwan9', ['lte'], { rxBytes: 5, txBytes: 7 }]);
});
