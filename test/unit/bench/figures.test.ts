/** The benchmark's arithmetic: a wrong percentile or a skewed spread of phases would flatter every figure. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evenPhases, figuresOf } from '../../../bench/figures.js';
import { floorMs, row, verdictOf } from '../../../bench/row.js';
import { tableText } from '../../../bench/table.js';

test('the 95th percentile of 20 values is the second worst, the median of an even number lies between the middle two', () => {
  const values = Array.from({ length: 20 }, (_, i) => 20 - i);
  assert.deepEqual(figuresOf(values), { median: 10.5, p95: 19, max: 20, mean: 10.5, count: 20 });
  assert.deepEqual(figuresOf([7]), { median: 7, p95: 7, max: 7, mean: 7, count: 1 });
  assert.equal(figuresOf([]), null);
});

for (const count of [1, 2, 3, 7, 20, 21, 100]) {
  test(`${count} phases fall into ${count} different equal parts of the interval`, () => {
    const phases = evenPhases(count, 1000);
    const parts = phases.map((phase) => Math.floor((phase / 1000) * count));
    assert.deepEqual(
      parts.toSorted((a, b) => a - b),
      Array.from({ length: count }, (_, i) => i),
    );
    const mean = phases.reduce((sum, phase) => sum + phase, 0) / count;
    assert.ok(Math.abs(mean - 500) < 1e-6, `mean ${mean}`);
  });
}

test('the floor is half an interval, two deadlines and the pace of the burst', () => {
  assert.equal(floorMs(1000, 60), 640);
  assert.equal(floorMs(100, 60), 190);
});

test('a row misses when any of its limits is exceeded, and says so in the table', () => {
  const measured = (limit: { median?: number; p95?: number; max?: number } | null, samples: number[]) =>
    row({ id: 'x', what: 'something', unit: 'ms', limit, floor: null, samples, notes: [], detail: null });
  assert.equal(verdictOf(measured({ median: 10, p95: 30 }, [9, 10, 30])), 'ok');
  assert.equal(verdictOf(measured({ median: 10, p95: 30 }, [9, 11, 30])), 'MISSED');
  assert.equal(verdictOf(measured({ median: 10, p95: 30 }, [9, 10, 31])), 'MISSED');
  assert.equal(verdictOf(measured({ max: 0 }, [0, 0, 1])), 'MISSED');
  assert.equal(verdictOf(measured({ median: 10 }, [])), 'not measured');
  assert.equal(verdictOf(measured(null, [99])), '');
  assert.match(tableText([measured({ median: 10 }, [11])]), /x: something +10\.0 ms +11\.0 ms +11\.0 ms +1 +MISSED/);
});
