/** udhcpc with Debian's script behind a default route of ours: it takes away what is not its own. Needs root. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../../../src/lab/until.js';
import { Udhcpc } from '../../support/dhcp.js';
import type { RouteEvent } from '../../support/dhcp-monitor.js';
import { type DhcpStage, dhcpTest, OTHER_ROUTER, ROUTER } from './stage.js';

const HOOK = "udhcpc's hook";
const OURS = `default via ${ROUTER} dev wan1 proto 110`;
const BEHIND = 'default via 10.2.0.1 dev wan2 proto 110 metric 1';

async function bound(stage: DhcpStage): Promise<Udhcpc> {
  await stage.listen();
  const client = await Udhcpc.start(stage.lab, 'gateway', { interface: 'wan1', hintsDir: stage.hintsDir });
  await stage.hint(ROUTER, HOOK);
  await stage.ip(`route replace ${OURS}`);
  await stage.ip(`route add ${BEHIND}`);
  return client;
}

/** What a renewal does to default routes. */
async function renewal(stage: DhcpStage, client: Udhcpc): Promise<readonly RouteEvent[]> {
  const path = join(stage.hintsDir, 'wan1-4-udhcpc');
  const { ino } = statSync(path);
  const before = (await stage.monitor.events()).length;
  await client.renew();
  // The hint is the last that the script does, and each is a new file.
  assert.ok(await until(() => statSync(path).ino !== ino, 5000), 'the script has ended');
  return (await stage.monitor.events()).slice(before).filter((event) => event.text.includes('default'));
}

dhcpTest('the same router again: its add fails unseen, ours stays', 'udhcpc', async (stage) => {
  const client = await bound(stage);
  assert.deepEqual(await renewal(stage, client), []);
  assert.match(client.log(), /File exists/);
  await client.end();
});

dhcpTest('another router: it takes our default of that interface away and adds its own', 'udhcpc', async (stage, t) => {
  const client = await bound(stage);
  await stage.server.announce(OTHER_ROUTER);
  const events = await renewal(stage, client);
  assert.deepEqual(
    events.map((event) => event.text),
    [`Deleted ${OURS}`, `default via ${OTHER_ROUTER} dev wan1`],
  );
  const gapMs = (events[1]?.wallMs ?? 0) - (events[0]?.wallMs ?? 0);
  t.diagnostic(`without a default by wan1 for ${gapMs.toFixed(0)} ms; the next one, by wan2, stood all the time`);
  assert.ok(gapMs < 500);
  await stage.hint(OTHER_ROUTER, HOOK);
  await client.end();
});

dhcpTest(
  'a second default by the same interface confuses it: it takes both, though its router is the same',
  'udhcpc',
  async (stage) => {
    const client = await bound(stage);
    const second = `default via ${OTHER_ROUTER} dev wan1 proto 110 metric 2`;
    await stage.ip(`route add ${second}`);
    const events = await renewal(stage, client);
    assert.deepEqual(
      events.map((event) => event.text),
      [`Deleted ${OURS}`, `Deleted ${second}`, `default via ${ROUTER} dev wan1`],
    );
    await client.end();
  },
);

dhcpTest(
  'our default goes by another interface: its own cannot be added, and only the hint says its router',
  'udhcpc',
  async (stage) => {
    const client = await bound(stage);
    await stage.ip('route replace default via 10.2.0.1 dev wan2 proto 110');
    await stage.server.announce(OTHER_ROUTER);
    assert.deepEqual(await renewal(stage, client), []);
    await stage.hint(OTHER_ROUTER, HOOK);
    await client.end();
  },
);
