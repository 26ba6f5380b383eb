/** The flow keeper's bytes and choices: conntrack entries, elements of the dead set, bare ACKs, sides, order of telling. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Family } from '../../../src/core/model.js';
import { KernelError } from '../../../src/kernel/error.js';
import { bareAck } from '../../../src/kernel/flows/bare-ack.js';
import * as ct from '../../../src/kernel/flows/conntrack.js';
import { elementsTransaction } from '../../../src/kernel/flows/dead-set.js';
import { readSocket } from '../../../src/kernel/flows/own-sockets.js';
import * as problems from '../../../src/kernel/flows/problems.js';
import { DEFAULT_TIMEOUTS, idleSeconds, Lowest } from '../../../src/kernel/flows/recent.js';
import { farewellOf, type Reach } from '../../../src/kernel/flows/side.js';
import { MalformedError } from '../../../src/kernel/netlink/wire.js';
import fc from '../../support/properties.js';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/[\s|]+/g, ''), 'hex');
const address = (text: string): Buffer => Buffer.from(text.split('.').map(Number));

function attribute(type: number, value: Uint8Array): Buffer {
  const bytes = Buffer.alloc((4 + value.length + 3) & ~3);
  bytes.writeUInt16LE(4 + value.length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.set(value, 4);
  return bytes;
}

type End = readonly [string, number];

function tuple([source, sourcePort]: End, [destination, destinationPort]: End): Buffer {
  const port = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 0xff);
  return Buffer.concat([
    attribute(1 | ct.NLA_F_NESTED, Buffer.concat([attribute(1, address(source)), attribute(2, address(destination))])),
    attribute(
      2 | ct.NLA_F_NESTED,
      Buffer.concat([attribute(1, Uint8Array.of(6)), attribute(2, port(sourcePort)), attribute(3, port(destinationPort))]),
    ),
  ]);
}

function entryBytes(orig: readonly [End, End], reply: readonly [End, End]): Buffer {
  return Buffer.concat([
    hex('02000000'),
    attribute(ct.CTA.tupleOrig | ct.NLA_F_NESTED, tuple(...orig)),
    attribute(ct.CTA.tupleReply | ct.NLA_F_NESTED, tuple(...reply)),
    attribute(ct.CTA.status, hex('0000018e')),
    attribute(ct.CTA.protoinfo | ct.NLA_F_NESTED, attribute(1 | ct.NLA_F_NESTED, attribute(1, Uint8Array.of(3)))),
    attribute(ct.CTA.timeout, hex('00069781')),
    attribute(ct.CTA.mark, hex('81000042')),
    attribute(ct.CTA.id, hex('deadbeef')),
  ]);
}

const CLIENT: End = ['192.168.1.7', 40_000];
const SERVER: End = ['203.0.113.9', 443];
const WAN: End = ['10.9.1.2', 50_000];

function connection(orig: readonly [End, End], reply: readonly [End, End]): ct.Connection {
  const bytes = entryBytes(orig, reply);
  const entry = new ct.ConntrackEntry();
  ct.scanEntry(4, bytes, 0, bytes.length, entry);
  return new ct.Connection(4, bytes, entry);
}

test('an entry is read where it lies', () => {
  const bytes = entryBytes([CLIENT, SERVER], [SERVER, WAN]);
  const padded = Buffer.concat([Buffer.alloc(16, 0xff), bytes, Buffer.alloc(16, 0xff)]);
  const entry = new ct.ConntrackEntry();
  ct.scanEntry(4, padded, 16, 16 + bytes.length, entry);
  assert.equal(entry.mark, 0x81000042);
  assert.equal(entry.status & ct.IPS_SEEN_REPLY, ct.IPS_SEEN_REPLY);
  assert.equal(entry.timeout, 432_001);
  assert.equal(entry.tcpState, ct.TCP_STATE.established);
  assert.equal(entry.orig.protocol, 6);
  assert.ok(entry.orig.complete && entry.reply.complete);
  const { initiator, called, responder, caller } = new ct.Connection(4, padded, entry);
  const text = ({ address: bytes, port }: ct.Endpoint): End => [[...bytes].join('.'), port];
  assert.deepEqual([initiator, called, responder, caller].map(text), [CLIENT, SERVER, SERVER, WAN]);
  const request = ct.deleteRequest(4, padded, entry, 5);
  assert.ok(request.includes(padded.subarray(entry.tupleStart, entry.tupleEnd)), 'deleted by the tuple that was read');
  assert.ok(request.includes(hex('08000c00deadbeef')), 'and by its id');
});

test('whatever bytes come, the reader ends within them or calls them malformed', () => {
  const whole = entryBytes([CLIENT, SERVER], [SERVER, WAN]);
  const entry = new ct.ConntrackEntry();
  const scan = (bytes: Buffer, family: Family): void => {
    try {
      ct.scanEntry(family, bytes, 0, bytes.length, entry);
    } catch (error) {
      assert.ok(error instanceof MalformedError, String(error));
    }
  };
  for (let length = 0; length <= whole.length; length++) scan(whole.subarray(0, length), 4);
  const changes = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(changes, fc.constantFrom<Family>(4, 6), (list, family) => {
      const bytes = Buffer.from(whole);
      for (const [at, value] of list) bytes[at] = value;
      scan(bytes, family);
    }),
    { numRuns: 2000 },
  );
});

test('requests: family and mark in network order, the version that makes a flush mean one family', () => {
  const selector = { family: 6, mark: 0x01000000, mask: 0x7f000000, udpPorts: null } as const;
  const marks = '0800080001000000 080015007f000000';
  assert.deepEqual(ct.dumpRequest(selector, 3), hex(`24000000 0101 0103 03000000 00000000 0a000000 ${marks}`));
  assert.deepEqual(ct.flushRequest(selector, 4), hex(`24000000 0201 0500 04000000 00000000 0a010000 ${marks}`));
});

test('an element of the dead set: every part in whole words, the lifetime in network order', () => {
  const tuples = [
    { source: { address: address('192.168.1.7'), port: 40_000 }, destination: { address: address('203.0.113.9'), port: 443 } },
  ];
  assert.deepEqual(
    elementsTransaction(4, tuples, 10_000, 1),
    hex(`14000000 1000 0100 01000000 00000000 0000000a |
      5c000000 0c0a 0504 02000000 00000000 01000000 | 0e000100 6261636b726f75746500 0000 | 0a000200 646561643400 0000 |
      2c000380 28000180 18000180 14000100 c0a80107 9c400000 cb007109 01bb0000 0c000400 0000000000002710 |
      14000000 1100 0100 03000000 00000000 0000000a`),
  );
});

test('a bare ACK has right checksums in both families', () => {
  for (const [family, size, header] of [
    [4, 4, 20],
    [6, 16, 40],
  ] as const) {
    const from = { address: Buffer.alloc(size, 0xa5), port: 443 };
    const to = { address: Buffer.alloc(size, 0x3c), port: 40_001 };
    const packet = bareAck(family, from, to, 0xfffffffe, 0x12345678);
    assert.equal(packet.length, header + 20);
    // RFC 9293: pseudo header and segment sum up to all ones.
    const pseudo = Buffer.concat([from.address, to.address, hex('0006 0014')]);
    const summed = Buffer.concat([pseudo, packet.subarray(header)]);
    let sum = 0;
    for (let at = 0; at < summed.length; at += 2) sum += summed.readUInt16BE(at);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    assert.equal(sum, 0xffff);
    assert.deepEqual(packet.subarray(header, header + 14), hex('01bb 9c41 fffffffe 12345678 5010'));
  }
});

const UPLINK_MARK = 0x41000000;
/** LAN 192.168.1.0/24 on 2, the uplink's network 10.9.1.0/24 on 3, everything else by the default route on 4; 10.9.1.2 is ours. */
const reach: Reach = (bytes, mark = 0) => {
  const text = [...bytes].join('.');
  if (text === WAN[0]) return { local: true, prefixLength: 32, interface: 1 };
  if (mark === UPLINK_MARK) return { local: false, prefixLength: 0, interface: 3 };
  if (text.startsWith('192.168.1.')) return { local: false, prefixLength: 24, interface: 2 };
  if (text.startsWith('10.9.1.')) return { local: false, prefixLength: 24, interface: 3 };
  return { local: false, prefixLength: 0, interface: 4 };
};
/** `who > whom, as whom` */
function told(orig: readonly [End, End], reply: readonly [End, End]): string | null {
  const farewell = farewellOf(connection(orig, reply), reach, UPLINK_MARK);
  if (farewell === null) return null;
  const text = ({ address: bytes, port }: ct.Endpoint): string => `${[...bytes].join('.')}:${port}`;
  const { tuple: dead, prod } = farewell;
  assert.equal(text(prod.to), text(dead.source));
  return `${text(dead.source)} > ${text(dead.destination)}, as ${text(prod.from)}`;
}

