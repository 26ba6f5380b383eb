/**
 * A mixed machine: the preferred uplink has a network card for itself, the backup's router stands in the LAN among the clients. What
 * clients send comes in by the same interface as what that router sends, and what the gateway sends to clients leaves by it.
 * Needs root.
 */
import assert from 'node:assert/strict';
import { run } from '../../../src/lab/run.js';
import { CLIENT4, SERVER4 } from '../../../src/lab/topologies.js';
import { type Call, startCall } from '../../../src/lab/traffic/call.js';
import { forwardPort } from '../../../src/lab/traffic/forward.js';
import { type Stream, startStream } from '../../../src/lab/traffic/stream.js';
import { eventually, type Gateway } from '../proof/gateway.js';
import { failedMs, lastOf, measured, newOnesGoBy, ourTable, PROMPT_MS, quicker, resumedMs, wayProof } from './way.js';

/** The backup's router in the LAN. */
const ROUTER4 = '192.168.1.1';
const ROUTER6 = 'fe80::b1';
const GATEWAY = '192.168.1.2';
/** of a server in the LAN that is reached by the backup */
const PORT = 8443;

async function intoTheLan({ lab }: Gateway): Promise<void> {
  const ip = (node: string, words: string) => run(['ip', '-n', lab.ns(node), ...words.split(' ')]);
  // Ends of one index would be told of carrier changes once a second only.
  await ip('switch', `link add backup-lan index 90 type veth peer name lan1 index 91 netns ${lab.ns('backup')}`);
  await ip('switch', 'link set dev backup-lan master lan up');
  await ip('backup', `addr add ${ROUTER4}/24 dev lan1`);
  await ip('backup', `addr add ${ROUTER6}/64 dev lan1 nodad`);
  await ip('backup', 'addr add fd00:1::b1/64 dev lan1 nodad');
  await ip('backup', 'link set dev lan1 up');
  // Where another network were left the LAN could be there.
  await ip('gateway', 'link set dev wan2 down');
  const forward = `iifname lan0 ip daddr ${GATEWAY} tcp dport ${PORT} dnat to ${CLIENT4}:${PORT}`;
  const chain = `chain prerouting { type nat hook prerouting priority -100; ${forward}; }`;
  await lab.exec('gateway', ['nft', `table ip theirs {\n${chain}\n}\n`]);
}

const config = quicker('two-nic', {
  families: [4, 6],
  uplinks: { backup: { gateway: ROUTER4, gateway6: ROUTER6, interface: 'lan0' } },
  top: { masquerade: true },
});

async function leftLan(gateway: Gateway, family: 4 | 6): Promise<void> {
  await eventually(`IPv${family} goes by the router in the LAN`, async () => {
    const [first] = await gateway.defaults(family);
    return first?.dev === 'lan0' && first.gateway === (family === 4 ? ROUTER4 : ROUTER6);
  });
}

wayProof(
  "a mixed machine: LAN clients are nobody's inbound, what goes to the LAN is never ended, both uplinks fail over",
  { topology: 'two-nic', variant: { masquerade: false }, config, prepare: intoTheLan },
  async (gateway) => {
    const { lab } = gateway;
    await gateway.goesBy('fast');
    await gateway.goesBy('fast', 6);
    await eventually('the router in the LAN is known by its MAC', async () => /ether saddr/.test(await ourTable(gateway)));

    // The gateway's own connections with the LAN, both ways round, and the router in the LAN as a mere neighbour.
    const toLan = { from: 'gateway', to: 'client', listen: { address: CLIENT4 } } as const;
    const fromLan = { from: 'client', to: 'gateway', listen: { address: GATEWAY } } as const;
    const withRouter = { from: 'gateway', to: 'backup', listen: { address: ROUTER4 } } as const;
    const local: [string, Call | Stream][] = [];
    for (const [what, place] of Object.entries({ toLan, fromLan, withRouter })) {
      local.push([`call ${what}`, await startCall(lab, place)], [`stream ${what}`, await startStream(lab, place)]);
    }
    const calls = [await startCall(lab), await startCall(lab, { family: 6 })];
    const inbound = await forwardPort(lab, 'backup', { port: PORT, gatewayAddress: GATEWAY, atGateway: false });
    const visitors = await startStream(lab, inbound);
    assert.ok((await visitors.report()).bytes > 0, 'the port forward by the router in the LAN works while it is not active');

    // Packets of both calls, of the visitors and of the client's own come in by the LAN's interface: each has the mark of its way.
    const marks = await marksOf(gateway);
    assert.deepEqual(marks(CLIENT4, SERVER4), ['fast'], 'a client that goes out by the fast uplink is not taken for inbound');
    assert.deepEqual(marks(SERVER4, GATEWAY), ['backup']);
    for (const [one, other] of [
      [CLIENT4, GATEWAY],
      [GATEWAY, CLIENT4],
      [GATEWAY, ROUTER4],
    ] as const) {
      assert.deepEqual(marks(one, other), ['none'], `${one} -> ${other}`);
    }

    const cut = await lab.cut('fast', 'silent');
    await leftLan(gateway, 4);
    await leftLan(gateway, 6);
    for (const [at, call] of calls.entries()) {
      const knownMs = await failedMs(gateway, 'fast', cut, at === 0 ? 4 : 6);
      const tookMs = (await resumedMs(call, cut, 'backup')) - knownMs;
      measured(`IPv${at === 0 ? 4 : 6}: the call is back ${Math.round(tookMs)} ms after the detection`);
      assert.ok(tookMs < PROMPT_MS, `the call was back after ${tookMs} ms`);
    }
    await lab.mend('fast');
    await gateway.goesBy('fast');
    await gateway.goesBy('fast', 6);
    await newOnesGoBy(lab, 'fast');

    assert.equal(lastOf((await visitors.report()).connections).closedAtServer, null, 'visitors have noticed nothing');

    // Now the backup is lost, with what came in by it and what drains on it.
    const lost = await lab.cut('backup', 'silent');
    await failedMs(gateway, 'backup', lost);
    await gateway.event(
      'its connections are ended',
      (one) => one.kind === 'flows' && /backup were ended: it is lost/.test(one.text),
      lost.date.getTime(),
    );
    for (const call of calls) {
      await eventually('the call goes on by the fast one', async () => (await call.report()).sources.at(-1)?.uplink === 'fast');
      await call.stop();
    }
    await eventually(
      'the visitor learns of it',
      async () => lastOf((await visitors.report()).connections).closedAtServer !== null,
    );
    await visitors.stop();
    for (const [what, one] of local) {
      const report = await one.stop();
      if ('out' in report) assert.equal(report.out.lost + report.back.lost, 0, what);
      else assert.deepEqual([report.connections.length, lastOf(report.connections).closed], [1, null], what);
    }
    await lab.mend('backup');
  },
);

/** By which uplinks connections of this source to this destination are remembered to go. */
async function marksOf({ lab }: Gateway): Promise<(source: string, destination: string) => string[]> {
  const { stdout } = await lab.exec('gateway', ['conntrack', '-L']);
  const entries = stdout.split('\n').filter((line) => /^(tcp|udp) /.test(line));
  return (source, destination) => {
    // The first pair is that of the connection's first packet.
    const mine = entries.filter((line) => /src=\S+ dst=\S+/.exec(line)?.[0] === `src=${source} dst=${destination}`);
    const slots = mine.map((line) => Number(/ mark=(\d+)/.exec(line)?.[1] ?? '0') >>> 24);
    return [...new Set(slots.map((slot) => ['none', 'fast', 'backup'][slot] ?? String(slot)))];
  };
}
