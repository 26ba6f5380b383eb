/** Addresses as bytes: what is accepted, and which network holds which address. */
import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { test } from 'node:test';
import { covers, inNetwork, isLinkLocal, parseAddress } from '../../../src/core/address.js';
import fc from '../../support/properties.js';

function bytes(text: string): Uint8Array {
  const parsed = parseAddress(text);
  assert.ok(parsed !== null, text);
  return parsed;
}

test('addresses parse to their bytes', () => {
  assert.deepEqual([...bytes('192.168.1.253')], [192, 168, 1, 253]);
  assert.deepEqual([...bytes('::')], new Array(16).fill(0));
  assert.deepEqual([...bytes('fe80::1')], [0xfe, 0x80, ...new Array(13).fill(0), 1]);
  assert.deepEqual([...bytes('::ffff:10.0.0.1')], [...new Array(10).fill(0), 0xff, 0xff, 10, 0, 0, 1]);
});

test('what Node calls an address is one here, and nothing else is', () => {
  const alphabet = fc.constantFrom('0', '1', '12', '255', '256', '.', ':', '::', 'f', 'fe80', '010', 'x', '%', '');
  const text = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc.array(alphabet, { maxLength: 12 }).map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(text, (candidate) => {
      if (candidate.includes('%')) return parseAddress(candidate) === null;
      return (parseAddress(candidate) !== null) === (isIP(candidate) !== 0);
    }),
    { numRuns: 2000, verbose: true },
  );
});

test('a network covers its own addresses only', () => {
  assert.equal(covers('192.168.1.0/24', bytes('192.168.1.9')), true);
  assert.equal(covers('192.168.1.0/24', bytes('192.168.2.9')), false);
  assert.equal(covers('192.168.0.0/23', bytes('192.168.1.9')), true);
  assert.equal(covers('10.0.0.1/32', bytes('10.0.0.1')), true);
  assert.equal(covers('10.0.0.1', bytes('10.0.0.2')), false);
  assert.equal(covers('fd00:1::/64', bytes('fd00:1::77')), true);
  assert.equal(covers('fd00:1::/64', bytes('192.168.1.9')), false);
  assert.equal(covers('default', bytes('1.1.1.1')), true);
  assert.equal(inNetwork(bytes('1.2.3.4'), bytes('9.9.9.9'), 0), true);
});

test('link-local is fe80::/10', () => {
  assert.equal(isLinkLocal(bytes('fe80::1')), true);
  assert.equal(isLinkLocal(bytes('febf::1')), true);
  assert.equal(isLinkLocal(bytes('fec0::1')), false);
  assert.equal(isLinkLocal(bytes('169.254.0.1')), false);
});
