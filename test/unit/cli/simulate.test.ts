/** `backroute simulate` as a user starts it: what goes where, exit codes, nothing half-written. */
import assert from 'node:assert/strict';
import { type ChildProcessByStdio, execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { exitCodeOf, remedyOf } from '../../../src/cli/exit-error.js';
import type { Io } from '../../../src/cli/io.js';
import { plain } from '../../../src/cli/paint.js';
import { createProgram } from '../../../src/cli/program.js';
import { simulate } from '../../../src/cli/verbs/simulate.js';
import type { SimulateOptions } from '../../../src/cli/verbs/simulate-order.js';
import { Progress } from '../../../src/cli/verbs/simulate-progress.js';
import type { HistoryEntry } from '../../../src/core/entry.js';
import { batch, HistoryBench, minuteOf, silence, standing, switched, T0 } from '../history/history-bench.js';

const MAIN = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));
const LIST = `start_ms,duration_ms,cause\n${[...Array(40).keys()].map((i) => `${(i + 1) * 300_000},${i % 4 === 0 ? 45_000 : 800},X`).join('\n')}\n`;
const CONFIG = (more: string): string =>
  `${more}\nuplinks:\n  fast: {gateway: 192.0.2.1, targets: [198.51.100.1]}\n  slow: {gateway: 192.0.2.2, targets: [198.51.100.2]}\n`;

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'backroute-simulate-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  writeFileSync(join(path, 'list.csv'), LIST);
  return path;
}

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** As bin/backroute does it, without a process of its own. */
async function run(dir: string, args: readonly string[]): Promise<Ended> {
  const { io, out } = recordingIo();
  let code = 0;
  let err = '';
  const environment = { BACKROUTE_CONFIG: join(dir, 'none.yaml'), BACKROUTE_STATE_DIR: join(dir, 'state') };
  const before = process.cwd();
  process.chdir(dir);
  try {
    const program = createProgram(io, environment, (ended) => {
      code = ended;
    });
    await program.parseAsync(['node', 'backroute', 'simulate', ...args]);
  } catch (error) {
    code = exitCodeOf(error);
    err = `${error instanceof Error ? error.message : error}\n  -> ${remedyOf(error)}\n`;
  } finally {
    process.chdir(before);
  }
  return { code, out: out(), err };
}

function start(
  dir: string,
  args: readonly string[],
): { child: ChildProcessByStdio<Writable, Readable, Readable>; ended: Promise<Ended> } {
  const child = spawn(process.execPath, [MAIN, 'simulate', ...args], { cwd: dir, stdio: ['pipe', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.on('data', (data) => {
    out += String(data);
  });
  child.stderr.on('data', (data) => {
    err += String(data);
  });
  child.stdin.on('error', () => undefined);
  return { child, ended: new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err }))) };
}

test('a list of outages with nothing set: sentences, a table, and what was assumed', async (t) => {
  const { code, out, err } = await run(folder(t), ['--outages', 'list.csv']);
  assert.equal(code, 0, err);
  assert.match(out, /^ {2}primary \(list\.csv\): 40 outages, 7\.9 min in all$/m);
  assert.match(out, /^ {2}backup: taken as never failing$/m);
  assert.match(out, /^You would have switched \d+ times and felt \d+(\.\d)? s of outage instead of 474 s without a switch\.$/m);
  assert.match(out, /^Backroute, nothing set +\d+ /m);
  assert.match(out, /^ {2}as mwan3 shipped /m);
  assert.match(out, /^note: list\.csv: a list of outages: what lies between them/m);
  assert.equal(err, '');
});

