/**
 * ISC dhclient with Debian's script behind a default route of ours: what it does to the routes, what it does not, and what
 * the hook and the lease file tell. Needs root.
 */
import assert from 'node:assert/strict';
import { run } from '../../../src/lab/run.js';
import { until } from '../../../src/lab/until.js';
import { Dhclient } from '../../support/dhcp.js';
import { dhcpTest, OTHER_ROUTER, ROUTER } from './stage.js';

const HOOK = "dhclient's hook";
const LEASE = "dhclient's lease";
const OURS = `default via ${ROUTER} dev wan1 proto 110`;

dhcpTest('a lease is told by the hook and by its file, within a moment', 'dhclient', async (stage, t) => {
  const { lab, hintsDir } = stage;
  await stage.listen();
  const client = await Dhclient.start(lab, 'gateway', { interface: 'wan1', hintsDir });
  const hint = await stage.hint(ROUTER, HOOK);
  const route = (await stage.monitor.events()).find((event) => event.text === `default via ${ROUTER} dev wan1`);
  assert.ok(route, 'the script sets its route while nobody else has one');
  t.diagnostic(`from dhclient's own route to our hint: ${(hint.wallMs - route.wallMs).toFixed(0)} ms`);
  assert.ok(hint.wallMs - route.wallMs < 500);
  await client.end();
});

dhcpTest('a renewal announces another router: no route changes, and the hint says it', 'dhclient', async (stage, t) => {
  const { lab, hintsDir, server } = stage;
  await stage.listen();
  const client = await Dhclient.start(lab, 'gateway', { interface: 'wan1', hintsDir });
  await stage.hint(ROUTER, HOOK);
  await stage.ip(`route replace ${OURS}`);
  await server.announce(OTHER_ROUTER);
  const before = (await stage.monitor.events()).length;
  await stage.hint(OTHER_ROUTER, HOOK, 0, 10_000);
  const events = (await stage.monitor.events()).slice(before).map((event) => event.text);
  t.diagnostic(`all that the kernel told: ${events.join('; ')}`);
  // With the same address the script only lengthens its life.
  assert.deepEqual(
    events.filter((text) => text.includes('default')),
    [],
  );
  assert.deepEqual(await stage.defaults(), [OURS]);
  await client.end();
});

dhcpTest(
  'started again behind our default: its own route fails unseen, file and hook say the router',
  'dhclient',
  async (stage) => {
    const { lab, hintsDir, server } = stage;
    const first = await Dhclient.start(lab, 'gateway', { interface: 'wan1', hintsDir: null });
    await stage.ip(`route replace ${OURS}`);
    await stage.listen(first.leaseDir);
    await stage.hint(ROUTER, LEASE);
    await first.end();
    await server.announce(OTHER_ROUTER);
    const before = (await stage.monitor.events()).length;
    // It asks for its old address again (REBOOT): the script does try to set a route.
    const second = await Dhclient.start(lab, 'gateway', { interface: 'wan1', hintsDir, leaseS: 60, renewS: 40 });
    await stage.hint(OTHER_ROUTER, LEASE);
    await stage.hint(OTHER_ROUTER, HOOK);
    const events = (await stage.monitor.events()).slice(before).map((event) => event.text);
    assert.deepEqual(
      events.filter((text) => text.includes('default')),
      [],
    );
    assert.deepEqual(await stage.defaults(), [OURS]);
    assert.doesNotMatch(second.log(), /File exists/, 'the script hides why');
    await second.end();
  },
);

dhcpTest('its server is gone: another one takes over the lease, and its router is told', 'dhclient', async (stage) => {
  const { lab, hintsDir, server } = stage;
  await stage.listen();
  const client = await Dhclient.start(lab, 'gateway', { interface: 'wan1', hintsDir, leaseS: 20, renewS: 2, rebindS: 3 });
  await stage.hint(ROUTER, HOOK);
  await stage.ip(`route replace ${OURS}`);
  // Requests to the old server's address find nobody; those to everybody find the new one.
  await server.stop();
  const fast = ['ip', '-n', lab.ns('fast'), 'addr'];
  await run([...fast, 'flush', 'dev', 'lan0']);
  await run([...fast, 'add', `${OTHER_ROUTER}/24`, 'dev', 'lan0']);
  await server.announce(OTHER_ROUTER);
  await server.serve();
  await stage.hint(OTHER_ROUTER, HOOK, 0, 20_000);
  assert.match(client.log(), /DHCPREQUEST for \S+ on wan1 to 255\.255\.255\.255/);
  assert.deepEqual(await stage.defaults(), [OURS]);
  await client.end();
});

dhcpTest('nobody answers any more: the lease ends, and so does what was told of it', 'dhclient', async (stage, t) => {
  const { lab, hintsDir, server } = stage;
  const client = await Dhclient.start(lab, 'gateway', { interface: 'wan1', hintsDir, leaseS: 4, renewS: 2, rebindS: 3 });
  await stage.listen(client.leaseDir);
  await stage.hint(ROUTER, HOOK);
  await stage.ip(`route replace ${OURS}`);
  await server.stop();
  const before = (await stage.monitor.events()).length;
  const from = stage.told.length;
  const gone = await stage.hint(null, HOOK, from, 15_000);
  await stage.hint(null, LEASE, 0, 15_000);
  assert.ok(await until(async () => (await stage.defaults()).length === 0, 5000), 'our route went with the address');
  const events = (await stage.monitor.events()).slice(before);
  const address = events.find((event) => /^Deleted \d+: wan1\s+inet 10\.1\.0\./.test(event.text));
  assert.ok(address, 'the address is deleted');
  t.diagnostic(`from the end of the address to our hint: ${(gone.wallMs - address.wallMs).toFixed(0)} ms`);
  assert.ok(Math.abs(gone.wallMs - address.wallMs) < 2500, 'both at the end of the lease');
  // The kernel drops every route of an interface with its last address, and says so of none that was ours.
  assert.deepEqual(
    events.filter((event) => event.text.includes('default')).map((event) => event.text),
    [],
  );
  await server.serve();
  await stage.hint(ROUTER, HOOK, stage.told.indexOf(gone), 20_000);
  await client.end();
});
