/** How `npm test` runs the tests: old compilations vanish, a failure is a failure, what is left behind is found. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { until } from '../../../src/lab/until.js';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'test-run-'));
after(() => rmSync(dir, { recursive: true, force: true }));

// The scripts are plain JavaScript without declarations: what is used of them is said here.
const { removeStaleOutputs } = (await import(new URL('../../../../scripts/lib/build.mjs', import.meta.url).href)) as {
  removeStaleOutputs: (root: string) => string[];
};
const { traces, leftSince } = (await import(new URL('../../../../scripts/lib/leftovers.mjs', import.meta.url).href)) as {
  traces: (root: string) => Set<string>;
  leftSince: (before: Set<string>, root: string, patienceMs: number) => Promise<string[]>;
};

function write(path: string, text: string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

test('what was compiled of a source that is gone is removed, and nothing else', () => {
  const root = join(dir, 'stale');
  for (const path of ['src/a.ts', 'test/unit/kept.test.ts']) write(join(root, path), '');
  const outputs = [
    'src/a.js',
    'src/a.d.ts',
    'src/a.js.map',
    'test/unit/kept.test.js',
    'test/unit/gone.test.js',
    'src/b/gone.d.ts',
  ];
  for (const path of outputs) write(join(root, 'dist', path), '');
  write(join(root, 'dist/test.tsbuildinfo'), '');
  assert.deepEqual(removeStaleOutputs(root).sort(), ['dist/src/b/gone.d.ts', 'dist/test/unit/gone.test.js']);
  assert.deepEqual(removeStaleOutputs(root), []);
  assert.deepEqual(removeStaleOutputs(join(dir, 'never built')), []);
});

function runTests(files: readonly string[]): { status: number | null; said: string; summary: unknown } {
  const summaryPath = join(dir, 'summary.json');
  const job = JSON.stringify({ root: dir, files, concurrency: 1, timeoutMs: 60_000, summaryPath });
  const { status, stdout } = spawnSync(process.execPath, [join(ROOT, 'scripts/run-tests.mjs'), job], { encoding: 'utf8' });
  return { status, said: stdout, summary: JSON.parse(readFileSync(summaryPath, 'utf8')) };
}

test('files run in the order given; the closing lines and the summary agree', () => {
  const [b, a] = ['b', 'a'].map((name) =>
    write(join(dir, `${name}.test.mjs`), `import test from 'node:test'; test('${name}', () => {}); test.skip('not ${name}');`),
  ) as [string, string];
  const { status, said, summary } = runTests([b, a]);
  assert.equal(status, 0, said);
  assert.deepEqual(summary, { passed: 2, failed: 0, skipped: 2 });
  assert.ok(said.indexOf('✔ b') < said.indexOf('✔ a'), said);
  assert.match(said, /ℹ tests 4\n.*ℹ pass 2\nℹ fail 0\n.*ℹ skipped 2\n/s);
});

test('a failed test, a file that cannot be loaded and a suite whose hook throws are failures', () => {
  const texts = {
    'a failed test': "import test from 'node:test'; test('x', () => { throw new Error('no'); });",
    'a broken file': "import './not-there.mjs';",
    'a broken hook':
      "import { before, describe, test } from 'node:test'; describe('s', () => { before(() => { throw 1; }); test('x', () => {}); });",
  };
  for (const [name, text] of Object.entries(texts)) {
    const { status, said, summary } = runTests([write(join(dir, `${name}.test.mjs`), text)]);
    assert.equal(status, 1, `${name}: ${said}`);
    assert.match(said, new RegExp(`✖ failing tests:\\n\\n${name}\\n`));
    assert.ok(summary !== null && typeof summary === 'object' && 'failed' in summary && Number(summary.failed) > 0, name);
  }
});

test('a signal ends the runner and the test that runs, with what that has started', async () => {
  const text = `import { spawn } from 'node:child_process'; import test from 'node:test';
    test('waits', async () => {
      const child = spawn('sleep', ['60'], { stdio: 'ignore' });
      (await import('node:fs')).writeFileSync('${join(dir, 'sleep-pid')}', child.pid + '\\n');
      await new Promise((resolve) => child.on('close', resolve));
    });`;
  const summaryPath = join(dir, 'no-summary.json');
  const files = [
    write(join(dir, 'waits.test.mjs'), text),
    write(join(dir, 'never.test.mjs'), "throw new Error('not to be run')"),
  ];
  const job = JSON.stringify({ root: dir, files, concurrency: 1, timeoutMs: 60_000, summaryPath });
  const runner = spawn(process.execPath, [join(ROOT, 'scripts/run-tests.mjs'), job], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  runner.stdout?.on('data', (chunk) => {
    said += String(chunk);
  });
  const closed = once(runner, 'close');
  assert.ok(await until(() => existsSync(join(dir, 'sleep-pid')), 10_000));
  const pid = Number(readFileSync(join(dir, 'sleep-pid'), 'utf8'));
  runner.kill('SIGTERM');
  const [code] = await closed;
  assert.equal(code, 1);
  assert.doesNotMatch(said, /not to be run/);
  assert.ok(!existsSync(summaryPath));
  assert.ok(await until(() => !existsSync(`/proc/${pid}`), 5000));
});

test('a program of the clone that goes on running is found, one that ends in time is not', async () => {
  const program = write(join(dir, 'left/dist/src/program.js'), "process.stdout.write('.'); setInterval(() => {}, 1000);");
  const root = join(dir, 'left');
  const before = traces(root);
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
  after(() => child.kill('SIGKILL'));
  if (child.stdout !== null) await once(child.stdout, 'data');
  const left = await leftSince(before, root, 0);
  assert.equal(left.length, 1);
  assert.match(left[0] ?? '', new RegExp(`^process ${child.pid} `));
  const looking = leftSince(before, root, 10_000);
  child.kill('SIGKILL');
  assert.deepEqual(await looking, []);
});

test('an unknown stage or option is answered with the known ones', () => {
  for (const words of [['--only', 'labs'], ['--fast'], ['--only']]) {
    const { status, stderr } = spawnSync(process.execPath, [join(ROOT, 'scripts/test.mjs'), ...words], { encoding: 'utf8' });
    assert.equal(status, 1);
    assert.match(stderr, /--only lint\|types\|tests\|lab/);
  }
});
