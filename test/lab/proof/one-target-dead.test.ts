/** One of two targets of the preferred uplink dies; the uplink works. Needs root. */
import assert from 'node:assert/strict';
import { quick } from './config-file.js';
import { eventually, flowing, proof } from './gateway.js';

const FIRST = '212.254.0.1';
const SECOND = '100.64.0.1';
const config = quick('classic', { uplinks: { fast: { targets: [FIRST, SECOND] } } });

proof('one of two targets dead: told, and no switch', { topology: 'classic', config }, async (gateway) => {
  const { lab } = gateway;
  await gateway.judged();
  await gateway.goesBy('fast');
  const meter = await lab.meter();
  await flowing(meter);

  const isp = lab.uplink('fast').isp;
  await lab.exec(isp, ['ip', 'addr', 'del', `${SECOND}/32`, 'dev', 'lo']);
  await lab.exec(isp, ['ip', 'route', 'add', 'blackhole', SECOND]);
  const dead = await gateway.event('the dead target is told', (one) => one.kind === 'target');
  assert.deepEqual([dead.uplink, dead.severity, dead.data.target], ['fast', 'warning', SECOND]);
  const path = await gateway.path('fast');
  assert.equal(path.health, 'up');
  assert.deepEqual(
    path.targets.map(({ label, alive }) => [label, alive]),
    [
      [FIRST, true],
      [SECOND, false],
    ],
  );
  assert.deepEqual(await gateway.switches(), []);
  assert.match((await gateway.status()).problems.join('\n'), /fast.*100\.64\.0\.1 has not answered/);

  await lab.exec(isp, ['ip', 'route', 'del', 'blackhole', SECOND]);
  await lab.exec(isp, ['ip', 'addr', 'add', `${SECOND}/32`, 'dev', 'lo']);
  await gateway.event('its return is told', (one) => one.kind === 'target' && /again/.test(one.text));
  await eventually('no problem is left', async () => (await gateway.status()).problems.length === 0);
  assert.deepEqual(await gateway.switches(), []);
  assert.equal((await meter.stop()).lost, 0);
});
