/**
 * IPv6 without translation, as docs/operating.md tells it: each client has an address of every provider, and packaging/hooks/lan-prefix
 * lets dnsmasq say which of them is good. The daemon's own hook, a real dnsmasq, a client that makes its addresses itself.
 * Needs root.
 */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { monotonicMs } from '../../../src/lab/clock.js';
import type { Lab } from '../../../src/lab/lab.js';
import { run } from '../../../src/lab/run.js';
import { SERVER6 } from '../../../src/lab/topologies.js';
import { startCall } from '../../../src/lab/traffic/call.js';
import { missingForDhcp } from '../../support/dhcp.js';
import { eventually, type Gateway } from '../proof/gateway.js';
import { failedMs, foreignSources, measured, quicker, wayProof } from './way.js';

const HOOK = fileURLToPath(new URL('../../../../packaging/hooks/lan-prefix', import.meta.url));
const PREFIX = { fast: '2001:db8:1000:1::/64', backup: '2001:db8:1100:1::/64' } as const;

const config = quicker('prefixes', {
  families: [4, 6],
  top: {
    via: {
      'from-fast': { from: PREFIX.fast, uplink: 'fast', fallback: 'block' },
      'from-backup': { from: PREFIX.backup, uplink: 'backup', fallback: 'block' },
    },
  },
});

function installed(gateway: Gateway): { readonly hooks: string; readonly hook: string; readonly stop: string } {
  const folder = (name: string): string => {
    const path = join(gateway.dir, name);
    mkdirSync(path, { recursive: true });
    return path;
  };
  const script = (dir: string, name: string, body: string): string => {
    writeFileSync(join(dir, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    return join(dir, name);
  };
  const etc = folder('etc');
  writeFileSync(
    join(folder('etc/backroute'), 'lan-prefix'),
    Object.entries(PREFIX)
      .map((line) => line.join(' '))
      .join('\n'),
  );
  writeFileSync(join(etc, 'backroute/dnsmasq.conf.in'), 'enable-ra\n@PREFIXES@\n');
  const conf = folder('etc/dnsmasq.d');
  const bin = folder('hook-bin');
  const pid = join(gateway.dir, 'dnsmasq.pid');
  const stop = `if [ -e '${pid}' ]; then kill "$(cat '${pid}')"; while [ -e '${pid}' ]; do sleep 0.05; done; fi`;
  const options = `--port=0 --interface=lan0 --bind-interfaces --user=root --pid-file='${pid}' --log-facility='${gateway.dir}/dnsmasq.log'`;
  script(bin, 'systemctl', `${stop}\ndnsmasq --conf-file=/dev/null --conf-dir='${conf}' ${options}`);
  script(bin, 'node', `exec '${process.execPath}' "$@"`);
  const [node = '', program = '', , ...places] = gateway.argv('status');
  script(bin, 'backroute', `exec '${node}' '${program}' "$@" ${places.map((word) => `'${word}'`).join(' ')}`);
  const hooks = folder('hooks');
  const hook = script(hooks, '50-lan-prefix', `export LAN_PREFIX_ETC='${etc}' PATH='${bin}':"$PATH"\nexec '${HOOK}'`);
  return { hooks, hook, stop };
}

/** Waits until what the client sends without saying from where has an address of this prefix; then a call really has. */
async function takes(lab: Lab, prefix: string): Promise<number> {
  const isOf = (text: string): boolean => text.includes(prefix.replace(':/64', ''));
  await eventually(`the client takes ${prefix}`, async () => {
    const { stdout } = await lab.exec('client', ['ip', '-6', 'route', 'get', SERVER6], { check: false });
    return isOf(/ src (\S+)/.exec(stdout)?.[1] ?? '');
  });
  const atMs = monotonicMs();
  const call = await startCall(lab, { family: 6 });
  assert.ok(isOf((await call.stop()).sources.at(-1)?.address ?? ''), `a call goes out from ${prefix}`);
  return atMs;
}

wayProof(
  "without translation: the clients' new connections take the prefix of the uplink in use, and none comes by the other's provider",
  {
    topology: 'prefixes',
    config,
    skip: missingForDhcp('dnsmasq'),
    prepare: async (gateway) => {
      const { hooks } = installed(gateway);
      gateway.configure({ ...config, hooks: { directory: hooks } });
      for (const prefix of Object.values(PREFIX)) {
        await gateway.ip(`-6 addr add ${prefix.replace('::/', '::1/')} dev lan0 nodad`);
      }
      // The lab's client makes no addresses itself, and Linux drops an advertisement as a whole whose router is its static default.
      const client = ['ip', '-n', gateway.lab.ns('client')];
      await run([...client, 'link', 'set', 'dev', 'lan0', 'addrgenmode', 'eui64']);
      await run([...client, '-6', 'route', 'del', 'default']);
    },
  },
  async (gateway) => {
    const { lab } = gateway;
    await gateway.goesBy('fast', 6);
    const { hook, stop } = installed(gateway);
    try {
      // By hand, once: it asks the daemon.
      await lab.exec('gateway', [hook]);
      await takes(lab, PREFIX.fast);
      const foreign = async () => [await foreignSources(lab, 'fast'), await foreignSources(lab, 'backup')];
      const before = await foreign();
      const cut = await lab.cut('fast', 'silent');
      const knownMs = await failedMs(gateway, 'fast', cut, 6);
      const tookMs = (await takes(lab, PREFIX.backup)) - knownMs;
      measured(`without translation: the client takes the other prefix ${Math.round(tookMs)} ms after the detection`);
      assert.ok(tookMs < 10_000, `${tookMs} ms`);
      await lab.mend('fast');
      await gateway.goesBy('fast', 6);
      await takes(lab, PREFIX.fast);
      assert.deepEqual(await foreign(), before, "nothing came to a provider with the other's prefix");
      assert.deepEqual((await gateway.status()).rogues, [], 'our own advertisements are no stranger');
    } finally {
      await lab.exec('gateway', ['sh', '-c', stop], { check: false });
    }
  },
);
