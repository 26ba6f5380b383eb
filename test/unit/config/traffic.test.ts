/**
 * Uplinks that change, share, cost money and are translated; via, connections and the drill: the text of a configuration to the
 * core's types, or to problems at their lines.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BUILT_IN, DRILL, METERED } from '../../../src/config/defaults.js';
import { parseConfig } from '../../../src/config/parse.js';
import { formatProblem } from '../../../src/config/problem.js';
import type { Config, UplinkConfig } from '../../../src/core/config.js';

function parse(text: string): { config: Config; warnings: string[] } {
  const result = parseConfig(text, 'f');
  assert.ok(result.ok, result.ok ? '' : result.problems.map(formatProblem).join('\n'));
  return { config: result.config, warnings: result.warnings.map(formatProblem) };
}

function config(text: string): Config {
  const { config, warnings } = parse(text);
  assert.deepEqual(warnings, []);
  return config;
}

/** One uplink with these keys, and a plain one behind it. */
const uplink = (keys: string): string => `uplinks:\n  a: {${keys}}\n  z: {gateway: rz}\n`;
const first = (keys: string): UplinkConfig => config(uplink(keys)).uplinks[0] ?? assert.fail();
const TWO = 'uplinks:\n  fast: {gateway: r1}\n  backup: {gateway: r2}\n';

/** Every new key at once. */
const WHOLE = `uplinks:
  fibre: {gateway: auto, interface: wan1, targets: [192.0.2.9], tier: 1, weight: 3}
  cable: {gateway: auto, gateway6: auto, interface: wan2, tier: 1, prefix: "2001:db8:5::/64"}
  lte: {gateway: auto, gateway6: "fe80::1", interface: wwan0, prefix: auto, metered: {cap: 20GB}}
masquerade: true
lan-prefix: FD00:1:0::/64
connections: {failover: keep, failback: drain, drain: 30m, move-udp: [53, 5060, 53], inbound: active}
via:
  20: {port: 443, uplink: cable}
  3: {from: 192.168.1.32/28, to: 203.0.113.7, port: udp/5060-5070, uplink: cable, fallback: block}
  six: {to: "2001:DB8:9::/48", uplink: lte}
drill: {every: 2d, at: 4:05, uplinks: [lte], traffic: all, for: 2m}
router-advertisements: ignore
`;

test('every key of them', () => {
  const { uplinks, ...rest } = config(WHOLE);
  assert.deepEqual(
    uplinks.map(({ name, gateways, interface: device, tier, weight, metered, prefix }) => ({
      name,
      gateways,
      device,
      tier,
      weight,
      metered,
      prefix,
    })),
    [
      {
        name: 'fibre',
        gateways: [{ family: 4, host: { kind: 'auto' } }],
        device: 'wan1',
        tier: 1,
        weight: 3,
        metered: null,
        prefix: null,
      },
      {
        name: 'cable',
        gateways: [
          { family: 4, host: { kind: 'auto' } },
          { family: 6, host: { kind: 'auto' } },
        ],
        device: 'wan2',
        tier: 1,
        weight: 1,
        metered: null,
        prefix: '2001:db8:5::/64',
      },
      {
        name: 'lte',
        gateways: [
          { family: 4, host: { kind: 'auto' } },
          { family: 6, host: { kind: 'address', address: 'fe80::1', family: 6 } },
        ],
        device: 'wwan0',
        tier: null,
        weight: 1,
        metered: { probeBudgetBytes: 50e6, capBytes: 20e9, startsOnDay: 1, atCap: 'warn' },
        prefix: 'auto',
      },
    ],
  );
  assert.equal(rest.masquerade, true);
  assert.equal(rest.lanPrefix, 'fd00:1::/64');
  assert.equal(rest.routerAdvertisements, 'ignore');
  assert.deepEqual(rest.connections, {
    failover: 'keep',
    failback: 'drain',
    drainMs: 1_800_000,
    moveUdpPorts: [53, 5060],
    inbound: 'active',
  });
  // In the order of the file, also where names are numbers.
  assert.deepEqual(rest.via, [
    {
      name: '20',
      uplink: 'cable',
      families: [4, 6],
      source: null,
      destination: null,
      protocols: ['tcp', 'udp'],
      ports: { first: 443, last: 443 },
      fallback: 'balance',
    },
    {
      name: '3',
      uplink: 'cable',
      families: [4],
      source: '192.168.1.32/28',
      destination: '203.0.113.7/32',
      protocols: ['udp'],
      ports: { first: 5060, last: 5070 },
      fallback: 'block',
    },
    {
      name: 'six',
      uplink: 'lte',
      families: [6],
      source: null,
      destination: '2001:db8:9::/48',
      protocols: [],
      ports: null,
      fallback: 'balance',
    },
  ]);
  assert.deepEqual(rest.drill, { everyDays: 2, atMinute: 245, uplinks: ['lte'], traffic: 'all', forMs: 120_000 });
});

