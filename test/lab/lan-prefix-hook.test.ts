/** packaging/hooks/lan-prefix: what it makes of a switch, and that a real client of a real dnsmasq moves to the new prefix. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { until } from '../../src/lab/until.js';
import { missingForDhcp } from '../support/dhcp.js';
import { enterOwnNetwork, ip, NeighbourNetwork, needsRoot, setSysctl } from '../support/own-network.js';

const HOOK = fileURLToPath(new URL('../../../packaging/hooks/lan-prefix', import.meta.url));
const TABLE = '# uplink  its prefix on the LAN\nfibre  2001:db8:1:1::/64\n\ncable  2001:db8:5:1::/64\n';

class Stage {
  readonly dir = mkdtempSync(join(tmpdir(), 'backroute-lan-prefix-'));
  readonly etc = join(this.dir, 'etc');
  /** before its files go: hooks of the test runner are called in the order in which they were set */
  ending: () => void = () => {};

  /** @param template of the server that shall announce */
  constructor(t: TestContext, template: { readonly name: string; readonly text: string }) {
    t.after(() => {
      this.ending();
      rmSync(this.dir, { recursive: true, force: true });
    });
    for (const folder of ['bin', 'etc', 'etc/backroute', 'etc/dnsmasq.d']) mkdirSync(join(this.dir, folder));
    this.put('backroute/lan-prefix', TABLE);
    this.put(`backroute/${template.name}`, template.text);
    this.program('systemctl', `echo "$*" >>'${this.dir}/systemctl.log'`);
  }

  put(name: string, text: string): void {
    writeFileSync(join(this.etc, name), text);
  }

  read(name: string): string {
    return readFileSync(join(this.etc, name), 'utf8');
  }

  program(name: string, body: string): void {
    writeFileSync(join(this.dir, 'bin', name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  }

  get orders(): string[] {
    const path = join(this.dir, 'systemctl.log');
    return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : [];
  }

  /** @returns the exit code */
  hook(active: string, change: NodeJS.ProcessEnv = {}): number | null {
    const env = {
      PATH: `${join(this.dir, 'bin')}:/usr/sbin:/usr/bin:/sbin:/bin`,
      LAN_PREFIX_ETC: this.etc,
      BACKROUTE_EVENT: 'switch',
      BACKROUTE_FAMILY: '6',
      BACKROUTE_ACTIVE_6: active,
      ...change,
    };
    return spawnSync(HOOK, { env, stdio: 'ignore' }).status;
  }
}

const RADVD = { name: 'radvd.conf.in', text: 'interface lan0 {\n  AdvSendAdvert on;\n@PREFIXES@\n};\n' };

/** preferred lifetime by prefix */
function announced(text: string): Record<string, string> {
  const found = text.matchAll(/prefix (\S+) \{\s*AdvPreferredLifetime (\d+);\s*AdvValidLifetime 7200;\s*\};/g);
  return Object.fromEntries([...found].map(([, prefix = '', preferred = '']) => [prefix, preferred]));
}

test('radvd: the prefix in use is preferred, the others are not any more', (t) => {
  const stage = new Stage(t, RADVD);
  stage.program('radvd', 'grep -q "AdvSendAdvert on" "$3"');
  assert.equal(stage.hook('fibre'), 0);
  assert.match(stage.read('radvd.conf'), /^interface lan0 \{\n {2}AdvSendAdvert on;\n {2}prefix /);
  assert.deepEqual(announced(stage.read('radvd.conf')), { '2001:db8:1:1::/64': '1800', '2001:db8:5:1::/64': '0' });
  assert.equal(stage.hook('cable'), 0);
  assert.deepEqual(announced(stage.read('radvd.conf')), { '2001:db8:1:1::/64': '0', '2001:db8:5:1::/64': '1800' });
  assert.deepEqual(stage.orders, Array(2).fill('try-reload-or-restart radvd'));
});

test('the last line of its table counts without an end of line, too', (t) => {
  const stage = new Stage(t, RADVD);
  stage.program('radvd', 'exit 0');
  stage.put('backroute/lan-prefix', TABLE.trimEnd());
  assert.equal(stage.hook('fibre'), 0);
  assert.deepEqual(Object.keys(announced(stage.read('radvd.conf'))), ['2001:db8:1:1::/64', '2001:db8:5:1::/64']);
});

test('what is not its business, and what radvd refuses, changes nothing', (t) => {
  const stage = new Stage(t, RADVD);
  stage.program('radvd', 'exit 0');
  assert.equal(stage.hook('fibre'), 0);
  const before = stage.read('radvd.conf');
  for (const change of [
    { BACKROUTE_ACTIVE_6: 'lte' },
    { BACKROUTE_ACTIVE_6: '' },
    { BACKROUTE_EVENT: 'health' },
    { BACKROUTE_FAMILY: '4' },
  ]) {
    assert.equal(stage.hook('cable', change), 0, JSON.stringify(change));
  }
  stage.program('radvd', 'exit 1');
  assert.notEqual(stage.hook('cable'), 0);
  assert.equal(stage.read('radvd.conf'), before);
  assert.equal(stage.orders.length, 1);
  assert.deepEqual(readdirSync(join(stage.etc, 'backroute')).sort(), ['lan-prefix', 'radvd.conf.in'], 'no draft is left');
});

test('at boot it asks the daemon which uplink is in use', (t) => {
  const stage = new Stage(t, RADVD);
  stage.program('radvd', 'exit 0');
  stage.program('node', `exec '${process.execPath}' "$@"`);
  stage.program('backroute', `echo '{"families": [{"family": 4, "active": "fibre"}, {"family": 6, "active": "cable"}]}'`);
  assert.equal(stage.hook('', { BACKROUTE_EVENT: undefined, BACKROUTE_FAMILY: undefined, BACKROUTE_ACTIVE_6: undefined }), 0);
  assert.equal(announced(stage.read('radvd.conf'))['2001:db8:5:1::/64'], '1800');
});

test('a client of dnsmasq moves to the prefix in use', { skip: needsRoot || missingForDhcp('dnsmasq') }, async (t) => {
  enterOwnNetwork();
  const client = await NeighbourNetwork.create();
  t.after(() => client.close());
  ip(`link add lan0 index 71 type veth peer name eth0 index 72 netns ${client.pid}`);
  ip('link set lan0 up');
  for (const address of ['2001:db8:1:1::1', '2001:db8:5:1::1']) ip(`-6 addr add ${address}/64 dev lan0 nodad`);
  setSysctl('net.ipv6.conf.all.forwarding', '1');
  client.run('ip link set eth0 up');

  const stage = new Stage(t, { name: 'dnsmasq.conf.in', text: 'enable-ra\n@PREFIXES@\n' });
  const pidFile = join(stage.dir, 'dnsmasq.pid');
  const stop = `if [ -e '${pidFile}' ]; then kill "$(cat '${pidFile}')"; while [ -e '${pidFile}' ]; do sleep 0.05; done; fi`;
  const start = `dnsmasq --conf-file=/dev/null --conf-dir='${stage.etc}/dnsmasq.d' --port=0 --interface=lan0 --bind-interfaces`;
  stage.program('systemctl', `${stop}\n${start} --user=root --pid-file='${pidFile}' --log-facility='${stage.dir}/dnsmasq.log'`);
  stage.ending = () => void spawnSync('sh', ['-c', stop]);

  const prefers = (prefix: string): boolean =>
    new RegExp(`inet6 ${prefix}:[0-9a-f:]+/64 scope global dynamic`).test(client.run('ip -6 addr show dev eth0'));
  const deprecates = (prefix: string): boolean =>
    new RegExp(`inet6 ${prefix}:[0-9a-f:]+/64 scope global deprecated`).test(client.run('ip -6 addr show dev eth0'));
  for (const [active, good, old] of [
    ['fibre', '2001:db8:1:1', '2001:db8:5:1'],
    ['cable', '2001:db8:5:1', '2001:db8:1:1'],
  ] as const) {
    assert.equal(stage.hook(active), 0);
    assert.ok(await until(() => prefers(good) && deprecates(old), 10_000), client.run('ip -6 addr show dev eth0'));
  }
  const chosen = (): boolean => client.run('ip -6 route get 2001:db8:99::1').includes('src 2001:db8:5:1:');
  assert.ok(await until(chosen, 5_000), client.run('ip -6 route get 2001:db8:99::1'));
});
