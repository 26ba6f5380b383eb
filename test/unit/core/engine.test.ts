/** Single promises of the engine, each on its own; the long stories are in test/scenario. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Config, UplinkConfig } from '../../../src/core/config.js';
import { Engine } from '../../../src/core/engine.js';
import type { Effect, Event, HistoryRecord, SavedState, Surroundings } from '../../../src/core/messages.js';
import { makeEngine, withDefault } from '../../support/story.js';
import { classic, config, foreignDefault, separate, type Topology } from '../../support/topology.js';
import { VirtualWorld } from '../../support/virtual-world.js';

const AROUND: Surroundings = { bootId: 'boot-1', gid: 0, random: () => 0.5, wallMs: (ms) => 1_800_000_000_000 + ms };

/** The classic network, changed; its default through the fast router. */
function network(change: Partial<UplinkConfig> = {}): Topology {
  const topology = withDefault(classic(), '192.168.1.253', 'eth0');
  return { ...topology, config: config(topology.config.uplinks.map((u) => ({ ...u, ...change }))) };
}

function running(topology: Topology, untilMs = 20_000): VirtualWorld {
  const world = new VirtualWorld(topology, makeEngine, 7);
  world.startProcess();
  world.runUntil(untilMs);
  assert.equal(world.engine?.settled(world.nowMs), true);
  return world;
}

const opsSince = (world: VirtualWorld, atMs: number): string[] =>
  world.log.flatMap((e) => (e.type === 'op' && e.atMs >= atMs ? [e.result.op.op] : []));
const texts = (records: readonly HistoryRecord[]): string[] => records.map((r) => r.text);

// ---- start -----------------------------------------------------------------------------------------------------------

test('before the kernel was read once nothing is changed and nothing is asked', () => {
  const engine = new Engine(network().config, AROUND, null);
  const effects = engine.start(1000);
  assert.deepEqual(effects.map((e) => e.type).sort(), ['read-kernel', 'set-timer']);
  const later = [1100, 1200, 1300].flatMap((now) => engine.handle({ type: 'kernel-unreadable', message: 'EPERM' }, now));
  assert.ok(
    later.every((e) => e.type === 'record' || e.type === 'set-timer'),
    later.map((e) => e.type).join(),
  );
});

test('no probe leaves before rule, table and guard of its uplink are known to stand', () => {
  const topology = network();
  const engine = new Engine(topology.config, AROUND, null);
  engine.start(1000);
  const state = topology.kernel.snapshotNow(engine.snapshotRequest());
  const effects = engine.handle({ type: 'kernel-seen', state }, 1001);
  const ops = effects.flatMap((e) => (e.type === 'apply' ? e.ops : []));
  assert.ok(ops.length > 0);
  assert.ok(!effects.some((e) => e.type === 'probe'), 'the operations are only asked for');
  const results = topology.kernel.applyNow(ops);
  const answer = engine.handle({ type: 'ops-applied', results }, 1002);
  assert.deepEqual(new Set(answer.flatMap((e) => (e.type === 'probe' ? [e.ask.path.key] : []))), new Set(['fast/4', 'backup/4']));
});

test('verdicts are in and the choice is made within two seconds, also when nothing answers', () => {
  for (const cut of [false, true]) {
    const topology = network();
    if (cut) for (const far of topology.farSides) far.upstreamAlive = false;
    const world = new VirtualWorld(topology, makeEngine, 7);
    world.startProcess();
    world.runUntil(2_000);
    assert.equal(world.engine?.settled(world.nowMs), true, cut ? 'everything silent' : 'everything answers');
  }
});

test('a restart adopts what it finds without one operation', () => {
  const world = running(network(), 60_000);
  world.killProcess();
  world.startProcess();
  const from = world.elapsedMs;
  world.runUntil(from + 20_000);
  assert.deepEqual(opsSince(world, from), []);
  assert.deepEqual(texts(world.records('switch')), []);
});

test('a restart without its saved state takes its own routes for its own, too', () => {
  const world = running(network(), 60_000);
  world.killProcess();
  world.saved = null;
  world.startProcess();
  const from = world.elapsedMs;
  world.runUntil(from + 20_000);
  assert.deepEqual(opsSince(world, from), []);
  const view = world.engine?.view(world.nowMs);
  assert.equal(view?.families[0]?.active, 'fast');
  assert.notEqual(view?.families[0]?.reason, 'starting', '"no verdict yet" is not why it is active, 20 s later');
});

// ---- stalls ----------------------------------------------------------------------------------------------------------

