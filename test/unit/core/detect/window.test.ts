/** The ring of samples: judged when asked, repaired by late answers, blind to what is void. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SampleWindow } from '../../../../src/core/detect/window.js';
import { Random, seedFromEnvironment } from '../../../support/random.js';

test('without samples nothing is claimed', () => {
  assert.deepEqual(new SampleWindow(4).summarize(0), { samples: 0, lost: 0, loss: null, rttMs: null, jitterMs: null });
});

test('a pending sample counts as lost from its deadline on, at question time', () => {
  const window = new SampleWindow(4);
  window.sent(1, 100);
  assert.equal(window.summarize(99).samples, 0);
  assert.equal(window.summarize(100).loss, 1);
  assert.equal(window.lostCount(100), 1);
  assert.equal(window.summarize(99).samples, 0, 'asking changes nothing');
});

test('a late answer repairs the record', () => {
  const window = new SampleWindow(4);
  window.sent(1, 100);
  window.lost(1);
  assert.equal(window.summarize(150).loss, 1);
  window.answered(1, 400);
  assert.deepEqual(window.summarize(500), { samples: 1, lost: 0, loss: 0, rttMs: 400, jitterMs: 0 });
});

test('what is lost cannot take back an answer', () => {
  const window = new SampleWindow(4);
  window.sent(1, 100);
  window.answered(1, 20);
  window.lost(1);
  assert.equal(window.summarize(500).lost, 0);
});

test('a void sample counts neither way', () => {
  const window = new SampleWindow(4);
  window.sent(1, 100);
  window.sent(2, 100);
  window.answered(1, 20);
  window.void(2);
  assert.deepEqual(window.summarize(500), { samples: 1, lost: 0, loss: 0, rttMs: 20, jitterMs: 0 });
});

test('the median and the standard deviation, even and odd', () => {
  const window = new SampleWindow(8);
  for (const [id, rtt] of [10, 20, 30, 100].entries()) {
    window.sent(id, 1000);
    window.answered(id, rtt);
  }
  const { rttMs, jitterMs } = window.summarize(0);
  assert.equal(rttMs, 25);
  assert.ok(Math.abs((jitterMs ?? 0) - Math.sqrt((30 ** 2 + 20 ** 2 + 10 ** 2 + 60 ** 2) / 4)) < 1e-9);
  window.sent(9, 1000);
  window.answered(9, 40);
  assert.equal(window.summarize(0).rttMs, 30);
});

test('after clear it is as new', () => {
  const window = new SampleWindow(2);
  for (const id of [1, 2, 3]) window.sent(id, 0);
  window.clear();
  assert.equal(window.summarize(10).samples, 0);
  window.answered(3, 5);
  assert.equal(window.summarize(10).samples, 0, "an answer to what was cleared away is nobody's");
  window.sent(4, 100);
  window.answered(4, 7);
  assert.equal(window.summarize(10).rttMs, 7);
});

test('the ring forgets the oldest: random use agrees with a plain list', () => {
  const seed = seedFromEnvironment();
  const random = new Random(seed);
  for (const capacity of [1, 2, 3, 7, 60]) {
    const window = new SampleWindow(capacity);
    let list: { id: number; state: string; rttMs: number; dueMs: number }[] = [];
    let now = 0;
    for (let id = 1; id <= 400; id += 1) {
      now += random.between(0, 30);
      const dueMs = now + 60;
      window.sent(id, dueMs);
      list = [...list, { id, state: 'pending', rttMs: 0, dueMs }].slice(-capacity);
      // some of the ids have left the window already
      const other = Math.max(1, id - Math.floor(random.between(0, capacity * 1.5)));
      const entry = list.find((s) => s.id === other);
      const what = random.pick(['answered', 'lost', 'void', 'nothing']);
      if (what === 'answered') {
        const rttMs = Math.floor(random.between(1, 200));
        window.answered(other, rttMs);
        if (entry !== undefined) Object.assign(entry, { state: 'answered', rttMs });
      } else if (what === 'lost') {
        window.lost(other);
        if (entry?.state === 'pending') entry.state = 'lost';
      } else if (what === 'void') {
        window.void(other);
        if (entry !== undefined) entry.state = 'void';
      }
      const lost = list.filter((s) => s.state === 'lost' || (s.state === 'pending' && s.dueMs <= now)).length;
      const rtts = list.filter((s) => s.state === 'answered').map((s) => s.rttMs);
      const summary = window.summarize(now);
      const where = `seed ${seed}, capacity ${capacity}, id ${id}`;
      assert.equal(summary.lost, lost, where);
      assert.equal(window.lostCount(now), lost, where);
      assert.equal(summary.samples, lost + rtts.length, where);
      rtts.sort((a, b) => a - b);
      const low = rtts[Math.floor((rtts.length - 1) / 2)];
      const high = rtts[Math.floor(rtts.length / 2)];
      assert.equal(summary.rttMs, low === undefined || high === undefined ? null : (low + high) / 2, where);
    }
  }
});
