/** The netlink codec: captured bytes mean what they meant, and what is written is read back the same. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { RouteState, RuleState } from '../../../src/core/kernel.js';
import type { Family } from '../../../src/core/model.js';
import { KernelError } from '../../../src/kernel/error.js';
import { formatAddress, parseAddress } from '../../../src/kernel/netlink/address.js';
import * as nl from '../../../src/kernel/netlink/constants.js';
import { expandNexthop, type NexthopObject } from '../../../src/kernel/netlink/nexthop.js';
import { decodeRoute, encodeRoute, glanceRoute, nexthopObjectOf } from '../../../src/kernel/netlink/route.js';
import { decodeRule, encodeRule } from '../../../src/kernel/netlink/rule.js';
import { forEachMessage, HEADER_LENGTH, MalformedError } from '../../../src/kernel/netlink/wire.js';
import { describeDatagrams } from '../../golden/netlink/describe.js';
import fc from '../../support/properties.js';
import { seedFromEnvironment } from '../../support/random.js';

/** The golden files stay in the source tree; this file runs from dist/. */
const GOLDEN = fileURLToPath(new URL('../../../../test/golden/netlink/', import.meta.url));
const captures = readdirSync(GOLDEN).filter((name) => name.endsWith('.hex'));

function datagramsOf(name: string): Buffer[] {
  const lines = readFileSync(join(GOLDEN, name), 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => Buffer.from(line, 'hex'));
}

describe('captured bytes', () => {
  test('there are captures', () => assert.ok(captures.length >= 10));
  for (const name of captures) {
    test(name, () => {
      const expected: unknown = JSON.parse(readFileSync(join(GOLDEN, name.replace('.hex', '.json')), 'utf8'));
      assert.deepEqual(describeDatagrams(datagramsOf(name)), expected);
    });
  }

  test('every captured route is written as it was read', () => {
    let seen = 0;
    for (const name of captures.filter((capture) => capture.startsWith('routes'))) {
      for (const datagram of datagramsOf(name)) {
        forEachMessage(datagram, (message) => {
          if (message.type !== nl.RTM_NEWROUTE) return;
          const route = decodeRoute(message.body);
          assert.ok(route);
          const again = decodeRoute(encodeRoute(nl.RTM_NEWROUTE, 0, 1, route).subarray(HEADER_LENGTH));
          // A lifetime is not written. A nexthop object stands for the hops, and a blackhole of its kind for the type.
          const byObject = hasNexthopObject(route);
          const same = { ...route, expires: false, ...(byObject ? { type: 'unicast', nexthops: [] } : {}) };
          assert.deepEqual(again, same);
          seen++;
        });
      }
    }
    assert.ok(seen > 30, `${seen} routes`);
  });
});

function hasNexthopObject(route: RouteState): boolean {
  return Buffer.from(route.rest, 'base64').includes(Buffer.from([8, 0, nl.RTA.nhId, 0]));
}

/** Plain objects, as the codec makes them; fast-check's own have no prototype now and then. */
const record = <T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(fields, { noNullPrototype: true }) as fc.Arbitrary<T>;

const addressOf = (family: Family): fc.Arbitrary<string> =>
  fc
    .uint8Array({ minLength: family === 4 ? 4 : 16, maxLength: family === 4 ? 4 : 16 })
    .map((bytes) => formatAddress(family, Buffer.from(bytes)));

const u32 = fc.integer({ min: 0, max: 0xffffffff });
const byte = fc.integer({ min: 0, max: 255 });

function destinationOf(family: Family): fc.Arbitrary<string> {
  const bits = family === 4 ? 32 : 128;
  return fc.oneof(
    fc.constant('default'),
    fc.tuple(addressOf(family), fc.integer({ min: 1, max: bits })).map(([address, length]) => `${address}/${length}`),
  );
}

const routes: fc.Arbitrary<RouteState> = fc
  .constantFrom<Family>(4, 6)
  .chain((family) => {
    const nexthop = record({
      ifindex: fc.integer({ min: 1, max: 0x7fffffff }),
      gateway: fc.oneof(fc.constant(null), addressOf(family)),
      onlink: fc.boolean(),
    });
    const several = fc.array(
      fc.tuple(nexthop, fc.integer({ min: 1, max: 256 })).map(([hop, weight]) => (weight === 1 ? hop : { ...hop, weight })),
      { minLength: 2, maxLength: 64 },
    );
    return record({
      family: fc.constant(family),
      table: u32,
      destination: destinationOf(family),
      type: fc.constantFrom('unicast', 'unreachable', 'blackhole', 'prohibit'),
      protocol: byte,
      metric: u32,
      tos: byte,
      scope: byte,
      prefsrc: fc.oneof(fc.constant(null), addressOf(family)),
      nexthops: fc.oneof(fc.array(nexthop, { minLength: 1, maxLength: 1 }), several),
      expires: fc.constant(false),
      rest: fc.constantFrom('', 'FAAIAAgAAgB4BQAACAAIAFAFAAA='),
    });
  })
  .map((route) => (route.type === 'unicast' ? route : { ...route, nexthops: [] }));