/** An engine with its first effects carried out, and the time for which it wants to be called. */
function settledEngine(): { engine: Engine; dueMs: number; seen: () => Event } {
  const topology = network();
  const engine = new Engine(topology.config, AROUND, null);
  let dueMs = Number.NaN;
  const note = (effects: readonly Effect[]): readonly Effect[] => {
    for (const e of effects) if (e.type === 'set-timer') dueMs = e.atMs;
    return effects;
  };
  note(engine.start(1000));
  const effects = note(
    engine.handle({ type: 'kernel-seen', state: topology.kernel.snapshotNow(engine.snapshotRequest()) }, 1001),
  );
  const ops = effects.flatMap((e) => (e.type === 'apply' ? e.ops : []));
  note(engine.handle({ type: 'ops-applied', results: topology.kernel.applyNow(ops) }, 1002));
  return { engine, dueMs, seen: () => ({ type: 'kernel-seen', state: topology.kernel.snapshotNow(engine.snapshotRequest()) }) };
}

const stallsIn = (effects: readonly Effect[]): number =>
  effects.filter((e) => e.type === 'record' && e.record.kind === 'stall').length;

test('an event later than 250 ms after the time asked for is a stall, whichever it is; up to that it is none', () => {
  for (const event of [
    { type: 'timer' },
    { type: 'probe-answered', id: 1, rttMs: 20, duplicate: false, note: null },
    { type: 'kernel-unreadable', message: 'x' },
  ] as const) {
    const calm = settledEngine();
    assert.equal(stallsIn(calm.engine.handle(event, calm.dueMs + 250)), 0, event.type);
    const late = settledEngine();
    assert.equal(stallsIn(late.engine.handle(event, late.dueMs + 251)), 1, event.type);
  }
});

test('a stall is told once: by the engine alone, or by the daemon and the engine both', () => {
  const alone = settledEngine();
  let now = alone.dueMs + 5_000;
  let told = stallsIn(alone.engine.handle({ type: 'probe-answered', id: 1, rttMs: 20, duplicate: false, note: null }, now));
  for (const laterMs of [1, 2]) told += stallsIn(alone.engine.handle({ type: 'timer' }, now + laterMs));
  assert.equal(told, 1);

  const both = settledEngine();
  now = both.dueMs + 5_000;
  told = stallsIn(both.engine.handle({ type: 'stalled', fromMs: both.dueMs, toMs: now, cause: 'process-stalled' }, now));
  told += stallsIn(both.engine.handle({ type: 'timer' }, now));
  assert.equal(told, 1);

  const late = settledEngine();
  now = late.dueMs + 5_000;
  told = stallsIn(late.engine.handle({ type: 'timer' }, now));
  told += stallsIn(late.engine.handle({ type: 'stalled', fromMs: late.dueMs, toMs: now, cause: 'process-stalled' }, now));
  told += stallsIn(late.engine.handle({ type: 'stalled', fromMs: late.dueMs, toMs: now, cause: 'suspended' }, now));
  assert.equal(told, 1, 'one gap, noticed by three clocks');
});

test('a second stall is another one', () => {
  const { engine, dueMs } = settledEngine();
  let now = dueMs + 5_000;
  assert.equal(stallsIn(engine.handle({ type: 'timer' }, now)), 1);
  now += 5_000;
  assert.equal(stallsIn(engine.handle({ type: 'timer' }, now)), 1);
});

test('after a stall the kernel is read anew and every uplink asked; a step of the clock alone changes nothing', () => {
  const stalled = settledEngine();
  const now = stalled.dueMs + 5_000;
  const effects = stalled.engine.handle({ type: 'timer' }, now);
  assert.ok(effects.some((e) => e.type === 'read-kernel'));
  assert.deepEqual(
    effects.filter((e) => e.type === 'probe' || e.type === 'apply'),
    [],
    'others may have changed anything meanwhile: nothing is asked or changed before the kernel has been read',
  );
  const forced = stalled.engine.handle({ type: 'command', command: { verb: 'force', uplink: 'backup' } }, now + 1);
  assert.ok(!forced.some((e) => e.type === 'apply'));
  const awake = stalled.engine.handle(stalled.seen(), now + 2);
  assert.ok(
    awake.some((e) => e.type === 'apply'),
    'then the order is obeyed',
  );

  const stepped = settledEngine();
  const clock = stepped.engine.handle({ type: 'stalled', fromMs: 1001, toMs: 1002, cause: 'clock-stepped' }, 1003);
  assert.deepEqual(
    clock.filter((e) => e.type !== 'record' && e.type !== 'set-timer'),
    [],
  );
});

test('time that was slept through does not count towards failback', () => {
  const topology = network();
  const world = running(topology);
  world.farSide('fast').upstreamAlive = false;
  world.runUntil(30_000);
  world.farSide('fast').upstreamAlive = true;
  world.runUntil(40_000);
  const before = world.engine?.view(world.nowMs).families[0]?.next;
  assert.ok(before !== null && before !== undefined && before.inMs < 25_000);
  world.stall(20_000);
  world.runUntil(60_100);
  const after = world.engine?.view(world.nowMs).families[0]?.next;
  assert.ok(after !== null && after !== undefined && after.inMs > before.inMs - 1_500, `${before.inMs} became ${after?.inMs}`);
});

