/** The transaction that makes our nftables table, and what is made of nft's answers. test/lab/nft-*.test.ts puts it before a kernel. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FlowRules, NftRules, WayOut } from '../../../src/core/kernel.js';
import { argumentsOf, complaint } from '../../../src/kernel/nft/run.js';
import { fingerprintOf, listsOurChains, nftTransaction } from '../../../src/kernel/nft/table.js';

type Json = Readonly<Record<string, unknown>>;

const MASK = 0x7f000000;
const own = (slot: number, family: 4 | 6 = 4): WayOut => ({ family, interface: `wan${slot}`, gateway: null, mac: null });
const shared = (slot: number, family: 4 | 6 = 4, mac: string | null = null): WayOut => ({
  family,
  interface: 'lan0',
  gateway: family === 4 ? `192.168.1.${slot + 1}` : `fe80::${(slot + 1).toString(16)}`,
  mac,
});
const marked = (ways: readonly (readonly [number, WayOut])[], mask = MASK): FlowRules => {
  const unit = mask & -mask;
  return {
    mask,
    ways: ways.map(([slot, way]) => ({ ...way, mark: ((slot + 1) * unit) >>> 0 })),
    inbound: true,
    resetAstray: true,
    untrackedMark: (1 << (31 - Math.clz32(mask))) >>> 0,
  };
};
const MANY = Array.from({ length: 63 }, (_, slot) => slot);
const everything = (way: (slot: number, family: 4 | 6) => WayOut): NftRules => {
  const ways = MANY.flatMap((slot) => ([4, 6] as const).map((family) => [slot, way(slot, family)] as const));
  return {
    dropNdRedirectsOn: ['lan0'],
    flows: marked(ways),
    masquerade: ways.map(([, one]) => one),
    prefixes: MANY.map((slot) => ({ way: way(slot, 6), inside: 'fd00:1::/64', outside: `2001:db8:${slot + 1}::/64` })),
  };
};

function commands(rules: NftRules | null, how?: 'keep-dead' | 'afresh'): Json[] {
  return nftTransaction('f', rules, how) as Json[];
}

/** The statements of a chain's rules. */
function rulesOf(rules: NftRules, chain: string): Json[][] {
  return commands(rules)
    .map((command) => (command.add as { rule?: { chain: string; expr: Json[] } } | undefined)?.rule)
    .flatMap((rule) => (rule?.chain === chain ? [rule.expr] : []));
}

function statements(rules: NftRules): Json[] {
  return commands(rules).flatMap((command) => (command.add as { rule?: { expr: Json[] } } | undefined)?.rule?.expr ?? []);
}

/** Whether a command is there, by the words that its JSON begins with. */
function has(list: readonly Json[], verb: 'add' | 'delete', kind: string, name: string): boolean {
  return list.some((command) => {
    const object = command[verb] as Record<string, { name?: string }> | undefined;
    return object?.[kind]?.name === name;
  });
}

