/**
 * In a one-armed network the gateway sends a packet out where it came in, and would tell the client a shorter way: one past
 * itself, which the client then keeps for minutes after a failover. Needs root.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import type { Family } from '../../../src/core/model.js';
import { SERVER4, SERVER6 } from '../../../src/lab/topologies.js';
import { quick } from './config-file.js';
import { eventually, flowing, type Gateway, lasting, proof } from './gateway.js';

const FAMILIES = [4, 6] as const;
const OWN: Readonly<Record<Family, string>> = { 4: '192.168.1.2', 6: 'fe80::2' };

/** The next hop that the client uses for the server. */
async function nextHop(gateway: Gateway, family: Family): Promise<string> {
  const server = family === 4 ? SERVER4 : SERVER6;
  const { stdout } = await gateway.lab.exec('client', ['ip', '-j', `-${family}`, 'route', 'get', server]);
  return (JSON.parse(stdout) as { gateway: string }[])[0]?.gateway ?? '';
}

/** Linux lets no UDP or TCP socket learn from a redirect of IPv6 unless it is bound to a device; an echo request teaches everyone. */
function startPing(gateway: Gateway, family: Family): ChildProcess {
  const server = family === 4 ? SERVER4 : SERVER6;
  return gateway.lab.spawn('client', ['ping', '-n', `-${family}`, '-i', '0.2', server], { stdio: 'ignore' });
}

async function forgetRedirects(gateway: Gateway): Promise<void> {
  for (const family of FAMILIES) await gateway.lab.exec('client', ['ip', `-${family}`, 'route', 'flush', 'cache']);
}

/** A trusting client, and the proof that it is one: without the program it learns the way past the gateway. */
async function learnOnce(gateway: Gateway): Promise<void> {
  const keys = ['ipv4/conf/all', 'ipv4/conf/lan0', 'ipv6/conf/all', 'ipv6/conf/lan0'];
  const lines = keys.map((key) => `echo 1 > /proc/sys/net/${key}/accept_redirects`);
  await gateway.lab.exec('client', ['sh', '-c', lines.join('\n')]);
  for (const family of FAMILIES) {
    const ping = startPing(gateway, family);
    const { gateway4, gateway6 } = gateway.lab.uplink('fast');
    const router = family === 4 ? gateway4 : gateway6;
    await eventually(`the client learns the router in IPv${family}`, async () => (await nextHop(gateway, family)) === router);
    ping.kill();
  }
}

proof(
  'a client that accepts redirects never learns one, and survives a failover, in both families',
  { topology: 'classic', config: quick('classic', { families: FAMILIES }), prepare: learnOnce },
  async (gateway) => {
    const { lab } = gateway;
    await gateway.judged();
    for (const family of FAMILIES) await gateway.goesBy('fast', family);
    // It comes last of all that the daemon does at its start: nft is a program of its own.
    await eventually('redirects of IPv6 are dropped', async () =>
      /redirect/.test((await lab.exec('gateway', ['nft', 'list', 'ruleset'])).stdout),
    );
    // What it has learned before stays learned for minutes: nothing on the gateway can take that back.
    await forgetRedirects(gateway);
    for (const family of FAMILIES) startPing(gateway, family);
    const meters = [await lab.meter({ family: 4 }), await lab.meter({ family: 6 })] as const;
    for (const meter of meters) await flowing(meter, 200);
    for (const family of FAMILIES) assert.equal(await nextHop(gateway, family), OWN[family]);

    const cut = await lab.cut('fast', 'router');
    for (const [at, family] of FAMILIES.entries()) {
      await gateway.goesBy('backup', family);
      const meter = meters[at] ?? assert.fail();
      await flowing(meter);
      const { longestGapMs } = await meter.stats(cut.monotonicMs);
      assert.ok(longestGapMs < 1500, `IPv${family}: without a way out for ${longestGapMs} ms`);
    }
    await lasting(meters[0], 500);
    for (const family of FAMILIES) assert.equal(await nextHop(gateway, family), OWN[family]);

    await lab.mend('fast');
    for (const family of FAMILIES) await gateway.goesBy('fast', family);
    for (const meter of meters) await flowing(meter, 200);
    for (const family of FAMILIES) assert.equal(await nextHop(gateway, family), OWN[family]);
  },
);
