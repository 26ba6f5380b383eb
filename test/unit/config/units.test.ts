/** Durations, percentages and other values, there and back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  bits32,
  duration,
  fileMode,
  formatDuration,
  formatPercent,
  integer,
  percent,
  type Read,
} from '../../../src/config/units.js';

const ANY = { min: 0, max: Number.MAX_SAFE_INTEGER, why: '' };
const seed = Date.now() & 0x7fffffff;

function value<T>(read: Read<T>): T {
  assert.ok(read.ok);
  return read.value;
}

function hint(read: Read<unknown>): string | null {
  assert.ok(!read.ok);
  return read.hint;
}

test('durations are read in all units', () => {
  const read = duration(ANY);
  const table: [string, number][] = [
    ['200ms', 200],
    ['5s', 5000],
    ['0.5s', 500],
    ['0s', 0],
    ['2m', 120_000],
    ['1.5h', 5_400_000],
    ['7d', 604_800_000],
  ];
  for (const [text, ms] of table) assert.equal(value(read(text)), ms, text);
});

test('wrong durations come with what was meant', () => {
  const read = duration(ANY);
  const table: [string, string | null][] = [
    ['5', 'Did you mean 5s?'],
    ['0', 'Did you mean 0s?'],
    ['.5s', 'Did you mean 0.5s?'],
    ['0,5s', 'Did you mean 0.5s?'],
    ['5 s', 'Did you mean 5s?'],
    ['5sec', 'Did you mean 5s?'],
    ['2 minutes', 'Did you mean 2m?'],
    ['5S', 'Did you mean 5s?'],
    ['+5s', 'Did you mean 5s?'],
    ['-1s', 'A duration cannot be negative.'],
    ['5 parsecs', 'The units are ms, s, m, h and d.'],
    ['1m30s', 'Write it with one unit, such as 90s for one minute and a half.'],
    ['soon', null],
    ['', null],
  ];
  for (const [text, wanted] of table) assert.equal(hint(read(text)), wanted, text);
});

test('a duration that is written is read as the same', () => {
  fc.assert(
    fc.property(fc.nat({ max: 700_000_000 }), (ms) => {
      assert.equal(value(duration(ANY)(formatDuration(ms))), ms);
    }),
    { seed },
  );
});

test('bounds hold and say why', () => {
  const read = integer({ min: 3, max: 20, why: 'Because.' });
  assert.equal(value(read('3')), 3);
  assert.equal(value(read('20')), 20);
  for (const text of ['2', '21']) assert.equal(hint(read(text)), 'Because.');
  for (const text of ['', '-3', '3.0', '1e1', '0x5', '99999999999999999999']) assert.ok(!read(text).ok, text);
});

test('percentages, masks and permissions', () => {
  assert.equal(value(percent({ min: 0, max: 1, why: '' })('20%')), 0.2);
  assert.equal(hint(percent({ min: 0, max: 1, why: '' })('0.2')), 'Did you mean 20%?');
  assert.equal(formatPercent(0.2), '20%');
  assert.equal(value(bits32('0x7F000000')), 0x7f000000);
  assert.equal(value(bits32('4294967295')), 0xffffffff);
  for (const text of ['4294967296', '0x1ffffffff', '-1', 'mask', '']) assert.ok(!bits32(text).ok, text);
  assert.equal(value(fileMode('0660')), 0o660);
  assert.equal(value(fileMode('660')), 0o660);
  for (const text of ['0680', '4755', 'rw', '', '0o660']) assert.ok(!fileMode(text).ok, text);
});
