/**
 * DNS bytes: a golden query and response, and responses cut short and with bits flipped.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { buildDnsQuery, isDnsName, parseDnsResponse } from '../../../src/probe/dns-packet.js';
import fc from '../../support/properties.js';

/** RFC 1035 section 4.1 by hand: id 0x1234, RD, one question `aB-1.Ch` A IN. */
const QUERY = Buffer.from('12340100000100000000000004' + '61422d31' + '024368' + '00' + '00010001', 'hex');
/** The same with QR and RA, two answers with compressed names: a CNAME and its address. */
const RESPONSE = Buffer.from(
  '12348180000100020000000004' +
    '61422d31' +
    '024368' +
    '00' +
    '00010001' +
    'c00c00050001000000050005' +
    '0278' +
    '79' +
    'c011' +
    'c025000100010000003c0004c0000201',
  'hex',
);

describe('DNS bytes', () => {
  test('the query, letter case by the bits given', () => {
    assert.deepEqual(Buffer.from(buildDnsQuery(0x1234, 'Ab-1.cH.', 'A', Uint8Array.from([0b0110]))), QUERY);
    const types = (['A', 'NS', 'SOA', 'AAAA'] as const).map((type) => buildDnsQuery(0, '.', type, new Uint8Array(0)));
    assert.deepEqual(
      types.map((query) => Buffer.from(query.subarray(12)).toString('hex')),
      ['0000010001', '0000020001', '0000060001', '00001c0001'],
    );
  });

  test('the response', () => {
    assert.deepEqual(parseDnsResponse(RESPONSE, QUERY), { kind: 'response', rcode: 'NOERROR' });
  });

  test('cut short anywhere it is no answer', () => {
    for (let length = 0; length < RESPONSE.length; length++) {
      const { kind } = parseDnsResponse(RESPONSE.subarray(0, length), QUERY);
      assert.equal(kind, length < 12 ? 'foreign' : 'malformed', `${length} bytes`);
    }
  });

  test('a flipped bit in identifier or question makes it foreign; elsewhere nothing is thrown', () => {
    for (let bit = 0; bit < RESPONSE.length * 8; bit++) {
      const byte = bit >> 3;
      const flipped = Buffer.from(RESPONSE);
      flipped[byte] = (flipped[byte] ?? 0) ^ (1 << (bit & 7));
      const { kind } = parseDnsResponse(flipped, QUERY);
      if (byte < 2 || (byte >= 12 && byte < QUERY.length)) assert.equal(kind, 'foreign', `bit ${bit}`);
    }
  });

  test('any bytes behind a fitting question are read without an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 10, maxLength: 10 }), fc.uint8Array({ maxLength: 100 }), (header, rest) => {
        const message = Buffer.concat([QUERY.subarray(0, 2), header, QUERY.subarray(12), rest]);
        assert.ok(['foreign', 'malformed', 'response'].includes(parseDnsResponse(message, QUERY).kind));
      }),
      { numRuns: 2_000 },
    );
  });

  test('what is a name', () => {
    for (const name of ['.', 'ch', 'example.org', 'example.org.', '_dmarc.x.y', 'x'.repeat(63)]) assert.ok(isDnsName(name), name);
    const long = (last: number): string => [63, 63, 63, last].map((length) => 'x'.repeat(length)).join('.');
    assert.ok(isDnsName(long(61)), '255 bytes with the lengths of the labels');
    for (const name of ['..', 'a..b', '.a', 'x'.repeat(64), long(62), 'zürich.ch', 'a b.c']) assert.ok(!isDnsName(name), name);
  });
});