test('JSON on standard output and nothing else; the same seed gives the same; switch-cost and backup-cost count', async (t) => {
  const dir = folder(t);
  const json = async (...args: string[]): Promise<Record<string, never>> => {
    const { code, out, err } = await run(dir, ['--json', ...args]);
    assert.deepEqual([code, err], [0, '']);
    return JSON.parse(out);
  };
  const one = await json('--outages', 'list.csv', '--seed', '3');
  for (const key of ['cost', 'clairvoyant', 'ratio', 'felt', 'switches', 'onBackup'] as const)
    assert.equal(typeof one[key], 'number', key);
  assert.equal(one.complete, true);
  assert.ok((one.ratio ?? 0) >= 1);
  assert.deepEqual(await json('--outages', 'list.csv', '--seed', '3'), one);
  const dear = await json('--outages', 'list.csv', '--switch-cost', '1m', '--backup-cost', '0.5');
  assert.deepEqual(dear.prices, { switch: 60, perSecond: [0, 0.5] });
  assert.equal(dear.switches, 0);
  // The way back counts: ten outages of 45 s, each of at least 2 x 2.5 s, or it was felt.
  assert.ok(Math.abs((one.clairvoyant ?? 0) - (10 * (5 + 45 * 0.02) + 30 * 0.8)) < 1e-3);
});

test('several configurations side by side, several uplinks, standard input', async (t) => {
  const dir = folder(t);
  writeFileSync(join(dir, 'quick.yaml'), CONFIG('defaults: {fail-after: 0s, recover-after: 5s}'));
  writeFileSync(join(dir, 'slow.yaml'), CONFIG('defaults: {fail-after: 10m, recover-after: 5s}'));
  writeFileSync(join(dir, 'other.csv'), 't_ms,rtt_ms\n0,20\n20000,20\n40000,\n50000,\n60000,20\n100000,20\n');
  const { child, ended } = start(dir, [
    '--outages',
    'slow=other.csv',
    '--trace',
    '-',
    '--config',
    'quick.yaml',
    '--config',
    'slow.yaml',
    '--json',
  ]);
  child.stdin.end(LIST);
  const two = await ended;
  assert.equal(two.code, 0, two.err);
  const { plays, name, links } = JSON.parse(two.out);
  assert.deepEqual(
    plays.map((play: { name: string }) => play.name),
    ['quick.yaml', 'slow.yaml'],
  );
  assert.equal(name, 'quick.yaml');
  assert.equal(plays[1].switches, 0);
  assert.deepEqual(
    links.map((link: { name: string; source: string }) => [link.name, link.source]),
    [
      ['fast', 'standard input'],
      ['slow', 'other.csv'],
    ],
  );
  const text = await run(dir, ['--outages', 'list.csv', '--config', 'quick.yaml', '--config', 'slow.yaml']);
  assert.match(text.out, /^quick\.yaml +\d+ .*\nslow\.yaml +0 /m);
});

test('uplinks that share: billed by their shares, and it is said', async (t) => {
  const dir = folder(t);
  const tiers =
    'uplinks:\n  a: {gateway: 192.0.2.1, targets: [198.51.100.1], tier: 1}\n  b: {gateway: 192.0.2.2, targets: [198.51.100.2], tier: 1}\n';
  writeFileSync(join(dir, 'tier.yaml'), tiers);
  writeFileSync(join(dir, 'one.csv'), 'start_ms,duration_ms\n100000,10000\n');
  const { code, out, err } = await run(dir, ['--outages', 'one.csv', '--config', 'tier.yaml', '--json', '--plot', 'x.svg']);
  assert.equal(code, 0, err);
  const { felt, switches, onBackup, seconds, notes } = { ...JSON.parse(out), seconds: JSON.parse(out).span.seconds };
  assert.equal(switches, 1);
  assert.ok(felt > 0.5 && felt < 2, `${felt}`);
  assert.ok(onBackup > seconds / 2 && onBackup < seconds / 2 + 150, `${onBackup} of ${seconds}`);
  assert.match(notes.join('\n'), /^tier\.yaml: uplinks of one tier shared the traffic/m);
});

