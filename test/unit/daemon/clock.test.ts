import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Alarm, realClock } from '../../../src/daemon/clock.js';
import { HandClock } from './hand-clock.js';

test('an alarm never rings early, whatever the fractions', async () => {
  for (const delayMs of [0, 0.2, 0.9, 1.4, 3.999, 7.01, 12.5]) {
    const dueMs = realClock.now() + delayMs;
    const rangMs = await new Promise<number>((resolve) => new Alarm(realClock, () => resolve(realClock.now())).set(dueMs));
    assert.ok(rangMs >= dueMs, `${delayMs} ms: ${dueMs - rangMs} ms early`);
  }
});

test('only the latest wish rings', () => {
  const clock = new HandClock();
  const rung: number[] = [];
  const alarm = new Alarm(clock, (dueMs) => rung.push(dueMs));
  alarm.set(1_010);
  alarm.set(1_030);
  clock.nowMs = 1_015;
  clock.pass();
  assert.deepEqual(rung, []);
  clock.nowMs = 1_030;
  clock.pass();
  assert.deepEqual(rung, [1_030]);
  assert.equal(alarm.dueMs, null);
});

test('a wish beyond what setTimeout can count does not ring at once', () => {
  const clock = new HandClock();
  const rung: number[] = [];
  const alarm = new Alarm(clock, (dueMs) => rung.push(dueMs));
  const farMs = clock.nowMs + 2 ** 33;
  alarm.set(farMs);
  for (const step of [2 ** 31, 2 ** 31, 2 ** 31]) {
    clock.nowMs += step;
    clock.pass();
  }
  assert.deepEqual(rung, []);
  clock.nowMs = farMs;
  clock.pass();
  assert.deepEqual(rung, [farMs]);
});

test('a wish that is no number rings at once: a loop that never wakes is dead', () => {
  const clock = new HandClock();
  let rung = 0;
  new Alarm(clock, () => {
    rung += 1;
  }).set(Number.NaN);
  clock.pass();
  assert.equal(rung, 1);
});
