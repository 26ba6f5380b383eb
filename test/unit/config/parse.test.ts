/**
 * The text of a configuration to a Config, or to problems at their lines.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BUILT_IN } from '../../../src/config/defaults.js';
import { type ParseResult, parseConfig } from '../../../src/config/parse.js';
import { formatProblem, type Problem } from '../../../src/config/problem.js';
import type { Config } from '../../../src/core/config.js';
import { noServices } from '../../../src/core/services.js';

const FILE = 'backroute.yaml';

const SMALLEST = `uplinks:
  fast:
    gateway: 192.168.1.253
    targets: [212.254.0.1]
  backup:
    gateway: 192.168.1.1
`;

function parse(text: string): ParseResult {
  return parseConfig(text, FILE);
}

function config(text: string): Config {
  const result = parse(text);
  assert.ok(result.ok, result.ok ? '' : result.problems.map(formatProblem).join('\n'));
  return result.config;
}

function problems(text: string): readonly Problem[] {
  const result = parse(text);
  assert.ok(!result.ok, 'the file must be refused');
  return result.problems;
}

test('the smallest useful file works as it is', () => {
  const { uplinks, ...rest } = config(SMALLEST);
  const { degraded, ...common } = BUILT_IN.uplink;
  const shared = { interface: null, ...common, degraded: { ...degraded, loss: { high: 0.2, low: 0.1 } } };
  assert.deepEqual(uplinks, [
    {
      name: 'fast',
      gateways: [{ family: 4, host: { kind: 'address', address: '192.168.1.253', family: 4 } }],
      targets: [{ kind: 'icmp', label: '212.254.0.1', host: { kind: 'address', address: '212.254.0.1', family: 4 } }],
      ...shared,
    },
    {
      name: 'backup',
      gateways: [{ family: 4, host: { kind: 'address', address: '192.168.1.1', family: 4 } }],
      targets: [],
      ...shared,
    },
  ]);
  assert.deepEqual(rest, {
    switchCostMs: 2_500,
    log: null,
    onStop: 'keep',
    socket: BUILT_IN.socket,
    kernel: BUILT_IN.kernel,
    sysctls: 'set',
    via: [],
    connections: BUILT_IN.connections,
    masquerade: false,
    lanPrefix: null,
    drill: null,
    routerAdvertisements: 'watch',
    services: noServices,
    history: BUILT_IN.history,
  });
});

test('an uplink outranks defaults, and defaults the built-in values', () => {
  const { uplinks } = config(`
defaults:
  targets: [192.0.2.1]
  fail-after: 3s
  probe: {interval: 2s, burst: 5}
  degraded: off
uplinks:
  fast:
    gateway: 192.168.1.253
    probe: {interval: 0.5s}
    degraded: {loss: 30%}
  backup:
    gateway: 192.168.1.1
    targets: []
    fail-after: 0s
`);
  const [fast, backup] = uplinks;
  assert.deepEqual(fast?.probe, { ...BUILT_IN.uplink.probe, intervalMs: 500, burstCount: 5 });
  assert.equal(fast?.failAfterMs, 3000);
  assert.equal(fast?.targets[0]?.label, '192.0.2.1');
  assert.deepEqual(fast?.degraded, { loss: { high: 0.3, low: 0.15 }, rttMs: null, jitterMs: null, policy: 'yield' });
  assert.deepEqual(backup?.probe, { ...BUILT_IN.uplink.probe, intervalMs: 2000, burstCount: 5 });
  assert.equal(backup?.failAfterMs, 0);
  assert.deepEqual(backup?.targets, []);
  assert.deepEqual(backup?.degraded, { loss: null, rttMs: null, jitterMs: null, policy: 'yield' });
});

test('every way to ask a target', () => {
  const [uplink] = config(`
uplinks:
  a:
    gateway: 192.168.1.1
    gateway6: fe80::1%eth0
    targets:
      - router.example.net
      - icmp: 2001:DB8:0::1
      - tcp: example.com:443
      - tcp: "[2001:db8::2]:8443"
      - http: https://Example.com/health?x=1
        status: [200, 204]
        expect: "all: well"
      - {http: "http://192.0.2.7:8080/", status: 204}
      - {dns: _x.example.com, server: 192.0.2.53}
      - {dns: ., server: "[2001:db8::53]:5353", type: NS}
`).uplinks;
  assert.equal(uplink?.interface, 'eth0');
  assert.deepEqual(uplink?.gateways[1], { family: 6, host: { kind: 'address', address: 'fe80::1', family: 6 } });
  const name = { kind: 'name', name: 'example.com' };
  const url = 'https://Example.com/health?x=1';
  assert.deepEqual(uplink?.targets, [
    { kind: 'icmp', label: 'router.example.net', host: { kind: 'name', name: 'router.example.net' } },
    { kind: 'icmp', label: '2001:DB8:0::1', host: { kind: 'address', address: '2001:db8::1', family: 6 } },
    { kind: 'tcp', label: 'tcp example.com:443', host: name, port: 443 },
    { kind: 'tcp', label: 'tcp [2001:db8::2]:8443', host: { kind: 'address', address: '2001:db8::2', family: 6 }, port: 8443 },
    {
      kind: 'http',
      label: url,
      host: { kind: 'name', name: 'Example.com' },
      url,
      port: 443,
      statuses: [200, 204],
      bodyContains: 'all: well',
    },
    {
      kind: 'http',
      label: 'http://192.0.2.7:8080/',
      host: { kind: 'address', address: '192.0.2.7', family: 4 },
      url: 'http://192.0.2.7:8080/',
      port: 8080,
      statuses: [204],
      bodyContains: null,
    },
    {
      kind: 'dns',
      label: 'dns _x.example.com @192.0.2.53',
      host: { kind: 'address', address: '192.0.2.53', family: 4 },
      name: '_x.example.com',
      type: 'A',
      port: 53,
    },
    {
      kind: 'dns',
      label: 'dns . @2001:db8::53',
      host: { kind: 'address', address: '2001:db8::53', family: 6 },
      name: '.',
      type: 'NS',
      port: 5353,
    },
  ]);
});

test('the order of the file is the preference, also where names are numbers', () => {
  const { uplinks } = config('uplinks:\n  20: {gateway: 192.0.2.1}\n  3: {gateway: 192.0.2.2}\n  x: {gateway: 192.0.2.3}\n');
  assert.deepEqual(
    uplinks.map((uplink) => uplink.name),
    ['20', '3', 'x'],
  );
});

test('permissions are octal, quoted or not', () => {
  assert.equal(config(`${SMALLEST}socket: {mode: 0600, group: adm}\n`).socket.mode, 0o600);
  assert.deepEqual(config(`${SMALLEST}socket: {mode: "0640", group: adm}\n`).socket, { mode: 0o640, group: 'adm' });
});

test('a gateway by name is IPv4, in gateway6 IPv6; one of them is enough', () => {
  const { uplinks } = config('uplinks:\n  a: {gateway: r1}\n  b: {gateway6: r2}\n  c: {gateway: "2001:db8::1"}\n');
  assert.deepEqual(
    uplinks.map((uplink) => uplink.gateways.map((gateway) => gateway.family)),
    [[4], [6], [6]],
  );
});

test('a bound that the file does not name never makes it wrong', () => {
  const [slow] = config('uplinks:\n  a: {gateway: r1, recover-after: 1h, probe: {deadline-floor: 3s}}\n').uplinks;
  assert.equal(slow?.holdDown.maxMs, 3_600_000);
  assert.equal(slow?.probe.timeoutMs, 3000);
});

test('anchors may repeat what was said', () => {
  const { uplinks } = config('uplinks:\n  a: {gateway: r1, targets: &t [192.0.2.1, r9]}\n  b: {gateway: r2, targets: *t}\n');
  assert.deepEqual(uplinks[1]?.targets, uplinks[0]?.targets);
});

test('patience and hold-down: learned, learned within bounds, or given; what hurts how much', () => {
  const { uplinks, switchCostMs } = config(`
switch-cost: 4s
defaults:
  fail-after: {min: 500ms}
  backup-cost: 0.1
uplinks:
  a: {gateway: r1, fail-after: {min: 1s, max: 10s}, recover-after: 45s}
  b: {gateway: r2, fail-after: auto, metered: true}
  c: {gateway: r3, backup-cost: 0}
`);
  const [a, b, c] = uplinks;
  assert.equal(switchCostMs, 4_000);
  assert.deepEqual([a?.failAfterMs, a?.patienceBounds], [null, { minMs: 1_000, maxMs: 10_000 }]);
  assert.equal(a?.recoverAfterMs, 45_000);
  assert.deepEqual(
    [b?.failAfterMs, b?.patienceBounds.minMs, b?.recoverAfterMs],
    [null, 0, null],
    'its own word outranks defaults',
  );
  assert.equal(c?.patienceBounds.minMs, 500);
  assert.deepEqual([a?.backupCost, b?.backupCost, c?.backupCost], [0.1, 0.1, 0]);
  const metered = config('uplinks: {a: {gateway: r1}, b: {gateway: r2, metered: true}}').uplinks;
  assert.deepEqual(
    metered.map(({ backupCost }) => backupCost),
    [0.02, 0.05],
  );
});

/** Bad files: where the problem must be, and a part of what must be said. */
const REFUSED: readonly { name: string; text: string; line: number; path: string; says: RegExp }[] = [
  {
    name: 'an unknown key, misspelt',
    text: 'uplinks:\n  fast:\n    gateway: 192.0.2.1\n    targts: [192.0.2.9]\n',
    line: 4,
    path: 'uplinks.fast.targts',
    says: /unknown.*targets.*Did you mean targets\?$/,
  },
  {
    name: 'camel case',
    text: 'uplinks:\n  a:\n    gateway: r\n    failAfter: 5s\n',
    line: 4,
    path: 'uplinks.a.failAfter',
    says: /Did you mean fail-after\?/,
  },
  {
    name: 'a key at the wrong level',
    text: 'uplinks:\n  a:\n    gateway: r\n    interval: 5s\n',
    line: 4,
    path: 'uplinks.a.interval',
    says: /belongs under probe:/,
  },
  {
    name: 'an uplink key at the top',
    text: `${SMALLEST}fail-after: 5s\n`,
    line: 7,
    path: 'fail-after',
    says: /under defaults: or in an uplink/,
  },
  {
    name: 'a gateway for all',
    text: `${SMALLEST}defaults:\n  gateway: 192.0.2.1\n`,
    line: 8,
    path: 'defaults.gateway',
    says: /every uplink has its own/,
  },
  { name: 'a YAML merge key', text: 'x: 1\n<<: 2\n', line: 2, path: '<<', says: /under defaults:/ },
  {
    name: 'duplicate names',
    text: 'uplinks:\n  a:\n    gateway: r1\n  b:\n    gateway: r2\n  a:\n    gateway: r3\n',
    line: 6,
    path: 'uplinks.a',
    says: /the same name stands in line 2 already/,
  },
  {
    name: 'a duplicate key',
    text: 'uplinks:\n  a:\n    gateway: r1\n    gateway: r2\n',
    line: 4,
    path: 'uplinks.a.gateway',
    says: /line 3 already/,
  },
  {
    name: 'two uplinks with the same gateway',
    text: 'uplinks:\n  a:\n    gateway: R1\n  b:\n    gateway: r1\n',
    line: 5,
    path: 'uplinks.b.gateway',
    says: /uplink a has the same gateway/,
  },
  {
    name: 'two uplinks with the same gateway and interface',
    text: 'uplinks:\n  a:\n    gateway: 192.0.2.1\n    interface: eth0\n  b: {gateway: 192.0.2.1, interface: eth0}\n',
    line: 5,
    path: 'uplinks.b.gateway',
    says: /uplink a has the same gateway on eth0/,
  },
  {
    name: 'a duration without unit',
    text: 'uplinks:\n  a:\n    gateway: r\n    fail-after: 5\n',
    line: 4,
    path: 'uplinks.a.fail-after',
    says: /a duration with unit is wanted, such as 200ms, 5s, 2m, or auto\. Did you mean 5s\?$/,
  },
  {
    name: 'a patience whose bounds cross',
    text: 'uplinks:\n  a:\n    gateway: r\n    fail-after: {min: 9s, max: 3s}\n',
    line: 4,
    path: 'uplinks.a.fail-after.min',
    says: /more than max, 3s.*at most 3s/,
  },
  {
    name: 'a bound of a patience that is none',
    text: 'uplinks:\n  a:\n    gateway: r\n    recover-after: {least: 9s}\n',
    line: 4,
    path: 'uplinks.a.recover-after.least',
    says: /unknown.*min, max/,
  },
  {
    name: 'a misspelt auto',
    text: 'uplinks:\n  a:\n    gateway: r\n    fail-after: automatic\n',
    line: 4,
    path: 'uplinks.a.fail-after',
    says: /or auto/,
  },
  {
    name: 'a backup that is as bad as no line',
    text: 'uplinks:\n  a:\n    gateway: r\n    backup-cost: 1\n',
    line: 4,
    path: 'uplinks.a.backup-cost',
    says: /too large.*0\.99/,
  },
  {
    name: 'switches that cost nothing',
    text: `${SMALLEST}switch-cost: 0s\n`,
    line: 7,
    path: 'switch-cost',
    says: /too small.*100ms/,
  },
  {
    name: 'a negative duration',
    text: 'uplinks:\n  a:\n    gateway: r\n    fail-after: -1s\n',
    line: 4,
    path: 'uplinks.a.fail-after',
    says: /found "-1s".*cannot be negative/,
  },
  {
    name: 'a duration with a blank',
    text: 'uplinks:\n  a:\n    gateway: r\n    fail-after: 1 s\n',
    line: 4,
    path: 'uplinks.a.fail-after',
    says: /Did you mean 1s\?/,
  },
  {
    name: 'a duration out of bounds',
    text: 'uplinks:\n  a:\n    gateway: r\n    probe:\n      interval: 5ms\n',
    line: 5,
    path: 'uplinks.a.probe.interval',
    says: /too small, from 20ms to 1h is allowed\. Below/,
  },
  {
    name: 'an address with a part too large',
    text: 'uplinks:\n  a:\n    gateway: 192.168.1.256\n',
    line: 3,
    path: 'uplinks.a.gateway',
    says: /looks like an IPv4 address but is none.*256/,
  },
  {
    name: 'an address with three parts',
    text: 'uplinks:\n  a:\n    gateway: 1.2.3\n',
    line: 3,
    path: 'uplinks.a.gateway',
    says: /3 parts where four are wanted/,
  },
  {
    name: 'an IPv6 address with three colons',
    text: 'uplinks:\n  a:\n    gateway: fe80:::1\n',
    line: 3,
    path: 'uplinks.a.gateway',
    says: /looks like an IPv6 address but is none\. Did you mean fe80::1\?/,
  },
  {
    name: 'a bad target in a list',
    text: 'uplinks:\n  a:\n    gateway: r\n    targets:\n      - 192.0.2.1\n      - 192.0.2.300\n',
    line: 6,
    path: 'uplinks.a.targets[1]',
    says: /none/,
  },
  {
    name: 'an underscore in a name',
    text: 'uplinks:\n  a:\n    gateway: my_router\n',
    line: 3,
    path: 'uplinks.a.gateway',
    says: /underscore/,
  },
  { name: 'no gateway', text: 'uplinks:\n  a:\n    targets: [r9]\n', line: 2, path: 'uplinks.a', says: /gateway is missing/ },
  {
    name: 'an IPv4 address in gateway6',
    text: 'uplinks:\n  a:\n    gateway: r\n    gateway6: 192.0.2.1\n',
    line: 4,
    path: 'uplinks.a.gateway6',
    says: /IPv6 address or a name is wanted/,
  },
  {
    name: 'two IPv6 gateways',
    text: 'uplinks:\n  a:\n    gateway: 2001:db8::1\n    gateway6: 2001:db8::2\n',
    line: 4,
    path: 'uplinks.a.gateway6',
    says: /gateway is IPv6 already/,
  },
  {
    name: 'a link-local gateway without interface',
    text: 'uplinks:\n  a:\n    gateway: fe80::1\n',
    line: 3,
    path: 'uplinks.a.gateway',
    says: /without its interface.*fe80::1%eth0/,
  },
  {
    name: 'a zone against the interface',
    text: 'uplinks:\n  a:\n    interface: eth0\n    gateway: fe80::1%eth1\n',
    line: 4,
    path: 'uplinks.a.gateway',
    says: /contradicts the interface eth0/,
  },
  {
    name: 'a target of the other family',
    text: 'uplinks:\n  a:\n    gateway: 192.0.2.1\n    targets: ["2001:db8::9"]\n',
    line: 4,
    path: 'uplinks.a.targets[0]',
    says: /IPv4 gateway only/,
  },
  {
    name: 'a target twice',
    text: 'uplinks:\n  a:\n    gateway: r\n    targets: [r9, R9]\n',
    line: 4,
    path: 'uplinks.a.targets[1]',
    says: /as number 1/,
  },
  {
    name: 'the loopback address',
    text: 'uplinks:\n  a:\n    gateway: r\n    targets: [127.0.0.1]\n',
    line: 4,
    path: 'uplinks.a.targets[0]',
    says: /machine itself/,
  },
  {
    name: 'a TCP target without port',
    text: 'uplinks:\n  a:\n    gateway: r\n    targets:\n      - {tcp: example.com}\n',
    line: 5,
    path: 'uplinks.a.targets[0].tcp',
    says: /a host and a port/,
  },
  {
    name: 'two ways in one target',
    text: 'uplinks:\n  a:\n    gateway: r\n    targets:\n      - {tcp: "x:1", icmp: y}\n',
    line: 5,
    path: 'uplinks.a.targets[0]',
    says: /one way only/,
  },
  {
    name: 'a target of an unknown kind',
    text: 'uplinks:\n  a:\n    gateway: r\n    targets:\n      - {htpp: "x"}\n',
    line: 5,
    path: 'uplinks.a.targets[0]',
    says: /Did you mean http\?/,
  },
  {
    name: 'a key that its kind of target has not',
    text: 'uplinks:\n  a:\n    gateway: r\n    targets:\n      - tcp: x:1\n        status: 200\n',
    line: 6,
    path: 'uplinks.a.targets[0].status',
    says: /unknown/,
  },
  {
    name: 'a bad status',
    text: 'uplinks:\n  a:\n    gateway: r\n    targets:\n      - http: http://x/\n        status: [200, 99]\n',
    line: 6,
    path: 'uplinks.a.targets[0].status[1]',
    says: /from 100 to 599/,
  },
  {
    name: 'a list where a mapping is wanted',
    text: 'uplinks:\n  - a\n',
    line: 1,
    path: 'uplinks',
    says: /found "a list".*a mapping is wanted/,
  },
  {
    name: 'a text where a list is wanted',
    text: 'uplinks:\n  a:\n    gateway: r\n    targets: 192.0.2.1\n',
    line: 4,
    path: 'uplinks.a.targets',
    says: /a list is wanted/,
  },
  {
    name: 'a list where a value is wanted',
    text: 'uplinks:\n  a:\n    gateway: [r]\n',
    line: 3,
    path: 'uplinks.a.gateway',
    says: /found "a list"; an address or a host name is wanted/,
  },
  {
    name: 'an empty value',
    text: 'uplinks:\n  a:\n    gateway:\n',
    line: 3,
    path: 'uplinks.a.gateway',
    says: /found "nothing"; an address/,
  },
  { name: 'no uplinks', text: 'log: /var/log/x\n', line: 1, path: 'uplinks', says: /uplinks is missing/ },
  { name: 'an empty mapping of uplinks', text: 'log: /x\nuplinks: {}\n', line: 2, path: 'uplinks', says: /at least one uplink/ },
  {
    name: 'a bad name of an uplink',
    text: 'uplinks:\n  "my uplink": {gateway: r}\n',
    line: 2,
    path: 'uplinks.my uplink',
    says: /letter or digit/,
  },
  {
    name: 'the key __proto__',
    text: 'uplinks:\n  __proto__: {gateway: r}\n',
    line: 2,
    path: 'uplinks.__proto__',
    says: /letter or digit/,
  },
  {
    name: 'a quorum beyond the targets',
    text: 'uplinks:\n  a:\n    gateway: r\n    targets: [r9]\n    quorum: 2\n',
    line: 5,
    path: 'uplinks.a.quorum',
    says: /never be up.*from 1 to 1/,
  },
  {
    name: 'a quorum of defaults beyond the targets',
    text: 'defaults:\n  quorum: 2\nuplinks:\n  a: {gateway: r, targets: [r9]}\n',
    line: 2,
    path: 'defaults.quorum',
    says: /uplink a could never be up/,
  },
  {
    name: 'a clearing bound above its bound',
    text: 'uplinks:\n  a:\n    gateway: r\n    degraded:\n      loss: 10%\n      loss-clear: 20%\n',
    line: 6,
    path: 'uplinks.a.degraded.loss-clear',
    says: /at most 10%/,
  },
  {
    name: 'a percentage without sign',
    text: 'uplinks:\n  a:\n    gateway: r\n    degraded: {loss: 20}\n',
    line: 4,
    path: 'uplinks.a.degraded.loss',
    says: /Did you mean 20%\?/,
  },
  {
    name: 'a hold-down below recover-after',
    text: 'uplinks:\n  a:\n    gateway: r\n    recover-after: 1m\n    hold-down: {max: 30s}\n',
    line: 5,
    path: 'uplinks.a.hold-down.max',
    says: /at least 1m/,
  },
  {
    name: 'a deadline floor above the timeout',
    text: 'uplinks:\n  a:\n    gateway: r\n    probe:\n      timeout: 100ms\n      deadline-floor: 200ms\n',
    line: 6,
    path: 'uplinks.a.probe.deadline-floor',
    says: /timeout of 100ms/,
  },
  {
    name: 'a label for an interface',
    text: 'uplinks:\n  a:\n    gateway: r\n    interface: eth0:1\n',
    line: 4,
    path: 'uplinks.a.interface',
    says: /Did you mean eth0\?/,
  },
  { name: 'a relative path', text: `${SMALLEST}log: x.log\n`, line: 7, path: 'log', says: /absolute path/ },
  {
    name: 'a wrong word',
    text: `${SMALLEST}on-stop: Keep\n`,
    line: 7,
    path: 'on-stop',
    says: /keep, restore\. Did you mean keep\?/,
  },
  {
    name: 'a protocol of the kernel',
    text: `${SMALLEST}kernel: {protocol: 3}\n`,
    line: 7,
    path: 'kernel.protocol',
    says: /from 5 to 255/,
  },
  {
    name: "another program's protocol",
    text: `${SMALLEST}kernel: {protocol: 16}\n`,
    line: 7,
    path: 'kernel.protocol',
    says: /dhcp's/,
  },
  {
    name: 'tables that hold main',
    text: `${SMALLEST}kernel: {table-base: 200}\n`,
    line: 7,
    path: 'kernel.table-base',
    says: /main \(254\).*from 1 to 124/,
  },
  {
    name: 'a mask with a hole',
    text: `${SMALLEST}kernel: {mark-mask: 0xff00ff}\n`,
    line: 7,
    path: 'kernel.mark-mask',
    says: /not in one row/,
  },
  {
    name: 'a mask of six bits',
    text: `${SMALLEST}kernel: {mark-mask: 0x3f}\n`,
    line: 7,
    path: 'kernel.mark-mask',
    says: /6 bits are set; at least 7/,
  },
  {
    name: 'a socket that nobody may open',
    text: `${SMALLEST}socket: {mode: "0060"}\n`,
    line: 7,
    path: 'socket.mode',
    says: /owner/,
  },
  { name: 'broken YAML', text: 'uplinks:\n  a: [1, 2\n', line: 3, path: '', says: /no valid YAML/ },
  { name: 'a tab for indentation', text: 'uplinks:\n\ta: 1\n', line: 2, path: '', says: /Tabs are not allowed/ },
  { name: 'two documents', text: `${SMALLEST}---\n${SMALLEST}`, line: 7, path: '', says: /multiple documents/ },
  {
    name: 'an alias without anchor',
    text: 'uplinks:\n  a:\n    gateway: *nobody\n',
    line: 3,
    path: 'uplinks.a.gateway',
    says: /no &nobody/,
  },
  { name: 'an alias to itself', text: 'uplinks: &u\n  a: *u\n', line: 2, path: 'uplinks.a', says: /no &u before/ },
];