describe('what is written is read back', () => {
  test('routes', () => {
    fc.assert(
      fc.property(routes, (route) => {
        const body = encodeRoute(nl.RTM_NEWROUTE, 0, 1, route).subarray(HEADER_LENGTH);
        assert.deepEqual(decodeRoute(body), route);
        assert.equal(glanceRoute(body)?.table, route.table);
        assert.equal(glanceRoute(body)?.isDefault, route.destination === 'default');
      }),
    );
  });

  test('rules', () => {
    const port = fc.integer({ min: 1, max: 0xffff });
    const some = <T extends object>(part: fc.Arbitrary<T>): fc.Arbitrary<T | object> => fc.oneof(fc.constant({}), part);
    const rules = fc.constantFrom<Family>(4, 6).chain((family) => {
      const network = destinationOf(family).filter((destination) => destination !== 'default');
      const always = record({
        family: fc.constant(family),
        priority: u32,
        table: fc.integer({ min: 1, max: 0xffffffff }),
        mark: u32,
        mask: u32,
        protocol: byte,
        other: fc.constant(false),
      });
      return fc
        .tuple(
          always,
          some(record({ source: network })),
          some(record({ destination: network })),
          some(record({ incoming: fc.constantFrom('lo', 'eth0.5') })),
          some(record({ ipProtocol: fc.integer({ min: 1, max: 255 }) })),
          some(record({ ports: record({ first: port, last: port }) })),
          some(record({ suppress: fc.integer({ min: 0, max: 128 }) })),
          some(record({ action: fc.constant('unreachable' as const), table: fc.constant(0) })),
        )
        .map((parts): RuleState => Object.assign({}, ...parts));
    });
    fc.assert(
      fc.property(rules, (rule) => {
        assert.deepEqual(decodeRule(encodeRule(nl.RTM_NEWRULE, 0, 1, rule).subarray(HEADER_LENGTH)), rule);
      }),
    );
  });

  test('addresses', () => {
    for (const family of [4, 6] as const) {
      fc.assert(
        fc.property(addressOf(family), (address) => {
          assert.equal(formatAddress(family, parseAddress(family, address)), address);
        }),
      );
    }
  });

  test('a single next hop is written without a weight, and a weight that cannot be not at all', () => {
    const [sample] = fc.sample(routes, 1);
    assert.ok(sample);
    const hop = { ifindex: 3, gateway: '192.0.2.1', onlink: false };
    const base: RouteState = { ...sample, family: 4, destination: 'default', prefsrc: null, type: 'unicast', rest: '' };
    const written = (weights: readonly number[]): Buffer =>
      encodeRoute(nl.RTM_NEWROUTE, 0, 1, { ...base, nexthops: weights.map((weight) => ({ ...hop, weight })) });
    assert.deepEqual(written([7]), encodeRoute(nl.RTM_NEWROUTE, 0, 1, { ...base, nexthops: [hop] }));
    assert.deepEqual(decodeRoute(written([1, 256]).subarray(HEADER_LENGTH))?.nexthops, [hop, { ...hop, weight: 256 }]);
    for (const weight of [0, 257, 1.5, Number.NaN]) assert.throws(() => written([weight, 1]), KernelError);
  });

  test("a router's preference is read, and put back by `rest` alone", () => {
    const [sample] = fc.sample(routes, 1);
    assert.ok(sample);
    const nexthops = [{ ifindex: 3, gateway: 'fe80::1', onlink: false }];
    const base: RouteState = { ...sample, family: 6, destination: 'default', prefsrc: null, type: 'unicast', nexthops };
    const read = (route: RouteState): RouteState | null =>
      decodeRoute(encodeRoute(nl.RTM_NEWROUTE, 0, 1, route).subarray(HEADER_LENGTH));
    const PREF = { 1: 'high', 2: undefined, 3: 'low' } as const;
    for (const [value, preference] of Object.entries(PREF)) {
      const rest = Buffer.from([5, 0, nl.RTA.pref, 0, Number(value), 0, 0, 0]).toString('base64');
      const route = read({ ...base, rest });
      assert.equal(route?.preference, preference);
      assert.equal(route?.rest, rest);
      assert.deepEqual(read(route), route);
    }
    assert.equal(read({ ...base, rest: '', preference: 'high' })?.preference, undefined);
  });

  test('rules that cannot be are not written', () => {
    const rule: RuleState = { family: 4, priority: 1, table: 254, mark: 0, mask: 0, protocol: 1, other: false };
    for (const change of [
      { other: true },
      { ports: { first: 0, last: 5 } },
      { ports: { first: 5, last: 70_000 } },
      { source: 'x/8' },
    ]) {
      assert.throws(() => encodeRule(nl.RTM_NEWRULE, 0, 1, { ...rule, ...change }), KernelError);
    }
  });

  test('nexthops by object are what the kernel would have made of them', () => {
    const hop = { ifindex: 3, gateway: '192.0.2.1', onlink: false };
    const other = { ifindex: 4, gateway: null, onlink: true };
    const objects: readonly NexthopObject[] = [
      { id: 1, hop, members: [] },
      { id: 2, hop: other, members: [] },
      {
        id: 3,
        hop: null,
        members: [
          { id: 1, weight: 5 },
          { id: 2, weight: 1 },
        ],
      },
      { id: 4, hop: null, members: [{ id: 2, weight: 9 }] },
      { id: 5, hop: null, members: [] },
      {
        id: 6,
        hop: null,
        members: [
          { id: 1, weight: 2 },
          { id: 99, weight: 2 },
        ],
      },
    ];
    const known = new Map(objects.map((object) => [object.id, object]));
    const expand = (id: number): unknown => expandNexthop(known, id);
    assert.deepEqual([1, 2, 3, 4, 5, 6, 7].map(expand), [[hop], [other], [{ ...hop, weight: 5 }, other], [other], [], [hop], []]);
  });

  test('a captured route by nexthop object says which one', () => {
    const objects = datagramsOf('routes4-objects.hex').flatMap((datagram) => {
      const ids: (number | null)[] = [];
      forEachMessage(datagram, (message) => {
        const route = message.type === nl.RTM_NEWROUTE ? decodeRoute(message.body) : null;
        if (route !== null) ids.push(nexthopObjectOf(route));
      });
      return ids.filter((id) => id !== null);
    });
    // The blackhole is one without a next hop to know.
    assert.deepEqual(objects, [7, 9, 10]);
  });
});

