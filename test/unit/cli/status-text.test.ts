import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { clockTime, formatRtt, formatShare } from '../../../src/cli/figures.js';
import { coloured, paintFor, plain, table } from '../../../src/cli/paint.js';
import { statusText } from '../../../src/cli/status-text.js';
import type { DrillView, PathView, StatusView, UsageView } from '../../../src/core/messages.js';
import { assertGolden } from '../../support/golden.js';
import { busyView, calmView, NOON_MS, pathView, uplinkView } from '../../support/status-views.js';

const targetView = {
  kind: 'icmp',
  address: '198.51.100.10',
  alive: true,
  loss: 0,
  rttMs: 20,
  jitterMs: 1,
  deadlineMs: 60,
  lastFailure: null,
  note: null,
} as const;

test('all is well: one sentence and a quiet table', () => {
  assertGolden('cli/status-calm.txt', statusText(calmView(), plain));
});

test('on the backup: why, since when, and when it goes back', () => {
  const view: StatusView = {
    ...calmView(),
    families: [
      {
        family: 4,
        active: 'backup',
        sharing: [],
        reason: 'upstream-silent',
        sinceWallMs: NOON_MS - 125_000,
        next: { uplink: 'fast', inMs: 12_000 },
      },
      { family: 6, active: 'fast', sharing: [], reason: 'answers', sinceWallMs: NOON_MS - 90_000_000, next: null },
    ],
    uplinks: [
      uplinkView('fast', [
        pathView({ sinceWallMs: NOON_MS - 18_000, holdDownLeftMs: 12_000, loss: 0.123 }),
        pathView({ family: 6, active: true, gateway: 'fe80::1' }),
      ]),
      uplinkView('backup', [pathView({ active: true, gateway: '192.168.1.1', rttMs: 141.7, loss: 0.004 })], { admin: 'forced' }),
    ],
  };
  assertGolden('cli/status-failback.txt', statusText(view, plain));
});

test('everything down, in a dry run, with problems and a dead target', () => {
  const view: StatusView = {
    ...calmView(),
    dryRun: true,
    families: [{ family: 4, active: 'fast', sharing: [], reason: 'no-choice', sinceWallMs: NOON_MS - 500, next: null }],
    uplinks: [
      uplinkView('fast', [
        pathView({
          active: true,
          health: 'down',
          reason: 'gateway-silent',
          loss: 1,
          rttMs: null,
          sinceWallMs: NOON_MS - 500,
          suspicion: 'silent',
        }),
      ]),
      uplinkView('backup', [
        pathView({
          health: 'degraded',
          reason: 'loss-high',
          interface: null,
          gateway: null,
          loss: null,
          targets: [
            { ...targetView, label: '198.51.100.10', alive: false, lastFailure: 'timeout' },
            { ...targetView, label: 'https://example.net/', note: 'certificate expired 2026-01-01' },
            { ...targetView, label: '192.0.2.7' },
          ],
        }),
      ]),
    ],
    problems: ['every uplink fell silent at the same time: look at this machine first'],
  };
  assertGolden('cli/status-down.txt', statusText(view, plain));
});

test('both families alike are one sentence; a past failure is told in the past tense', () => {
  const family = { active: 'backup', sharing: [], reason: 'carrier-lost', sinceWallMs: NOON_MS - 60_000, next: null } as const;
  const both = [pathView(), pathView({ family: 6 })];
  const view: StatusView = {
    ...calmView(),
    families: [
      { family: 4, ...family },
      { family: 6, ...family },
    ],
    uplinks: [uplinkView('fast', both), uplinkView('backup', both)],
  };
  assert.equal(
    statusText(view, plain).split('\n')[0],
    'IPv4 and IPv6 leave by backup since 11:59:00 (1 min): fast had failed (carrier-lost).',
  );
});

test('nothing chosen yet', () => {
  const view: StatusView = {
    ...calmView(),
    families: [{ family: 4, active: null, sharing: [], reason: 'starting', sinceWallMs: NOON_MS, next: null }],
    uplinks: [],
  };
  assert.equal(statusText(view, plain), 'IPv4 leaves as the kernel had it: no verdict yet.\n');
});

test('sharing, tiers, gateways by themselves, drained, metered, via, drill, strangers', () => {
  assertGolden('cli/status-busy.txt', statusText(busyView(), plain));
});

test('what is drained: one or many, of one family or both, with and without an end', () => {
  const drained = (...paths: PathView[]): string[] =>
    statusText({ ...calmView(), uplinks: [uplinkView('lte', paths)] }, plain)
      .split('\n')
      .filter((line) => line.includes('finish'));
  const untilWallMs = NOON_MS + 152_000;
  assert.deepEqual(drained(pathView({ draining: { open: 1, untilWallMs } })), ['1 connection finishes on lte, until 12:02:32.']);
  assert.deepEqual(drained(pathView({ draining: { open: null, untilWallMs: null } })), [
    'Connections finish on lte, however long they take.',
  ]);
  assert.deepEqual(drained(pathView(), pathView({ family: 6, draining: { open: 0, untilWallMs } })), [
    '0 connections finish on lte (IPv6), until 12:02:32.',
  ]);
});

test('metered: used up, unknown, without a cap', () => {
  const usage = busyView().uplinks.find(({ name }) => name === 'lte')?.usage;
  assert.ok(usage);
  const line = (change: Partial<UsageView>): string | undefined =>
    statusText({ ...calmView(), uplinks: [uplinkView('lte', [], { usage: { ...usage, ...change } })] }, plain)
      .split('\n')
      .find((text) => text.startsWith('lte'));
  assert.match(line({ bytes: 20.4e9, closed: true }) ?? '', /20\.4 GB of 20 GB \(102 %\).*closed until 2026-04-01$/);
  assert.match(line({ bytes: null }) ?? '', /^lte +not known \(cap 20 GB\) /);
  assert.match(line({ capBytes: null, forecastBytes: null }) ?? '', /^lte +12\.3 GB +- +31 MB of 50 MB +30 s$/);
});

