/** A cadence keeps its pace, catches up on nothing, and can be moved on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Agenda } from '../../../../src/core/agenda.js';
import { Cadence } from '../../../../src/core/detect/cadence.js';

function running(keepsPhase: boolean): { agenda: Agenda; cadence: Cadence; ran: number[] } {
  const agenda = new Agenda();
  const ran: number[] = [];
  const cadence = new Cadence(agenda, 100, 1_000, keepsPhase, (now) => ran.push(now));
  return { agenda, cadence, ran };
}

test('late, it keeps its phase or counts from then, and catches up on nothing', () => {
  const kept = running(true);
  kept.agenda.runDue(2_500);
  assert.deepEqual(kept.ran, [2_500]);
  assert.equal(kept.agenda.nextMs(), 3_100);
  const counted = running(false);
  counted.agenda.runDue(2_500);
  assert.equal(counted.agenda.nextMs(), 3_500);
});

test('moved on, it tells what it left out and goes on in its phase', () => {
  const { agenda, cadence, ran } = running(true);
  const left: number[] = [];
  cadence.skipTo(3_100, (at) => left.push(at));
  assert.deepEqual(left, [100, 1_100, 2_100]);
  assert.equal(agenda.nextMs(), 3_100);
  agenda.runDue(3_100);
  assert.deepEqual(ran, [3_100]);
});

test('it is no fixed entry, and ends when it is cancelled, in its own call too', () => {
  const { agenda, cadence } = running(true);
  assert.equal(agenda.nextFixedMs(), Number.POSITIVE_INFINITY);
  agenda.at(7, () => undefined).cancelled = true;
  agenda.at(9_000, () => undefined);
  agenda.at(800, () => undefined);
  assert.equal(agenda.nextFixedMs(), 800);
  cadence.cancel();
  assert.equal(agenda.nextMs(), 800);
  const own = new Agenda();
  const ending: Cadence = new Cadence(own, 5, 10, true, () => ending.cancel());
  own.runDue(5);
  assert.equal(own.nextMs(), null);
});
