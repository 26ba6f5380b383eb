/** Files that are no configuration, and those that mean harm: each is refused with a clear word, soon and cheaply. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadConfig } from '../../../src/config/load.js';
import { parseConfig } from '../../../src/config/parse.js';
import { formatProblem } from '../../../src/config/problem.js';

const folder = mkdtempSync(join(tmpdir(), 'backroute-config-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function refused(path: string): Promise<string> {
  const result = await loadConfig(path);
  assert.ok(!result.ok, `${path} must be refused`);
  assert.equal(result.problems.length, 1);
  const text = formatProblem(result.problems[0] ?? assert.fail());
  assert.ok(text.startsWith(`${path}:`), text);
  return text.slice(path.length);
}

test('a file in UTF-8, with or without byte order mark', async () => {
  for (const mark of ['', '\ufeff']) {
    const result = await loadConfig(file('good.yaml', `${mark}# größer\nuplinks:\n  a: {gateway: r}\n`));
    assert.ok(result.ok);
  }
});

test('lines are counted right behind a byte order mark and CRLF', async () => {
  const text = await refused(file('crlf.yaml', '\ufeffuplinks:\r\n  a:\r\n    gateway: 1.2.3\r\n'));
  assert.match(text, /^:3: uplinks\.a\.gateway/);
});

const REFUSED: readonly [string, () => string, RegExp][] = [
  ['a missing file', () => join(folder, 'missing'), /^: there is no such file/],
  ['a file below a file', () => join(file('plain', 'x'), 'y'), /^: there is no such file: a part of its path/],
  ['a directory', () => folder, /^: this is a directory/],
  ['a device', () => '/dev/null', /^: this is no regular file/],
  ['an empty file', () => file('empty', ''), /^: the file is empty/],
  ['only comments', () => file('comments', '# one\n\n# two\n---\n'), /^: the file says nothing/],
  ['NUL bytes', () => file('nul', 'uplinks:\0'), /^: the file is binary/],
  ['UTF-16', () => file('utf16', Buffer.from('\ufeffuplinks:', 'utf16le')), /^: the file is UTF-16/],
  ['Latin-1', () => file('latin', Buffer.from('# gr\xf6\xdfer\n', 'latin1')), /^: the file is not UTF-8/],
  [
    'random bytes',
    () =>
      file(
        'junk',
        Uint8Array.from({ length: 4096 }, (_, i) => ((i * 167 + 13) % 255) + 1),
      ),
    /^: the file is not UTF-8/,
  ],
  ['a number', () => file('number', '42\n'), /^:1: found "42"; a mapping is wanted/],
  ['a list', () => file('list', '- a\n'), /^:1: found "a list"; a mapping is wanted/],
];

for (const [name, make, says] of REFUSED) {
  test(`refused: ${name}`, async () => assert.match(await refused(make()), says));
}

test('symbolic links in a circle are refused', async () => {
  const path = join(folder, 'circle');
  symlinkSync(path, path);
  assert.match(await refused(path), /lead in a circle/);
});

test('a FIFO without a writer does not hold us up', async (context) => {
  const path = join(folder, 'fifo');
  if (spawnSync('mkfifo', [path]).status !== 0) return context.skip('mkfifo is not there');
  assert.match(await refused(path), /^: this is no regular file/);
});

test('a file that may not be read', async (context) => {
  if (process.getuid?.() === 0) return context.skip('root may read everything');
  const path = file('secret', 'x');
  spawnSync('chmod', ['0', path]);
  assert.match(await refused(path), /may not read/);
});

/** Milliseconds of CPU: a busy machine must not make a test fail. */
function cpuMs(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1000;
}

/** Refused within 200 ms: routing waits meanwhile. The best of three counts, the compiler works beside the first. */
function quickly(run: () => void): void {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 3; i++) {
    const start = process.cpuUsage();
    run();
    best = Math.min(best, cpuMs(start));
  }
  assert.ok(best < 200, `took ${best.toFixed(0)} ms`);
}

test('ten megabytes of YAML are refused unread', async () => {
  const path = file('large.yaml', 'uplinks:\n  a: {gateway: r}\n# more\n'.padEnd(10 * 1024 * 1024, '#\n'));
  const memory = process.memoryUsage().rss;
  const start = process.cpuUsage();
  assert.match(await refused(path), /too large: 10\.0 MiB, at most 1 MiB/);
  assert.ok(cpuMs(start) < 200);
  assert.ok(process.memoryUsage().rss - memory < 50e6, 'it was not read');
});

const BOMBS: Readonly<Record<string, string>> = {
  'billion laughs': `a: &a [${'x,'.repeat(9)}]\n${[...'bcdefghij'].map((c, i) => `${c}: &${c} [${`*${'abcdefghi'[i]},`.repeat(9)}]\n`).join('')}`,
  'a long list repeated': `a: &a [${'x,'.repeat(9000)}]\nb: [${'*a,'.repeat(99)}]`,
  'deep brackets': '['.repeat(1_000_000),
  'deep mappings': '{a: '.repeat(250_000),
  'deep indentation': Array.from({ length: 1400 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'),
  'deep lists': '- '.repeat(14_000),
  'many keys': Array.from({ length: 60_000 }, (_, i) => `key${i}: v`).join('\n'),
  'one key many times': 'k: v\n'.repeat(190_000),
  'just below the limit': `uplinks:\n${Array.from({ length: 2100 }, (_, i) => `  u${i}: {gateway: 1.2.3.999}\n`).join('')}`,
  anchors: '&a '.repeat(300_000),
  'unknown tags': '!!x '.repeat(250_000),
  documents: '---\n'.repeat(250_000),
  'open quotes': '"\n'.repeat(400_000),
  'a long text': `uplinks: ${'x'.repeat(1_000_000)}`,
  blanks: ' '.repeat(1_000_000),
};

for (const [name, text] of Object.entries(BOMBS)) {
  test(`a bomb is refused quickly: ${name}`, () => {
    const memory = process.memoryUsage().rss;
    quickly(() => {
      const result = parseConfig(text, 'bomb.yaml');
      assert.ok(!result.ok);
      assert.ok(result.problems.length <= 101);
      for (const problem of result.problems) assert.ok(formatProblem(problem).length < 1000);
    });
    const grownMb = (process.memoryUsage().rss - memory) / 1e6;
    assert.ok(grownMb < 150, `took ${grownMb.toFixed(0)} MB`);
  });
}

test('the largest sensible configuration stays within the limits', () => {
  const uplink = (i: number): string => `  uplink-${i}:
    gateway: 10.0.${i}.1
    gateway6: fe80::${i}%eth${i}
    interface: eth${i}
    targets:
      - 192.0.2.${i}
      - {tcp: "example.com:443"}
      - http: https://example.com/
        status: [200, 204]
        expect: hello
      - {dns: example.com, server: 192.0.2.53, type: A}
    probe: {interval: 1s, burst: 3, burst-pace: 10ms, timeout: 1s, deadline-floor: 40ms, window: 60}
    fail-after: 1s
    recover-after: 30s
    hold-down: {factor: 2, max: 10m, decay: 10m}
    degraded: {loss: 20%, loss-clear: 10%, latency: off, jitter: 50ms, jitter-clear: 40ms, policy: keep}
    quorum: 1
`;
  const result = parseConfig(`uplinks:\n${Array.from({ length: 63 }, (_, i) => uplink(i)).join('')}`, 'large.yaml');
  assert.ok(result.ok, result.ok ? '' : result.problems.map(formatProblem).join('\n'));
  assert.equal(result.config.uplinks.length, 63);
});
