/** `gateway: auto` under a real dhclient: bound, renewed, another router, expired, back. Needs root. */
import assert from 'node:assert/strict';
import { run } from '../../../src/lab/run.js';
import { until } from '../../../src/lab/until.js';
import { Dhclient } from '../../support/dhcp.js';
import { eventually, flowing, lasting } from '../proof/gateway.js';
import { autoProof, goesTo, toldGateways } from './auto-gateway.js';
import { OTHER_ROUTER, ROUTER } from './stage.js';

autoProof(
  'bound while the backup carries everything: its router is found and used',
  'dhclient',
  async ({ gateway, hintsDir }) => {
    const { lab } = gateway;
    const client = await Dhclient.start(lab, 'gateway', { interface: 'wan1', hintsDir });
    // The client's own route was refused unseen: metric 0 is taken by the backup.
    await goesTo(gateway, ROUTER);
    assert.deepEqual(await toldGateways(gateway), [`${ROUTER} (dhclient's hook)`]);
    assert.deepEqual(await gateway.switches(), ['null -> backup (starting)', 'backup -> fast (preferred)']);
    await client.end();
  },
);

autoProof('renewed again and again: no packet takes another way, nothing is told', 'dhclient', async ({ gateway, hintsDir }) => {
  const { lab } = gateway;
  const client = await Dhclient.start(lab, 'gateway', { interface: 'wan1', hintsDir, leaseS: 6, renewS: 1, rebindS: 4 });
  await goesTo(gateway, ROUTER);
  const meter = await lab.meter();
  await flowing(meter);
  const sinceWallMs = Date.now();
  const renewals = () => client.log().split('DHCPACK').length;
  const from = renewals();
  assert.ok(await until(() => renewals() >= from + 3, 20_000), 'three renewals');
  const { lost, longestGapMs } = await meter.stop();
  assert.ok(longestGapMs < 100, `a gap of ${longestGapMs} ms, ${lost} lost`);
  assert.deepEqual(await gateway.switches(sinceWallMs), []);
  assert.deepEqual(await toldGateways(gateway, sinceWallMs), []);
  await client.end();
});

autoProof(
  'a renewal names another router: the route follows, no traffic stands still',
  'dhclient',
  async ({ gateway, hintsDir, server }) => {
    const { lab } = gateway;
    const client = await Dhclient.start(lab, 'gateway', { interface: 'wan1', hintsDir });
    await goesTo(gateway, ROUTER);
    const meter = await lab.meter();
    await flowing(meter);
    const sinceWallMs = Date.now();
    await server.announce(OTHER_ROUTER);
    await goesTo(gateway, OTHER_ROUTER);
    await lasting(meter, 500);
    const { longestGapMs } = await meter.stop();
    assert.ok(longestGapMs < 100, `a gap of ${longestGapMs} ms`);
    assert.deepEqual(await toldGateways(gateway, sinceWallMs), [`${OTHER_ROUTER} (dhclient's hook)`]);
    assert.deepEqual(await gateway.switches(sinceWallMs), []);
    await client.end();
  },
);

autoProof(
  'killed after that, while a route of former days still names the old router: it comes back to the new one at once',
  'dhclient',
  async ({ gateway, hintsDir, server }) => {
    const { lab } = gateway;
    const client = await Dhclient.start(lab, 'gateway', { interface: 'wan1', hintsDir });
    await goesTo(gateway, ROUTER);
    await run(['ip', '-n', lab.ns('gateway'), 'route', 'add', 'default', 'via', ROUTER, 'dev', 'wan1', 'metric', '500']);
    await server.announce(OTHER_ROUTER);
    await goesTo(gateway, OTHER_ROUTER);
    await gateway.judged();
    const meter = await lab.meter();
    await flowing(meter);
    const sinceWallMs = Date.now();
    await gateway.end('SIGKILL');
    await gateway.start();
    await gateway.judged();
    await lasting(meter, 1_000);
    await goesTo(gateway, OTHER_ROUTER);
    const { longestGapMs } = await meter.stop();
    assert.deepEqual(await toldGateways(gateway, sinceWallMs), [], 'nothing is news');
    assert.ok(longestGapMs < 100, `a gap of ${longestGapMs} ms`);
    await client.end();
  },
);

autoProof('the lease ends: the backup takes over; bound again: back', 'dhclient', async ({ gateway, hintsDir, server }) => {
  const { lab } = gateway;
  const client = await Dhclient.start(lab, 'gateway', { interface: 'wan1', hintsDir, leaseS: 4, renewS: 2, rebindS: 3 });
  await goesTo(gateway, ROUTER);
  const meter = await lab.meter();
  await flowing(meter);
  const sinceWallMs = Date.now();
  await server.stop();
  await gateway.goesBy('backup');
  await flowing(meter);
  const { longestGapMs } = await meter.stop();
  assert.ok(longestGapMs < 1000, `a gap of ${longestGapMs} ms`);
  const [first] = await gateway.switches(sinceWallMs);
  assert.match(first ?? '', /^fast -> backup \((no-gateway|no-address)\)$/);
  await server.serve();
  await goesTo(gateway, ROUTER);
  await client.end();
});

autoProof(
  'the daemon is killed and comes back: it knows the router, and asks nobody',
  'dhclient',
  async ({ gateway, hintsDir, server }) => {
    const { lab } = gateway;
    const client = await Dhclient.start(lab, 'gateway', { interface: 'wan1', hintsDir, leaseS: 60, renewS: 40, rebindS: 50 });
    await goesTo(gateway, ROUTER);
    await gateway.judged();
    const meter = await lab.meter();
    await flowing(meter);
    await gateway.end('SIGKILL');
    await server.stop();
    await gateway.start();
    await gateway.judged();
    await eventually('fast is up', async () => (await gateway.path('fast')).health === 'up');
    await goesTo(gateway, ROUTER);
    const { longestGapMs } = await meter.stop();
    assert.ok(longestGapMs < 100, `a gap of ${longestGapMs} ms`);
    await client.end();
  },
);
