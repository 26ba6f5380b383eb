/**
 * Open connections are ended for real: everybody on this side knows within a second, and nobody else loses a byte. Needs root.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, Socket } from 'node:net';
import { after, afterEach, before, test } from 'node:test';
import { makeEntries } from '../../bench/conntrack.js';
import type { Family } from '../../src/core/model.js';
import { LinuxFlowKeeper } from '../../src/kernel/flows/keeper.js';
import { openSocket } from '../../src/kernel/sockets.js';
import { until } from '../../src/lab/until.js';
import {
  FAR,
  type FlowBench,
  farReturns,
  go,
  LAN_HOST,
  NUMBERS,
  nft,
  nowMs,
  OUR_WAN1,
  openFlowBench,
  PROBE1,
  selector,
  silence,
  WAN1,
  WAN2,
  writeTable,
} from '../support/flow-bench.js';
import { needsRoot } from '../support/own-network.js';

const KNOWN_WITHIN_MS = 1000;
const CONTROLS = 10;

let bench: FlowBench;
let keeper: LinuxFlowKeeper;
let asked = 0;

before(async () => {
  if (needsRoot !== false) return;
  bench = await openFlowBench({ masquerade: true });
  keeper = new LinuxFlowKeeper({ numbers: NUMBERS });
  for (const family of [4, 6] as const) {
    await bench.far.listen(FAR[family], 7001, 'sink');
    await bench.far.listen(FAR[family], 7002, 'source');
    await bench.far.listen(FAR[family], 7003, 'echo');
    await bench.lan.listen(LAN_HOST[family], 80, 'sink');
    await bench.lan.listen(LAN_HOST[family], 81, 'source');
  }
});

after(async () => {
  await keeper?.close();
  await bench?.close();
});

afterEach(async () => {
  if (needsRoot !== false) return;
  mend();
  for (const family of [4, 6] as const) for (const mark of [WAN1, WAN2]) await end(family, mark);
});

const end = (family: Family, mark: number, reset = true) => keeper.end({ id: ++asked, selector: selector(family, mark), reset });

/** More than so many bytes come to it, in order, and it stays open. */
async function goesOn(host: typeof bench.lan, id: string, bytes: number): Promise<void> {
  const more = async (): Promise<boolean> => {
    const now = await host.tell(id);
    assert.ok(now.open, `${id} is open`);
    assert.equal(now.wrong, 0, `${id} has lost no byte`);
    return now.received > bytes;
  };
  assert.ok(await until(more, 10_000, 20), `${id} goes on`);
}

/** Connections by the second uplink that must notice nothing, while `work` is done by the first. */
async function besideControls(name: string, family: Family, work: () => Promise<void>): Promise<void> {
  const { lan, farNetwork } = bench;
  go('wan2');
  farReturns(farNetwork, 2);
  const ids = Array.from({ length: CONTROLS }, (_, at) => `${name}-control${at}`);
  for (const id of ids) await lan.connect(id, FAR[family], 7003, 'counted');
  go('wan1');
  // Where the LAN is not hidden the far side answers by one way for all; the controls then go by the second in both directions.
  if (family === 4) farReturns(farNetwork, 1);
  await work();
  const first = await Promise.all(ids.map((id) => lan.tell(id)));
  for (const [at, id] of ids.entries()) {
    await goesOn(lan, id, first[at]?.received ?? 0);
  }
}

/** wan1 falls silent, the route moves, and the connections are ended. @returns when that began */
async function fail(family: Family): Promise<{ sinceMs: number; outcome: Awaited<ReturnType<typeof end>> }> {
  silence(bench.farNetwork, true);
  go('wan2');
  const sinceMs = nowMs();
  return { sinceMs, outcome: await end(family, WAN1) };
}

function mend(): void {
  silence(bench.farNetwork, false);
  go('wan1');
  farReturns(bench.farNetwork, 1);
  writeTable(true);
}

async function knows(peer: FlowBench['lan'], id: string, sinceMs: number, t: { diagnostic(text: string): void }): Promise<void> {
  const ended = await peer.endedAfter(id, sinceMs, KNOWN_WITHIN_MS);
  assert.ok(ended !== null, `${id} knows within ${KNOWN_WITHIN_MS} ms`);
  assert.equal(ended.errno, 'ECONNRESET', `${id} was reset`);
  t.diagnostic(`${id}: ${ended.ms.toFixed(1)} ms`);
}

