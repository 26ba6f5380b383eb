/** The names are iproute2's, so that the culprit reads as `ip route` would print it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { protocolName } from '../../../../src/core/plan/protocols.js';

test('known numbers have the names of /etc/iproute2/rt_protos', () => {
  assert.deepEqual([2, 3, 4, 9, 16].map(protocolName), ['kernel', 'boot', 'static', 'ra', 'dhcp']);
});

test('any other is told by its number', () => {
  assert.equal(protocolName(110), 'protocol 110');
  assert.equal(protocolName(255), 'protocol 255');
});
