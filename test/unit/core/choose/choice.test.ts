/** The choice of one family over time: what it adopts, who shares with it, and what is told of that. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Agenda } from '../../../../src/core/agenda.js';
import { type ChoiceOrders, FamilyChoice } from '../../../../src/core/choose/choice.js';
import type { UplinkConfig } from '../../../../src/core/config.js';
import type { Nexthop } from '../../../../src/core/kernel.js';
import type { SavedState } from '../../../../src/core/messages.js';
import type { Admin, Health } from '../../../../src/core/model.js';
import { Path } from '../../../../src/core/paths/path.js';
import type { FakeKernel } from '../../../support/fake-kernel.js';
import { foreignDefault, NUMBERS, noSilences, separate } from '../../../support/topology.js';

const NAMES = ['a', 'b', 'c'] as const;
type Name = (typeof NAMES)[number];

class Bench {
  readonly kernel: FakeKernel;
  readonly choice = new FamilyChoice(4, 0);
  readonly paths: readonly Path[];
  readonly admin = new Map<string, Admin>();
  drill: ChoiceOrders['drill'] = null;
  now = 10_000;

  /** a and b of one tier, c behind them. */
  constructor(change: Partial<Record<Name, Partial<UplinkConfig>>> = {}) {
    const { kernel, config } = separate(NAMES);
    this.kernel = kernel;
    let asked = 0;
    const ask = (): number => {
      asked += 1;
      return asked;
    };
    const port = { agenda: new Agenda(), random: () => 0.5, ask, changed: () => {}, suspected: () => {}, lossElsewhere: () => 1 };
    this.paths = config.uplinks.map((u, i) => {
      const own = change[u.name as Name] ?? {};
      const uplink = { ...u, tier: i < 2 ? 1 : null, weight: i === 0 ? 3 : 1, ...own };
      return new Path(uplink, 4, i, port, noSilences(uplink), 0);
    });
    this.look();
    // Each answers its first burst: nobody is doubted.
    for (const path of this.paths) {
      const first = asked + 1;
      path.steered = true;
      path.probeIfPossible(0);
      path.detector.answered(first, 20, null, 0);
      assert.equal(path.detector.state, 'answering');
    }
  }

  look(): this {
    for (const path of this.paths)
      path.locate({ state: this.kernel.state, hint: null, ownProtocol: NUMBERS.protocol, displaced: [] });
    return this;
  }

  is(name: Name, health: Health, held = true): this {
    const path = this.paths.find((p) => p.uplink.name === name);
    assert.ok(path !== undefined);
    path.verdict = { health, reason: health === 'down' ? 'upstream-silent' : 'answers' };
    path.holdDown = { failures: held ? 0 : 1, goodSinceMs: path.good ? this.now : null };
    return this;
  }

  allUp(): this {
    return this.is('a', 'up').is('b', 'up').is('c', 'up');
  }

  hop(i: number, weight?: number): Nexthop {
    const hop = { ifindex: this.kernel.link(`wan${i}`).index, gateway: `10.${i}.0.1`, onlink: false };
    return weight === undefined ? hop : { ...hop, weight };
  }

  default(nexthops: readonly Nexthop[], protocol: number): this {
    const route = foreignDefault(this.kernel, '10.0.0.1', 'wan0', { nexthops, protocol });
    assert.equal(this.kernel.foreign({ op: 'route-replace', route }), null);
    return this;
  }

  adopt(former?: SavedState['active'][4]): string | null {
    const { choice, kernel, paths } = this;
    return choice.adopt(kernel.state, paths, NUMBERS.protocol, former, this.now, this.now)?.text ?? null;
  }

  choose(): string[] {
    const orders: ChoiceOrders = {
      adminOf: (uplink) => this.admin.get(uplink) ?? 'auto',
      closedOf: () => null,
      drill: this.drill,
    };
    return this.choice.choose(this.paths, orders, this.kernel.state, this.now).map((r) => r.text);
  }

  get sharing(): string[] {
    return this.choice.sharing.map((s) => `${s.uplink}*${s.weight}`);
  }
}

// ---- adopting --------------------------------------------------------------------------------------------------------

test('our own route of several is adopted with its weights, led by who led before, and nothing is told to change', () => {
  const bench = new Bench().default([], NUMBERS.protocol);
  bench.default([bench.hop(0, 3), bench.hop(1)], NUMBERS.protocol);
  assert.match(bench.adopt({ uplink: 'b', sinceWallMs: 4_000, reason: 'preferred' }) ?? '', /goes by b: our own route/);
  assert.deepEqual(bench.sharing, ['a*3', 'b*1']);
  assert.deepEqual([bench.choice.active, bench.choice.reason, bench.choice.sinceMs], ['b', 'preferred', 4_000]);
  assert.deepEqual(bench.choose(), [], 'before any verdict');
  assert.deepEqual(bench.sharing, ['a*3', 'b*1']);
  bench.allUp();
  assert.deepEqual([bench.choose(), bench.sharing, bench.choice.active], [[], ['a*3', 'b*1'], 'b']);
  assert.ok(bench.choice.holdsFirstPlace(bench.paths));
});

test('the most preferred leads what nobody is known to have led; hops of strangers count for nothing', () => {
  const bench = new Bench();
  bench.default([bench.hop(1), bench.hop(0, 3)], NUMBERS.protocol).adopt();
  assert.deepEqual([bench.choice.active, bench.sharing], ['a', ['b*1', 'a*3']]);
  const half = new Bench();
  half.default([{ ...half.hop(0), gateway: '10.0.0.77' }, half.hop(1)], NUMBERS.protocol).adopt({
    uplink: 'a',
    sinceWallMs: 0,
    reason: 'forced',
  });
  assert.deepEqual([half.choice.active, half.sharing], ['b', ['b*1']]);
});

