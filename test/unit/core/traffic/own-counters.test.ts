/** Whose bytes an interface counts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NeighbourState } from '../../../../src/core/kernel.js';
import { countsAlone } from '../../../../src/core/traffic/own-counters.js';
import { FakeKernel } from '../../../support/fake-kernel.js';

const fibre = { uplink: 'fibre', interface: 'eth0' };
const lte = { uplink: 'lte', interface: 'usb0' };

function machine(lan: string | null): FakeKernel {
  const kernel = new FakeKernel();
  for (const [name, network] of [
    ['lo', '127.0.0.1/8'],
    ['eth0', '192.168.1.2/24'],
    ['usb0', '192.168.8.100/24'],
    ...(lan === null ? [] : [[lan, '10.0.0.1/24'] as const]),
  ] as const) {
    kernel.addLink(name);
    kernel.addAddress(name, network);
  }
  return kernel;
}

function sees(kernel: FakeKernel, device: string, last: number, change: Partial<NeighbourState> = {}): void {
  const ifindex = kernel.link(device).index;
  const mac = `02:00:00:00:00:${last.toString(16).padStart(2, '0')}`;
  kernel.setNeighbour({ ifindex, address: `192.168.8.${last}`, family: 4, state: 'reachable', mac, ...change });
}

test('its own, unless another uplink is there', () => {
  const { state } = machine('lan0');
  assert.equal(countsAlone(lte, [fibre, lte], state), true);
  assert.equal(countsAlone(lte, [{ ...fibre, interface: 'usb0' }, lte], state), false);
  assert.equal(countsAlone(lte, [lte, { ...lte }], state), true, 'its other family is no stranger');
});

test('one network card and a stick: who sees its router alone is not on the LAN', () => {
  const kernel = machine(null);
  assert.equal(countsAlone(lte, [fibre, lte], kernel.state), true);
  sees(kernel, 'usb0', 1);
  sees(kernel, 'usb0', 1, { address: 'fe80::1', family: 6 });
  for (let client = 10; client < 20; client += 1) sees(kernel, 'eth0', client);
  assert.equal(countsAlone(lte, [fibre, lte], kernel.state), true);
  assert.equal(countsAlone(fibre, [fibre, lte], kernel.state), false);
});

test('what is no machine that was really there does not count', () => {
  const kernel = machine(null);
  sees(kernel, 'usb0', 1);
  sees(kernel, 'usb0', 22, { address: 'ff02::16', family: 6, state: 'noarp', mac: '33:33:00:00:00:16' });
  sees(kernel, 'usb0', 5, { state: 'failed', mac: null });
  sees(kernel, 'usb0', 6, { state: 'incomplete', mac: null });
  sees(kernel, 'usb0', 7, { state: 'permanent' });
  assert.equal(countsAlone(lte, [fibre, lte], kernel.state), true);
  sees(kernel, 'usb0', 8);
  assert.equal(countsAlone(lte, [fibre, lte], kernel.state), false);
});

test('where the LAN has an interface, others on the uplink are its provider’s', () => {
  const kernel = machine('lan0');
  for (let other = 1; other < 5; other += 1) sees(kernel, 'usb0', other);
  assert.equal(countsAlone(lte, [fibre, lte], kernel.state), true);
});