test('the same text read again is the same configuration', () => {
  assert.deepEqual(config(WHOLE), config(WHOLE));
  assert.deepEqual(config(WHOLE), config(`# a remark\n${WHOLE.replaceAll('192.168.1.32/28', '"192.168.1.32/28"')}`));
  assert.notDeepEqual(config(WHOLE), config(WHOLE.replace('weight: 3', 'weight: 2')));
});

test('what holds where nothing is said', () => {
  const { connections, via, masquerade, lanPrefix, drill, routerAdvertisements, uplinks } = config(TWO);
  assert.deepEqual(
    { connections, via, masquerade, lanPrefix, drill, routerAdvertisements },
    {
      connections: { ...BUILT_IN.connections },
      via: [],
      masquerade: false,
      lanPrefix: null,
      drill: null,
      routerAdvertisements: 'watch',
    },
  );
  assert.deepEqual(
    uplinks.map(({ tier, weight, metered, prefix }) => ({ tier, weight, metered, prefix })),
    uplinks.map(() => ({ tier: null, weight: 1, metered: null, prefix: null })),
  );
});

test('metered: true, false, and in part', () => {
  assert.deepEqual(first('gateway: r, metered: true').metered, { ...METERED });
  assert.equal(first('gateway: r, metered: false').metered, null);
  assert.deepEqual(first('gateway: r, metered: {}').metered, { ...METERED });
  assert.deepEqual(first('gateway: r, metered: {cap: 1.5GiB, starts-on: 28, at-cap: disable}').metered, {
    probeBudgetBytes: 50e6,
    capBytes: 1.5 * 2 ** 30,
    startsOnDay: 28,
    atCap: 'disable',
  });
  // A built-in budget never makes a file wrong that does not name it.
  assert.equal(first('gateway: r, metered: {cap: 40MB}').metered?.probeBudgetBytes, 4e6);
});

test('connections: off, in part, and without a list', () => {
  assert.equal(config(`${TWO}connections: off\n`).connections, null);
  assert.deepEqual(config(`${TWO}connections: {failback: stay}\n`).connections, { ...BUILT_IN.connections, failback: 'stay' });
  assert.deepEqual(config(`${TWO}connections: {move-udp: []}\n`).connections?.moveUdpPorts, []);
});

test('a drill needs no more than its name', () => {
  assert.deepEqual(config(`${TWO}drill: {}\n`).drill, { ...DRILL });
});

test('auto is a family, and a zone names its interface', () => {
  const both = first('gateway: auto, gateway6: fe80::1%wan1');
  assert.equal(both.interface, 'wan1');
  assert.deepEqual(
    both.gateways.map(({ family, host }) => [family, host.kind]),
    [
      [4, 'auto'],
      [6, 'address'],
    ],
  );
  assert.deepEqual(first('gateway6: auto, interface: ppp0').gateways, [{ family: 6, host: { kind: 'auto' } }]);
});

