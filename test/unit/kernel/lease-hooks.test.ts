/** The hooks of packaging/dhcp, called as the clients call them: what they drop, and that they hurt nobody. */
import assert from 'node:assert/strict';
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseHint } from '../../../src/kernel/lease/key-value.js';

const HOOKS = fileURLToPath(new URL('../../../../packaging/dhcp/', import.meta.url));
let folder: string;
const hints = (): string => join(folder, 'hints');

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'backroute-hooks-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function run(argv: readonly string[], env: Record<string, string> = {}): SpawnSyncReturns<string> {
  const places = { PATH: process.env.PATH ?? '', BACKROUTE_HINT: join(HOOKS, 'hint'), BACKROUTE_HINTS: hints() };
  return spawnSync('/bin/sh', argv, { encoding: 'utf8', env: { ...places, ...env } });
}
/** Sourced by a strict shell, as the worst of clients might. */
const sourced = (hook: string, env: Record<string, string>) =>
  run(['-ec', `. "${join(HOOKS, hook)}"; echo "went on, $-, $#"`, 'client', 'its', 'arguments'], env);
const dropped = (): Record<string, string> =>
  Object.fromEntries(readdirSync(hints()).map((name) => [name, readFileSync(join(hints(), name), 'utf8')]));

test('dhclient: bound, renewed, expired', () => {
  const bound = { reason: 'BOUND', interface: 'wan1', new_routers: '10.1.0.1 10.1.0.9', new_expiry: '1795397624' };
  const told = sourced('dhclient-exit-hook', bound);
  assert.deepEqual([told.status, told.stdout, told.stderr], [0, 'went on, e, 2\n', '']);
  assert.deepEqual(dropped(), {
    'wan1-4-dhclient': "interface=wan1\nfamily=4\nsource=dhclient's hook\ngateway=10.1.0.1\nprefix=\nexpires=1795397624\n",
  });
  sourced('dhclient-exit-hook', { ...bound, reason: 'RENEW', new_routers: '10.1.0.3' });
  assert.equal(parseHint(dropped()['wan1-4-dhclient'] ?? '').gateway, '10.1.0.3');
  sourced('dhclient-exit-hook', { ...bound, reason: 'PREINIT' });
  assert.equal(Object.keys(dropped()).length, 1);
  sourced('dhclient-exit-hook', { reason: 'EXPIRE', interface: 'wan1', old_routers: '10.1.0.3' });
  assert.deepEqual(dropped(), {});
});

test('dhclient: classless routes outrank the routers, and may name none', () => {
  const bound = { reason: 'BOUND', interface: 'wan1', new_routers: '10.1.0.1' };
  const gatewayOf = (routes: string): string | null | undefined => {
    sourced('dhclient-exit-hook', { ...bound, new_rfc3442_classless_static_routes: routes });
    const text = dropped()['wan1-4-dhclient'];
    return text === undefined ? undefined : parseHint(text).gateway;
  };
  assert.equal(gatewayOf('24 192 168 7 10 1 0 2 0 10 1 0 5'), '10.1.0.5');
  assert.equal(gatewayOf('24 192 168 7 10 1 0 2'), undefined);
  assert.equal(gatewayOf('0 10 1'), undefined);
});

test('dhclient -6 -P: the prefix; the call for the address changes nothing', () => {
  const prefix = { reason: 'BOUND6', interface: 'wan1', new_ip6_prefix: '2001:db8:5::/56', new_max_life: '900' };
  sourced('dhclient-exit-hook', prefix);
  sourced('dhclient-exit-hook', { reason: 'BOUND6', interface: 'wan1', new_ip6_address: '2001:db8::7', new_max_life: '900' });
  const hint = parseHint(dropped()['wan1-6-dhclient'] ?? '');
  assert.equal(hint.prefix, '2001:db8:5::/56');
  assert.ok(Math.abs((hint.expiresWallMs ?? 0) - Date.now() - 900_000) < 10_000);
  sourced('dhclient-exit-hook', { reason: 'RELEASE6', interface: 'wan1', old_ip6_prefix: '2001:db8:5::/56' });
  assert.deepEqual(dropped(), {});
});

test('udhcpc: after the usual script, with its exit code', () => {
  const usual = join(folder, 'usual');
  writeFileSync(usual, '#!/bin/sh\necho "usual $1"\nexit 3\n', { mode: 0o755 });
  const script = join(HOOKS, 'udhcpc-script');
  const env = { BACKROUTE_UDHCPC_SCRIPT: usual, interface: 'wan1', router: '10.1.0.1 10.1.0.9', lease: '120' };
  const told = run([script, 'bound'], env);
  assert.deepEqual([told.status, told.stdout, told.stderr], [3, 'usual bound\n', '']);
  assert.equal(parseHint(dropped()['wan1-4-udhcpc'] ?? '').gateway, '10.1.0.1');
  run([script, 'renew'], { ...env, staticroutes: '192.168.7.0/24 10.1.0.2 0.0.0.0/0 10.1.0.5' });
  assert.equal(parseHint(dropped()['wan1-4-udhcpc'] ?? '').gateway, '10.1.0.5');
  run([script, 'leasefail'], env);
  assert.equal(Object.keys(dropped()).length, 1);
  run([script, 'deconfig'], env);
  assert.deepEqual(dropped(), {});
});

