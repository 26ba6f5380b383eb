/** Probe sockets and their error queues against a real kernel: marks, devices, ICMP errors, and a calm processor. */
import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { Family } from '../../src/core/model.js';
import { KernelError } from '../../src/kernel/error.js';
import { AF_INET, getsockopt, SO_BINDTODEVICE, SO_MARK, SOL_SOCKET, sendto, setsockoptInt } from '../../src/kernel/libc.js';
import { kernelSockets, type SocketError } from '../../src/kernel/sockets.js';
import type { ProbeSockets } from '../../src/probe/sockets.js';
import { enterTestNamespace, eventually, needsRoot, type TestNamespace } from './kernel-namespace.js';

/** The daemon hands these to src/probe/: the compiler says here that they fit. */
const sockets: ProbeSockets = kernelSockets;

const codeOf = (error: unknown): string => (error instanceof KernelError ? error.code : String(error));

function echoRequest(family: Family, token: string): Buffer {
  // Type 8 or 128; the kernel fills in identifier and checksum of a ping socket.
  return Buffer.concat([Buffer.from([family === 4 ? 8 : 128, 0, 0, 0, 0, 0, 0, 1]), Buffer.from(token)]);
}

interface PingSocket {
  readonly socket: dgram.Socket;
  readonly fd: number;
  readonly errors: SocketError[];
  readonly answers: { from: string; data: Buffer }[];
}

async function openPing(family: Family, mark = 0): Promise<PingSocket> {
  const fd = sockets.open({ family, kind: 'icmp', mark, device: null });
  const socket = dgram.createSocket(family === 4 ? 'udp4' : 'udp6');
  const ping: PingSocket = { socket, fd, errors: [], answers: [] };
  socket.on('message', (data, from) => ping.answers.push({ from: from.address, data }));
  socket.on('error', () => ping.errors.push(...sockets.drainErrors(fd)));
  await new Promise<void>((resolve) => socket.bind({ fd, exclusive: true }, resolve));
  return ping;
}