test('one gateway address on two interfaces is two ways out', () => {
  const { uplinks } = config(`uplinks:
  a: {gateway: 192.168.1.1, gateway6: "fe80::1", interface: wan1}
  b: {gateway: 192.168.1.1, gateway6: "fe80::1", interface: wan2}
  c: {gateway: auto, interface: wan3}
  d: {gateway: auto, interface: wan4}
  e: {gateway6: auto, interface: wan3}
  f: {gateway: 10.0.0.1, interface: wan3}
`);
  assert.equal(uplinks.length, 6);
});

test('tiers rise down the file, with lone uplinks among them', () => {
  const { uplinks } = config(
    `uplinks:
  a: {gateway: r1, tier: 2, weight: 256}
  b: {gateway: r2, tier: 2}
  c: {gateway: r3}
  d: {gateway: r4, tier: 63}
  e: {gateway: r5, metered: true, tier: 63}
`.replace('metered: true, tier: 63', 'metered: true'),
  );
  assert.deepEqual(
    uplinks.map(({ tier }) => tier),
    [2, 2, null, 63, null],
  );
});

test('sixty-four entries of via, and no more', () => {
  const many = (count: number): string =>
    `${TWO}via:\n${Array.from({ length: count }, (_, i) => `  v${i}: {port: ${i + 1}, uplink: fast}\n`).join('')}`;
  assert.equal(config(many(64)).via.length, 64);
  const result = parseConfig(many(65), 'f');
  assert.ok(!result.ok);
  assert.match(result.problems.map(formatProblem).join(), /^f:4: via: found "65 entries"; at most 64 entries are possible/);
});

/** Bad files: the line, the path, and what must be said, the remedy included. */
type Bad = readonly [name: string, text: string, line: number, path: string, says: RegExp];

const via = (keys: string): string => `${TWO}via:\n  v: {${keys}}\n`;
const top = (text: string): string => `${TWO}${text}\n`;

