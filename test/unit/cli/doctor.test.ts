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

function config(extra = ''): Config {
  const parsed = parseConfig(
    `uplinks:\n  fast:\n    gateway: 192.168.1.253\n  backup:\n    gateway: 192.168.1.1\n${extra}`,
    'test',
  );
  assert.ok(parsed.ok);
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
});

function facts(change: Partial<Facts> = {}): Facts {
  const process = { pid: 10, gid: 0, netAdmin: true, netRaw: true };
  return {
    config: config(),
    configProblems: [],
    systemProblems: [],
    kernel: kernel(),
    paths: classic,
    process,
    daemon: process,
    tools: { nft: true, ip: true },
    programs: [],
    protocols: new Map([
      [3, 'boot'],
      [16, 'dhcp'],
    ]),
    ruleset: { nat: [], flowtables: [] },
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
  assert.equal(level({ daemon: null, config: config('sysctls: leave\n') }), 'problem');
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
    ids({ paths: twoNic, ruleset: { nat: [{ family: 'inet', interfaces: null, except: ['eth0'] }], flowtables: [] } }),
    [],
  );
  assert.deepEqual(ids({ paths: twoNic, ruleset: { nat: [{ family: 'ip6', interfaces: null, except: [] }], flowtables: [] } }), [
    'nat-missing',
    'nat-missing',
  ]);
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
  assert.deepEqual(ids({ ruleset: { nat: [], flowtables: ['inet filter fast'] } }), ['flowtable']);
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

test('nft: masquerade and snat by interface, sets, negation, iptables-nft and flowtables', () => {
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
  });
  for (const rubbish of [
    null,
    7,
    [],
    {},
    { nftables: 'x' },
    { nftables: [null, 1, { rule: 1 }, { rule: { family: 'ip', expr: [null] } }] },
  ]) {
    assert.deepEqual(readRuleset(rubbish), { nat: [], flowtables: [] });
  }
});
