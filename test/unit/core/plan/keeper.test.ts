/** The plan kept against everybody: drift is repaired and told, fights are rationed, refusals retried, memories kept. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RouteState } from '../../../../src/core/kernel.js';
import type { PlanInput } from '../../../../src/core/plan/plan.js';
import type { FakeKernel } from '../../../support/fake-kernel.js';
import { planInput, planPath } from '../../../support/plan-inputs.js';
import { foreignDefault, NUMBERS } from '../../../support/topology.js';
import { KeeperBench } from './keeper-bench.js';
import { bareKernel, defaultsOf } from './route-chaos.js';

function inputOf(
  kernel: FakeKernel,
  order: readonly string[] = ['192.168.1.253', '192.168.1.1'],
  families: readonly (4 | 6)[] = [4],
): PlanInput {
  const hop = (gateway: string) => ({ ifindex: kernel.link('eth0').index, interface: 'eth0', gateway, onlink: false });
  const six = (gateway: string): string => `fe80::${gateway.split('.').at(-1)}`;
  return planInput({
    paths: families.flatMap((family) =>
      order.map((gateway) => planPath(family, gateway.endsWith('253') ? 0 : 1, hop(family === 4 ? gateway : six(gateway)))),
    ),
    chosen: { 4: true, 6: families.includes(6) },
  });
}

/** In force, with the machine's former default displaced. */
function inForce(families: readonly (4 | 6)[] = [4]): { bench: KeeperBench; input: PlanInput; kernel: FakeKernel } {
  const kernel = bareKernel();
  kernel.foreign({ op: 'route-add', route: foreignDefault(kernel, '192.168.1.254', 'eth0', { protocol: 4 }) });
  const bench = new KeeperBench(kernel);
  const input = inputOf(kernel, undefined, families);
  bench.settle(input);
  return { bench, input, kernel };
}

const ways = (kernel: FakeKernel, family: 4 | 6 = 4): string[] =>
  defaultsOf(kernel, family).map((r) => `${r.nexthops[0]?.gateway} ${r.protocol} ${r.metric}`);
const OURS = ['192.168.1.253 110 0', '192.168.1.1 110 1'];

function usurp(kernel: FakeKernel, change: Partial<RouteState> = {}): void {
  kernel.foreign({ op: 'route-replace', route: foreignDefault(kernel, '192.168.1.77', 'eth0', { protocol: 16, ...change }) });
}

function remove(kernel: FakeKernel, index: number, family: 4 | 6 = 4): void {
  const route = defaultsOf(kernel, family)[index];
  assert.ok(route !== undefined);
  assert.equal(kernel.foreign({ op: 'route-delete', route }), null);
}

test('before the kernel was read nothing is done', () => {
  const kernel = bareKernel();
  const bench = new KeeperBench(kernel);
  assert.equal(bench.reconcile(inputOf(kernel)), 0);
});

test('the first plan is no drift: what stood there is remembered, and nobody is accused', () => {
  const { bench, kernel } = inForce();
  assert.deepEqual(ways(kernel), OURS);
  assert.deepEqual(bench.told('drift'), []);
  assert.equal(bench.told('foreign').length, 1);
  assert.deepEqual(
    bench.keeper.memory.routes.map((r) => r.nexthops[0]?.gateway),
    ['192.168.1.254'],
  );
  assert.deepEqual(bench.keeper.memory.hadDefault, [4]);
});

test('a switch is no drift either, also when a fresh snapshot comes with it', () => {
  const { bench, kernel } = inForce();
  bench.look(inputOf(kernel, ['192.168.1.1', '192.168.1.253']));
  assert.deepEqual(ways(kernel), ['192.168.1.1 110 0', '192.168.1.253 110 1']);
  assert.deepEqual(bench.told('drift'), []);
});

test('a replaced default is put back at once and the culprit told by protocol', () => {
  const { bench, input, kernel } = inForce();
  usurp(kernel);
  bench.look(input);
  assert.deepEqual(ways(kernel), OURS);
  assert.match(bench.told('drift').join(), /dhcp/);
  assert.equal(bench.records.find((r) => r.kind === 'drift')?.data.protocol, 16);
});

