/** One path: its names, its place, and what it makes of silences, link faults and recoveries. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Agenda } from '../../../../src/core/agenda.js';
import type { HostRef, TargetConfig, UplinkConfig } from '../../../../src/core/config.js';
import type { KernelState } from '../../../../src/core/kernel.js';
import { Path, type PathSight } from '../../../../src/core/paths/path.js';
import { gateway, icmp, noSilences, uplinkConfig } from '../../../support/topology.js';
import { bareKernel } from '../plan/route-chaos.js';

const name = (text: string): HostRef => ({ kind: 'name', name: text });

const sight = (state: KernelState, hint: string | null): PathSight => ({ state, hint, ownProtocol: 110, displaced: [] });

class PathBench {
  readonly agenda = new Agenda();
  readonly path: Path;
  readonly asked: { readonly id: number; readonly label: string; readonly address: string | null }[] = [];
  changes = 0;
  now = 0;

  constructor(change: Partial<UplinkConfig> = {}, family: 4 | 6 = 4) {
    const uplink = uplinkConfig('fast', { gateways: [gateway('192.168.1.253')], targets: [icmp('192.0.2.1')], ...change });
    this.path = new Path(
      uplink,
      family,
      0,
      {
        agenda: this.agenda,
        random: () => 0.5,
        ask: (_path, target) =>
          this.asked.push({ id: this.asked.length + 1, label: target.spec.label, address: target.spec.address }),
        changed: (path, nowMs) => {
          this.changes += 1;
          path.assess(nowMs);
        },
        suspected: () => {},
        lossElsewhere: () => 1,
      },
      noSilences(uplink),
      0,
    );
  }

  /** On its link, steered, every probe answered so far. */
  up(): this {
    this.path.locate(sight(bareKernel().state, null));
    this.path.steered = true;
    this.path.probeIfPossible(this.now);
    this.answerAll();
    assert.equal(this.path.verdict.health, 'up');
    return this;
  }

  answerAll(): void {
    for (const { id } of this.asked) this.path.detector.answered(id, 20, null, this.now);
  }

  runUntil(nowMs: number, answering: boolean): void {
    for (; this.now < nowMs; this.now += 10) {
      this.agenda.runDue(this.now);
      if (answering) this.answerAll();
    }
    this.path.assess(this.now);
  }
}

// ---- names -----------------------------------------------------------------------------------------------------------

const named: TargetConfig = { label: 'far.example', host: name('far.example'), kind: 'icmp' };

test('the names of a path are those of its family: gateway and targets, each once', () => {
  const bench = new PathBench({
    gateways: [{ family: 4, host: name('fast-router') }],
    targets: [named, { ...named, kind: 'tcp', port: 443 }, icmp('2001:db8::1'), icmp('192.0.2.1')],
  });
  assert.deepEqual(bench.path.names(), ['fast-router', 'far.example']);
  assert.deepEqual(
    bench.path.detector.targets.map((t) => t.spec.label),
    ['far.example', 'far.example', '192.0.2.1'],
    'an IPv6 address is no target of an IPv4 path',
  );
});

test('every target of a name gets its address, and keeps it while it is still among the answers', () => {
  const bench = new PathBench({ targets: [icmp('192.0.2.9'), named, { ...named, kind: 'tcp', port: 443 }] });
  const addresses = (): (string | null)[] => bench.path.detector.targets.map((t) => t.spec.address);
  assert.deepEqual(addresses(), ['192.0.2.9', null, null]);
  assert.equal(bench.path.resolved('far.example', ['203.0.113.1', '203.0.113.2']), true);
  assert.deepEqual(addresses(), ['192.0.2.9', '203.0.113.1', '203.0.113.1']);
  assert.equal(bench.path.resolved('far.example', ['203.0.113.2', '203.0.113.1']), false);
  assert.equal(bench.path.resolved('far.example', ['203.0.113.2']), true);
  assert.deepEqual(addresses(), ['192.0.2.9', '203.0.113.2', '203.0.113.2']);
  assert.equal(bench.path.resolved('somebody.else', ['203.0.113.7']), false);
});

test("the gateway's name gives the gateway, and the target where none is configured", () => {
  const bench = new PathBench({ gateways: [{ family: 4, host: name('fast-router') }], targets: [] });
  assert.equal(bench.path.hop(), null);
  bench.path.resolved('fast-router', ['192.168.1.253']);
  bench.path.locate(sight(bareKernel().state, null));
  assert.equal(bench.path.hop()?.gateway, '192.168.1.253');
  assert.equal(bench.path.detector.targets[0]?.spec.address, '192.168.1.253');
});

test("while the gateway's name may still resolve there is no verdict; when it has failed there is", () => {
  const bench = new PathBench({ gateways: [{ family: 4, host: name('fast-router') }] });
  bench.path.locate(sight(bareKernel().state, null));
  bench.path.assess(0);
  assert.equal(bench.path.verdict.health, 'unknown');
  bench.path.nameFailed('another', 10);
  assert.equal(bench.path.verdict.health, 'unknown');
  bench.path.nameFailed('fast-router', 20);
  assert.deepEqual(bench.path.verdict, { health: 'down', reason: 'gateway-unresolved' });

  const silent = new PathBench({ gateways: [{ family: 4, host: name('fast-router') }] });
  silent.path.locate(sight(bareKernel().state, null));
  silent.runUntil(1_100, false);
  assert.deepEqual(silent.path.verdict, { health: 'down', reason: 'gateway-unresolved' }, 'a resolver that says nothing');
});

