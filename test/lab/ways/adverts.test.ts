/**
 * Router advertisements: a stranger's on the LAN are told within a second, and once; the uplinks' own on their own links are not;
 * and `gateway: auto` takes its IPv6 router from what the kernel makes of them. Needs root.
 */
import assert from 'node:assert/strict';
import { monotonicMs } from '../../../src/lab/clock.js';
import type { Lab } from '../../../src/lab/lab.js';
import { run } from '../../../src/lab/run.js';
import { inside } from '../../support/inside.js';
import { AdvertSender, routerAdvert } from '../../support/router-advert.js';
import { eventually, flowing, type Gateway, lasting } from '../proof/gateway.js';
import { measured, newOnesGoBy, quicker, wayProof } from './way.js';

async function sender(lab: Lab, node: string, source: string): Promise<AdvertSender> {
  const { stdout } = await run(['ip', '-n', lab.ns(node), '-j', 'link', 'show', 'dev', 'lan0']);
  const [link] = JSON.parse(stdout) as { readonly ifindex: number }[];
  return inside(lab.ns(node), () => new AdvertSender(link?.ifindex ?? assert.fail(), source));
}

/** One who was not there before. */
async function stranger(lab: Lab, source: string): Promise<AdvertSender> {
  await run(['ip', '-n', lab.ns('client'), 'addr', 'add', `${source}/64`, 'dev', 'lan0', 'nodad']);
  return sender(lab, 'client', source);
}

async function rogues(gateway: Gateway): Promise<string[]> {
  return (await gateway.events()).filter((one) => one.kind === 'rogue').map((one) => one.text);
}

wayProof(
  "a stranger's router advertisements on the LAN are told at once and once, a provider's on its own link never",
  { topology: 'two-nic', config: quicker('two-nic', { families: [4, 6] }) },
  async (gateway) => {
    const { lab } = gateway;
    const provider = await sender(lab, 'fast', 'fe80::1');
    const phone = await stranger(lab, 'fe80::66');
    const other = await stranger(lab, 'fe80::77');
    try {
      provider.send(routerAdvert({ prefixes: ['fd00:a1::/64'] }));
      const sentMs = monotonicMs();
      const sentWallMs = Date.now();
      phone.send(routerAdvert({ mac: '02:00:00:00:00:66', prefixes: ['2001:db8:bad::/64'] }));
      const told = await gateway.event('it is told', (one) => one.kind === 'rogue');
      measured(
        `a stranger's advertisement is an event ${told.wallMs - sentWallMs} ms after it was sent, and seen over the socket after ${Math.round(monotonicMs() - sentMs)} ms`,
      );
      assert.ok(told.wallMs - sentWallMs < 1000);
      assert.match(
        told.text,
        /^router fe80::66 \(02:00:00:00:00:66\) on lan0 offers itself to the network, with addresses of 2001:db8:bad::\/64: clients/,
      );
      assert.equal(told.severity, 'warning');
      const status = await gateway.status();
      assert.deepEqual(
        status.rogues.map(({ interface: name, from }) => [name, from]),
        [['lan0', 'fe80::66']],
      );
      assert.match(await gateway.order('status'), /fe80::66/);
      assert.match(gateway.log(), /router fe80::66/);

      // Repeated it is no news. The last one shows that everything before was heard.
      for (const one of [phone, provider, phone, phone]) one.send(routerAdvert({ prefixes: ['2001:db8:bad::/64'] }));
      other.send(routerAdvert());
      await eventually('the other one is told', async () => (await rogues(gateway)).some((text) => text.includes('fe80::77')));
      assert.equal((await rogues(gateway)).length, 2, (await rogues(gateway)).join('\n'));
      assert.ok((await rogues(gateway)).every((text) => !text.includes('fe80::1 ')));

      phone.send(routerAdvert({ lifetimeS: 0 }));
      await eventually('its end is told', async () => (await rogues(gateway)).some((text) => /fe80::66 .*is gone/.test(text)));
      assert.deepEqual(
        (await gateway.status()).rogues.map((one) => one.from),
        ['fe80::77'],
      );
    } finally {
      for (const one of [provider, phone, other]) one.close();
    }
  },
);

wayProof(
  '`gateway: auto` by router advertisements: learnt, taken back with a lifetime of 0, and learnt again',
  {
    topology: 'two-nic',
    variant: { bare: ['wan1'] },
    config: quicker('two-nic', {
      families: [6],
      uplinks: { fast: { gateway6: 'auto', interface: 'wan1' } },
    }),
    prepare: async ({ lab }) => {
      // A machine that forwards believes advertisements only if it is told to.
      await lab.exec('gateway', ['sh', '-c', 'echo 2 >/proc/sys/net/ipv6/conf/wan1/accept_ra']);
    },
    // The address and the network that were advertised.
    others: /fd00:a1:|^fe80::\/64 dev wan1|default via fe80::1 dev wan1 proto ra|fe80::1 dev wan1/,
  },
  async (gateway) => {
    const { lab } = gateway;
    await gateway.goesBy('backup', 6);
    assert.deepEqual([(await gateway.path('fast', 6)).health, (await gateway.path('fast', 6)).reason], ['down', 'no-gateway']);
    const router = await sender(lab, 'fast', 'fe80::1');
    const meter = await lab.meter({ family: 6 });
    await flowing(meter);
    try {
      for (const round of [1, 2]) {
        router.send(routerAdvert({ prefixes: ['fd00:a1::/64'] }));
        await gateway.goesBy('fast', 6);
        await newOnesGoBy(lab, 'fast', 6);
        const path = await gateway.path('fast', 6);
        assert.deepEqual([path.gateway, path.gatewaySource], ['fe80::1', 'route of ra'], `round ${round}`);
        await lasting(meter, 300);
        const sinceMs = monotonicMs();
        router.send(routerAdvert({ lifetimeS: 0 }));
        await gateway.goesBy('backup', 6);
        await flowing(meter);
        assert.equal((await gateway.path('fast', 6)).reason, 'no-gateway');
        const { longestGapMs } = await meter.stats(sinceMs);
        measured(`its router takes its advertisement back: a gap of ${Math.round(longestGapMs)} ms`);
        assert.ok(longestGapMs < 500, `a gap of ${longestGapMs} ms`);
      }
      assert.deepEqual(await rogues(gateway), [], "a provider's router is no stranger");
    } finally {
      router.close();
      await meter.stop();
    }
  },
);
