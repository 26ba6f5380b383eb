import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../../src/config/parse.js';
import type { Config } from '../../../src/core/config.js';
import type { StatusView } from '../../../src/core/messages.js';
import type { Health } from '../../../src/core/model.js';
import { type OnceMemory, patientAcrossRuns, remember } from '../../../src/daemon/once.js';
import { calmView, pathView, uplinkView } from '../../support/status-views.js';

function config(): Config {
  const parsed = parseConfig('uplinks:\n  fast:\n    gateway: 192.168.1.253\n  backup:\n    gateway: 192.168.1.1\n', 'test');
  assert.ok(parsed.ok);
  return parsed.config;
}

const NOW = 1_800_000_000_000;
const recoverAfter = (memory: OnceMemory): number[] =>
  patientAcrossRuns(config(), memory, NOW).uplinks.map((uplink) => uplink.recoverAfterMs ?? -1);

test('a confirmed silence acts at once, whatever fail-after says', () => {
  assert.deepEqual(
    patientAcrossRuns(config(), {}, NOW).uplinks.map((uplink) => uplink.failAfterMs),
    [0, 0],
  );
});

test('an uplink that never failed is free to be chosen', () => {
  assert.deepEqual(recoverAfter({}), [0, 0]);
});

test('the way back is free once two runs, recover-after apart, found it good', () => {
  assert.deepEqual(recoverAfter({ 'fast/4': { goodSinceWallMs: null } }), [30_000, 0], 'the last run found it down');
  assert.deepEqual(recoverAfter({ 'fast/4': { goodSinceWallMs: NOW - 10_000 } }), [30_000, 0]);
  assert.deepEqual(recoverAfter({ 'fast/4': { goodSinceWallMs: NOW - 30_000 } }), [0, 0]);
});

test('a time in the future (the clock was set back) blocks nothing for ever', () => {
  assert.deepEqual(recoverAfter({ 'fast/4': { goodSinceWallMs: NOW + 86_400_000 } }), [0, 0]);
});

test('runs remember failures, and since when they see the uplink good again', () => {
  const view = (health: Health, wallMs: number): StatusView => ({
    ...calmView(),
    wallMs,
    uplinks: [uplinkView('fast', [pathView({ health })])],
  });
  assert.deepEqual(remember({}, view('up', 1)), {});
  const down = remember({}, view('down', 2));
  assert.deepEqual(down, { 'fast/4': { goodSinceWallMs: null } });
  const good = remember(down, view('degraded', 3));
  assert.deepEqual(good, { 'fast/4': { goodSinceWallMs: 3 } });
  assert.deepEqual(remember(good, view('up', 4)), good, 'unbroken: the first sight counts');
  assert.deepEqual(remember(good, view('down', 5)), down);
});
