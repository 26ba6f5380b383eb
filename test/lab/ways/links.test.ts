/**
 * Links that are not like others: a modem of the gateway's own without any next hop, two routers with the same addresses, an
 * interface that changes its name. Needs root.
 */
import assert from 'node:assert/strict';
import { startCall } from '../../../src/lab/traffic/call.js';
import { eventually, flowing, type Gateway, lasting } from '../proof/gateway.js';
import { failedMs, measured, newOnesGoBy, ourTable, PROMPT_MS, quicker, resumedMs, wayProof } from './way.js';

const FAMILIES = [4, 6] as const;

/** Waits until the kernel sends what has no better route into the modem, without any gateway. */
async function goesByModem(gateway: Gateway): Promise<void> {
  for (const family of FAMILIES) {
    await eventually(`IPv${family} goes by the modem`, async () => {
      const [first] = await gateway.defaults(family);
      return first?.dev === 'ppp0' && first.gateway === undefined && first.protocol === '110';
    });
  }
}

async function indexOf(gateway: Gateway, device: string): Promise<number> {
  const found = JSON.parse(await gateway.ip(`-j link show dev ${device}`)) as { readonly ifindex: number }[];
  return found[0]?.ifindex ?? assert.fail(`${device} has no index`);
}

wayProof(
  'point-to-point: no gateway is needed; it carries a call, loses its carrier, vanishes and comes back as another',
  {
    topology: 'point-to-point',
    // Who comes back has the defaults of a machine that forwards.
    others: /ppp0\/accept_ra:/,
    config: quicker('point-to-point', {
      families: FAMILIES,
      uplinks: { backup: { gateway: 'auto', gateway6: 'auto', interface: 'ppp0' } },
    }),
  },
  async (gateway) => {
    const { lab } = gateway;
    for (const family of FAMILIES) {
      await gateway.goesBy('fast', family);
      const path = await gateway.path('backup', family);
      assert.deepEqual([path.health, path.gateway, path.gatewaySource], ['up', null, 'point-to-point link']);
    }
    const call = await startCall(lab);
    const cut = await lab.cut('fast', 'silent');
    await goesByModem(gateway);
    const intoModemMs = (await resumedMs(call, cut, 'backup')) - (await failedMs(gateway, 'fast', cut));

    const mended = await lab.mend('fast');
    for (const family of FAMILIES) await gateway.goesBy('fast', family);
    await newOnesGoBy(lab, 'fast');
    const { out, back, sources } = await call.report(mended.monotonicMs);
    assert.deepEqual([out.lost, back.lost, sources.at(-1)?.uplink], [0, 0, 'backup'], 'the call finishes on the modem');

    const unplugged = await lab.cut('backup', 'carrier');
    const knownMs = await failedMs(gateway, 'backup', unplugged);
    const outOfItMs = (await resumedMs(call, unplugged, 'fast')) - knownMs;
    assert.equal((await gateway.path('backup')).reason, 'carrier-lost');
    measured(
      `point-to-point: the call is back ${Math.round(intoModemMs)} ms after the detection on the modem, ${Math.round(outOfItMs)} ms after the modem's lost carrier, which took ${Math.round(knownMs - unplugged.monotonicMs)} ms to see`,
    );
    assert.ok(intoModemMs < PROMPT_MS && outOfItMs < PROMPT_MS, `${intoModemMs} ms, ${outOfItMs} ms`);
    await lab.mend('backup');
    for (const family of FAMILIES)
      await eventually('it is up again', async () => (await gateway.path('backup', family)).health === 'up');

    const index = await indexOf(gateway, 'ppp0');
    await lab.cut('backup', 'gone');
    await eventually('it is missed', async () => (await gateway.path('backup')).reason === 'interface-gone');
    // Somebody else takes its number meanwhile.
    await gateway.ip(`link add other0 index ${index} type veth peer name other1`);
    await lab.mend('backup');
    assert.notEqual(await indexOf(gateway, 'ppp0'), index);
    for (const family of FAMILIES)
      await eventually('it is up again', async () => (await gateway.path('backup', family)).health === 'up');
    await gateway.ip('link del other0');
    await lab.cut('fast', 'carrier');
    await goesByModem(gateway);
    await eventually('the call goes by it', async () => (await call.report()).sources.at(-1)?.uplink === 'backup');
    await lab.mend('fast');
    for (const family of FAMILIES) await gateway.goesBy('fast', family);
    assert.deepEqual((await call.stop()).strays, {});
  },
);

