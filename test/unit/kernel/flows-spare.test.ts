/** Which connections go on although the others by their uplink are ended. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FlowSpare } from '../../../src/core/flow.js';
import type { Family } from '../../../src/core/model.js';
import { ConntrackEntry } from '../../../src/kernel/flows/conntrack.js';
import { sparing } from '../../../src/kernel/flows/spare.js';
import { parseAddress } from '../../../src/kernel/netlink/address.js';
import fc from '../../support/properties.js';

interface Flow {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  /** null = a protocol without ports */
  readonly port: number | null;
}

type Via = FlowSpare['via'][number];

/** Few enough values that chance meets often: in each family, networks that hold one another, and their edges. */
const ADDRESSES: Readonly<Record<Family, readonly string[]>> = {
  4: ['10.9.1.2', '10.9.1.3', '10.9.0.255', '192.168.1.31', '192.168.1.32', '192.168.1.47', '192.168.1.48', '203.0.113.9'],
  6: ['2001:db8::', '2001:db8:0:f::1', '2001:db8:0:10::1', '2001:db8:1::1', 'fd00::1', 'fd00::2', 'ff02::fb', '::1'],
};
const NETWORKS: Readonly<Record<Family, readonly string[]>> = {
  4: ['192.168.1.32/28', '192.168.1.0/24', '10.9.0.0/23', '203.0.113.9/32', '0.0.0.0/0'],
  6: ['2001:db8::/60', '2001:db8::/32', 'fd00::1/128', 'fd00::/8', '::/0'],
};
const EVERY_NETWORK = [...NETWORKS[4], ...NETWORKS[6]];
const PORTS = [1, 52, 53, 54, 5060, 65_535];

const flowOf = (family: Family): fc.Arbitrary<Flow> =>
  fc.record({
    source: fc.constantFrom(...ADDRESSES[family]),
    destination: fc.constantFrom(...ADDRESSES[family]),
    protocol: fc.constantFrom(6, 17, 1, 132),
    port: fc.option(fc.constantFrom(...PORTS)),
  });

const anyVia: fc.Arbitrary<Via> = fc.record({
  source: fc.option(fc.constantFrom(...EVERY_NETWORK)),
  destination: fc.option(fc.constantFrom(...EVERY_NETWORK)),
  protocols: fc.constantFrom<Via['protocols']>([], ['tcp'], ['udp'], ['tcp', 'udp']),
  ports: fc.option(fc.tuple(fc.constantFrom(...PORTS), fc.nat(60)).map(([first, more]) => ({ first, last: first + more }))),
});

const anySpare: fc.Arbitrary<FlowSpare> = fc.record({
  inbound: fc.boolean(),
  prefixes: fc.array(fc.constantFrom(...EVERY_NETWORK), { maxLength: 2 }),
  via: fc.array(anyVia, { maxLength: 3 }),
});

/** As a number of 128 bits; other than the code under test reads it. */
const numberOf = (family: Family, address: string): bigint => BigInt(`0x${parseAddress(family, address).toString('hex')}`);

function holds(network: string, family: Family, address: string): boolean {
  if (network.includes(':') !== (family === 6)) return false;
  const [base = '', length = ''] = network.split('/');
  const free = BigInt((family === 4 ? 32 : 128) - Number(length));
  return numberOf(family, base) >> free === numberOf(family, address) >> free;
}

/** What the contract says. */
function goesOn(family: Family, flow: Flow, spare: FlowSpare, own: readonly string[]): boolean {
  const to = flow.destination;
  if (spare.inbound && (own.includes(to) || spare.prefixes.some((prefix) => holds(prefix, family, to)))) return true;
  return spare.via.some(({ source, destination, protocols, ports }) => {
    if (source !== null && !holds(source, family, flow.source)) return false;
    if (destination !== null && !holds(destination, family, to)) return false;
    if (protocols.length > 0 && !protocols.some((name) => ({ tcp: 6, udp: 17 })[name] === flow.protocol)) return false;
    return ports === null || (flow.port !== null && flow.port >= ports.first && flow.port <= ports.last);
  });
}

function spared(family: Family, flow: Flow, spare: FlowSpare, own: readonly string[]): boolean {
  const size = family === 4 ? 4 : 16;
  const entry = new ConntrackEntry();
  // Anywhere in a message, with a reply that looks the other way.
  const bytes = Buffer.concat([
    Buffer.alloc(7, 0xa5),
    parseAddress(family, flow.destination),
    parseAddress(family, flow.source),
    Buffer.alloc(7, 0xa5),
  ]);
  for (const [view, source, destination] of [
    [entry.orig, 7 + size, 7],
    [entry.reply, 7, 7 + size],
  ] as const) {
    view.source = source;
    view.destination = destination;
    view.protocol = flow.protocol;
    view.complete = flow.port !== null;
    // Of an earlier entry, where this one has none.
    view.destinationPort = flow.port ?? 53;
  }
  const addresses = new Set(own.map((address) => parseAddress(family, address).toString('latin1')));
  return sparing(family, spare, () => addresses)?.(entry, bytes) ?? false;
}

for (const family of [4, 6] as const) {
  test(`IPv${family}: never ended is what fits, always what does not`, () => {
    const own = fc.uniqueArray(fc.constantFrom(...ADDRESSES[family]), { maxLength: 3 });
    let wereSpared = 0;
    let wereNot = 0;
    fc.assert(
      fc.property(flowOf(family), anySpare, own, (flow, spare, addresses) => {
        const expected = goesOn(family, flow, spare, addresses);
        assert.equal(spared(family, flow, spare, addresses), expected);
        if (expected) wereSpared++;
        else wereNot++;
      }),
      { numRuns: 5000 },
    );
    assert.ok(wereSpared > 500 && wereNot > 500, `${wereSpared} spared, ${wereNot} not`);
  });
}

test('a phone at its provider’s, as a `via` sends it, and its neighbours', () => {
  const voip: Via = {
    source: '192.168.1.32/28',
    destination: '203.0.113.0/24',
    protocols: ['udp'],
    ports: { first: 5060, last: 5060 },
  };
  const spare: FlowSpare = { inbound: false, prefixes: [], via: [voip] };
  const call: Flow = { source: '192.168.1.40', destination: '203.0.113.9', protocol: 17, port: 5060 };
  const goes = (change: Partial<Flow>): boolean => spared(4, { ...call, ...change }, spare, []);
  assert.ok(goes({}));
  assert.ok(!goes({ source: '192.168.1.48' }));
  assert.ok(!goes({ destination: '203.0.112.9' }));
  assert.ok(!goes({ protocol: 6 }));
  assert.ok(!goes({ port: 5061 }));
});

test('where nothing can be spared nothing is asked, and all can be ended at once', () => {
  const never = (): never => assert.fail('addresses were asked for');
  const six: Via = { source: 'fd00::/8', destination: null, protocols: [], ports: null };
  assert.equal(sparing(4, { inbound: false, prefixes: ['10.0.0.0/8'], via: [] }, never), null);
  assert.equal(sparing(4, { inbound: false, prefixes: [], via: [six] }, never), null);
  assert.notEqual(sparing(6, { inbound: false, prefixes: [], via: [six] }, never), null);
});