test('a drill: planned, running, never yet, and not worth a line', () => {
  const nothing = { nextWallMs: null, lastWallMs: null, uplink: null, untilWallMs: null };
  const line = (change: Partial<DrillView>): string | undefined =>
    statusText({ ...calmView(), drill: { ...nothing, ...change } }, plain)
      .split('\n')
      .find((text) => text.includes('drill'));
  assert.equal(line({}), undefined);
  assert.equal(line({ nextWallMs: NOON_MS + 86_400_000 }), 'The next drill is due 2026-03-02 12:00:00; there was none yet.');
  assert.equal(line({ lastWallMs: NOON_MS - 1_000 }), 'No drill is planned; the last was 11:59:59.');
  assert.equal(line({ uplink: 'lte', untilWallMs: NOON_MS + 30_000 }), 'A drill runs: lte is being tried, until 12:00:30.');
});

test('who shares carries traffic, and the reason speaks of all of them', () => {
  const text = statusText(busyView(), plain);
  assert.match(text, /^IPv4 and IPv6 leave by fibre \(3 of 4\) and cable \(1 of 4\) since .*: their targets answer\.\n/);
  assert.match(text, /^→ {2}cable /m);
  assert.match(text, /^ {3}lte /m);
});

test('colours change no column', () => {
  for (const view of [calmView(), busyView()]) {
    assert.equal(stripVTControlCharacters(statusText(view, coloured)), statusText(view, plain));
  }
});

test('colours are for terminals that want them', () => {
  assert.equal(paintFor({ isTTY: true }, {}), coloured);
  assert.equal(paintFor({ isTTY: true }, { NO_COLOR: '' }), coloured, 'empty means not set');
  assert.equal(paintFor({ isTTY: true }, { NO_COLOR: '1' }), plain);
  assert.equal(paintFor({ isTTY: true }, { TERM: 'dumb' }), plain);
  assert.equal(paintFor({}, {}), plain);
});

test('tables line up and leave nothing at the end of a line', () => {
  const rows = [
    ['a', '1', ''],
    ['äöü', '100', 'x'],
  ];
  assert.deepEqual(table(rows, ['left', 'right']), ['a      1', 'äöü  100  x']);
});

test('figures for people', () => {
  assert.deepEqual([0, 0.004, 0.123, 1].map(formatShare), ['0 %', '0.4 %', '12 %', '100 %']);
  assert.deepEqual([0.04, 20.13, 141.7].map(formatRtt), ['0.0 ms', '20.1 ms', '142 ms']);
  assert.equal(clockTime(NOON_MS - 1_000, NOON_MS), '11:59:59');
  assert.equal(clockTime(NOON_MS - 86_400_000, NOON_MS), '2026-02-28 12:00:00');
});

test('services: one line each, what it follows and how far it is; and messages that wait', () => {
  const service = {
    name: 'mail-relay',
    kind: 'mail-relay',
    desired: 'backup',
    actual: 'backup',
    verified: true,
    running: false,
    failures: 0,
    retryInMs: null,
    text: 'relayhost is [smtp.backup.example]:587',
  } as const;
  const unknown = { actual: null, verified: false } as const;
  const failed = {
    ...service,
    ...unknown,
    name: 'exim',
    kind: 'files',
    failures: 3,
    retryInMs: 42_000,
    text: 'exim -bV failed',
  } as const;
  const view: StatusView = {
    ...calmView(),
    services: [
      service,
      { ...service, ...unknown, name: 'msmtp', kind: 'files', running: true, text: null },
      failed,
      { ...service, ...unknown, name: 'resolver', kind: 'resolver', desired: null, text: null },
      { ...service, ...unknown, name: 'other', kind: 'files', text: null },
    ],
    outbox: { waiting: 3, refused: 0 },
    problems: ['exim does not follow backup: exim -bV failed', '3 messages wait for admin: connection refused'],
  };
  assertGolden('cli/status-services.txt', statusText(view, plain));
  assert.match(statusText({ ...view, outbox: { waiting: 1, refused: 0 } }, plain), /^1 message waits in the outbox\.$/m);
  assert.doesNotMatch(statusText({ ...view, outbox: { waiting: 0, refused: 2 } }, plain), /outbox/);
});

test('what was learned: the patience with the uplink in use, and the way back to the other', () => {
  const ground = 'median silence of this uplink 0.9 s, 9 of 10 end within 6 s: waiting 1.9 s';
  const view: StatusView = {
    ...calmView(),
    uplinks: [
      uplinkView('fast', [
        pathView({ holdDownLeftMs: 40_000, holdDownMs: 79_000, holdDownGround: 'it failed again: staying away for 79 s' }),
      ]),
      uplinkView('backup', [
        pathView({ active: true, patience: { learned: true, ms: 1_900, ground, leftMs: 1_200 } }),
        pathView({ family: 6, patience: { learned: true, ms: 1_900, ground, leftMs: null } }),
      ]),
    ],
  };
  const lines = statusText(view, plain).split('\n');
  assert.ok(lines.includes(`Patience with backup (IPv4): ${ground}, 1.2 s left.`));
  assert.ok(lines.includes('The way back to fast: it failed again: staying away for 79 s.'));
  assert.equal(lines.filter((line) => line.startsWith('Patience')).length, 1, 'only of what is in use');
});
