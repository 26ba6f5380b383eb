import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Notice } from '../../../../src/core/action.js';
import { Notices } from '../../../../src/core/aftermath/notices.js';
import { Agenda } from '../../../../src/core/agenda.js';
import type { HistoryRecord, Outage } from '../../../../src/core/messages.js';
import type { Family, Health, Reason } from '../../../../src/core/model.js';
import { recordOf } from '../../../../src/core/show/records.js';

const BEGIN_WALL_MS = 1_800_000_000_000;

class Stage {
  nowMs = 0;
  wallOffsetMs = BEGIN_WALL_MS;
  readonly told: Notice[] = [];
  readonly #agenda = new Agenda();
  readonly notices: Notices;
  #random = 0;

  constructor(outages: Readonly<Record<string, Outage>> = {}) {
    // As the state file keeps it.
    this.notices = new Notices(JSON.parse(JSON.stringify(outages)), {
      agenda: this.#agenda,
      random: () => {
        this.#random = (this.#random + 0.1234567) % 1;
        return this.#random;
      },
      wallMs: (ms) => ms + this.wallOffsetMs,
      active: () => [{ family: 4, uplink: 'fast' }],
      figures: () => [{ uplink: 'fast', family: 4, health: 'up', loss: 0, rttMs: 20 }],
      notify: (notice) => this.told.push(notice),
    });
  }

  pass(ms: number): void {
    const endMs = this.nowMs + ms;
    for (let next = this.#agenda.nextMs(); next !== null && next <= endMs; next = this.#agenda.nextMs()) {
      this.nowMs = next;
      this.#agenda.runDue(next);
    }
    this.nowMs = endMs;
  }

  health(
    from: Health,
    to: Health,
    reason: Reason = to === 'up' ? 'answers' : 'upstream-silent',
    silentMs = 0,
    uplink = 'fast',
  ): void {
    const record = { ...recordOf('health', 'warning', 'x', null, { silentMs }), uplink, family: 4 as Family, from, to, reason };
    this.notices.take(record, this.nowMs);
  }

  moves(from: string | null, to: string, reason: Reason): void {
    const record = {
      ...recordOf('switch', 'warning', 'x'),
      uplink: to,
      family: 4 as Family,
      from,
      to,
      reason,
      durationMs: 60_000,
    };
    this.notices.take(record, this.nowMs);
  }

  get subjects(): string[] {
    return this.told.map(({ subject }) => subject);
  }

  at(index: number): Notice {
    const notice = this.told.at(index);
    assert.ok(notice !== undefined);
    return notice;
  }
}

test('a start makes no noise', () => {
  const stage = new Stage();
  stage.health('unknown', 'up');
  stage.health('unknown', 'up', 'answers', 0, 'backup');
  stage.moves(null, 'fast', 'answers');
  const quiet: HistoryRecord[] = [
    recordOf('started', 'info', 'x'),
    recordOf('config', 'notice', 'x'),
    recordOf('name', 'info', 'x'),
  ];
  for (const record of quiet) stage.notices.take(record, 0);
  assert.deepEqual(stage.told, []);
});

test('one notice per change of state and per switch, in plain words, all of one conversation', () => {
  const stage = new Stage();
  stage.health('unknown', 'up');
  stage.pass(60_000);
  stage.health('up', 'down', 'upstream-silent', 1_500);
  // The same state for another reason is no change.
  stage.health('down', 'down', 'gateway-silent');
  stage.moves('fast', 'backup', 'upstream-silent');
  stage.pass(120_000);
  stage.health('down', 'up');
  stage.pass(30_000);
  stage.moves('backup', 'fast', 'preferred');
  assert.deepEqual(stage.subjects, [
    'fast is down: the gateway answers, but nothing beyond it does',
    'IPv4 moved from fast to backup: the gateway answers, but nothing beyond it does',
    'fast is up again after 2 min 2 s',
    'IPv4 is back on fast',
  ]);
  assert.deepEqual(
    stage.told.map(({ topic }) => topic),
    ['health', 'switch', 'health', 'switch'],
  );
  const first = stage.at(0);
  assert.equal(first.thread, first.id);
  assert.ok(stage.told.every(({ thread }) => thread === first.id));
  assert.equal(new Set(stage.told.map(({ id }) => id)).size, 4);
  assert.equal(first.sinceWallMs, BEGIN_WALL_MS + 58_500, 'since the first probe that went unanswered');
  assert.equal(stage.at(2).outageMs, 121_500);
  assert.match(
    stage.at(1).text[0] ?? '',
    /^IPv4 traffic goes by backup: on fast, the gateway answers, .*It had gone by fast for 1 min/,
  );
  assert.deepEqual(stage.at(0).figures, [{ uplink: 'fast', family: 4, health: 'up', loss: 0, rttMs: 20 }]);
  assert.deepEqual(stage.notices.outages, {});
});

