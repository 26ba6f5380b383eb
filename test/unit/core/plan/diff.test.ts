/**
 * The operations between what stands and what should: never without a default after any single one of them, whatever
 * stood there before and in whatever order, and also where the kernel refuses one.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KernelState, Nexthop, RouteState, RuleState } from '../../../../src/core/kernel.js';
import type { Family } from '../../../../src/core/model.js';
import { differ, isOwnRule, isOwnTable, sameRoute } from '../../../../src/core/plan/diff.js';
import { applyOp } from '../../../../src/core/plan/kernel-model.js';
import { FIRST_METRIC, makePlan, type Plan, type PlanInput } from '../../../../src/core/plan/plan.js';
import { planInput, planPath } from '../../../support/plan-inputs.js';
import { Random, seedFromEnvironment } from '../../../support/random.js';
import { linkNames, renderOp, renderRoute } from '../../../support/render-kernel.js';
import { foreignDefault, NUMBERS } from '../../../support/topology.js';
import { bareKernel, randomInput, strewDefaults } from './route-chaos.js';

const FAMILIES: readonly Family[] = [4, 6];
const ROUNDS = 1_500;
/** each is played again for every operation in it */
const REFUSING_ROUNDS = 150;

const mainDefaults = (state: KernelState, family: Family): RouteState[] =>
  state.routes.filter((r) => r.table === 254 && r.family === family && r.destination === 'default');

interface Case {
  readonly start: KernelState;
  readonly input: PlanInput;
  readonly seed: number;
}

/** The same cases for every property; the first seed is printed with a failure. */
function everyCase(check: (it: Case) => void, rounds = ROUNDS): void {
  const first = seedFromEnvironment();
  for (let round = 0; round < rounds; round += 1) {
    const seed = (first + round) >>> 0;
    const random = new Random(seed);
    const kernel = bareKernel();
    strewDefaults(kernel, random, 5, true);
    const input = randomInput(kernel, random);
    try {
      check({ start: kernel.state, input, seed });
    } catch (error) {
      const names = linkNames(kernel.state.links);
      console.error(`BACKROUTE_SEED=${seed}\n${kernel.render()}wanted:`);
      for (const route of makePlan(input, kernel.state).defaults) console.error(`  ${renderRoute(route, names)}`);
      for (const op of differ(kernel.state, makePlan(input, kernel.state), NUMBERS).ops)
        console.error(`  ${renderOp(op, names)}`);
      throw error;
    }
  }
}

/** Applies everything the difference asks for, again and again until nothing is left to do. @param refuse an operation by its index in the first round */
function converge(
  it: Case,
  refuse: number | null,
  see: (state: KernelState) => void,
): { state: KernelState; displaced: RouteState[]; plan: Plan } {
  let state = it.start;
  const displaced: RouteState[] = [];
  for (let round = 0; round < 6; round += 1) {
    const plan = makePlan(it.input, state);
    const difference = differ(state, plan, NUMBERS);
    displaced.push(...difference.displaced);
    if (difference.ops.length + difference.nftOps.length === 0) return { state, displaced, plan };
    for (const op of difference.nftOps) state = applyOp(state, op).state;
    for (const [index, op] of difference.ops.entries()) {
      if (round === 0 && index === refuse) continue;
      state = applyOp(state, op).state;
      see(state);
    }
  }
  throw new Error('it never comes to rest');
}

test('after every single operation there is a default, if there was one or one can be made', () => {
  everyCase((it) => {
    const had = FAMILIES.filter((family) => mainDefaults(it.start, family).length > 0);
    converge(it, null, (state) => {
      for (const family of had)
        assert.ok(mainDefaults(state, family).length > 0, `IPv${family} without a default, seed ${it.seed}`);
    });
  });
});