test('who is told: the end on our side, in the words that the reset goes by, as whom it believes to speak with', () => {
  const lanServer: End = ['192.168.1.20', 80];
  const wan80: End = ['10.9.1.2', 80];
  const neighbour: End = ['10.9.1.77', 5000];
  const gateway: End = ['192.168.1.1', 6000];
  // A client, plain and behind masquerade.
  assert.equal(told([CLIENT, SERVER], [SERVER, CLIENT]), '192.168.1.7:40000 > 203.0.113.9:443, as 203.0.113.9:443');
  assert.equal(told([CLIENT, SERVER], [SERVER, WAN]), '192.168.1.7:40000 > 203.0.113.9:443, as 203.0.113.9:443');
  // A port forward, called from afar and from the uplink's own network, and one that hides the caller.
  assert.equal(told([SERVER, wan80], [lanServer, SERVER]), '192.168.1.20:80 > 203.0.113.9:443, as 203.0.113.9:443');
  assert.equal(told([neighbour, wan80], [lanServer, neighbour]), '192.168.1.20:80 > 10.9.1.77:5000, as 10.9.1.77:5000');
  assert.equal(told([SERVER, wan80], [lanServer, gateway]), '192.168.1.20:80 > 203.0.113.9:443, as 192.168.1.1:6000');
  // Called without translation, from afar and from the uplink's own network.
  assert.equal(told([SERVER, lanServer], [lanServer, SERVER]), '192.168.1.20:80 > 203.0.113.9:443, as 203.0.113.9:443');
  assert.equal(told([neighbour, lanServer], [lanServer, neighbour]), '192.168.1.20:80 > 10.9.1.77:5000, as 10.9.1.77:5000');
  // A redirected client: the set has whom it really speaks with, the packet whom it believes in.
  assert.equal(told([CLIENT, ['9.9.9.9', 53]], [SERVER, WAN]), '192.168.1.7:40000 > 203.0.113.9:443, as 9.9.9.9:53');
  // Our own: nobody else is there to tell.
  assert.equal(told([WAN, SERVER], [SERVER, WAN]), null);
  assert.equal(told([SERVER, WAN], [WAN, SERVER]), null);
});