test('the next outage is a conversation of its own', () => {
  const stage = new Stage();
  for (const _ of [1, 2]) {
    stage.health('up', 'down');
    stage.moves('fast', 'backup', 'upstream-silent');
    stage.pass(1_000_000);
    stage.health('down', 'up');
    stage.moves('backup', 'fast', 'preferred');
    stage.pass(1_000_000);
  }
  const threads = stage.told.map(({ thread }) => thread);
  assert.equal(new Set(threads).size, 2);
  assert.deepEqual(threads.slice(0, 4), Array(4).fill(threads[0]));
  stage.moves('fast', 'backup', 'forced');
  assert.equal(stage.at(-1).thread, stage.at(-1).id, 'an order long after has nothing to do with it');
  assert.match(stage.at(-1).text[0] ?? '', /goes by backup: the administrator forced it\./);
  stage.moves('backup', 'fast', 'preferred');
  assert.equal(stage.at(-1).thread, stage.at(-2).id, 'the way back answers it');
});

test('the outage lasts over a restart, which says nothing anew, whatever the clocks of the processes', () => {
  const first = new Stage();
  first.health('up', 'down', 'upstream-silent', 2_000);
  const saved = first.notices.outages;
  const second = new Stage(saved);
  second.wallOffsetMs = BEGIN_WALL_MS + 600_000;
  second.health('unknown', 'down');
  assert.deepEqual(second.told, []);
  second.pass(60_000);
  second.health('down', 'up');
  assert.equal(second.at(0).outageMs, 662_000);
  assert.equal(second.at(0).thread, first.at(0).id);

  const third = new Stage(saved);
  third.wallOffsetMs = BEGIN_WALL_MS + 600_000;
  third.health('unknown', 'up');
  assert.equal(third.at(0).outageMs, 602_000, 'it came back while nobody watched');
});

test('a wall clock that is set meanwhile does not lengthen the outage', () => {
  const stage = new Stage();
  stage.health('up', 'down');
  stage.wallOffsetMs += 50 * 365 * 86_400_000;
  stage.pass(30_000);
  stage.health('down', 'up');
  assert.equal(stage.at(1).outageMs, 30_000);
});

test('down and degraded are told apart, each with its own time', () => {
  const stage = new Stage();
  stage.health('up', 'degraded', 'loss-high');
  stage.pass(100_000);
  stage.health('degraded', 'down');
  stage.pass(10_000);
  stage.health('down', 'degraded', 'loss-high');
  stage.pass(5_000);
  stage.health('degraded', 'up');
  assert.deepEqual(
    stage.told.map(({ outageMs }) => outageMs),
    [null, null, 10_000, 5_000],
  );
  assert.match(stage.at(2).text[0] ?? '', /It had been down for 10 s\./);
  assert.match(stage.at(3).text[0] ?? '', /It was degraded for 5 s/);
  assert.ok(stage.told.every(({ thread }) => thread === stage.at(0).id));
});

test('an uplink that is no longer there leaves no outage behind', () => {
  const stage = new Stage({ 'gone/4': { thread: 't', sinceWallMs: 0, health: 'down' } });
  stage.health('up', 'down');
  stage.notices.keep(['fast/4']);
  assert.deepEqual(Object.keys(stage.notices.outages), ['fast/4']);
});