test('a route of several that is somebody else’s is left alone until there is a verdict, and nothing is shared for it', () => {
  const bench = new Bench();
  bench.default([bench.hop(0), bench.hop(1)], 4);
  assert.match(bench.adopt() ?? '', /goes by a: found so/);
  bench.choose();
  assert.deepEqual([bench.sharing, bench.choice.reason], [['a*1'], 'adopted']);
  assert.equal(bench.choice.holdsFirstPlace(bench.paths), false);
  bench.allUp().choose();
  assert.equal(bench.choice.holdsFirstPlace(bench.paths), true);
  assert.deepEqual(bench.sharing, ['a*3', 'b*1']);
});

test('once taken the first place is given back to nobody, also when a reload asks the path anew', () => {
  const bench = new Bench().default([], 4);
  bench.default([bench.hop(0)], 4).adopt();
  bench.allUp().choose();
  assert.ok(bench.choice.holdsFirstPlace(bench.paths));
  bench.is('a', 'unknown').choose();
  assert.ok(bench.choice.holdsFirstPlace(bench.paths));
});

// ---- sharing ---------------------------------------------------------------------------------------------------------

test('a member that fails leaves, one that returns joins when it has proven itself; both are told, the leader stays', () => {
  const bench = new Bench().allUp();
  bench.choose();
  assert.deepEqual([bench.choice.active, bench.sharing], ['a', ['a*3', 'b*1']]);
  assert.deepEqual(bench.is('b', 'down').choose(), ['IPv4 goes by a alone now']);
  assert.deepEqual(bench.sharing, ['a*1']);
  assert.deepEqual(bench.is('b', 'up', false).choose(), []);
  bench.now += 30_000;
  assert.deepEqual(bench.choose(), ['IPv4 is shared by a (3 of 4), b (1 of 4)']);
});

test('the leader fails: the rest of its tier goes on, and it comes back as a member, not as a switch', () => {
  const bench = new Bench().allUp();
  bench.choose();
  assert.match(bench.is('a', 'down').choose().join(), /^IPv4 moves from a to b/);
  assert.deepEqual(bench.sharing, ['b*1']);
  assert.deepEqual(bench.is('a', 'up').choose(), ['IPv4 is shared by a (3 of 4), b (1 of 4)']);
  assert.equal(bench.choice.active, 'b');
});

test('a member that is shut leaves; one that is forced has everything', () => {
  const bench = new Bench().allUp();
  bench.choose();
  bench.admin.set('b', 'disabled');
  bench.choose();
  assert.deepEqual(bench.sharing, ['a*1']);
  bench.admin.set('b', 'forced');
  bench.choose();
  assert.deepEqual([bench.choice.active, bench.sharing], ['b', ['b*1']]);
});

test('with nothing that works the last leader is kept, alone', () => {
  const bench = new Bench().allUp();
  bench.choose();
  const told = bench.is('a', 'down').is('b', 'down').is('c', 'down').choose();
  assert.match(told.join('\n'), /no uplink works: IPv4 stays on a/);
  assert.deepEqual(bench.sharing, ['a*1']);
});

// ---- drills ----------------------------------------------------------------------------------------------------------

test('a drill of some: one of sixteen goes by it, nothing is told of sharing, and afterwards all is as before', () => {
  const bench = new Bench().allUp();
  bench.choose();
  bench.drill = { uplink: 'c', traffic: 'some' };
  assert.deepEqual(bench.choose(), []);
  assert.deepEqual(bench.sharing, ['a*45', 'b*15', 'c*4']);
  assert.deepEqual([bench.choose(), bench.sharing], [[], ['a*45', 'b*15', 'c*4']], 'and so it stays');
  bench.drill = null;
  assert.deepEqual([bench.choose(), bench.sharing], [[], ['a*3', 'b*1']]);
});

test('a drill of some by one of the same tier that must still prove itself never makes it a member', () => {
  const bench = new Bench().is('a', 'up').is('b', 'up', false).is('c', 'up');
  bench.choose();
  bench.drill = { uplink: 'b', traffic: 'some' };
  bench.choose();
  bench.choose();
  assert.deepEqual(bench.sharing, ['a*15', 'b*1']);
  bench.drill = null;
  bench.choose();
  assert.deepEqual(bench.sharing, ['a*1']);
});

test('a drill of all takes everything from several, and gives it back to all of them', () => {
  const bench = new Bench().allUp();
  bench.choose();
  bench.drill = { uplink: 'c', traffic: 'all' };
  assert.match(bench.choose().join(), /moves from a to c: the backup is being tried/);
  assert.deepEqual([bench.sharing, bench.choice.reason], [['c*1'], 'drill']);
  bench.drill = null;
  assert.match(bench.choose().join(), /moves from c to a/);
  assert.deepEqual(bench.sharing, ['a*3', 'b*1']);
});

test('what cannot carry anything is not let in by a drill', () => {
  const bench = new Bench().allUp();
  bench.choose();
  bench.drill = { uplink: 'c', traffic: 'some' };
  bench.admin.set('c', 'disabled');
  bench.choose();
  assert.deepEqual(bench.sharing, ['a*3', 'b*1']);
  bench.admin.clear();
  bench.kernel.setAdmin('wan2', false);
  bench.look().choose();
  assert.deepEqual(bench.sharing, ['a*3', 'b*1']);
});