test('a client that sends and one that only receives know at once, behind masquerade', { skip: needsRoot }, async (t) => {
  const { lan } = bench;
  await besideControls('nat', 4, async () => {
    await lan.connect('sender', FAR[4], 7001, 'chatter');
    await lan.connect('silent', FAR[4], 7001, 'mute');
    await lan.connect('download', FAR[4], 7002, 'mute');
    const { sinceMs, outcome } = await fail(4);
    t.diagnostic(`end() took ${outcome.tookMs.toFixed(1)} ms`);
    for (const id of ['sender', 'silent', 'download']) await knows(lan, id, sinceMs, t);
    assert.deepEqual(outcome.problems, []);
    assert.equal(outcome.sockets, 0);
    // Where masquerade stands, the kernel itself drops an entry whose next packet takes another interface: the one that sends.
    assert.ok(outcome.resets === 2 || outcome.resets === 3, `${outcome.resets} resets`);
    assert.equal(outcome.entries, outcome.resets);
  });
});

test('without address translation as well', { skip: needsRoot }, async (t) => {
  const { lan } = bench;
  writeTable(false);
  await lan.connect('plain-sender', FAR[4], 7001, 'chatter');
  await lan.connect('plain-download', FAR[4], 7002, 'mute');
  const { sinceMs, outcome } = await fail(4);
  for (const id of ['plain-sender', 'plain-download']) await knows(lan, id, sinceMs, t);
  assert.deepEqual(outcome.problems, []);
  const untracked = Number(/packets (\d+)/.exec(nft('list chain inet backroute raw-output'))?.[1]);
  assert.ok(untracked >= outcome.resets && outcome.resets === 2, 'what prods them passes conntrack by');
});

test('IPv6: clients, and servers of the LAN that were called from beyond', { skip: needsRoot }, async (t) => {
  const { lan, far, farNetwork } = bench;
  farReturns(farNetwork, 1);
  await lan.connect('six-sender', FAR[6], 7001, 'chatter');
  await lan.connect('six-download', FAR[6], 7002, 'mute');
  await far.connect('six-caller', LAN_HOST[6], 80, 'mute');
  const { sinceMs, outcome } = await fail(6);
  for (const id of ['six-sender', 'six-download']) await knows(lan, id, sinceMs, t);
  await knows(lan, 'in:80', sinceMs, t);
  assert.deepEqual(outcome.problems, []);
});

test('IPv6: connections of the other uplink go on', { skip: needsRoot }, async () => {
  const { lan, farNetwork } = bench;
  await besideControls('six', 6, async () => {
    // The far side answers by the second uplink; what is marked as the first's are entries alone.
    await lan.connect('six-other', FAR[6], 7001, 'mute');
    const outcome = await end(6, WAN1);
    assert.equal(outcome.entries, 1);
  });
  farReturns(farNetwork, 1);
});

test('a port forward: the server of the LAN is reset, not the caller', { skip: needsRoot }, async (t) => {
  const { lan, far } = bench;
  await far.connect('caller', OUR_WAN1[4], 8080, 'mute');
  const { sinceMs, outcome } = await fail(4);
  await knows(lan, 'in:80', sinceMs, t);
  assert.equal(outcome.resets, 1);
  assert.ok((await far.tell('caller')).open, 'nothing is sent to the far side');
});

for (const family of [4, 6] as const) {
  test(`IPv${family}: a client that keeps its port is let through when it begins anew`, { skip: needsRoot }, async (t) => {
    const { lan } = bench;
    const [name, port] = [`again${family}`, 40_000 + family];
    await lan.connect(name, FAR[family], 7003, 'mute', port);
    const { sinceMs, outcome } = await fail(family);
    farReturns(bench.farNetwork, 2);
    await knows(lan, name, sinceMs, t);
    assert.equal(outcome.entries, 1);
    await lan.connect(`${name}-anew`, FAR[family], 7003, 'counted', port);
    const begun = (await lan.tell(`${name}-anew`)).received;
    // What it receives measures the time: longer than until peers are made to speak once more.
    await goesOn(lan, `${name}-anew`, begun + 10_000);
  });
}

