/** What is shown of a simulation: the stable JSON, the sentences and the drawing, which must be well-formed and small. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { seeded } from '../../../bench/judge/synthetic.js';
import type { Link } from '../../../src/simulate/link.js';
import type { Played } from '../../../src/simulate/played.js';
import { idealBeside } from '../../../src/simulate/read/side-by-side.js';
import { score } from '../../../src/simulate/score/scored.js';
import { linkFacts, report, type Simulation } from '../../../src/simulate/show/report.js';
import { plot } from '../../../src/simulate/show/svg.js';
import { lengthText, text } from '../../../src/simulate/show/text.js';
import { numberTicks, timeTicks } from '../../../src/simulate/show/ticks.js';

const HOUR = 3_600_000;
const PRICES = { switchS: 2.5, perSecond: [0, 0.02] };

function linkWith(silences: readonly (readonly [number, number])[], toMs = HOUR): Link {
  return {
    name: 'a.csv',
    originWallMs: null,
    span: { fromMs: 0, toMs },
    silences: silences.map(([fromMs, to]) => ({ fromMs, toMs: to, cause: 'upstream' })),
    lossy: [{ fromMs: 0, toMs: 10_000, share: 0.1 }],
    rtts: [],
    unwatchedMs: 61_000,
  };
}

function simulationOf(
  link: Link,
  moves: Played['moves'],
  more: Partial<Simulation> & { name?: string; complete?: boolean } = {},
): Simulation {
  const links = [link, idealBeside('backup', link)];
  const played: Played = {
    name: more.name ?? 'nothing set',
    feltS: 0,
    switches: 0,
    onBackupS: 0,
    cost: 0,
    span: link.span,
    complete: more.complete ?? true,
    moves,
    shares: [],
    beginsOn: 0,
    healths: [
      { uplink: 0, atMs: 0, health: 'up' },
      { uplink: 0, atMs: 102_000, health: 'down' },
      { uplink: 0, atMs: 200_000, health: 'up' },
    ],
    probes: 7_200,
  };
  const { name: _, complete: __, ...rest } = more;
  return {
    seed: 1,
    plays: [score(played, links, PRICES, null)],
    links: [linkFacts('primary', 'a.csv', link), linkFacts('backup', null, links[1] ?? link)],
    originWallMs: link.originWallMs,
    uplinks: [['primary', 'backup']],
    notes: [],
    ...rest,
  };
}

const away = (atMs: number): Played['moves'][number] => ({
  atMs,
  from: 0,
  to: 1,
  reason: 'upstream-silent',
  ground: 'waiting 2 s',
});
const back = (atMs: number): Played['moves'][number] => ({ atMs, from: 1, to: 0, reason: 'preferred', ground: null });
const ONE = linkWith([[100_000, 160_000]]);

test('the JSON: figures of the play, the clairvoyant, the best fixed rule, the moves', () => {
  const json = report(simulationOf(ONE, [away(102_000), back(200_000)]));
  const { cost, felt, switches, onBackup, clairvoyant, ratio, complete, seed, name, never } = json;
  assert.deepEqual(
    { cost, felt, switches, onBackup, clairvoyant, ratio, complete, seed, name },
    {
      cost: 1 + 2 + 5 + 98 * 0.02,
      felt: 3,
      switches: 2,
      onBackup: 98,
      // The loss of the first ten seconds is felt by all.
      clairvoyant: 1 + 5 + 60 * 0.02,
      ratio: 1.3833,
      complete: true,
      seed: 1,
      name: 'nothing set',
    },
  );
  assert.deepEqual(never, { cost: 61, ratio: 8.4722, felt: 61, switches: 0, onBackup: 0 });
  assert.deepEqual(json.bestFixed, { patience: 0, hold: 1, cost: 7.22, ratio: 1.0028, felt: 1, switches: 2, onBackup: 61 });
  assert.deepEqual(json.moves, [
    { at: 102, time: null, from: 'primary', to: 'backup', reason: 'upstream-silent', ground: 'waiting 2 s' },
    { at: 200, time: null, from: 'backup', to: 'primary', reason: 'preferred', ground: null },
  ]);
  assert.deepEqual(json.span, { from: null, to: null, seconds: 3600 });
  assert.deepEqual((json.links as unknown[])[0], {
    name: 'primary',
    source: 'a.csv',
    outages: 1,
    silent: 60,
    lossy: 10,
    unwatched: 61,
  });
  assert.ok(!('plays' in json));
});

test('the JSON of several: all in plays, the first at the top; absolute times where they are known', () => {
  const known = { ...ONE, originWallMs: Date.UTC(2026, 0, 31, 12) };
  const one = simulationOf(known, [away(102_000)]);
  const json = report({
    ...one,
    plays: [...one.plays, ...simulationOf(known, [], { name: 'other' }).plays],
    uplinks: [
      ['a', 'b'],
      ['c', 'd'],
    ],
  });
  const plays = json.plays as Record<string, unknown>[];
  assert.deepEqual(
    plays.map(({ name }) => name),
    ['nothing set', 'other'],
  );
  assert.equal(json.cost, plays[0]?.cost);
  assert.deepEqual(
    (json.moves as { time: string; to: string }[]).map(({ time, to }) => [time, to]),
    [['2026-01-31T12:01:42.000Z', 'b']],
  );
  // It ends on the backup: the switch back is owed.
  assert.equal(json.switches, 2);
});

test('docs/simulate.md names every field', () => {
  const docs = readFileSync(new URL('../../../../docs/simulate.md', import.meta.url), 'utf8');
  const keys = (value: unknown): string[] => {
    if (Array.isArray(value)) return value.flatMap(keys);
    return typeof value === 'object' && value !== null
      ? Object.entries(value).flatMap(([key, inner]) => [key, ...keys(inner)])
      : [];
  };
  const { peers: _, ...rest } = report(simulationOf(ONE, [away(102_000), back(200_000)]));
  for (const key of ['peers', 'plays', ...keys(rest)]) assert.ok(docs.includes(`"${key}"`), key);
});

test('nothing failed: no multiple, and it is said', () => {
  const calm = { ...linkWith([]), lossy: [] };
  const simulation = simulationOf(calm, []);
  assert.equal(report(simulation).ratio, null);
  assert.match(text(simulation).notes.join(), /nothing failed/);
  assert.doesNotThrow(() => plot(simulation));
});

test('the sentences compare with never switching, or with what really happened', () => {
  const simulation = simulationOf(ONE, [away(102_000), back(200_000)]);
  assert.equal(
    text(simulation).sentences.join(),
    'You would have switched 2 times and felt 3.0 s of outage instead of 61 s without a switch.',
  );
  const [scored] = simulation.plays;
  assert.ok(scored !== undefined);
  const recorded = score(scored.played, [ONE, idealBeside('backup', ONE)], PRICES, [
    { atMs: 0, to: 0 },
    { atMs: 130_000, to: 1 },
    { atMs: 170_000, to: 0 },
    { atMs: 300_000, to: 1 },
    { atMs: 310_000, to: 0 },
  ]);
  assert.equal(
    text({ ...simulation, plays: [recorded] }).sentences.join(),
    'You would have switched 2 times instead of 4, felt 3.0 s of outage instead of 31 s; 61 s without a switch.',
  );
  assert.match(
    text({ ...simulation, plays: [recorded] })
      .table.map(({ cells }) => cells.join(' '))
      .join('\n'),
    /what really happened 4 31 s/,
  );
});

test('what was played in part says so', () => {
  const partial = simulationOf({ ...ONE, span: { fromMs: 0, toMs: 130_000 } }, [away(102_000)], { complete: false });
  assert.match(text(partial).notes.join(), /interrupted/);
  assert.equal(report(partial).complete, false);
  // What lies behind the part is billed to nobody: 30 s of silence at most.
  assert.equal((report(partial).never as { felt: number }).felt, 31);
});

/** A strict reader of what XML this may be: throws where it is not well-formed. */
function parseXml(xml: string): { tags: number; texts: string[] } {
  const open: string[] = [];
  const texts: string[] = [];
  let tags = 0;
  let rest = xml.trim();
  const entities = (words: string): string => {
    assert.ok(!/&(?!(amp|lt|gt|quot);)/.test(words), `entity in ${words}`);
    return words
      .replace(/&lt;/g, '<')
      .replace(/&gt;/g, '>')
      .replace(/&quot;/g, '"')
      .replace(/&amp;/g, '&');
  };
  while (rest !== '') {
    const tag = /^<(\/?)([a-z]+)((?: [a-zA-Z:-]+="[^"<]*")*)(\/?)>/.exec(rest);
    if (tag !== null) {
      const [whole, closing, name = '', attributes = '', alone] = tag;
      entities(attributes);
      const names = [...attributes.matchAll(/ ([a-zA-Z:-]+)=/g)].map((match) => match[1]);
      assert.equal(new Set(names).size, names.length, `twice the same attribute: ${attributes}`);
      if (closing !== '') assert.equal(open.pop(), name);
      else if (alone === '') open.push(name);
      tags += 1;
      rest = rest.slice(whole.length);
      assert.ok(open.length > 0 || rest === '', 'something follows the root');
      continue;
    }
    const words = /^[^<]+/.exec(rest)?.[0] ?? assert.fail(`at ${rest.slice(0, 60)}`);
    assert.ok(!/[^\t\n\r\x20-\ud7ff\ue000-\ufffd]/.test(words), 'a character that XML has not');
    texts.push(entities(words));
    rest = rest.slice(words.length);
  }
  assert.deepEqual(open, []);
  return { tags, texts };
}

test('the drawing is well-formed whatever the names hold, and needs nothing from elsewhere', () => {
  const wild = `<b>"A&B"</b> '\u0007\ud800`;
  const simulation = simulationOf(ONE, [away(102_000), back(200_000)], {
    name: wild,
    uplinks: [[wild, 'b'.repeat(60)]],
    notes: [wild],
  });
  const svg = plot(simulation);
  const { texts } = parseXml(svg);
  assert.ok(texts.some((words) => words.includes(`<b>"A&B"</b> '??`)));
  assert.ok(texts.some((words) => words.includes('after 102 s: ') && words.includes('upstream-silent\n  waiting 2 s')));
  assert.doesNotMatch(svg, /<script|<image|<style|href|url\(|@import|NaN|undefined|Infinity/);
});

test('a year is no larger than an hour, and every blip can be seen', () => {
  const random = seeded(7);
  const silences: [number, number][] = [];
  const moves: Played['moves'][number][] = [];
  for (let at = 0; silences.length < 20_000; ) {
    at += 1_000 - 1_500_000 * Math.log(1 - random());
    const to = at + 100 - 3_000 * Math.log(1 - random());
    silences.push([at, to]);
    if (to - at > 2_000) moves.push(away(at + 2_000), back(to + 30_000));
    at = to + 40_000;
  }
  const year = { ...linkWith(silences, (silences.at(-1)?.[1] ?? 0) + HOUR), originWallMs: Date.UTC(2025, 0, 1) };
  const svg = plot(simulationOf(year, moves));
  parseXml(svg);
  assert.ok(svg.length < 150_000, `${svg.length} characters`);
  const blip = plot(simulationOf(linkWith([[5_000_000, 5_000_100]], 365 * 24 * HOUR), []));
  assert.match(blip, /fill="#fca5a5"/);
});

test('ticks of time are round, absolute where the time is known, and few', () => {
  const day = 24 * HOUR;
  for (const [length, origin] of [
    [500, null],
    [90_000, null],
    [7 * HOUR, Date.UTC(2026, 1, 28, 22, 13)],
    [3 * day, Date.UTC(2026, 1, 28, 22, 13)],
    [400 * day, Date.UTC(2024, 6, 3)],
    [9_000 * day, Date.UTC(2000, 6, 3)],
  ] as const) {
    const ticks = timeTicks(0, length, origin, 10);
    assert.ok(ticks.length >= 1 && ticks.length <= 11, `${length}: ${ticks.length}`);
    assert.ok(ticks.every(({ at }) => at >= 0 && at <= length));
  }
  const labels = timeTicks(0, 7 * HOUR, Date.UTC(2026, 1, 28, 22, 13), 10).map(({ label }) => label);
  assert.deepEqual(labels, ['02-28 23:00', '03-01 00:00', '01:00', '02:00', '03:00', '04:00', '05:00']);
  assert.deepEqual(
    timeTicks(0, 10 * HOUR, null, 5).map(({ label }) => label),
    ['0', '2 h', '4 h', '6 h', '8 h', '10 h'],
  );
  assert.deepEqual(numberTicks(430, 5), [0, 100, 200, 300, 400, 500]);
  assert.deepEqual(numberTicks(0.3, 5), [0, 0.1, 0.2, 0.3]);
  assert.deepEqual(numberTicks(0, 5), [0, 1]);
});

test('lengths for people', () => {
  assert.deepEqual([0, 1.25, 119, 150, 7_300, 200_000, 40_000_000].map(lengthText), [
    '0 s',
    '1.3 s',
    '119 s',
    '2.5 min',
    '2.0 h',
    '2.3 d',
    '463 d',
  ]);
});