describe('probe sockets', { skip: needsRoot }, () => {
  let namespace: TestNamespace;
  const open: dgram.Socket[] = [];
  const ping = async (family: Family, mark = 0): Promise<PingSocket> => {
    const made = await openPing(family, mark);
    open.push(made.socket);
    return made;
  };

  before(async () => {
    namespace = enterTestNamespace();
    namespace.ip('route add default via 192.168.1.1');
    namespace.ip('-6 route add default via 2001:db8:1::1');
    namespace.peerIp('route add unreachable 198.51.100.0/24');
    namespace.peerIp('-6 route add unreachable 2001:db8:99::/64');
    namespace.peerIp('route add 203.0.113.0/24 dev p1');
    namespace.peerIp('-6 route add 2001:db8:77::/64 dev p1');
    const { execFileSync } = await import('node:child_process');
    // Routers ration their ICMP errors, to six and then one a second: these tests want every one.
    for (const setting of [
      'net.ipv4.ip_forward=1',
      'net.ipv6.conf.all.forwarding=1',
      'net.ipv4.icmp_ratelimit=0',
      'net.ipv6.icmp.ratelimit=0',
    ]) {
      execFileSync('ip', ['netns', 'exec', namespace.peer, 'sysctl', '-qw', setting]);
    }
  });
  after(() => {
    for (const socket of open) socket.close();
  });

  test('an empty ping_group_range denies even root, with its own errno', () => {
    writeFileSync('/proc/sys/net/ipv4/ping_group_range', '1 0');
    assert.throws(
      () => sockets.open({ family: 4, kind: 'icmp', mark: 0, device: null }),
      (error) => codeOf(error) === 'EACCES',
    );
    writeFileSync('/proc/sys/net/ipv4/ping_group_range', '0 2147483647');
    sockets.close(sockets.open({ family: 4, kind: 'icmp', mark: 0, device: null }));
  });

  test('a thousand answers wait while the process does not run, and none is lost', async () => {
    const { fd, answers } = await ping(4);
    const peer = Buffer.from([AF_INET, 0, 0, 0, 192, 168, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    // In one go: nothing is read meanwhile.
    for (let i = 0; i < 1000; i++) sendto(fd, echoRequest(4, String(i).padStart(16)), peer);
    await eventually('every answer is read', () => answers.length === 1000);
  });

  test('mark and device are set; a device that is not there is told', () => {
    for (const kind of ['icmp', 'udp', 'tcp'] as const) {
      const fd = sockets.open({ family: 6, kind, mark: 0x8000_0041, device: 'eth0.5' });
      assert.equal(getsockopt(fd, SOL_SOCKET, SO_MARK, 4).readUInt32LE(), 0x8000_0041);
      assert.equal(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, 16).toString().replace(/\0.*$/, ''), 'eth0.5');
      sockets.close(fd);
    }
    assert.throws(
      () => sockets.open({ family: 4, kind: 'tcp', mark: 0, device: 'gone0' }),
      (error) => codeOf(error) === 'ENODEV',
    );
  });

  const families = [
    { family: 4, alive: '192.168.1.1', unreachable: '198.51.100.7', beyond: '203.0.113.9', router: '192.168.1.1' },
    { family: 6, alive: '2001:db8:1::1', unreachable: '2001:db8:99::7', beyond: '2001:db8:77::9', router: '2001:db8:1::1' },
  ] as const;
  for (const { family, alive, unreachable, beyond, router } of families) {
    test(`echo and answer: IPv${family}`, async () => {
      const { socket, answers } = await ping(family);
      await eventually('an answer', async () => {
        socket.send(echoRequest(family, 'hello'), 1, alive);
        return answers.length > 0;
      });
      assert.equal(answers[0]?.from, alive);
      assert.equal(answers[0]?.data.subarray(8).toString(), 'hello');
    });

    test(`a router's "unreachable" comes with type, code, router and our own echo: IPv${family}`, async () => {
      const { socket, errors } = await ping(family);
      await eventually('an error', () => {
        socket.send(echoRequest(family, 'lost-token'), 1, unreachable);
        return errors.length > 0;
      });
      const [error] = errors;
      assert.equal(error?.errno, family === 4 ? 'EHOSTUNREACH' : 'ENETUNREACH');
      assert.equal(error?.origin, family === 4 ? 'icmp' : 'icmp6');
      assert.deepEqual([error?.icmpType, error?.icmpCode], family === 4 ? [3, 1] : [1, 0]);
      assert.equal(error?.offender, router);
      assert.equal(
        Buffer.from(error?.quoted ?? [])
          .subarray(8)
          .toString(),
        'lost-token',
      );
    });

    test(`a packet whose hops run out names the router: IPv${family}`, async () => {
      const { socket, fd, errors } = await ping(family);
      // Not socket.setTTL(): on an IPv6 descriptor opened elsewhere, libuv sets IPv4's option.
      if (family === 4) setsockoptInt(fd, 0, 2, 1);
      else setsockoptInt(fd, 41, 16, 1);
      await eventually('an error', () => {
        socket.send(echoRequest(family, 'short-lived'), 1, beyond);
        return errors.length > 0;
      });
      assert.deepEqual([errors[0]?.icmpType, errors[0]?.icmpCode, errors[0]?.offender], [family === 4 ? 11 : 3, 0, router]);
    });
  }

  test('one unreachable leaves the processor calm', async () => {
    const { socket, errors } = await ping(4);
    await eventually('an error', () => {
      socket.send(echoRequest(4, 'calm'), 1, '198.51.100.7');
      return errors.length > 0;
    });
    const before = process.cpuUsage();
    const until = performance.now() + 500;
    await eventually('half a second', () => performance.now() > until);
    const used = process.cpuUsage(before);
    assert.ok((used.user + used.system) / 1000 < 250, `${(used.user + used.system) / 1000} ms of 500`);
  });

  test('many errors at once are drained in one visit, also when a later send was told of them', async () => {
    const { socket, fd, errors } = await ping(4);
    // Hops that run out: "unreachable" from an unreachable route is rationed apart (net.ipv4.route.error_cost).
    setsockoptInt(fd, 0, 2, 1);
    let most = 0;
    await eventually('errors', () => {
      for (let i = 0; i < 20; i++) {
        socket.send(echoRequest(4, `burst-${i}`), 1, '203.0.113.9', (failure) => {
          // The pending error of an earlier packet fails this one and is forgotten; the queue stays full, and libuv says nothing.
          if (failure === null) return;
          const drained = sockets.drainErrors(fd);
          most = Math.max(most, drained.length);
          errors.push(...drained);
        });
      }
      return errors.length >= 40;
    });
    assert.ok(most > 1, `at most ${most} in one visit`);
    assert.deepEqual(sockets.drainErrors(fd), []);
  });
});
