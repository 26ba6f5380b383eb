/** The kernel adapter against a real kernel, in namespaces of its own: requests, dumps, rules, sysctls, nft. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { KernelOp, KernelState, OpResult, RouteState, RuleState } from '../../src/core/kernel.js';
import type { Family } from '../../src/core/model.js';
import { RtnlKernel } from '../../src/kernel/kernel.js';
import { enterTestNamespace, eventually, needsRoot, type TestNamespace } from './kernel-namespace.js';

const OURS = 177;
const kernel = new RtnlKernel();

function route(over: Partial<RouteState> & { via?: string; family?: Family }): RouteState {
  const { via, ...rest } = over;
  return {
    family: 4,
    table: 254,
    destination: 'default',
    type: 'unicast',
    protocol: OURS,
    metric: 0,
    tos: 0,
    scope: 0,
    prefsrc: null,
    nexthops: via === undefined ? [] : [{ ifindex: 10, gateway: via, onlink: false }],
    expires: false,
    rest: '',
    ...rest,
  };
}

const guard = (family: Family): RouteState => route({ family, table: 1000, type: 'unreachable', metric: 4294967295 });

async function one(op: KernelOp): Promise<OpResult> {
  const [result] = await kernel.apply([op]);
  assert.ok(result);
  return result;
}

async function must(op: KernelOp): Promise<void> {
  const result = await one(op);
  assert.ok(result.ok, `${op.op}: ${result.errno} ${result.message}`);
}

const read = (): Promise<KernelState> => kernel.snapshot({ tables: [1000], sysctls: [], nft: false });

async function defaults(family: Family = 4, table = 254): Promise<RouteState[]> {
  return (await read()).routes.filter((r) => r.family === family && r.table === table && r.destination === 'default');
}

const gateways = (routes: readonly RouteState[]): (string | null | undefined)[] => routes.map((r) => r.nexthops[0]?.gateway);

describe('kernel adapter', { skip: needsRoot }, () => {
  let namespace: TestNamespace;
  const clear = (): void => {
    for (const words of [
      'route flush default',
      '-6 route flush default',
      'route flush table 1000',
      '-6 route flush table 1000',
    ]) {
      try {
        namespace.ip(words);
      } catch {
        // An empty table cannot be flushed.
      }
    }
  };
  before(() => {
    namespace = enterTestNamespace();
  });

  test('reads links, addresses and connected networks', async () => {
    const state = await read();
    const eth = state.links.find((link) => link.name === 'eth0.5');
    assert.deepEqual(eth, { index: 11, name: 'eth0.5', adminUp: true, carrier: true, loopback: false, pointToPoint: false });
    assert.equal(state.links.find((link) => link.name === 'lo')?.loopback, true);
    const addresses = state.addresses.filter((address) => address.ifindex === 10).map((a) => `${a.address}/${a.prefixLength}`);
    assert.ok(addresses.includes('192.168.1.2/24') && addresses.includes('2001:db8:1::2/64'), addresses.join(' '));
    const connected = state.routes.filter((r) => r.destination !== 'default').map((r) => r.destination);
    for (const network of ['192.168.1.0/24', '10.1.0.0/24', '2001:db8:1::/64', '2001:db8:2::/64']) {
      assert.ok(connected.includes(network), `${network} in ${connected.join(' ')}`);
    }
  });

  test('a snapshot agrees with what ip(8) says', async () => {
    clear();
    namespace.ip('route add default via 192.168.1.1 proto static');
    namespace.ip('route add default via 10.1.0.1 metric 200 proto 99 src 10.1.0.2');
    namespace.ip('-6 route add default via fe80::9 dev eth0 metric 7 proto ra expires 600');
    for (const family of [4, 6] as const) {
      const listing = JSON.parse(namespace.ip(`-j -N -${family} route show default`)) as Record<string, unknown>[];
      const ours = (await defaults(family)).map((r) => ({
        gateway: r.nexthops[0]?.gateway,
        dev: r.nexthops[0]?.ifindex === 10 ? 'eth0' : 'eth0.5',
        protocol: String(r.protocol),
        metric: r.metric,
        prefsrc: r.prefsrc ?? undefined,
        expires: r.expires,
      }));
      const theirs = listing.map((r) => ({
        gateway: r.gateway,
        dev: r.dev,
        protocol: String(r.protocol),
        metric: r.metric ?? 0,
        prefsrc: r.prefsrc,
        expires: r.expires !== undefined,
      }));
      assert.deepEqual(ours, theirs);
    }
  });

  test('several defaults of metric 0 come in the order in which the kernel obeys them', async () => {
    clear();
    namespace.ip('route append default via 192.168.1.10');
    namespace.ip('route append default via 192.168.1.11');
    namespace.ip('route prepend default via 192.168.1.9');
    assert.deepEqual(gateways(await defaults()), ['192.168.1.9', '192.168.1.10', '192.168.1.11']);
    // Replace takes the place of the first, whoever owns it.
    await must({ op: 'route-replace', route: route({ via: '192.168.1.77' }) });
    assert.deepEqual(gateways(await defaults()), ['192.168.1.77', '192.168.1.10', '192.168.1.11']);
  });

  test('add is exclusive, append is not, delete of the absent says ESRCH', async () => {
    clear();
    await must({ op: 'route-add', route: route({ via: '192.168.1.1' }) });
    assert.equal((await one({ op: 'route-add', route: route({ via: '192.168.1.5' }) })).errno, 'EEXIST');
    await must({ op: 'route-append', route: route({ via: '192.168.1.5' }) });
    assert.deepEqual(gateways(await defaults()), ['192.168.1.1', '192.168.1.5']);
    await must({ op: 'route-delete', route: route({ via: '192.168.1.1' }) });
    assert.equal((await one({ op: 'route-delete', route: route({ via: '192.168.1.1' }) })).errno, 'ESRCH');
    assert.deepEqual(gateways(await defaults()), ['192.168.1.5']);
  });

  test('our own replace meets EEXIST while a foreign default stands before ours', async () => {
    clear();
    await must({ op: 'route-replace', route: route({ via: '192.168.1.1' }) });
    namespace.ip('route prepend default via 192.168.1.66');
    assert.equal((await one({ op: 'route-replace', route: route({ via: '192.168.1.1' }) })).errno, 'EEXIST');
    const [foreign] = await defaults();
    assert.ok(foreign);
    await must({ op: 'route-delete', route: foreign });
    assert.deepEqual(gateways(await defaults()), ['192.168.1.1']);
  });

  test('deleting a metric-0 default never takes the standby of the same gateway behind it', async () => {
    clear();
    await must({ op: 'route-add', route: route({ via: '192.168.1.1', metric: 4000 }) });
    assert.equal((await one({ op: 'route-delete', route: route({ via: '192.168.1.1' }) })).errno, 'ESRCH');
    assert.equal((await defaults()).length, 1);
  });

  test('the kernel says in its own words what is wrong', async () => {
    const result = await one({ op: 'route-replace', route: route({ via: '203.0.113.1' }) });
    assert.equal(result.ok, false);
    assert.equal(result.errno, 'ENETUNREACH');
    assert.match(result.message ?? '', /gateway/i);
  });

  test('text that is no address is refused without a word to the kernel', async () => {
    assert.equal((await one({ op: 'route-add', route: route({ via: '192.168.1' }) })).errno, 'EINVAL');
  });

  for (const family of [4, 6] as const) {
    test(`guard, mark rule and table: IPv${family}`, async () => {
      clear();
      const via = family === 4 ? '192.168.1.1' : 'fe80::1';
      const own = route({ family, table: 1000, via, metric: family === 4 ? 0 : 1024 });
      const rule: RuleState = { family, priority: 5000, table: 1000, mark: 0x41, mask: 0x7f, protocol: OURS, other: false };
      for (const op of [
        { op: 'route-add', route: guard(family) },
        { op: 'route-replace', route: own },
        { op: 'rule-add', rule },
      ] as const) {
        await must(op);
      }
      const state = await read();
      assert.deepEqual(
        state.routes.filter((r) => r.family === family && r.table === 1000),
        [own, guard(family)],
      );
      assert.deepEqual(
        state.rules.filter((r) => r.family === family && r.priority === 5000),
        [rule],
      );
      assert.equal((await one({ op: 'rule-add', rule })).errno, 'EEXIST');
      assert.equal((await one({ op: 'route-add', route: guard(family) })).errno, 'EEXIST');
      await must({ op: 'rule-delete', rule });
      assert.equal((await one({ op: 'rule-delete', rule })).errno, 'ENOENT');
      await must({ op: 'route-delete', route: guard(family) });
      assert.equal((await one({ op: 'route-delete', route: guard(family) })).errno, 'ESRCH');
    });
  }

  for (const family of [4, 6] as const) {
    test(`a destination bound to a table, for what this machine sends itself: IPv${family}`, async () => {
      const destination = family === 4 ? '203.0.113.25/32' : '2001:db8:25::1/128';
      const rule: RuleState = {
        family,
        priority: 5100,
        table: 1000,
        mark: 0,
        mask: 0,
        protocol: OURS,
        destination,
        incoming: 'lo',
        other: false,
      };
      await must({ op: 'rule-add', rule });
      assert.deepEqual(
        (await read()).rules.filter((r) => r.family === family && r.priority === 5100),
        [rule],
      );
      assert.equal((await one({ op: 'rule-add', rule })).errno, 'EEXIST');
      await must({ op: 'rule-delete', rule });
      assert.equal((await read()).rules.filter((r) => r.priority === 5100).length, 0);
    });
  }

  test('rules with other selectors are never taken for ours', async () => {
    for (const words of ['from 10.0.0.0/8', 'oif eth0', 'not fwmark 0x1', 'ipproto tcp dport 25', 'tos 0x10', 'uidrange 0-9']) {
      namespace.ip(`rule add ${words} table 1000 priority 6000`);
      const [rule] = (await read()).rules.filter((r) => r.priority === 6000);
      assert.equal(rule?.other, true, words);
      assert.equal((await one({ op: 'rule-add', rule })).errno, 'EINVAL');
      namespace.ip('rule del priority 6000');
    }
  });

  const foreign = [
    'route add default via 192.168.1.3 dev eth0 metric 100 proto 186 mtu lock 1400 advmss 1360 initcwnd 20',
    'route add default metric 300 nexthop via 192.168.1.1 dev eth0 weight 3 nexthop via 10.1.0.1 dev eth0.5 weight 1',
    'route add default metric 400 nhid 7',
    'route add default metric 401 nhid 9',
    '-4 route add default via inet6 fe80::9 dev eth0 metric 500',
    'route add default dev eth0.5 scope link metric 501',
    'route add default via 10.1.0.77 dev eth0.5 onlink metric 502 realm 5',
    'route add default tos 0x10 via 10.1.0.7 dev eth0.5',
    'route add throw default metric 503',
    '-6 route add default via fe80::2 dev eth0 proto static metric 7 pref high',
    '-6 route add default metric 2048 nexthop via fe80::3 dev eth0 weight 2 nexthop via fe80::4 dev eth0.5',
    '-6 route add default via 2001:db8:1::77 dev eth0 metric 300 onlink src 2001:db8:1::2 mtu 1300',
    '-6 route add default from 2001:db8:9::/48 via fe80::5 dev eth0.5 metric 50',
    '-6 route add default metric 600 nhid 60',
    '-6 route add blackhole default metric 601',
  ];
  test('every foreign default can be taken away and put back whole', async () => {
    clear();
    for (const words of [
      'id 7 via 10.1.0.9 dev eth0.5',
      'id 8 via 192.168.1.9 dev eth0',
      'id 9 group 7,5/8,2',
      'id 60 via fe80::6 dev eth0',
    ]) {
      namespace.ip(`nexthop add ${words}`);
    }
    for (const words of foreign) {
      clear();
      namespace.ip(words);
      const listing = (): string => namespace.ip('-d -4 route show default') + namespace.ip('-d -6 route show default');
      const before = listing();
      const found = [...(await defaults(4)), ...(await defaults(6))];
      assert.equal(found.length, 1, words);
      const [seen] = found;
      assert.ok(seen);
      await must({ op: 'route-delete', route: seen });
      assert.equal(listing(), '', `deleted: ${words}`);
      await must({ op: 'route-add', route: seen });
      assert.equal(listing(), before, words);
      // ip's own flush cannot delete routes by nexthop object.
      await must({ op: 'route-delete', route: seen });
    }
    for (const id of [9, 7, 8, 60]) namespace.ip(`nexthop del id ${id}`);
  });

  test('a multipath default with one cable out is put back too, and looks the same meanwhile', async () => {
    clear();
    namespace.ip('route add default nexthop via 192.168.1.1 dev eth0 weight 3 nexthop via 10.1.0.1 dev eth0.5');
    const [whole] = await defaults();
    assert.ok(whole);
    namespace.peerIp('link set p1 down');
    await eventually('carrier lost', async () => (await read()).links.some((link) => link.name === 'eth0.5' && !link.carrier));
    assert.deepEqual(await defaults(), [whole]);
    await must({ op: 'route-delete', route: whole });
    await must({ op: 'route-add', route: whole });
    assert.deepEqual(await defaults(), [whole]);
    namespace.peerIp('link set p1 up');
    await eventually('carrier back', async () => (await read()).links.some((link) => link.name === 'eth0.5' && link.carrier));
  });

  test('main full of routes: only what is asked for comes back, fast', async () => {
    clear();
    const result = await read();
    const lines = Array.from(
      { length: 6000 },
      (_, i) => `route add 172.${16 + (i >> 12)}.${(i >> 4) & 255}.${(i & 15) * 16}/28 via 192.168.1.1`,
    );
    await batch(namespace, lines);
    const started = performance.now();
    const full = await read();
    const tookMs = performance.now() - started;
    assert.deepEqual(full.routes, result.routes);
    assert.ok(tookMs < 100, `${tookMs} ms`);
    await batch(
      namespace,
      lines.map((line) => line.replace('add', 'del')),
    );
  });

  test('sysctls are read and written by keys with slashes; a dot may be part of a name', async () => {
    await must({ op: 'sysctl-set', key: 'net/ipv4/conf/eth0.5/rp_filter', value: '2' });
    const { sysctls } = await kernel.snapshot({
      tables: [],
      sysctls: ['net/ipv4/conf/eth0.5/rp_filter', 'net.ipv4.conf.eth0/5.rp_filter', 'net/ipv4/conf/gone/rp_filter'],
      nft: false,
    });
    assert.deepEqual(sysctls, {
      'net/ipv4/conf/eth0.5/rp_filter': '2',
      'net.ipv4.conf.eth0/5.rp_filter': '2',
      'net/ipv4/conf/gone/rp_filter': null,
    });
    assert.equal((await one({ op: 'sysctl-set', key: 'net/ipv4/conf/gone/rp_filter', value: '2' })).errno, 'ENOENT');
    assert.equal((await one({ op: 'sysctl-set', key: 'net/ipv4/ip_forward', value: 'often' })).errno, 'EINVAL');
    assert.equal((await one({ op: 'sysctl-set', key: 'net/../kernel/hostname', value: 'x' })).errno, 'EINVAL');
  });

  test('our nft table is written, recognised, replaced and removed as a whole', async () => {
    const nftState = async (): Promise<string | undefined> =>
      (await kernel.snapshot({ tables: [], sysctls: [], nft: true })).nft?.fingerprint;
    assert.equal(await nftState(), 'absent');
    await must({ op: 'nft-table', fingerprint: 'first', rules: { dropNdRedirectsOn: ['eth0'] } });
    assert.equal(await nftState(), 'first');
    await must({ op: 'nft-table', fingerprint: 'second', rules: { dropNdRedirectsOn: ['eth0', 'eth0.5'] } });
    assert.equal(await nftState(), 'second');
    await must({ op: 'nft-table', fingerprint: 'third', rules: { dropNdRedirectsOn: [] } });
    assert.equal(await nftState(), 'third');
    await must({ op: 'nft-table', fingerprint: '', rules: null });
    assert.equal(await nftState(), 'absent');
    await must({ op: 'nft-table', fingerprint: '', rules: null });
  });

  test('without nft the remedy is told, and routes are changed all the same', async () => {
    clear();
    const path = process.env.PATH;
    process.env.PATH = '/nonexistent';
    try {
      const results = await kernel.apply([
        { op: 'nft-table', fingerprint: 'x', rules: { dropNdRedirectsOn: ['eth0'] } },
        { op: 'route-add', route: route({ via: '192.168.1.1' }) },
      ]);
      assert.deepEqual(
        results.map((result) => [result.ok, result.errno]),
        [
          [false, 'ENOENT'],
          [true, null],
        ],
      );
      assert.match(results[0]?.message ?? '', /apt-get install nftables/);
    } finally {
      process.env.PATH = path;
    }
  });

  test('routes are in force when apply returns its promise', async () => {
    clear();
    const pending = kernel.apply([{ op: 'route-add', route: route({ via: '192.168.1.1' }) }]);
    assert.match(namespace.ip('route show default'), /via 192\.168\.1\.1/);
    await pending;
  });

  test('a neighbour is deleted; the absent one says ENOENT', async () => {
    namespace.ip('neigh add 192.168.1.1 lladdr 02:00:00:00:00:01 dev eth0');
    const [seen] = (await read()).neighbours.filter((n) => n.address === '192.168.1.1');
    assert.deepEqual(seen, { ifindex: 10, address: '192.168.1.1', family: 4, state: 'permanent', mac: '02:00:00:00:00:01' });
    const op = { op: 'neighbour-delete', family: 4, ifindex: 10, address: '192.168.1.1' } as const;
    await must(op);
    assert.equal((await one(op)).errno, 'ENOENT');
  });
});

async function batch(namespace: TestNamespace, lines: readonly string[]): Promise<void> {
  const { execFileSync } = await import('node:child_process');
  execFileSync('ip', ['-n', namespace.name, '-batch', '-'], { input: `${lines.join('\n')}\n` });
}
