/** What the traffic's records say, and where flows run: the pure parts. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { nodeScript } from '../../../src/lab/plan.js';
import { topologies } from '../../../src/lab/topologies.js';
import { topologyOf } from '../../../src/lab/topology-variant.js';
import { misplacedIn, PATTERN_BYTES, pattern, Silences } from '../../../src/lab/traffic/arrivals.js';
import { endsOf, uplinkOf } from '../../../src/lab/traffic/places.js';
import { type Closed, watchClosing } from '../../../src/lab/traffic/socket-life.js';

function stream(length: number): Buffer {
  const blocks = [];
  for (let at = 0; at < length; at += PATTERN_BYTES) blocks.push(pattern(at, Math.min(PATTERN_BYTES, length - at)));
  return Buffer.concat(blocks);
}

test('a stream in order is recognised, however it is cut into blocks', () => {
  const whole = stream(300_000);
  for (const size of [1000, 1448, PATTERN_BYTES, 100_000, 300_000]) {
    for (let at = 0; at < whole.length; at += size) assert.equal(misplacedIn(whole.subarray(at, at + size), at), 0);
  }
});

test('lost, doubled, swapped and changed bytes do not belong where they stand', () => {
  const whole = stream(300_000);
  // A random byte is the right one once in 256 times.
  const most = (misplaced: number, of: number) => assert.ok(misplaced > 0.97 * of, `${misplaced} of ${of}`);
  for (const lost of [1, 1448, 65_536]) most(misplacedIn(whole.subarray(50_000 + lost, 60_000 + lost), 50_000), 10_000);
  most(misplacedIn(whole.subarray(48_552, 50_000), 50_000), 1448);
  const changed = Buffer.from(whole.subarray(0, 200_000));
  changed[150_000] = (changed[150_000] ?? 0) ^ 1;
  assert.equal(misplacedIn(changed, 0), 1);
});

test('silences: those above the threshold, the one that lasts, none after the end', () => {
  const silences = new Silences(50);
  assert.deepEqual(silences.gaps(1000), [], 'before the first arrival there is none');
  for (const atMs of [1000, 1050, 1101, 1110]) silences.arrived(atMs);
  assert.deepEqual(silences.gaps(1150), [{ fromMs: 1050, toMs: 1101 }]);
  assert.deepEqual(silences.gaps(1200).at(-1), { fromMs: 1110, toMs: 1200 });
  silences.ended(1300);
  silences.ended(1400);
  assert.deepEqual(silences.gaps(9000).at(-1), { fromMs: 1110, toMs: 1300 });
  silences.expected();
  silences.arrived(2000);
  assert.deepEqual(silences.gaps(2010).at(-1), { fromMs: 1110, toMs: 2000 });
});

test('an address tells its uplink: translated, delegated, a modem; others tell none', () => {
  const of = (name: keyof typeof topologies, address: string) => uplinkOf(topologies[name], address);
  assert.equal(of('two-nic', '212.254.1.2'), 'backup');
  assert.equal(of('three-uplinks', '2001:db8:3::2'), 'third');
  assert.equal(of('prefixes', '2001:db8:1100:1::10'), 'backup');
  assert.equal(of('prefixes', '2001:db8:1000:ff::2'), 'fast');
  assert.equal(of('point-to-point', '212.254.1.2'), 'backup');
  for (const address of ['198.51.100.10', '2001:db8:1200:1::10', '192.168.1.10', '']) assert.equal(of('prefixes', address), null);
});

test('a flow goes from the client to the server where nothing else is said', () => {
  const ends = endsOf({});
  assert.deepEqual([ends.from, ends.to, ends.localAddress, ends.listen.address], ['client', 'internet', null, '198.51.100.10']);
  assert.deepEqual(ends.target({ port: 7 }), { address: '198.51.100.10', port: 7 });
  const inwards = endsOf({
    family: 6,
    from: 'internet',
    to: 'client',
    listen: { address: 'fd00:1::10', port: 80 },
    via: { address: '2001:db8:2::2' },
  });
  assert.equal(inwards.localAddress, '2001:db8:ffff::10');
  assert.deepEqual(inwards.target({ port: 80 }), { address: '2001:db8:2::2', port: 80 });
});

test('a variant changes what it names, and nothing else', () => {
  const script = (topology: ReturnType<typeof topologyOf>, node: string) => nodeScript(topology, node);
  assert.deepEqual(topologyOf('two-nic'), topologies['two-nic']);
  assert.doesNotMatch(script(topologyOf('two-nic', { masquerade: false }), 'gateway'), /masquerade/);
  assert.match(script(topologyOf('two-nic', { masquerade: false }), 'fast'), /masquerade/, 'the router translates as before');
  assert.match(script(topologyOf('classic', { masquerade: true }), 'gateway'), /ip daddr 192\.168\.1\.0\/24 return/);
  assert.match(script(topologyOf('classic', { masquerade: true }), 'gateway'), /oifname \{ "lan0" \} masquerade/);
  assert.match(script(topologyOf('prefixes', { masquerade: true }), 'gateway'), /meta nfproto ipv4 oifname/);
  const bare = script(topologyOf('three-uplinks', { bare: ['wan1', 'wan3'] }), 'gateway');
  assert.doesNotMatch(bare, /10\.[13]\.0|route add/);
  assert.match(bare, /addr add 10\.2\.0\.2\/24 dev wan2/);
  assert.match(script(topologyOf('three-uplinks', { bare: ['wan1'] }), 'fast'), /addr add 10\.1\.0\.1\/24 dev lan0/);
  const known = topologyOf('two-nic', { routersKnowLan: true });
  assert.match(script(known, 'backup'), /route add 192\.168\.1\.0\/24 via 10\.2\.0\.2 dev lan0/);
  assert.deepEqual(topologyOf('classic', { routersKnowLan: true }), topologies.classic, 'they are on the LAN');
});

test('no IPv6 is translated where prefixes are delegated', () => {
  for (const node of ['gateway', 'fast', 'backup']) {
    const lines = nodeScript(topologies.prefixes, node).split('\n');
    assert.ok(
      lines.filter((line) => / masquerade$/.test(line)).every((line) => line.includes('nfproto ipv4')),
      node,
    );
  }
});

test('how a connection ended: an end, a reset, a reset right behind data, by itself', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (wish) => {
      if (String(wish).includes('data')) socket.write('x');
      if (String(wish).includes('reset')) socket.resetAndDestroy();
      else socket.end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const ended = async (wish: string) => {
    const socket = connect(address.port, '127.0.0.1', () => (wish === '' ? socket.destroy() : socket.write(wish)));
    const closed = new Promise<Closed>((resolve) => watchClosing(socket, resolve));
    socket.resume();
    return (await closed).how;
  };
  try {
    assert.equal(await ended('end'), 'EOF');
    assert.equal(await ended('data and end'), 'EOF');
    assert.equal(await ended('reset'), 'ECONNRESET');
    // Both are there before we look: libuv alone would call it an end.
    for (let time = 0; time < 20; time++) assert.equal(await ended('data and reset'), 'ECONNRESET');
    assert.equal(await ended(''), 'ended-here');
  } finally {
    server.close();
  }
});
