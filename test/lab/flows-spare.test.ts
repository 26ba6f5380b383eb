/**
 * What lawfully goes on by an uplink outlives the end of its other connections: real connections, and very many entries. Needs root.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, afterEach, before, test } from 'node:test';
import { type EntrySpec, makeEntries, manyConnections } from '../../bench/conntrack.js';
import type { FlowOutcome, FlowSelector, FlowSpare } from '../../src/core/flow.js';
import type { Family } from '../../src/core/model.js';
import { LinuxFlowKeeper } from '../../src/kernel/flows/keeper.js';
import {
  FAR,
  type FlowBench,
  LAN_HOST,
  NUMBERS,
  nft,
  nowMs,
  OUR_WAN1,
  openFlowBench,
  Peer,
  selector,
  WAN1,
  WAN2,
} from '../support/flow-bench.js';
import { needsRoot } from '../support/own-network.js';

const KNOWN_WITHIN_MS = 1000;
/** The outside prefix of a 1:1 translation by the first uplink. */
const OUTSIDE = '2001:db8:1:77::';
const MANY = 100_000;

const VIA: FlowSpare['via'][number] = {
  source: `${LAN_HOST[4]}/32`,
  destination: '203.0.113.0/24',
  protocols: ['tcp'],
  ports: { first: 7004, last: 7004 },
};
const NOTHING: FlowSpare = { inbound: false, prefixes: [], via: [] };

let bench: FlowBench;
let gateway: Peer;
let keeper: LinuxFlowKeeper;
let asked = 0;

before(async () => {
  if (needsRoot !== false) return;
  bench = await openFlowBench({ masquerade: true });
  gateway = new Peer(null);
  await gateway.hear('ready');
  keeper = new LinuxFlowKeeper({ numbers: NUMBERS });
  nft(`table inet translation {
    chain in { type nat hook prerouting priority -100;
      iifname wan1 dnat ip6 prefix to ip6 daddr map { ${OUTSIDE}/64 : 2001:db8:77::/64 }
    }
  }`);
  bench.farNetwork.run(`ip -6 route add ${OUTSIDE}/64 via 2001:db8:1::2`);
  for (const family of [4, 6] as const) {
    for (const port of [7003, 7004]) await bench.far.listen(FAR[family], port, 'echo');
    await bench.lan.listen(LAN_HOST[family], 80, 'echo');
    await gateway.listen(OUR_WAN1[family], 9000, 'echo');
  }
});

after(async () => {
  await keeper?.close();
  await gateway?.close();
  await bench?.close();
});

afterEach(async () => {
  if (needsRoot !== false) return;
  for (const family of [4, 6] as const) for (const mark of [WAN1, WAN2]) await end(selector(family, mark));
});

const end = (wanted: FlowSelector, spare?: FlowSpare, reset = true): Promise<FlowOutcome> =>
  keeper.end({ id: ++asked, selector: spare === undefined ? wanted : { ...wanted, spare }, reset });
const open = async (wanted: FlowSelector, spare?: FlowSpare): Promise<number | null> =>
  (await keeper.count({ id: ++asked, selector: spare === undefined ? wanted : { ...wanted, spare } })).open;

/** Four that go by the first uplink; the names say how they began. */
async function connectAll(family: Family, name: string): Promise<void> {
  const { lan, far } = bench;
  await far.connect(`${name}-to-lan`, family === 4 ? OUR_WAN1[4] : `${OUTSIDE}10`, family === 4 ? 8080 : 80, 'counted');
  await far.connect(`${name}-to-us`, OUR_WAN1[family], 9000, 'counted');
  await lan.connect(`${name}-sent`, FAR[family], 7004, 'counted');
  await lan.connect(`${name}-other`, FAR[family], 7003, 'counted');
}

async function goesOn(peer: Peer, id: string): Promise<void> {
  const first = await peer.tell(id);
  const deadlineMs = nowMs() + KNOWN_WITHIN_MS;
  for (;;) {
    const now = await peer.tell(id);
    assert.ok(now.open, `${id} is open`);
    assert.equal(now.wrong, 0, `${id} has lost no byte`);
    // Two echoes more: the first may have been on its way.
    if (now.received > first.received + 400) return;
    assert.ok(nowMs() < deadlineMs, `${id} goes on`);
  }
}

async function wasReset(peer: Peer, id: string, sinceMs: number): Promise<void> {
  assert.equal((await peer.endedAfter(id, sinceMs, KNOWN_WITHIN_MS))?.errno, 'ECONNRESET', `${id} was reset`);
}

