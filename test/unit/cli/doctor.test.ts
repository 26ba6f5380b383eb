import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Facts, PathFact } from '../../../src/cli/doctor/facts.js';
import { diagnose } from '../../../src/cli/doctor/findings.js';
import { readRuleset } from '../../../src/cli/doctor/ruleset.js';
import { findingsText } from '../../../src/cli/doctor/text.js';
import { plain } from '../../../src/cli/paint.js';
import { parseConfig } from '../../../src/config/parse.js';
import type { Config } from '../../../src/core/config.js';
import type { KernelState, RouteState, RuleState } from '../../../src/core/kernel.js';

const CLASSIC = 'uplinks:\n  fast:\n    gateway: 192.168.1.253\n  backup:\n    gateway: 192.168.1.1\n';

/** Open connections are not asked for: who sees half of each gets a word on that alone. */
function config(extra = 'connections: off\n', uplinks = CLASSIC): Config {
  const parsed = parseConfig(`${uplinks}${extra}`, 'test');
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return parsed.config;
}

const SYSCTLS: Readonly<Record<string, string>> = {
  'net/ipv4/ping_group_range': '0\t2147483647',
  'net/ipv4/ip_forward': '1',
  'net/ipv6/conf/all/forwarding': '1',
  'net/ipv4/conf/all/send_redirects': '0',
  'net/ipv4/conf/eth0/send_redirects': '0',
  'net/ipv4/conf/all/rp_filter': '0',
};

function kernel(change: Partial<KernelState> = {}): KernelState {
  const link = { adminUp: true, carrier: true, loopback: false, pointToPoint: false };
  return {
    links: [
      { index: 2, name: 'eth0', ...link },
      { index: 3, name: 'wan1', ...link },
      { index: 4, name: 'wan2', ...link },
    ],
    addresses: [],
    routes: [],
    rules: [],
    neighbours: [],
    sysctls: SYSCTLS,
    nft: { fingerprint: 'absent' },
    ...change,
  };
}

const classic: readonly PathFact[] = [
  { uplink: 'fast', family: 4, gateway: '192.168.1.253', interface: 'eth0', shared: true },
  { uplink: 'backup', family: 4, gateway: '192.168.1.1', interface: 'eth0', shared: true },
];
const twoNic: readonly PathFact[] = [
  { uplink: 'fast', family: 4, gateway: '192.0.2.1', interface: 'wan1', shared: false },
  { uplink: 'backup', family: 4, gateway: '203.0.113.1', interface: 'wan2', shared: false },
];
const masquerade = (...interfaces: string[]): NonNullable<Facts['ruleset']> => ({
  nat: [{ family: 'ip', interfaces, except: [] }],
  flowtables: [],
  marks: [],
});

function facts(change: Partial<Facts> = {}): Facts {
  const process = { pid: 10, gid: 0, netAdmin: true, netRaw: true };
  return {
    config: config(),
    configProblems: [],
    systemProblems: [],
    kernel: kernel(),
    paths: classic,
    autos: [],
    hintHook: false,
    process,
    daemon: process,
    tools: { nft: true, ip: true },
    programs: [],
    protocols: new Map([
      [3, 'boot'],
      [16, 'dhcp'],
    ]),
    ruleset: { nat: [], flowtables: [], marks: [] },
    legacyNat: false,
    targets: [],
    ...change,
  };
}

const sysctls = (change: Readonly<Record<string, string>>): Partial<Facts> => ({
  kernel: kernel({ sysctls: { ...SYSCTLS, ...change } }),
});
const ids = (change: Partial<Facts>): string[] => diagnose(facts(change)).map(({ id }) => id);

function defaultRoute(change: Partial<RouteState> = {}): RouteState {
  const nexthops = [{ ifindex: 2, gateway: '192.168.1.9', onlink: false }];
  const rest = { scope: 0, prefsrc: null, expires: false, rest: '' };
  return {
    family: 4,
    table: 254,
    destination: 'default',
    type: 'unicast',
    protocol: 16,
    metric: 100,
    tos: 0,
    nexthops,
    ...rest,
    ...change,
  };
}

const rule = (change: Partial<RuleState>): RuleState => ({
  family: 4,
  priority: 100,
  table: 50,
  mark: 0,
  mask: 0,
  protocol: 3,
  other: true,
  ...change,
});

