/** Answers and losses that take turns, told from outages and from a lost packet now and then. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Turns } from '../../../../src/core/detect/turns.js';

function areMany(outcomes: readonly boolean[]): boolean {
  const turns = new Turns();
  for (const outcome of outcomes) turns.note(outcome);
  return turns.areMany;
}

test('two, three or five answers of ten are rationed; outages and single losses are not', () => {
  for (const perTen of [2, 3, 5]) {
    const given = Array.from({ length: 120 }, (_, i) => Math.floor((i * perTen) / 10) !== Math.floor(((i - 1) * perTen) / 10));
    assert.equal(areMany(given), true, `${perTen} of ten`);
  }
  assert.equal(areMany(Array.from({ length: 120 }, (_, i) => i % 20 < 10)), false, 'an outage of ten every twenty');
  assert.equal(areMany(Array.from({ length: 120 }, (_, i) => i % 8 !== 0)), false, 'one of eight lost');
});

test('what went well for long, or is told at once, ends it', () => {
  const turns = new Turns();
  for (let i = 0; i < 60; i += 1) turns.note(i % 2 === 0);
  assert.equal(turns.areMany, true);
  turns.noteAll(true, 100_000);
  assert.equal(turns.areMany, false);
});
