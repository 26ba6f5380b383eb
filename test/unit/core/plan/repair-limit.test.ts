/** 10 repairs in 10 s, then once a minute, and peace after two quiet minutes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RepairLimit } from '../../../../src/core/plan/repair-limit.js';

/** Repairs whenever it may, asked every 100 ms. @returns the instants of the repairs */
function fight(limit: RepairLimit, fromMs: number, untilMs: number, everyMs = 100): number[] {
  const repairs: number[] = [];
  for (let now = fromMs; now < untilMs; now += everyMs) {
    if (limit.waitMs(now) > 0) continue;
    limit.repaired(now);
    repairs.push(now);
  }
  return repairs;
}

test('the first ten come at once, then one a minute', () => {
  const repairs = fight(new RepairLimit(), 0, 200_000);
  assert.deepEqual(repairs.slice(0, 10), [0, 100, 200, 300, 400, 500, 600, 700, 800, 900]);
  assert.deepEqual(repairs.slice(10), [60_900, 120_900, 180_900]);
});

test('ten repairs over more than ten seconds are no quarrel', () => {
  const limit = new RepairLimit();
  assert.equal(fight(limit, 0, 60_000, 1_200).length, 50);
  assert.equal(limit.rationed(60_000), false);
});

test('never more than ten in any ten seconds', () => {
  const repairs = fight(new RepairLimit(), 0, 60_000, 900);
  for (const from of repairs) assert.ok(repairs.filter((t) => t >= from && t < from + 10_000).length <= 10);
});

test('it says how long to wait, and says so until the time has come', () => {
  const limit = new RepairLimit();
  fight(limit, 0, 1_000);
  assert.equal(limit.waitMs(1_000), 59_900);
  assert.equal(limit.waitMs(60_899), 1);
  assert.equal(limit.waitMs(60_900), 0);
});

test('two quiet minutes end the quarrel: the next repairs come at once again', () => {
  const limit = new RepairLimit();
  fight(limit, 0, 1_000);
  assert.equal(limit.rationed(1_000), true);
  assert.equal(limit.rationed(121_000), false);
  assert.equal(fight(limit, 121_000, 121_500).length, 5);
});