test('also when the kernel refuses any one of them', () => {
  everyCase((it) => {
    const had = FAMILIES.filter((family) => mainDefaults(it.start, family).length > 0);
    const count = differ(it.start, makePlan(it.input, it.start), NUMBERS).ops.length;
    for (let refuse = 0; refuse < count; refuse += 1) {
      converge(it, refuse, (state) => {
        for (const family of had)
          assert.ok(mainDefaults(state, family).length > 0, `IPv${family}, operation ${refuse} refused, seed ${it.seed}`);
      });
    }
  }, REFUSING_ROUNDS);
});

test('in the end exactly the wanted ones hold their metrics, ours are nowhere else, and others at other metrics are untouched', () => {
  everyCase((it) => {
    const { state, plan } = converge(it, null, () => {});
    for (const family of FAMILIES) {
      const wanted = plan.defaults.filter((r) => r.family === family);
      for (const route of wanted) {
        const place = mainDefaults(state, family).filter((r) => r.metric === route.metric);
        assert.equal(place.length, 1, `metric ${route.metric}, seed ${it.seed}`);
        assert.ok(place[0] !== undefined && sameRoute(place[0], route), `metric ${route.metric}, seed ${it.seed}`);
      }
      const firstWanted = wanted.some((r) => r.metric === FIRST_METRIC[family]);
      const ours = mainDefaults(state, family).filter((r) => r.protocol === NUMBERS.protocol);
      for (const route of ours) {
        const kept = wanted.length === 0 || (!firstWanted && route.metric === FIRST_METRIC[family]);
        assert.ok(kept || wanted.some((w) => w.metric === route.metric), `ours is left at ${route.metric}, seed ${it.seed}`);
      }
      const others = (s: KernelState): RouteState[] =>
        mainDefaults(s, family).filter((r) => r.protocol !== NUMBERS.protocol && !wanted.some((w) => w.metric === r.metric));
      assert.deepEqual(others(state), others(it.start), `seed ${it.seed}`);
    }
  });
});

test('every foreign default that had to go is told as displaced', () => {
  everyCase((it) => {
    const { state, displaced } = converge(it, null, () => {});
    for (const family of FAMILIES) {
      const gone = mainDefaults(it.start, family).filter(
        (r) => r.protocol !== NUMBERS.protocol && !mainDefaults(state, family).some((s) => sameRoute(s, r)),
      );
      for (const route of gone)
        assert.ok(
          displaced.some((d) => sameRoute(d, route)),
          `metric ${route.metric}, seed ${it.seed}`,
        );
    }
  });
});

test('what stands as planned asks for nothing', () => {
  everyCase((it) => {
    const { state, plan } = converge(it, null, () => {});
    const again = differ(state, plan, NUMBERS);
    assert.deepEqual([again.ops, again.nftOps, again.displaced], [[], [], []]);
  });
});

// ---- single cases ----------------------------------------------------------------------------------------------------

const kernel = bareKernel();
const eth0 = kernel.link('eth0').index;
const FAST = { ifindex: eth0, interface: 'eth0', gateway: '192.168.1.253', onlink: false };
const BACKUP = { ifindex: eth0, interface: 'eth0', gateway: '192.168.1.1', onlink: false };

function input(change: Partial<PlanInput> = {}): PlanInput {
  return planInput({
    paths: [planPath(4, 0, FAST), planPath(4, 1, BACKUP)],
    chosen: { 4: true, 6: false },
    setSysctls: false,
    ...change,
  });
}

function opsFor(state: KernelState, it: PlanInput): string[] {
  const names = linkNames(state.links);
  return differ(state, makePlan(it, state), NUMBERS).ops.map((op) => renderOp(op, names));
}