wayProof(
  'two routers with the same addresses: each is asked by its own interface, and one fails without the other',
  { topology: 'same-gateway', config: quicker('same-gateway', { families: FAMILIES }) },
  async (gateway) => {
    const { lab } = gateway;
    const meters = [await lab.meter({ family: 4 }), await lab.meter({ family: 6 })];
    const goesBy = async (uplink: string): Promise<void> => {
      for (const family of FAMILIES) await gateway.goesBy(uplink, family);
      await newOnesGoBy(lab, uplink);
      for (const meter of meters) await flowing(meter);
    };
    await goesBy('fast');
    // Where the other answered in its name it would be taken for alive.
    await lab.cut('fast', 'router');
    await goesBy('backup');
    await lab.mend('fast');
    await goesBy('fast');
    for (const meter of meters) await meter.stop();
    const told = (await gateway.events()).filter((one) => one.kind === 'health' && one.to === 'down');
    assert.deepEqual([...new Set(told.map((one) => one.uplink))], ['fast'], 'the backup was never taken for dead');

    await lab.cut('backup', 'router');
    for (const family of FAMILIES) {
      await eventually('the backup is down', async () => (await gateway.path('backup', family)).health === 'down');
      assert.equal((await gateway.path('fast', family)).health, 'up');
    }
    await lab.mend('backup');
  },
);

wayProof(
  'an interface is renamed away and back, and one that has another name beside is found by that',
  {
    topology: 'two-nic',
    config: quicker('two-nic', { uplinks: { fast: { interface: 'wan1' }, backup: { interface: 'cable-box' } } }),
    prepare: async (gateway) => {
      await gateway.ip('link property add dev wan2 altname cable-box');
    },
  },
  async (gateway) => {
    const { lab } = gateway;
    await gateway.goesBy('fast');
    assert.equal((await gateway.path('backup')).interface, 'wan2');
    const meter = await lab.meter();
    await flowing(meter);
    const call = await startCall(lab);
    await gateway.ip('link set dev wan1 name holiday');
    await gateway.goesBy('backup');
    assert.equal((await gateway.path('fast')).reason, 'interface-gone');
    await flowing(meter);
    await gateway.ip('link set dev holiday name wan1');
    await gateway.goesBy('fast');
    await newOnesGoBy(lab, 'fast');
    await lasting(meter, 300);
    assert.deepEqual((await call.stop()).strays, {});

    // Renamed it still has its other name: nobody is moved, and what is said of it in nftables follows.
    await lab.cut('fast', 'silent');
    await gateway.goesBy('backup');
    await newOnesGoBy(lab, 'backup');
    const onIt = await startCall(lab);
    const sinceWallMs = Date.now();
    await gateway.ip('link set dev wan2 name wan9');
    await eventually('nftables has the new name', async () => (await ourTable(gateway)).includes('oifname "wan9"'));
    await lasting(meter, 500);
    assert.deepEqual(await gateway.switches(sinceWallMs), []);
    assert.equal((await gateway.path('backup')).health, 'up');
    const { out, back, sources } = await onIt.stop();
    assert.deepEqual([out.lost + back.lost, sources.map((one) => one.uplink)], [0, ['backup']]);
    await meter.stop();
    await gateway.ip('link set dev wan9 name wan2');
    await lab.mend('fast');
    await gateway.goesBy('fast');
  },
);
