/**
 * DNS probes against resolvers of all manners on loopback.
 */
import assert from 'node:assert/strict';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { ProbeBench, probePath } from '../../support/probe-bench.js';

const NAME = 'www.Example.org';

/** The query turned into its response: flags, then whatever `change` does. */
function response(query: Buffer, rcode = 0, change: (bytes: Buffer) => Buffer = (bytes) => bytes): Buffer {
  const bytes = Buffer.from(query);
  bytes.writeUInt16BE(0x8180 | rcode, 2);
  return change(bytes);
}

async function udp(host: string): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(0, host);
  await once(socket, 'listening');
  return socket;
}

/** The bytes with the 16 bits at `at` replaced. */
function withWord(bytes: Buffer, at: number, value: number): Buffer {
  bytes.writeUInt16BE(value, at);
  return bytes;
}

describe('dns probes', () => {
  let server: Socket;
  let elsewhere: Socket;
  let port: number;
  let answer: (query: Buffer, from: RemoteInfo) => void;
  before(async () => {
    server = await udp('127.0.0.1');
    elsewhere = await udp('127.0.0.2');
    port = (server.address() as AddressInfo).port;
    server.on('message', (query, from) => answer(query, from));
  });
  after(() => {
    server.close();
    elsewhere.close();
  });

  async function told(name = NAME, giveUpMs = 50, askedPort = port): Promise<string> {
    const bench = new ProbeBench();
    const line = await bench.told(
      bench.ask({ kind: 'dns', name, type: 'A', port: askedPort }, '127.0.0.1', probePath(), giveUpMs),
    );
    bench.prober.close();
    return line;
  }
  const reply = (make: (query: Buffer) => Buffer) => (query: Buffer, from: RemoteInfo) => {
    server.send(make(query), from.port, from.address);
  };

  for (const [rcode, expected] of [
    [0, 'answered'],
    [3, 'answered (NXDOMAIN: the name does not exist)'],
    [1, 'bad-answer: FORMERR'],
    [2, 'bad-answer: SERVFAIL'],
    [5, 'bad-answer: REFUSED'],
    [15, 'bad-answer: rcode 15'],
  ] as const) {
    test(`rcode ${rcode}`, async () => {
      answer = reply((query) => response(query, rcode));
      assert.equal(await told(), expected);
    });
  }

  test('the query: recursive, with a fresh identifier, port and letter case each time', async () => {
    const queries: Buffer[] = [];
    const ports = new Set<number>();
    answer = (query, from) => {
      queries.push(query);
      ports.add(from.port);
      server.send(response(query), from.port, from.address);
    };
    for (let count = 0; count < 20; count++) assert.equal(await told(), 'answered');
    assert.ok(ports.size >= 15, 'source ports differ');
    assert.ok(new Set(queries.map((query) => query.readUInt16BE(0))).size >= 15, 'identifiers differ');
    assert.ok(new Set(queries.map((query) => query.toString('latin1', 12))).size >= 15, 'letter cases differ');
    for (const query of queries) {
      assert.equal(query.toString('hex', 2, 12), '01000001000000000000');
      assert.equal(query.toString('latin1', 12).toLowerCase(), '\x03www\x07example\x03org\0\0\x01\0\x01');
    }
  });

  for (const [name, change, hint] of [
    ['another identifier', (bytes: Buffer) => withWord(bytes, 0, bytes.readUInt16BE(0) ^ 1), 'the identifier is another'],
    [
      'other letter case',
      (bytes: Buffer) => withWord(bytes, 13, bytes.readUInt16BE(13) ^ 0x2000),
      'the question is another, or in other letter case',
    ],
    ['our own query', (bytes: Buffer) => withWord(bytes, 2, 0x0100), 'it is no response to a query'],
    ['a few bytes', (bytes: Buffer) => bytes.subarray(0, 11), 'too short for a DNS header'],
    ['no question', (bytes: Buffer) => withWord(bytes, 4, 0), '0 questions instead of ours'],
  ] as const) {
    test(`${name}: as if it had not come, and a good one still counts`, async () => {
      answer = reply((query) => response(query, 0, change));
      assert.equal(await told(), `timeout: no answer that fits; one came, but ${hint}`);
      answer = (query, from) => {
        server.send(response(query, 0, change), from.port, from.address);
        server.send(response(query), from.port, from.address);
      };
      assert.equal(await told(NAME, 4_000), 'answered');
    });
  }

  test('from another address or port', async () => {
    answer = (query, from) => elsewhere.send(response(query), from.port, from.address);
    assert.match(await told(), /^timeout: no answer from the resolver; one came from 127\.0\.0\.2 port \d+$/);
  });

  test('cut short: malformed; cut short and saying so: an answer', async () => {
    const oneRecord = (bytes: Buffer): Buffer => {
      bytes.writeUInt16BE(1, 6);
      return Buffer.concat([bytes, Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1])]);
    };
    answer = reply((query) => response(query, 0, oneRecord));
    assert.equal(await told(), 'answered');
    answer = reply((query) => response(query, 0, (bytes) => oneRecord(bytes).subarray(0, -1)));
    assert.equal(await told(), 'bad-answer: malformed: it ends inside record 1 of 1');
    answer = reply((query) => response(query, 0x0200, (bytes) => oneRecord(bytes).subarray(0, -1)));
    assert.equal(await told(), 'answered');
    answer = reply((query) => response(query, 0, (bytes) => bytes.subarray(0, 20)));
    assert.equal(await told(), 'bad-answer: malformed: it ends inside the question');
  });

  test('a refusal without the question', async () => {
    answer = reply((query) => response(query, 5, (bytes) => withWord(bytes, 4, 0).subarray(0, 12)));
    assert.equal(await told(), 'bad-answer: REFUSED');
  });

  test('nobody listens on the port', async () => {
    const closed = await udp('127.0.0.1');
    const { port: closedPort } = closed.address() as AddressInfo;
    closed.close();
    await once(closed, 'close');
    assert.equal(await told(NAME, 4_000, closedPort), 'refused: port unreachable, says 127.0.0.1');
  });

  test('names: the root, international ones, and what is none', async () => {
    const asked: string[] = [];
    answer = (query, from) => {
      asked.push(query.toString('latin1', 12, query.length - 4).toLowerCase());
      server.send(response(query), from.port, from.address);
    };
    assert.equal(await told('.', 4_000), 'answered');
    assert.equal(await told('zürich.ch', 4_000), 'answered');
    assert.deepEqual(asked, ['\0', '\x0dxn--zrich-kva\x02ch\0']);
    for (const name of ['a..b', 'x'.repeat(64), `${'abcdefg.'.repeat(32)}org`]) {
      assert.equal(await told(name), `local-fault: ${name} is no name to ask for`);
    }
  });
});