test('flapping: six are told one by one, the rest in digests, until ten minutes pass in silence; nothing is lost', () => {
  const stage = new Stage();
  for (let n = 0; n < 10; n += 1) {
    stage.health('up', 'down');
    stage.pass(10_000);
    stage.health('down', 'up');
    stage.pass(10_000);
  }
  assert.equal(stage.told.length, 6);
  stage.pass(10 * 60_000);
  assert.equal(stage.told.length, 7);
  const digest = stage.at(-1);
  assert.equal(digest.folded, 14);
  assert.match(digest.subject, /^14 changes in 10 min, the last: fast is up again after 10 s$/);
  assert.equal(digest.text.length, 15);
  assert.equal(
    stage.told.reduce((sum, { folded }) => sum + folded, 0),
    20,
  );
  stage.health('up', 'down');
  assert.equal(stage.told.length, 7, 'it has not been silent for ten minutes yet');
  stage.pass(10 * 60_000);
  assert.equal(stage.told.length, 8);
  assert.equal(stage.at(-1).folded, 1);
  assert.match(stage.at(-1).subject, /^fast is down/);
  stage.pass(20 * 60_000);
  assert.equal(stage.told.length, 8, 'nothing to say is not said');
  stage.health('down', 'up');
  assert.equal(stage.told.length, 9, 'calm again: told at once');
});

test('uplinks flap by themselves: another one is told at once', () => {
  const stage = new Stage();
  for (let n = 0; n < 10; n += 1) {
    stage.health('up', 'down');
    stage.health('down', 'up');
  }
  stage.health('up', 'down', 'silent', 0, 'backup');
  assert.match(stage.at(-1).subject, /^backup is down/);
});

test('a digest has a bounded number of lines and counts them all', () => {
  const stage = new Stage();
  for (let n = 0; n < 200; n += 1) {
    stage.health('up', 'down');
    stage.health('down', 'up');
  }
  stage.pass(10 * 60_000);
  assert.equal(stage.at(-1).folded, 394);
  assert.equal(stage.at(-1).text.length, 52);
  assert.equal(stage.at(-1).text[1], '(344 before these)');
});

test('what is held back goes out when the process ends', () => {
  const stage = new Stage();
  for (let n = 0; n < 4; n += 1) {
    stage.health('up', 'down');
    stage.health('down', 'up');
  }
  assert.equal(stage.told.length, 6);
  stage.notices.flush(stage.nowMs);
  assert.equal(stage.at(-1).folded, 2);
  stage.notices.flush(stage.nowMs);
  assert.equal(stage.told.length, 7);
});

test('problems are told with the uplink they concern', () => {
  const stage = new Stage();
  stage.notices.take(
    { ...recordOf('target', 'warning', 'target 192.0.2.1 does not answer, others do'), uplink: 'fast', family: 4 },
    0,
  );
  stage.notices.take(recordOf('action', 'error', 'exim: the check failed'), 0);
  stage.notices.take(recordOf('stall', 'notice', 'x'), 0);
  assert.deepEqual(stage.subjects, ['fast: target 192.0.2.1 does not answer, others do', 'exim: the check failed']);
  assert.ok(stage.told.every(({ topic }) => topic === 'problem'));
});

test('usage, a drill that failed and a stranger are problems, with what can be done; a drill that went well is none', () => {
  const stage = new Stage();
  const lte = { uplink: 'lte', family: null };
  const drill = (severity: HistoryRecord['severity'], outcome: string): void =>
    stage.notices.take({ ...recordOf('drill', severity, outcome, null, { outcome, left: 0 }), ...lte }, 0);
  stage.notices.take({ ...recordOf('usage', 'warning', '15 GB of 20 GB used (75 %)'), ...lte }, 0);
  drill('error', 'fails');
  drill('warning', 'broken-off');
  drill('notice', 'works');
  stage.notices.take(recordOf('rogue', 'warning', 'router fe80::bad on lan0 offers itself to the network'), 0);
  assert.deepEqual(
    stage.told.map(({ topic, subject, text }) => [topic, subject, text.length]),
    [
      ['problem', 'lte: 15 GB of 20 GB used (75 %)', 2],
      ['problem', 'lte: fails', 2],
      ['problem', 'lte: broken-off', 1],
      ['problem', 'router fe80::bad on lan0 offers itself to the network', 1],
    ],
  );
  const [usage, failed] = stage.told.map(({ text }) => text[1] ?? '');
  assert.match(usage ?? '', /backroute status\.$/);
  assert.match(failed ?? '', /would have been of no help\. .*backroute drill lte\.$/);
});

test('a drill that moves all traffic is told as what it is', () => {
  const stage = new Stage();
  stage.moves('fast', 'backup', 'drill');
  assert.equal(stage.told[0]?.subject, 'IPv4 moved from fast to backup: the backup is being tried');
  assert.deepEqual(stage.told[0]?.text, [
    'IPv4 traffic goes by backup: the backup is being tried. It had gone by fast for 1 min.',
  ]);
});