test('bad input: 1, a sentence with the line, nothing on standard output, no drawing begun', async (t) => {
  const dir = folder(t);
  writeFileSync(join(dir, 'back.csv'), 't_ms,rtt_ms\n5,1\n4,1\n');
  writeFileSync(join(dir, 'database'), 'SQLite format 3\0...');
  for (const [args, expected] of [
    [['--trace', 'back.csv', '--plot', 'x.svg'], /^back\.csv:3: time runs backwards/],
    [['--trace', 'database'], /^database: this is an SQLite database.*\n {2}-> .*--history/],
    [['--trace', '.'], /^\.: this is a directory/],
    [['--trace', 'list.csv', '--plot', '.'], /^--plot: \. is a directory/],
    [['--trace', 'list.csv', '--plot', 'no/x.svg'], /^--plot: no file can be made in no/],
    [[], /^nothing to play\n/],
    [['--trace', 'list.csv', '--history'], /^--history and files cannot be played together/],
    [['--trace', '-', '--outages', '-'], /^standard input can be read once/],
    [['--trace', 'list.csv', '--switch-cost', '5'], /^--switch-cost: '5'/],
    [['--trace', 'a=list.csv', '--trace', 'a=list.csv'], /^two recordings for the uplink a/],
  ] as const) {
    const { code, out, err } = await run(dir, args);
    assert.deepEqual([code, out], [1, ''], args.join(' '));
    assert.match(err, expected);
  }
  assert.deepEqual(
    readdirSync(dir).filter((name) => name.includes('svg')),
    [],
  );
});

test('a configuration that is missing or wrong: 2; without a history: 1', async (t) => {
  const dir = folder(t);
  writeFileSync(join(dir, 'bad.yaml'), 'uplinks: 5\n');
  writeFileSync(join(dir, 'good.yaml'), CONFIG(''));
  for (const [args, code, expected] of [
    [['--trace', 'list.csv', '--config', 'bad.yaml'], 2, /bad\.yaml/],
    [['--history'], 2, /none\.yaml: there is no such file/],
    [['--history', '--config', 'good.yaml'], 1, /there is no history at .*history\.db/],
    [['--outages', 'wan=list.csv', '--config', 'good.yaml'], 1, /no uplink is called wan\n {2}-> There are fast, slow/],
  ] as const) {
    const ended = await run(dir, args);
    assert.deepEqual([ended.code, ended.out], [code, ''], args.join(' '));
    assert.match(ended.err, expected);
  }
});

test("the daemon's history: instead of what really happened, since a moment", async (t) => {
  const bench = new HistoryBench();
  t.after(() => bench[Symbol.dispose]());
  const dir = folder(t);
  writeFileSync(join(dir, 'quick.yaml'), CONFIG('defaults: {fail-after: 2s, recover-after: 10s}'));
  const outage = (atMs: number): HistoryEntry[] => [
    switched(atMs + 20_000, 'fast', 'slow'),
    silence(atMs, 60_000),
    switched(atMs + 90_000, 'slow', 'fast', { reason: 'preferred' }),
  ];
  const store = bench.store();
  const hours = Array.from({ length: 6 }, (_, i) => T0 + (i + 1) * 3_600_000);
  const both = (sinceMs: number) => [
    standing({ watchedSinceMs: sinceMs }),
    standing({ uplink: 'slow', watchedSinceMs: sinceMs }),
  ];
  store.write(batch(T0, { standing: both(T0) }));
  for (const atMs of hours) store.write(batch(atMs + 120_000, { entries: outage(atMs), standing: both(T0) }));
  store.write(batch(T0 + 8 * 3_600_000, { samples: [minuteOf(T0 + 60_000, () => 20)], standing: both(T0) }));
  store.close(batch(T0 + 8 * 3_600_000, { standing: both(T0) }));
  const given = ['--history', '--state-dir', bench.directory, '--config', 'quick.yaml'];
  const text = await run(dir, given);
  assert.equal(text.code, 0, text.err);
  assert.match(
    text.out,
    /^You would have switched 12 times instead of 12, felt 1\d s of outage instead of 120 s; 360 s without a switch\.$/m,
  );
  assert.match(text.out, /^what really happened +12 +120 s /m);
  assert.match(text.out, /^Played: 8\.0 h, 2026-03-01 00:00 to 2026-03-01 08:00 UTC\. /m);
  const since = await run(dir, [...given, '--json', '--since', new Date(hours[3] ?? 0).toISOString().slice(0, 19).concat('Z')]);
  assert.equal(since.code, 0, since.err);
  const { recorded, span, switches } = JSON.parse(since.out);
  assert.deepEqual([switches, recorded.switches, recorded.felt], [6, 6, 60]);
  assert.equal(span.from, '2026-03-01T04:00:00.000Z');
  // A minute after the fourth hour it was on the backup already: that switch was before.
  const moment = new Date((hours[3] ?? 0) + 60_000).toISOString();
  const within = await run(dir, [...given, '--json', '--since', moment.slice(0, 19).concat('Z')]);
  assert.equal(within.code, 0, within.err);
  assert.equal(JSON.parse(within.out).recorded.switches, 5);
});

