/** What cleanup leaves: the machine as it was, at no instant without a default, and nothing of others' touched. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SavedState } from '../../../../src/core/messages.js';
import type { Family } from '../../../../src/core/model.js';
import { cleanupRequest, planCleanup } from '../../../../src/core/plan/cleanup.js';
import type { PlanInput } from '../../../../src/core/plan/plan.js';
import type { FakeKernel } from '../../../support/fake-kernel.js';
import { planInput, planPath } from '../../../support/plan-inputs.js';
import { Random, seedFromEnvironment } from '../../../support/random.js';
import { linkNames, renderOp } from '../../../support/render-kernel.js';
import { foreignDefault, NUMBERS } from '../../../support/topology.js';
import { KeeperBench } from './keeper-bench.js';
import { bareKernel, defaultsOf, randomInput, strewDefaults } from './route-chaos.js';

const FAMILIES: readonly Family[] = [4, 6];
const ROUNDS = 500;

/** Carries the clean-up out, one operation at a time. @returns the operations as text */
function cleanUp(kernel: FakeKernel, saved: SavedState | null): string[] {
  const had = FAMILIES.filter((family) => defaultsOf(kernel, family).length > 0);
  const ops = planCleanup(kernel.snapshotNow(cleanupRequest(NUMBERS, saved)), NUMBERS, saved);
  const names = linkNames(kernel.state.links);
  for (const op of ops) {
    const errno = kernel.foreign(op);
    assert.equal(errno, null, `${renderOp(op, names)} = ${errno}`);
    const bare = had.filter((family) => defaultsOf(kernel, family).length === 0);
    const allowed = saved !== null && bare.every((family) => saved.restore.hadDefault?.includes(family) === false);
    assert.ok(bare.length === 0 || allowed, `IPv${bare.join()} without a default after: ${renderOp(op, names)}`);
  }
  return ops.map((op) => renderOp(op, names));
}

/** Nothing in the kernel looks like ours any more. */
function assertNothingOurs(kernel: FakeKernel): void {
  assert.ok(!/proto 110|lookup 71|table 71|backroute/.test(kernel.render()), kernel.render());
}

test('whatever stood there before and whatever was chosen since: afterwards the kernel is as it was, byte for byte', () => {
  const first = seedFromEnvironment();
  for (let round = 0; round < ROUNDS; round += 1) {
    const seed = (first + round) >>> 0;
    const random = new Random(seed);
    const kernel = bareKernel();
    strewDefaults(kernel, random, 4, false);
    const before = kernel.render();
    const bench = new KeeperBench(kernel);
    try {
      for (let choices = 0; choices < 4; choices += 1) bench.settle(randomInput(kernel, random));
      cleanUp(kernel, bench.saved());
      assert.equal(kernel.render(), before);
    } catch (error) {
      console.error(
        `BACKROUTE_SEED=${seed}\nbefore:\n${before}now:\n${kernel.render()}remembered: ${JSON.stringify(bench.keeper.memory.routes.map((r) => [r.family, r.metric, r.protocol, r.nexthops.map((h) => h.gateway).join()]))}`,
      );
      throw error;
    }
  }
});

test('with other programs at work meanwhile: never without a default, and nothing of ours is left', () => {
  const first = seedFromEnvironment();
  for (let round = 0; round < ROUNDS; round += 1) {
    const seed = (first + round) >>> 0;
    const random = new Random(seed);
    const kernel = bareKernel();
    strewDefaults(kernel, random, 4, false);
    const bench = new KeeperBench(kernel);
    try {
      for (let choices = 0; choices < 3; choices += 1) {
        bench.settle(randomInput(kernel, random));
        bench.now += 60_000;
        strewDefaults(kernel, random, 2, false);
      }
      // the last of them came while no daemon was there to see it
      const saved = bench.saved();
      const ops = planCleanup(kernel.snapshotNow(cleanupRequest(NUMBERS, saved)), NUMBERS, saved);
      for (const op of ops) {
        const had = FAMILIES.filter((family) => defaultsOf(kernel, family).length > 0);
        kernel.foreign(op);
        for (const family of had) {
          if (saved.restore.hadDefault?.includes(family) === false) continue;
          assert.ok(defaultsOf(kernel, family).length > 0, `IPv${family} without a default`);
        }
      }
      assertNothingOurs(kernel);
    } catch (error) {
      console.error(`BACKROUTE_SEED=${seed}\n${kernel.render()}`);
      throw error;
    }
  }
});

// ---- single cases ----------------------------------------------------------------------------------------------------

function oneArmed(kernel: FakeKernel): PlanInput {
  const hop = (gateway: string) => ({ ifindex: kernel.link('eth0').index, interface: 'eth0', gateway, onlink: false });
  return planInput({
    paths: [planPath(4, 0, hop('192.168.1.253')), planPath(4, 1, hop('192.168.1.1'))],
    chosen: { 4: true, 6: false },
  });
}

function inForce(before: (kernel: FakeKernel) => void): { kernel: FakeKernel; bench: KeeperBench } {
  const kernel = bareKernel();
  before(kernel);
  const bench = new KeeperBench(kernel);
  bench.settle(oneArmed(kernel));
  return { kernel, bench };
}

