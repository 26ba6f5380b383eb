/** Recordings: reading them, and what they say of a moment. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { mergeOutages, parseRecording, startReplay } from '../../../src/lab/replay.js';

test('a list of outages is sorted, merged and cut at its beginning', () => {
  const recording = parseRecording(
    [
      'start_ms,duration_ms,cause,did_switch',
      '-500,600,BOOTING,0',
      '-900,100,X,0',
      '5000,1000,Y,0',
      '3000,500,Z,1',
      '3400,200,Z,0',
      '7000,0,N,0',
      '',
    ].join('\n'),
  );
  assert.deepEqual(recording, {
    kind: 'outages',
    outages: [
      { startMs: 0, endMs: 100 },
      { startMs: 3000, endMs: 3600 },
      { startMs: 5000, endMs: 6000 },
    ],
  });
});

test('a trace keeps lost probes as null and other columns out', () => {
  const recording = parseRecording('t_ms,rtt_ms,note\r\n0,20,a\r\n1000,,b\r\n2000,21.5,c\r\n');
  assert.deepEqual(recording, {
    kind: 'trace',
    points: [
      { atMs: 0, rttMs: 20 },
      { atMs: 1000, rttMs: null },
      { atMs: 2000, rttMs: 21.5 },
    ],
  });
});

test('bad files are told by line', () => {
  assert.throws(() => parseRecording('a,b\n1,2\n'), /^Error: line 1: the columns/);
  assert.throws(() => parseRecording(''), /line 1/);
  assert.throws(() => parseRecording('t_ms,rtt_ms\n0,1\n10,fast\n'), /line 3: rtt_ms is not a number: "fast"/);
  assert.throws(() => parseRecording('start_ms,duration_ms\n,5\n'), /line 2: start_ms/);
});

test('time scale, starting point and repetition', () => {
  const recording = { kind: 'outages', outages: mergeOutages([{ startMs: 1000, endMs: 2000 }]) } as const;
  const kindsAt = (times: number[], ...how: [Parameters<typeof startReplay>[1]]) => {
    const replay = startReplay(recording, how[0], 50);
    return times.map((atMs) => replay.at(50 + atMs)?.kind ?? 'none');
  };
  assert.deepEqual(kindsAt([999, 1000, 1999, 2000, 3500], {}), ['none', 'outage', 'outage', 'none', 'none']);
  assert.deepEqual(kindsAt([99, 100, 199, 200], { timeScale: 10 }), ['none', 'outage', 'outage', 'none']);
  assert.deepEqual(kindsAt([0, 999, 1000], { fromMs: 1000 }), ['outage', 'outage', 'none']);
  assert.deepEqual(kindsAt([1500, 2500, 3000, 4000], { loop: true }), ['outage', 'none', 'outage', 'none']);
});

test('an empty recording says nothing, looped or not', () => {
  assert.equal(startReplay({ kind: 'outages', outages: [] }, { loop: true }, 0).at(5), null);
  assert.equal(startReplay({ kind: 'trace', points: [] }, {}, 0).at(5), null);
});

// Recordings of real links are not part of the project; where BACKROUTE_TRACES names a folder of them they must be readable.
const traces = process.env.BACKROUTE_TRACES ?? '';
test('real recordings are readable', { skip: existsSync(traces) ? false : 'BACKROUTE_TRACES names no folder' }, () => {
  const outages = parseRecording(readFileSync(join(traces, 'starlink_drive_outages.csv'), 'utf8'));
  assert.ok(outages.kind === 'outages' && outages.outages.length > 10);
  const trace = parseRecording(readFileSync(join(traces, 'train_o2_3tgt.csv'), 'utf8'));
  assert.ok(trace.kind === 'trace' && trace.points.some((point) => point.rttMs === null));
});