test('the drawing is written whole or not at all', async (t) => {
  const dir = folder(t);
  const { code } = await run(dir, ['--outages', 'list.csv', '--plot', 'x.svg', '--json']);
  assert.equal(code, 0);
  assert.match(readFileSync(join(dir, 'x.svg'), 'utf8'), /^<svg [\s\S]*<\/svg>\n$/);
  assert.deepEqual(
    readdirSync(dir).filter((name) => name.includes('svg')),
    ['x.svg'],
  );
});

test('the drawing goes where a link points, and into what is no file; neither is replaced', async (t) => {
  const dir = folder(t);
  mkdirSync(join(dir, 'there'));
  writeFileSync(join(dir, 'there', 'old.svg'), 'old');
  symlinkSync('there/old.svg', join(dir, 'x.svg'));
  symlinkSync('there/new.svg', join(dir, 'y.svg'));
  for (const [link, target] of [
    ['x.svg', 'old.svg'],
    ['y.svg', 'new.svg'],
  ] as const) {
    const { code, err } = await run(dir, ['--outages', 'list.csv', '--plot', link, '--json']);
    assert.equal(code, 0, err);
    assert.ok(lstatSync(join(dir, link)).isSymbolicLink());
    assert.match(readFileSync(join(dir, 'there', target), 'utf8'), /^<svg [\s\S]*<\/svg>\n$/);
  }
  assert.deepEqual(readdirSync(join(dir, 'there')), ['new.svg', 'old.svg']);

  execFileSync('mkfifo', [join(dir, 'pipe')]);
  // Open for both, so that neither side waits for the other.
  const pipe = openSync(join(dir, 'pipe'), constants.O_RDWR | constants.O_NONBLOCK);
  t.after(() => closeSync(pipe));
  const { code, err } = await run(dir, ['--outages', 'list.csv', '--plot', 'pipe', '--json']);
  assert.equal(code, 0, err);
  assert.ok(lstatSync(join(dir, 'pipe')).isFIFO());
  const buffer = Buffer.alloc(1 << 20);
  assert.match(buffer.toString('utf8', 0, readSync(pipe, buffer)), /^<svg [\s\S]*<\/svg>\n$/);
});

test('the drawing on standard output: in front of what is told, also where that is a file', async (t) => {
  const dir = folder(t);
  symlinkSync('/dev/stdout', join(dir, 'x.svg'));
  const { child, ended } = start(dir, ['--outages', 'list.csv', '--plot', 'x.svg', '--json']);
  child.stdin.end();
  const { code, out, err } = await ended;
  assert.equal(code, 0, err);
  const [, json] = out.split('</svg>\n');
  assert.match(out, /^<svg /);
  assert.equal(JSON.parse(json ?? '').complete, true);
  assert.ok(lstatSync(join(dir, 'x.svg')).isSymbolicLink());

  const file = openSync(join(dir, 'all'), 'w');
  const inFile = spawn(process.execPath, [MAIN, 'simulate', '--outages', 'list.csv', '--plot', '/dev/stdout', '--json'], {
    cwd: dir,
    stdio: ['ignore', file, 'inherit'],
  });
  assert.equal(await new Promise((resolve) => inFile.on('close', resolve)), 0);
  closeSync(file);
  const [drawing, told] = readFileSync(join(dir, 'all'), 'utf8').split('</svg>\n');
  assert.match(drawing ?? '', /^<svg /);
  assert.equal(JSON.parse(told ?? '').complete, true);
});