const REFUSED: readonly Bad[] = [
  ['a weight of 0', uplink('gateway: r, weight: 0'), 2, 'uplinks.a.weight', /too small, from 1 to 256/],
  ['a weight of 257', uplink('gateway: r, weight: 257'), 2, 'uplinks.a.weight', /too large, from 1 to 256.*kernel/],
  ['a weight of a thousand million', uplink('gateway: r, weight: 1000000000'), 2, 'uplinks.a.weight', /too large, from 1 to 256/],
  ['a weight of 1e9', uplink('gateway: r, weight: 1e9'), 2, 'uplinks.a.weight', /a whole number is wanted, from 1 to 256/],
  ['a tier as text', uplink('gateway: r, tier: first'), 2, 'uplinks.a.tier', /a whole number is wanted, from 1 to 63/],
  ['a tier of 64', uplink('gateway: r, tier: 64'), 2, 'uplinks.a.tier', /from 1 to 63/],
  ['a tier of a half', uplink('gateway: r, tier: 1.5'), 2, 'uplinks.a.tier', /a whole number is wanted/],
  [
    'a tier that is torn apart',
    'uplinks:\n  a: {gateway: r1, tier: 1}\n  b: {gateway: r2}\n  c: {gateway: r3, tier: 1}\n',
    4,
    'uplinks.c.tier',
    /b stands between it and a of the same tier.*put it right behind a\./,
  ],
  [
    'tiers that fall',
    'uplinks:\n  a: {gateway: r1, tier: 2}\n  b: {gateway: r2}\n  c: {gateway: r3, tier: 1}\n',
    4,
    'uplinks.c.tier',
    /behind a of tier 2.*put the lower tier first/,
  ],
  [
    'a metered uplink in a tier with others',
    'uplinks:\n  a: {gateway: r1, tier: 1}\n  b: {gateway: r2, tier: 1, metered: true}\n',
    3,
    'uplinks.b.tier',
    /a metered uplink never shares, and a is of the same tier\. Leave its tier out/,
  ],
  [
    'a metered uplink with a weight',
    uplink('gateway: r, metered: true, weight: 2'),
    2,
    'uplinks.a.weight',
    /metered uplink never shares.*Leave weight out/,
  ],
  ['a tier for all', top('defaults: {tier: 1}'), 4, 'defaults.tier', /every uplink has its own.*Write tier: in the uplink/],
  ['a weight at the top', top('weight: 1'), 4, 'weight', /every uplink has its own/],
  [
    'a mark',
    uplink('gateway: r, mark: 1'),
    2,
    'uplinks.a.mark',
    /no mark of its own.*two could have the same.*mark-mask under kernel.*low six bits/,
  ],
  ['another word for it', uplink('gateway: r, fwmark: 0x1'), 2, 'uplinks.a.fwmark', /mark-mask under kernel/],
  ['a table', uplink('gateway: r, table: 7'), 2, 'uplinks.a.table', /table-base under kernel/],
  [
    'a key of the top in an uplink',
    uplink('gateway: r, masquerade: true'),
    2,
    'uplinks.a.masquerade',
    /belongs at the top of the file/,
  ],
  [
    'a key of connections in an uplink',
    uplink('gateway: r, drain: 5m'),
    2,
    'uplinks.a.drain',
    /belongs under connections: at the top/,
  ],
  ['a LAN without a prefix of its own', top('lan-prefix: auto'), 4, 'lan-prefix', /for prefix: of an uplink/],
  ['a drill every week', top('drill: {every: 1w}'), 4, 'drill.every', /Did you mean 7d\?/],
  [
    'via of an IPv4 address in IPv6 clothes',
    via('to: "::ffff:10.0.0.1", uplink: fast'),
    5,
    'via.v.to',
    /Did you mean 10\.0\.0\.1\?/,
  ],
  [
    'a mask that holds no mark',
    top('kernel: {mark-mask: 0x3f}'),
    4,
    'kernel.mark-mask',
    /at least 7 bits.*two uplinks would have the same mark/,
  ],
  ['auto without interface', uplink('gateway: auto'), 2, 'uplinks.a.gateway', /on which interface.*Add interface:/],
  ['auto for IPv6 without interface', uplink('gateway6: auto'), 2, 'uplinks.a.gateway6', /Add interface:/],
  ['auto with a capital', uplink('gateway: Auto, interface: x'), 2, 'uplinks.a.gateway', /Did you mean auto\?/],
  [
    'two autos on one interface',
    'uplinks:\n  a: {gateway: auto, interface: w}\n  b: {gateway: auto, interface: w}\n',
    3,
    'uplinks.b.gateway',
    /uplink a takes the next hop of w as well\..*write the gateway of one/,
  ],
  [
    'two autos of IPv6 on one interface',
    'uplinks:\n  a: {gateway: r, gateway6: auto, interface: w}\n  b: {gateway6: auto, interface: w}\n',
    3,
    'uplinks.b.gateway6',
    /uplink a takes the next hop of w/,
  ],
  [
    'one gateway twice, and only one interface told',
    'uplinks:\n  a: {gateway: 192.0.2.1}\n  b: {gateway: 192.0.2.1, interface: w}\n',
    3,
    'uplinks.b.gateway',
    /nothing tells their interfaces apart\. Add interface: to uplink a/,
  ],
  [
    'one link-local gateway twice on one interface',
    'uplinks:\n  a: {gateway6: fe80::1%w}\n  b: {gateway6: "fe80::1", interface: w}\n',
    3,
    'uplinks.b.gateway',
    /uplink a has the same gateway on w\. Two uplinks need/,
  ],
  [
    'a cap below nothing',
    uplink('gateway: r, metered: {cap: -1GB}'),
    2,
    'uplinks.a.metered.cap',
    /found "-1GB".*size with unit.*cannot be negative/,
  ],
  ['a cap without unit', uplink('gateway: r, metered: {cap: 20000000000}'), 2, 'uplinks.a.metered.cap', /Did you mean 20GB\?/],
  [
    'a cap beyond all',
    uplink('gateway: r, metered: {cap: 99999999TB}'),
    2,
    'uplinks.a.metered.cap',
    /too large, from 1MB to 1000TB/,
  ],
  [
    'a cap as text',
    uplink('gateway: r, metered: {cap: much}'),
    2,
    'uplinks.a.metered.cap',
    /size with unit is wanted, such as 50MB.*units are/,
  ],
  [
    'a cap below the budget of probes',
    uplink('gateway: r, metered: {probe-budget: 2GB, cap: 1GB}'),
    2,
    'uplinks.a.metered.cap',
    /less than the probe-budget of 2GB.*Make cap larger/,
  ],
  [
    'a month that begins on the 0th',
    uplink('gateway: r, metered: {starts-on: 0}'),
    2,
    'uplinks.a.metered.starts-on',
    /from 1 to 28/,
  ],
  [
    'a month that begins on the 29th',
    uplink('gateway: r, metered: {starts-on: 29}'),
    2,
    'uplinks.a.metered.starts-on',
    /from 1 to 28.*Every month/,
  ],
  ['something else at the cap', uplink('gateway: r, metered: {at-cap: stop}'), 2, 'uplinks.a.metered.at-cap', /warn, disable/],
  ['metered as a word', uplink('gateway: r, metered: yes'), 2, 'uplinks.a.metered', /true or false.*Did you mean true\?/],
  ['a cap at the wrong level', uplink('gateway: r, cap: 1GB'), 2, 'uplinks.a.cap', /belongs under metered:/],
  [
    'a cap where two uplinks share an interface',
    'uplinks:\n  a: {gateway: r1, interface: w, metered: {cap: 1GB}}\n  b: {gateway: r2, interface: w}\n',
    2,
    'uplinks.a.metered.cap',
    /uplink b uses w too.*cannot tell.*interface of its own/,
  ],
  ['masquerade as a word', top('masquerade: on'), 4, 'masquerade', /Did you mean true\?/],
  ['a prefix of IPv4', top('lan-prefix: 192.168.1.0/24'), 4, 'lan-prefix', /an IPv6 prefix is wanted.*masquerade: true/],
  [
    'a prefix with host bits',
    top('lan-prefix: fd00:1::1/64'),
    4,
    'lan-prefix',
    /bits set behind its length\. Did you mean fd00:1::\/64\?/,
  ],
  ['a prefix without length', top('lan-prefix: "fd00:1::"'), 4, 'lan-prefix', /with its length.*Did you mean fd00:1::\/64\?/],
  ['a link-local prefix', top('lan-prefix: fe80::/64'), 4, 'lan-prefix', /link-local/],
  ['a multicast prefix', top('lan-prefix: ff00::/16'), 4, 'lan-prefix', /multicast/],
  ['a prefix as text', top('lan-prefix: home'), 4, 'lan-prefix', /an IPv6 prefix is wanted/],
  ['a prefix too long', top('lan-prefix: fd00::/128'), 4, 'lan-prefix', /too long, a length from 16 to 126/],
  ['a prefix of length 0', top('lan-prefix: ::/0'), 4, 'lan-prefix', /any address/],
  [
    'prefixes of unequal length',
    'uplinks:\n  a: {gateway: r, gateway6: r, prefix: "2001:db8::/56"}\nlan-prefix: fd00::/64\n',
    2,
    'uplinks.a.prefix',
    /its length is 56, that of the lan-prefix 64.*choose one part, such as 2001:db8::\/64/,
  ],
  [
    'a smaller prefix than the LAN has',
    'uplinks:\n  a: {gateway6: r, prefix: "2001:db8::/64"}\nlan-prefix: fd00::/56\n',
    2,
    'uplinks.a.prefix',
    /Make the lan-prefix smaller, such as fd00::\/64/,
  ],
  [
    'a prefix that is the own one',
    'uplinks:\n  a: {gateway6: r, prefix: "2001:db8::/64"}\nlan-prefix: 2001:db8::/56\n',
    2,
    'uplinks.a.prefix',
    /overlaps the lan-prefix 2001:db8::\/56.*leave it out/,
  ],
  [
    'two uplinks with one prefix',
    'uplinks:\n  a: {gateway6: r, prefix: "2001:db8::/64"}\n  b: {gateway6: s, prefix: "2001:DB8:0::/64"}\nlan-prefix: fd00::/64\n',
    3,
    'uplinks.b.prefix',
    /uplink a has the same prefix.*each provider has its own/,
  ],
  [
    'a prefix within another',
    'uplinks:\n  a: {gateway6: r, prefix: "2001:db8::/56"}\n  b: {gateway6: s, prefix: "2001:db8:0:1::/64"}\n',
    3,
    'uplinks.b.prefix',
    /2001:db8::\/56, which overlaps/,
  ],
  [
    'a delegated prefix without IPv6',
    'uplinks:\n  a: {gateway: auto, interface: w, prefix: auto}\nlan-prefix: fd00::/64\n',
    2,
    'uplinks.a.prefix',
    /has no IPv6 gateway\. Add gateway6: auto/,
  ],
  [
    'via an unknown uplink',
    via('port: 25, uplink: fats'),
    5,
    'via.v.uplink',
    /there is no such uplink, there are fast, backup\. Did you mean fast\?/,
  ],
  ['via no uplink', via('port: 25'), 5, 'via.v.uplink', /the name of an uplink is wanted/],
  [
    'via of two families',
    via('from: 10.0.0.0/8, to: "2001:db8::/32", uplink: fast'),
    5,
    'via.v.to',
    /from is IPv4 and to is IPv6.*entry for each family/,
  ],
  [
    'via of a family that the uplink has not',
    via('to: "2001:db8::/32", uplink: fast'),
    5,
    'via.v',
    /no IPv6 gateway: this traffic can never go by it\. Add the gateway/,
  ],
  ['via of all traffic', via('uplink: fast'), 5, 'via.v', /nothing says which traffic is meant.*from, to or port/],
  ['via of any address', via('from: 0.0.0.0/0, uplink: fast'), 5, 'via.v.from', /any address\. Leave it out/],
  [
    'via of a network with host bits',
    via('from: 192.168.1.33/28, uplink: fast'),
    5,
    'via.v.from',
    /Did you mean 192\.168\.1\.32\/28, or 192\.168\.1\.33\/32/,
  ],
  ['via of a netmask', via('from: 10.0.0.0/255.0.0.0, uplink: fast'), 5, 'via.v.from', /Did you mean 10\.0\.0\.0\/8\?/],
  [
    'via of a name',
    via('to: example.com, uplink: fast'),
    5,
    'via.v.to',
    /a network or an address is wanted.*write the addresses/,
  ],
  ['via of a wrong address', via('to: 1.2.3.400, uplink: fast'), 5, 'via.v.to', /none.*400/],
  ['via of a link-local network', via('to: 169.254.0.0/16, uplink: fast'), 5, 'via.v.to', /link-local/],
  ['port 0', via('port: 0, uplink: fast'), 5, 'via.v.port', /no such port, from 1 to 65535/],
  ['port 70000', via('port: tcp/70000, uplink: fast'), 5, 'via.v.port', /no such port, from 1 to 65535/],
  ['a range that ends beyond', via('port: 1-70000, uplink: fast'), 5, 'via.v.port', /no such port/],
  ['a reversed range', via('port: tcp/200-100, uplink: fast'), 5, 'via.v.port', /wrong way round\. Did you mean tcp\/100-200\?/],
  ['an unknown protocol', via('port: sctp/5060, uplink: fast'), 5, 'via.v.port', /the protocol is tcp or udp.*such as 443/],
  ['a protocol in capitals', via('port: UDP/5060, uplink: fast'), 5, 'via.v.port', /Did you mean udp\/5060\?/],
  ['a protocol behind its port', via('port: 5060/udp, uplink: fast'), 5, 'via.v.port', /Did you mean udp\/5060\?/],
  ['a range with a colon', via('port: "tcp/1:9", uplink: fast'), 5, 'via.v.port', /Did you mean tcp\/1-9\?/],
  ['a service by name', via('port: sip, uplink: fast'), 5, 'via.v.port', /named by their number/],
  ['a list of ports', via('port: [1, 2], uplink: fast'), 5, 'via.v.port', /a port is wanted, such as 443/],
  ['another fallback', via('port: 1, uplink: fast, fallback: drop'), 5, 'via.v.fallback', /balance, block/],
  ['a bad name of an entry', top('via: {"a b": {port: 1, uplink: fast}}'), 4, 'via.a b', /name of an entry of via begins/],
  ['via as a list', top('via: [1]'), 4, 'via', /a mapping is wanted, such as voip:/],
  ['connections on', top('connections: on'), 4, 'connections', /a mapping is wanted, with the keys failover/],
  ['another failback', top('connections: {failback: wait}'), 4, 'connections.failback', /drain, move, stay/],
  ['a drain without end', top('connections: {drain: 30d}'), 4, 'connections.drain', /from 1s to 7d.*failback: stay/],
  ['a port that is none', top('connections: {move-udp: [53, sip]}'), 4, 'connections.move-udp[1]', /whole number/],
  ['a key of connections at the top', top('drain: 5m'), 4, 'drain', /belongs under connections:/],
  [
    'a drill of an unknown uplink',
    top('drill: {uplinks: [bakcup]}'),
    4,
    'drill.uplinks[0]',
    /no such uplink.*Did you mean backup\?/,
  ],
  ['a drill of one uplink twice', top('drill: {uplinks: [backup, backup]}'), 4, 'drill.uplinks[1]', /named twice/],
  ['a drill every five hours', top('drill: {every: 5h}'), 4, 'drill.every', /whole days are wanted, such as 1d or 7d/],
  ['a drill in hours', top('drill: {every: 168h}'), 4, 'drill.every', /Did you mean 7d\?/],
  ['a drill at 25:00', top('drill: {at: "25:00"}'), 4, 'drill.at', /from "00:00" to "23:59"/],
  ['a drill at 4.30', top('drill: {at: 4.30}'), 4, 'drill.at', /Did you mean "4:30"\?/],
  ['a drill of two hours', top('drill: {for: 2h}'), 4, 'drill.for', /too large, from 10s to 1h.*no drill/],
  ['a drill of the only uplink', 'uplinks:\n  a: {gateway: r}\ndrill: {}\n', 3, 'drill', /a is the only uplink.*leave drill out/],
  ['another half of the traffic', top('drill: {traffic: half}'), 4, 'drill.traffic', /some, all/],
  ['advertisements on', top('router-advertisements: on'), 4, 'router-advertisements', /watch, ignore/],
  [
    'priorities that reach main',
    top('kernel: {rule-base: 32255}'),
    4,
    'kernel.rule-base',
    /from 1 to 32254.*512 priorities.*32766/,
  ],
];