test('a port forward, a caller of the gateway and what `via` sends go on, the others end', { skip: needsRoot }, async () => {
  const { lan, far } = bench;
  const spare: FlowSpare = { inbound: true, prefixes: [], via: [VIA] };
  await connectAll(4, 'four');
  const own = connect({ host: FAR[4], port: 7003 }).resume();
  await once(own, 'connect');
  const ownEnds = once(own, 'error', { signal: AbortSignal.timeout(5000) });
  assert.equal(await open(selector(4, WAN1)), 5);
  assert.equal(await open(selector(4, WAN1), spare), 2);
  const sinceMs = nowMs();
  const outcome = await end(selector(4, WAN1), spare);
  assert.deepEqual(outcome.problems, []);
  assert.deepEqual([outcome.entries, outcome.resets, outcome.sockets], [2, 1, 1]);
  await wasReset(lan, 'four-other', sinceMs);
  const [error] = (await ownEnds) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNABORTED');
  for (const id of ['four-to-lan', 'four-to-us']) await goesOn(far, id);
  await goesOn(lan, 'four-sent');
  assert.equal(await open(selector(4, WAN1), spare), 0, 'what goes on is not waited for');
  assert.equal(await open(selector(4, WAN1)), 3);
});

test('where replies follow what is active, what came in ends as well', { skip: needsRoot }, async () => {
  const { lan } = bench;
  await connectAll(4, 'active');
  const sinceMs = nowMs();
  const outcome = await end(selector(4, WAN1), { ...NOTHING, via: [VIA] });
  assert.deepEqual([outcome.entries, outcome.resets, outcome.sockets], [3, 2, 1]);
  await wasReset(lan, 'active-other', sinceMs);
  await wasReset(lan, 'in:80', sinceMs);
  await goesOn(lan, 'active-sent');
  const last = await end(selector(4, WAN1), NOTHING);
  assert.equal(last.entries, 1, 'with nothing to spare all end');
});

test('IPv6: what came in by the translated prefix goes on', { skip: needsRoot }, async () => {
  const { lan, far } = bench;
  await connectAll(6, 'six');
  const spare: FlowSpare = { inbound: true, prefixes: [`${OUTSIDE}/64`], via: [VIA] };
  const sinceMs = nowMs();
  const outcome = await end(selector(6, WAN1), spare);
  assert.deepEqual([outcome.entries, outcome.resets, outcome.sockets], [2, 2, 0], 'the `via` is for IPv4 alone');
  for (const id of ['six-other', 'six-sent']) await wasReset(lan, id, sinceMs);
  for (const id of ['six-to-lan', 'six-to-us']) await goesOn(far, id);
});

const bytes = (address: string): Uint8Array => Uint8Array.from(address.split('.').map(Number));

function entry(source: string, destination: string, sourcePort: number, port: number, mark = WAN1): EntrySpec {
  const ends = { source: bytes(source), destination: bytes(destination), sourcePort, destinationPort: port };
  return { family: 4, protocol: 'udp', mark, ...ends };
}

test('UDP flows to these ports alone, and of them not what lawfully goes on', { skip: needsRoot }, async () => {
  const sent: FlowSpare['via'][number] = { ...VIA, protocols: ['udp'], ports: { first: 5060, last: 5061 } };
  makeEntries([
    entry(LAN_HOST[4], FAR[4], 5001, 5060),
    entry('192.168.77.11', FAR[4], 5002, 5060),
    entry(FAR[4], OUR_WAN1[4], 5003, 5060),
    entry(LAN_HOST[4], FAR[4], 5004, 51820),
    entry(LAN_HOST[4], FAR[4], 5005, 53),
    entry('192.168.77.11', FAR[4], 5006, 5060, WAN2),
  ]);
  const wanted = selector(4, WAN1, [5060, 51820]);
  const spare: FlowSpare = { inbound: true, prefixes: [], via: [sent] };
  assert.equal(await open(wanted, spare), 2);
  assert.equal((await end(wanted, spare)).entries, 2);
  assert.equal(await open(wanted), 2);
  assert.equal(await open(selector(4, WAN1)), 3);
  assert.equal(await open(selector(4, WAN2)), 1);
});

test('100,000 one by one, among them some that go on', { skip: needsRoot }, async (t) => {
  const spare: FlowSpare = { inbound: true, prefixes: [], via: [VIA] };
  const coming = Array.from({ length: 100 }, (_, at) => entry(FAR[4], OUR_WAN1[4], 20_000 + at, 9000));
  makeEntries([...coming, ...manyConnections(MANY, WAN1)]);
  const outcome = await end(selector(4, WAN1), spare, false);
  assert.deepEqual(outcome.problems, []);
  assert.equal(outcome.entries, MANY);
  assert.equal(await open(selector(4, WAN1)), coming.length);
  t.diagnostic(`${outcome.tookMs.toFixed(0)} ms`);
  makeEntries(manyConnections(MANY, WAN1));
  const atOnce = await end(selector(4, WAN1), undefined, false);
  assert.equal(atOnce.entries, MANY + coming.length);
  t.diagnostic(`at once: ${atOnce.tookMs.toFixed(0)} ms`);
});