const ways = (kernel: FakeKernel): string[] =>
  defaultsOf(kernel, 4).map((r) => `${r.nexthops[0]?.gateway} ${r.protocol} ${r.metric}`);

test('there was none before: there is none afterwards', () => {
  const { kernel, bench } = inForce(() => {});
  cleanUp(kernel, bench.saved());
  assert.deepEqual(ways(kernel), []);
  assertNothingOurs(kernel);
});

test("its former owner has taken its route away: the last choice stays, as nobody's", () => {
  const { kernel, bench } = inForce((k) => {
    k.foreign({ op: 'route-add', route: foreignDefault(k, '10.0.0.1', 'wan0', { protocol: 16 }) });
  });
  kernel.removeLink('wan0');
  cleanUp(kernel, bench.saved());
  assert.deepEqual(ways(kernel), ['192.168.1.253 4 0']);
});

test("no state was saved: ours goes where another default stands, else it stays as nobody's", () => {
  const alone = inForce(() => {});
  cleanUp(alone.kernel, null);
  assert.deepEqual(ways(alone.kernel), ['192.168.1.253 4 0']);
  assertNothingOurs(alone.kernel);

  const other = inForce((k) => {
    k.foreign({ op: 'route-add', route: foreignDefault(k, '192.168.1.9', 'eth0', { protocol: 16, metric: 100 }) });
  });
  cleanUp(other.kernel, null);
  assert.deepEqual(ways(other.kernel), ['192.168.1.9 16 100']);
});

test('a foreign default that has come back behind ours while nobody looked stands alone afterwards', () => {
  const dhcp = (k: FakeKernel) => foreignDefault(k, '192.168.1.254', 'eth0', { protocol: 16 });
  const { kernel, bench } = inForce((k) => k.foreign({ op: 'route-add', route: dhcp(k) }));
  assert.equal(kernel.foreign({ op: 'route-append', route: dhcp(kernel) }), null);
  cleanUp(kernel, bench.saved());
  assert.deepEqual(ways(kernel), ['192.168.1.254 16 0']);
});

test('sysctls go back, but not where somebody has changed them since', () => {
  const { kernel, bench } = inForce(() => {});
  const [mine, theirs] = ['net/ipv4/conf/eth0/send_redirects', 'net/ipv4/conf/all/accept_redirects'];
  assert.deepEqual([kernel.sysctl(mine), kernel.sysctl(theirs)], ['0', '0']);
  kernel.setSysctl(theirs, '7');
  cleanUp(kernel, bench.saved());
  assert.deepEqual([kernel.sysctl(mine), kernel.sysctl(theirs)], ['1', '7']);
});

test('rules and tables of others are left alone', () => {
  const { kernel, bench } = inForce((k) => {
    k.foreign({
      op: 'rule-add',
      rule: { family: 4, priority: 500, table: 500, mark: 1, mask: 255, protocol: 4, other: false },
    });
    k.foreign({ op: 'route-add', route: { ...foreignDefault(k, '10.0.0.9', 'wan0', { protocol: 4 }), table: 500 } });
  });
  cleanUp(kernel, bench.saved());
  assert.match(kernel.render(), /rule 500: fwmark/);
  assert.match(kernel.render(), /route 500: default via 10\.0\.0\.9/);
  assertNothingOurs(kernel);
});

test('twice is as good as once', () => {
  const { kernel, bench } = inForce((k) => {
    k.foreign({ op: 'route-add', route: foreignDefault(k, '192.168.1.254', 'eth0', { protocol: 16 }) });
  });
  const saved = bench.saved();
  cleanUp(kernel, saved);
  const once = kernel.render();
  assert.deepEqual(
    cleanUp(kernel, saved).filter((op) => !/^sysctl/.test(op)),
    [],
  );
  assert.equal(kernel.render(), once);
});

test('several next hops as the last way out stay as one static route, without those that are dead', () => {
  for (const family of FAMILIES) {
    for (const dead of [null, 'wan0', 'eth0']) {
      const kernel = bareKernel();
      const bench = new KeeperBench(kernel);
      const hop = (device: string, four: string, six: string) => ({
        ifindex: kernel.link(device).index,
        interface: device,
        gateway: family === 4 ? four : six,
        onlink: false,
      });
      const paths = [
        planPath(family, 0, hop('eth0', '192.168.1.253', 'fe80::253')),
        planPath(family, 1, hop('wan0', '10.0.0.1', 'fe80::a')),
      ];
      const shares = [0, 1].map((slot) => ({ slot, weight: slot + 1 }));
      bench.settle(planInput({ paths, sharing: { 4: [], 6: [], [family]: shares } }));
      if (dead !== null) kernel.setAdmin(dead, false);
      cleanUp(kernel, null);
      assertNothingOurs(kernel);
      const [left, ...more] = defaultsOf(kernel, family);
      assert.deepEqual(more, []);
      const expected = paths.flatMap((p) => (p.hop === null || p.hop.interface === dead ? [] : [p.hop.gateway]));
      assert.deepEqual(
        left?.nexthops.map((n) => n.gateway),
        expected,
        `IPv${family} without ${dead}`,
      );
      assert.equal(left?.protocol, 4);
    }
  }
});
