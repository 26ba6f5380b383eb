/**
 * From outside in by the uplink that is not active: a server in the LAN behind a port forward, and one on the gateway itself. What
 * is answered must leave by the uplink that was asked. Needs root.
 */
import assert from 'node:assert/strict';
import { CLIENT4 } from '../../../src/lab/topologies.js';
import { startCall } from '../../../src/lab/traffic/call.js';
import { forwardPort } from '../../../src/lab/traffic/forward.js';
import type { Place } from '../../../src/lab/traffic/places.js';
import { startStream } from '../../../src/lab/traffic/stream.js';
import { flowing, type Gateway } from '../proof/gateway.js';
import { failedMs, lastOf, measured, newOnesGoBy, ourTable, PROMPT_MS, quicker, wayProof } from './way.js';

const LAN_PORT = 8443;
const GATEWAY_PORT = 8444;
/** The gateway's address towards the backup's router. */
const GATEWAY = '10.2.0.2';

async function forwarded({ lab }: Gateway): Promise<Record<'lan' | 'gateway', Place>> {
  const lan = await forwardPort(lab, 'backup', { port: LAN_PORT });
  const { via } = await forwardPort(lab, 'backup', { port: GATEWAY_PORT, atGateway: false });
  const listen = { address: GATEWAY, port: GATEWAY_PORT };
  return { lan, gateway: { from: 'internet', to: 'gateway', listen, ...(via && { via }) } };
}

const places = new WeakMap<Gateway, Record<'lan' | 'gateway', Place>>();

async function prepare(gateway: Gateway): Promise<void> {
  places.set(gateway, await forwarded(gateway));
}

async function visit(gateway: Gateway) {
  const { lab } = gateway;
  return Promise.all(
    Object.entries(places.get(gateway) ?? {}).map(async ([to, place]) => ({
      to,
      call: await startCall(lab, place),
      // The server in the LAN sends on and on; nobody outside says a word meanwhile.
      download: await startStream(lab, place),
    })),
  );
}

wayProof(
  'inbound by the uplink that is not active: answers leave by it, whatever the active one goes through',
  { topology: 'two-nic', config: quicker('two-nic'), prepare },
  async (gateway) => {
    const { lab } = gateway;
    await gateway.goesBy('fast');
    const visits = await visit(gateway);
    const meter = await lab.meter();
    await flowing(meter);
    const cut = await lab.cut('fast', 'silent');
    await failedMs(gateway, 'fast', cut);
    await gateway.goesBy('backup');
    await flowing(meter);
    await lab.mend('fast');
    await gateway.goesBy('fast');
    await newOnesGoBy(lab, 'fast');
    await flowing(meter);
    await meter.stop();
    for (const { to, call, download } of visits) {
      const { out, back, strays } = await call.stop();
      assert.ok(back.received > 100, `${to}: ${back.received} packets came back`);
      assert.deepEqual({ out: out.lost, back: back.lost, strays }, { out: 0, back: 0, strays: {} }, to);
      const { connections, longestGapMs } = await download.stop();
      const [first] = connections;
      assert.deepEqual([connections.length, first?.closed ?? null], [1, null], to);
      measured(
        `to the ${to}: ${back.received} packets back, none astray or lost; the download's longest gap ${Math.round(longestGapMs)} ms`,
      );
    }

    // Their own uplink is lost: so are they, and the server is told, which would wait for ever.
    const places = await visit(gateway);
    const lost = await lab.cut('backup', 'silent');
    const knownMs = await failedMs(gateway, 'backup', lost);
    for (const { to, call, download } of places) {
      await gateway.event(
        'they are ended',
        (one) => one.kind === 'flows' && one.uplink === 'backup' && /it is lost/.test(one.text),
        lost.date.getTime(),
      );
      const { connections } = await download.stop();
      const closedMs = (lastOf(connections).closedAtServer?.atMs ?? Number.NaN) - knownMs;
      measured(
        `to the ${to}: the server was told ${Math.round(closedMs)} ms after the detection (${lastOf(connections).closedAtServer?.how})`,
      );
      assert.ok(closedMs < PROMPT_MS, `${to}: ${closedMs} ms`);
      await call.stop();
    }
  },
);

wayProof(
  '`inbound: active`: answers leave by the active uplink, from an address that nobody has asked',
  { topology: 'two-nic', config: quicker('two-nic', { top: { connections: { inbound: 'active' } } }), prepare },
  async (gateway) => {
    const { lab } = gateway;
    await gateway.goesBy('fast');
    assert.doesNotMatch(await ourTable(gateway), /iifname "wan2" ct mark set/);
    const place = places.get(gateway)?.lan ?? assert.fail();
    const call = await startCall(lab, place);
    const { out, back, strays } = await call.stop();
    assert.ok(out.received > 10, 'questions come in');
    assert.equal(back.received, 0, 'and no answer comes from whom they went to');
    assert.ok(
      Object.keys(strays).some((from) => from.startsWith(`${lab.uplink('fast').public4} `)),
      JSON.stringify(strays),
    );
    assert.equal(place.listen?.address, CLIENT4);
  },
);
