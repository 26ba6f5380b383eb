/** Set-up in a clone of its own with an `npm` of its own: says what it does, does it once, and tells what to do when it cannot. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { until } from '../../../src/lab/until.js';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'setup-test-'));
after(() => rmSync(dir, { recursive: true, force: true }));

/** A clone with the scripts and a lock file, nothing installed; `npm` is this shell script. */
function clone(name: string, npm: string): string {
  const root = join(dir, name);
  mkdirSync(join(root, 'bin'), { recursive: true });
  cpSync(join(ROOT, 'scripts'), join(root, 'scripts'), { recursive: true });
  writeFileSync(join(root, 'package.json'), '{"type":"module"}');
  writeFileSync(join(root, 'package-lock.json'), '{"lockfileVersion":3}');
  writeFileSync(join(root, 'bin/npm'), `#!/bin/sh\n${npm}\n`);
  chmodSync(join(root, 'bin/npm'), 0o755);
  return root;
}

const INSTALLS = 'echo "$@" >>npm-calls; mkdir -p node_modules';

function start(root: string, nodeOptions: readonly string[] = []): ChildProcess {
  const env = { ...process.env, PATH: `${join(root, 'bin')}:${process.env.PATH}`, CI: 'true' };
  return spawn(process.execPath, [...nodeOptions, join(root, 'scripts/setup.mjs')], { env, stdio: ['ignore', 'pipe', 'pipe'] });
}

async function setUp(root: string, nodeOptions: readonly string[] = []): Promise<{ code: number; out: string; err: string }> {
  const child = start(root, nodeOptions);
  let out = '';
  let err = '';
  child.stdout?.on('data', (chunk) => {
    out += String(chunk);
  });
  child.stderr?.on('data', (chunk) => {
    err += String(chunk);
  });
  const [code] = await once(child, 'close');
  return { code, out, err };
}

/** Without the words on Debian packages, which may really be missing where this runs. */
const aboutNpm = (text: string): string[] => text.split('\n').filter((line) => /npm|done/.test(line));

test('npm packages are installed once, without their scripts, and again after the lock file changed', async () => {
  const root = clone('fresh', INSTALLS);
  const calls = () => readFileSync(join(root, 'npm-calls'), 'utf8').trim().split('\n');
  const first = await setUp(root);
  assert.equal(aboutNpm(first.out)[0], 'Installing the npm packages (npm ci) …');
  assert.match(aboutNpm(first.out)[1] ?? '', /^ {2}done after \d+\.\d s$/);
  assert.deepEqual(calls(), ['ci --ignore-scripts --include=dev --no-audit --no-fund']);
  const second = await setUp(root);
  assert.deepEqual(aboutNpm(second.out), []);
  assert.equal(calls().length, 1);
  writeFileSync(join(root, 'package-lock.json'), '{"lockfileVersion":3,"packages":{}}');
  await setUp(root);
  assert.equal(calls().length, 2);
});

test("what a person installed with npm's own words is accepted when it is newer than the lock file", async () => {
  const root = clone('by-hand', INSTALLS);
  mkdirSync(join(root, 'node_modules'));
  writeFileSync(join(root, 'node_modules/.package-lock.json'), '{}');
  await setUp(root);
  assert.ok(!existsSync(join(root, 'npm-calls')));
});

test("a node_modules that is a link to another clone's is not emptied through it", async () => {
  const root = clone('linked', INSTALLS);
  mkdirSync(join(root, 'elsewhere'));
  symlinkSync(join(root, 'elsewhere'), join(root, 'node_modules'));
  const { code, err } = await setUp(root);
  assert.equal(code, 1);
  assert.match(err, /node_modules is a link to another folder.*\n {2}-> remove the link/);
  assert.ok(!existsSync(join(root, 'npm-calls')));
});

test('an npm that fails is quoted, with a remedy and exit code 1; the next run tries again', async () => {
  const root = clone('offline', 'echo "network down" >&2; exit 1');
  const { code, err } = await setUp(root);
  assert.equal(code, 1);
  assert.match(err, /network down\n.*npm ci failed\n {2}-> see that the registry can be reached/s);
  writeFileSync(join(root, 'bin/npm'), `#!/bin/sh\n${INSTALLS}\n`);
  assert.match((await setUp(root)).out, /Installing the npm packages/);
});

test('an older Node is told what to do', async () => {
  const root = clone('old', INSTALLS);
  const pretend = "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '18.19.0' } })";
  const { code, err } = await setUp(root, ['--import', `data:text/javascript,${encodeURIComponent(pretend)}`]);
  assert.equal(code, 1);
  assert.match(err, /needs Node 20\.19 or newer; this is 18\.19\.0\n {2}-> Debian 13: apt-get install nodejs npm/);
  assert.ok(!existsSync(join(root, 'npm-calls')), 'nothing else was done');
});

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  test(`${signal} in the middle ends npm too, and is not an installation`, async () => {
    const root = clone(signal, 'echo $$ >npm-pid; exec sleep 60');
    const child = start(root);
    const ended = once(child, 'close');
    const pidFile = join(root, 'npm-pid');
    assert.ok(await until(() => existsSync(pidFile) && readFileSync(pidFile, 'utf8').endsWith('\n'), 10_000));
    const pid = Number(readFileSync(pidFile, 'utf8'));
    child.kill(signal);
    assert.deepEqual(await ended, [code, null]);
    assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
    assert.ok(!existsSync(join(root, 'node_modules')));
  });
}