describe('the table as a transaction', () => {
  test('removing begins with adding: it succeeds whether or not the table stands', () => {
    const table = { table: { family: 'inet', name: 'backroute' } };
    assert.deepEqual(commands(null), [{ add: table }, { delete: table }]);
  });

  test('a new one keeps the dead, and goes without them when nothing is remembered', () => {
    const flows = marked([[0, own(0)]]);
    const keeping = commands({ dropNdRedirectsOn: [], flows });
    const forgetting = commands({ dropNdRedirectsOn: [] });
    const afresh = commands({ dropNdRedirectsOn: [], flows }, 'afresh');
    for (const name of ['dead4', 'dead6']) {
      assert.ok(has(keeping, 'add', 'set', name) && !has(keeping, 'delete', 'set', name), name);
      assert.ok(has(forgetting, 'delete', 'set', name), name);
    }
    assert.ok(!has(keeping, 'delete', 'table', 'backroute'));
    assert.ok(has(afresh, 'delete', 'table', 'backroute') && has(afresh, 'add', 'set', 'dead6'));
  });

  test('only between several ways, and only where connections are ended, are the astray reset', () => {
    const two = marked([
      [0, own(0)],
      [0, own(0, 6)],
      [1, own(1)],
    ]);
    const rules = (flows: FlowRules): number[] =>
      ['forward', 'output', 'astray'].map((chain) => rulesOf({ dropNdRedirectsOn: [], flows }, chain).length);
    const [, dead = 0] = rules({ ...two, resetAstray: false });
    assert.deepEqual(rules({ ...two, resetAstray: false }), [0, dead, 0]);
    assert.deepEqual(rules(marked([[0, own(0)]])), [0, dead, 0]);
    assert.deepEqual(rules(two), [1, dead + 1, 2], 'one for each way, both families at once');
  });

  test('every chain that is made is one that the next transaction takes away first', () => {
    const all = commands({ ...everything(own), dropNdRedirectsOn: ['lan0'] });
    const made = all.flatMap((command) => {
      const chain = (command.add as { chain?: { name: string } } | undefined)?.chain;
      return chain === undefined ? [] : [chain.name];
    });
    for (const name of made) assert.ok(has(all, 'delete', 'chain', name), name);
    assert.ok(new Set(made).size >= 10);
  });

  test('63 uplinks of both families: arguments that Linux takes, cut between two commands', () => {
    for (const way of [own, (slot: number, family: 4 | 6) => shared(slot, family, '02:00:00:00:00:01')]) {
      const list = commands(everything(way));
      const args = argumentsOf(list);
      assert.ok(args.length > 1);
      for (const one of args) assert.ok(Buffer.byteLength(one) < 128 * 1024, String(Buffer.byteLength(one)));
      // As nft puts them together again.
      assert.deepEqual(JSON.parse(args.join(' ')), { nftables: list });
    }
    assert.deepEqual(JSON.parse(argumentsOf([]).join(' ')), { nftables: [] });
  });
});

describe('what the rules may do', () => {
  test('no mark is written outside the mask, wherever the mask lies', () => {
    for (const mask of [0x7f000000, 0xfe000000, 0x7f, 0x3fc00, 0xff00]) {
      const ways = MANY.map((slot) => [slot, own(slot)] as const);
      const written = statements({ dropNdRedirectsOn: [], flows: marked(ways, mask) }).flatMap((statement) => {
        const value = (statement.mangle as { value: { '|': [{ '&': [Json, number] }, number] } } | undefined)?.value['|'];
        return value === undefined ? [] : [value];
      });
      assert.equal(written.length, 3 * MANY.length);
      for (const [kept, set] of written) {
        assert.equal(kept['&'][1], ~mask >>> 0);
        assert.equal((set & mask) >>> 0, set);
        assert.ok(set > 0);
      }
    }
  });

  test('no verdict but the reset of the ended, and the redirect that IPv6 has no switch for', () => {
    const kinds = new Set(statements(everything(own)).flatMap((statement) => Object.keys(statement)));
    const allowed = ['match', 'mangle', 'jump', 'notrack', 'reject', 'masquerade', 'snat', 'dnat', 'drop'];
    assert.deepEqual([...kinds].toSorted(), allowed.toSorted());
    const quiet = new Set(statements({ ...everything(own), dropNdRedirectsOn: [] }).flatMap((one) => Object.keys(one)));
    assert.ok(!quiet.has('drop'));
  });

  test('an interface of one uplink tells both families in one rule, a single family says which', () => {
    const both = {
      dropNdRedirectsOn: [],
      flows: marked([
        [0, own(0, 4)],
        [0, own(0, 6)],
      ]),
    };
    assert.equal(rulesOf(both, 'leaving').length, 1);
    assert.doesNotMatch(JSON.stringify(rulesOf(both, 'leaving')), /nfproto/);
    const single = { dropNdRedirectsOn: [], flows: marked([[0, own(0, 6)]]) };
    assert.match(JSON.stringify(rulesOf(single, 'leaving')), /nfproto.*ipv6/);
    const two = {
      dropNdRedirectsOn: [],
      flows: marked([
        [0, own(0, 4)],
        [1, own(0, 6)],
      ]),
    };
    assert.equal(rulesOf(two, 'leaving').length, 2);
  });

  test('a shared interface: the next hop tells what leaves, the MAC what comes in, and nothing where it is not known', () => {
    const known = {
      dropNdRedirectsOn: [],
      flows: marked([
        [0, shared(0, 4, '02:00:00:00:00:fd')],
        [1, shared(1)],
      ]),
    };
    assert.match(JSON.stringify(rulesOf(known, 'leaving')), /nexthop.*192\.168\.1\.1.*nexthop.*192\.168\.1\.2/);
    assert.equal(rulesOf(known, 'arriving').length, 1);
    assert.match(JSON.stringify(rulesOf(known, 'arriving')), /02:00:00:00:00:fd/);
    const unknown = {
      dropNdRedirectsOn: [],
      flows: marked([
        [0, shared(0)],
        [1, shared(1)],
      ]),
    };
    assert.equal(rulesOf(unknown, 'arriving').length, 0);
    assert.doesNotMatch(JSON.stringify(rulesOf(unknown, 'prerouting')), /arriving/);
  });

  test('on a shared interface what is said with a router itself is not remembered', () => {
    const flows = marked([[0, shared(0, 4, '02:00:00:00:00:fd')]]);
    const rules = { dropNdRedirectsOn: [], flows };
    const except = (field: string) =>
      JSON.stringify({ op: '!=', left: { payload: { protocol: 'ip', field } }, right: '192.168.1.1' });
    for (const [chain, field] of [
      ['leaving', 'daddr'],
      ['arriving', 'saddr'],
    ] as const) {
      assert.ok(JSON.stringify(rulesOf(rules, chain)).includes(except(field)), chain);
    }
    const alone = JSON.stringify(rulesOf({ dropNdRedirectsOn: [], flows: marked([[0, own(0)]]) }, 'leaving'));
    assert.doesNotMatch(alone, /daddr/);
  });

  test('without `inbound` nothing is remembered of what comes in', () => {
    const flows = { ...marked([[0, own(0)]]), inbound: false };
    assert.equal(rulesOf({ dropNdRedirectsOn: [], flows }, 'arriving').length, 0);
    assert.equal(rulesOf({ dropNdRedirectsOn: [], flows }, 'leaving').length, 1);
  });

  test('no way at all: the dead are reset all the same', () => {
    const rules = { dropNdRedirectsOn: [], flows: marked([]) };
    assert.equal(rulesOf(rules, 'dead').length, 4);
    assert.doesNotMatch(JSON.stringify(commands(rules)), /"set":\[\]/);
  });
});