test('dhcpcd, odhcp6c, NetworkManager: gateway and prefix', () => {
  sourced('dhcpcd-hook', { reason: 'BOUND', interface: 'wan1', new_routers: '10.1.0.1', new_dhcp_lease_time: '600' });
  sourced('dhcpcd-hook', {
    reason: 'REBIND6',
    interface: 'wan1',
    new_dhcp6_ia_pd1_prefix1: '2001:db8:5::',
    new_dhcp6_ia_pd1_prefix1_length: '56',
    new_dhcp6_ia_pd1_prefix1_vltime: '4294967295',
  });
  run([join(HOOKS, 'odhcp6c-script'), 'wan2', 'bound'], { PREFIXES: '2001:db8:6::/56,600,900,class=1 2001:db8:7::/56,1,1' });
  run([join(HOOKS, 'networkmanager-dispatcher'), 'wan3', 'dhcp4-change'], {
    DHCP4_ROUTERS: '10.3.0.1',
    DHCP4_EXPIRY: '1800000000',
  });
  const found = Object.entries(dropped()).map(([name, text]) => {
    const hint = parseHint(text);
    return `${name} ${hint.gateway ?? hint.prefix} ${hint.expiresWallMs === null ? 'for ever' : 'ends'}`;
  });
  assert.deepEqual(found, [
    'wan1-4-dhcpcd 10.1.0.1 ends',
    'wan1-6-dhcpcd 2001:db8:5::/56 for ever',
    'wan2-6-odhcp6c 2001:db8:6::/56 ends',
    'wan3-4-NetworkManager 10.3.0.1 ends',
  ]);
  sourced('dhcpcd-hook', { reason: 'NOCARRIER', interface: 'wan1' });
  sourced('dhcpcd-hook', { reason: 'EXPIRE6', interface: 'wan1' });
  run([join(HOOKS, 'odhcp6c-script'), 'wan2', 'unbound']);
  run([join(HOOKS, 'networkmanager-dispatcher'), 'wan3', 'down']);
  assert.deepEqual(dropped(), {});
});

test('without Backroute, with a folder that cannot be made, with hostile words: nothing happens, and nothing fails', () => {
  const bound = { reason: 'BOUND', interface: 'wan1', new_routers: '10.1.0.1' };
  for (const hook of ['dhclient-exit-hook', 'dhcpcd-hook']) {
    for (const env of [{ BACKROUTE_HINT: '/nowhere/hint' }, { BACKROUTE_HINTS: '/nowhere/hints' }, { PATH: '' }]) {
      const told = sourced(hook, { ...bound, ...env });
      assert.deepEqual([told.status, told.stdout, told.stderr], [0, 'went on, e, 2\n', ''], `${hook} ${JSON.stringify(env)}`);
    }
  }
  assert.equal(existsSync(hints()), false);
  const hint = join(HOOKS, 'hint');
  for (const words of [
    ['../../etc/x', '4', 'c', 'gateway=1.1.1.1'],
    ['wan1', '5', 'c', 'gateway=1.1.1.1'],
    ['wan1', '4', 'c', 'gateway=1.1.1.1\nprefix=x'],
    ['wan1', '4', 'c', 'gateway=$(touch /tmp/x)'],
    ['wan1', '4'],
    [],
  ]) {
    const told = run([hint, ...words]);
    assert.deepEqual([told.status, told.stdout, told.stderr], [0, '', ''], words.join(' '));
  }
  assert.deepEqual(existsSync(hints()) ? dropped() : {}, {});
  run([hint, 'wan1', '4', 'c', 'gateway=10.1.0.1', 'lease=99999999999999999999', 'expires=x;y']);
  assert.deepEqual(parseHint(dropped()['wan1-4-c'] ?? '').expiresWallMs, null);
});

test('a folder that is a link is not written into, and no draft stays', () => {
  mkdirSync(join(folder, 'elsewhere'));
  symlinkSync(join(folder, 'elsewhere'), hints());
  run([join(HOOKS, 'hint'), 'wan1', '4', 'c', 'gateway=10.1.0.1']);
  assert.deepEqual(readdirSync(join(folder, 'elsewhere')), []);
  rmSync(hints());
  // The place of the hint is taken by something that cannot be replaced.
  mkdirSync(join(hints(), 'wan1-4-c/full'), { recursive: true });
  chmodSync(hints(), 0o755);
  run([join(HOOKS, 'hint'), 'wan1', '4', 'c', 'gateway=10.1.0.1']);
  assert.deepEqual(readdirSync(hints()), ['wan1-4-c']);
});