test('deleted rules and tables are put back', () => {
  const { bench, input, kernel } = inForce();
  const before = kernel.render();
  const rule = kernel.state.rules[0];
  const guard = kernel.state.routes.find((r) => r.type === 'unreachable');
  assert.ok(rule !== undefined && guard !== undefined);
  kernel.foreign({ op: 'rule-delete', rule });
  kernel.foreign({ op: 'route-delete', route: guard });
  assert.equal(bench.keeper.steered(4, NUMBERS.tableBase), true);
  bench.keeper.see(bench.snapshot());
  assert.equal(bench.keeper.steered(4, NUMBERS.tableBase), false, 'no probe may leave without its rule');
  bench.reconcile(input, true);
  assert.equal(kernel.render(), before);
  assert.match(bench.told('drift').join(), /1 of our routes and 1 of our rules/);
});

test('our nftables table is put back when somebody has removed it, and that is told; a new table is nobody’s doing', () => {
  const kernel = bareKernel();
  const bench = new KeeperBench(kernel);
  const input = inputOf(kernel, undefined, [4, 6]);
  bench.settle(input);
  const before = kernel.render();
  assert.match(before, /nft table/);
  assert.deepEqual(bench.told('drift'), [], 'the first one');
  kernel.foreign({ op: 'nft-table', fingerprint: 'absent', rules: null });
  bench.look(input);
  assert.equal(kernel.render(), before);
  assert.deepEqual(bench.told('drift'), ['somebody removed our nftables table: put back']);
  bench.look({ ...input, nft: { ...input.nft, masquerade: !input.nft.masquerade } });
  assert.equal(bench.told('drift').length, 1);
});

// ---- the ration ------------------------------------------------------------------------------------------------------

/** Somebody replaces our default every 200 ms; between the looks the engine compares for reasons of its own. @returns when it was put back */
function fight(bench: KeeperBench, input: PlanInput, untilMs: number): number[] {
  const repairs: number[] = [];
  for (; bench.now < untilMs; bench.now += 200) {
    usurp(bench.kernel);
    const before = bench.results.length;
    bench.look(input);
    bench.now += 50;
    for (let i = 0; i < 3; i += 1) bench.reconcile(input);
    if (bench.results.length > before) repairs.push(bench.now);
    bench.now -= 50;
  }
  return repairs;
}

test('ten repairs in ten seconds, then one a minute, whatever else makes it compare', () => {
  const { bench, input } = inForce();
  const repairs = fight(bench, input, 200_000);
  assert.equal(repairs.filter((t) => t < 10_000).length, 10);
  assert.ok(
    repairs.length >= 12 && repairs.length <= 14,
    `${repairs.length} repairs in 200 s: ${repairs.map((t) => t / 1000).join(' ')}`,
  );
  assert.equal(bench.told('drift').filter((text) => /once a minute/.test(text)).length, 1, 'told once');
  assert.ok(bench.keeper.rationed(bench.now));
});

test('the minute over, it is repaired without anybody reading the kernel again', () => {
  const { bench, input, kernel } = inForce();
  fight(bench, input, 10_000);
  const wake = bench.wakes.at(-1);
  assert.ok(wake !== undefined && wake > 60_000 && wake < 72_000, `wake at ${wake}`);
  assert.notDeepEqual(ways(kernel), OURS);
  bench.now = wake;
  bench.reconcile(input);
  assert.deepEqual(ways(kernel), OURS);
});

test('a missing default is never rationed', () => {
  const { bench, input, kernel } = inForce();
  fight(bench, input, 5_000);
  for (let i = 0; i < 30; i += 1) {
    bench.now += 100;
    remove(kernel, 0);
    bench.look(input);
    assert.deepEqual(ways(kernel), OURS, `time ${i + 1}`);
  }
});

