/** The kernel adapter against a real kernel, in namespaces of its own: requests, dumps, sysctls, nft. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { RouteState, RuleState } from '../../src/core/kernel.js';
import type { Family } from '../../src/core/model.js';
import { enterTestNamespace, needsRoot, type TestNamespace } from './kernel-namespace.js';
import { clear, defaults, gateways, kernel, must, OURS, one, read, route } from './kernel-words.js';

const guard = (family: Family): RouteState => route({ family, table: 1000, type: 'unreachable', metric: 4294967295 });

describe('kernel adapter', { skip: needsRoot }, () => {
  let namespace: TestNamespace;
  before(() => {
    namespace = enterTestNamespace();
  });
  after(() => kernel.close());

  test('reads links, addresses and connected networks', async () => {
    const state = await read();
    const eth = state.links.find((link) => link.name === 'eth0.5');
    assert.ok(eth);
    const { counters, ...others } = eth;
    assert.deepEqual(others, { index: 11, name: 'eth0.5', adminUp: true, carrier: true, loopback: false, pointToPoint: false });
    assert.ok(counters !== undefined && counters.txBytes >= 0);
    assert.equal(state.links.find((link) => link.name === 'lo')?.loopback, true);
    const addresses = state.addresses.filter((address) => address.ifindex === 10).map((a) => `${a.address}/${a.prefixLength}`);
    assert.ok(addresses.includes('192.168.1.2/24') && addresses.includes('2001:db8:1::2/64'), addresses.join(' '));
    const connected = state.routes.filter((r) => r.destination !== 'default').map((r) => r.destination);
    for (const network of ['192.168.1.0/24', '10.1.0.0/24', '2001:db8:1::/64', '2001:db8:2::/64']) {
      assert.ok(connected.includes(network), `${network} in ${connected.join(' ')}`);
    }
  });

  test('other names of a link, and its counters as ip(8) says them', async () => {
    for (const words of ['link property add dev eth0 altname fibre altname wan-one-with-a-long-name']) namespace.ip(words);
    const { links } = await read();
    const [said] = JSON.parse(namespace.ip('-s -j link show eth0')) as {
      stats64: { rx: { bytes: number }; tx: { bytes: number } };
    }[];
    const eth = links.find((link) => link.name === 'eth0');
    assert.deepEqual(eth?.altNames, ['fibre', 'wan-one-with-a-long-name']);
    assert.equal(links.find((link) => link.name === 'lo')?.altNames, undefined);
    // A router solicitation may pass between the two questions.
    const after = (await read()).links.find((link) => link.name === 'eth0')?.counters;
    const { rxBytes = -1, txBytes = -1 } = eth?.counters ?? {};
    assert.ok(said !== undefined && said.stats64.tx.bytes >= txBytes && said.stats64.tx.bytes <= (after?.txBytes ?? -1));
    assert.ok(said.stats64.rx.bytes >= rxBytes && said.stats64.rx.bytes <= (after?.rxBytes ?? -1));
    namespace.ip('link property del dev eth0 altname fibre altname wan-one-with-a-long-name');
    assert.equal((await read()).links.find((link) => link.name === 'eth0')?.altNames, undefined);
  });

  test('a link keeps its number, its routes and its settings under a new name', async () => {
    clear(namespace);
    await must({ op: 'route-add', route: route({ via: '192.168.1.1' }) });
    await must({ op: 'sysctl-set', key: 'net/ipv4/conf/eth0/rp_filter', value: '2' });
    namespace.ip('link set eth0 name wan7');
    const sysctls = ['net/ipv4/conf/wan7/rp_filter', 'net/ipv4/conf/eth0/rp_filter'];
    const seen = await kernel.snapshot({ tables: [], sysctls, nft: false });
    namespace.ip('link set wan7 name eth0');
    assert.equal(seen.links.find((link) => link.index === 10)?.name, 'wan7');
    assert.deepEqual(seen.sysctls, { 'net/ipv4/conf/wan7/rp_filter': '2', 'net/ipv4/conf/eth0/rp_filter': null });
    assert.deepEqual(gateways(await defaults()), ['192.168.1.1']);
  });

  test('a snapshot agrees with what ip(8) says', async () => {
    clear(namespace);
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
    clear(namespace);
    namespace.ip('route append default via 192.168.1.10');
    namespace.ip('route append default via 192.168.1.11');
    namespace.ip('route prepend default via 192.168.1.9');
    assert.deepEqual(gateways(await defaults()), ['192.168.1.9', '192.168.1.10', '192.168.1.11']);
    // Replace takes the place of the first, whoever owns it.
    await must({ op: 'route-replace', route: route({ via: '192.168.1.77' }) });
    assert.deepEqual(gateways(await defaults()), ['192.168.1.77', '192.168.1.10', '192.168.1.11']);
  });

  test('add is exclusive, append is not, delete of the absent says ESRCH', async () => {
    clear(namespace);
    await must({ op: 'route-add', route: route({ via: '192.168.1.1' }) });
    assert.equal((await one({ op: 'route-add', route: route({ via: '192.168.1.5' }) })).errno, 'EEXIST');
    await must({ op: 'route-append', route: route({ via: '192.168.1.5' }) });
    assert.deepEqual(gateways(await defaults()), ['192.168.1.1', '192.168.1.5']);
    await must({ op: 'route-delete', route: route({ via: '192.168.1.1' }) });
    assert.equal((await one({ op: 'route-delete', route: route({ via: '192.168.1.1' }) })).errno, 'ESRCH');
    assert.deepEqual(gateways(await defaults()), ['192.168.1.5']);
  });

  test('our own replace meets EEXIST while a foreign default stands before ours', async () => {
    clear(namespace);
    await must({ op: 'route-replace', route: route({ via: '192.168.1.1' }) });
    namespace.ip('route prepend default via 192.168.1.66');
    assert.equal((await one({ op: 'route-replace', route: route({ via: '192.168.1.1' }) })).errno, 'EEXIST');
    const [foreign] = await defaults();
    assert.ok(foreign);
    await must({ op: 'route-delete', route: foreign });
    assert.deepEqual(gateways(await defaults()), ['192.168.1.1']);
  });

  test('deleting a metric-0 default never takes the standby of the same gateway behind it', async () => {
    clear(namespace);
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
      clear(namespace);
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

  test('main full of routes: only what is asked for comes back, fast', async () => {
    clear(namespace);
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
    clear(namespace);
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
    clear(namespace);
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