test('a machine in order gets no word', () => {
  assert.deepEqual(diagnose(facts()), []);
  assert.equal(findingsText([], plain), 'Nothing found that would hurt.\n');
});

test('forwarding off is a problem with an exact remedy', () => {
  const [finding] = diagnose(facts(sysctls({ 'net/ipv4/ip_forward': '0' })));
  assert.equal(finding?.id, 'ip-forward');
  assert.equal(finding.remedy, "sysctl -w net.ipv4.ip_forward='1'");
  assert.deepEqual(finding.fix, [['net/ipv4/ip_forward', '1']]);
});

test('IPv6 forwarding is not switched on by itself: it would stop router advertisements', () => {
  const paths = [...classic, { uplink: 'fast', family: 6, gateway: 'fe80::1%eth0', interface: 'eth0', shared: false } as const];
  const [finding] = diagnose(facts({ paths, ...sysctls({ 'net/ipv6/conf/all/forwarding': '0' }) }));
  assert.equal(finding?.id, 'ip6-forward');
  assert.deepEqual(finding.fix, []);
});

test('redirects matter on a shared interface only, and the 300 s are told', () => {
  const on = sysctls({ 'net/ipv4/conf/all/send_redirects': '1', 'net/ipv4/conf/eth0/accept_redirects': '1' });
  assert.deepEqual(ids(on), ['send-redirects', 'accept-redirects']);
  assert.match(diagnose(facts(on))[0]?.why ?? '', /300 s/);
  assert.deepEqual(ids({ ...on, paths: twoNic, ruleset: masquerade('wan1', 'wan2') }), []);
});

test('what the daemon sets by itself is advice before it runs, a problem while it runs', () => {
  const range = sysctls({ 'net/ipv4/ping_group_range': '1\t0' });
  const level = (change: Partial<Facts>): string | undefined =>
    diagnose(facts({ ...range, ...change })).find(({ id }) => id === 'ping-group-range')?.level;
  assert.equal(level({}), 'problem');
  assert.equal(level({ daemon: null }), 'advice');
  assert.equal(level({ daemon: null, config: config('connections: off\nsysctls: leave\n') }), 'problem');
});

test('an interface name with a dot keeps it in the sysctl command', () => {
  const paths = classic.map((path) => ({ ...path, interface: 'eth0.5' }));
  const [finding] = diagnose(facts({ paths, ...sysctls({ 'net/ipv4/conf/eth0.5/send_redirects': '1' }) }));
  assert.match(finding?.remedy ?? '', /net\.ipv4\.conf\.eth0\/5\.send_redirects='0'/);
});

test('strict rp_filter hurts only where an uplink owns its interface; the higher value counts', () => {
  const strict = sysctls({ 'net/ipv4/conf/all/rp_filter': '1' });
  assert.deepEqual(ids(strict), []);
  const two = { paths: twoNic, ruleset: masquerade('wan1', 'wan2') };
  assert.deepEqual(ids({ ...strict, ...two }), ['rp-filter', 'rp-filter']);
  assert.deepEqual(ids({ ...sysctls({ 'net/ipv4/conf/all/rp_filter': '1', 'net/ipv4/conf/wan1/rp_filter': '2' }), ...two }), [
    'rp-filter',
  ]);
});

test('NAT is missed per interface, where the gateway must do it', () => {
  assert.deepEqual(ids({}), [], 'classic: the routers do it');
  const [finding, second] = diagnose(facts({ paths: twoNic, ruleset: masquerade('wan1') }));
  assert.equal(second, undefined);
  assert.match(finding?.what ?? '', /wan2/);
  assert.match(finding?.remedy ?? '', /oifname "wan2" masquerade/);
  assert.deepEqual(
    ids({ paths: twoNic, ruleset: { nat: [{ family: 'inet', interfaces: null, except: ['eth0'] }], flowtables: [], marks: [] } }),
    [],
  );
  assert.deepEqual(
    ids({ paths: twoNic, ruleset: { nat: [{ family: 'ip6', interfaces: null, except: [] }], flowtables: [], marks: [] } }),
    ['nat-missing', 'nat-missing'],
  );
  assert.deepEqual(ids({ paths: twoNic, ruleset: null, legacyNat: true }), ['nat-legacy']);
});