test('the first default comes before everything else, removals come last', () => {
  const state = { ...kernel.state, routes: [...kernel.state.routes] };
  const stale = foreignDefault(kernel, '192.168.1.77', 'eth0', { protocol: NUMBERS.protocol, metric: 7 });
  const standing = applyOp(state, { op: 'route-add', route: foreignDefault(kernel, '192.168.1.77', 'eth0') }).state;
  const ops = opsFor(applyOp(standing, { op: 'route-add', route: stale }).state, input());
  assert.equal(ops[0], 'replace ip route main: default via 192.168.1.253 dev eth0 proto 110');
  assert.equal(ops.at(-1), 'delete ip route main: default via 192.168.1.77 dev eth0 proto 110 metric 7');
});

test('where only stale ones of ours stand they go once a wanted one is seen: it might be refused', () => {
  const stale = foreignDefault(kernel, '192.168.1.77', 'eth0', { protocol: NUMBERS.protocol, metric: 7 });
  const wanted = foreignDefault(kernel, '192.168.1.253', 'eth0', { protocol: NUMBERS.protocol });
  const { state } = applyOp(kernel.state, { op: 'route-add', route: stale });
  assert.ok(opsFor(state, input()).every((op) => !/^delete/.test(op)));
  assert.ok(opsFor(applyOp(state, { op: 'route-add', route: wanted }).state, input()).some((op) => /^delete.*metric 7/.test(op)));
});

test('a table is filled before the rule that leads into it, the guard included', () => {
  const ops = opsFor(kernel.state, input());
  const rule = ops.findIndex((op) => /rule/.test(op));
  const tables = ops.flatMap((op, i) => (/route 710/.test(op) ? [i] : []));
  assert.equal(tables.length, 4);
  assert.ok(tables.every((i) => i < rule));
});

test('all uplinks lost: the first place is kept', () => {
  const ours = foreignDefault(kernel, '192.168.1.253', 'eth0', { protocol: NUMBERS.protocol });
  const { state } = applyOp(kernel.state, { op: 'route-add', route: ours });
  const paths = input().paths.map((p) => ({ ...p, hop: null }));
  assert.ok(opsFor(state, input({ paths })).every((op) => !/route main/.test(op)));
});

test('the wanted one behind a foreign one: the foreign one is deleted, since REPLACE would be refused', () => {
  const ours = foreignDefault(kernel, '192.168.1.253', 'eth0', { protocol: NUMBERS.protocol });
  const foreign = foreignDefault(kernel, '192.168.1.77', 'eth0');
  let { state } = applyOp(kernel.state, { op: 'route-add', route: foreign });
  ({ state } = applyOp(state, { op: 'route-append', route: ours }));
  assert.equal(applyOp(state, { op: 'route-replace', route: ours }).errno, 'EEXIST', 'as the kernel has it');
  assert.equal(opsFor(state, input())[0], 'delete ip route main: default via 192.168.1.77 dev eth0 proto boot');
});

test('a sysctl is set only where it differs, however the kernel spaces it', () => {
  const plan = { ...makePlan(input(), kernel.state), sysctls: [{ key: 'net/ipv4/ping_group_range', value: '0 0' }] };
  const with_ = (value: string): KernelState => ({ ...kernel.state, sysctls: { 'net/ipv4/ping_group_range': value } });
  assert.deepEqual(differ(with_('0\t0'), plan, NUMBERS).sysctls, {});
  assert.deepEqual(differ(with_('1\t0'), plan, NUMBERS).sysctls, { 'net/ipv4/ping_group_range': { before: '1\t0', set: '0 0' } });
});

