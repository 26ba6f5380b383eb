/**
 * TCP probes against real listeners on loopback.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { ProbeBench, probePath, until } from '../../support/probe-bench.js';

describe('tcp probes', () => {
  let server: Server;
  let port: number;
  let open = 0;
  before(async () => {
    server = createServer((socket) => {
      open++;
      socket.on('error', () => {});
      socket.on('close', () => open--);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });
  after(() => server.close());

  test('who accepts has answered, and nothing stays open', async () => {
    const bench = new ProbeBench();
    const descriptors = () => readdirSync('/proc/self/fd').length;
    const before = descriptors();
    for (let count = 0; count < 50; count++) {
      const outcome = await bench.first(bench.ask({ kind: 'tcp', port }, '127.0.0.1'));
      assert.ok(outcome.kind === 'answered' && outcome.rttMs > 0 && outcome.note === null);
    }
    await until(() => open === 0, 'the connections to close');
    await until(() => descriptors() <= before, 'the descriptors to be given back');
    assert.ok(bench.prober.takeReadCount() >= 50);
    bench.prober.close();
  });

  test('who refuses', async () => {
    const closed = createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const { port: closedPort } = closed.address() as AddressInfo;
    closed.close();
    await once(closed, 'close');
    const bench = new ProbeBench();
    assert.equal(await bench.told(bench.ask({ kind: 'tcp', port: closedPort }, '127.0.0.1')), 'refused: connection refused');
    bench.prober.close();
  });

  test('no address, no device', async () => {
    const bench = new ProbeBench();
    assert.equal(await bench.told(bench.ask({ kind: 'tcp', port }, 'localhost')), 'local-fault: localhost is no IPv4 address');
    const path = probePath({ device: 'nosuch0' });
    const line = await bench.told(bench.ask({ kind: 'tcp', port }, '127.0.0.1', path));
    // Without privileges the kernel says EPERM before it looks for the device.
    assert.match(line, /^no-route: interface nosuch0 does not exist|^local-fault: marked tcp socket refused/);
    bench.prober.close();
  });

  test('a forgotten probe and a closed prober say nothing more', async () => {
    const bench = new ProbeBench();
    const forgotten = bench.ask({ kind: 'tcp', port }, '127.0.0.1');
    bench.prober.forget('fast/4');
    assert.equal(await bench.told(bench.ask({ kind: 'tcp', port }, '127.0.0.1')), 'answered');
    assert.deepEqual(bench.of(forgotten), []);
    const asked = bench.ask({ kind: 'tcp', port }, '127.0.0.1');
    bench.prober.close();
    bench.ask({ kind: 'tcp', port }, '127.0.0.1');
    await until(() => open === 0, 'the connections to close');
    assert.deepEqual(bench.of(asked), []);
  });
});