test('a foreign default names its maker, and the remedy fits the program', () => {
  const withRoute = { kernel: kernel({ routes: [defaultRoute()] }) };
  const [unknown] = diagnose(facts(withRoute));
  assert.equal(unknown?.what, 'a default route by 192.168.1.9 on eth0 (metric 100) made by dhcp');
  assert.equal(unknown.remedy, 'ip route del default via 192.168.1.9 dev eth0 metric 100');
  const [networkd] = diagnose(facts({ ...withRoute, programs: [{ name: 'systemd-networkd', pid: 77 }] }));
  assert.match(networkd?.what ?? '', /probably systemd-networkd \(77\)/);
  assert.match(networkd?.remedy ?? '', /UseGateway=no/);
  assert.deepEqual(
    ids({ kernel: kernel({ routes: [defaultRoute({ protocol: config().kernel.protocol })] }) }),
    [],
    'our own is fine',
  );
});

test('a route with a tos outranks ours whatever its metric', () => {
  assert.deepEqual(ids({ kernel: kernel({ routes: [defaultRoute({ tos: 16, metric: 5_000 })] }) }), ['default-tos']);
});

test('rules ahead of ours and marks that share bits', () => {
  const own = rule({ priority: 700, protocol: 110, mark: 0x41000000, mask: 0x7f000000 });
  const usual = [rule({ priority: 0, table: 255, protocol: 2 }), own, rule({ priority: 32766, table: 254, protocol: 2 })];
  assert.deepEqual(ids({ kernel: kernel({ rules: usual }) }), []);
  assert.deepEqual(ids({ kernel: kernel({ rules: [...usual, rule({})] }) }), ['rule-ahead']);
  const vpn = rule({ priority: 5_210, mark: 0x80000, mask: 0xff0000 });
  assert.deepEqual(ids({ kernel: kernel({ rules: [...usual, vpn] }) }), [], 'bits apart, behind ours');
  assert.deepEqual(ids({ kernel: kernel({ rules: [...usual, rule({ priority: 900, mark: 0x1000000, mask: 0x1000000 })] }) }), [
    'mark-conflict',
  ]);
});

test('a probe that would leave by another gateway', () => {
  const target = { target: '198.51.100.10', watchedBy: ['fast'], family: 4, device: 'eth0' } as const;
  const right = { ...target, through: 'fast', gateway: '192.168.1.253', answers: true };
  assert.deepEqual(ids({ targets: [right] }), []);
  const [finding] = diagnose(facts({ targets: [{ ...right, gateway: '192.168.1.1' }] }));
  assert.equal(finding?.id, 'probe-astray');
  assert.match(finding.what, /through fast would leave by 192\.168\.1\.1 on eth0, not by 192\.168\.1\.253/);
});

test('a target that only another uplink reaches', () => {
  const target = { target: '10.64.0.1', watchedBy: ['fast'], family: 4, device: 'eth0' } as const;
  const dead = { ...target, through: 'fast', gateway: '192.168.1.253', answers: false };
  const alive = { ...target, through: 'backup', gateway: '192.168.1.1', answers: true };
  assert.deepEqual(ids({ targets: [dead, alive] }), ['target-elsewhere']);
  assert.deepEqual(ids({ targets: [dead, { ...alive, answers: false }] }), [], 'dead everywhere: the daemon tells that');
  assert.deepEqual(ids({ targets: [{ ...dead, watchedBy: ['backup'] }, alive] }), [], 'nobody asks it through fast');
});

test('a flowtable, missing rights, an invalid config, no daemon', () => {
  assert.deepEqual(ids({ ruleset: { nat: [], flowtables: ['inet filter fast'], marks: [] } }), ['flowtable']);
  assert.deepEqual(ids({ daemon: { pid: 5, gid: 0, netAdmin: false, netRaw: true } }), ['capabilities']);
  assert.deepEqual(ids({ daemon: null }), ['daemon-not-running']);
  assert.deepEqual(ids({ config: null, configProblems: ['a.yaml:3: wrong'], paths: [] }), ['config-invalid']);
});

