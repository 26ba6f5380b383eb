/** Where a gateway is found among the links, and what is wrong with it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AddressState, KernelState } from '../../../../src/core/kernel.js';
import { type PlaceQuestion, placeGateway } from '../../../../src/core/paths/topology.js';
import { FakeKernel } from '../../../support/fake-kernel.js';

function kernel(): FakeKernel {
  const made = new FakeKernel();
  made.addLink('lo');
  made.addLink('eth0');
  made.addLink('wan0');
  made.addAddress('lo', '127.0.0.1/8');
  made.addAddress('eth0', '192.168.1.2/24');
  made.addAddress('wan0', '10.0.0.2/24');
  made.addAddress('eth0', 'fd00:1::2/64');
  return made;
}

function place(
  state: KernelState,
  gateway: string,
  change: Partial<PlaceQuestion> = {},
): [string | null, string | null, boolean] {
  const family = gateway.includes(':') ? 6 : 4;
  const found = placeGateway(state, { family, gateway, wanted: null, lastKnown: null, hint: null, onlink: [], ...change });
  return [found.link?.name ?? null, found.fault, found.connected];
}

test('the connected network that holds the gateway names the link', () => {
  const { state } = kernel();
  assert.deepEqual(place(state, '192.168.1.253'), ['eth0', null, true]);
  assert.deepEqual(place(state, '10.0.0.1'), ['wan0', null, true]);
  assert.deepEqual(place(state, 'fd00:1::1'), ['eth0', null, true]);
});

test('the longest of several networks wins', () => {
  const machine = kernel();
  machine.addAddress('wan0', '192.168.1.250/29');
  assert.deepEqual(place(machine.state, '192.168.1.253'), ['wan0', null, true]);
  assert.deepEqual(place(machine.state, '192.168.1.1'), ['eth0', null, true]);
});

test('no network holds it: no address, and never the loopback', () => {
  const { state } = kernel();
  assert.deepEqual(place(state, '172.16.0.1'), [null, 'no-address', false]);
  assert.deepEqual(place(state, '127.0.0.9'), [null, 'no-address', false]);
});

test('the named interface counts, also when another one has the network', () => {
  const { state } = kernel();
  assert.deepEqual(place(state, '192.168.1.253', { wanted: 'wan0' }), ['wan0', 'no-address', false]);
  assert.deepEqual(place(state, '192.168.1.253', { wanted: 'ppp0' }), [null, 'interface-gone', false]);
});

test('without a carrier the kernel still takes routes; set down it does not', () => {
  const machine = kernel();
  machine.setCarrier('wan0', false);
  assert.deepEqual(place(machine.state, '10.0.0.1'), ['wan0', 'carrier-lost', true]);
  machine.setAdmin('wan0', false);
  assert.deepEqual(place(machine.state, '10.0.0.1'), ['wan0', 'carrier-lost', false]);
});

test('an interface that was there and is gone is told from a gateway in no network', () => {
  const machine = kernel();
  machine.removeLink('wan0');
  assert.deepEqual(place(machine.state, '10.0.0.1', { lastKnown: 'wan0' }), [null, 'interface-gone', false]);
  const bare = kernel();
  bare.removeAddresses('wan0', 4);
  assert.deepEqual(place(bare.state, '10.0.0.1', { lastKnown: 'wan0' }), ['wan0', 'no-address', false]);
});

test('a link-local gateway: by zone, by the named interface, or where the other family is', () => {
  const { state } = kernel();
  assert.deepEqual(place(state, 'fe80::1%wan0'), ['wan0', null, true]);
  assert.deepEqual(place(state, 'fe80::1', { wanted: 'eth0' }), ['eth0', null, true]);
  assert.deepEqual(place(state, 'fe80::1', { hint: 'eth0' }), ['eth0', null, true]);
  assert.deepEqual(place(state, 'fe80::1'), [null, 'no-address', false]);
});

test('the other end of a point-to-point link, and an on-link route', () => {
  const machine = kernel();
  const ppp = machine.addLink('ppp0', { pointToPoint: true });
  const address: AddressState = {
    ifindex: ppp,
    family: 4,
    address: '203.0.113.7',
    prefixLength: 32,
    peer: '198.51.100.1',
    tentative: false,
  };
  assert.deepEqual(place({ ...machine.state, addresses: [...machine.state.addresses, address] }, '198.51.100.1'), [
    'ppp0',
    null,
    true,
  ]);
  const onLink = machine.state.routes.find((r) => r.destination === '10.0.0.0/24');
  assert.ok(onLink !== undefined);
  const routed = { ...machine.state, routes: [...machine.state.routes, { ...onLink, destination: '172.16.5.1/32' }] };
  assert.deepEqual(place(routed, '172.16.5.1'), ['wan0', null, true]);
});