describe('addresses are spelled as RFC 5952 says', () => {
  const spellings: [string, string][] = [
    ['2001:0DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8:0:1:0:0:0:1', '2001:db8:0:1::1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['::', '::'],
    ['::1', '::1'],
    ['fe80::', 'fe80::'],
    ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
    ['64:ff9b::192.0.2.1', '64:ff9b::c000:201'],
  ];
  for (const [given, canonical] of spellings) {
    test(given, () => assert.equal(formatAddress(6, parseAddress(6, given)), canonical));
  }
  for (const wrong of ['', '1.2.3', '1.2.3.4', 'fe80::1%eth0', 'g::1']) {
    test(`refused: "${wrong}"`, () => assert.throws(() => parseAddress(6, wrong), KernelError));
  }
});

describe('broken bytes', () => {
  /** Small, seeded, and the same everywhere: a failure names the seed to begin from. */
  function* numbers(seed: number): Generator<number> {
    for (let state = seed >>> 0; ; ) {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      yield (mixed ^ (mixed >>> 14)) >>> 0;
    }
  }
  const understand = (bytes: Buffer, what: string): void => {
    try {
      describeDatagrams([bytes]);
    } catch (error) {
      assert.ok(error instanceof MalformedError, `${what}: ${error instanceof Error ? error.stack : error}`);
    }
  };
  const all = captures.flatMap((name) => datagramsOf(name).map((bytes) => ({ name, bytes })));

  test('cut short anywhere', () => {
    for (const { name, bytes } of all) {
      for (let length = 0; length < Math.min(bytes.length, 2000); length++)
        understand(bytes.subarray(0, length), `${name} cut at ${length}`);
    }
  });

  test('with bits flipped', (t) => {
    const seed = seedFromEnvironment();
    t.diagnostic(`BACKROUTE_SEED=${seed}`);
    const random = numbers(seed);
    const next = (below: number): number => (random.next().value as number) % below;
    for (let round = 0; round < 20_000; round++) {
      const chosen = all[next(all.length)];
      assert.ok(chosen);
      const bytes = Buffer.from(chosen.bytes);
      for (let flips = 1 + next(4); flips > 0; flips--) {
        const at = next(bytes.length);
        bytes[at] = (bytes[at] ?? 0) ^ (1 << next(8));
      }
      understand(bytes, `BACKROUTE_SEED=${seed}, round ${round}, ${chosen.name}`);
    }
  });
});
