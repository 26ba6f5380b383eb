import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeSamples, encodeSamples, figuresOf, type Sample } from '../../../src/history/samples.js';
import fc from '../../support/properties.js';

const rtt = fc.option(
  fc.integer({ min: 0, max: 500_000 }).map((n) => n / 100),
  { nil: null },
);
const sample: fc.Arbitrary<Sample> = fc
  .tuple(fc.integer({ min: 0, max: 59_999 }), rtt)
  .map(([offsetMs, rttMs]) => ({ offsetMs, rttMs }));
const byTime = (a: Sample, b: Sample): number => a.offsetMs - b.offsetMs;

test('what is written is read again, in order of time, to a hundredth of a millisecond', () => {
  fc.assert(
    fc.property(fc.array(sample), (samples) => {
      assert.deepEqual(decodeSamples(encodeSamples(samples)), samples.toSorted(byTime));
    }),
  );
});

test('two parts of a minute put together are the minute', () => {
  fc.assert(
    fc.property(fc.array(sample), fc.array(sample), (first, second) => {
      const joined = Buffer.concat([encodeSamples(first), encodeSamples(second)]);
      assert.deepEqual(decodeSamples(joined), [...first, ...second].toSorted(byTime));
    }),
  );
});

test('no bytes make the reader throw or give what cannot be', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const { offsetMs, rttMs } of decodeSamples(bytes)) {
        assert.ok(offsetMs >= 0 && offsetMs < 65_536);
        assert.ok(rttMs === null || rttMs >= 0);
      }
    }),
  );
});

test('a second of samples at 1 s costs four bytes', () => {
  const minute = Array.from({ length: 60 }, (_, i) => ({ offsetMs: i * 1000, rttMs: 18 + i / 7 }));
  assert.equal(encodeSamples(minute).length, 240);
});

test('quantiles by nearest rank; jitter is the mean step from one answer to the next', () => {
  const rtts = [10, 12, null, 11, 30];
  const samples = rtts.map((rttMs, i) => ({ offsetMs: i * 1000, rttMs }));
  assert.deepEqual(figuresOf(samples), {
    sent: 5,
    lost: 1,
    p50Ms: 11,
    p90Ms: 30,
    p99Ms: 30,
    maxMs: 30,
    jitterMs: (2 + 1 + 19) / 3,
  });
});

test('nothing answered: no times; one answer: no jitter', () => {
  const lost = [{ offsetMs: 0, rttMs: null }];
  assert.deepEqual(figuresOf(lost), {
    sent: 1,
    lost: 1,
    p50Ms: null,
    p90Ms: null,
    p99Ms: null,
    maxMs: null,
    jitterMs: null,
  });
  assert.equal(figuresOf([{ offsetMs: 0, rttMs: 7 }]).jitterMs, null);
});

test('an RTT of minutes is told as what fits', () => {
  const [only] = decodeSamples(encodeSamples([{ offsetMs: 70_000, rttMs: 1e9 }]));
  assert.deepEqual(only, { offsetMs: 59_999, rttMs: (2 ** 28 - 2) / 100 });
});
