/** Sentences and durations: exact words, since people grep for them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HistoryRecord } from '../../../../src/core/messages.js';
import { describeRecord, formatDuration, plainLine } from '../../../../src/core/show/describe.js';
import { recordOf } from '../../../../src/core/show/records.js';

const down: HistoryRecord = {
  kind: 'health',
  severity: 'warning',
  uplink: 'fast',
  family: 4,
  from: 'up',
  to: 'down',
  reason: 'gateway-silent',
  durationMs: 2 * 3_600_000 + 3 * 60_000,
  text: 'fast is down',
  data: {},
};

test('durations use two units at most and round before choosing the unit', () => {
  const expected: readonly (readonly [number, string])[] = [
    [-5, '0 ms'],
    [0.4, '0 ms'],
    [640, '640 ms'],
    [999.4, '999 ms'],
    [999.6, '1 s'],
    [3240, '3.2 s'],
    [9960, '10 s'],
    [45_400, '45 s'],
    [59_600, '1 min'],
    [125_000, '2 min 5 s'],
    [3_599_600, '1 h'],
    [10_920_000, '3 h 2 min'],
    [86_399_000, '1 d'],
    [4 * 86_400_000 + 3 * 3_600_000, '4 d 3 h'],
  ];
  for (const [ms, text] of expected) assert.equal(formatDuration(ms), text, String(ms));
});

test('a health record tells uplink, both states, the reason in words and how long it had lasted', () => {
  assert.equal(describeRecord(down), 'fast: up -> down, the gateway itself does not answer (after 2 h 3 min)');
  assert.equal(
    describeRecord({ ...down, family: 6 }),
    'fast (IPv6): up -> down, the gateway itself does not answer (after 2 h 3 min)',
  );
});

test('a switch speaks of the family, other records of themselves', () => {
  assert.equal(
    describeRecord({
      ...down,
      kind: 'switch',
      uplink: 'backup',
      from: 'fast',
      to: 'backup',
      reason: 'upstream-silent',
      durationMs: null,
    }),
    'IPv4: fast -> backup, the gateway answers, but nothing beyond it does',
  );
  assert.equal(
    describeRecord({
      ...down,
      kind: 'stall',
      uplink: null,
      family: null,
      from: null,
      to: null,
      reason: null,
      durationMs: null,
      text: 'slept',
    }),
    'slept',
  );
});

test('the plain line has time, uplink, states, reason and duration in this order', () => {
  assert.equal(
    plainLine(down, '2026-03-01T07:08:09.123+01:00'),
    '2026-03-01T07:08:09.123+01:00 fast IPv4 up -> down gateway-silent: the gateway itself does not answer (after 2 h 3 min)',
  );
  assert.equal(
    plainLine(
      { ...down, kind: 'drift', uplink: null, reason: null, from: null, to: null, durationMs: null, text: 'a\nb\u2028c' },
      'T',
    ),
    'T - IPv4 drift a b c',
  );
});

test('a change of health says why just then, where that is learned; the switch that follows does not say it again', () => {
  const ground = 'median silence of this uplink 1 s, 9 of 10 end within 6 s: waiting 2 s';
  const base = {
    ...recordOf('health', 'warning', 'text'),
    uplink: 'fast',
    family: 4 as const,
    from: 'up',
    to: 'down',
    reason: 'silent' as const,
  };
  assert.ok(describeRecord({ ...base, durationMs: 5_000, data: { ground } }).endsWith(`(after 5 s); ${ground}`));
  assert.ok(!describeRecord({ ...base, kind: 'switch', data: { ground } }).includes('median'));
  assert.ok(!describeRecord({ ...base, data: { ground: null } }).includes(';'));
});
