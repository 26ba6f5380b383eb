/** One daemon per state folder, and a control socket that is not for everyone. Needs root. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { SOCKET_FILE } from '../../../src/api/server.js';
import { quick } from './config-file.js';
import { proof } from './gateway.js';

/** Debian's `daemon` group: everywhere the same, with nobody in it. */
const GROUP = { name: 'daemon', id: 1 };

proof('two daemons: the second refuses, and does no harm', { topology: 'classic', config: quick('classic') }, async (gateway) => {
  await gateway.judged();
  await gateway.goesBy('fast');
  const before = await gateway.footprint();
  const sameState = await gateway.lab.exec('gateway', [...gateway.argv('run'), '--run-dir', `${gateway.runDir}-2`], {
    check: false,
  });
  assert.equal(sameState.code, 1);
  assert.match(sameState.stderr, new RegExp(`another backroute works with .*process ${gateway.pid}`));
  const sameSocket = await gateway.lab.exec('gateway', [...gateway.argv('run'), '--state-dir', `${gateway.stateDir}-2`], {
    check: false,
  });
  assert.equal(sameSocket.code, 1);
  assert.match(sameSocket.stderr, /another backroute serves/);
  assert.ok(gateway.alive);
  assert.equal((await gateway.path('fast')).health, 'up', 'the first still answers');
  assert.deepEqual(await gateway.footprint(), before);
});

proof(
  'the control socket has the group and the mode of the config; without a daemon the commands say so',
  { topology: 'classic', config: quick('classic', { top: { socket: { group: GROUP.name, mode: '0640' } } }) },
  async (gateway) => {
    const { mode, gid } = statSync(join(gateway.runDir, SOCKET_FILE));
    assert.equal((mode & 0o777).toString(8), '640');
    assert.equal(gid, GROUP.id);
    assert.equal(await gateway.end('SIGTERM'), 0);
    for (const words of [['status'], ['force', 'fast'], ['reload']]) {
      const { code, stderr } = await gateway.backroute(...words);
      assert.equal(code, 4, words.join(' '));
      assert.match(stderr, /no daemon/);
    }
    // The socket of one that was killed is in nobody's way.
    await gateway.start();
    await gateway.end('SIGKILL');
    await gateway.start();
    await gateway.judged();
  },
);