test('nor where somebody holds a standby place, or the other family is fought over', () => {
  for (const families of [[4], [4, 6]] as const) {
    const { bench, input, kernel } = inForce(families);
    fight(bench, input, 5_000);
    bench.now += 100;
    remove(kernel, 0);
    if (families.length === 1) usurp(kernel, { metric: 1 });
    else {
      const six = foreignDefault(kernel, 'fe80::77', 'eth0', { protocol: 16, metric: 1 });
      kernel.foreign({ op: 'route-replace', route: six });
    }
    bench.look(input);
    assert.equal(ways(kernel)[0], OURS[0], `families ${families.join()}`);
  }
});

test('nor where one family is missing its default while the other is fought over', () => {
  const { bench, input, kernel } = inForce([4, 6]);
  fight(bench, input, 5_000);
  bench.now += 100;
  remove(kernel, 0, 6);
  bench.look(input);
  assert.deepEqual(ways(kernel, 6), ['fe80::253 110 1', 'fe80::1 110 2']);
});

test('a switch does not wait for the ration', () => {
  const { bench, input, kernel } = inForce();
  fight(bench, input, 10_000);
  const swapped = inputOf(kernel, ['192.168.1.1', '192.168.1.253']);
  bench.look(swapped);
  assert.deepEqual(ways(kernel), ['192.168.1.1 110 0', '192.168.1.253 110 1']);
});

// ---- refusals --------------------------------------------------------------------------------------------------------

test('what the kernel refuses is tried again after a second, told once, and told again when it works', () => {
  const { bench, kernel } = inForce();
  const input = inputOf(kernel, ['192.168.1.1', '192.168.1.253']);
  let refusing = true;
  kernel.sabotage = (op) => (refusing && op.op === 'route-replace' ? 'EPERM' : null);
  const attempts: number[] = [];
  for (bench.now = 0; bench.now < 5_000; bench.now += 50) {
    if (bench.now % 500 === 0 ? bench.look(input) > 0 : bench.reconcile(input) > 0) attempts.push(bench.now);
  }
  assert.deepEqual(attempts, [0, 1000, 2000, 3000, 4000]);
  const errors = bench.records.filter((r) => r.kind === 'kernel' && r.severity === 'error');
  assert.equal(errors.length, 2, 'one for each of the two routes');
  assert.match(errors[0]?.text ?? '', /EPERM \(sabotaged\)/);
  assert.equal(bench.keeper.refusals.length, 2);
  assert.deepEqual(bench.told('drift'), [], 'nobody is accused of it');
  refusing = false;
  bench.look(input);
  assert.deepEqual(bench.keeper.refusals, []);
  assert.equal(bench.told('kernel').filter((text) => /accepts again/.test(text)).length, 2);
});

test('without any default route what is refused is tried again after 50 ms', () => {
  const { bench, input, kernel } = inForce();
  remove(kernel, 1);
  remove(kernel, 0);
  kernel.sabotage = (op) => (op.op === 'route-replace' && bench.now < 120 ? 'EPERM' : null);
  bench.now = 0;
  bench.look(input);
  assert.deepEqual(ways(kernel), []);
  for (; ways(kernel).length === 0 && bench.now < 1_000; bench.now += 10) bench.reconcile(input);
  assert.deepEqual(ways(kernel), OURS);
  assert.ok(bench.now <= 170, `back after ${bench.now} ms`);
});

test('a new plan is tried at once, whatever was refused before', () => {
  const { bench, input, kernel } = inForce();
  kernel.sabotage = (op) => (op.op === 'route-replace' ? 'EPERM' : null);
  bench.look(inputOf(kernel, ['192.168.1.1', '192.168.1.253']));
  kernel.sabotage = null;
  bench.now += 10;
  bench.look(inputOf(kernel, ['192.168.1.1']));
  assert.equal(ways(kernel)[0], '192.168.1.1 110 0');
  bench.now += 10;
  bench.look(input);
  assert.deepEqual(ways(kernel), OURS);
});

