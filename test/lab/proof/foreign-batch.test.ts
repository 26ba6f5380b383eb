/** A routing daemon or a restart of docker floods the kernel's notifications while we do not read them. Needs root. */
import assert from 'node:assert/strict';
import { run } from '../../../src/lab/run.js';
import { quick } from './config-file.js';
import { eventually, flowing, proof } from './gateway.js';

const ROUTES = 6000;

proof(
  '6,000 foreign routes while the daemon is stopped: it lives, reads anew, switches nothing',
  { topology: 'classic', config: quick('classic') },
  async (gateway) => {
    const { lab } = gateway;
    await gateway.judged();
    await gateway.goesBy('fast');
    await gateway.judged();
    const meter = await lab.meter();
    await flowing(meter);
    const foreign = Array.from(
      { length: ROUTES },
      (_, i) => `10.${100 + (i >> 8)}.${i & 255}.0/24 via ${lab.uplink('backup').gateway4} dev lan0 proto bird`,
    );
    const batch = (verb: string) =>
      run(['ip', '-n', lab.ns('gateway'), '-batch', '-'], { input: foreign.map((one) => `route ${verb} ${one}\n`).join('') });

    gateway.signal('SIGSTOP');
    await batch('add');
    // Among the flood, one change that matters: it must not be lost with it.
    await gateway.ip('route del default metric 0');
    gateway.signal('SIGCONT');
    await gateway.goesBy('fast');
    await gateway.event('the drift is told', (one) => one.kind === 'drift');
    assert.ok(gateway.alive);
    assert.equal((await gateway.ip('-4 route show proto bird')).trim().split('\n').length, ROUTES, 'they are not ours to touch');

    // And in its face, while it runs.
    await batch('del');
    await eventually('the daemon still answers', async () => (await gateway.path('fast')).health === 'up');
    await flowing(meter);
    assert.ok(gateway.alive);
    assert.deepEqual(await gateway.switches(), []);
    assert.equal((await meter.stop()).lost, 0);
  },
);
