import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { HistoryEntry } from '../../../src/core/entry.js';
import type { HistoryRecord } from '../../../src/core/messages.js';
import { localTime } from '../../../src/daemon/local-time.js';
import type { Log } from '../../../src/daemon/log.js';
import { Recorder } from '../../../src/daemon/recorder.js';

const down: HistoryRecord = {
  kind: 'health',
  severity: 'warning',
  uplink: 'fast',
  family: 4,
  from: 'up',
  to: 'down',
  reason: 'gateway-silent',
  durationMs: 7_380_000.4,
  text: 'fast is down: the gateway itself does not answer',
  data: { silentMs: 1_200 },
};

function noting(): { log: Log; lines: unknown[][] } {
  const lines: unknown[][] = [];
  const log: Log = { write: (...line) => void lines.push(line), open: () => Promise.resolve(), close: () => Promise.resolve() };
  return { log, lines };
}

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'backroute-recorder-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test('a record goes to the log, the text file, the journal and who follows', async (t) => {
  const path = join(folder(t), 'text.log');
  const { log, lines } = noting();
  const journal: HistoryEntry[] = [];
  const recorder = new Recorder({
    log,
    journal: { append: (entry) => void journal.push(entry) },
    wallMs: () => 1_772_000_000_123,
  });
  recorder.writeTextTo(path);
  const followed: HistoryEntry[] = [];
  const stop = recorder.follow((entry) => void followed.push(entry));
  recorder.record(down);
  stop();
  recorder.record({ ...down, kind: 'config', text: 'not followed' });
  await recorder.close();

  const [severity, message, fields] = lines[0] ?? [];
  assert.equal(severity, 'warning');
  assert.equal(message, 'fast: up -> down, the gateway itself does not answer (after 2 h 3 min)');
  assert.deepEqual(fields, {
    kind: 'health',
    uplink: 'fast',
    family: 4,
    from: 'up',
    to: 'down',
    reason: 'gateway-silent',
    durationMs: 7_380_000,
    data: { silentMs: 1_200 },
  });
  assert.equal(
    readFileSync(path, 'utf8').split('\n')[0],
    `${localTime(1_772_000_000_123)} fast IPv4 up -> down gateway-silent: the gateway itself does not answer (after 2 h 3 min)`,
  );
  assert.deepEqual(journal[0], { ...down, wallMs: 1_772_000_000_123, durationMs: 7_380_000 });
  assert.deepEqual(followed, [journal[0]]);
});

test('a follower that throws keeps the record from nobody', () => {
  const { log, lines } = noting();
  const journal: HistoryEntry[] = [];
  const recorder = new Recorder({ log, journal: { append: (entry) => void journal.push(entry) }, wallMs: () => 0 });
  const reached: HistoryEntry[] = [];
  recorder.follow(() => {
    throw new Error('bug');
  });
  recorder.follow((entry) => void reached.push(entry));
  recorder.record(down);
  assert.equal(journal.length, 1);
  assert.equal(reached.length, 1);
  assert.equal(lines.length, 2, 'the record and the complaint');
});

test('a text file that cannot be written is told once, by name', async (t) => {
  const { log, lines } = noting();
  const recorder = new Recorder({ log, journal: { append: () => undefined }, wallMs: () => 0 });
  recorder.writeTextTo(folder(t));
  recorder.record(down);
  await recorder.close();
  const complaints = lines.filter(([severity]) => severity === 'error');
  assert.equal(complaints.length, 1);
  assert.match(String(complaints[0]?.[1]), /the log file cannot be written: .*EISDIR/);
});

test('local time carries its offset and names the same instant', () => {
  for (const wallMs of [0, 1_772_000_000_123, Date.UTC(2026, 6, 1)]) assert.equal(Date.parse(localTime(wallMs)), wallMs);
});