for (const { name, text, line, path, says } of REFUSED) {
  test(`refused: ${name}`, () => {
    const found = problems(text).map((problem) => ({ line: problem.line, path: problem.path, text: formatProblem(problem) }));
    const match = found.find((problem) => problem.line === line && problem.path === path && says.test(problem.text));
    assert.ok(match, `wanted line ${line}, path ${path}, ${says}; got\n${found.map((one) => one.text).join('\n')}`);
  });
}

test('a problem is one line in a fixed form', () => {
  const [problem] = problems('uplinks:\n  fast:\n    gateway: r\n\n\n\n    fail-after: 5\n');
  assert.ok(problem);
  assert.equal(
    formatProblem(problem),
    'backroute.yaml:7: uplinks.fast.fail-after: found "5"; a duration with unit is wanted, such as 200ms, 5s, 2m, or auto. Did you mean 5s?',
  );
  assert.equal(problem.column, 17);
});

test('all problems are told at once, in the order of the file', () => {
  const found = problems(`uplinks:
  fast:
    gateway: 192.168.1.256
    fail-after: 5
  backup:
    gateway: r2
    quorum: 3
    targts: []
  third:
    gateway: r2
    quorum: 2
kernel:
  mark-mask: 3
on-stop: maybe
`);
  assert.deepEqual(
    found.map((problem) => `${problem.line} ${problem.path}`),
    [
      '3 uplinks.fast.gateway',
      '4 uplinks.fast.fail-after',
      '8 uplinks.backup.targts',
      '10 uplinks.third.gateway',
      '11 uplinks.third.quorum',
      '13 kernel.mark-mask',
      '14 on-stop',
    ],
  );
});

