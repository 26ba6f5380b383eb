/** What a configuration is worth, computed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Advice, adviseConfig, type UplinkAdvice } from '../../../src/config/advice.js';
import { formatAdvice } from '../../../src/config/advice-text.js';
import { parseConfig } from '../../../src/config/parse.js';
import { formatProblem } from '../../../src/config/problem.js';

function advise(text: string): Advice {
  const result = parseConfig(text, 'f');
  assert.ok(result.ok, result.ok ? '' : result.problems.map(formatProblem).join('\n'));
  return adviseConfig(result.config);
}

function first(text: string): UplinkAdvice {
  return advise(text).uplinks[0] ?? assert.fail();
}

function codes(uplink: UplinkAdvice): string[] {
  return uplink.recommendations.map(({ code }) => code);
}

test('one target: half an interval, two deadlines and the pace of the burst', () => {
  const uplink = first('uplinks: {a: {gateway: r, targets: [192.0.2.1], fail-after: 0s}}');
  assert.deepEqual(uplink.detected, { typicalMs: 500 + 2 * 60 + 20, worstMs: 1000 + 2 * 60 + 20 });
  assert.deepEqual(uplink.switched, uplink.detected);
  assert.deepEqual(uplink.targets[0]?.noticed, { typicalMs: 560, worstMs: 1060 });
});

test('fail-after counts from the first unanswered probe', () => {
  const uplink = first('uplinks: {a: {gateway: r, targets: [192.0.2.1], fail-after: 3s}}');
  assert.deepEqual(uplink.switched, { typicalMs: 3500, worstMs: 4000 });
  assert.deepEqual(uplink.detected, { typicalMs: 640, worstMs: 1140 });
});

test('several targets take turns; the slowest kind sets the deadline', () => {
  const uplink = first(
    'uplinks: {a: {gateway: r, targets: [192.0.2.1, {http: "https://192.0.2.2/"}], fail-after: 0s, probe: {interval: 100ms}}}',
  );
  assert.deepEqual(uplink.detected, { typicalMs: 25 + 2 * 100 + 20, worstMs: 50 + 2 * 100 + 20 });
});

test('the deadline never exceeds the timeout', () => {
  const uplink = first('uplinks: {a: {gateway: r, targets: [192.0.2.1], fail-after: 0s, probe: {timeout: 50ms}}}');
  assert.equal(uplink.detected.worstMs, 1000 + 2 * 50 + 20);
});

test('packets and bytes of both directions', () => {
  const probes = 30 * 86_400;
  const plain = first('uplinks: {a: {gateway: r, targets: [192.0.2.1]}}');
  assert.equal(plain.targets[0]?.probesPerMinute, 60);
  assert.equal(plain.targets[0]?.bytesPerMonth, probes * 88);
  // The gateway is asked every ten seconds beside them.
  assert.equal(plain.probesPerMinute, 66);
  assert.equal(plain.bytesPerMonth, (probes * 88 * 11) / 10);
  const bare = first('uplinks: {a: {gateway: r}}');
  assert.equal(bare.probesPerMinute, 60);
  assert.equal(bare.bytesPerMonth, probes * 88);
  // A name is asked in both families.
  const both = first('uplinks: {a: {gateway: r, gateway6: r, targets: [name]}}');
  assert.equal(both.targets[0]?.probesPerMinute, 120);
  assert.equal(both.targets[0]?.bytesPerMonth, probes * (88 + 128));
});

test('advice per uplink', () => {
  const { uplinks } = advise(`uplinks:
  bare: {gateway: 192.0.2.1}
  single: {gateway: 192.0.2.2, targets: [203.0.113.1], probe: {interval: 11s}}
  itself: {gateway: 192.0.2.3, targets: [192.0.2.3, 203.0.113.2]}
  good: {gateway: 192.0.2.4, targets: [203.0.113.1, 203.0.113.9]}
  dual: {gateway: 192.0.2.5, gateway6: "2001:db8::5", targets: [203.0.113.1, 203.0.113.2]}
`);
  assert.deepEqual(uplinks.map(codes), [
    ['no-targets'],
    ['single-target', 'long-interval'],
    ['target-is-gateway'],
    [],
    ['family-unwatched'],
  ]);
});

test('a target that no other uplink asks', () => {
  const { uplinks } = advise('uplinks:\n  a: {gateway: r1, targets: [x, y]}\n  b: {gateway: r2, targets: [z, v]}\n');
  assert.deepEqual(uplinks.map(codes), [['target-unshared'], ['target-unshared']]);
  assert.match(uplinks[0]?.recommendations[0]?.text ?? '', /No other uplink asks x, y/);
  // With one uplink there is nobody to share with.
  assert.deepEqual(codes(first('uplinks: {a: {gateway: r1, targets: [x, y]}}')), []);
});

test('one resolver for all', () => {
  const all = (second: string): string =>
    `uplinks:\n  a: {gateway: r1, targets: [{dns: x.org, server: 192.0.2.53}]}\n  b: {gateway: r2, targets: [${second}]}\n`;
  assert.deepEqual(
    advise(all('{dns: y.org, server: "192.0.2.53:5353"}')).recommendations.map(({ code }) => code),
    ['one-resolver'],
  );
  assert.deepEqual(advise(all('{dns: y.org, server: 192.0.2.54}')).recommendations, []);
  assert.deepEqual(advise(all('192.0.2.53')).recommendations, []);
});

test('what the probes of a metered uplink cost, and what their budget allows', () => {
  const month = 30 * 86_400;
  const metered = (more: string): UplinkAdvice => first(`uplinks: {a: {gateway: r, targets: [192.0.2.1, 192.0.2.2], ${more}}}`);
  const over = metered('metered: {probe-budget: 5MB, cap: 20GB}');
  assert.deepEqual(codes(over), ['over-budget']);
  // Two targets each second, and the gateway every ten.
  assert.equal(over.bytesPerMonth, month * 88 * 2.1);
  assert.match(
    over.recommendations[0]?.text ?? '',
    /would take 479 MB a month, and 5 MB is their budget.*one every 136\.9 s to each target/,
  );
  assert.deepEqual(over.metered, { probeBudgetBytes: 5e6, capBytes: 20e9, intervalMs: 136_900 });
  // Two targets take turns.
  assert.equal(over.detected.worstMs, 136_900 / 2 + 2 * 60 + 20);
  assert.equal(over.targets[0]?.noticed.worstMs, 136_900 + 60);
  // Beyond ten seconds the gateway is asked as seldom as the targets: three echoes each time.
  const bytes = (ms: number): number => (month * 1000 * 3 * 88) / ms;
  assert.ok(bytes(136_900) <= 5e6 && bytes(136_700) > 5e6);
  const kept = metered('probe: {interval: 140s}, metered: {probe-budget: 5MB}');
  // That it is asked seldom is what was wanted.
  assert.deepEqual(codes(kept), []);
  assert.deepEqual(kept.metered, { probeBudgetBytes: 5e6, capBytes: null, intervalMs: 140_000 });
  assert.equal(metered('quorum: 1').metered, null);
});

test('what each of a tier carries', () => {
  const { uplinks } = advise(
    'uplinks:\n  a: {gateway: r1, tier: 1, weight: 3}\n  b: {gateway: r2, tier: 1}\n  c: {gateway: r3, tier: 2}\n  d: {gateway: r4}\n',
  );
  assert.deepEqual(
    uplinks.map(({ share }) => share),
    [0.75, 0.25, null, null],
  );
});

test('a drill of all traffic over what costs money', () => {
  const file = (drill: string): string[] =>
    advise(`uplinks:\n  a: {gateway: r1}\n  b: {gateway: r2, metered: true}\n  c: {gateway: r3}\n${drill}\n`).recommendations.map(
      ({ code }) => code,
    );
  assert.deepEqual(file('drill: {traffic: all}'), ['drill-costs']);
  assert.deepEqual(file('drill: {traffic: all, uplinks: [c]}'), []);
  assert.deepEqual(file('drill: {}'), []);
  assert.deepEqual(file(''), []);
});

test('sharing and money in the text', () => {
  const text = formatAdvice(
    advise(`uplinks:
  a: {gateway: auto, gateway6: auto, interface: w1, tier: 1, weight: 2}
  b: {gateway: r2, tier: 1}
  c: {gateway: r3, metered: {cap: 20GB, probe-budget: 500MB}}
`),
  );
  assert.match(text, /^a \(gateway auto\)\n/);
  assert.match(text, /carries {20}66\.7% of the new connections of its tier\n/);
  assert.match(
    text,
    /costs money {16}at most 20\.0 GB a month; its probes 500 MB a month, enough for one every 1s to each target\n/,
  );
});

test('the text says it all, without colours', () => {
  const text = formatAdvice(
    advise(
      'uplinks:\n  fast: {gateway: 192.168.1.253, targets: [212.254.0.1]}\n  backup: {gateway: 192.168.1.1, probe: {interval: 30m}}\n',
    ),
  );
  assert.match(text, /^fast \(gateway 192\.168\.1\.253\)\n {2}silence is certain after {3}640 ms typically, 1\.14 s at worst\n/);
  assert.match(
    text,
    /leaves it after {4}5\.50 s typically, 6\.00 s at worst \(fail-after learned, 5s at most\); carrier loss at once/,
  );
  assert.match(text, /comes back after {3}as much unbroken health as its recoveries teach/);
  assert.match(text, /66 a minute, 251 MB a month/);
  assert.match(text, /2 an hour, 127 kB a month/);
  assert.match(text, /Advice: Only its gateway is watched/);
  assert.match(text, /Assumed: answers take 20ms/);
  assert.ok(!text.includes('\u001b'));
});