test('IPv6 in one arm needs nft against redirects', () => {
  const paths = classic.map((path) => ({ ...path, family: 6 as const, gateway: 'fe80::1' }));
  assert.deepEqual(ids({ paths }), ['nd-redirects']);
  assert.deepEqual(ids({ paths, kernel: kernel({ nft: { fingerprint: 'ours' } }) }), []);
  assert.deepEqual(ids({ paths, tools: { nft: false, ip: true }, ruleset: null }), ['nft-missing']);
});

test('one arm: half of each connection is said, until it is made whole or given up', () => {
  const [half] = diagnose(facts({ config: config('') }));
  assert.equal(half?.id, 'half-seen');
  assert.equal(half.level, 'advice');
  assert.match(half.what, /half of each connection by eth0: they are not remembered/);
  assert.match(half.remedy ?? '', /^masquerade: true .*makes it whole.*connections: off/);
  assert.deepEqual(ids({ config: config('masquerade: true\n') }), []);
  assert.deepEqual(ids({ config: config() }), []);
  assert.deepEqual(ids({ config: config(''), paths: twoNic, ruleset: masquerade('wan1', 'wan2') }), [], 'seen whole');
});

test('flows that are offloaded are a problem where connections are remembered', () => {
  const offloaded = { ruleset: { ...masquerade('wan1', 'wan2'), flowtables: ['inet filter fast'] }, paths: twoNic };
  const [problem] = diagnose(facts({ ...offloaded, config: config('') }));
  assert.deepEqual(
    [problem?.id, problem?.level, problem?.remedy],
    ['flowtable', 'problem', 'nft delete flowtable inet filter fast'],
  );
  assert.equal(diagnose(facts(offloaded))[0]?.level, 'advice');
});

test('nft missing: one finding with all that does not work without it', () => {
  const without = { tools: { nft: false, ip: true }, ruleset: null, paths: twoNic };
  const why = (extra: string): string => {
    const found = diagnose(facts({ ...without, config: config(extra) }));
    assert.deepEqual(
      found.map(({ id, level, remedy }) => [id, level, remedy]),
      [['nft-missing', 'problem', 'apt-get install nftables']],
    );
    return found[0]?.why ?? '';
  };
  assert.match(why(''), /^open connections are neither remembered nor ended$/);
  assert.match(why('masquerade: true\n'), /remembered nor ended; the network is not hidden/);
  const [found] = diagnose(
    facts({
      ...without,
      config: { ...config(), lanPrefix: 'fd00:1::/64', uplinks: config().uplinks.map((u) => ({ ...u, prefix: 'auto' })) },
    }),
  );
  assert.equal(found?.why, 'no prefix is translated');
  assert.deepEqual(ids(without), ['nft-missing'], 'with neither, NAT cannot be seen');
  assert.equal(diagnose(facts(without))[0]?.level, 'advice');
  assert.deepEqual(ids({ ...without, paths: classic }), [], 'nothing needs it');
});

test('marks that others set with nftables', () => {
  const mark = { chain: 'ip mangle PREROUTING', written: 0xffffffff } as const;
  const withMark = (change: {
    readonly of: 'meta' | 'ct';
    readonly bits: number;
    readonly written?: number;
  }): Partial<Facts> => ({
    config: config(''),
    paths: twoNic,
    ruleset: { ...masquerade('wan1', 'wan2'), marks: [{ ...mark, ...change }] },
  });
  const [conflict] = diagnose(facts(withMark({ of: 'meta', bits: 0x2000001 })));
  assert.equal(conflict?.id, 'mark-conflict');
  assert.match(conflict.what, /in ip mangle PREROUTING sets the mark to 0x2000001, which has bits of ours \(0x7f000000\)/);
  assert.match(conflict.remedy ?? '', /^nft -a list chain ip mangle PREROUTING; .*mark-mask/);
  const [lost] = diagnose(facts(withMark({ of: 'ct', bits: 0x5 })));
  assert.equal(lost?.id, 'mark-overwritten');
  assert.match(lost.remedy ?? '', /ct mark set ct mark and 0x7f000000 or 0x5$/);
  assert.deepEqual(ids(withMark({ of: 'ct', bits: 0x5, written: 0xff })), [], 'only its own bits');
  assert.deepEqual(ids(withMark({ of: 'meta', bits: 0x5 })), [], "a packet's mark is no memory");
  assert.deepEqual(ids({ ...withMark({ of: 'ct', bits: 0x5 }), config: config() }), [], 'nothing is remembered');
});

