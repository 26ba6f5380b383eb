/**
 * While packages are installed no service may start, and policy-rc.d is put back as it was on every way out. In a mount namespace
 * with a /usr/sbin and a /run of its own: nothing of this machine is touched. Needs root.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { until } from '../../../src/lab/until.js';

const QUIETLY = fileURLToPath(new URL('../../../../scripts/lib/quietly.sh', import.meta.url));
const POLICY = '/usr/sbin/policy-rc.d';
/** An overlay wants its folders outside of one. */
const STAGE = `set -e
stage=$(mktemp -d); mount -t tmpfs none "$stage"; mkdir "$stage/up" "$stage/work"
mount -t overlay overlay -o "lowerdir=/usr/sbin,upperdir=$stage/up,workdir=$stage/work" /usr/sbin
umount -l "$stage"; rmdir "$stage"; mount -t tmpfs none /run; rm -f ${POLICY}; set +e
`;
const LOOK = `stat -c '%N %a %Y' ${POLICY} 2>/dev/null || echo none; cat ${POLICY} 2>/dev/null; ls /usr/sbin | grep kept-by`;

function staged(script: string): string {
  const { stdout } = spawnSync('unshare', ['-m', 'sh', '-c', STAGE + script], { encoding: 'utf8', timeout: 60_000 });
  return stdout;
}

const able = process.getuid?.() === 0 && staged('echo able') === 'able\n';

describe('quietly', { skip: able ? false : 'needs root, and a mount namespace with an overlay' }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'backroute-quietly-'));
  after(() => rmSync(dir, { recursive: true }));

  const before = {
    'there is none': '',
    'there is a script': `printf '#!/bin/sh\\nexit 0\\n' >${POLICY}; chmod 750 ${POLICY}; touch -d 2020-01-01 ${POLICY}`,
    'there is a link': `ln -s /bin/true ${POLICY}`,
    'there is a link to nothing': `ln -s /nowhere ${POLICY}`,
  };
  for (const [name, make] of Object.entries(before)) {
    test(`${name}: meanwhile nothing starts, afterwards all is as before; the command's code is ours`, () => {
      const run = `sh ${QUIETLY} sh -c '${POLICY} mosquitto start; echo "policy $?"; exit 7'; echo "code $?"`;
      const [was, during, now] = staged(`${make}\n${LOOK}; echo ---; ${run}; echo ---; ${LOOK}`).split('---\n');
      assert.equal(during, 'policy 101\ncode 7\n');
      assert.equal(now, was);
    });
  }

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    test(`${signal}: what is begun ends, then all is as before`, async () => {
      const flag = join(dir, signal);
      const run = `echo $$ >${flag}.pid; exec sh ${QUIETLY} sh -c 'touch ${flag}.runs; while [ ! -e ${flag}.go ]; do sleep 0.05; done; touch ${flag}.ended'`;
      const script = `ln -s /bin/true ${POLICY}; sh -c "$0"; echo "code $?"; ${LOOK}`;
      const child = spawn('unshare', ['-m', 'sh', '-c', `${STAGE}${script}`, run], { stdio: ['ignore', 'pipe', 'ignore'] });
      let out = '';
      child.stdout.on('data', (chunk) => {
        out += String(chunk);
      });
      const ended = once(child, 'close');
      assert.ok(await until(() => existsSync(`${flag}.runs`), 20_000));
      const pid = Number(spawnSync('cat', [`${flag}.pid`], { encoding: 'utf8' }).stdout);
      process.kill(pid, signal);
      spawnSync('touch', [`${flag}.go`]);
      await ended;
      assert.ok(existsSync(`${flag}.ended`), 'dpkg would not be left halfway');
      assert.match(out, new RegExp(`^code ${{ SIGTERM: 143, SIGINT: 130, SIGHUP: 129 }[signal]}\n'${POLICY}' -> '/bin/true'`));
      assert.doesNotMatch(out, /kept-by/);
    });
  }

  test('killed: the next run puts it back', () => {
    const killed = `sh ${QUIETLY} sh -c 'kill -9 $PPID; sleep 0.1' >/dev/null 2>&1`;
    const out = staged(`ln -s /bin/true ${POLICY}\n${killed}; ls -l ${POLICY} | cut -c1; sh ${QUIETLY} true; ${LOOK}`);
    assert.match(out, new RegExp(`^-\n'${POLICY}' -> '/bin/true'`));
    assert.doesNotMatch(out, /kept-by/);
  });
});
