/** Addresses as text, zones included. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inNetwork, isLinkLocal, sameAddress, splitZone } from '../../../src/core/net.js';

test('a zone is split off', () => {
  assert.deepEqual(splitZone('fe80::1%eth0'), ['fe80::1', 'eth0']);
  assert.deepEqual(splitZone('192.168.1.1'), ['192.168.1.1', null]);
});

test('one address is one address, however it is spelt', () => {
  assert.ok(sameAddress('fe80::1', 'FE80:0:0:0:0:0:0:1'));
  assert.ok(sameAddress('fe80::1%eth0', 'fe80::1'));
  assert.ok(sameAddress('::ffff:192.0.2.1', '::ffff:c000:201'));
  assert.equal(sameAddress('192.0.2.1', '192.0.2.2'), false);
  assert.equal(sameAddress('192.0.2.1', '::ffff:192.0.2.1'), false, 'families differ');
  assert.equal(sameAddress('192.0.2.1', ''), false);
});

test('networks of odd lengths, and the families apart', () => {
  assert.ok(inNetwork('192.168.1.254', '192.168.1.2', 24));
  assert.ok(inNetwork('10.0.0.129', '10.0.0.190', 25));
  assert.equal(inNetwork('10.0.0.127', '10.0.0.190', 25), false);
  assert.ok(inNetwork('10.0.0.1', '203.0.113.9', 0));
  assert.ok(inNetwork('2001:db8:1:2::3', '2001:db8:1:2:ff::', 64));
  assert.equal(inNetwork('2001:db8:1:3::3', '2001:db8:1:2::', 64), false);
  assert.equal(inNetwork('10.0.0.1', '::', 0), false);
});

test('link-local is fe80::/10, with or without a zone', () => {
  assert.deepEqual(['fe80::1', 'febf::1%eth0', 'fec0::1', '2001:db8::1', '169.254.1.1'].map(isLinkLocal), [
    true,
    true,
    false,
    false,
    false,
  ]);
});
