/** Marks, tables and rule priorities: every slot has its own, inside the mask, and none looks like another's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type KernelNumbers, MAX_UPLINKS, probeMark, rulePriorityOf, tableOf } from '../../../src/core/config.js';

const numbers = (markMask: number): KernelNumbers => ({ protocol: 110, tableBase: 7100, ruleBase: 700, markMask });
const slots = Array.from({ length: MAX_UPLINKS }, (_, slot) => slot);

test('with the mask 0x7f000000 the first slot is 0x41000000, the last 0x7f000000', () => {
  assert.equal(probeMark(numbers(0x7f000000), 0), 0x41000000);
  assert.equal(probeMark(numbers(0x7f000000), MAX_UPLINKS - 1), 0x7f000000);
});

test('with a mask up to bit 31 the mark is a positive 32-bit number', () => {
  assert.equal(probeMark(numbers(0xfe000000), 0), 0x82000000);
  assert.equal(probeMark(numbers(0xfe000000), MAX_UPLINKS - 1), 0xfe000000);
  assert.equal(probeMark(numbers(0xffffffff), 0), 0x80000001);
});

for (const mask of [0x7f, 0xff, 0x7f00, 0xffff0000, 0x7f000000, 0xfe000000, 0xffffffff]) {
  test(`mask 0x${mask.toString(16)}: every slot's mark is its own, within the mask, with the probe bit`, () => {
    const marks = slots.map((slot) => probeMark(numbers(mask), slot));
    assert.equal(new Set(marks).size, MAX_UPLINKS);
    const top = 2 ** (31 - Math.clz32(mask));
    for (const mark of marks) {
      assert.ok(Number.isInteger(mark) && mark > 0 && mark < 2 ** 32, String(mark));
      assert.equal((mark & mask) >>> 0, mark, `0x${mark.toString(16)} lies outside the mask`);
      assert.equal(Math.floor(mark / top) % 2, 1, 'the top bit says probe');
      assert.notEqual(mark - top, 0, 'a probe mark without its top bit is still a slot');
    }
  });
}

test('tables and rule priorities ascend from their bases, 63 of each', () => {
  assert.deepEqual(
    slots.map((slot) => tableOf(numbers(0x7f), slot)),
    slots.map((slot) => 7100 + slot),
  );
  assert.deepEqual(
    slots.map((slot) => rulePriorityOf(numbers(0x7f), slot)),
    slots.map((slot) => 700 + slot),
  );
});
