/** Durations, percentages and other values, there and back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bits32,
  clock,
  duration,
  fileMode,
  formatClock,
  formatDuration,
  formatPercent,
  formatSize,
  integer,
  percent,
  type Read,
  size,
  trueFalse,
  wholeDays,
} from '../../../src/config/units.js';
import fc from '../../support/properties.js';

const ANY = { min: 0, max: Number.MAX_SAFE_INTEGER, why: '' };

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

test('sizes are bytes, by thousands or by 1024', () => {
  const read = size({ min: 1, max: 1e18, why: '' });
  for (const [text, bytes] of [
    ['50MB', 50e6],
    ['20GB', 20e9],
    ['1.5GiB', 1.5 * 2 ** 30],
    ['1kB', 1000],
    ['1KiB', 1024],
    ['2MiB', 2 ** 21],
    ['0.5TB', 5e11],
    ['1TiB', 2 ** 40],
  ] as const) {
    assert.deepEqual(read(text), { ok: true, value: bytes }, text);
  }
});

test('what people write for sizes', () => {
  const read = size({ min: 1, max: 1e18, why: '' });
  const hint = (text: string): string | null => {
    const result = read(text);
    assert.ok(!result.ok, text);
    return result.hint;
  };
  assert.equal(hint('50'), 'Did you mean 50MB?');
  assert.equal(hint('50000000'), 'Did you mean 50MB?');
  assert.equal(hint('50 MB'), 'Did you mean 50MB?');
  assert.equal(hint('50mb'), 'Did you mean 50MB?');
  assert.equal(hint('50M'), 'Did you mean 50MB?');
  assert.equal(hint('20g'), 'Did you mean 20GB?');
  assert.equal(hint('1,5GiB'), 'Did you mean 1.5GiB?');
  assert.equal(hint('3Gi'), 'Did you mean 3GiB?');
  assert.equal(hint('-1GB'), 'A size cannot be negative.');
  for (const text of ['', 'much', '5Mbit', '9'.repeat(400), '0x10MB', 'Infinity'])
    assert.match(hint(text) ?? '', /^The units are/);
  assert.ok(!read(`${'9'.repeat(400)}GB`).ok);
});

test('a size is read back from its shortest text', () => {
  const read = size({ min: 0, max: Number.MAX_SAFE_INTEGER, why: '' });
  fc.assert(
    fc.property(
      fc.oneof(
        fc.integer({ min: 0, max: 1e14 }),
        fc.tuple(fc.integer({ min: 1, max: 999 }), fc.nat({ max: 4 })).map(([n, e]) => n * 1024 ** e),
      ),
      (bytes) => {
        assert.deepEqual(read(formatSize(bytes)), { ok: true, value: bytes }, formatSize(bytes));
      },
    ),
  );
});

test('times of day', () => {
  for (const [text, minutes] of [
    ['04:30', 270],
    ['4:30', 270],
    ['00:00', 0],
    ['23:59', 1439],
  ] as const) {
    assert.deepEqual(clock(text), { ok: true, value: minutes });
  }
  for (const text of ['24:00', '25:00', '12:60', '12', '', '-1:00', '4:30pm', '123:00', '12:5']) assert.ok(!clock(text).ok, text);
  for (let minute = 0; minute < 1440; minute++) assert.deepEqual(clock(formatClock(minute)), { ok: true, value: minute });
});

test('whole days, true and false', () => {
  const read = wholeDays({ min: 1, max: 365, why: '' });
  assert.deepEqual(read('7d'), { ok: true, value: 7 });
  for (const text of ['0d', '366d', '5h', '1.5d', '', '-1d']) assert.ok(!read(text).ok, text);
  assert.match(JSON.stringify(read('7')), /Did you mean 7d\?/);
  assert.match(JSON.stringify(read('48h')), /Did you mean 2d\?/);
  assert.deepEqual(
    [trueFalse('true'), trueFalse('false')].map((one) => one.ok && one.value),
    [true, false],
  );
  for (const text of ['', 'True', 'yes', '1', 'constructor']) assert.ok(!trueFalse(text).ok, text);
});
