/** From before the first start to after `cleanup`: always a way out, and in the end everything as it was. Needs root. */
import assert from 'node:assert/strict';
import { quick } from './config-file.js';
import { flowing, type Gateway, lasting, proof } from './gateway.js';

/** What others have set up, and want to find again. */
async function furnish(gateway: Gateway): Promise<void> {
  for (const words of [
    'route replace default via 192.168.1.253 dev lan0 proto dhcp src 192.168.1.2 mtu 1400',
    'route append default via 192.168.1.1 dev lan0 proto static',
    'route add default via 192.168.1.1 dev lan0 proto ra metric 500',
    'route add 172.16.0.0/12 via 192.168.1.1 dev lan0',
    'rule add pref 5000 from 192.168.1.77 table 77',
    'route add default via 192.168.1.1 dev lan0 table 77',
    '-6 route add 2001:db8:dead::/48 via fe80::1 dev lan0',
    '-6 route replace default via fe80::1 dev lan0 metric 2000 proto ra expires 1800',
    '-6 rule add pref 5001 from 2001:db8:77::/64 table 77',
  ]) {
    await gateway.ip(words);
  }
  const set = (key: string, value: string) => `echo '${value}' > /proc/sys/net/${key}`;
  const sysctls = [
    set('ipv4/ping_group_range', '7 9'),
    set('ipv4/conf/all/send_redirects', '1'),
    set('ipv4/conf/lan0/accept_redirects', '1'),
    set('ipv6/conf/lan0/accept_redirects', '1'),
  ];
  await gateway.lab.exec('gateway', ['sh', '-c', sysctls.join('\n')]);
  await gateway.lab.exec('gateway', ['nft', '-f', '-'], {
    input: 'table ip theirs {\n chain input {\n type filter hook input priority 0\n ip saddr 192.0.2.1 drop\n }\n}\n',
  });
}

const config = quick('classic', { families: [4, 6] });

for (const { how, signal } of [
  { how: 'stopped', signal: 'SIGTERM' },
  { how: 'killed', signal: 'SIGKILL' },
] as const) {
  proof(
    `cleanup after a daemon that was ${how}: everything byte for byte as before, never a moment without a way out`,
    { topology: 'classic', config, start: false, prepare: furnish },
    async (gateway) => {
      const { lab } = gateway;
      const meters = [await lab.meter({ family: 4 }), await lab.meter({ family: 6 })];
      for (const meter of meters) await flowing(meter);
      const before = await gateway.footprint();

      await gateway.start();
      await gateway.judged();
      await gateway.goesBy('fast');
      await gateway.goesBy('fast', 6);
      // Both families move, so that everything there is to undo was done.
      await gateway.order('force', 'backup');
      await gateway.goesBy('backup');
      await gateway.goesBy('backup', 6);
      const during = await gateway.footprint();
      assert.notDeepEqual(during, before);

      const refused = await gateway.backroute('cleanup');
      assert.equal(refused.code, 1, 'not beside a daemon');
      assert.match(refused.stderr, /backroute is running/);
      await gateway.end(signal);
      assert.deepEqual(await gateway.footprint(), during, 'its end leaves the routes as they are (on-stop: keep)');

      await gateway.order('cleanup');
      assert.deepEqual(await gateway.footprint(), before);
      await lasting(meters[0] ?? assert.fail(), 300);
      for (const meter of meters) assert.equal((await meter.stop()).lost, 0);
      assert.match(await gateway.order('cleanup'), /Nothing/);
    },
  );
}

proof(
  'cleanup leaves a sysctl alone that somebody has changed since',
  { topology: 'classic', config: quick('classic') },
  async (gateway) => {
    await gateway.judged();
    await gateway.goesBy('fast');
    await gateway.end('SIGTERM');
    const path = '/proc/sys/net/ipv4/conf/lan0/send_redirects';
    const read = async () => (await gateway.lab.exec('gateway', ['cat', path])).stdout.trim();
    assert.equal(await read(), '0', 'the one-armed case needs it off');
    await gateway.lab.exec('gateway', ['sh', '-c', `echo 2 > ${path}`]);
    await gateway.order('cleanup');
    assert.equal(await read(), '2');
  },
);
