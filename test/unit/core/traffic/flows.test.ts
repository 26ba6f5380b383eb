/** Open connections when choices change: who is ended when, who may finish, and whom nobody touches. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Agenda } from '../../../../src/core/agenda.js';
import type { ConnectionsConfig } from '../../../../src/core/config.js';
import type { FlowAsk, FlowCountAsk } from '../../../../src/core/flow.js';
import type { HistoryRecord } from '../../../../src/core/messages.js';
import { Path } from '../../../../src/core/paths/path.js';
import { type FlowSight, Flows } from '../../../../src/core/traffic/flows.js';
import { gateway, NUMBERS, noSilences, uplinkConfig } from '../../../support/topology.js';

const POLICY: ConnectionsConfig = { failover: 'end', failback: 'drain', drainMs: 60_000, moveUdpPorts: [], inbound: 'same' };

/** How a path stands; everything else is the plainest. */
type Stand = Partial<Omit<FlowSight, 'path'>>;
const USED: Stand = { inUse: true, elsewhere: false };

class FlowsBench {
  readonly agenda = new Agenda();
  readonly ended: FlowAsk[] = [];
  readonly counts: FlowCountAsk[] = [];
  readonly records: HistoryRecord[] = [];
  readonly flows: Flows;
  prefixes: readonly string[] = [];
  changes = 0;
  now = 0;
  readonly #paths = new Map<string, Path>();

  constructor(policy: Partial<ConnectionsConfig> | null = {}, drains: ReadonlyMap<string, number | null> = new Map()) {
    this.flows = new Flows(this.config(policy), drains, {
      agenda: this.agenda,
      end: (ask) => this.ended.push(ask),
      count: (ask) => this.counts.push(ask),
      record: (record) => this.records.push(record),
      changed: () => {
        this.changes += 1;
      },
      emptied: () => undefined,
    });
  }

  config(policy: Partial<ConnectionsConfig> | null): ConstructorParameters<typeof Flows>[0] {
    return {
      policy: policy === null ? null : { ...POLICY, ...policy },
      numbers: NUMBERS,
      via: [],
      prefixes: () => this.prefixes,
    };
  }

