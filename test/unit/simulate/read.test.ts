/** Recordings become links: lists of outages and traces of probes, recognised by what they hold; what is wrong is told with its line. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { seeded } from '../../../bench/judge/synthetic.js';
import type { Link } from '../../../src/simulate/link.js';
import { Cells } from '../../../src/simulate/read/cells.js';
import { LARGEST_FILE_BYTES, LONGEST_LINE_BYTES } from '../../../src/simulate/read/lines.js';
import { SourceError } from '../../../src/simulate/read/problem.js';
import { readRecording } from '../../../src/simulate/read/read.js';
import { RttSteps } from '../../../src/simulate/read/rtt-steps.js';
import { sideBySide } from '../../../src/simulate/read/side-by-side.js';
import { seedFromEnvironment } from '../../support/random.js';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'backroute-read-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

async function linkOf(t: TestContext, content: string | Buffer): Promise<Link> {
  const path = join(folder(t), 'some.dat');
  writeFileSync(path, content);
  return (await readRecording({ name: 'some.dat', path })).link;
}

async function complaintOf(t: TestContext, content: string | Buffer): Promise<string> {
  try {
    await linkOf(t, content);
  } catch (error) {
    if (error instanceof SourceError) return error.message;
    throw error;
  }
  return 'none';
}

const outages = ({ silences }: Link): number[][] => silences.map(({ fromMs, toMs }) => [fromMs, toMs]);

test('outages are cut out of probes: late is lost, a pause is no outage, the end closes', async (t) => {
  const rows = ['t_ms,rtt_ms', '0,20', '1000,', '2000,1500', '3000,30', '4000,', '200000,20', '201000,', '202000,'];
  const link = await linkOf(t, rows.join('\n'));
  assert.deepEqual(outages(link), [
    [1_000, 3_000],
    [4_000, 4_200],
    [201_000, 202_000],
  ]);
  assert.deepEqual(link.span, { fromMs: 0, toMs: 202_000 });
  assert.equal(link.unwatchedMs, 196_000);
  assert.equal(link.originWallMs, null);
});

test('lists of outages: overlapping ones are one, booting is none, causes are kept', async (t) => {
  const rows = [
    'start_ms,duration_ms,cause,did_switch',
    '-900000,5000,BOOTING,0',
    '100000,2000,A,0',
    '101000,3000,gateway-silent,1',
    '200000,1000,carrier,0',
  ];
  const link = await linkOf(t, rows.join('\n'));
  assert.deepEqual(link.silences, [
    { fromMs: 100_000, toMs: 104_000, cause: 'upstream' },
    { fromMs: 200_000, toMs: 201_000, cause: 'carrier' },
  ]);
  assert.deepEqual(link.span, { fromMs: 0, toMs: 201_000 + 3_600_000 });
});

test('lists of states', async (t) => {
  const link = await linkOf(t, 'state,duration_s\nup,10\ndown,2.5\nup,100\n');
  assert.deepEqual(outages(link), [[10_000, 12_500]]);
  assert.deepEqual(link.span, { fromMs: 0, toMs: 112_500 });
});

test('Unix times become an absolute start, columns may be in any order and quoted, CRLF and a byte order mark are fine', async (t) => {
  const link = await linkOf(
    t,
    '\ufeff"rtt_ms", "t_ms",note\r\n20.5,1700000000000,x\r\n\r\n"",1700000001000,\r\n1e1, "1700000002000" ,\r\n',
  );
  assert.equal(link.originWallMs, 1_700_000_000_000);
  assert.deepEqual(outages(link), [[1_000, 2_000]]);
  const list = await linkOf(t, 'start_ms,duration_ms\n1700000000000,5\n');
  assert.equal(list.originWallMs, 1_699_999_940_000);
  assert.deepEqual(outages(list), [[60_000, 60_005]]);
});

test('the absolute start stands beside the file, under its name', async (t) => {
  const dir = folder(t);
  writeFileSync(join(dir, 't0_unix_ms.json'), '{"a": 1700000000000.5, "b": "soon"}');
  for (const name of ['a', 'b', 'c']) writeFileSync(join(dir, `${name}.csv`), 't_ms,rtt_ms\n0,1\n9,1\n');
  const read = async (name: string) => (await readRecording({ name, path: join(dir, `${name}.csv`) })).link.originWallMs;
  assert.equal(await read('a'), 1_700_000_000_000.5);
  assert.equal(await read('c'), null);
  await assert.rejects(read('b'), /t0_unix_ms\.json: b: '"soon"' is no number/);
});

test('what is wrong is told with its line, what was found and what is wanted', async (t) => {
  const trace = (...rows: string[]): string => ['t_ms,rtt_ms', ...rows, ''].join('\n');
  for (const [content, expected] of [
    [trace('0,1', 'hello,2'), /^some\.dat:3: t_ms 'hello' is not a number$/],
    [trace('0,1', '5,fast'), /^some\.dat:3: rtt_ms 'fast' is not a number$/],
    [trace('0,nan'), /^some\.dat:2: rtt_ms 'nan'/],
    [trace('0,0x10'), /^some\.dat:2: rtt_ms '0x10'/],
    [trace('0,1e999'), /^some\.dat:2: rtt_ms '1e999'/],
    [trace('0,-1'), /^some\.dat:2: rtt_ms '-1' is negative$/],
    [trace('5,1', '4,1'), /^some\.dat:3: time runs backwards: t_ms 4 after 5$/],
    [trace('5'), /^some\.dat:2: 1 column\(s\) in '5', 2 are wanted$/],
    [trace(), /^some\.dat: no probe follows the header$/],
    [trace('7,1'), /^some\.dat: it covers no time$/],
    ['start_ms,duration_ms\n5,-1\n', /^some\.dat:2: duration_ms '-1' is negative$/],
    ['start_ms,duration_ms\n5,1\n4,1\n', /^some\.dat:3: time runs backwards: start_ms 4 after 5$/],
    ['start_ms,duration_ms\n', /^some\.dat: no outage follows the header$/],
    ['state,duration_s\nsideways,4\n', /^some\.dat:2: state 'sideways' is neither up nor down$/],
    ['0,20\n1000,21\n', /^some\.dat:1: the header is missing: '0,20'$/],
    ['a,b\n1,2\n', /^some\.dat:1: no known columns: 'a,b'$/],
    ['Dear all\n', /^some\.dat:1: no known format: 'Dear all'$/],
    ['\x1b[2Jt_ms\n', /^some\.dat:1: no known format: '\\x1b\[2Jt_ms'$/],
    ['', /^some\.dat: the file is empty$/],
    ['\n\n', /^some\.dat: nothing but empty lines$/],
    [Buffer.from('SQLite format 3\0and so on'), /^some\.dat: this is an SQLite database/],
    [Buffer.from([0x1f, 0x8b, 8, 0, 0]), /^some\.dat: this is compressed by gzip$/],
    [Buffer.from('\ufefft_ms,rtt_ms\n', 'utf16le'), /^some\.dat: the file is UTF-16$/],
    [trace('0,1', '1000,\0\0'), /^some\.dat:3: a NUL byte: from here on this is no text$/],
    [trace('0,1', 'x'.repeat(LONGEST_LINE_BYTES + 1)), /^some\.dat:3: /],
    ['y'.repeat(3 << 20), new RegExp(`^some\\.dat:1: the line is longer than ${LONGEST_LINE_BYTES} bytes`)],
    [Buffer.from([1, 2, 3, 250, 10, 7]), /^some\.dat:1: this is no text: '\\x01\\x02\\x03\\xfa'$/],
  ] as const) {
    assert.match(await complaintOf(t, content), expected);
  }
});

test('times that are none in ms are refused with their line, and so are jumps of decades', async (t) => {
  const list = (...rows: string[]): string => ['start_ms,duration_ms', ...rows, ''].join('\n');
  const trace = (...rows: string[]): string => ['t_ms,rtt_ms', ...rows, ''].join('\n');
  for (const [content, expected] of [
    [list('1700000000000000000,5000'), /^some\.dat:2: start_ms '1700000000000000000' is no time in ms/],
    [list('1700000000000000,5000'), /^some\.dat:2: start_ms '1700000000000000' is no time in ms/],
    [trace('1700000000000000000,5', '1700000001000000000,5'), /^some\.dat:2: t_ms '1700000000000000000' is no time in ms/],
    [trace('0,5', '-1e15,5'), /^some\.dat:3: t_ms '-1e15' is no time in ms/],
    [list('0,5000', '1700000000000,5000'), /^some\.dat:3: start_ms '1700000000000' is 53\.9 years after the one before$/],
    [trace('0,5', '1700000000000,5'), /^some\.dat:3: t_ms '1700000000000' is 53\.9 years after the one before$/],
    [list('-1000000000000,5'), /^some\.dat:2: start_ms '-1000000000000' is 31\.7 years before the beginning$/],
    [list('0,1000000000000'), /^some\.dat:2: duration_ms '1000000000000': 31\.7 years/],
    ['state,duration_s\nup,1700000000\n', /^some\.dat:2: duration_s '1700000000': 53\.9 years/],
    [
      '[1700000000000000.5] 64 bytes from 1.1.1.1: icmp_seq=1 ttl=57 time=9 ms\n',
      /^some\.dat:1: the time stamp '1700000000000000\.5' is no/,
    ],
    [
      '[0.5] 64 bytes from 1.1.1.1: icmp_seq=1 ttl=57 time=9 ms\n[1700000000.5] 64 bytes from 1.1.1.1: icmp_seq=2 ttl=57 time=9 ms\n',
      /^some\.dat:2: time jumps by 53\.9 years$/,
    ],
  ] as const) {
    assert.match(await complaintOf(t, content), expected);
  }
  const dir = folder(t);
  writeFileSync(join(dir, 't0_unix_ms.json'), '{"a": 1700000000000000000}');
  writeFileSync(join(dir, 'a.csv'), 't_ms,rtt_ms\n0,1\n9,1\n');
  await assert.rejects(
    readRecording({ name: 'a', path: join(dir, 'a.csv') }),
    /t0_unix_ms\.json: a: '1700000000000000000' is no time in ms/,
  );
});

test('outages without length say nothing of when the recording was', async (t) => {
  const link = await listOf(t, ['0,0', '1700000000000,5000', '1700000100000,0', '1700000200000,5000', '1900000000000,0']);
  assert.equal(link.originWallMs, 1_699_999_940_000);
  assert.deepEqual(link.span, { fromMs: 0, toMs: 265_000 + 3_600_000 });
  assert.deepEqual(outages(link), [
    [60_000, 65_000],
    [160_000, 160_000],
    [260_000, 265_000],
  ]);
  assert.deepEqual(outages(await listOf(t, ['5000,0'])), []);
});

test('what cannot be read at all', async (t) => {
  const dir = folder(t);
  mkdirSync(join(dir, 'd'));
  await assert.rejects(
    readRecording({ name: 'd', path: join(dir, 'd') }),
    /^SourceError: d: this is a directory, a file is wanted/,
  );
  await assert.rejects(readRecording({ name: 'n', path: join(dir, 'n') }), /^SourceError: n: there is no such file/);
  await assert.rejects(readRecording({ name: 'n', path: join(dir, 'd', 'x', 'y') }), /there is no such file/);
});

test('a file beyond the bound is refused before it is read', async (t) => {
  const path = join(folder(t), 'sparse');
  writeFileSync(path, 't_ms,rtt_ms\n');
  const { truncateSync } = await import('node:fs');
  truncateSync(path, LARGEST_FILE_BYTES + 1);
  await assert.rejects(readRecording({ name: 'sparse', path }), /^SourceError: sparse: 4\.0 GiB, at most 4 GiB are read/);
});

test('lines over the borders of what is read at once are whole; the reading can be stopped', async (t) => {
  const path = join(folder(t), 'long.csv');
  const rows = Array.from({ length: 400_000 }, (_, i) => `${i * 1000},${i % 1000 === 7 ? '' : '20.125'}`);
  writeFileSync(path, `t_ms,rtt_ms\n${rows.join('\n')}`);
  const shares: number[] = [];
  const { link } = await readRecording({ name: 'long', path }, { progress: (share) => shares.push(share) });
  assert.equal(link.silences.length, 400);
  assert.ok(link.silences.every(({ fromMs, toMs }, i) => fromMs === (i * 1000 + 7) * 1000 && toMs === fromMs + 1000));
  assert.equal(link.span.toMs, 399_999_000);
  assert.ok(shares.length > 3 && shares.at(-1) === 1 && shares.every((share, i) => share >= (shares[i - 1] ?? 0)));
  const stop = new AbortController();
  await assert.rejects(readRecording({ name: 'long', path }, { signal: stop.signal, progress: () => stop.abort() }), {
    name: 'AbortError',
  });
});

test('cells: the same number as the language reads', () => {
  const seed = seedFromEnvironment();
  const random = seeded(seed);
  const cells = new Cells();
  for (let round = 0; round < 3_000; round += 1) {
    const digits = Math.floor(random() * 18);
    const number = (random() - 0.5) * 10 ** Math.floor(random() * 14);
    const text = [String(number), number.toFixed(Math.min(digits, 12)), number.toExponential(digits)][round % 3] ?? '';
    const bytes = Buffer.from(` ${text} ,"${text}"`);
    cells.read(bytes, 0, bytes.length);
    assert.equal(cells.number(0), Number(text), `seed ${seed}: ${text}`);
    assert.equal(cells.number(1), Number(text), `seed ${seed}: ${text}`);
  }
  for (const text of ['', '-', '.', '1.2.3', '1,', '--1', '1-', 'Infinity', '1 2', '0b1', '١']) {
    cells.read(Buffer.from(text.replace(',', ';')), 0, Buffer.byteLength(text));
    assert.ok(Number.isNaN(cells.number(0)), text);
  }
});

test('round trips: a step only where the link changed, and never more than fit', () => {
  const steps = new RttSteps(20);
  for (let i = 0; i < 100; i += 1) steps.add(i * 1000, i === 50 ? 400 : 20 + (i % 3));
  for (let i = 100; i < 200; i += 1) steps.add(i * 1000, 80 + (i % 5));
  assert.deepEqual(
    steps.steps.map(({ fromMs, rttMs }) => [fromMs, Math.round(rttMs / 10) * 10]),
    [
      [0, 20],
      [100_000, 80],
    ],
  );
  for (let i = 200; i < 4_000; i += 1) steps.add(i * 1000, 20 + 300 * (Math.floor(i / 10) % 2));
  assert.ok(steps.steps.length <= 20, `${steps.steps.length}`);
  assert.ok(steps.steps.every(({ fromMs }, i) => i === 0 || fromMs > (steps.steps[i - 1]?.fromMs ?? 0)));
});

const made = (name: string, originWallMs: number | null, fromMs: number, toMs: number, silences: number[][]): Link => ({
  name,
  originWallMs,
  span: { fromMs, toMs },
  silences: silences.map(([from = 0, to = 0]) => ({ fromMs: from, toMs: to, cause: 'upstream' })),
  lossy: [],
  rtts: [
    { fromMs, rttMs: 10 },
    { fromMs: fromMs + 1_000, rttMs: 30 },
  ],
  unwatchedMs: 0,
});

test('side by side by absolute time: what only one speaks of is left out, and told', () => {
  const { links, notes } = sideBySide([
    made('a', 1_000_000, 0, 500_000, [
      [90_000, 110_000],
      [450_000, 500_000],
    ]),
    made('b', 1_100_000, 0, 300_000, [[0, 5_000]]),
  ]);
  assert.deepEqual(
    links.map((link) => link.span),
    [
      { fromMs: 100_000, toMs: 400_000 },
      { fromMs: 100_000, toMs: 400_000 },
    ],
  );
  assert.deepEqual(links.map(outages), [[[100_000, 110_000]], [[100_000, 105_000]]]);
  assert.deepEqual(
    links.map(({ originWallMs }) => originWallMs),
    [1_000_000, 1_000_000],
  );
  assert.deepEqual(links[0]?.rtts, [{ fromMs: 1_000, rttMs: 30 }]);
  assert.match(notes.join(), /^a: 0\.1 h were left out/);
});

test('side by side without absolute times: as if they began together; without a common moment: told', () => {
  const { links, notes } = sideBySide([made('a', 5, 0, 1_000, []), made('b', null, 50, 700, [[60, 70]])]);
  assert.deepEqual(links.map(outages), [[], [[10, 20]]]);
  assert.match(notes.join(), /^b: without an absolute start/);
  assert.throws(() => sideBySide([made('a', 0, 0, 10, []), made('b', 1_000, 0, 10, [])]), /a and b have no moment in common/);
});

async function listOf(t: TestContext, rows: readonly string[]): Promise<Link> {
  return linkOf(t, ['start_ms,duration_ms', ...rows, ''].join('\n'));
}

test('lists without absolute times: their zeros are one moment, also beside a trace', async (t) => {
  const early = await listOf(t, ['10000,5000', '500000,60000']);
  const late = await listOf(t, ['100000,5000', '500000,60000']);
  const [a, b] = sideBySide([early, late]).links.map(outages);
  assert.deepEqual([a?.[0]?.[0], b?.[0]?.[0]], [10_000, 100_000]);
  assert.deepEqual(a?.[1], [500_000, 560_000]);
  assert.deepEqual(b?.[1], a?.[1]);
  const beside = sideBySide([made('trace', null, 0, 600_000, [[500_000, 560_000]]), early]);
  assert.deepEqual(beside.links.map(outages), [[[500_000, 560_000]], [[10_000, 15_000], a?.[1]]]);
  assert.deepEqual(
    beside.links.map(({ span }) => span),
    [
      { fromMs: 0, toMs: 600_000 },
      { fromMs: 0, toMs: 600_000 },
    ],
  );
});

test('what lies outside a list counts as good: lists cut nothing off, only traces do', async (t) => {
  const hourly = Array.from({ length: 24 }, (_, i) => `${(i + 1) * 3_600_000},10000`);
  const lists = [await listOf(t, hourly), await listOf(t, ['1800000,10000'])];
  const day = { fromMs: 0, toMs: 25 * 3_600_000 + 10_000 };
  const both = sideBySide(lists);
  for (const link of both.links) assert.deepEqual(link.span, day);
  assert.deepEqual(
    both.links.map(({ silences }) => silences.length),
    [24, 1],
  );
  assert.equal(both.notes.length, 1, both.notes.join());
  const year = await listOf(t, ['1700000000000,10000']);
  const nextYear = await listOf(t, ['1731536000000,10000']);
  assert.equal(sideBySide([year, nextYear]).links[1]?.silences[0]?.fromMs, 31_536_000_000 + 60_000);
  const old = await listOf(t, ['1200000000000,10000']);
  assert.throws(() => sideBySide([year, old]), /some\.dat and some\.dat are 15\.8 years together$/);
  // A trace says what is played; what a list says of other times is left out, and told.
  const trace = made('trace', 1_731_535_000_000, 0, 2_000_000, []);
  const cut = sideBySide([trace, nextYear, year]);
  assert.deepEqual(
    cut.links.map(({ span }) => span.toMs - span.fromMs),
    [2_000_000, 2_000_000, 2_000_000],
  );
  assert.deepEqual(
    cut.links.map(({ silences }) => silences.length),
    [0, 1, 0],
  );
  assert.deepEqual(cut.notes, ['some.dat: 1 of its 1 outages were left out: not all were recorded then']);
});

const FOLDER = process.env.BACKROUTE_TRACES ?? fileURLToPath(new URL('../../../../../shared/traces/', import.meta.url));
const skip = existsSync(FOLDER) ? false : `no traces in ${FOLDER}`;

test('the measured traces: as many outages as judge.py counts', { skip }, async () => {
  const counts: Readonly<Record<string, number>> = {
    starlink_drive_outages: 557,
    train_o2_3tgt: 286,
    campusnet_09may_google: 79,
  };
  for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.csv'))) {
    const { link } = await readRecording({ name: file, path: join(FOLDER, file) });
    const expected = counts[file.slice(0, -4)];
    if (expected !== undefined) assert.equal(link.silences.length, expected, file);
    assert.equal(link.originWallMs === null, file.startsWith('starlink'), file);
  }
});
