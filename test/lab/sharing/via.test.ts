/** `via`: chosen traffic by its own uplink, whatever is active, and what it is told when that uplink is down. Needs root. */
import assert from 'node:assert/strict';
import { monotonicMs } from '../../../src/lab/clock.js';
import { startCall } from '../../../src/lab/traffic/call.js';
import { type ConnectionsReport, startConnections } from '../../../src/lab/traffic/connections.js';
import type { Place } from '../../../src/lab/traffic/places.js';
import { startStream } from '../../../src/lab/traffic/stream.js';
import { eventually, type Gateway, proof } from '../proof/gateway.js';
import { medianOf, monotonicOf, sharedBy, three, turned } from './stage.js';

const GUEST4 = '192.168.1.20';
const GUEST6 = 'fd00:1::20';
const ANYCAST = '9.9.9.9';
/** Behind a route of its own in the gateway's main table, as a VPN's networks are. */
const PARTNER = '198.51.100.77';
const TOLD_WITHIN_MS = 1_000;
/** How Linux tells a program of ICMP's "unreachable" (network, host, port). */
const UNREACHABLE: ReadonlySet<string> = new Set(['ENETUNREACH', 'EHOSTUNREACH', 'ECONNREFUSED']);

const config = three({
  families: [4, 6],
  top: {
    via: {
      voip: { from: '192.168.1.10', port: 'udp/5060', uplink: 'third', fallback: 'block' },
      web: { port: 'tcp/8080', uplink: 'backup', fallback: 'balance' },
      dns: { to: ANYCAST, uplink: 'backup', fallback: 'balance' },
      guests: { from: `${GUEST4}/32`, uplink: 'third', fallback: 'block' },
      guests6: { from: `${GUEST6}/128`, uplink: 'third', fallback: 'block' },
    },
  },
});

async function asked(gateway: Gateway, place: Place): Promise<ConnectionsReport> {
  return (await startConnections(gateway.lab, { count: 4, perS: 200, timeoutMs: 3_000, ...place })).finished();
}

/** By which uplink this goes; it must be one for all. */
async function wayOf(gateway: Gateway, place: Place): Promise<string> {
  const { ok, begun, byUplink, errors } = await asked(gateway, place);
  assert.equal(ok, begun, `${JSON.stringify(place)}: ${JSON.stringify(errors)}`);
  const used = Object.keys(byUplink).filter((name) => (byUplink[name] ?? 0) > 0);
  assert.equal(used.length, 1, `${JSON.stringify(place)} goes by ${JSON.stringify(byUplink)}`);
  return used[0] ?? '';
}

async function wayOfCall(gateway: Gateway, port: number): Promise<string | null | undefined> {
  const call = await startCall(gateway.lab, { listen: { port } });
  return (await call.stop()).sources.at(-1)?.uplink;
}

/** Asks all at the same time. */
async function all(asks: Readonly<Record<string, Promise<string | null | undefined>>>): Promise<Record<string, unknown>> {
  const answers = await Promise.all(Object.entries(asks).map(async ([what, ask]) => [what, await ask] as const));
  return Object.fromEntries(answers);
}

/** ICMP's "destination unreachable" that the client has received so far. UDP programs without IP_RECVERR never hear of it. */
async function complaints(gateway: Gateway): Promise<Record<4 | 6, number>> {
  const { stdout } = await gateway.lab.exec('client', ['cat', '/proc/net/snmp', '/proc/net/snmp6']);
  const [names = [], values = []] = stdout
    .split('\n')
    .filter((line) => line.startsWith('Icmp: '))
    .map((line) => line.split(' '));
  return { 4: Number(values[names.indexOf('InDestUnreachs')]), 6: Number(/Icmp6InDestUnreachs\s+(\d+)/.exec(stdout)?.[1]) };
}

/**
 * A new connection is refused: the first packet of it is answered so. The program is told by then, too, unless the answer came while
 * connect(2) still held the socket, as it may on cables without any latency: then by the answer to the second SYN, 1 s later.
 * @returns how long until the answer was there
 */
async function refusedAfter(gateway: Gateway, place: Place): Promise<number> {
  const before = await complaints(gateway);
  const one = await startConnections(gateway.lab, { count: 1, timeoutMs: 4_000, ...place });
  const told = async () => (await complaints(gateway))[place.family ?? 4] > before[place.family ?? 4];
  await eventually(`${JSON.stringify(place)} is answered`, told);
  const toldMs = monotonicMs();
  const [connection] = (await one.finished()).connections;
  assert.ok(UNREACHABLE.has(connection?.error ?? ''), `${JSON.stringify(place)}: ${connection?.error}`);
  return toldMs - (connection?.startedMs ?? 0);
}

