/**
 * ICMP echo bytes: golden captures, and captures cut short and with bits flipped.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { Family } from '../../../src/core/model.js';
import {
  ECHO_BYTES,
  echoReplySequence,
  judgeIcmpError,
  parseQuotedEcho,
  sameToken,
  writeEchoHeader,
} from '../../../src/probe/icmp-packet.js';
import fc from '../../support/properties.js';

const text = readFileSync(new URL('../../../../test/golden/icmp/captured.txt', import.meta.url), 'utf8');
const captured = new Map(
  text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line): [string, Buffer] => {
      const [name = '', hex = ''] = line.split(/\s+/);
      return [name, Buffer.from(hex, 'hex')];
    }),
);

function golden(name: string): Buffer {
  const bytes = captured.get(name);
  assert.ok(bytes, name);
  return bytes;
}

const FAMILIES: readonly Family[] = [4, 6];
const SEQUENCES = { 4: 0x332a, 6: 0xa24d } as const;

describe('ICMP bytes', () => {
  for (const family of FAMILIES) {
    test(`IPv${family}: what we build is what was sent`, () => {
      const packet = Buffer.from(golden(`request-${family}`)).fill(0xff, 0, 8);
      writeEchoHeader(packet, family, SEQUENCES[family]);
      assert.deepEqual(packet, golden(`request-${family}`));
      assert.equal(packet.length, ECHO_BYTES);
    });

    test(`IPv${family}: the captured reply and quote fit their requests and no others`, () => {
      assert.equal(echoReplySequence(golden(`reply-${family}`), family), SEQUENCES[family]);
      assert.ok(sameToken(golden(`request-${family}`), golden(`reply-${family}`)));
      assert.ok(!sameToken(golden(`refused-${family}`), golden(`reply-${family}`)));
      const quoted = golden(`quoted-${family}`);
      assert.deepEqual(parseQuotedEcho(quoted, family), { sequence: SEQUENCES[family] + 1, whole: true });
      assert.ok(sameToken(golden(`refused-${family}`), quoted));
      assert.deepEqual(parseQuotedEcho(quoted.subarray(0, 8), family), { sequence: SEQUENCES[family] + 1, whole: false });
    });

    test(`IPv${family}: a request is no reply, a reply is no request, and neither is of the other family`, () => {
      const other = family === 4 ? 6 : 4;
      assert.equal(echoReplySequence(golden(`request-${family}`), family), -1);
      assert.equal(echoReplySequence(golden(`reply-${family}`), other), -1);
      assert.equal(parseQuotedEcho(golden(`reply-${family}`), family), null);
      assert.equal(parseQuotedEcho(golden(`quoted-${family}`), other), null);
    });

    test(`IPv${family}: cut short anywhere, nothing is an answer`, () => {
      for (let length = 0; length < ECHO_BYTES; length++) {
        const reply = golden(`reply-${family}`).subarray(0, length);
        assert.equal(echoReplySequence(reply, family), -1);
        assert.ok(!sameToken(golden(`request-${family}`), reply));
        const quote = parseQuotedEcho(golden(`quoted-${family}`).subarray(0, length), family);
        assert.deepEqual(quote, length < 8 ? null : { sequence: SEQUENCES[family] + 1, whole: false });
      }
    });

    test(`IPv${family}: one flipped bit of type, code, sequence or token is never the same answer`, () => {
      for (let bit = 0; bit < ECHO_BYTES * 8; bit++) {
        const byte = bit >> 3;
        // Checksum and identifier are the kernel's to check.
        if (byte >= 2 && byte < 6) continue;
        const reply = Buffer.from(golden(`reply-${family}`));
        reply[byte] = (reply[byte] ?? 0) ^ (1 << (bit & 7));
        const same = echoReplySequence(reply, family) === SEQUENCES[family] && sameToken(golden(`request-${family}`), reply);
        assert.equal(same, false, `bit ${bit}`);
      }
    });
  }

  test('any bytes at all are read without an exception', () => {
    const anything = fc.uint8Array({ maxLength: 64 });
    fc.assert(
      fc.property(anything, anything, fc.constantFrom(...FAMILIES), (message, packet, family) => {
        const sequence = echoReplySequence(message, family);
        assert.ok(sequence >= -1 && sequence <= 0xffff);
        const quoted = parseQuotedEcho(message, family);
        assert.ok(quoted === null || (quoted.sequence >= 0 && quoted.sequence <= 0xffff));
        assert.equal(sameToken(message, message), message.length >= ECHO_BYTES);
        sameToken(packet, message);
      }),
      { numRuns: 2_000 },
    );
  });

  test('every type and code has a verdict or none, never an exception', () => {
    for (const family of FAMILIES) {
      for (let type = 0; type < 256; type++) {
        for (let code = 0; code < 256; code++) {
          const verdict = judgeIcmpError(family, type, code);
          assert.ok(verdict === null || verdict.text.length > 0);
        }
      }
    }
    assert.deepEqual(judgeIcmpError(4, 3, 99), { reason: 'unreachable', text: 'destination unreachable, code 99' });
    assert.equal(judgeIcmpError(4, 5, 0), null);
    assert.equal(judgeIcmpError(6, 2, 0), null);
    assert.equal(judgeIcmpError(6, 1, 4)?.reason, 'refused');
    assert.equal(judgeIcmpError(6, 3, 0)?.reason, 'ttl-exceeded');
  });
});
