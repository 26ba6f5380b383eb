/** What shall stand in the kernel: defaults in their order, tables with guards, rules, and the sysctls of each topology. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KernelState } from '../../../../src/core/kernel.js';
import { FIRST_METRIC, GUARD_METRIC, makePlan, type PlanInput } from '../../../../src/core/plan/plan.js';
import type { PlanPath } from '../../../../src/core/plan/plan-path.js';
import { PING_GROUP_RANGE, sysctlKeys } from '../../../../src/core/plan/plan-sysctls.js';
import { planInput, planPath } from '../../../support/plan-inputs.js';
import { bareKernel } from './route-chaos.js';

const kernel = bareKernel();

function path(family: 4 | 6, slot: number, device: string | null): PlanPath {
  if (device === null) return planPath(family, slot, null);
  const gateway = family === 4 ? `192.168.${slot}.1` : `fe80::${slot + 1}%${device}`;
  return planPath(family, slot, { ifindex: kernel.link(device).index, interface: device, gateway, onlink: false });
}

function planOf(paths: readonly PlanPath[], change: Partial<PlanInput> = {}, seen: Partial<KernelState> = {}) {
  const state = { ...kernel.snapshotNow({ tables: [], sysctls: sysctlKeys(['eth0', 'wan0']), nft: true }), ...seen };
  return makePlan(planInput({ paths, ...change }), state);
}

const ONE_ARMED = [path(4, 0, 'eth0'), path(4, 1, 'eth0')];
const TWO_NICS = [path(4, 0, 'eth0'), path(4, 1, 'wan0')];

test('the choice stands first, the others behind it, all with our protocol number', () => {
  const { defaults } = planOf([...TWO_NICS, path(6, 0, 'eth0'), path(6, 1, 'wan0')]);
  assert.deepEqual(
    defaults.map((r) => [r.family, r.metric, r.nexthops[0]?.gateway, r.protocol, r.table]),
    [
      [4, 0, '192.168.0.1', 110, 254],
      [4, 1, '192.168.1.1', 110, 254],
      [6, 1, 'fe80::1', 110, 254],
      [6, 2, 'fe80::2', 110, 254],
    ],
  );
  assert.equal(FIRST_METRIC[6], 1, 'IPv6 takes 0 for 1024');
});

test('without a choice the first place is left as it is', () => {
  const { defaults } = planOf(TWO_NICS, { chosen: { 4: false, 6: false } });
  assert.deepEqual(
    defaults.map((r) => r.metric),
    [1, 2],
  );
});

test('a path without a way has no default, and nobody else moves up to its place', () => {
  const { defaults } = planOf([path(4, 0, null), path(4, 1, 'wan0')]);
  assert.deepEqual(
    defaults.map((r) => [r.metric, r.nexthops[0]?.gateway]),
    [[1, '192.168.1.1']],
  );
});

test('every table has its guard, and keeps it when the way is lost: no probe may ever take another one', () => {
  const { tables, rules } = planOf([path(4, 0, null), path(4, 1, 'wan0')]);
  assert.deepEqual(
    tables.map((r) => [r.table, r.type, r.metric]),
    [
      [7100, 'unreachable', GUARD_METRIC],
      [7101, 'unreachable', GUARD_METRIC],
      [7101, 'unicast', 0],
    ],
  );
  assert.deepEqual(
    rules.map((r) => [r.priority, r.table, r.mark, r.mask]),
    [
      [700, 7100, 0x41000000, 0x7f000000],
      [701, 7101, 0x42000000, 0x7f000000],
    ],
  );
});

// ---- sysctls ---------------------------------------------------------------------------------------------------------

const wanted = (plan: ReturnType<typeof planOf>): Record<string, string> =>
  Object.fromEntries(plan.sysctls.map(({ key, value }) => [key.replace('net/', ''), value]));

test('one-armed: redirects off, sent and accepted, on the interface and on all; rp_filter is left alone', () => {
  assert.deepEqual(wanted(planOf(ONE_ARMED)), {
    'ipv4/conf/eth0/ignore_routes_with_linkdown': '1',
    'ipv6/conf/eth0/ignore_routes_with_linkdown': '1',
    'ipv4/conf/all/send_redirects': '0',
    'ipv4/conf/all/accept_redirects': '0',
    'ipv4/conf/eth0/send_redirects': '0',
    'ipv4/conf/eth0/accept_redirects': '0',
  });
});

test('two NICs: the reverse path filter loose where one is on, redirects left alone', () => {
  const got = wanted(planOf(TWO_NICS));
  assert.equal(got['ipv4/conf/eth0/rp_filter'], '2');
  assert.equal(got['ipv4/conf/wan0/rp_filter'], '2');
  assert.ok(Object.keys(got).every((key) => !/redirects/.test(key)));
});

for (const [all, own, loose] of [
  ['0', '0', false],
  ['1', '0', true],
  ['0', '1', true],
  ['2', '1', true],
] as const) {
  test(`rp_filter all=${all}, interface=${own}: ${loose ? 'made loose' : 'off stays off'}`, () => {
    const sysctls = {
      'net/ipv4/conf/all/rp_filter': all,
      'net/ipv4/conf/eth0/rp_filter': own,
      'net/ipv4/conf/wan0/rp_filter': '0',
    };
    assert.equal(wanted(planOf(TWO_NICS, {}, { sysctls }))['ipv4/conf/eth0/rp_filter'], loose ? '2' : undefined);
  });
}

test('one-armed IPv6: accepted redirects by sysctl, sent ones by nft', () => {
  const plan = planOf([path(6, 0, 'eth0'), path(6, 1, 'eth0')]);
  assert.equal(wanted(plan)['ipv6/conf/eth0/accept_redirects'], '0');
  assert.deepEqual(plan.nft.rules, { dropNdRedirectsOn: ['eth0'] });
  assert.notEqual(plan.nft.fingerprint, 'absent');
});

test('no nft where it is not needed, or was not asked for', () => {
  assert.equal(planOf([path(6, 0, 'eth0'), path(6, 1, 'wan0')]).nft.fingerprint, 'absent');
  assert.equal(planOf([path(6, 0, 'eth0'), path(6, 1, 'eth0')], {}, { nft: null }).nft.rules, null);
});

test('ping_group_range only where our group is not in it', () => {
  const range = (value: string, gid: number): string | undefined =>
    wanted(planOf(ONE_ARMED, { gid }, { sysctls: { [PING_GROUP_RANGE]: value } }))['ipv4/ping_group_range'];
  assert.equal(range('1\t0', 0), '0 0');
  assert.equal(range('1 0', 998), '998 998');
  assert.equal(range('0\t2147483647', 998), undefined);
});

test('keys that the kernel does not have are not wanted; with `leave` none is', () => {
  const sysctls = { 'net/ipv4/conf/eth0/send_redirects': '1', 'net/ipv6/conf/eth0/ignore_routes_with_linkdown': null };
  assert.deepEqual(wanted(planOf(ONE_ARMED, {}, { sysctls })), { 'ipv4/conf/eth0/send_redirects': '0' });
  assert.deepEqual(planOf(ONE_ARMED, { setSysctls: false }).sysctls, []);
});

// ---- several that share ----------------------------------------------------------------------------------------------

const SHARED = {
  sharing: {
    4: [
      { slot: 1, weight: 3 },
      { slot: 0, weight: 1 },
    ],
    6: [],
  },
} as const;

test('several share the first place by weight, and behind it stands each alone: a link that vanishes takes all of it away', () => {
  const { defaults, sysctls } = planOf(TWO_NICS, SHARED);
  assert.deepEqual(
    defaults.map((r) => [r.metric, r.nexthops.map((hop) => [hop.gateway, hop.weight])]),
    [
      [
        0,
        [
          ['192.168.0.1', undefined],
          ['192.168.1.1', 3],
        ],
      ],
      [1, [['192.168.0.1', undefined]]],
      [2, [['192.168.1.1', undefined]]],
    ],
  );
  assert.ok(sysctls.some((s) => s.key === 'net/ipv4/fib_multipath_hash_policy' && s.value === '1'));
});

test('the same set is the same route, in whatever order it is chosen', () => {
  const [first, second] = SHARED.sharing[4];
  const turned = planOf(TWO_NICS.toReversed(), { sharing: { 4: [second, first], 6: [] } });
  assert.deepEqual(turned.defaults[0], planOf(TWO_NICS, SHARED).defaults[0]);
});

test('one of them without a way: the other has the place alone; without a choice nobody shares it', () => {
  assert.deepEqual(
    planOf([path(4, 0, null), path(4, 1, 'wan0')], SHARED).defaults.map((r) => [r.metric, r.nexthops.length]),
    [[1, 1]],
    'the chosen one has no way: its place is left as it is',
  );
  assert.deepEqual(
    planOf(TWO_NICS, { ...SHARED, chosen: { 4: false, 6: false } }).defaults.map((r) => [r.metric, r.nexthops.length]),
    [
      [1, 1],
      [2, 1],
    ],
  );
});

// ---- open connections ------------------------------------------------------------------------------------------------

const REMEMBERED = {
  dropRedirects: true,
  connections: { inbound: true, ends: true },
  masquerade: false,
  lanPrefix: null,
  prefixes: new Map(),
};

test('connections that are remembered have a table without a guard, and rules only while their uplink works', () => {
  const dead = { ...path(4, 1, 'wan0'), works: false };
  const { tables, rules } = planOf([path(4, 0, 'eth0'), dead], { nft: REMEMBERED });
  assert.deepEqual(
    tables.filter((r) => r.table >= 7164).map((r) => [r.table, r.type]),
    [
      [7164, 'unicast'],
      [7165, 'unicast'],
    ],
  );
  assert.deepEqual(
    rules.filter((r) => r.priority >= 828).map((r) => [r.priority, r.table, r.mark, r.suppress]),
    [
      [828, 254, 0x1000000, 0],
      [829, 7164, 0x1000000, undefined],
    ],
  );
});

test('one-armed nothing is remembered, unless this machine hides the LAN', () => {
  assert.ok(planOf(ONE_ARMED, { nft: REMEMBERED }).rules.every((r) => r.priority < 828));
  const hidden = planOf(ONE_ARMED, { nft: { ...REMEMBERED, masquerade: true } });
  assert.equal(hidden.rules.filter((r) => r.priority >= 828).length, 4);
});

test('IPv6 does not share with a link that has no gateway: the choice goes alone', () => {
  const modem = planPath(6, 1, { ifindex: kernel.link('wan0').index, interface: 'wan0', gateway: null, onlink: false });
  const sharing = { 4: [], 6: [0, 1].map((slot) => ({ slot, weight: 1 })) };
  const hopsOf = (paths: PlanPath[]) => planOf(paths, { sharing }).defaults[0]?.nexthops.length;
  assert.equal(hopsOf([path(6, 0, 'eth0'), modem]), 1);
  assert.equal(hopsOf([path(6, 0, 'eth0'), path(6, 1, 'wan0')]), 2);
});