test('own sockets: IPv4 through an IPv6 socket counts as IPv4, the mark is read', () => {
  const mapped = '00000000000000000000ffff';
  const id = hex(`1f90 01bb ${mapped}0a090102 ${mapped}cb007109 00000000 0102030405060708`);
  const listed = Buffer.concat([hex('0a010000'), id, Buffer.alloc(20), attribute(15, hex('00000041'))]);
  const socket = readSocket(4, 10, listed, 0, listed.length);
  assert.deepEqual(socket?.id, id);
  assert.equal(socket?.mark, 0x41000000);
  assert.equal(socket?.key, `${hex('0a090102cb007109').toString('latin1')}${String.fromCharCode(8080, 443)}`);
  assert.equal(readSocket(6, 10, listed, 0, listed.length), null);
  assert.equal(readSocket(4, 10, listed, 0, 40), null, 'cut short');
});

test('the time since the last packet, by state; null for those who need not be told', () => {
  const idle = (state: keyof typeof ct.TCP_STATE, left: number) => idleSeconds(ct.TCP_STATE[state], left, DEFAULT_TIMEOUTS);
  assert.equal(idle('established', 431_990), 10);
  assert.equal(idle('established', 290), 10, 'data is unanswered: conntrack gives 300 s');
  assert.equal(idle('established', 3600), 428_400);
  assert.equal(idle('finWait', 100), 20);
  for (const state of ['synSent', 'synSent2', 'timeWait', 'close', 'none'] as const) assert.equal(idle(state, 60), null);
});

test('the lowest of very many, in order, whatever their order before', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(50), { maxLength: 300 }), fc.integer({ min: 1, max: 40 }), (ranks, limit) => {
      const lowest = new Lowest<number>(limit);
      for (const rank of ranks) lowest.offer(rank, () => rank);
      assert.deepEqual(lowest.take(), [...ranks].sort((a, b) => a - b).slice(0, limit));
      assert.equal(lowest.offered, ranks.length);
    }),
  );
});

test('every problem has its remedy', () => {
  const error = (errno: string) => new KernelError(errno, 'doing');
  assert.match(problems.conntrackProblem('not ended', error('EINVAL')), /modprobe nf_conntrack_netlink/);
  assert.match(problems.conntrackProblem('not ended', error('EPERM')), /CAP_NET_ADMIN/);
  assert.match(problems.deadSetProblem('dead6', error('ENOENT')), /no set dead6.*apt-get install nftables/);
  assert.match(problems.bareAckProblem(error('EPERM')), /CAP_NET_RAW/);
  assert.match(problems.ownSocketsProblem(error('EOPNOTSUPP')), /INET_DIAG_DESTROY/);
  assert.match(problems.ownSocketsProblem(error('ENOENT')), /modprobe tcp_diag/);
});
