/** The config changes while the daemon runs. Needs root. */
import assert from 'node:assert/strict';
import type { StatusView } from '../../../src/core/messages.js';
import { quick } from './config-file.js';
import { eventually, flowing, type Gateway, proof } from './gateway.js';

const SLOW_BACK = { 'recover-after': '1h' };
const config = quick('classic', { defaults: SLOW_BACK });

/** The wall clock has whole milliseconds: an instant of the other clock, told twice, may differ so much. */
const CLOCKS_MS = 5;

async function sameSince(gateway: Gateway, before: StatusView): Promise<boolean> {
  const times = (view: StatusView) => view.uplinks.flatMap((one) => one.paths.map((path) => path.sinceWallMs));
  const former = times(before);
  return times(await gateway.status()).every((atMs, at) => Math.abs(atMs - (former[at] ?? 0)) <= CLOCKS_MS);
}

const invalid = [
  { name: 'unknown key', text: 'uplinks: {fast: {gateway: 192.168.1.253, targtes: [212.254.0.1]}}', says: /targets/ },
  {
    name: 'two uplinks with one gateway',
    text: 'uplinks: {a: {gateway: 192.168.1.1}, b: {gateway: 192.168.1.1}}',
    says: /192\.168\.1\.1/,
  },
  { name: 'empty', text: '', says: /uplinks|empty/ },
  { name: 'binary', text: '\u0000\u0001\u0002', says: /./ },
] as const;

proof('an invalid reload changes nothing and says what is wrong', { topology: 'classic', config }, async (gateway) => {
  await gateway.judged();
  await gateway.goesBy('fast');
  const before = await gateway.footprint();
  const status = await gateway.status();
  for (const { name, text, says } of invalid) {
    gateway.configure(text);
    const { code, stderr } = await gateway.backroute('reload');
    assert.equal(code, 2, name);
    assert.match(stderr, /nothing was changed/, name);
    assert.match(stderr, says, name);
  }
  const refusals = () => gateway.log().split('reload: nothing was changed').length - 1;
  const asked = refusals();
  gateway.signal('SIGHUP');
  await eventually('the refusal is logged', () => refusals() > asked);
  assert.ok(gateway.alive);
  assert.deepEqual(await gateway.footprint(), before);
  assert.ok(await sameSince(gateway, status), 'no uplink has begun anew');
  assert.deepEqual(await gateway.switches(), []);

  // What can be refused at reload is refused at the start as well, before anything is touched.
  await gateway.end('SIGTERM');
  gateway.configure(invalid[0].text);
  const { code, stderr } = await gateway.backroute('run');
  assert.equal(code, 2);
  assert.match(stderr, /targets/);
  assert.deepEqual(await gateway.footprint(), before);
});

proof('a valid reload keeps the state of every uplink that did not change', { topology: 'classic', config }, async (gateway) => {
  const { lab } = gateway;
  await gateway.judged();
  await lab.cut('fast', 'silent');
  await gateway.goesBy('backup');
  await lab.mend('fast');
  await gateway.event('fast is up again', (one) => one.kind === 'health' && one.uplink === 'fast' && one.from === 'down');
  const before = await gateway.path('fast');
  const footprint = await gateway.footprint();
  const meter = await lab.meter();
  await flowing(meter);

  // Another target for backup; nothing new for fast.
  gateway.configure(quick('classic', { defaults: SLOW_BACK, uplinks: { backup: { targets: ['1.1.1.1'] } } }));
  assert.match(await gateway.order('reload'), /is in force/);
  await eventually('backup is judged by its new target', async () => {
    const { health, targets } = await gateway.path('backup');
    return health === 'up' && targets.map((target) => target.label).join() === '1.1.1.1';
  });
  const after = await gateway.path('fast');
  assert.equal(after.health, 'up');
  assert.ok(Math.abs(after.sinceWallMs - before.sinceWallMs) <= CLOCKS_MS, 'since when it is up');
  assert.ok((after.holdDownLeftMs ?? 0) < (before.holdDownLeftMs ?? 0), 'its wait goes on, and does not begin anew');
  assert.equal((await gateway.family()).active, 'backup');
  assert.deepEqual(await gateway.footprint(), footprint, 'tables, rules and marks stay whose they were');

  // The patience itself changes: the wait that runs ends by the new one.
  gateway.configure(quick('classic', { uplinks: { backup: { targets: ['1.1.1.1'] } } }));
  gateway.signal('SIGHUP');
  await gateway.goesBy('fast');
  await flowing(meter);
  assert.equal((await meter.stop()).lost, 0);
});
