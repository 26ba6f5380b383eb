/** Lease files as the clients write them, and as nobody should: what is read out of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultOfClasslessRoutes, parseDhclientLeases } from '../../../src/kernel/lease/dhclient.js';
import { parseHint, parseSystemdLease } from '../../../src/kernel/lease/key-value.js';
import { delegatedPrefix, isInterfaceName, nextHop } from '../../../src/kernel/lease/word.js';
import fc from '../../support/properties.js';

const SOURCE = "dhclient's lease";
const lease = (change: { interface?: string; lines?: string } = {}): string => `lease {
  interface "${change.interface ?? 'wan1'}";
  fixed-address 10.1.0.58;
  option subnet-mask 255.255.255.0;
${change.lines ?? '  option routers 10.1.0.1,10.1.0.9;\n  expire 1 2026/11/23 01:33:44;'}
}
`;
const word = (gateway: string | null, expiresWallMs: number | null, name = 'wan1') => ({
  interface: name,
  family: 4,
  source: SOURCE,
  gateway,
  prefix: null,
  expiresWallMs,
});
const END = Date.UTC(2026, 10, 23, 1, 33, 44);

test('dhclient: the first router, and the end in UTC', () => {
  assert.deepEqual(parseDhclientLeases(lease(), SOURCE), [word('10.1.0.1', END)]);
});

test('dhclient: the last lease of each interface counts', () => {
  const text =
    lease() +
    lease({ interface: 'wan2' }) +
    lease({ lines: '  option routers 10.1.0.3;\n  expire epoch 1800000000; # a Friday' });
  assert.deepEqual(parseDhclientLeases(text, SOURCE), [word('10.1.0.3', 1_800_000_000_000), word('10.1.0.1', END, 'wan2')]);
});

test('dhclient: ends of every form', () => {
  const ends: [string, number | null | undefined][] = [
    ['expire never;', null],
    ['', null],
    ['bootp;', null],
    ['expire epoch 12;', 12_000],
    ['expire 4 2038/01/19 03:14:08;', 2 ** 31 * 1000],
    ['expire soon;', undefined],
    ['expire epoch x;', undefined],
    ['expire 1 2026-11-23 01:33:44;', undefined],
  ];
  for (const [line, end] of ends) {
    const words = parseDhclientLeases(lease({ lines: `option routers 10.1.0.1;\n${line}` }), SOURCE);
    assert.deepEqual(words, end === undefined ? [] : [word('10.1.0.1', end)], line);
  }
});

test('dhclient: routers that are none, and classless routes that outrank them', () => {
  const cases: [string, string | null][] = [
    ['', null],
    ['option routers 0.0.0.0;', null],
    ['option routers 255.255.255.255;', null],
    ['option routers somewhere.example;', null],
    ['option routers 10.1.0.1;\noption rfc3442-classless-static-routes 24,192,168,7,10,1,0,2,0,10,1,0,5;', '10.1.0.5'],
    ['option routers 10.1.0.1;\noption rfc3442-classless-static-routes 24,192,168,7,10,1,0,2;', null],
    ['option routers 10.1.0.1;\noption unknown-121 0:a:1:0:5;', '10.1.0.5'],
  ];
  for (const [lines, gateway] of cases) {
    assert.deepEqual(parseDhclientLeases(lease({ lines }), SOURCE), [word(gateway, null)], lines);
  }
});

test('dhclient: strings and comments may hold anything', () => {
  const lines = `  option domain-name "a; } \\"lease { \\\\";
  # option routers 10.9.9.9; }
  option routers 10.1.0.1;
  expire never;`;
  assert.deepEqual(parseDhclientLeases(lease({ lines }), SOURCE), [word('10.1.0.1', null)]);
});

test('dhclient: what is half written counts for nothing, at the end or at the start', () => {
  const whole = lease();
  for (let length = 0; length < whole.trimEnd().length; length++) {
    const half = whole.slice(0, length);
    assert.deepEqual(parseDhclientLeases(half, SOURCE), [], `the first ${length} bytes`);
    // dhclient was killed in the middle, and began anew.
    assert.deepEqual(parseDhclientLeases(`${half}\n${whole}`, SOURCE), [word('10.1.0.1', END)]);
  }
  for (let start = 1; start < whole.length; start++) {
    assert.deepEqual(parseDhclientLeases(whole.slice(start) + lease({ interface: 'wan2' }), SOURCE), [
      word('10.1.0.1', END, 'wan2'),
    ]);
  }
});

const lease6 = (inside: string): string => `default-duid "\\000\\001";
lease6 {
  interface "wan1";
${inside}
  option dhcp6.client-id 0:1:0:1;
}
`;
const pd = (prefix: string, life: number): string => `  ia-pd ab:cd:ef:01 {
    starts 1700000000;
    renew 300;
    iaprefix ${prefix} {
      starts 1700000000;
      preferred-life 600;
      max-life ${life};
    }
  }`;

test('dhclient -6 -P: the delegated prefix, until it ends or is released', () => {
  const six = (prefix: string | null, expiresWallMs: number | null) => [
    { interface: 'wan1', family: 6, source: SOURCE, gateway: null, prefix, expiresWallMs },
  ];
  const read = (inside: string) => parseDhclientLeases(lease6(inside), SOURCE);
  assert.deepEqual(read(pd('2001:DB8:5:0::/56', 900)), six('2001:db8:5::/56', 1_700_000_900_000));
  assert.deepEqual(read(pd('2001:db8:5::/56', 4294967295)), six('2001:db8:5::/56', null));
  assert.deepEqual(read(`${pd('2001:db8:5::/56', 900)}\n  released;`), six(null, null));
  assert.deepEqual(read(pd('nonsense/56', 900)), six(null, null));
  assert.deepEqual(read('  ia-na aa:bb { iaaddr 2001:db8::1 { starts 1; max-life 5; } }'), six(null, null));
});

test('dhclient: a hostile file takes no longer than its size', () => {
  const size = 1 << 20;
  const hostile = ['"', '\\"', '{', '}', ';', 'lease {', 'lease {\n', '#', 'lease {"\\', ' ', 'lease\n', '"\\"lease {\n"'];
  for (const piece of hostile) {
    const text = lease({ interface: 'wan2' }) + piece.repeat(size / piece.length);
    const started = performance.now();
    parseDhclientLeases(text, SOURCE);
    const tookMs = performance.now() - started;
    assert.ok(tookMs < 3000, `${JSON.stringify(piece)} over and over: ${tookMs} ms`);
  }
});

test('any bytes at all: nothing is thrown, and nothing comes out that cannot be', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc
      .array(
        fc.constantFrom(
          'lease {\n',
          'lease6 {\n',
          'interface "wan1";',
          'option routers ',
          '10.1.0.1;',
          '}',
          '"',
          'ia-pd x {',
          '::/',
        ),
      )
      .map((parts) => parts.join(' ')),
  );
  fc.assert(
    fc.property(text, (anything) => {
      for (const one of parseDhclientLeases(anything, SOURCE)) {
        assert.ok(isInterfaceName(one.interface));
        if (one.gateway !== null) assert.equal(nextHop(one.gateway, 4), one.gateway);
      }
      parseSystemdLease(anything, 'wan1', SOURCE, 0);
      try {
        parseHint(anything);
      } catch (error) {
        assert.equal((error as Error).name, 'HintError');
      }
    }),
    { numRuns: 500 },
  );
});

test('networkd: the router, and an end that counts from the writing', () => {
  const text = '# This is private data. Do not parse.\nADDRESS=10.1.0.58\nROUTER=10.1.0.1 10.1.0.9\nLIFETIME=3600\n';
  const six = { interface: 'wan1', family: 4, source: 'x', prefix: null };
  assert.deepEqual(parseSystemdLease(text, 'wan1', 'x', 1000), { ...six, gateway: '10.1.0.1', expiresWallMs: 3_601_000 });
  assert.deepEqual(
    parseSystemdLease(`${text}ROUTES=10.9.0.0/16,10.1.0.2 0.0.0.0/0,10.1.0.7\nLIFETIME=4294967295`, 'wan1', 'x', 0),
    {
      ...six,
      gateway: '10.1.0.7',
      expiresWallMs: null,
    },
  );
  assert.equal(parseSystemdLease('ADDRESS=10.1.0.58\n', 'wan1', 'x', 0), null);
});

test('hints: what they say, and why one is not heeded', () => {
  const good = "interface=wan1\nfamily=4\nsource=dhclient's hook\ngateway=10.1.0.1\nprefix=\nexpires=1800000000\nmore=later\n";
  assert.deepEqual(parseHint(good), {
    interface: 'wan1',
    family: 4,
    source: "dhclient's hook",
    gateway: '10.1.0.1',
    prefix: null,
    expiresWallMs: 1_800_000_000_000,
  });
  assert.equal(parseHint('interface=wan1\nfamily=6\nprefix=2001:db8:5:7::/56\n').prefix, '2001:db8:5::/56');
  assert.equal(parseHint('interface=wan1\nfamily=6\ngateway=fe80::1%wan1\n').gateway, 'fe80::1');
  assert.equal(parseHint(good.replace("dhclient's hook", '\u001b[2J')).source, 'exit hook');
  const bad: [string, RegExp][] = [
    ['', /names no interface/],
    ['interface=../../etc\nfamily=4', /names no interface/],
    ['interface=wan1\nfamily=5', /family is neither/],
    ['interface=wan1\nfamily=4\ngateway=fe80::1', /gateway "fe80::1" cannot be an IPv4 next hop/],
    ['interface=wan1\nfamily=4\ngateway=127.0.0.1', /cannot be an IPv4 next hop/],
    ['interface=wan1\nfamily=4\ngateway=\u001b[2J', /gateway "\?\[2J"/],
    ['interface=wan1\nfamily=6\ngateway=ff02::1', /cannot be an IPv6 next hop/],
    ['interface=wan1\nfamily=6\nprefix=2001:db8::', /cannot be a delegated IPv6 prefix/],
    ['interface=wan1\nfamily=4\nprefix=2001:db8::/56', /cannot be a delegated IPv6 prefix/],
    ['interface=wan1\nfamily=4\nexpires=tomorrow', /expires "tomorrow" is no Unix time/],
  ];
  for (const [text, why] of bad) assert.throws(() => parseHint(text), why, JSON.stringify(text));
});

test('prefixes, classless routes and names of interfaces at their limits', () => {
  assert.equal(delegatedPrefix('2001:db8:ffff::1/33'), '2001:db8:8000::/33');
  for (const text of ['::/0', 'fe80::/64', 'ff00::/8', '2001:db8::/128', '2001:db8::/7', '2001:db8::/x', '10.0.0.0/8', '']) {
    assert.equal(delegatedPrefix(text), null, text);
  }
  assert.equal(defaultOfClasslessRoutes('0,10,1,0'), null);
  assert.equal(defaultOfClasslessRoutes('33,1,2,3,4,10,1,0,1,0,10,1,0,1'), null);
  assert.equal(defaultOfClasslessRoutes('32,1,2,3,4,10,1,0,1,0,10,1,0,1'), '10.1.0.1');
  for (const name of ['', '.', '..', 'a b', 'a/b', 'a\nb', 'sixteen-letters-', 'a:b'])
    assert.equal(isInterfaceName(name), false, name);
  for (const name of ['wan1', 'eth0.5', 'fünf', 'enp0s31f6']) assert.equal(isInterfaceName(name), true, name);
});