for (const [name, text, line, path, says] of REFUSED) {
  test(`refused: ${name}`, () => {
    const result = parseConfig(text, 'f');
    assert.ok(!result.ok, 'the file must be refused');
    const found = result.problems.map((problem) => ({ line: problem.line, path: problem.path, text: formatProblem(problem) }));
    const match = found.some((problem) => problem.line === line && problem.path === path && says.test(problem.text));
    assert.ok(match, `wanted line ${line}, path ${path}, ${says}; got\n${found.map((one) => one.text).join('\n')}`);
  });
}

test('the last rule base stands right before main', () => {
  assert.equal(config(`${TWO}kernel: {rule-base: 32254}\n`).kernel.ruleBase + 512, 32_766);
});

/** What is said, though the file is taken. */
const WARNED: readonly Bad[] = [
  ['a weight that shares with nobody', uplink('gateway: r, weight: 2'), 2, 'uplinks.a.weight', /shares with nobody.*same tier/],
  ['a prefix without lan-prefix', uplink('gateway6: r, prefix: auto'), 2, 'uplinks.a.prefix', /no lan-prefix.*Add lan-prefix:/],
  ['a lan-prefix without prefix', top('lan-prefix: fd00::/64'), 4, 'lan-prefix', /no uplink has a prefix.*Add prefix: auto/],
  [
    'an uplink on which the LAN would have no IPv6',
    'uplinks:\n  a: {gateway6: r, prefix: auto}\n  b: {gateway6: s}\nlan-prefix: fd00::/64\n',
    4,
    'lan-prefix',
    /no prefix of b.*Add prefix/,
  ],
  [
    'a drain that is none',
    top('connections: {failback: move, drain: 5m}'),
    4,
    'connections.drain',
    /with failback: move there is no deadline.*Leave drain out/,
  ],
  ['an end without cap', uplink('gateway: r, metered: {at-cap: disable}'), 2, 'uplinks.a.metered.at-cap', /no cap.*Add cap:/],
  [
    'an entry that is never reached',
    `${TWO}via:\n  a: {port: 25, uplink: fast}\n  b: {port: 25, uplink: backup}\n`,
    6,
    'via.b',
    /entry a chooses the same traffic/,
  ],
  [
    'an entry for a family that its uplink has not',
    'uplinks:\n  a: {gateway: r, gateway6: r}\n  b: {gateway: s}\nvia:\n  v: {port: 25, uplink: b}\n',
    5,
    'via.v',
    /b has no IPv6 gateway: in that family its fallback holds always.*IPv4 alone/,
  ],
  ['a drill of the active one', top('drill: {uplinks: [fast]}'), 4, 'drill.uplinks', /in use anyway/],
  [
    'a drill where all share',
    'uplinks:\n  a: {gateway: r1, tier: 1}\n  b: {gateway: r2, tier: 1}\ndrill: {}\n',
    4,
    'drill',
    /in use anyway/,
  ],
  [
    'sharing without memory',
    'uplinks:\n  a: {gateway: r1, tier: 1}\n  b: {gateway: r2, tier: 1}\nconnections: off\n',
    4,
    'connections',
    /connections of the others move too.*Leave connections out/,
  ],
];