test('a table of connections that is nearly full, with twice the room as remedy', () => {
  const filled = (count: string): Partial<Facts> =>
    sysctls({ 'net/netfilter/nf_conntrack_count': count, 'net/netfilter/nf_conntrack_max': '65536' });
  assert.deepEqual(ids(filled('52428')), []);
  const [found] = diagnose(facts(filled('52429')));
  assert.equal(found?.id, 'conntrack-full');
  assert.match(found.what, /52429 of 65536/);
  assert.deepEqual(found.fix, [['net/netfilter/nf_conntrack_max', '131072']]);
});

const SHARED =
  'uplinks:\n  a: {gateway: 192.0.2.1, interface: wan1, tier: 1}\n  b: {gateway: 203.0.113.1, interface: wan2, tier: 1}\n';

test('uplinks that share want connections told apart by their ports', () => {
  const hosts = sysctls({ 'net/ipv4/fib_multipath_hash_policy': '0', 'net/ipv6/fib_multipath_hash_policy': '0' });
  const [found] = diagnose(facts({ ...hosts, config: config('connections: off\nsysctls: leave\n', SHARED) }));
  assert.equal(found?.id, 'hash-policy');
  assert.equal(found.level, 'problem');
  assert.deepEqual(found.fix, [['net/ipv4/fib_multipath_hash_policy', '1']]);
  assert.equal(
    diagnose(facts({ ...hosts, config: config(undefined, SHARED), daemon: null })).find(({ id }) => id === 'hash-policy')?.level,
    'advice',
  );
  assert.deepEqual(ids(hosts), [], 'nobody shares');
});

const auto = { uplink: 'lte', family: 4, interface: 'wan1', source: null, hinted: false } as const;

test('gateway: auto that nobody names', () => {
  const [found] = diagnose(facts({ autos: [auto] }));
  assert.equal(found?.id, 'auto-gateway');
  assert.match(found.what, /nothing names the IPv4 gateway of lte: no lease, no hook and no route of wan1 does/);
  assert.match(found.remedy ?? '', /install the hook .*docs\/dhcp\.md/);
  assert.match(diagnose(facts({ autos: [auto], hintHook: true }))[0]?.remedy ?? '', /renew the lease: the hook is there/);
  assert.deepEqual(ids({ autos: [{ ...auto, source: "dhclient's lease", hinted: true }] }), []);
  assert.deepEqual(ids({ autos: [{ ...auto, interface: 'wwan0' }] }), [], 'the interface is yet to come');
});

test('gateway: auto by a route alone: the next change may go unseen', () => {
  const alone = { ...auto, source: 'route of dhcp' };
  const [found] = diagnose(facts({ autos: [alone] }));
  assert.deepEqual([found?.id, found?.level], ['auto-route-only', 'advice']);
  assert.match(found?.remedy ?? '', /docs\/dhcp\.md/);
  assert.deepEqual(ids({ autos: [{ ...alone, hinted: true }] }), []);
  assert.deepEqual(ids({ autos: [{ ...alone, family: 6, source: 'route of ra' }] }), []);
  assert.deepEqual(ids({ autos: [{ ...alone, source: 'point-to-point link' }] }), []);
});

test('a router that forwards IPv6 hears router advertisements with accept_ra 2 alone', () => {
  const hears = (accept: string, forwarding = '1'): Partial<Facts> => ({
    autos: [{ ...auto, family: 6, source: 'route of ra' }],
    ...sysctls({ 'net/ipv6/conf/wan1/accept_ra': accept, 'net/ipv6/conf/wan1/forwarding': forwarding }),
  });
  const [found] = diagnose(facts(hears('1')));
  assert.equal(found?.id, 'accept-ra');
  assert.deepEqual(found.fix, [['net/ipv6/conf/wan1/accept_ra', '2']]);
  assert.deepEqual(ids(hears('2')), []);
  assert.deepEqual(ids(hears('0')), [], 'networkd and NetworkManager listen themselves');
  assert.deepEqual(ids(hears('1', '0')), []);
});