proof(
  'by source, destination and port, whatever is active; blocked it is told so, balanced it goes on',
  config,
  async (gateway, t) => {
    const { lab } = gateway;
    await lab.exec('client', ['ip', 'address', 'add', `${GUEST4}/24`, 'dev', 'lan0']);
    await lab.exec('client', ['ip', 'address', 'add', `${GUEST6}/64`, 'dev', 'lan0', 'nodad', 'preferred_lft', '0']);
    await lab.exec('internet', ['ip', 'address', 'add', `${PARTNER}/32`, 'dev', 'lo']);
    await lab.exec('gateway', ['ip', 'route', 'add', PARTNER, 'via', lab.uplink('fast').gateway4, 'dev', 'wan1']);
    const web = { listen: { port: 8080 } } as const;
    const guest4 = { localAddress: GUEST4 } as const;
    const guest6 = { localAddress: GUEST6, family: 6 } as const;
    const toGateway = { ...guest4, to: 'gateway', listen: { address: '192.168.1.2' } } as const;
    const toPartner = { ...guest4, listen: { address: PARTNER } } as const;

    await gateway.judged();
    for (const active of ['fast', 'backup']) {
      await gateway.order('force', active);
      for (const family of [4, 6] as const) await sharedBy(gateway, { [active]: 1 }, family);
      const found = await all({
        anything: wayOf(gateway, {}),
        anything6: wayOf(gateway, { family: 6 }),
        'udp/5060': wayOfCall(gateway, 5060),
        'udp/5062': wayOfCall(gateway, 5062),
        'tcp/8080': wayOf(gateway, web),
        'tcp/8080, IPv6': wayOf(gateway, { ...web, family: 6 }),
        destination: wayOf(gateway, { listen: { address: ANYCAST } }),
        source: wayOf(gateway, guest4),
        source6: wayOf(gateway, guest6),
        partner: wayOf(gateway, toPartner),
      });
      assert.deepEqual(
        found,
        {
          anything: active,
          anything6: active,
          'udp/5060': 'third',
          'udp/5062': active,
          'tcp/8080': 'backup',
          'tcp/8080, IPv6': 'backup',
          destination: 'backup',
          source: 'third',
          source6: 'third',
          partner: 'fast',
        },
        `while ${active} is active`,
      );
      assert.equal((await asked(gateway, toGateway)).ok, 4, 'the gateway itself');
    }
    await gateway.order('auto');
    await sharedBy(gateway, { fast: 1 });

    // The uplink of the blocked ones goes down, with a call and a download on it.
    const call = await startCall(lab, { listen: { port: 5060 } });
    const download = await startStream(lab, { ...guest4, bytesPerS: 10_000 });
    const before = await complaints(gateway);
    const cut = await lab.cut('third', 'silent');
    const downMs = monotonicOf(await turned(gateway, 'third', 'down', cut.askedAtMs));
    await eventually('the call is told', async () => (await complaints(gateway))[4] > before[4]);
    const toldMs = monotonicMs();
    const isClosed = async () => (await download.report()).connections[0]?.closed ?? null;
    const closed = await eventually('the download is known dead', isClosed);
    await download.stop();
    await turned(gateway, 'third', 'down', cut.askedAtMs, 6);
    assert.equal((await asked(gateway, toGateway)).ok, 4, 'what is for the gateway itself is not meant');
    assert.equal(await wayOf(gateway, toPartner), 'fast', 'nor what has a route of its own');
    assert.equal(await wayOf(gateway, {}), 'fast');
    const shown = (await gateway.status()).via.map((one) => `${one.name} ${one.now}`);
    assert.deepEqual(shown, ['voip block', 'web uplink', 'dns uplink', 'guests block', 'guests6 block']);
    const { out, sources } = await call.stop(toldMs);
    assert.equal(out.received, 0, 'not one packet of the blocked call went another way');
    assert.deepEqual(
      sources.map((one) => one.uplink),
      ['third'],
    );
    const anew = [await refusedAfter(gateway, guest4), await refusedAfter(gateway, guest6)];
    const figures = [toldMs - downMs, closed.atMs - downMs, ...anew];
    const [udp, tcp, anew4, anew6] = figures.map((ms) => ms.toFixed(0));
    t.diagnostic(
      `third down: the call gets ICMP unreachable ${udp} ms later, the download ${closed.how} ${tcp} ms later; a new connection ${anew4} ms after its SYN, IPv6 ${anew6} ms`,
    );
    assert.ok(medianOf(figures) < TOLD_WITHIN_MS, `told only after ${figures} ms`);

    await lab.cut('backup', 'silent');
    await eventually('the balanced ones go like everything else', async () =>
      (await gateway.status()).via.every((one) => one.now !== 'uplink'),
    );
    assert.equal(await wayOf(gateway, web), 'fast');
    assert.equal(await wayOf(gateway, { listen: { address: ANYCAST } }), 'fast');

    await lab.mend('third');
    await lab.mend('backup');
    await eventually('every entry is as wanted', async () => (await gateway.status()).via.every((one) => one.now === 'uplink'));
    assert.equal(await wayOf(gateway, guest4), 'third');
    assert.equal(await wayOfCall(gateway, 5060), 'third');
    assert.equal(await wayOf(gateway, web), 'backup');
  },
);
