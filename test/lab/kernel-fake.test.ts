/** The fake kernel beside a real one: links, addresses and cables come and go, and packets take the same ways. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import type { KernelOp, KernelState, Nexthop, RouteState, RuleState } from '../../src/core/kernel.js';
import { RtnlKernel } from '../../src/kernel/kernel.js';
import { RequestSession } from '../../src/kernel/netlink/session.js';
import type { Packet } from '../support/fake-fib.js';
import { FakeKernel } from '../support/fake-kernel.js';
import { Random, seedFromEnvironment } from '../support/random.js';
import { linkNames, renderOp } from '../support/render-kernel.js';
import { Tun } from '../support/tun.js';
import { carryOutRaw, clearOfChaos, OURS, randomDeletion, randomRoute, render, TABLE, TUN } from './kernel-chaos.js';
import { enterTestNamespace, eventually, needsRoot, type TestNamespace } from './kernel-namespace.js';

const ROUNDS = 5;
const STEPS = 50;
/** of the packets below, how many ask their way after each step */
const ASKED = 0.3;
const CABLES: Readonly<Record<string, string>> = { eth0: 'p0', 'eth0.5': 'p1' };
const NETWORKS: Readonly<Record<string, readonly string[]>> = {
  eth0: ['192.168.1.2/24', '2001:db8:1::2/64'],
  'eth0.5': ['10.1.0.2/24', '2001:db8:2::2/64'],
};
const IGNORE_LINKDOWN = [
  'net.ipv4.conf.all.ignore_routes_with_linkdown',
  'net.ipv6.conf.all.ignore_routes_with_linkdown',
] as const;

/** A mark that looks into the table behind main's specific routes, chosen traffic, and a block. */
function rules(family: 4 | 6): RuleState[] {
  const base = { family, table: TABLE, mark: 0, mask: 0, protocol: OURS, other: false };
  const [lan, far] = family === 4 ? ['192.168.1.32/28', '203.0.113.128/25'] : ['2001:db8:1::/80', '2001:db8:77::/65'];
  const flow = { ...base, mark: 0x1000000, mask: 0x7f000000 };
  return [
    { ...flow, priority: 5000, table: 254, suppress: 0 },
    { ...flow, priority: 5001 },
    { ...base, priority: 5010, source: lan, ipProtocol: 17, ports: { first: 5060, last: 5070 } },
    { ...base, priority: 5011, table: 0, source: lan, destination: far, action: 'unreachable' },
    { ...base, priority: 5012, incoming: 'lo', destination: far },
  ];
}

/** `ip route get` in the words of a packet. */
function question(packet: Packet): string {
  const words = [
    packet.destination.includes(':') ? '-6' : '-4',
    `route get ${packet.destination}`,
    packet.source === undefined ? '' : `from ${packet.source}`,
    packet.incoming === undefined ? '' : `iif ${packet.incoming}`,
    packet.mark === undefined ? '' : `mark ${packet.mark}`,
    packet.ipProtocol === undefined ? '' : `ipproto ${packet.ipProtocol}`,
    packet.port === undefined ? '' : `dport ${packet.port}`,
    packet.device == null ? '' : `oif ${packet.device}`,
  ];
  return `-o ${words.filter(Boolean).join(' ')}`;
}

const MARK = 0x1000000;
const PACKETS: readonly Packet[] = [
  { destination: '203.0.113.9' },
  { destination: '203.0.113.209' },
  { destination: '10.1.0.77', mark: MARK },
  { destination: '203.0.113.9', mark: MARK },
  { destination: '203.0.113.9', mark: MARK, device: 'eth0' },
  { destination: '203.0.113.9', device: 'eth0.5' },
  { destination: '203.0.113.9', source: '192.168.1.40', incoming: 'eth0' },
  { destination: '203.0.113.9', source: '192.168.1.40', incoming: 'eth0', ipProtocol: 17, port: 5065 },
  { destination: '203.0.113.9', source: '192.168.1.40', incoming: 'eth0', ipProtocol: 17, port: 5071 },
  { destination: '203.0.113.9', source: '192.168.1.40', incoming: 'eth0', ipProtocol: 6, port: 5065 },
  { destination: '203.0.113.209', source: '192.168.1.40', incoming: 'eth0' },
  { destination: '203.0.113.209', source: '192.168.1.60', incoming: 'eth0' },
  { destination: '2001:db8:77::9' },
  { destination: '2001:db8:77:0:8000::9' },
  { destination: '2001:db8:77:0:8000::9', mark: MARK },
  { destination: '2001:db8:77:0:8000::9', source: '2001:db8:1::40', incoming: 'eth0', ipProtocol: 17, port: 5065 },
  { destination: '2001:db8:77::9', source: '2001:db8:1::40', incoming: 'eth0' },
];

