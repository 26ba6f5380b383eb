import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Engine } from '../../../../src/core/engine.js';
import type { KernelState } from '../../../../src/core/kernel.js';
import type { Family } from '../../../../src/core/model.js';
import type { Path } from '../../../../src/core/paths/path.js';
import { bindingsOf, boundHosts, isAddress } from '../../../../src/core/plan/bindings.js';
import type { RelayConfig } from '../../../../src/core/services.js';
import { noServices } from '../../../../src/core/services.js';
import { classic } from '../../../support/topology.js';
import { VirtualWorld } from '../../../support/virtual-world.js';

const relay = (hosts: Readonly<Record<string, string>>): RelayConfig => ({
  kind: 'mail-relay',
  name: 'mail-relay',
  postfixDirectory: '/etc/postfix',
  timeoutMs: 1_000,
  smarthosts: Object.fromEntries(
    Object.entries(hosts).map(([uplink, host]) => [uplink, { relayhost: `[${host}]`, host, port: 25, login: null }]),
  ),
});

function state(): KernelState {
  return classic([4, 6]).kernel.state;
}

/** What bindings look at of a path. */
const path = (name: string, family: Family, slot: number): Path => ({ uplink: { name }, family, slot }) as unknown as Path;
const PATHS = [path('fast', 4, 0), path('fast', 6, 0), path('backup', 4, 1)];
const NAMES: Readonly<Record<string, readonly string[]>> = {
  'mx.fast.example/4': ['203.0.113.1', '203.0.113.2'],
  'mx.fast.example/6': ['2001:db8:f::1'],
  'mx.backup.example/4': ['198.51.100.25'],
  'mx.backup.example/6': ['2001:db8:b::1'],
};
const addressesOf = (name: string, family: Family): readonly string[] => NAMES[`${name}/${family}`] ?? [];
const bound = (hosts: Readonly<Record<string, string>>): string[] =>
  bindingsOf(boundHosts([relay(hosts)]), PATHS, state(), addressesOf).map((b) => `${b.family} ${b.address} ${b.slot}`);

test('each smarthost through its own uplink, by all its addresses, in the families that this uplink has', () => {
  assert.deepEqual(bound({ fast: 'mx.fast.example', backup: 'mx.backup.example' }), [
    '4 203.0.113.1 0',
    '4 203.0.113.2 0',
    '6 2001:db8:f::1 0',
    '4 198.51.100.25 1',
  ]);
});

test('an address binds in its own family alone', () => {
  assert.deepEqual(bound({ fast: '2001:db8:f::9', backup: '198.51.100.9' }), ['6 2001:db8:f::9 0', '4 198.51.100.9 1']);
  assert.deepEqual(bound({ backup: '2001:db8:b::9' }), [], 'the uplink has no IPv6');
});

test('connected networks and this machine itself are left alone', () => {
  assert.deepEqual(bound({ fast: '192.168.1.77' }), []);
  assert.deepEqual(bound({ fast: '127.0.0.1' }), []);
  assert.deepEqual(bound({ fast: '::1' }), []);
});

test('one address of two providers belongs to the first in the file', () => {
  assert.deepEqual(bound({ fast: '203.0.113.1', backup: '203.0.113.1' }), ['4 203.0.113.1 0']);
});

test('a name that is not known yet binds nothing; services that are no relay neither', () => {
  assert.deepEqual(bound({ fast: 'unknown.example' }), []);
  const files = { kind: 'files', name: 'x', copies: {}, check: null, reload: null, timeoutMs: 1 } as const;
  assert.deepEqual(boundHosts([files]), []);
  assert.ok(isAddress('::1') && !isAddress('mx.fast.example'));
});

test('in the kernel: rules for every address of a name, which follow the answers and go with the configuration', () => {
  const topology = classic();
  const withRelay = {
    ...topology.config,
    services: { ...noServices, followers: [relay({ fast: 'mx.fast.example', backup: '198.51.100.25' })] },
  };
  const world = new VirtualWorld(
    { ...topology, config: withRelay },
    (config, around, saved) => new Engine(config, around, saved),
    7,
  );
  world.names.set('mx.fast.example/4', ['203.0.113.1', '203.0.113.2']);
  world.startProcess();
  world.runUntil(5_000);
  const rules = (): string[] =>
    world.kernel.state.rules
      .flatMap((rule) =>
        rule.destination === null || rule.destination === undefined ? [] : [rule.destination.replace('/32', '')],
      )
      .filter((address, index, all) => all.indexOf(address) === index)
      .sort();
  assert.deepEqual(rules(), ['198.51.100.25', '203.0.113.1', '203.0.113.2']);
  const told = world.records('name').length;
  world.names.set('mx.fast.example/4', ['203.0.113.1', '203.0.113.3']);
  world.runUntil(70_000);
  const all = ['198.51.100.25', '203.0.113.1', '203.0.113.2', '203.0.113.3'];
  assert.deepEqual(rules(), all, 'the relay may still have the one that left the answer');
  assert.equal(world.records('name').length, told, 'addresses that take turns are no news');
  world.runUntil(3_800_000);
  assert.deepEqual(rules(), ['198.51.100.25', '203.0.113.1', '203.0.113.3'], 'after an hour nobody has');
  world.reload(topology.config);
  world.runUntil(3_805_000);
  assert.deepEqual(rules(), []);
});