// ---- choosing --------------------------------------------------------------------------------------------------------

test('a backup slower than the verdict: no alarm that nothing works, just the switch', () => {
  const topology = network({ failAfterMs: 0 });
  const world = running(topology);
  world.farSide('backup').rttMs = 300;
  world.runUntil(60_000);
  world.farSide('fast').upstreamAlive = false;
  world.runUntil(64_000);
  assert.equal(world.wayOut(4).to, 'backup');
  assert.deepEqual(
    texts(world.records('switch')).filter((t) => /no uplink works/.test(t)),
    [],
  );
});

test('a silence shorter than fail-after moves nothing, however much of the loss window it fills', () => {
  const topology = network({ failAfterMs: 5_000 });
  const fast = topology.config.uplinks.map((u) => ({ ...u, probe: { ...u.probe, intervalMs: 100 } }));
  const world = running({ ...topology, config: config(fast) }, 60_000);
  world.farSide('fast').upstreamAlive = false;
  world.runUntil(63_000);
  world.farSide('fast').upstreamAlive = true;
  world.runUntil(90_000);
  assert.deepEqual(texts(world.records('switch')), []);
});

test('the failback comes when the status had said', () => {
  const world = running(network());
  world.farSide('fast').upstreamAlive = false;
  world.runUntil(30_000);
  world.farSide('fast').upstreamAlive = true;
  world.runUntil(36_000);
  const next = world.engine?.view(world.nowMs).families[0]?.next;
  assert.equal(next?.uplink, 'fast');
  const dueMs = world.elapsedMs + (next?.inMs ?? 0);
  world.runUntil(dueMs - 50);
  assert.equal(world.wayOut(4).to, 'backup');
  world.runUntil(dueMs + 50);
  assert.equal(world.wayOut(4).to, 'fast');
});

test("a duplicate answer is nobody's sample", () => {
  const topology = network();
  for (const far of topology.farSides) far.duplicates = 1;
  const world = running(topology, 60_000);
  const path = world.engine?.view(world.nowMs).uplinks[0]?.paths[0];
  assert.equal(path?.loss, 0);
  assert.equal(path?.health, 'up');
});

test('an order for an uplink that is not in the file changes nothing', () => {
  const world = running(network());
  const from = world.elapsedMs;
  for (const verb of ['force', 'disable', 'enable'] as const)
    world.deliver({ type: 'command', command: { verb, uplink: 'nobody' } });
  world.runUntil(from + 5_000);
  assert.deepEqual(opsSince(world, from), []);
  assert.equal(world.wayOut(4).to, 'fast');
});

test('a reload of the same file moves nothing and forgets nothing', () => {
  const topology = network();
  const world = running(topology, 60_000);
  const from = world.elapsedMs;
  const before = world.engine?.view(world.nowMs).uplinks;
  world.reload(JSON.parse(JSON.stringify(topology.config)) as Config);
  world.runUntil(from + 1);
  const after = world.engine?.view(world.nowMs).uplinks;
  assert.deepEqual(
    after?.map((u) => u.paths.map((p) => [p.health, p.sinceWallMs, p.loss])),
    before?.map((u) => u.paths.map((p) => [p.health, p.sinceWallMs, p.loss])),
  );
  world.runUntil(from + 5_000);
  assert.deepEqual(opsSince(world, from), []);
});

test('a reload that asks the active uplink anew does not give up its place', () => {
  const topology = network();
  const world = running(topology, 60_000);
  assert.equal(world.engine?.view(world.nowMs).families[0]?.reason, 'adopted');
  const firstProtocol = (): number | undefined => world.kernel.state.routes.find((r) => r.destination === 'default')?.protocol;
  assert.equal(firstProtocol(), 110);
  const uplinks = topology.config.uplinks.map((u) => ({ ...u, quorum: 1, probe: { ...u.probe, timeoutMs: 900 } }));
  world.reload({ ...topology.config, uplinks });
  world.kernel.foreign({ op: 'route-replace', route: foreignDefault(topology.kernel, '192.168.1.77', 'eth0') });
  world.runUntil(world.elapsedMs + 10);
  assert.equal(firstProtocol(), 110, 'before any verdict on the new targets');
});