/**
 * IPv6 does not believe in gateways beyond a cut cable where it ignores routes with one, link-local ones apart; IPv4 does.
 * The model is not told of that.
 */
function overCutCable(fake: FakeKernel, op: KernelOp): boolean {
  if (!('route' in op) || op.op === 'route-delete' || op.route.family === 4 || fake.sysctl(IGNORE_LINKDOWN[1]) !== '1')
    return false;
  const cut = fake.state.links.filter((link) => !link.carrier).map((link) => link.index);
  return op.route.nexthops.some((hop) => cut.includes(hop.ifindex) && hop.gateway?.startsWith('2001:') === true);
}

describe('fake kernel', { skip: needsRoot }, () => {
  let namespace: TestNamespace;
  let tun: Tun | null = null;
  const kernel = new RtnlKernel();
  const session = new RequestSession();
  const read = (): Promise<KernelState> => kernel.snapshot({ tables: [TABLE], sysctls: [], nft: false });

  before(() => {
    namespace = enterTestNamespace();
    // Held open: a TUN device that nobody has open is without carrier.
    tun = new Tun('tun0', []);
    namespace.ip('addr add 10.64.0.2 peer 10.64.0.1 dev tun0');
  });
  after(async () => {
    tun?.close();
    session.close();
    await kernel.close();
  });

  /** `via dev`, or `refused`. */
  function askedOf(packet: Packet): string {
    try {
      const said = namespace.ip(question(packet));
      const [, via = 'link', device] = /(?: via (\S+))? dev (\S+)/.exec(said) ?? [];
      return `${via} ${device}`;
    } catch {
      return 'refused';
    }
  }

  const isForwarding = ({ incoming }: Packet): boolean => incoming !== undefined;

  function compareWays(fake: FakeKernel, random: Random, told: string): void {
    const names = linkNames(fake.state.links);
    for (const packet of PACKETS.filter(() => random.chance(ASKED))) {
      const { state } = fake;
      // Linux takes nothing in by a link that is down.
      if (isForwarding(packet) && !state.links.some((link) => link.name === packet.incoming && link.adminUp)) continue;
      const ways = fake.ways(packet);
      const seen = askedOf(packet);
      const say = (hop: Nexthop): string => `${hop.gateway ?? 'link'} ${names(hop.ifindex)}`;
      const expected = ways === 'refused' ? ['refused'] : ways === 'silent' ? [`link ${packet.device}`] : ways.map(say);
      assert.ok(
        expected.includes(seen),
        `${question(packet)}: ${seen}, says the kernel; ${expected.join(' or ')}, says the fake\n${told}`,
      );
    }
  }

  function freshFake(): FakeKernel {
    const fake = new FakeKernel();
    fake.addLink('lo', { index: 1 });
    fake.addLink('eth0', { index: 10 });
    fake.addLink('eth0.5', { index: 11 });
    fake.addLink('tun0', { index: TUN, pointToPoint: true });
    for (const [name, networks] of Object.entries(NETWORKS)) for (const network of networks) fake.addAddress(name, network);
    fake.addAddress('tun0', '10.64.0.2/32', '10.64.0.1');
    return fake;
  }

  async function clear(): Promise<void> {
    for (const [name, cable] of Object.entries(CABLES)) {
      namespace.peerIp(`link set ${cable} up`);
      namespace.ip(`link set ${name} up`);
      for (const network of NETWORKS[name] ?? [])
        namespace.ip(`addr replace ${network} dev ${name}${network.includes(':') ? ' nodad' : ''}`);
    }
    await eventually('carriers', async () => (await read()).links.filter((link) => link.carrier).length >= 3);
    await clearOfChaos(kernel, session);
  }

  /** One thing that befalls both; what it was. */
  async function befall(fake: FakeKernel, random: Random): Promise<string> {
    const name = random.pick(Object.keys(CABLES));
    const link = fake.link(name);
    const kind = random.pick(['admin', 'cable', 'address', 'sysctl'] as const);
    if (kind === 'admin') {
      fake.setAdmin(name, !link.adminUp);
      namespace.ip(`link set ${name} ${link.adminUp ? 'down' : 'up'}`);
      if (!link.adminUp) await cable(name, link.carrier);
      return `${name} ${link.adminUp ? 'down' : 'up'}`;
    }
    if (kind === 'cable') {
      fake.setCarrier(name, !link.carrier);
      namespace.peerIp(`link set ${CABLES[name]} ${link.carrier ? 'down' : 'up'}`);
      if (link.adminUp) await cable(name, !link.carrier);
      return `${name} cable ${link.carrier ? 'out' : 'in'}`;
    }
    if (kind === 'address') {
      const family = random.pick([4, 6] as const);
      const network = NETWORKS[name]?.[family === 4 ? 0 : 1] ?? '';
      const has = fake.state.addresses.some((entry) => entry.ifindex === link.index && entry.family === family);
      // IPv6 addresses of a link that is down are another story: they wait for it.
      if (family === 6 && !link.adminUp) return 'nothing';
      if (has) fake.removeAddresses(name, family);
      else fake.addAddress(name, network);
      namespace.ip(`addr ${has ? 'del' : 'add'} ${network} dev ${name}${family === 6 && !has ? ' nodad' : ''}`);
      return `${name} ${has ? 'loses' : 'gets'} ${network}`;
    }
    // Shares are reckoned when routes and links change, not when the setting does: with a cable out it would come too late.
    if (fake.state.links.some((l) => !l.carrier)) return 'nothing';
    const key = random.pick(IGNORE_LINKDOWN);
    const op: KernelOp = { op: 'sysctl-set', key, value: fake.sysctl(key) === '1' ? '0' : '1' };
    fake.foreign(op);
    await kernel.apply([op]);
    return `${key} ${op.value}`;
  }

  function cable(name: string, carrier: boolean): Promise<boolean> {
    return eventually(`${name} carrier ${carrier}`, async () =>
      (await read()).links.some((l) => l.name === name && l.carrier === carrier),
    );
  }

  test(`whatever befalls links, ${ROUNDS} times ${STEPS}`, async (t) => {
    const seed = seedFromEnvironment();
    t.diagnostic(`BACKROUTE_SEED=${seed}`);
    const random = new Random(seed);
    await kernel.apply([
      { op: 'sysctl-set', key: 'net.ipv4.ip_forward', value: '1' },
      { op: 'sysctl-set', key: 'net.ipv6.conf.all.forwarding', value: '1' },
    ]);
    for (let round = 0; round < ROUNDS; round++) {
      await clear();
      const fake = freshFake();
      for (const key of IGNORE_LINKDOWN) await kernel.apply([{ op: 'sysctl-set', key, value: '0' }]);
      for (const rule of [...rules(4), ...rules(6)]) {
        fake.foreign({ op: 'rule-add', rule });
        assert.ok((await kernel.apply([{ op: 'rule-add', rule }]))[0]?.ok);
      }
      const story: string[] = [];
      for (let step = 0; step < STEPS; step++) {
        if (random.chance(0.4)) story.push(await befall(fake, random));
        else {
          // IPv4 turns among several of one metric as their neighbours come and go: one of each is enough.
          const verb = random.pick(['route-replace', 'route-replace', 'route-add', 'route-delete'] as const);
          const op: KernelOp = {
            op: verb,
            route: verb === 'route-delete' ? randomDeletion(random, fake.state) : randomRoute(random),
          };
          const said = await carryOutRaw(kernel, session, op);
          const errno = said !== null && overCutCable(fake, op) ? said : fake.foreign(op);
          story.push(`${renderOp(op, linkNames(fake.state.links))}: ${said ?? 'ok'}, says the kernel`);
          assert.equal(errno, said, story.slice(-6).join('\n'));
        }
        const told = `BACKROUTE_SEED=${seed}, round ${round}\n${story.slice(-6).join('\n')}\nthe fake has\n${render(fake.state)}`;
        assert.equal(render(fake.state), render(await read()), told);
        compareWays(fake, random, told);
      }
    }
  });

  const shared = (family: 4 | 6, metric: number): RouteState => ({
    family,
    table: 254,
    destination: 'default',
    type: 'unicast',
    protocol: OURS,
    metric,
    tos: 0,
    scope: 0,
    prefsrc: null,
    nexthops: [
      { ifindex: 10, gateway: family === 4 ? '192.168.1.1' : 'fe80::1', onlink: false, weight: 3 },
      { ifindex: 11, gateway: family === 4 ? '10.1.0.1' : 'fe80::1', onlink: false },
    ],
    expires: false,
    rest: '',
  });

  test('new flows are shared by weight, by their ports too, and a hash says the same of the fake', async (t) => {
    await clear();
    const fake = freshFake();
    await kernel.apply([{ op: 'sysctl-set', key: 'net.ipv4.fib_multipath_hash_policy', value: '1' }]);
    fake.foreign({ op: 'route-add', route: shared(4, 0) });
    await kernel.apply([{ op: 'route-add', route: shared(4, 0) }]);
    const flows = 400;
    const lines = Array.from(
      { length: flows },
      (_, i) => `route get 203.0.113.9 from 192.168.1.77 iif eth0 ipproto tcp sport ${2000 + i} dport 443`,
    );
    const said = execFileSync('ip', ['-n', namespace.name, '-o', '-batch', '-'], {
      input: `${lines.join('\n')}\n`,
      encoding: 'utf8',
    });
    const first = said.split('\n').filter((line) => line.includes('dev eth0 ')).length;
    t.diagnostic(`${first} of ${flows} by the one of weight 3`);
    // Four standard deviations.
    assert.ok(Math.abs(first / flows - 0.75) < 0.09, `${first} of ${flows}`);
    const ways = Array.from({ length: flows }, (_, i) => fake.lookup('203.0.113.9', 0, null, { hash: i / flows }));
    assert.equal(ways.filter((way) => typeof way === 'object' && way.hop.ifindex === 10).length, (flows * 3) / 4);
  });

  test('a link that vanishes takes shared IPv4 routes whole, and only its own next hops from IPv6', async () => {
    await clear();
    const fake = freshFake();
    for (const op of [shared(4, 0), shared(6, 1), shared(6, 7)].map((route): KernelOp => ({ op: 'route-add', route }))) {
      assert.equal(fake.foreign(op), null);
      assert.equal(await carryOutRaw(kernel, session, op), null);
    }
    const renamed = 'cable-no-more';
    fake.renameLink('eth0.5', renamed);
    namespace.ip(`link set eth0.5 name ${renamed}`);
    assert.equal(render(fake.state), render(await read()));
    fake.removeLink(renamed);
    namespace.ip(`link del ${renamed}`);
    assert.equal(render(fake.state), render(await read()));
    assert.deepEqual(
      fake.state.routes.filter((route) => route.destination === 'default').map((route) => [route.family, route.nexthops]),
      [
        [6, [{ ifindex: 10, gateway: 'fe80::1', onlink: false }]],
        [6, [{ ifindex: 10, gateway: 'fe80::1', onlink: false }]],
      ],
    );
    // As it was, for whoever comes after.
    namespace.ip(`link add eth0.5 index 11 type veth peer name p1 index 111 netns ${namespace.peer}`);
    namespace.ip('link set eth0.5 up');
    namespace.peerIp('link set p1 up');
  });
});