test('what a file holds cannot write to the terminal', () => {
  const [problem] = problems('uplinks:\n  a:\n    gateway: "x\\e[31m\\u202Ey"\n');
  assert.ok(problem);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there
  assert.doesNotMatch(formatProblem(problem), /[\x00-\x1f\x7f-\x9f\u202e]/);
});

test('more uplinks than there are numbers for', () => {
  const many = (count: number): string =>
    `uplinks:\n${Array.from({ length: count }, (_, i) => `  u${i}: {gateway: r${i}}\n`).join('')}`;
  assert.equal(config(many(63)).uplinks.length, 63);
  assert.match(
    formatProblem(problems(many(64))[0] ?? assert.fail()),
    /backroute\.yaml:1: uplinks: found "64 uplinks"; at most 63/,
  );
});

test('a socket for everyone is a warning', () => {
  const result = parse(`${SMALLEST}socket: {mode: "0666"}\n`);
  assert.ok(result.ok);
  assert.match(result.warnings.map(formatProblem).join(), /^backroute\.yaml:7: warning: socket\.mode: found "0666"; everyone/);
});

test('a hundred problems are enough, and it is said that there are more', () => {
  const found = problems(`uplinks:\n${Array.from({ length: 150 }, (_, i) => `  u${i}: {gateway: 1.2.3}\n`).join('')}`);
  assert.equal(found.length, 101);
  assert.equal(formatProblem(found[100] ?? assert.fail()), 'backroute.yaml: 50 or more further problems are not shown.');
});