test('ownership: by protocol in main, by range elsewhere; the range ends after 128 tables', () => {
  assert.deepEqual(
    [7099, 7100, 7227, 7228].map((t) => isOwnTable(t, NUMBERS)),
    [false, true, true, false],
  );
  const rule: RuleState = { family: 4, priority: 700, table: 7100, mark: 1, mask: 1, protocol: 0, other: false };
  assert.equal(isOwnRule(rule, NUMBERS), true);
  assert.equal(isOwnRule({ ...rule, other: true }, NUMBERS), false, "with further selectors it is somebody else's");
  assert.equal(isOwnRule({ ...rule, table: 254 }, NUMBERS), false);
  assert.equal(isOwnRule({ ...rule, priority: 32_766, protocol: NUMBERS.protocol }, NUMBERS), true);
  assert.equal(isOwnRule({ ...rule, priority: 32_766 }, NUMBERS), false);
  const first: RuleState = { ...rule, priority: 828, table: 254, suppress: 0, protocol: NUMBERS.protocol };
  assert.equal(isOwnRule(first, NUMBERS), true, "main's specific routes first");
  assert.equal(isOwnRule({ ...first, protocol: 0 }, NUMBERS), false, 'others do so too');
  assert.equal(isOwnRule({ ...first, priority: 1212 }, NUMBERS), false, 'beyond our 512 priorities');
  assert.equal(isOwnRule({ ...rule, table: 0, action: 'unreachable', protocol: NUMBERS.protocol }, NUMBERS), true);
});

// ---- several next hops -----------------------------------------------------------------------------------------------

const via = (ifindex: number, gateway: string, weight?: number): Nexthop => {
  const hop = { ifindex, gateway, onlink: false };
  return weight === undefined ? hop : { ...hop, weight };
};

test('several next hops are the same in whatever order the kernel lists them; not with other weights, links or routers', () => {
  for (const [family, a, b] of [
    [4, '10.0.0.1', '10.1.0.1'],
    [6, 'fe80::1', 'fe80::1'],
  ] as const) {
    const route = (...nexthops: Nexthop[]): RouteState => ({
      family,
      table: 254,
      destination: 'default',
      type: 'unicast',
      protocol: 110,
      metric: 1,
      tos: 0,
      scope: 0,
      prefsrc: null,
      nexthops,
      expires: false,
      rest: '',
    });
    const both = route(via(2, a, 3), via(3, b));
    assert.ok(sameRoute(both, route(via(3, b, 1), via(2, a, 3))), 'and a weight that is not told is 1');
    assert.ok(!sameRoute(both, route(via(2, a), via(3, b, 3))), 'the weights the other way round');
    assert.ok(!sameRoute(both, route(via(2, a, 3))));
    assert.ok(!sameRoute(both, route(via(2, a, 3), via(4, b))));
    assert.ok(!sameRoute(both, route(via(2, a, 3), { ...via(3, b), gateway: null })));
  }
});

test('IPv6 swaps a route of its own kind: the one by router advertisement beside it is deleted, and nothing of the new one', () => {
  const kernel = bareKernel();
  const [eth0, wan0] = [kernel.link('eth0').index, kernel.link('wan0').index];
  const shares = (...gateways: [number, string][]): PlanInput => {
    const paths = gateways.map(([ifindex, gateway], slot) =>
      planPath(6, slot, { ifindex, interface: 'eth0', gateway, onlink: false }),
    );
    return planInput({ paths, sharing: { 4: [], 6: paths.map((p) => ({ slot: p.slot, weight: 1 })) } });
  };
  kernel.foreign({ op: 'route-append', route: foreignDefault(kernel, 'fe80::253', 'eth0', { protocol: 9, metric: 1 }) });
  const ours = makePlan(shares([eth0, 'fe80::1'], [wan0, 'fe80::b']), kernel.state).defaults[0];
  assert.ok(ours !== undefined);
  kernel.foreign({ op: 'route-append', route: ours });
  assert.equal(mainDefaults(kernel.state, 6).length, 2);
  const plan = makePlan(shares([eth0, 'fe80::1'], [eth0, 'fe80::77']), kernel.state);
  for (const op of differ(kernel.state, plan, NUMBERS).ops) kernel.foreign(op);
  const first = mainDefaults(kernel.state, 6).filter((r) => r.metric === 1);
  assert.deepEqual(
    first.map((r) => [r.protocol, r.nexthops.map((hop) => hop.gateway)]),
    [[110, ['fe80::1', 'fe80::77']]],
  );
});