for (const [name, text, line, path, says] of WARNED) {
  test(`warned: ${name}`, () => {
    const result = parseConfig(text, 'f');
    assert.ok(result.ok, result.ok ? '' : result.problems.map(formatProblem).join('\n'));
    const found = result.warnings.map((problem) => ({ line: problem.line, path: problem.path, text: formatProblem(problem) }));
    assert.deepEqual(
      found.map((problem) => [problem.line, problem.path]),
      [[line, path]],
      found.map((one) => one.text).join('\n'),
    );
    assert.match(found[0]?.text ?? '', says);
  });
}

test('a LAN that has the prefix of one provider itself is translated on the others', () => {
  config('uplinks:\n  a: {gateway6: r}\n  b: {gateway6: s, prefix: "2001:db8:5::/64"}\nlan-prefix: 2001:db8:1::/64\n');
});

test('one wrong uplink makes nothing else seem wrong', () => {
  const result = parseConfig(
    `uplinks:
  a: {gateway: r1, tier: 1}
  b: {gateway: r2, tier: x}
  c: {gateway: r3, tier: 1}
  d: {gateway: r4, gateway6: 1.2.3.4.5, interface: w}
via:
  v: {to: "2001:db8::/32", uplink: d}
  w: {port: 1, uplink: e}
drill: {}
`,
    'f',
  );
  assert.ok(!result.ok);
  assert.deepEqual(
    result.problems.map(({ line, path }) => `${line} ${path}`),
    ['3 uplinks.b.tier', '5 uplinks.d.gateway6', '8 via.w.uplink'],
  );
});
