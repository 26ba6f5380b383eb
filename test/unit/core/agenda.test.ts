/** The order of what is due, against a plain sorted list. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Agenda, type Entry } from '../../../src/core/agenda.js';
import { Random, seedFromEnvironment } from '../../support/random.js';

test('what is due runs oldest first, equals in the order in which they were planned', () => {
  const agenda = new Agenda();
  const ran: string[] = [];
  for (const [atMs, name] of [
    [30, 'c'],
    [10, 'a'],
    [20, 'b1'],
    [20, 'b2'],
    [40, 'd'],
  ] as const) {
    agenda.at(atMs, () => ran.push(name));
  }
  assert.equal(agenda.nextMs(), 10);
  agenda.runDue(30);
  assert.deepEqual(ran, ['a', 'b1', 'b2', 'c']);
  assert.equal(agenda.nextMs(), 40);
});

test('a cancelled entry neither runs nor shows as the next', () => {
  const agenda = new Agenda();
  const ran: number[] = [];
  const first = agenda.at(1, () => ran.push(1));
  agenda.at(2, () => ran.push(2));
  first.cancelled = true;
  assert.equal(agenda.nextMs(), 2);
  agenda.runDue(5);
  assert.deepEqual(ran, [2]);
  assert.equal(agenda.nextMs(), null);
});

test('an entry may cancel one that is due at the same instant', () => {
  const agenda = new Agenda();
  const ran: string[] = [];
  const later: { entry: Entry | null } = { entry: null };
  agenda.at(1, () => {
    ran.push('first');
    if (later.entry !== null) later.entry.cancelled = true;
  });
  later.entry = agenda.at(1, () => ran.push('second'));
  agenda.runDue(1);
  assert.deepEqual(ran, ['first']);
});

test('what an entry plans for the past or present runs in the same go, what it plans for later does not', () => {
  const agenda = new Agenda();
  const ran: string[] = [];
  agenda.at(10, () => {
    ran.push('outer');
    agenda.at(5, () => ran.push('past'));
    agenda.at(20, () => ran.push('present'));
    agenda.at(21, () => ran.push('later'));
  });
  agenda.runDue(20);
  assert.deepEqual(ran, ['outer', 'past', 'present']);
  assert.equal(agenda.nextMs(), 21);
});

test('the callback is told the time at which it runs, not the one planned', () => {
  const agenda = new Agenda();
  let told = 0;
  agenda.at(10, (nowMs) => {
    told = nowMs;
  });
  agenda.runDue(17);
  assert.equal(told, 17);
});

test('random plans, cancellations and clocks agree with a sorted list', () => {
  const seed = seedFromEnvironment();
  const random = new Random(seed);
  const agenda = new Agenda();
  const model: { readonly atMs: number; readonly name: number; readonly entry: Entry }[] = [];
  let ran: number[] = [];
  let now = 0;
  for (let step = 0; step < 3000; step += 1) {
    if (random.chance(0.6)) {
      const atMs = now + Math.floor(random.between(-5, 60));
      const name = step;
      model.push({ atMs, name, entry: agenda.at(atMs, () => ran.push(name)) });
    } else if (random.chance(0.4) && model.length > 0) {
      const victim = random.pick(model);
      victim.entry.cancelled = true;
      model.splice(model.indexOf(victim), 1);
    } else {
      now += Math.floor(random.between(0, 20));
      const due = model.filter((m) => m.atMs <= now).sort((a, b) => a.atMs - b.atMs || a.name - b.name);
      for (const m of due) model.splice(model.indexOf(m), 1);
      ran = [];
      agenda.runDue(now);
      assert.deepEqual(
        ran,
        due.map((m) => m.name),
        `seed ${seed}, step ${step}`,
      );
    }
    const next = model.length === 0 ? null : Math.min(...model.map((m) => m.atMs));
    assert.equal(agenda.nextMs(), next, `seed ${seed}, step ${step}`);
  }
});