describe("nft's answers", () => {
  test('the fingerprint is found again, and only ours', () => {
    const set = { family: 'inet', table: 'backroute', name: 'fingerprint', elem: [{ elem: { val: 0, comment: 'yes' } }] };
    assert.equal(fingerprintOf({ nftables: [{ metainfo: {} }, { set }] }), 'yes');
    const others: unknown[] = [null, {}, { nftables: 5 }, { nftables: [null, 3, { set: null }] }];
    for (const change of [{ table: 'mine' }, { family: 'ip' }, { name: 'other' }, { elem: [] }, { elem: [0] }, { elem: null }]) {
      others.push({ nftables: [{ set: { ...set, ...change } }] });
    }
    for (const other of others) assert.equal(fingerprintOf(other), '', JSON.stringify(other));
  });

  test('a table of our name without it is seen by its chains', () => {
    const chain = (table: string): object => ({ nftables: [{ chain: { family: 'inet', table, name: 'output' } }] });
    assert.deepEqual(
      [listsOurChains(chain('backroute')), listsOurChains(chain('filter')), listsOurChains(null)],
      [true, false, false],
    );
  });

  test('complaints name what helps', () => {
    const cases: [string, string, RegExp][] = [
      ['JSON support not compiled-in\n', 'EOPNOTSUPP', /speaks no JSON/],
      ["nft: invalid option -- 'j'\nUsage: nft [ options ]", 'EOPNOTSUPP', /speaks no JSON/],
      ['Unable to initialize Netlink socket: Protocol not supported', 'EOPNOTSUPP', /kernel has no nftables/],
      ['Operation not permitted (you must be root)', 'EPERM', /CAP_NET_ADMIN/],
      ['internal:0:0-0: Error: Could not process rule: No such file or directory\n', 'EOPNOTSUPP', /module/],
      ['internal:0:0-0: Error: No such file or directory\n', 'ENOENT', /No such file/],
      ['internal:0:0-0: Error: Could not process rule: File exists\n', 'EEXIST', /File exists/],
      ['internal:0:0-0: Error: something new', 'EINVAL', /something new/],
      ['', 'EINVAL', /nft/],
    ];
    for (const [stderr, errno, text] of cases) {
      const error = complaint(stderr);
      assert.equal(error.errno, errno, stderr);
      assert.match(error.message, text);
    }
    assert.ok(complaint('x'.repeat(1e6)).message.length < 1000);
  });
});
