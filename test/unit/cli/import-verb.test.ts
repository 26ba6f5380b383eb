/** `backroute import` as a user starts it: exit codes, streams, and a file that is written whole and never over another. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));
const SCRIPT = 'upstream=212.254.0.1\nfastrouter=192.168.1.253\nbackrouter=192.168.1.1\n';

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'backroute-import-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function backroute(...args: string[]): Promise<Ended> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.on('data', (data) => {
    out += String(data);
  });
  child.stderr.on('data', (data) => {
    err += String(data);
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })));
}

function script(dir: string, text: string | Uint8Array = SCRIPT): string {
  const path = join(dir, 'route-check');
  writeFileSync(path, text);
  return path;
}

test('it prints the configuration and writes nothing', async (t) => {
  const dir = folder(t);
  const config = join(dir, 'backroute.yaml');
  const { code, out, err } = await backroute('import', script(dir), '--config', config);
  assert.equal(code, 0, err);
  assert.match(out, /^uplinks:\n {2}fast:\n {4}gateway: 192\.168\.1\.253\n/m);
  assert.ok(!existsSync(config));
});

test('--write writes what was printed, its folder included, and says what has to go', async (t) => {
  const dir = folder(t);
  const config = join(dir, 'etc', 'backroute.yaml');
  const printed = await backroute('import', script(dir));
  const { code, out, err } = await backroute('import', '--write', script(dir), '--config', config);
  assert.equal(code, 0, err);
  assert.equal(readFileSync(config, 'utf8'), printed.out);
  assert.equal(statSync(config).mode & 0o777 & ~process.umask(), 0o644 & ~process.umask());
  assert.match(out, /is written\.[\s\S]*take away:\n {2}a host route to 212\.254\.0\.1/);
  assert.deepEqual(readdirSync(join(dir, 'etc')), ['backroute.yaml'], 'nothing else is left');
});

test('--write never overwrites, not even through a symlink that leads nowhere', async (t) => {
  const dir = folder(t);
  const config = join(dir, 'backroute.yaml');
  writeFileSync(config, 'mine\n');
  const refused = await backroute('import', '--write', script(dir), '--config', config);
  assert.equal(refused.code, 1);
  assert.match(refused.err, /exists already: nothing was written\n {2}-> /);
  assert.equal(readFileSync(config, 'utf8'), 'mine\n');
  rmSync(config);
  symlinkSync(join(dir, 'elsewhere'), config);
  assert.equal((await backroute('import', '--write', script(dir), '--config', config)).code, 1);
  assert.deepEqual(readdirSync(dir).sort(), ['backroute.yaml', 'route-check'], 'nothing else is left');
});

test('what is written passes check', async (t) => {
  const dir = folder(t);
  const config = join(dir, 'backroute.yaml');
  // A check looks at this machine's networks too; only what it says of the file counts here.
  await backroute('import', '--write', script(dir), '--config', config);
  const { err } = await backroute('check', '--config', config);
  assert.doesNotMatch(err, /YAML|unknown|wanted|missing/);
});

test('what is no such script is exit 2 with the reason, and nothing is written', async (t) => {
  const dir = folder(t);
  const config = join(dir, 'backroute.yaml');
  const given: readonly (readonly [string, RegExp])[] = [
    [script(dir, '#!/usr/bin/perl\n'), /a program for perl/],
    [join(dir, 'nothing'), /there is no such file/],
    [dir, /it is a directory/],
    ['/dev/null', /no regular file/],
    [process.execPath, /128 KiB|binary/],
  ];
  for (const [path, wanted] of given) {
    const { code, out, err } = await backroute('import', '--write', path, '--config', config);
    assert.equal(code, 2, path);
    assert.match(err, wanted);
    assert.equal(out, '');
  }
  assert.ok(!existsSync(config));
});

test('a file that may not be read, and a folder that may not be written', {
  skip: process.getuid?.() === 0 ? 'root may do both' : false,
}, async (t) => {
  const dir = folder(t);
  const path = script(dir);
  const locked = join(dir, 'locked');
  mkdirSync(locked, { mode: 0o500 });
  assert.equal((await backroute('import', '--write', path, '--config', join(locked, 'backroute.yaml'))).code, 3);
  chmodSync(path, 0);
  assert.equal((await backroute('import', path)).code, 3);
});

test('a configuration cannot be written into a file', async (t) => {
  const dir = folder(t);
  const path = script(dir);
  const { code, err } = await backroute('import', '--write', path, '--config', join(path, 'backroute.yaml'));
  assert.equal(code, 1);
  assert.match(err, /cannot be written/);
});

test('without a file it says how it is used', async () => {
  const { code, err } = await backroute('import');
  assert.equal(code, 1);
  assert.match(err, /missing required argument 'file'/);
});
