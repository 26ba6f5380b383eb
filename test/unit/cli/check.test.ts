/** `backroute check` on a machine that lacks what the configuration needs. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isInstalled } from '../../../src/cli/installed.js';

const MAIN = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));
const needsRoot = process.getuid?.() === 0 ? false : 'needs root: a mount namespace of its own';

/** Runs `check --json` on this text in a mount namespace where nft(8) is nothing that can be run. */
function checkWithoutNft(t: TestContext, text: string): Promise<{ code: number | null; err: string; problems: string[] }> {
  const dir = mkdtempSync(join(tmpdir(), 'backroute-check-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const path = join(dir, 'b.yaml');
  writeFileSync(path, text);
  const hide = 'for nft in /usr/sbin/nft /sbin/nft; do [ ! -e $nft ] || mount --bind /dev/null $nft; done; exec "$@"';
  const command = ['-m', 'sh', '-c', hide, 'sh', process.execPath, MAIN, 'check', '--json', '--config', path];
  const child = spawn('unshare', command, { stdio: ['ignore', 'pipe', 'pipe'] });
  let [out, err] = ['', ''];
  child.stdout.on('data', (data) => {
    out += String(data);
  });
  child.stderr.on('data', (data) => {
    err += String(data);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      const problems: { severity: string; path: string; message: string; hint: string | null }[] = JSON.parse(out).problems;
      // Which interfaces there are on the machine that runs this test, nobody knows.
      const texts = problems
        .filter(({ message }) => message.includes('nftables'))
        .map((problem) => `${problem.severity} ${problem.path}: ${problem.hint}`);
      resolve({ code, err, problems: texts });
    });
  });
}

const REMEDY = 'Install it: apt-get install nftables.';
const UPLINKS = 'uplinks:\n  a: {gateway: auto, interface: wan91}\n  b: {gateway: auto, interface: wan92}\n';

test('without nftables masquerade is refused, with the remedy', { skip: needsRoot }, async (t) => {
  const { code, err, problems } = await checkWithoutNft(t, `${UPLINKS}masquerade: true\n`);
  assert.equal(code, 2);
  assert.deepEqual(problems, [`error masquerade: ${REMEDY}`]);
  assert.match(err, /b\.yaml:4: masquerade: there is no nftables \(nft\) on this machine.*apt-get install nftables\./);
});

test('without nftables a file that does not ask for it is only warned of', { skip: needsRoot }, async (t) => {
  const { code, problems } = await checkWithoutNft(t, UPLINKS);
  assert.equal(code, 0);
  assert.deepEqual(problems, [`warning : ${REMEDY}`]);
});

test('a program is found in PATH and where the superuser looks', () => {
  assert.ok(isInstalled('sh'));
  assert.ok(!isInstalled('no-such-program-anywhere'));
});
