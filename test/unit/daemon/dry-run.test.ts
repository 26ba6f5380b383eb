import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BUILT_IN } from '../../../src/config/defaults.js';
import type { KernelOp, RouteState } from '../../../src/core/kernel.js';
import type { ProbeAsk, Prober } from '../../../src/core/probe.js';
import { DryRunKernel, DryRunProber } from '../../../src/daemon/dry-run.js';
import { FakeKernel, MAIN_TABLE } from '../../support/fake-kernel.js';

const numbers = BUILT_IN.kernel;
const request = { tables: [7100, 7101], sysctls: ['net/ipv4/ip_forward'], nft: false };

function defaultVia(gateway: string, table: number, protocol: number): RouteState {
  const nexthops = [{ ifindex: 2, gateway, onlink: false }];
  const rest = { tos: 0, scope: 0, prefsrc: null, expires: false, rest: '' };
  return { family: 4, table, destination: 'default', type: 'unicast', protocol, metric: 0, nexthops, ...rest };
}

function machine(): FakeKernel {
  const kernel = new FakeKernel();
  kernel.addLink('lo');
  kernel.addLink('eth0');
  kernel.addAddress('eth0', '192.168.1.2/24');
  kernel.foreign({ op: 'route-add', route: defaultVia('192.168.1.253', MAIN_TABLE, 4) });
  return kernel;
}

const rule = {
  family: 4,
  priority: 701,
  table: 7101,
  mark: 0x42000000,
  mask: numbers.markMask,
  protocol: numbers.protocol,
  other: false,
} as const;
const ops: readonly KernelOp[] = [
  { op: 'route-replace', route: defaultVia('192.168.1.1', 7101, numbers.protocol) },
  { op: 'rule-add', rule },
  { op: 'route-replace', route: defaultVia('192.168.1.1', MAIN_TABLE, numbers.protocol) },
  { op: 'sysctl-set', key: 'net/ipv4/ip_forward', value: '1' },
];

test('it prints what it would do, each with its purpose, changes nothing, and believes it done', async () => {
  const real = machine();
  const before = real.render();
  const printed: string[] = [];
  const kernel = new DryRunKernel(real, numbers, (line) => printed.push(line));
  await kernel.snapshot(request);
  const results = await kernel.apply(ops);
  assert.ok(results.every(({ ok }) => ok));
  assert.equal(real.render(), before, 'the kernel is as it was');
  assert.deepEqual(printed, [
    "ip route replace default via 192.168.1.1 dev eth0 table 7101 proto 110   # the way of this uplink's probes",
    "ip rule add priority 701 fwmark 0x42000000/0x7f000000 table 7101   # sends this uplink's probes through its table",
    'ip route replace default via 192.168.1.1 dev eth0 proto 110   # the way out',
    "sysctl -w net.ipv4.ip_forward='1'   # the topology needs it",
  ]);
  const seen = await kernel.snapshot(request);
  const main = seen.routes.find((route) => route.table === MAIN_TABLE && route.destination === 'default');
  assert.equal(main?.nexthops[0]?.gateway, '192.168.1.1');
  assert.equal(seen.sysctls['net/ipv4/ip_forward'], '1');
});

test('without rules, probes go only where traffic really goes; other uplinks are judged by their gateway, and told so', async () => {
  const kernel = new DryRunKernel(machine(), numbers, () => undefined);
  await kernel.snapshot(request);
  await kernel.apply([
    { op: 'route-replace', route: defaultVia('192.168.1.253', 7100, numbers.protocol) },
    { op: 'rule-add', rule: { ...rule, priority: 700, table: 7100, mark: 0x41000000 } },
    ...ops,
  ]);
  const asked: ProbeAsk[] = [];
  const inner: Prober = {
    ask: (ask) => void asked.push(ask),
    forget: () => undefined,
    takeReadCount: () => 0,
    close: () => undefined,
  };
  const told: string[] = [];
  const prober = new DryRunProber(inner, kernel, (text) => told.push(text));
  const ask = (key: string, mark: number): void =>
    prober.ask({
      id: 1,
      path: { key, family: 4, mark, device: 'eth0', interface: 'eth0' },
      question: { kind: 'tcp', port: 443 },
      address: '198.51.100.10',
      giveUpMs: 1_000,
    });
  ask('fast/4', 0x41000000);
  ask('backup/4', 0x42000000);
  ask('backup/4', 0x42000000);
  assert.deepEqual(
    asked.map(({ address, question, path }) => [address, question.kind, path.mark, path.device]),
    [
      ['198.51.100.10', 'tcp', 0, null],
      ['192.168.1.1', 'icmp', 0, null],
      ['192.168.1.1', 'icmp', 0, null],
    ],
  );
  assert.equal(told.length, 1);
  assert.match(told[0] ?? '', /backup\/4.*only its gateway 192\.168\.1\.1/);
});

test('a rule that takes the place of another one of the same priority is believed to be there', async () => {
  const kernel = new DryRunKernel(machine(), numbers, () => undefined);
  await kernel.snapshot(request);
  const via = (source: string): KernelOp & { op: 'rule-add' } => ({
    op: 'rule-add',
    rule: { ...rule, priority: 956, mark: 0, mask: 0, source },
  });
  await kernel.apply([via('192.168.1.0/28')]);
  await kernel.snapshot(request);
  await kernel.apply([via('192.168.1.32/28'), { op: 'rule-delete', rule: via('192.168.1.0/28').rule }]);
  const { rules } = await kernel.snapshot(request);
  assert.deepEqual(
    rules.map((r) => r.source),
    ['192.168.1.32/28'],
  );
});