test('repeated failures are remembered over a restart', () => {
  const world = running(network());
  for (let i = 0; i < 2; i += 1) {
    world.farSide('fast').upstreamAlive = false;
    world.runUntil(world.elapsedMs + 10_000);
    world.farSide('fast').upstreamAlive = true;
    world.runUntil(world.elapsedMs + 10_000);
  }
  const before = world.engine?.view(world.nowMs).uplinks[0]?.paths[0]?.holdDownMs;
  assert.equal(before, 60_000);
  world.killProcess();
  world.startProcess();
  world.runUntil(world.elapsedMs + 3_000);
  assert.equal(world.engine?.view(world.nowMs).uplinks[0]?.paths[0]?.holdDownMs, before);
});

// ---- what is asked of the kernel -------------------------------------------------------------------------------------

test('a refused default makes its uplink no choice for a while: the other one takes over', () => {
  const topology = withDefault(separate(['fast', 'backup']), '10.1.0.1', 'wan1');
  topology.kernel.sabotage = (op) =>
    op.op === 'route-replace' && op.route.table === 254 && op.route.nexthops[0]?.gateway === '10.0.0.1' ? 'ENETUNREACH' : null;
  const world = running(topology, 10_000);
  assert.equal(world.wayOut(4).to, 'backup');
  assert.ok(world.engine?.view(world.nowMs).problems.some((p) => /the kernel refuses .*10\.0\.0\.1/.test(p)));
  topology.kernel.sabotage = null;
  world.runUntil(30_000);
  assert.equal(world.wayOut(4).to, 'fast');
});

test('a calm engine is woken no more often than its probes need', () => {
  const topology = network();
  const world = running(topology, 60_000);
  let wakes = 0;
  world.onStep = () => {
    wakes += 1;
  };
  world.runUntil(120_000);
  // per second: 2 targets and 2 gateways now and then, their answers and deadlines, and a look at the figures
  assert.ok(wakes < 60 * 14, `${wakes} steps in a minute`);
});

test('what is saved survives JSON, and says which boot it is of', () => {
  const world = running(network(), 30_000);
  const saved: SavedState | undefined = world.engine?.saved();
  assert.deepEqual(JSON.parse(JSON.stringify(saved)), saved);
  assert.equal(saved?.restore.bootId, 'boot-1');
  assert.deepEqual(saved?.slots, { fast: 0, backup: 1 });
  assert.equal(saved?.restore.routes[0]?.nexthops[0]?.gateway, '192.168.1.253');
});

test('memory of another boot is not put back', () => {
  const world = running(network(), 30_000);
  const saved = world.engine?.saved();
  assert.ok(saved !== undefined);
  const next = new Engine(network().config, { ...AROUND, bootId: 'boot-2' }, saved);
  next.start(1000);
  assert.deepEqual(next.saved().restore, { bootId: 'boot-2', routes: [], sysctls: {}, hadDefault: null });
  assert.deepEqual(next.saved().slots, saved.slots);
});

// ---- what others say of an uplink ------------------------------------------------------------------------------------

test('a delegated prefix is translated to as soon as somebody names it, also where the gateway is fixed', () => {
  const topology = classic([6]);
  const uplinks = topology.config.uplinks.map((u) => ({ ...u, prefix: 'auto' }));
  const world = running({ ...topology, config: config(uplinks, { lanPrefix: 'fd00:1::/64' }) });
  const from = world.elapsedMs;
  const hint = { interface: 'eth0', family: 6, source: 'lease', gateway: null, prefix: '2001:db8:5::/56' } as const;
  world.order({ type: 'uplink-hint', hint });
  world.runUntil(from + 100);
  const written = world.log.flatMap((e) =>
    e.type === 'op' && e.atMs >= from && e.result.op.op === 'nft-table' ? (e.result.op.rules?.prefixes ?? []) : [],
  );
  assert.deepEqual([...new Set(written.map((p) => p.outside))], ['2001:db8:5::/64']);
});

test('a lease that names the interface by another name than the file is heard all the same', () => {
  const topology = separate(['fast', 'backup']);
  topology.kernel.setAltNames('wan0', ['enp1s0']);
  const uplinks = topology.config.uplinks.map((u, i) =>
    i === 0 ? { ...u, interface: 'enp1s0', gateways: [{ family: 4, host: { kind: 'auto' } }] as const } : u,
  );
  const world = new VirtualWorld({ ...topology, config: config(uplinks) }, makeEngine, 7);
  world.startProcess();
  const hint = { interface: 'wan0', family: 4, source: 'lease', gateway: '10.0.0.1', prefix: null } as const;
  world.deliver({ type: 'uplink-hint', hint });
  world.runUntil(5_000);
  assert.equal(world.engine?.view(world.nowMs).uplinks[0]?.paths[0]?.gateway, '10.0.0.1', 'heard before the link was found');
  world.deliver({ type: 'uplink-hint', hint: { ...hint, gateway: '10.0.0.9' } });
  assert.equal(world.engine?.view(world.nowMs).uplinks[0]?.paths[0]?.gateway, '10.0.0.9');
});
