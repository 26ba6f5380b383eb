/** Default routes with several next hops, by nexthop object and without a gateway, by the kernel adapter against a real kernel. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { enterTestNamespace, eventually, needsRoot, type TestNamespace } from './kernel-namespace.js';
import { clear, defaults, kernel, must, one, read, route } from './kernel-words.js';

describe('shared defaults of the kernel adapter', { skip: needsRoot }, () => {
  let namespace: TestNamespace;
  before(() => {
    namespace = enterTestNamespace();
  });
  after(() => kernel.close());

  test('a point-to-point link: its peer, and default routes without a gateway', async () => {
    clear(namespace);
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
      clear(namespace);
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
    clear(namespace);
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
    clear(namespace);
    const beside = route({ family: 6, metric: 5, via: 'fe80::1' });
    const blocked = route({ family: 6, metric: 5, type: 'unreachable' });
    await must({ op: 'route-add', route: beside });
    assert.equal((await one({ op: 'route-delete', route: blocked })).errno, 'ESRCH');
    await must({ op: 'route-append', route: blocked });
    await must({ op: 'route-delete', route: blocked });
    assert.deepEqual(await defaults(6), [beside]);
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
    clear(namespace);
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
      clear(namespace);
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
    clear(namespace);
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
    clear(namespace);
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
});
