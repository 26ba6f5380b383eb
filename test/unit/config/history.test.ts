import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../../src/config/parse.js';
import { formatProblem } from '../../../src/config/problem.js';
import type { HistoryConfig } from '../../../src/core/config.js';

const DAY_MS = 86_400_000;

function parsed(history: string): HistoryConfig | null {
  const result = parseConfig(`uplinks:\n  a: {gateway: 192.0.2.1}\nhistory: ${history}\n`, 'f');
  assert.ok(result.ok, result.ok ? '' : result.problems.map(formatProblem).join('\n'));
  return result.config.history;
}

test('given in part, or off', () => {
  assert.deepEqual(parsed('{raw: 7d}'), { keepMs: 400 * DAY_MS, rawMs: 7 * DAY_MS, maxBytes: 100_000_000 });
  assert.deepEqual(parsed('{keep: 30d, max-size: 1GB}'), { keepMs: 30 * DAY_MS, rawMs: 2 * DAY_MS, maxBytes: 1_000_000_000 });
  assert.equal(parsed('off'), null);
});

for (const [history, path, says] of [
  ['{max-size: 1MB}', 'history.max-size', /too small.*from 5MB to 1TB.*Two uplinks fill about 1\.9 MB a day/],
  ['{max-size: 100}', 'history.max-size', /Did you mean 100MB\?/],
  ['{keep: 1h}', 'history.keep', /too small.*from 1d to 3650d/],
  ['{raw: 90d, keep: 30d}', 'history.raw', /single samples are kept for longer than the figures of their minutes.*keep is 30d/],
  ['{keep: 1d}', 'history.keep', /longer than the figures/],
  ['{raw: 0s}', 'history.raw', /too small.*from 1h/],
  ['{size: 5MB}', 'history.size', /keep, raw, max-size/],
  ['on', 'history', /a mapping is wanted, with the keys keep, raw, max-size/],
] as const) {
  test(`history: ${history} is refused`, () => {
    const result = parseConfig(`uplinks:\n  a: {gateway: 192.0.2.1}\nhistory: ${history}\n`, 'f');
    assert.ok(!result.ok);
    const [problem] = result.problems;
    assert.equal(problem?.path, path);
    assert.match(problem === undefined ? '' : formatProblem(problem), says);
  });
}