test('deleting what is gone already, adding what is there already: that is no refusal', () => {
  const { bench, kernel } = inForce();
  const fewer = { ...inputOf(kernel, ['192.168.1.253']) };
  kernel.sabotage = (op) => (op.op === 'route-delete' ? 'ESRCH' : op.op === 'rule-delete' ? 'ENOENT' : null);
  bench.look(fewer);
  assert.deepEqual(bench.keeper.refusals, []);
});

test('no probe may leave by an uplink whose rule was refused', () => {
  const kernel = bareKernel();
  kernel.sabotage = (op) => (op.op === 'rule-add' && op.rule.table === NUMBERS.tableBase ? 'EPERM' : null);
  const bench = new KeeperBench(kernel);
  bench.look(inputOf(kernel));
  assert.equal(bench.keeper.steered(4, NUMBERS.tableBase), false);
  assert.equal(bench.keeper.steered(4, NUMBERS.tableBase + 1), true);
});

// ---- memory ----------------------------------------------------------------------------------------------------------

test('a renewed lease takes the place of the old one in memory, another client stands beside it', () => {
  const { bench, input, kernel } = inForce();
  usurp(kernel);
  bench.settle(input);
  kernel.foreign({ op: 'route-replace', route: foreignDefault(kernel, '192.168.1.78', 'eth0', { protocol: 16 }) });
  bench.settle(input);
  kernel.foreign({ op: 'route-replace', route: foreignDefault(kernel, '10.0.0.1', 'wan0', { protocol: 16 }) });
  bench.settle(input);
  assert.deepEqual(
    bench.keeper.memory.routes.map((r) => `${r.protocol} ${r.nexthops[0]?.gateway}`),
    ['4 192.168.1.254', '16 192.168.1.78', '16 10.0.0.1'],
  );
});

test('of an interface that comes anew each time only the last route is remembered', () => {
  const { bench, input, kernel } = inForce();
  usurp(kernel, { protocol: 3, nexthops: [{ ifindex: kernel.link('wan0').index, gateway: null, onlink: false }], scope: 253 });
  bench.settle(input);
  for (let day = 0; day < 5; day += 1) {
    const ifindex = kernel.addLink('ppp0', { pointToPoint: true, index: 100 + day });
    usurp(kernel, { protocol: 3, nexthops: [{ ifindex, gateway: null, onlink: false }], scope: 253 });
    bench.settle(input);
    assert.deepEqual(
      bench.keeper.memory.routes.map((r) => `${r.protocol} ${r.nexthops[0]?.ifindex}`),
      [`4 ${kernel.link('eth0').index}`, `3 ${kernel.link('wan0').index}`, `3 ${ifindex}`],
      'those of other programs and of links that are there stay',
    );
    kernel.removeLink('ppp0');
    bench.settle(input);
  }
});

test('the same intruder again and again is remembered and told once', () => {
  const { bench, input, kernel } = inForce();
  for (let i = 0; i < 5; i += 1) {
    usurp(kernel);
    bench.settle(input);
  }
  assert.equal(bench.told('foreign').length, 2, 'the default of the start and the intruder');
  assert.equal(bench.keeper.memory.routes.length, 2);
});

test('what a sysctl was at first is remembered, not what somebody made of it in between', () => {
  const { bench, input, kernel } = inForce();
  const key = 'net/ipv4/conf/eth0/send_redirects';
  assert.equal(kernel.sysctl(key), '0');
  assert.deepEqual(bench.keeper.memory.sysctls[key], { before: '1', set: '0' });
  kernel.setSysctl(key, '5');
  bench.settle(input);
  assert.equal(kernel.sysctl(key), '0');
  assert.equal(bench.keeper.memory.sysctls[key]?.before, '1');
});

test('only the first look of a boot says whether there was a default', () => {
  const kernel = bareKernel();
  const first = new KeeperBench(kernel);
  first.settle(inputOf(kernel));
  assert.deepEqual(first.keeper.memory.hadDefault, []);
  const second = new KeeperBench(kernel, first.saved().restore);
  second.settle(inputOf(kernel));
  assert.deepEqual(second.keeper.memory.hadDefault, [], 'our own route of the earlier run is no default of before');
});