// ---- place -----------------------------------------------------------------------------------------------------------

test('it knows when it was moved to another link, and what a route through it needs', () => {
  const kernel = bareKernel();
  const bench = new PathBench();
  assert.equal(bench.path.locate(sight(kernel.state, null)), true);
  assert.deepEqual(bench.path.hop(), {
    ifindex: kernel.link('eth0').index,
    interface: 'eth0',
    gateway: '192.168.1.253',
    onlink: false,
  });
  assert.equal(bench.path.locate(sight(kernel.state, null)), false);
  kernel.setCarrier('eth0', false);
  assert.equal(bench.path.locate(sight(kernel.state, null)), false);
  assert.notEqual(bench.path.hop(), null, 'without a carrier the route may stand: the kernel skips it by itself');
  kernel.removeLink('eth0');
  assert.equal(bench.path.locate(sight(kernel.state, null)), true);
  assert.equal(bench.path.hop(), null);
  assert.equal(bench.path.linkFault, 'interface-gone');
});

test('a zone is no part of the next hop', () => {
  const bench = new PathBench({ gateways: [gateway('fe80::1%eth0')], targets: [icmp('2001:db8::1')] }, 6);
  bench.path.locate(sight(bareKernel().state, null));
  assert.equal(bench.path.hop()?.gateway, 'fe80::1');
  assert.equal(bench.path.interface, 'eth0');
});

test('it asks only while its link is good and its rules stand', () => {
  const bench = new PathBench();
  bench.path.locate(sight(bareKernel().state, null));
  bench.path.probeIfPossible(0);
  assert.equal(bench.asked.length, 0);
  bench.path.steered = true;
  bench.path.probeIfPossible(0);
  assert.ok(bench.asked.length > 0);
  bench.path.steered = false;
  bench.path.probeIfPossible(10);
  assert.equal(bench.path.detector.state, 'idle');
});

// ---- judgement -------------------------------------------------------------------------------------------------------

test('a silence is borne for as long as configured, and no longer', () => {
  const bench = new PathBench({ failAfterMs: 3_000 }).up();
  bench.runUntil(10_000, true);
  bench.runUntil(12_500, false);
  assert.equal(bench.path.verdict.health, 'up');
  assert.equal(bench.path.suspicion, 'silent');
  assert.equal(bench.path.doubtful, true, 'nobody moves to it now');
  const ends = bench.path.patienceEndsMs();
  assert.ok(ends !== null && ends > 13_000 && ends < 14_000);
  bench.runUntil(ends - 20, false);
  assert.equal(bench.path.verdict.health, 'up');
  bench.runUntil(ends + 20, false);
  assert.equal(bench.path.verdict.health, 'down');
  assert.equal(bench.path.patienceEndsMs(), null);
});

test('a lost carrier is borne not at all', () => {
  const bench = new PathBench({ failAfterMs: 60_000 }).up();
  const kernel = bareKernel();
  kernel.setCarrier('eth0', false);
  bench.path.locate(sight(kernel.state, null));
  const { change } = bench.path.assess(bench.now);
  assert.deepEqual(change?.to, { health: 'down', reason: 'carrier-lost' });
});

test('it is held only when it has been good for as long as its failures demand', () => {
  const bench = new PathBench().up();
  assert.equal(bench.path.held(bench.now), true, 'one that never failed may be used at once');
  bench.runUntil(5_000, true);
  bench.runUntil(9_000, false);
  assert.equal(bench.path.verdict.health, 'down');
  assert.equal(bench.path.holdDownLeftMs(bench.now), null);
  bench.runUntil(15_000, true);
  assert.equal(bench.path.verdict.health, 'up');
  const left = bench.path.holdDownLeftMs(bench.now);
  assert.ok(left !== null && left > 20_000 && left < 30_000);
  assert.equal(bench.path.held(bench.now), false);
  assert.equal(bench.path.held(bench.now + left), true);
});

test('a path whose first verdict is bad must prove itself like any other', () => {
  const bench = new PathBench();
  bench.path.locate(sight(bareKernel().state, null));
  bench.path.steered = true;
  bench.path.probeIfPossible(0);
  bench.runUntil(3_000, false);
  assert.equal(bench.path.verdict.health, 'down');
  bench.runUntil(6_000, true);
  assert.equal(bench.path.verdict.health, 'up');
  assert.equal(bench.path.held(bench.now), false);
});

test('a change of health says how long the former one had lasted', () => {
  const bench = new PathBench().up();
  bench.runUntil(50_000, true);
  const kernel = bareKernel();
  kernel.setCarrier('eth0', false);
  bench.path.locate(sight(kernel.state, null));
  const { change } = bench.path.assess(bench.now);
  assert.equal(change?.durationMs, 50_000);
  assert.equal(bench.path.assess(bench.now + 1).change, null, 'the same again is no change');
});

test('what a reload changes: anything about probing makes another path, patience does not', () => {
  const { path } = new PathBench();
  const { uplink } = path;
  assert.equal(path.sameProbing({ ...uplink, failAfterMs: 9, recoverAfterMs: 9 }), true);
  assert.equal(path.sameProbing({ ...uplink, quorum: 2 }), false);
  assert.equal(path.sameProbing({ ...uplink, probe: { ...uplink.probe, intervalMs: 9 } }), false);
  assert.equal(path.sameProbing({ ...uplink, targets: [icmp('192.0.2.2')] }), false);
  assert.equal(path.sameProbing({ ...uplink, gateways: [gateway('192.168.1.252')] }), false);
});
