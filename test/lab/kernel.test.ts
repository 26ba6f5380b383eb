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
    clear();
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

  test('a point-to-point link: its peer, and default routes without a gateway', async () => {
    clear();
    namespace.ip('tuntap add tun0 mode tun');
    namespace.ip('addr add 10.64.0.2 peer 10.64.0.1 dev tun0');
    namespace.ip('-6 addr add 2001:db8:64::2 peer 2001:db8:64::1 dev tun0 nodad');
    namespace.ip('link set tun0 up');
    const state = await read();
    const tun = state.links.find((link) => link.name === 'tun0');
    assert.ok(tun);
    assert.deepEqual([tun.pointToPoint, tun.adminUp, tun.carrier], [true, true, false]);
    const addresses = state.addresses.filter((address) => address.ifindex === tun.index);
    assert.deepEqual(addresses.map(({ address, prefixLength, peer }) => [address, prefixLength, peer]).sort(), [
      ['10.64.0.2', 32, '10.64.0.1'],
      ['2001:db8:64::2', 128, '2001:db8:64::1'],
    ]);
    assert.ok(state.routes.some((r) => r.destination === '10.64.0.1/32' && r.nexthops[0]?.gateway === null));
    const bare = { ifindex: tun.index, gateway: null, onlink: false };
    for (const family of [4, 6] as const) {
      const own = route({ family, nexthops: [bare], scope: family === 4 ? 253 : 0, metric: 1 });
      await must({ op: 'route-replace', route: own });
      assert.deepEqual(await defaults(family), [own]);
      assert.match(namespace.ip(`-${family} route show default`), /^default dev tun0 proto 177/);
      await must({ op: 'route-delete', route: own });
    }
    // Sharing with one: IPv4 takes it as it is, IPv6 wants a gateway, which the device then ignores.
    const shared = route({ nexthops: [bare, { ifindex: 10, gateway: '192.168.1.1', onlink: false, weight: 3 }] });
    await must({ op: 'route-replace', route: shared });
    assert.deepEqual(await defaults(), [shared]);
    const six = { ifindex: 10, gateway: 'fe80::1', onlink: false };
    const refused = await one({ op: 'route-replace', route: route({ family: 6, metric: 1, nexthops: [six, bare] }) });
    assert.deepEqual([refused.errno, /Device only/.test(refused.message ?? '')], ['EINVAL', true]);
    const taken = route({
      family: 6,
      metric: 1,
      nexthops: [
        { ...bare, gateway: 'fe80::1' },
        { ...six, weight: 2 },
      ],
    });
    await must({ op: 'route-replace', route: taken });
    assert.deepEqual(await defaults(6), [taken]);
    namespace.ip('link del tun0');
  });

  for (const family of [4, 6] as const) {
    test(`next hops of a shared default keep order and weight: IPv${family}`, async () => {
      clear();
      const [first, second, third] =
        family === 4 ? ['10.1.0.1', '192.168.1.1', '192.168.1.9'] : ['fe80::b', 'fe80::a', 'fe80::c'];
      const hops = [
        { ifindex: 11, gateway: first ?? null, onlink: false },
        { ifindex: 10, gateway: second ?? null, onlink: false, weight: 256 },
        { ifindex: 10, gateway: third ?? null, onlink: false, weight: 3 },
      ];
      for (const nexthops of [hops, hops.toReversed(), hops.slice(0, 1), hops.slice(1)]) {
        const shared = route({ family, metric: family === 4 ? 0 : 1, nexthops });
        await must({ op: 'route-replace', route: shared });
        assert.deepEqual(await defaults(family), [shared]);
      }
    });
  }

  test('a single default is deleted where it stands, and never a shared one that begins with it', async () => {
    clear();
    for (const metric of [0, 5]) {
      const single = route({ via: '192.168.1.1', metric });
      const shared = route({ metric, nexthops: [...single.nexthops, { ifindex: 11, gateway: '10.1.0.1', onlink: false }] });
      await must({ op: 'route-add', route: shared });
      assert.equal((await one({ op: 'route-delete', route: single })).errno, 'ESRCH');
      await must({ op: 'route-append', route: single });
      await must({ op: 'route-delete', route: single });
      assert.deepEqual(await defaults(), [shared]);
      await must({ op: 'route-replace', route: single });
      // The other way round the kernel would take it for the first of the two.
      assert.equal((await one({ op: 'route-delete', route: shared })).errno, 'ESRCH');
      await must({ op: 'route-delete', route: single });
      assert.deepEqual(await defaults(), []);
    }
  });

  test('deleting an IPv6 guard leaves what else stands in its place', async () => {
    clear();
    const beside = route({ family: 6, metric: 5, via: 'fe80::1' });
    const blocked = route({ family: 6, metric: 5, type: 'unreachable' });
    await must({ op: 'route-add', route: beside });
    assert.equal((await one({ op: 'route-delete', route: blocked })).errno, 'ESRCH');
    await must({ op: 'route-append', route: blocked });
    await must({ op: 'route-delete', route: blocked });
    assert.deepEqual(await defaults(6), [beside]);
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

  for (const family of [4, 6] as const) {
    const [lan, far] = family === 4 ? ['192.168.1.32/28', '203.0.113.0/24'] : ['fd00:1::/64', '2001:db8:77::/48'];
    const base: RuleState = { family, priority: 5200, table: 1000, mark: 0, mask: 0, protocol: OURS, other: false };
    const udp = { ipProtocol: 17, ports: { first: 5060, last: 5070 } };
    const rules: readonly [string, Partial<RuleState>][] = [
      [
        `fwmark 0x1000000/0x7f000000 lookup main suppress_prefixlength 0`,
        { mark: 0x1000000, mask: 0x7f000000, table: 254, suppress: 0 },
      ],
      [`from ${lan} lookup 1000`, { source: lan }],
      [`from ${lan} to ${far} ipproto udp dport 5060-5070 lookup 1000`, { source: lan, destination: far, ...udp }],
      [
        `from ${lan} ipproto tcp dport 443 lookup main suppress_prefixlength 0`,
        { source: lan, table: 254, suppress: 0, ipProtocol: 6, ports: { first: 443, last: 443 } },
      ],
      [`from ${lan} ipproto udp dport 5060-5070 unreachable`, { source: lan, table: 0, action: 'unreachable', ...udp }],
    ];
    test(`chosen traffic by rules, in the words of ip(8): IPv${family}`, async () => {
      for (const [words, change] of rules) {
        const rule: RuleState = { ...base, ...change };
        await must({ op: 'rule-add', rule });
        const seen = (await read()).rules.filter((r) => r.family === family && r.priority === 5200);
        assert.deepEqual(seen, [rule]);
        const said = namespace.ip(`-${family} rule show priority 5200`);
        assert.equal(said.replace(/from all /, '').trim(), `5200:\t${words} proto ${OURS}`);
        assert.equal((await one({ op: 'rule-add', rule })).errno, 'EEXIST');
        await must({ op: 'rule-delete', rule });
        namespace.ip(`-${family} rule add ${words} priority 5200 protocol ${OURS}`);
        assert.deepEqual(
          (await read()).rules.filter((r) => r.family === family && r.priority === 5200),
          [rule],
        );
        await must({ op: 'rule-delete', rule });
        assert.equal((await one({ op: 'rule-delete', rule })).errno, 'ENOENT');
      }
    });
  }

  test('rules with other selectors are never taken for ours', async () => {
    const foreign = [
      'oif eth0 table 1000',
      'not fwmark 0x1 table 1000',
      'ipproto tcp sport 25 table 1000',
      'tos 0x10 table 1000',
      'uidrange 0-9 table 1000',
      'uidrange 0-9 unreachable',
      'table 254 suppress_ifgroup 5',
      'table 1000 realms 5',
      'iif gone0 table 1000',
      'prohibit',
      'blackhole',
      'goto 32766',
      'nop',
    ];
    for (const words of foreign) {
      namespace.ip(`rule add ${words} priority 6000`);
      const [rule] = (await read()).rules.filter((r) => r.priority === 6000);
      assert.equal(rule?.other, true, words);
      assert.equal((await one({ op: 'rule-add', rule })).errno, 'EINVAL');
      namespace.ip('rule del priority 6000');
    }
  });

  const foreign = [
    'route add default via 192.168.1.3 dev eth0 metric 100 proto 186 mtu lock 1400 advmss 1360 initcwnd 20',
    'route add default metric 300 nexthop via 192.168.1.1 dev eth0 weight 3 nexthop via 10.1.0.1 dev eth0.5 weight 1',
    'route add default metric 300 nexthop via 192.168.1.1 dev eth0 realm 5 nexthop via inet6 fe80::9 dev eth0.5 weight 7 onlink',
    'route add default metric 400 nhid 7',
    'route add default metric 401 nhid 9',
    'route add default metric 402 nhid 10',
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
    '-6 route add default metric 602 nhid 61',
    '-6 route add blackhole default metric 601',
  ];
  test('every foreign default can be taken away and put back whole', async () => {
    clear();
    for (const words of [
      'nexthop add id 7 via 10.1.0.9 dev eth0.5',
      'nexthop add id 8 via 192.168.1.9 dev eth0',
      'nexthop add id 9 group 7,5/8,2',
      'nexthop add id 10 blackhole',
      'nexthop add id 60 via fe80::6 dev eth0',
      '-6 nexthop add id 61 blackhole',
    ]) {
      namespace.ip(words);
    }
    const expanding = foreign.map((words) => [words, '1'] as const);
    const bare = foreign.filter((words) => words.includes('nhid')).map((words) => [words, '0'] as const);
    for (const [words, mode] of [...expanding, ...bare]) {
      clear();
      await must({ op: 'sysctl-set', key: 'net/ipv4/nexthop_compat_mode', value: mode });
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
    await must({ op: 'sysctl-set', key: 'net/ipv4/nexthop_compat_mode', value: '1' });
    for (const id of [9, 7, 8, 10, 60, 61]) namespace.ip(`nexthop del id ${id}`);
  });

  test('the next hops of routes by nexthop object are known, whether the kernel says them or not', async () => {
    clear();
    for (const words of [
      'nexthop add id 7 via 10.1.0.9 dev eth0.5 onlink',
      'nexthop add id 8 via 192.168.1.9 dev eth0',
      'nexthop add id 9 group 7,5/8',
      'nexthop add id 10 group 8,3',
      'nexthop add id 11 dev eth0',
      'nexthop add id 12 via fe80::6 dev eth0',
      'nexthop add id 13 via fe80::7 dev eth0.5',
      'nexthop add id 14 group 12/13,256',
      'route add default metric 400 nhid 7',
      'route add default metric 401 nhid 9',
      'route add default metric 402 nhid 10',
      'route add default metric 403 nhid 11',
      'route add default metric 404 nhid 12',
      'route add default metric 405 nhid 14',
      '-6 route add default metric 406 nhid 12',
      '-6 route add default metric 407 nhid 14',
    ]) {
      namespace.ip(words);
    }
    const told = await read();
    await must({ op: 'sysctl-set', key: 'net/ipv4/nexthop_compat_mode', value: '0' });
    const filledIn = await read();
    assert.deepEqual(filledIn.routes, told.routes);
    const seven = { ifindex: 11, gateway: '10.1.0.9', onlink: true };
    const eight = { ifindex: 10, gateway: '192.168.1.9', onlink: false };
    const hops = (await defaults()).slice(0, 3).map((r) => r.nexthops);
    assert.deepEqual(hops, [[seven], [{ ...seven, weight: 5 }, eight], [eight]]);
    for (const family of [4, 6] as const) for (const r of await defaults(family)) await must({ op: 'route-delete', route: r });
    await must({ op: 'sysctl-set', key: 'net/ipv4/nexthop_compat_mode', value: '1' });
    for (const id of [9, 10, 14, 7, 8, 11, 12, 13]) namespace.ip(`nexthop del id ${id}`);
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