// ---- what is refused, and whom that concerns -------------------------------------------------------------------------

const chosenTraffic = { source: '192.168.1.32/28', destination: null, protocols: [], ports: null } as const;

test('a refused rule of `via` keeps no probe from leaving, though it looks into the same table', () => {
  const kernel = bareKernel();
  const bench = new KeeperBench(kernel);
  const input = { ...inputOf(kernel), via: [{ index: 0, family: 4, match: chosenTraffic, slot: 0, guarded: true }] as const };
  kernel.sabotage = (op) => (op.op === 'rule-add' && op.rule.priority >= 956 ? 'EOPNOTSUPP' : null);
  bench.look(input);
  bench.look(input);
  assert.ok(bench.keeper.refusals.length > 0);
  assert.deepEqual([bench.keeper.steered(4, 7100), bench.keeper.steered(4, 7101)], [true, true]);
  kernel.sabotage = (op) => (op.op === 'rule-add' && op.rule.priority === 700 ? 'EOPNOTSUPP' : null);
  for (const rule of kernel.state.rules) if (rule.priority === 700) kernel.foreign({ op: 'rule-delete', rule });
  bench.look(input);
  assert.deepEqual([bench.keeper.steered(4, 7100), bench.keeper.steered(4, 7101)], [false, true]);
});

test('without nftables it is told once and tried ever more rarely, and routes do not wait for it', () => {
  const kernel = bareKernel();
  const bench = new KeeperBench(kernel);
  const input = inputOf(kernel, undefined, [4, 6]);
  kernel.sabotage = (op) => (op.op === 'nft-table' ? 'ENOENT' : null);
  const tries = (): number => bench.results.filter((r) => r.op.op === 'nft-table').length;
  for (bench.now = 0; bench.now < 600_000; bench.now += 500) bench.look(input);
  assert.ok(tries() >= 10 && tries() <= 20, `${tries()} tries in ten minutes`);
  assert.equal(bench.told('kernel').length, 1);
  assert.equal(bench.keeper.nftHolds, false);
  assert.deepEqual(ways(kernel), OURS);
  remove(kernel, 1);
  bench.look(input);
  assert.deepEqual(ways(kernel), OURS, 'a route is put back at once all the same');
  bench.keeper.forgetRefusals();
  const before = tries();
  bench.look(input);
  assert.equal(tries(), before + 1, 'after a reload it is tried at once: it may have been installed');
  kernel.sabotage = null;
  bench.now += 60_000;
  bench.look(input);
  assert.match(bench.told('kernel').at(-1) ?? '', /accepts again/);
  assert.equal(bench.keeper.nftHolds, true);
  assert.equal(bench.look(input), 0);
});

// ---- several next hops -----------------------------------------------------------------------------------------------

function sharing(kernel: FakeKernel, weight = 3): PlanInput {
  const input = inputOf(kernel);
  return {
    ...input,
    sharing: {
      4: [
        { slot: 0, weight },
        { slot: 1, weight: 1 },
      ],
      6: [],
    },
  };
}

test('a set that changes is a new plan and nobody else’s doing; a weight changed by others is', () => {
  const { bench, input, kernel } = inForce();
  bench.settle(sharing(kernel));
  bench.settle(sharing(kernel, 2));
  bench.settle(input);
  bench.settle(sharing(kernel));
  assert.deepEqual(bench.told('drift'), []);
  const [first] = defaultsOf(kernel, 4);
  assert.ok(first !== undefined);
  kernel.foreign({ op: 'route-replace', route: { ...first, nexthops: first.nexthops.map((hop) => ({ ...hop, weight: 9 })) } });
  bench.look(sharing(kernel));
  assert.deepEqual(
    defaultsOf(kernel, 4)[0]?.nexthops.map((hop) => hop.weight ?? 1),
    [1, 3],
  );
  assert.equal(bench.told('drift').length, 1);
});