  path(name: string): Path {
    const known = this.#paths.get(name);
    if (known !== undefined) return known;
    const { agenda } = this;
    const port = { agenda, random: () => 0.5, ask: () => 1, changed: () => {}, suspected: () => {}, lossElsewhere: () => 1 };
    const uplink = uplinkConfig(name, { gateways: [gateway('192.0.2.1')] });
    const path = new Path(uplink, 4, this.#paths.size, port, noSilences(uplink), 0);
    this.#paths.set(name, path);
    return path;
  }

  see(...stands: readonly [string, Stand][]): this {
    const usual = { remembered: true, works: true, inUse: false, elsewhere: true };
    this.flows.chosen(
      stands.map(([name, stand]) => ({ path: this.path(name), ...usual, ...stand })),
      this.now,
    );
    return this;
  }

  runUntil(nowMs: number): this {
    for (let due = this.agenda.nextMs(); due !== null && due <= nowMs; due = this.agenda.nextMs()) {
      this.now = Math.max(this.now, due);
      this.agenda.runDue(this.now);
    }
    this.now = nowMs;
    return this;
  }

  /** The last count asked for comes back. */
  counted(open: number | null): void {
    const ask = this.counts.at(-1);
    assert.ok(ask !== undefined, 'nothing was counted');
    this.flows.counted({ id: ask.id, open, replied: open });
  }

  get marks(): number[] {
    return this.ended.map((ask) => ask.selector.mark >>> 24);
  }
}

// ---- lost ------------------------------------------------------------------------------------------------------------

test('lost with somewhere to go: ended at once with everything on it, and two looks for stragglers', () => {
  const bench = new FlowsBench().see(['fast', USED], ['backup', {}]);
  bench.see(['fast', { works: false }], ['backup', USED]);
  assert.deepEqual(bench.marks, [1]);
  assert.deepEqual([bench.ended[0]?.reset, bench.ended[0]?.selector.spare], [true, undefined]);
  bench.see(['fast', { works: false }], ['backup', USED]).runUntil(10_000);
  assert.deepEqual(bench.marks, [1, 1, 1]);
  assert.equal(new Set(bench.ended.map((ask) => ask.id)).size, 3);
});

test('with nowhere to go nothing is ended; when there is somewhere it is', () => {
  const bench = new FlowsBench().see(['fast', USED]);
  bench.see(['fast', { ...USED, works: false }]).runUntil(60_000);
  assert.deepEqual(bench.marks, []);
  bench.see(['fast', { works: false }]);
  assert.deepEqual(bench.marks, [1]);
});

test('back before there was anywhere to go: nothing happened', () => {
  const bench = new FlowsBench().see(['fast', USED]);
  bench.see(['fast', { ...USED, works: false }]).see(['fast', USED]);
  bench.see(['fast', {}]);
  assert.deepEqual(bench.marks, []);
});

test('who is back when the stragglers are looked for keeps what goes by it then', () => {
  const bench = new FlowsBench().see(['fast', USED]);
  bench
    .see(['fast', { works: false }])
    .see(['fast', {}])
    .runUntil(10_000);
  assert.deepEqual(bench.marks, [1]);
});

test('no stragglers are looked for while there is nowhere to go', () => {
  const bench = new FlowsBench().see(['fast', USED]);
  bench
    .see(['fast', { works: false }])
    .see(['fast', { works: false, elsewhere: false }])
    .runUntil(10_000);
  assert.deepEqual(bench.marks, [1]);
});

test("an uplink that left the file takes its stragglers with it: its mark may be another one's by now", () => {
  const bench = new FlowsBench().see(['fast', USED]);
  bench.see(['fast', { works: false }]);
  bench.flows.configure(bench.config({}), ['other/4']);
  bench.runUntil(10_000);
  assert.deepEqual(bench.marks, [1]);
});

test('taken out of the file: its connections are ended when there is somewhere to go, once, and told', () => {
  const bench = new FlowsBench().see(['fast', USED], ['backup', {}]);
  bench.flows.configure(bench.config({}), ['backup/4']);
  bench.see(['backup', { works: false, elsewhere: false }]);
  assert.deepEqual(bench.marks, []);
  bench.see(['backup', USED]).see(['backup', USED]).runUntil(10_000);
  assert.deepEqual(bench.marks, [1]);
  assert.deepEqual([bench.ended[0]?.reset, bench.ended[0]?.selector.spare], [true, undefined]);
  bench.flows.finished({ id: bench.ended[0]?.id ?? -1, entries: 2, resets: 2, sockets: 0, tookMs: 1, problems: [] });
  assert.equal(bench.records[0]?.text, '2 connections by fast were ended: it is no longer in the file');
});

test('taken out of the file: nobody is ended who was not remembered, or shall be kept, or is in the file again', () => {
  const removed = (policy: Partial<ConnectionsConfig> | null, stand: Stand): FlowsBench => {
    const bench = new FlowsBench(policy).see(['fast', { ...USED, ...stand }], ['backup', {}]);
    bench.flows.configure(bench.config(policy), ['backup/4']);
    return bench;
  };
  for (const bench of [removed({ failover: 'keep' }, {}), removed(null, {}), removed({}, { remembered: false })])
    assert.deepEqual(bench.see(['backup', USED]).marks, []);
  const again = removed({}, {});
  again.flows.configure(again.config({}), ['fast/4', 'backup/4']);
  assert.deepEqual(again.see(['fast', {}], ['backup', USED]).marks, []);
});

test('failover keep, and no policy at all, end nothing', () => {
  for (const policy of [{ failover: 'keep' } as const, null]) {
    const bench = new FlowsBench(policy).see(['fast', USED]);
    bench.see(['fast', { works: false }]).runUntil(10_000);
    assert.deepEqual(bench.marks, []);
  }
});

test('switched to keep while there is nowhere to go: nothing is ended when there is, and no later change of mind ends it', () => {
  const bench = new FlowsBench().see(['fast', USED]);
  bench.see(['fast', { ...USED, works: false }]);
  assert.equal(bench.flows.lingers('fast/4'), true);
  bench.flows.configure(bench.config({ failover: 'keep' }), ['fast/4', 'backup/4']);
  bench.see(['fast', { ...USED, works: false }]);
  bench.see(['fast', { works: false }], ['backup', USED]).runUntil(10_000);
  assert.deepEqual(bench.marks, []);
  bench.flows.configure(bench.config({}), ['fast/4', 'backup/4']);
  bench.see(['fast', { works: false }], ['backup', USED]).runUntil(20_000);
  assert.deepEqual([bench.marks, bench.flows.lingers('fast/4')], [[], false]);
  bench.see(['fast', {}], ['backup', USED]).see(['fast', { works: false }], ['backup', USED]);
  assert.deepEqual(bench.marks, [1], 'lost once more');
});

test('switched to keep after the kill: no stragglers are looked for', () => {
  const bench = new FlowsBench().see(['fast', USED]);
  bench.see(['fast', { works: false }], ['backup', USED]).runUntil(2_000);
  assert.deepEqual(bench.marks, [1, 1]);
  bench.flows.configure(bench.config({ failover: 'keep' }), ['fast/4', 'backup/4']);
  bench.runUntil(10_000);
  assert.deepEqual(bench.marks, [1, 1]);
});

test('what is not remembered is not ended', () => {
  const bench = new FlowsBench().see(['fast', { ...USED, remembered: false }]);
  bench.see(['fast', { works: false, remembered: false }]).runUntil(10_000);
  assert.deepEqual(bench.marks, []);
});

// ---- left ------------------------------------------------------------------------------------------------------------

test('left although it works: drained until the deadline, sparing what belongs there', () => {
  const bench = new FlowsBench().see(['backup', USED]).see(['backup', {}]);
  assert.equal(bench.flows.drains.get('backup/4'), 60_000);
  bench.runUntil(59_999);
  assert.deepEqual(bench.marks, []);
  bench.prefixes = ['2001:db8:5::/64'];
  bench.runUntil(60_000);
  assert.deepEqual(bench.marks, [1]);
  assert.deepEqual(bench.ended[0]?.selector.spare, { inbound: true, prefixes: ['2001:db8:5::/64'], via: [] });
  assert.equal(bench.flows.drains.size, 0);
  bench.see(['backup', {}]).runUntil(300_000);
  assert.deepEqual(bench.marks, [1], 'once');
});

test('a drain ends early when nothing is left, and what cannot be counted goes on', () => {
  const bench = new FlowsBench().see(['backup', USED]).see(['backup', {}]).runUntil(1_000);
  bench.counted(null);
  assert.equal(bench.flows.drainOf('backup/4')?.open, null);
  bench.runUntil(11_000).counted(4);
  assert.equal(bench.flows.drainOf('backup/4')?.open, 4);
  bench.runUntil(21_000).counted(0);
  assert.equal(bench.flows.drainOf('backup/4'), null);
  bench.runUntil(200_000);
  assert.deepEqual(bench.marks, []);
  assert.match(bench.records.at(-1)?.text ?? '', /no connection is left on backup/);
});

test('in use again: nobody is hurried off', () => {
  const bench = new FlowsBench().see(['backup', USED]).see(['backup', {}]).see(['backup', USED]).runUntil(200_000);
  assert.deepEqual(bench.marks, []);
  assert.equal(bench.flows.drains.size, 0);
});

test('in use again while its connections are not remembered: nobody is hurried off either', () => {
  const bench = new FlowsBench().see(['backup', USED]).see(['backup', {}]);
  bench.see(['backup', { ...USED, remembered: false }]).runUntil(200_000);
  assert.deepEqual(bench.marks, []);
});

test('the deadline comes while there is nowhere to go: it waits until there is', () => {
  const bench = new FlowsBench().see(['backup', USED]).see(['backup', {}]);
  bench.see(['backup', { elsewhere: false }]).runUntil(100_000);
  assert.deepEqual(bench.marks, []);
  bench.see(['backup', {}]);
  assert.deepEqual(bench.marks, [1]);
});

test('lost while it drains: all of it is ended, at once or when there is somewhere to go', () => {
  const bench = new FlowsBench().see(['backup', USED]).see(['backup', {}]);
  bench.see(['backup', { works: false, elsewhere: false }]).runUntil(100_000);
  assert.deepEqual(bench.marks, [], 'the deadline has come and gone, and there was nowhere to go');
  bench.see(['backup', { works: false }]);
  assert.deepEqual([bench.marks, bench.ended[0]?.selector.spare], [[1], undefined]);
  assert.equal(bench.flows.drains.size, 0);
});

test('left for one that does not work yet: drained from the moment when it does', () => {
  const bench = new FlowsBench().see(['backup', USED]);
  bench.see(['backup', { elsewhere: false }]).runUntil(5_000);
  assert.equal(bench.flows.drains.size, 0);
  bench.see(['backup', {}]);
  assert.equal(bench.flows.drains.get('backup/4'), 65_000);
});

test('move ends them at once, stay has no deadline, and UDP without an end moves though the rest drains', () => {
  const moved = new FlowsBench({ failback: 'move' }).see(['backup', USED]).see(['backup', {}]);
  assert.deepEqual([moved.marks, moved.flows.drains.size], [[1], 0]);
  const stays = new FlowsBench({ failback: 'stay', moveUdpPorts: [5060] }).see(['backup', USED]).see(['backup', {}]);
  stays.runUntil(3_600_000);
  assert.deepEqual([stays.marks, [...stays.flows.drains]], [[], [['backup/4', null]]]);
  const udp = new FlowsBench({ moveUdpPorts: [5060] }).see(['backup', USED]).see(['backup', {}]);
  assert.deepEqual(
    udp.ended.map((ask) => [ask.selector.udpPorts, ask.reset]),
    [[[5060], false]],
  );
});

// ---- over restarts and reloads ---------------------------------------------------------------------------------------

test('lost while nobody was there: ended at first sight', () => {
  const bench = new FlowsBench().see(['fast', { works: false }]);
  assert.deepEqual(bench.marks, [1]);
});

test('a drain of an earlier run keeps its deadline, and one that has passed is due at once', () => {
  const drains = new Map([
    ['backup/4', 30_000],
    ['lte/4', -5_000],
  ]);
  const bench = new FlowsBench({}, drains).see(['fast', USED], ['backup', {}], ['lte', {}]).runUntil(10);
  assert.deepEqual(bench.marks, [3]);
  bench.runUntil(30_000);
  assert.deepEqual(bench.marks, [3, 2]);
});

test('a drain of an earlier run on what is in use now is no drain any more', () => {
  const bench = new FlowsBench({}, new Map([['backup/4', 30_000]])).see(['backup', USED]);
  assert.deepEqual([...bench.flows.drains], []);
  bench.see(['backup', USED]).runUntil(100_000);
  assert.deepEqual(bench.marks, []);
});

test('drains of uplinks that are in the file no more are forgotten, those of an earlier run too', () => {
  const bench = new FlowsBench({}, new Map([['gone/4', null]])).see(['backup', USED]).see(['backup', {}]);
  bench.flows.configure(bench.config({}), ['fast/4']);
  assert.deepEqual([...bench.flows.drains], []);
  bench.runUntil(100_000);
  assert.deepEqual(bench.marks, []);
});

test('switched off by a reload while it drains: nobody is ended', () => {
  const bench = new FlowsBench().see(['backup', USED]).see(['backup', {}]);
  bench.flows.configure(bench.config(null), ['backup/4']);
  bench.see(['backup', {}]).runUntil(100_000);
  assert.deepEqual([bench.marks, bench.flows.drains.size], [[], 0]);
});

// ---- what came of it -------------------------------------------------------------------------------------------------

test('an outcome is told once, with its figures; nothing found is no news, but problems are', () => {
  const bench = new FlowsBench().see(['fast', USED]).see(['fast', { works: false }]);
  const id = bench.ended[0]?.id ?? -1;
  const outcome = { id, entries: 7, resets: 3, sockets: 1, tookMs: 1.6, problems: ['conntrack cannot be read'] };
  bench.flows.finished(outcome);
  bench.flows.finished(outcome);
  bench.flows.finished({ ...outcome, id: 9_999 });
  assert.deepEqual(
    bench.records.map((r) => [r.severity, r.text]),
    [
      ['warning', 'conntrack cannot be read'],
      ['info', '7 connections by fast were ended: it is lost'],
    ],
  );
  assert.deepEqual(bench.records[1]?.data, { why: 'lost', entries: 7, resets: 3, sockets: 1, tookMs: 2 });
});
