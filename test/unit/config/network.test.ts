/** Networks and ports as people write them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { network, networksOverlap, networkText, ports, prefix, splitNetwork } from '../../../src/config/network.js';
import { inNetwork } from '../../../src/core/net.js';
import fc from '../../support/properties.js';

function read(text: string): string {
  const result = network(text);
  return result.ok ? networkText(result.value) : `${result.message} ${result.hint ?? ''}`;
}

test('one spelling for each network', () => {
  assert.equal(read('192.168.1.0/24'), '192.168.1.0/24');
  assert.equal(read('192.168.1.7'), '192.168.1.7/32');
  assert.equal(read('10.0.0.0/8'), '10.0.0.0/8');
  assert.equal(read('128.0.0.0/1'), '128.0.0.0/1');
  assert.equal(read('2001:DB8:0:0::/48'), '2001:db8::/48');
  assert.equal(read('2001:db8::1'), '2001:db8::1/128');
  assert.equal(read('64:ff9b::/96'), '64:ff9b::/96');
});

test('host bits are shown without them', () => {
  assert.match(read('192.168.1.33/28'), /Did you mean 192\.168\.1\.32\/28, or 192\.168\.1\.33\/32/);
  assert.match(read('2001:db8:1:2:3::/52'), /Did you mean 2001:db8:1::\/52/);
  assert.match(read('64:ff9b::192.0.2.1/96'), /Did you mean 64:ff9b::\/96/);
  assert.match(read('255.255.255.255/1'), /Did you mean 128\.0\.0\.0\/1/);
});

test('clearing the host bits makes a network that holds the address', () => {
  const address = fc.oneof(
    fc.tuple(
      fc.ipV4().filter((text) => !/^(0|127|169|22[4-9]|2[345]\d)\./.test(text)),
      fc.integer({ min: 8, max: 32 }),
    ),
    fc.tuple(
      fc.ipV6().filter((text) => /^[23]/.test(text) && !text.includes('.')),
      fc.integer({ min: 16, max: 128 }),
    ),
  );
  fc.assert(
    fc.property(address, ([text, length]) => {
      const result = network(`${text}/${length}`);
      const meant = result.ok ? networkText(result.value) : /Did you mean ([^,?]+)/.exec(result.hint ?? '')?.[1];
      assert.ok(meant !== undefined, JSON.stringify(result));
      const again = network(meant);
      assert.ok(again.ok && networkText(again.value) === meant, meant);
      assert.ok(inNetwork(text, again.value.address, length), `${text} in ${meant}`);
    }),
  );
});

test('what is no network', () => {
  for (const text of [
    '',
    '/',
    '/24',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/x',
    '2001:db8::/129',
    'fe80::1%eth0',
    'a/b/c',
    '10.0.0.0/8/8',
  ])
    assert.ok(!network(text).ok, text);
});

test('a prefix is a network of IPv6', () => {
  assert.ok(prefix('fd00:1::/64').ok);
  for (const text of ['', 'auto', '10.0.0.0/8', 'fd00::/8', 'fd00::/127', 'fd00::1/64', '::1/128', 'ff02::/16', '::/0'])
    assert.ok(!prefix(text).ok, text);
});

test('networks overlap where one holds the other', () => {
  const overlap = (a: string, b: string): boolean => networksOverlap(splitNetwork(a), splitNetwork(b));
  assert.ok(overlap('fd00::/48', 'fd00:0:0:1::/64'));
  assert.ok(overlap('fd00:0:0:1::/64', 'fd00::/48'));
  assert.ok(!overlap('fd00::/64', 'fd00:0:0:1::/64'));
  assert.ok(!overlap('10.0.0.0/8', 'fd00::/8'));
});

test('ports of one protocol, of both, and ranges', () => {
  const both = ['tcp', 'udp'];
  for (const [text, protocols, first, last] of [
    ['443', both, 443, 443],
    ['1-65535', both, 1, 65_535],
    ['tcp/25', ['tcp'], 25, 25],
    ['udp/5060-5061', ['udp'], 5060, 5061],
    ['7-7', both, 7, 7],
  ] as const) {
    assert.deepEqual(ports(text), { ok: true, value: { protocols, ports: { first, last } } }, text);
  }
  for (const text of [
    '',
    '0',
    '65536',
    '-1',
    '9-1',
    'tcp',
    'tcp/',
    '/25',
    'icmp/1',
    'tcp/x',
    '1-2-3',
    '1,2',
    '1e3',
    '9'.repeat(50),
  ])
    assert.ok(!ports(text).ok, text);
});
