/** What a judgement learns, says, keeps and forgets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultJudgement, Judgement } from '../../../../src/core/judgement/judgement.js';
import { REMEMBERED } from '../../../../src/core/judgement/memory.js';
import { parseJudgementState } from '../../../../src/core/judgement/state.js';
import { billed, costsOf, patienceAfter, repeated, tell, withCost } from './play.js';

const OPTIONS = defaultJudgement;
const blips = (count: number) => repeated(count, (i) => ({ goodMs: 60_000 + 7_000 * (i % 9), silenceMs: 700 + 90 * (i % 5) }));
const longOnes = (count: number) =>
  repeated(count, (i) => ({ goodMs: 3_600_000 + 400_000 * (i % 7), silenceMs: 90_000 + 9_000 * (i % 6) }));
const flaps = (count: number) => repeated(count, () => ({ goodMs: 10_000, silenceMs: 10_000 }));

test('an unknown link is borne for a while, but never longer than a round trip to the backup costs', () => {
  for (const switchCostMs of [500, 1_000, 2_500, 5_000, 20_000]) {
    const judgement = new Judgement(withCost(switchCostMs));
    judgement.silenceBegan(1_000_000, 'upstream');
    const patienceMs = judgement.patienceMs() ?? Number.NaN;
    assert.ok(patienceMs > 0.2 * switchCostMs && patienceMs <= 2 * switchCostMs, `${patienceMs} ms at ${switchCostMs} ms`);
  }
});

test('there is no patience while there is no silence, and no hold before one ended', () => {
  const judgement = new Judgement(OPTIONS);
  assert.equal(judgement.patienceMs(), null);
  assert.equal(judgement.holdMs(), null);
  judgement.silenceBegan(5_000, 'upstream');
  assert.equal(judgement.holdMs(), null);
  judgement.silenceEnded(6_000);
  assert.equal(judgement.patienceMs(), null);
  assert.notEqual(judgement.holdMs(), null);
});

test('where silences end by themselves they are waited for; where they last, nobody waits', () => {
  assert.ok(patienceAfter(OPTIONS, blips(60), 60_000) > 1_060, 'longer than any of its blips');
  assert.ok(patienceAfter(OPTIONS, longOnes(20), 4_000_000) < 500);
});

test('causes are told apart: a pulled cable is not waited for because the sky is often cloudy', () => {
  const story = blips(60).flatMap((blip, i) =>
    i % 6 === 5 ? [blip, { goodMs: 200_000, silenceMs: 120_000, cause: 'carrier' as const }] : [blip],
  );
  assert.ok(patienceAfter(OPTIONS, story, 70_000, 'upstream') > 1_060);
  assert.ok(patienceAfter(OPTIONS, story, 70_000, 'carrier') < 800);
});

test('the cause may become clear later: patience follows', () => {
  const judgement = new Judgement(OPTIONS);
  const story = blips(60).flatMap((blip) => [blip, { goodMs: 200_000, silenceMs: 120_000, cause: 'carrier' as const }]);
  const nowMs = tell(judgement, story) + 70_000;
  judgement.silenceBegan(nowMs, 'upstream');
  const before = judgement.patienceMs() ?? Number.NaN;
  judgement.silenceChanged('carrier');
  assert.ok((judgement.patienceMs() ?? Number.NaN) < before);
  assert.equal(judgement.patienceMs(), patienceAfter(OPTIONS, story, 70_000, 'carrier'));
});

test('the more often it fails again, the longer it stays away', () => {
  const calm = new Judgement(OPTIONS);
  tell(calm, longOnes(20));
  const flapping = new Judgement(OPTIONS);
  tell(flapping, flaps(20));
  assert.ok((flapping.holdMs() ?? 0) >= 20_000, `${flapping.holdMs()}`);
  assert.ok((flapping.holdMs() ?? 0) > 2 * (calm.holdMs() ?? 0), `${flapping.holdMs()} against ${calm.holdMs()}`);
});

test('a loss that is less than what the backup costs is borne for as long as it lasts', () => {
  const judgement = new Judgement({ ...OPTIONS, backupCost: 0.1 });
  judgement.silenceBegan(1_000, 'loss', 0.05);
  assert.equal(judgement.patienceMs(), OPTIONS.patience.maxMs);
  assert.match(judgement.explain().patience ?? '', /no better/);
});

test('a slight loss is borne longer than a silence', () => {
  const patience = (severity: number): number => {
    const judgement = new Judgement(OPTIONS);
    const nowMs = tell(judgement, longOnes(4));
    judgement.silenceBegan(nowMs + 5_000_000, 'loss', severity);
    return judgement.patienceMs() ?? Number.NaN;
  };
  assert.ok(patience(0.2) > patience(1), `${patience(0.2)} against ${patience(1)}`);
});

test('bounds win', () => {
  const options = { ...OPTIONS, patience: { minMs: 3_000, maxMs: 3_500 }, hold: { minMs: 20_000, maxMs: 25_000 } };
  for (const story of [blips(30), longOnes(30), flaps(30)]) {
    const judgement = new Judgement(options);
    tell(judgement, story);
    const patienceMs = patienceAfter(options, story, 60_000);
    assert.ok(patienceMs >= 3_000 && patienceMs <= 3_500, `${patienceMs}`);
    const holdMs = judgement.holdMs() ?? Number.NaN;
    assert.ok(holdMs >= 20_000 && holdMs <= 25_000, `${holdMs}`);
  }
});

test('old habits are forgotten: after enough of the new it decides as if it had never known others', () => {
  for (const [old, fresh] of [
    [blips(150), longOnes(60)],
    [longOnes(60), blips(150)],
  ] as const) {
    const changed = new Judgement(OPTIONS);
    const learned = new Judgement(OPTIONS);
    tell(changed, [...old, ...fresh]);
    tell(learned, fresh);
    const costs = costsOf(OPTIONS);
    const [a, b] = [billed(changed, fresh, costs), billed(learned, fresh, costs)];
    assert.ok(a <= 1.1 * b, `${a} against ${b}`);
  }
});

test('an hour of flapping does not make it forget how it was before', () => {
  const hourOfFlapping = [...blips(40), ...flaps(180)];
  assert.ok(patienceAfter(OPTIONS, hourOfFlapping, 75_000) > 900, 'the blips of before are known still');
  assert.ok(patienceAfter(OPTIONS, hourOfFlapping, 10_000) < 900, 'and so is the flapping');
});

test('saved and loaded it decides alike, and takes a few KB', () => {
  const judgement = new Judgement(OPTIONS);
  const nowMs = tell(judgement, [...blips(100), ...flaps(100), ...longOnes(40)]);
  const text = JSON.stringify(judgement.saved());
  assert.ok(text.length < 8_192, `${text.length} bytes`);
  const state = parseJudgementState(JSON.parse(text));
  assert.ok(state !== null);
  assert.equal(state.episodes.length, REMEMBERED);
  const loaded = new Judgement(OPTIONS, state);
  assert.deepEqual(loaded.saved(), judgement.saved());
  const again = new Judgement(OPTIONS, state);
  assert.equal(tell(loaded, blips(20), nowMs), tell(again, blips(20), nowMs));
  assert.deepEqual(loaded.saved(), again.saved());
  assert.equal(loaded.holdMs(), again.holdMs());
});

test('what is no state is refused', () => {
  const judgement = new Judgement(OPTIONS);
  tell(judgement, blips(3));
  const good = judgement.saved();
  assert.deepEqual(parseJudgementState(JSON.parse(JSON.stringify(good))), good);
  const [first, ...rest] = good.episodes;
  const broken: unknown[] = [
    null,
    'text',
    [],
    {},
    { ...good, version: 2 },
    { ...good, behindS: Number.NaN },
    { ...good, behindS: -1 },
    { ...good, excessS: '3' },
    { ...good, believed: 1 },
    { ...good, episodes: 'x' },
    { ...good, episodes: [[1, 2, 3]] },
    { ...good, episodes: [[-5, ...(first ?? []).slice(1)], ...rest] },
    { ...good, episodes: [[...(first ?? []).slice(0, 5), 9, 1, 1], ...rest] },
    { ...good, episodes: [[...(first ?? []).slice(0, 6), 2, 1], ...rest] },
  ];
  for (const value of broken) assert.equal(parseJudgementState(value), null, JSON.stringify(value));
});

test('reset makes it new', () => {
  const judgement = new Judgement(OPTIONS);
  tell(judgement, longOnes(30));
  judgement.reset();
  assert.deepEqual(judgement.saved(), new Judgement(OPTIONS).saved());
});

test('time that nobody watched teaches nothing but that a silence had lasted so long', () => {
  const judgement = new Judgement(OPTIONS);
  const nowMs = tell(judgement, blips(5));
  judgement.interrupted(nowMs + 1_000);
  judgement.silenceBegan(nowMs + 9_000_000, 'upstream');
  judgement.interrupted(nowMs + 9_030_000);
  assert.equal(judgement.patienceMs(), null);
  const last = judgement.saved().episodes.at(-1);
  assert.deepEqual(last?.slice(0, 5), [null, 30, null, null, 0]);
});

test('a clock that runs backwards is survived', () => {
  const judgement = new Judgement(OPTIONS);
  tell(judgement, blips(5), 1_000_000);
  judgement.silenceBegan(10, 'upstream');
  judgement.silenceEnded(5);
  assert.ok(Number.isFinite(judgement.holdMs()));
  assert.ok(parseJudgementState(judgement.saved()) !== null);
});

test('it says why', () => {
  const judgement = new Judgement(OPTIONS);
  judgement.silenceBegan(0, 'upstream');
  assert.match(judgement.explain().patience ?? '', /^nothing known of this uplink yet: waiting \d/);
  judgement.silenceEnded(800);
  assert.match(judgement.explain().hold ?? '', /^nothing known of its recoveries yet: /);
  const nowMs = tell(judgement, blips(40), 800);
  judgement.silenceBegan(nowMs + 60_000, 'upstream');
  assert.match(
    judgement.explain().patience ?? '',
    /^median silence of this uplink 0\.88 s, 9 of 10 end within 1\.1 s: waiting \d\.?\d? s$/,
  );
  const flapping = new Judgement(OPTIONS);
  tell(flapping, flaps(20));
  assert.match(
    flapping.explain().hold ?? '',
    /^it failed again within \d+ \w+ after 10 of its last 10 recoveries: staying away for \d+ \w+$/,
  );
});

test('when it is accounted for changes no decision', () => {
  const lives = [0, 1].map((settles) => {
    const judgement = new Judgement(OPTIONS);
    const decisions: (number | null)[] = [];
    for (let i = 0; i < 40; i += 1) {
      judgement.silenceBegan(60_000 * i, 'upstream');
      decisions.push(judgement.patienceMs());
      judgement.silenceEnded(60_000 * i + 200 * (1 + (i % 7)) ** 2);
      assert.equal(judgement.isOpen, true);
      if (settles === 1) judgement.settle();
      assert.equal(judgement.isOpen, settles === 0);
      decisions.push(judgement.holdMs());
    }
    judgement.settle();
    return [decisions, judgement.saved()];
  });
  assert.deepEqual(lives[0], lives[1]);
});
