/** What a line answers, loses and costs, asked directly. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FarLine } from '../../../src/simulate/far-line.js';
import { linkOf, silence } from '../../support/links.js';

test('a line without a link is always good', () => {
  const line = new FarLine(null, 1);
  assert.equal(line.ask(0, false), 20);
  assert.equal(line.changesMs(0), Number.POSITIVE_INFINITY);
  assert.equal(line.feltS(0, 1e12), 0);
});

test('silence, its cause and the round trip in force; outside its span it is good', () => {
  const link = linkOf('a', 10_000, {
    silences: [silence(1_000, 1_000), silence(3_000, 1_000, 'gateway'), silence(5_000, 1_000, 'carrier')],
    rtts: [
      { fromMs: 0, rttMs: 30 },
      { fromMs: 4_500, rttMs: 50 },
    ],
  });
  const line = new FarLine(link, 1);
  const seen = [-5, 999, 1_000, 1_999, 2_000, 3_500, 4_000, 4_500, 5_500, 20_000].map((at) => [
    line.ask(at, false),
    line.ask(at, true),
    line.hasCarrier(at),
  ]);
  assert.deepEqual(seen, [
    [30, 1, true],
    [30, 1, true],
    [null, 1, true],
    [null, 1, true],
    [30, 1, true],
    [null, null, true],
    [30, 1, true],
    [50, 1, true],
    [null, null, false],
    [50, 1, true],
  ]);
  assert.equal(line.feltS(0, 10_000), 3);
  assert.equal(line.feltS(1_500, 3_250), 0.75);
});

test('a share of the packets is lost, each for itself, and as many get through before as was said', () => {
  const share = 0.1;
  const line = new FarLine(linkOf('a', 1e6, { lossy: [{ fromMs: 0, toMs: 1e6, share }] }), 5);
  let lost = 0;
  let lostTwice = 0;
  let before = false;
  for (let at = 0; at < 1e6; at += 10) {
    const { probes } = line.calmLine(at);
    const now = line.ask(at, false) === null;
    assert.equal(now, probes === 0, `at ${at}`);
    if (now) lost += 1;
    if (now && before) lostTwice += 1;
    before = now;
  }
  assert.ok(Math.abs(lost / 1e5 - share) < 0.004, `${lost} of 100,000`);
  assert.ok(Math.abs(lostTwice / lost - share) < 0.015, `${lostTwice} of ${lost} followed another one`);
  assert.equal(line.feltS(0, 1e6), 100);
});

test('what was let pass counts as if it had been asked, and a silence wins over loss', () => {
  const lossy = [{ fromMs: 0, toMs: 60_000, share: 0.02 }];
  const link = linkOf('a', 60_000, { lossy, silences: [silence(20_000, 10_000)] });
  const [asked, passed] = [new FarLine(link, 9), new FarLine(link, 9)];
  const { probes } = asked.calmLine(10);
  for (let i = 0; i < probes; i += 1) assert.equal(asked.ask(10, false), 20);
  passed.calmLine(10);
  passed.passed(probes);
  assert.equal(asked.ask(11, false), null);
  assert.equal(passed.ask(11, false), null);
  assert.deepEqual(asked.calmLine(25_000), { rttMs: null, gatewayRttMs: 1, probes: Number.POSITIVE_INFINITY });
  assert.ok(Math.abs(asked.feltS(0, 60_000) - (10 + 50 * 0.02)) < 1e-9);
  assert.equal(asked.changesMs(25_000), 30_000);
});
