/** `gateway: auto` under a real udhcpc, whose script takes our default away before it adds its own. Needs root. */
import assert from 'node:assert/strict';
import { Udhcpc } from '../../support/dhcp.js';
import { flowing, lasting } from '../proof/gateway.js';
import { autoProof, goesTo, toldGateways } from './auto-gateway.js';
import { OTHER_ROUTER, ROUTER } from './stage.js';

autoProof('bound, renewed, another router: no traffic stands still', 'udhcpc', async ({ gateway, hintsDir, server }) => {
  const { lab } = gateway;
  const client = await Udhcpc.start(lab, 'gateway', { interface: 'wan1', hintsDir });
  await goesTo(gateway, ROUTER);
  const meter = await lab.meter();
  await flowing(meter);
  const sinceWallMs = Date.now();
  await client.renew();
  await lasting(meter, 500);
  assert.deepEqual(await gateway.switches(sinceWallMs), []);
  await server.announce(OTHER_ROUTER);
  await client.renew();
  await goesTo(gateway, OTHER_ROUTER);
  await lasting(meter, 500);
  const { longestGapMs } = await meter.stop();
  assert.ok(longestGapMs < 100, `a gap of ${longestGapMs} ms`);
  assert.deepEqual(await gateway.switches(sinceWallMs), []);
  const told = await toldGateways(gateway, sinceWallMs);
  assert.equal(told.length, 1, told.join(', '));
  assert.match(told[0] ?? '', new RegExp(`^${OTHER_ROUTER.replaceAll('.', '\\.')} `));
  await client.end();
});

autoProof('released: the backup takes over, and not a moment is without a way', 'udhcpc', async ({ gateway, hintsDir }) => {
  const { lab } = gateway;
  const client = await Udhcpc.start(lab, 'gateway', { interface: 'wan1', hintsDir });
  await goesTo(gateway, ROUTER);
  const meter = await lab.meter();
  await flowing(meter);
  await client.release();
  await gateway.goesBy('backup');
  await flowing(meter);
  const { longestGapMs } = await meter.stop();
  assert.ok(longestGapMs < 500, `a gap of ${longestGapMs} ms`);
  await client.end();
});
