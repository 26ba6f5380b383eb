/** Router advertisements as bytes, good ones and those that a host must discard. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRouterAdvert } from '../../../src/kernel/router-advert-packet.js';
import { parsePacketInfo } from '../../../src/kernel/router-adverts.js';
import fc from '../../support/properties.js';
import { routerAdvert } from '../../support/router-advert.js';

/** As radvd sends it: hop limit 64, one /64, MTU, source link-layer address. */
const CAPTURED = Buffer.from(
  '8600a1b2400007080000000000000000030440c00001518000003840000000002001' +
    '0db800050007000000000000000005010000000005dc01010200000000aa',
  'hex',
);

test('lifetime, prefixes and MAC', () => {
  assert.deepEqual(parseRouterAdvert(CAPTURED), {
    lifetimeS: 1800,
    mac: '02:00:00:00:00:aa',
    prefixes: ['2001:db8:5:7::/64'],
  });
  assert.deepEqual(parseRouterAdvert(routerAdvert({ lifetimeS: 0 })), { lifetimeS: 0, mac: null, prefixes: [] });
  const many = routerAdvert({ prefixes: ['2001:db8:ffff:ffff::1/47', 'fd00::/128', '2001:db8:fffe::/47', '::/0'] });
  assert.deepEqual(parseRouterAdvert(many)?.prefixes, ['2001:db8:fffe::/47', 'fd00::/128', '::/0']);
});

test('what a host must discard', () => {
  const bad: [string, Buffer][] = [
    ['nothing', Buffer.alloc(0)],
    ['cut short', CAPTURED.subarray(0, 15)],
    ['an option cut short', CAPTURED.subarray(0, CAPTURED.length - 1)],
    ['an option of length 0', routerAdvert({ more: [24, 0, 0, 0, 0, 0, 0, 0] })],
    ['an option beyond the end', routerAdvert({ more: [1, 2, 0, 0, 0, 0, 0, 0] })],
    ['half an option', routerAdvert({ more: [1] })],
    ['another type', Buffer.from([133, ...CAPTURED.subarray(1)])],
    ['another code', Buffer.from([134, 1, ...CAPTURED.subarray(2)])],
  ];
  for (const [what, packet] of bad) assert.equal(parseRouterAdvert(packet), null, what);
});

test('options that are odd by themselves are passed over', () => {
  const more = [
    ...[1, 2, ...new Array<number>(14).fill(7)], // a link-layer address of 14 bytes
    ...[3, 1, 64, 0, 0, 0, 0, 0], // prefix information without the prefix
    ...[3, 4, 129, 0, ...new Array<number>(28).fill(1)], // a prefix of 129 bits
    ...[200, 1, 1, 2, 3, 4, 5, 6],
  ];
  assert.deepEqual(parseRouterAdvert(routerAdvert({ more })), { lifetimeS: 1800, mac: null, prefixes: [] });
  const crowd = Array.from({ length: 40 }, (_, index) => `2001:db8:${index.toString(16)}::/64`);
  assert.equal(parseRouterAdvert(routerAdvert({ prefixes: crowd }))?.prefixes.length, 16);
});

test('any bytes at all: nothing is thrown', () => {
  const bytes = fc.uint8Array({ maxLength: 200 });
  fc.assert(
    fc.property(bytes, bytes, fc.nat(CAPTURED.length - 1), (anything, tail, cut) => {
      parseRouterAdvert(Buffer.from(anything));
      parseRouterAdvert(Buffer.from([134, 0, ...anything]));
      parseRouterAdvert(Buffer.concat([CAPTURED.subarray(0, cut), tail]));
      parsePacketInfo(Buffer.from(anything));
    }),
    { numRuns: 1000 },
  );
});

test('the interface and the hop limit among control messages', () => {
  const message = (level: number, type: number, value: Buffer): Buffer => {
    const bytes = Buffer.alloc((16 + value.length + 7) & ~7);
    bytes.writeBigUInt64LE(BigInt(16 + value.length), 0);
    bytes.writeInt32LE(level, 8);
    bytes.writeInt32LE(type, 12);
    bytes.set(value, 16);
    return bytes;
  };
  const info = Buffer.alloc(20);
  info.writeUInt32LE(7, 16);
  const control = Buffer.concat([
    message(1, 29, Buffer.alloc(16)),
    message(41, 52, Buffer.from([255, 0, 0, 0])),
    message(41, 50, info),
  ]);
  assert.deepEqual(parsePacketInfo(control), { hopLimit: 255, ifindex: 7 });
  assert.deepEqual(parsePacketInfo(control.subarray(0, control.length - 8)), { hopLimit: 255, ifindex: null });
  assert.deepEqual(parsePacketInfo(Buffer.alloc(64)), { hopLimit: null, ifindex: null });
});
