/** Addresses, names, ports and URLs as people write and mistype them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { interfaceComplaint, readHost, readHostPort, readHttpUrl } from '../../../src/config/host.js';
import { formatProblem } from '../../../src/config/problem.js';
import { mailAddress, mqttUrl, via } from '../../../src/config/service-values.js';
import fc from '../../support/properties.js';

test('addresses and names are told apart', () => {
  const table: [string, string, string | null][] = [
    ['192.168.1.253', 'address 192.168.1.253', null],
    ['2001:DB8:0:0::1', 'address 2001:db8::1', null],
    ['fe80::1', 'address fe80::1', null],
    ['FE80::1%eth0.100', 'address fe80::1', 'eth0.100'],
    ['router', 'name router', null],
    ['3com.example.net', 'name 3com.example.net', null],
    ['a-1.EXAMPLE.net.', 'name a-1.EXAMPLE.net', null],
    ['1.0.0.10.in-addr.arpa', 'name 1.0.0.10.in-addr.arpa', null],
    ['10.example', 'name 10.example', null],
    ['face', 'name face', null],
  ];
  for (const [text, wanted, zone] of table) {
    const read = readHost(text);
    assert.ok(read.ok, text);
    const { ref } = read.value;
    assert.equal(`${ref.kind} ${ref.kind === 'address' ? ref.address : ref.name}`, wanted);
    assert.equal(read.value.zone, zone);
  }
});

test('an address with a typo is never taken for a name', () => {
  const table: [string, RegExp][] = [
    ['192.168.1.256', /IPv4.*256/],
    ['1.2.3', /IPv4.*3 parts/],
    ['1.2.3.4.5', /IPv4.*5 parts/],
    ['192.168.1', /IPv4/],
    ['192.168.001.001', /Did you mean 192\.168\.1\.1\?/],
    ['192.168.1.l', /IPv4/],
    ['192.168.1.1O', /IPv4/],
    ['192.168..1', /IPv4/],
    ['3232235777', /IPv4/],
    ['0x7f.1', /IPv4/],
    ['0xc0a80101', /IPv4/],
    ['192.168.1.1/24', /single address.*Did you mean 192\.168\.1\.1\?/],
    ['192,168,1,1', /address or a host name/],
    ['192.168.1.1:80', /port.*\{tcp: "192\.168\.1\.1:80"\}/],
    ['fe80:::1', /IPv6.*Did you mean fe80::1\?/],
    ['fe80::1::2', /only once/],
    ['2001:db8::g', /"g"/],
    ['2001:db8:12345::1', /four digits/],
    ['2001:db8:1:2:3:4:5', /eight groups/],
    ['[fe80::1]', /without brackets: fe80::1/],
    ['::ffff:192.0.2.1', /Did you mean 192\.0\.2\.1\?/],
    ['192.0.2.1%eth0', /zone/],
    ['2001:db8::1%eth0', /zone/],
    ['fe80::1%', /zone/],
  ];
  for (const [text, says] of table) {
    const read = readHost(text);
    assert.ok(!read.ok, text);
    assert.match(`${read.message} ${read.allowed} ${read.hint}`, says, text);
  }
});

test('what is no host at all', () => {
  const hosts = [
    '',
    '0.0.0.0',
    '::',
    '224.0.0.1',
    '255.255.255.255',
    'ff02::1',
    '127.0.0.1',
    '127.8.8.8',
    '::1',
    'localhost',
    'a.LOCALHOST',
  ];
  const names = [
    'my_host',
    '-a.example',
    'a-.example',
    'a..b',
    '.a',
    'a b',
    'http://a/',
    'über.example',
    'x'.repeat(64),
    `${'a.'.repeat(127)}ab`,
  ];
  for (const text of [...hosts, ...names]) assert.ok(!readHost(text).ok, text);
});

test('hosts with ports', () => {
  const table: [string, number | null, string, number][] = [
    ['example.com:443', null, 'example.com', 443],
    ['[2001:db8::1]:443', null, '2001:db8::1', 443],
    ['192.0.2.1', 53, '192.0.2.1', 53],
    ['2001:db8::1', 53, '2001:db8::1', 53],
    ['[2001:db8::1]', 53, '2001:db8::1', 53],
    ['192.0.2.1:5353', 53, '192.0.2.1', 5353],
  ];
  for (const [text, standard, host, port] of table) {
    const read = readHostPort(text, standard);
    assert.ok(read.ok, text);
    const { ref } = read.value;
    assert.deepEqual([ref.kind === 'address' ? ref.address : ref.name, read.value.port], [host, port]);
  }
  for (const text of [
    'example.com',
    'example.com:',
    'example.com:0',
    'example.com:65536',
    'a:b:c',
    '2001:db8::1',
    '[example.com]:1',
    '192.0.2.256:1',
    ':80',
  ]) {
    assert.ok(!readHostPort(text, null).ok, text);
  }
});

test('URLs', () => {
  const table: [string, string, number][] = [
    ['http://example.com', 'example.com', 80],
    ['HTTPS://example.com/x?y#z', 'example.com', 443],
    ['http://[2001:db8::1]:8080/', '2001:db8::1', 8080],
    ['https://192.0.2.1:8443', '192.0.2.1', 8443],
  ];
  for (const [text, host, port] of table) {
    const read = readHttpUrl(text);
    assert.ok(read.ok, text);
    const { ref } = read.value;
    assert.deepEqual([ref.kind === 'address' ? ref.address : ref.name, read.value.port], [host, port]);
  }
  const wrong = [
    'example.com',
    'ftp://example.com/',
    'http://',
    'http:///x',
    'http://1.2.3/',
    'http://0x7f.1/',
    'http://a:b@example.com/',
    'http://exa mple/',
    'http://[fe80::1%eth0]/',
    'http://localhost/',
  ];
  for (const text of wrong) assert.ok(!readHttpUrl(text).ok, text);
});

test('names of interfaces', () => {
  for (const name of ['eth0', 'enp3s0', 'eth0.100', 'ppp0', 'br-lan', 'fifteen-letters'])
    assert.equal(interfaceComplaint(name), null, name);
  for (const name of ['', 'lo', 'eth0:1', 'a/b', 'a b', '..', 'sixteen-letters-', 'ethö'])
    assert.notEqual(interfaceComplaint(name), null, name);
});

test('only what would be taken is proposed', () => {
  const hint = (read: { ok: boolean; hint?: string | null }): string | null => (read.ok ? assert.fail() : (read.hint ?? null));
  assert.equal(hint(readHost('192.168.1.1/24')), 'Did you mean 192.168.1.1?');
  assert.equal(hint(readHost('127.0.0.1/8')), null);
  assert.equal(hint(readHost('[a\nb]')), null);
  assert.equal(hint(readHost('router:53')), 'To ask a port write {tcp: "router:53"}.');
  assert.equal(hint(readHost('a\nb:53')), null);
  assert.equal(hint(readHttpUrl('example.com/health')), 'Did you mean http://example.com/health?');
  for (const text of ['', '\n', 'a b', 'ftp://example.com/', '[::', 'h/\u0001'])
    assert.equal(hint(readHttpUrl(text)), null, text);
  assert.equal(interfaceComplaint('eth0:1')?.hint, 'Did you mean eth0?');
  assert.equal(interfaceComplaint('a\nb:1')?.hint, null);
  assert.equal(hint(mqttUrl('broker:1883')), 'Did you mean mqtt://broker:1883?');
  for (const text of ['\n', 'u:secret@broker', 'http://broker']) assert.equal(hint(mqttUrl(text)), null, text);
  assert.equal(hint(via('mail.example.net:587')), 'Did you mean smtp://mail.example.net:587?');
  for (const text of ['', 'a\nb', 'u:secret@mail']) assert.equal(hint(via(text)), null, text);
  assert.equal(hint(mailAddress('Admin <a@example.net>')), 'Did you mean a@example.net?');
  assert.equal(hint(mailAddress('Admin <admin>')), null);
});

test('a problem is one line, even of a file with a strange name', () => {
  const place = { severity: 'error', file: 'a\nb\u001b[2J', line: 3, column: 1, path: 'x', found: 'y\n' } as const;
  const line = formatProblem({ ...place, message: 'wrong', allowed: null, hint: 'Did you mean \u202ez?' });
  assert.equal(line, 'a?b?[2J:3: x: found "y\\n"; wrong. Did you mean ?z?');
});

test('brackets that fit nothing are told, whatever stands in them', () => {
  for (const text of ['[::1]]:53', '[[2001:db8::1]]:443', '[2]001:db8::53]:53', ']', '[', '[]:53', 'a]:53']) {
    const read = readHostPort(text, 53);
    assert.ok(!read.ok && /brackets/.test(read.message), text);
    const host = readHost(text);
    assert.ok(!host.ok, text);
  }
});

test('every reader has an answer to whatever is made of the signs of addresses', () => {
  const signs = fc.array(fc.constantFrom(...'[[]]:%.', ']:53', ':53', '::1', '1', 'fe80::1', 'a', '192.0.2.1', 'http://'), {
    maxLength: 8,
  });
  fc.assert(
    fc.property(signs, (parts) => {
      const text = parts.join('');
      for (const read of [readHost(text), readHostPort(text, null), readHostPort(text, 53), readHttpUrl(text)]) {
        if (!read.ok) assert.ok(read.message.length > 0);
      }
    }),
    { numRuns: 20_000 },
  );
});
