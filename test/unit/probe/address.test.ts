/**
 * One spelling for each address.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalAddress } from '../../../src/probe/address.js';

for (const [address, family, expected] of [
  ['192.0.2.1', 4, '192.0.2.1'],
  ['192.0.2.01', 4, null],
  ['::1', 4, null],
  ['example.org', 4, null],
  ['', 6, null],
  ['192.0.2.1', 6, null],
  ['2001:DB8:0:0:0:0:0:1', 6, '2001:db8::1'],
  ['2001:db8::0:1%eth9', 6, '2001:db8::1'],
  ['fe80::1', 6, 'fe80::1%eth0'],
  ['FE80:0::1%eth1', 6, 'fe80::1%eth1'],
  ['fe80::1%3', 6, 'fe80::1%eth0'],
  ['febf::1', 6, 'febf::1%eth0'],
  ['fec0::1', 6, 'fec0::1'],
] as const) {
  test(`${address} as IPv${family}`, () => assert.equal(canonicalAddress(address, family, 'eth0'), expected));
}