test('where the uplink works, a reset by the client itself is let through: the far side knows, too', {
  skip: needsRoot,
}, async (t) => {
  const { lan, far } = bench;
  writeTable(false);
  await far.listen(FAR[4], 7005, 'source');
  await lan.connect('overheard', FAR[4], 7005, 'mute');
  const sinceMs = nowMs();
  assert.equal((await end(4, WAN1)).resets, 1);
  await knows(lan, 'overheard', sinceMs, t);
  await knows(far, 'in:7005', sinceMs, t);
});

test('own sockets end at once; a listening one never does, nor that of a probe', { skip: needsRoot }, async (t) => {
  const server = createServer((socket) => socket.on('error', () => undefined));
  // Of both families: what it accepts are IPv6 sockets with IPv4 addresses in them.
  server.listen(9000, '::');
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  await bench.far.connect('called-us', OUR_WAN1[4], 9000, 'mute');
  const [incoming] = (await accepted) as [Socket];
  const outgoing = connect({ host: FAR[4], port: 7002 }).resume();
  await once(outgoing, 'connect');
  const sinceMs = nowMs();
  const closing = [outgoing, incoming].map(async (socket) => {
    const [error] = (await once(socket, 'error', { signal: AbortSignal.timeout(5000) })) as [NodeJS.ErrnoException];
    return { code: error.code, ms: nowMs() - sinceMs };
  });
  silence(bench.farNetwork, true);
  go('wan2');
  const outcome = await end(4, WAN1);
  for (const { code, ms } of await Promise.all(closing)) {
    assert.equal(code, 'ECONNABORTED');
    assert.ok(ms < KNOWN_WITHIN_MS);
    t.diagnostic(`own socket: ${ms.toFixed(1)} ms`);
  }
  assert.equal(outcome.sockets, 2);
  assert.equal(outcome.resets, 0);
  mend();
  // Left of a connection that is long gone: asked by addresses, the kernel would take the listening socket.
  makeEntries([
    {
      family: 4,
      protocol: 'tcp',
      source: Uint8Array.of(203, 0, 113, 1),
      destination: Uint8Array.of(10, 9, 1, 2),
      sourcePort: 5555,
      destinationPort: 9000,
      mark: WAN1,
    },
  ]);
  const probe = new Socket({ fd: openSocket({ family: 4, kind: 'tcp', mark: PROBE1, device: null }) });
  probe.connect(7002, FAR[4]).resume();
  await once(probe, 'connect');
  const after = await end(4, WAN1);
  assert.equal(after.entries, 2);
  assert.equal(after.sockets, 0);
  assert.equal(after.resets, 0);
  await bench.far.connect('calls-again', OUR_WAN1[4], 9000, 'mute');
  assert.equal(probe.readyState, 'open');
  probe.destroy();
  server.close();
  await end(4, WAN1);
});

test('nothing dies when nothing bears the mark, or when the mark is no uplink’s', { skip: needsRoot }, async () => {
  const { lan } = bench;
  await lan.connect('stays', FAR[4], 7003, 'counted');
  for (const mark of [0x03000000, 0, WAN2 | 0x42]) {
    const outcome = await end(4, mark);
    assert.equal(outcome.entries, 0);
    assert.equal(outcome.resets, 0);
    assert.equal(outcome.problems.length, mark === 0x03000000 ? 0 : 1);
  }
  const other = await end(6, WAN1);
  assert.equal(other.entries, 0, 'the same mark in the other family');
  assert.ok((await keeper.count({ id: 1, selector: selector(4, WAN1) })).open === 1);
  assert.ok((await lan.tell('stays')).open);
  assert.equal((await end(4, WAN1, false)).entries, 1);
});

test('without the set the connections end all the same, and the remedy is told', { skip: needsRoot }, async () => {
  const { lan } = bench;
  await lan.connect('untold', FAR[4], 7001, 'mute');
  nft('delete table inet backroute');
  const outcome = await end(4, WAN1);
  assert.equal(outcome.entries, 1);
  assert.equal(outcome.resets, 0);
  assert.match(outcome.problems.join(), /no set dead4.*nftables/s);
  assert.equal((await keeper.count({ id: 1, selector: selector(4, WAN1) })).open, 0);
});
