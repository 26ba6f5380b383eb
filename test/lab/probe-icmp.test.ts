/**
 * ICMP probes against a far end that answers late, twice, wrongly, from elsewhere or by an error. Real kernel, own network.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { kernelSockets } from '../../src/kernel/sockets.js';
import { ECHO_BYTES } from '../../src/probe/icmp-packet.js';
import { enterOwnNetwork, ip, NeighbourNetwork, needsRoot, setSysctl } from '../support/own-network.js';
import { ProbeBench, probePath, until } from '../support/probe-bench.js';
import { addressBytes, echoReply, icmpError, Tun, type TunPacket } from '../support/tun.js';

const ICMP = { kind: 'icmp' } as const;
const WORLD = probePath({ key: 'fast/4', interface: 'world0' });
const WORLD6 = probePath({ key: 'fast/6', family: 6, interface: 'world0' });
const TARGET = '10.77.0.9';
const ROUTER = '10.77.0.254';

describe('ICMP probes', { skip: needsRoot }, () => {
  let tun: Tun;
  let bench: ProbeBench;
  before(() => {
    enterOwnNetwork();
    tun = new Tun('world0', ['10.77.0.1/24', '2001:db8:77::1/64', 'fe80::77/64']);
  });
  after(() => tun.close());
  beforeEach(() => {
    tun.take();
    bench = new ProbeBench();
  });
  afterEach(() => bench.prober.close());

  /** The echo request that has just been sent. */
  async function request(): Promise<TunPacket> {
    let found: TunPacket | undefined;
    await until(() => {
      found ??= tun.takeEchoes()[0];
      return found !== undefined;
    }, 'an echo request on the wire');
    assert.ok(found);
    return found;
  }

  /** Asks and answers another probe: whatever was to be read before has been read then. */
  async function settle(): Promise<void> {
    const id = bench.ask(ICMP, '10.77.0.99', WORLD);
    tun.write(echoReply(await request()));
    assert.equal(await bench.told(id), 'answered');
  }

  test('loopback answers, IPv4 and IPv6, several at once', async () => {
    const four = Array.from({ length: 20 }, () => bench.ask(ICMP, '127.0.0.1'));
    const six = Array.from({ length: 20 }, () => bench.ask(ICMP, '0:0:0::1', probePath({ key: 'fast/6', family: 6 })));
    for (const id of [...four, ...six]) assert.equal(await bench.told(id), 'answered');
    const outcome = await bench.first(1);
    assert.ok(outcome.kind === 'answered' && outcome.rttMs > 0 && outcome.rttMs < 1_000 && !outcome.duplicate);
    assert.ok(outcome.nowMs <= performance.now());
    assert.equal(bench.prober.takeReadCount(), 40);
    assert.equal(bench.prober.takeReadCount(), 0);
    assert.equal(bench.outcomes.length, 40);
  });

  test('each probe has a token and a sequence number of its own', async () => {
    const seen = new Set<string>();
    const sequences = new Set<number>();
    for (let count = 0; count < 600; count++) {
      bench.ask(ICMP, TARGET, WORLD);
      const { payload } = await request();
      assert.equal(payload.length, ECHO_BYTES);
      seen.add(payload.subarray(8).toString('hex'));
      sequences.add(payload.readUInt16BE(6));
    }
    assert.equal(seen.size, 600);
    assert.equal(sequences.size, 600);
  });

  test('a late answer is an answer until the probe is given up, and nothing after that', async () => {
    const late = bench.ask(ICMP, TARGET, WORLD, 4_000);
    const lateRequest = await request();
    const lost = bench.ask(ICMP, TARGET, WORLD, 100);
    const lostRequest = await request();
    assert.equal(await bench.told(lost), 'timeout: no answer');
    tun.write(echoReply(lostRequest));
    tun.write(echoReply(lateRequest));
    const outcome = await bench.first(late);
    assert.ok(outcome.kind === 'answered' && outcome.rttMs >= 100, 'its round trip is as long as it took');
    await settle();
    assert.equal(bench.of(lost).length, 1);
  });

  test('a second answer is told as a duplicate', async () => {
    const id = bench.ask(ICMP, TARGET, WORLD);
    const reply = echoReply(await request());
    tun.write(reply);
    tun.write(reply);
    await until(() => bench.of(id).length === 2, 'both answers');
    assert.deepEqual(
      bench.of(id).map((outcome) => outcome.kind === 'answered' && outcome.duplicate),
      [false, true],
    );
  });

  test('an answer from elsewhere, with another token or cut short does not count', async () => {
    const id = bench.ask(ICMP, TARGET, WORLD);
    const echo = await request();
    tun.write(echoReply(echo, addressBytes('10.77.0.10')));
    const flip = (icmp: Buffer): Buffer => {
      icmp.writeUInt8((icmp.at(-1) ?? 0) ^ 1, icmp.length - 1);
      return icmp;
    };
    tun.write(echoReply(echo, undefined, flip));
    tun.write(echoReply(echo, undefined, (icmp) => icmp.subarray(0, ECHO_BYTES - 1)));
    await settle();
    assert.deepEqual(bench.of(id), []);
    tun.write(echoReply(echo));
    assert.equal(await bench.told(id), 'answered');
  });

  for (const [name, type, code, expected] of [
    ['host unreachable', 3, 1, `unreachable: host unreachable, says ${ROUTER}`],
    ['filtered', 3, 13, `unreachable: communication prohibited by a filter, says ${ROUTER}`],
    ['port unreachable', 3, 3, `refused: port unreachable, says ${ROUTER}`],
    ['time exceeded', 11, 0, `ttl-exceeded: time to live exceeded in transit, says ${ROUTER}`],
  ] as const) {
    test(`${name}, quoting 8 bytes as RFC 792 asks or all of it`, async () => {
      for (const quotedBytes of [8, ECHO_BYTES]) {
        const id = bench.ask(ICMP, TARGET, WORLD);
        const echo = await request();
        tun.write(icmpError(echo, ROUTER, type, code, quotedBytes));
        assert.equal(await bench.told(id), expected);
        tun.write(icmpError(echo, ROUTER, type, code, quotedBytes));
        tun.write(echoReply(echo));
        await until(() => bench.of(id).length === 2, 'the answer that repairs it');
        assert.equal(bench.of(id)[1]?.kind, 'answered');
      }
    });
  }

  test('an error that quotes another token, and a redirect, say nothing', async () => {
    const id = bench.ask(ICMP, TARGET, WORLD);
    const echo = await request();
    const forged = (quoted: Buffer): Buffer => {
      quoted.writeUInt8((quoted.at(-1) ?? 0) ^ 1, quoted.length - 1);
      return quoted;
    };
    tun.write(icmpError(echo, ROUTER, 3, 1, ECHO_BYTES, forged));
    tun.write(icmpError(echo, ROUTER, 5, 1));
    await settle();
    assert.deepEqual(bench.of(id), []);
  });

  test('IPv6 errors and answers, global and link-local', async () => {
    const refused = bench.ask(ICMP, '2001:DB8:77:0::9', WORLD6);
    tun.write(icmpError(await request(), '2001:db8:77::fe', 1, 3));
    assert.equal(await bench.told(refused), 'unreachable: address unreachable, says 2001:db8:77::fe');
    for (const address of ['2001:DB8:77:0::9', 'fe80::9', 'fe80:0::9%world0']) {
      const id = bench.ask(ICMP, address, WORLD6);
      tun.write(echoReply(await request()));
      assert.equal(await bench.told(id), 'answered', address);
    }
  });

  test('a pending error is not told of the probe that is sent next', async () => {
    const first = bench.ask(ICMP, TARGET, WORLD);
    const echo = await request();
    // In one turn: the kernel hands the pending error to whoever calls next, which is the second probe's send.
    tun.write(icmpError(echo, ROUTER, 3, 1));
    const second = bench.ask(ICMP, '10.77.0.10', WORLD);
    tun.write(echoReply(await request()));
    assert.equal(await bench.told(second), 'answered');
    assert.match(await bench.told(first), /^unreachable/);
    assert.equal(bench.of(second).length, 1);
    await assertCalm();
  });

  /** The processor time of half a second of idling. */
  async function assertCalm(): Promise<void> {
    const used = process.cpuUsage();
    const sinceMs = performance.now();
    await until(() => performance.now() - sinceMs > 500, 'half a second to pass');
    const { user, system } = process.cpuUsage(used);
    const share = (user + system) / 1_000 / (performance.now() - sinceMs);
    assert.ok(share < 0.4, `the loop spins: ${Math.round(share * 100)} % of a core`);
  }

  test('after an unreachable the processor is calm', async () => {
    const id = bench.ask(ICMP, TARGET, WORLD);
    tun.write(icmpError(await request(), ROUTER, 3, 1));
    assert.match(await bench.told(id), /^unreachable/);
    await assertCalm();
  });

  test('what cannot be sent is told at once, with its reason', async () => {
    ip('route add unreachable 192.0.2.1');
    ip('route add prohibit 192.0.2.2');
    assert.equal(await bench.told(bench.ask(ICMP, '192.0.2.1')), 'no-route: no route: host unreachable');
    assert.equal(await bench.told(bench.ask(ICMP, '198.51.100.1')), 'no-route: no route: network unreachable');
    assert.match(await bench.told(bench.ask(ICMP, '192.0.2.2')), /^local-fault: this machine refuses the probe \(EACCES\)/);
    assert.equal(await bench.told(bench.ask(ICMP, 'example.org')), 'local-fault: example.org is no IPv4 address');
    assert.equal(await bench.told(bench.ask(ICMP, '::1')), 'local-fault: ::1 is no IPv4 address');
  });

  test('an interface that goes and comes back', async () => {
    const path = probePath({ key: 'backup/4', device: 'gone0', interface: 'gone0' });
    const absent = 'no-route: interface gone0 does not exist';
    assert.equal(await bench.told(bench.ask(ICMP, '10.78.0.9', path)), absent);
    for (let round = 0; round < 2; round++) {
      const gone = new Tun('gone0', ['10.78.0.1/24']);
      const id = bench.ask(ICMP, '10.78.0.9', path);
      await until(() => {
        for (const echo of gone.takeEchoes()) gone.write(echoReply(echo));
        return bench.of(id).length > 0;
      }, 'an answer through the interface');
      assert.equal(await bench.told(id), 'answered');
      gone.close();
      assert.equal(await bench.told(bench.ask(ICMP, '10.78.0.9', path)), 'no-route: the interface does not exist');
      assert.equal(await bench.told(bench.ask(ICMP, '10.78.0.9', path)), absent);
    }
  });

  test('no group may ping: the remedy is named', async () => {
    setSysctl('net.ipv4.ping_group_range', '1 0');
    try {
      assert.match(await bench.told(bench.ask(ICMP, '127.0.0.1')), /^local-fault: .*net\.ipv4\.ping_group_range/);
    } finally {
      setSysctl('net.ipv4.ping_group_range', '0 2147483647');
    }
    assert.equal(await bench.told(bench.ask(ICMP, '127.0.0.1')), 'answered');
  });

  test("forgetting a path ends its probes without a word, and another path's go on", async () => {
    const other = probePath({ key: 'backup/4', interface: 'world0' });
    const forgotten = bench.ask(ICMP, TARGET, WORLD, 100);
    const forgottenRequest = await request();
    const kept = bench.ask(ICMP, TARGET, other);
    const keptRequest = await request();
    const refused = bench.ask(ICMP, 'nonsense', WORLD);
    bench.prober.forget(WORLD.key);
    tun.write(echoReply(forgottenRequest));
    tun.write(echoReply(keptRequest));
    assert.equal(await bench.told(kept), 'answered');
    assert.equal(await bench.told(bench.ask(ICMP, '127.0.0.1', other, 100)), 'answered');
    const lost = bench.ask(ICMP, TARGET, other, 200);
    assert.equal(await bench.told(lost), 'timeout: no answer');
    assert.deepEqual([bench.of(forgotten), bench.of(refused)], [[], []]);
  });

  test('a path whose mark has changed gets a new socket', async () => {
    let opened = 0;
    const counting = new ProbeBench(
      {},
      {
        ...kernelSockets,
        open: (spec) => {
          opened++;
          return kernelSockets.open(spec);
        },
      },
    );
    for (const mark of [1, 1, 2])
      assert.equal(await counting.told(counting.ask(ICMP, '127.0.0.1', probePath({ mark }))), 'answered');
    assert.equal(opened, 2);
    counting.prober.close();
  });

  test('a real router without a route says so', async () => {
    const router = await NeighbourNetwork.create();
    try {
      ip('link add wan0 index 1001 type veth peer name lan0 index 1002');
      ip(`link set lan0 netns ${router.pid}`);
      ip('addr add 10.79.0.1/24 dev wan0');
      ip('link set wan0 up');
      router.run('ip addr add 10.79.0.254/24 dev lan0');
      router.run('ip link set lan0 up');
      router.run('sysctl -qw net.ipv4.ip_forward=1');
      ip('route add 203.0.113.0/24 via 10.79.0.254');
      const path = probePath({ key: 'wan/4', interface: 'wan0', device: 'wan0' });
      assert.equal(await bench.told(bench.ask(ICMP, '10.79.0.254', path)), 'answered');
      assert.equal(await bench.told(bench.ask(ICMP, '203.0.113.5', path)), 'unreachable: network unreachable, says 10.79.0.254');
      // The kernel knows a dead neighbour after three tries of ARP only; an engine that waited for that would be late.
      const dead = bench.ask(ICMP, '10.79.0.77', path, 5_000);
      const outcome = await bench.first(dead);
      assert.ok(outcome.kind === 'failed' && outcome.reason === 'unreachable', 'the neighbour discovery says so in the end');
      await assertCalm();
    } finally {
      await router.close();
    }
  });
});
