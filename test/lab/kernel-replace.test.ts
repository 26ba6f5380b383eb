/** A default route that another process replaces all the time never loses a packet, IPv4 and IPv6. */
import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { kernelSockets } from '../../src/kernel/sockets.js';
import { Agent, enterTestNamespace, eventually, needsRoot, type TestNamespace } from './kernel-namespace.js';

describe('replacing the default route under traffic', { skip: needsRoot }, () => {
  let namespace: TestNamespace;
  let agent: Agent;
  before(async () => {
    namespace = enterTestNamespace();
    writeFileSync('/proc/sys/net/ipv4/ping_group_range', '0 2147483647');
    namespace.peerIp('addr add 198.51.100.1/32 dev lo');
    namespace.peerIp('-6 addr add 2001:db8:99::1/128 dev lo nodad');
    namespace.ip('route add default via 192.168.1.1 proto 177');
    namespace.ip('-6 route add default via 2001:db8:1::1 metric 1 proto 177');
    agent = new Agent();
    await agent.ready();
  });
  after(() => agent.child.kill('SIGKILL'));

  const far = { 4: '198.51.100.1', 6: '2001:db8:99::1' } as const;
  for (const [family, verb, what] of [
    [4, 'toggle', 'one by another'],
    [6, 'toggle', 'one by another'],
    [4, 'share', 'one by shared ones and back'],
    [6, 'share', 'one by shared ones and back'],
  ] as const) {
    test(`IPv${family}, ${what}: 2,000 replacements, every packet answered`, async (t) => {
      const fd = kernelSockets.open({ family, kind: 'icmp', mark: 0, device: null });
      const socket = dgram.createSocket(family === 4 ? 'udp4' : 'udp6');
      const answered = new Set<number>();
      const failures: string[] = [];
      socket.on('message', (data) => answered.add(data.readUInt32BE(8)));
      socket.on('error', () => failures.push(...kernelSockets.drainErrors(fd).map((error) => error.errno)));
      await new Promise<void>((resolve) => socket.bind({ fd, exclusive: true }, resolve));
      const echo = (token: number): Buffer => {
        const packet = Buffer.from([family === 4 ? 8 : 128, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
        packet.writeUInt32BE(token, 8);
        return packet;
      };
      // Both ways know their neighbours before the counting begins.
      await eventually('the first answer', () => {
        socket.send(echo(0), 1, far[family]);
        return answered.has(0);
      });
      let toggling = true;
      const toggled = agent.ask(`${verb} ${family}`).finally(() => {
        toggling = false;
      });
      let sent = 0;
      while (toggling) {
        const token = ++sent;
        socket.send(echo(token), 1, far[family], (error) => {
          if (error !== null) failures.push(error.message);
        });
        // Never more than a few on their way: it is the route that is tried, not the buffers.
        await eventually('answers keep coming', () => sent - answered.size < 20);
      }
      assert.equal((await toggled).refused, 0);
      await eventually('every answer', () => answered.size - 1 === sent);
      t.diagnostic(`${sent} packets, all answered`);
      assert.deepEqual(failures, []);
      assert.ok(sent > 200, `${sent} packets`);
      socket.close();
    });
  }
});