test('Ctrl-C while a pipe is waited for: it ends at once, though nobody writes and nobody closes it', async (t) => {
  const { child, ended } = start(folder(t), ['--trace', '-']);
  t.after(() => child.kill('SIGKILL'));
  // More than a pipe holds: once it is gone, it has been read, and the next read waits.
  const rows = [...Array(200_000).keys()].map((i) => `${i * 1000},20`).join('\n');
  await new Promise((resolve) => child.stdin.write(`t_ms,rtt_ms\n${rows}`, resolve));
  // Until the thread has nothing left to do but wait.
  const untilMs = performance.now() + 20_000;
  for (let idle = 0, last = -1; idle < 3; ) {
    assert.ok(performance.now() < untilMs, 'it never rests');
    const spent = cpuTicks(child.pid ?? 0);
    idle = spent === last ? idle + 1 : 0;
    last = spent;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  child.kill('SIGINT');
  assert.deepEqual(await ended, { code: 130, out: '', err: 'interrupted before anything was played\n' });
});

/** proc(5): utime and stime */
function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

test('Ctrl-C while a pipe is read: 130, nothing was played', async (t) => {
  const { child, ended } = start(folder(t), ['--trace', '-']);
  t.after(() => child.kill('SIGKILL'));
  // More than any pipe holds: when it is gone, it is being read.
  const rows = [...Array(200_000).keys()].map((i) => `${i * 1000},20`).join('\n');
  await new Promise((resolve) => child.stdin.write(`t_ms,rtt_ms\n${rows}\n`, resolve));
  child.kill('SIGINT');
  assert.deepEqual(await ended, { code: 130, out: '', err: 'interrupted before anything was played\n' });
});

const PLACES = { configPath: '/nowhere', stateDir: '/nowhere', runDir: '/nowhere' };

function optionsFor(dir: string, more: Partial<SimulateOptions> = {}): SimulateOptions {
  const sources = [{ file: join(dir, 'list.csv'), uplink: null }];
  return { sources, history: null, configs: [], switchCostMs: null, backupCost: null, seed: 1, json: true, plot: null, ...more };
}

function recordingIo(): { io: Io; out: () => string } {
  let text = '';
  const io = { out: (more: string) => (text += more), err: () => undefined, paint: plain, isTerminal: false };
  return { io: { ...io, out: (more) => void io.out(more) }, out: () => text };
}

test('Ctrl-C while it plays: the part done, marked as such, 130', async (t) => {
  const dir = folder(t);
  // So long that it cannot be over before it is asked to stop.
  const rows = [...Array(60_000).keys()].map((i) => `${(i + 1) * 40_000},${1_000 + (i % 7) * 900}`);
  writeFileSync(join(dir, 'list.csv'), `start_ms,duration_ms\n${rows.join('\n')}\n`);
  const stop = new AbortController();
  const progress = (text: string): void => {
    if (text.includes('playing')) stop.abort();
  };
  const { io, out } = recordingIo();
  const plot = join(dir, 'x.svg');
  assert.equal(await simulate(PLACES, optionsFor(dir, { plot }), io, { signal: stop.signal, progress }), 130);
  const json = JSON.parse(out());
  assert.equal(json.complete, false);
  assert.ok(json.span.seconds < 60_000 * 40);
  assert.ok(existsSync(plot));
});

test('progress: one line at a pace, taken away at the end, nothing where nobody looks', () => {
  let nowMs = 0;
  const written: string[] = [];
  const progress = new Progress(
    (text) => written.push(text),
    () => nowMs,
  );
  progress.end();
  for (nowMs = 0; nowMs <= 1_000; nowMs += 10) progress.tell('playing', nowMs / 1_000);
  progress.end();
  assert.equal(written.length, 12);
  assert.match(written[5] ?? '', /^\r\[={15} {15}\] {2}50 % {2}playing/);
  assert.equal(written.at(-1), '\r\x1b[K');
  assert.doesNotThrow(() => new Progress(null).tell('x', 0.5));
});