test('a gateway that is not known yet leads no probe astray', () => {
  const paths = [{ uplink: 'lte', family: 4, gateway: null, interface: 'wan1', shared: false } as const];
  const target = {
    target: '198.51.100.10',
    watchedBy: ['lte'],
    through: 'lte',
    family: 4,
    device: 'eth0',
    gateway: '10.0.0.1',
  } as const;
  assert.deepEqual(ids({ paths, targets: [{ ...target, answers: true }] }), []);
});

test('problems stand before advice, and the end counts both', () => {
  const findings = diagnose(facts({ daemon: null, ...sysctls({ 'net/ipv4/ip_forward': '0' }) }));
  assert.deepEqual(
    findings.map(({ level }) => level),
    ['problem', 'advice'],
  );
  assert.match(
    findingsText(findings, plain),
    /1 problem, 1 piece of advice; `backroute doctor --fix` sets the sysctls of 1\.\n$/,
  );
});

test('nft: masquerade and snat by interface, sets, negation, iptables-nft, flowtables and marks', () => {
  const match = (op: string, right: unknown): object => ({ match: { op, left: { meta: { key: 'oifname' } }, right } });
  const inChain = (expr: object[], family = 'ip'): object => ({ rule: { family, table: 'nat', chain: 'postrouting', expr } });
  const ruleset = readRuleset({
    nftables: [
      { metainfo: { version: '1.0.6' } },
      { chain: { family: 'ip', table: 'nat', name: 'postrouting', type: 'nat', hook: 'postrouting' } },
      inChain([match('==', 'wan1'), { masquerade: null }]),
      inChain([match('==', { set: ['wan1', 'wan2'] }), { snat: { addr: '192.0.2.7' } }]),
      inChain([match('!=', 'lan0'), { masquerade: null }], 'inet'),
      inChain([{ xt: { type: 'target', name: 'MASQUERADE' } }]),
      inChain([match('==', 'wan1'), { accept: null }]),
      inChain([{ masquerade: null }], 'bridge'),
      { flowtable: { family: 'inet', table: 'filter', name: 'f' } },
    ],
  });
  assert.deepEqual(ruleset, {
    nat: [
      { family: 'ip', interfaces: ['wan1'], except: [] },
      { family: 'ip', interfaces: ['wan1', 'wan2'], except: [] },
      { family: 'inet', interfaces: null, except: ['lan0'] },
      { family: 'ip', interfaces: null, except: [] },
    ],
    flowtables: ['inet filter f'],
    marks: [],
  });
  const set = (of: string, value: unknown, table = 'mangle'): object => ({
    rule: { family: 'ip', table, chain: 'pre', expr: [{ mangle: { key: { [of]: { key: 'mark' } }, value } }] },
  });
  const mark = (of: string): object => ({ [of]: { key: 'mark' } });
  const own = { rule: { family: 'inet', table: 'backroute', chain: 'pre', expr: [{ mangle: { key: mark('ct'), value: 1 } }] } };
  const { marks } = readRuleset({
    nftables: [
      own,
      set('meta', 5),
      set('ct', { '|': [{ '&': [mark('ct'), 0xff00ffff] }, 0x20000] }),
      set('meta', { '^': [mark('meta'), 0x80000000] }),
      set('meta', mark('ct')),
      set('ct', { '&': [mark('meta'), 255] }),
      set('meta', { map: { key: { numgen: {} }, data: {} } }),
      { rule: { family: 'ip', table: 't', chain: 'c', expr: [{ mangle: { key: { meta: { key: 'priority' } }, value: 7 } }] } },
    ],
  });
  const chain = 'ip mangle pre';
  assert.deepEqual(marks, [
    { chain, of: 'meta', bits: 5, written: 0xffffffff },
    { chain, of: 'ct', bits: 0x20000, written: 0xff0000 },
    { chain, of: 'meta', bits: 0x80000000, written: 0x80000000 },
  ]);
  for (const rubbish of [
    { nftables: [{ rule: { family: 'ip', expr: [{ mangle: 7 }, { mangle: { key: mark('ct'), value: { '|': [] } } }] } }] },
    null,
    7,
    [],
    {},
    { nftables: 'x' },
    { nftables: [null, 1, { rule: 1 }, { rule: { family: 'ip', expr: [null] } }] },
  ]) {
    assert.deepEqual(readRuleset(rubbish), { nat: [], flowtables: [], marks: [] });
  }
});
