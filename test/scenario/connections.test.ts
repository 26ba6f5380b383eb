/** Open connections when the way out changes: who is ended, who finishes where, and what never is touched. */
import assert from 'node:assert/strict';
import type { Config, ConnectionsConfig } from '../../src/core/config.js';
import { assertWays, story, told, withDefault } from '../support/story.js';
import { config, gateway, icmp, separate, type Topology, uplinkConfig } from '../support/topology.js';
import type { VirtualWorld } from '../support/virtual-world.js';

const POLICY: ConnectionsConfig = {
  failover: 'end',
  failback: 'drain',
  drainMs: 60_000,
  moveUdpPorts: [5060, 51820],
  inbound: 'same',
};
const FAST = 0x1000000;
const BACKUP = 0x2000000;

function remembering(change: Partial<ConnectionsConfig> = {}, more: Partial<Config> = {}, names = ['fast', 'backup']): Topology {
  const made = separate(names);
  const connections = { ...POLICY, ...change };
  return withDefault({ ...made, config: config(made.config.uplinks, { connections, ...more }) }, '10.0.0.1', 'wan0');
}

const marks = (world: VirtualWorld): string[] =>
  world.endedFlows.map(({ selector, reset }) => {
    const what = selector.udpPorts === null ? 'all' : 'udp';
    return `${what} 0x${selector.mark.toString(16)}${reset ? ' reset' : ''}${selector.spare === undefined ? '' : ' sparing'}`;
  });

const isFlowMark = (mark: number | null): boolean => mark === FAST || mark === BACKUP;

/** Index in the log of the first entry that says so. */
function when(world: VirtualWorld, says: (entry: VirtualWorld['log'][number]) => boolean): number {
  const index = world.log.findIndex(says);
  assert.ok(index >= 0, 'it did not happen');
  return index;
}

story('a lost uplink has its connections ended after route and rules', () => ({
  topology: remembering(),
  timeline: `
    0s    start
    10s   open 0x1000000 7
    20.3s cut fast upstream
    40s   end`,
  check(world) {
    assertWays(world, ['fast', 'backup']);
    assert.deepEqual(
      marks(world),
      ['all 0x1000000 reset', 'all 0x1000000 reset', 'all 0x1000000 reset'],
      'once, and two looks for stragglers',
    );
    const route = when(
      world,
      (e) => e.type === 'op' && e.result.op.op === 'route-replace' && e.result.op.route.metric === 0 && e.atMs > 20_300,
    );
    const rule = when(world, (e) => e.type === 'op' && e.result.op.op === 'rule-delete' && e.result.op.rule.mark === FAST);
    const kill = when(world, (e) => e.type === 'note' && e.text.startsWith('end IPv4'));
    assert.ok(route < rule && rule < kill, `route ${route}, rules ${rule}, kill ${kill}`);
    assert.match(
      world
        .records('flows')
        .map((r) => r.text)
        .join('\n'),
      /7 connections by fast were ended: it is lost/,
    );
  },
}));

story('with nowhere to go nothing is ended, until there is somewhere', () => ({
  topology: remembering(),
  timeline: `
    0s    start
    20s   cut backup upstream
    30s   cut fast upstream
    60s   mend backup
    90s   end`,
  check(world) {
    assert.deepEqual(marks(world).slice(-3), ['all 0x1000000 reset', 'all 0x1000000 reset', 'all 0x1000000 reset']);
    const kills = world.log.filter((e) => e.type === 'note' && e.text.endsWith(`0x${FAST.toString(16)}`));
    assert.ok((kills[0]?.atMs ?? 0) >= 60_000, 'not before the backup works');
  },
}));

story('all silent at once: nobody is ended while the one in use is in doubt', () => ({
  topology: remembering(),
  timeline: `
    0s    start
    10s   open 0x1000000 7
    10s   open 0x2000000 3
    20.9s cut fast upstream
    20.9s cut backup upstream
    40s   mend fast
    60s   end`,
  check(world) {
    const down = world.records('health').flatMap((r) => (r.to === 'down' ? [r.uplink] : []));
    assert.deepEqual(down.toSorted(), ['backup', 'fast']);
    const ends = world.log.filter((e) => e.type === 'note' && e.text.startsWith('end IPv4'));
    assert.ok(
      ends.every((e) => e.atMs > 40_000),
      'nothing is ended with nowhere to go',
    );
    assert.deepEqual([...new Set(marks(world))], ['all 0x2000000 reset'], 'then those of the one that is still lost');
    const unled = world.log.filter(
      (e) => e.type === 'op' && e.result.op.op === 'rule-delete' && isFlowMark(e.result.op.rule.mark),
    );
    // Sent another way they would be reset, or forgotten: as bad as ended.
    assert.deepEqual(
      unled.filter((e) => e.atMs > 20_000 && e.atMs < 40_000),
      [],
      'until then each waits where it is',
    );
    assert.ok(unled.length > 0, 'as soon as there is somewhere to go');
  },
}));

story('failback drains: the deadline ends the rest, sparing what came in', () => ({
  topology: remembering(),
  timeline: `
    0s    start
    20s   cut fast upstream
    40s   mend fast
    60s   open 0x2000000 3
    180s  end`,
  check(world) {
    assertWays(world, ['fast', 'backup', 'fast']);
    assert.deepEqual(marks(world).slice(-2), ['udp 0x2000000 sparing', 'all 0x2000000 reset sparing']);
    const texts = world
      .records('flows')
      .map((r) => r.text)
      .join('\n');
    assert.match(texts, /open connections finish on backup, for 1 min at most/);
    assert.match(texts, /3 connections still on backup were ended/);
    const standing = world.kernel.state.rules.some((r) => r.mark === BACKUP);
    assert.ok(standing, 'connections that come in by the backup still answer by it');
  },
}));

story('a drain ends early when nothing is left', () => ({
  topology: remembering({ drainMs: 600_000 }),
  timeline: `
    0s    start
    20s   cut fast upstream
    40s   mend fast
    60s   open 0x2000000 3
    130s  open 0x2000000 0
    180s  end`,
  check(world) {
    assert.match(
      world
        .records('flows')
        .map((r) => r.text)
        .join('\n'),
      /no connection is left on backup/,
    );
    assert.deepEqual(world.engine?.view(world.nowMs).uplinks[1]?.paths[0]?.draining, null);
  },
}));

story('back on the backup before the deadline, its connections just go on', () => ({
  topology: remembering({ moveUdpPorts: [] }),
  timeline: `
    0s    start
    20s   cut fast upstream
    40s   mend fast
    60s   open 0x2000000 3
    100s  cut fast upstream
    300s  end`,
  check(world) {
    assert.ok(!marks(world).some((text) => text.includes('0x2000000')), 'nobody on the backup was ended');
  },
}));

story('kill -9 while it drains: the deadline holds', () => ({
  topology: remembering({ moveUdpPorts: [] }),
  timeline: `
    0s    start
    20s   cut fast upstream
    40s   mend fast
    60s   open 0x2000000 3
    85s   restart
    180s  end`,
  check(world) {
    const kill = world.log.find((e) => e.type === 'note' && e.text.endsWith(`0x${BACKUP.toString(16)}`));
    const left = world.log.find(
      (e) => e.type === 'record' && e.record.kind === 'switch' && e.record.to === 'fast' && e.atMs > 40_000,
    );
    assert.ok(kill !== undefined && left !== undefined);
    assert.ok(Math.abs(kill.atMs - left.atMs - 60_000) < 1_500, `ended ${kill.atMs - left.atMs} ms after the switch`);
  },
}));

story('closed by order although it works: its connections are ended, and only then it stops carrying them', () => ({
  topology: remembering(),
  timeline: `
    0s    start
    20s   open 0x1000000 7
    30s   disable fast
    60s   end`,
  check(world) {
    assertWays(world, ['fast', 'backup']);
    assert.deepEqual(marks(world), ['all 0x1000000 reset', 'all 0x1000000 reset', 'all 0x1000000 reset']);
    const route = when(
      world,
      (e) => e.type === 'op' && e.result.op.op === 'route-replace' && e.result.op.route.metric === 0 && e.atMs >= 30_000,
    );
    const kill = when(world, (e) => e.type === 'note' && e.text.startsWith('end IPv4'));
    const rule = when(world, (e) => e.type === 'op' && e.result.op.op === 'rule-delete' && e.result.op.rule.mark === FAST);
    assert.ok(route < kill && kill < rule, `route ${route}, kill ${kill}, rules ${rule}`);
    assert.ok(!world.kernel.state.rules.some((r) => r.mark === FAST));
  },
}));

story('lost while nobody was there: whoever comes back ends its connections', () => ({
  topology: remembering(),
  timeline: `
    0s    start
    20s   open 0x1000000 7
    30s   carrier wan0 off
    30s   restart
    60s   end`,
  check(world) {
    assert.ok(!world.records('health').some((r) => r.from === 'up'), 'the one that died has seen nothing of it');
    assertWays(world, ['fast', 'backup']);
    assert.deepEqual(marks(world), ['all 0x1000000 reset', 'all 0x1000000 reset', 'all 0x1000000 reset']);
    const [ended] = world.records('flows');
    assert.match(ended?.text ?? '', /7 connections by fast were ended: it is lost/);
  },
}));

story('an uplink taken out of the file has its connections ended behind the routes, and nobody inherits its mark', () => {
  const topology = remembering();
  const [, backup] = topology.config.uplinks;
  assert.ok(backup !== undefined);
  const other = uplinkConfig('other', { gateways: [gateway('192.168.1.77')], targets: [icmp('198.51.100.77')] });
  return {
    topology,
    configs: { exchanged: config([other, backup], { connections: POLICY }) },
    timeline: `
    0s    start
    10s   open 0x1000000 7
    20s   reload exchanged
    40s   end`,
    check(world: VirtualWorld) {
      assertWays(world, ['fast', 'backup']);
      const ends = marks(world).filter((mark) => mark.includes('0x1000000'));
      assert.deepEqual(ends, ['all 0x1000000 reset'], 'once: nothing new can come up on it');
      const route = when(
        world,
        (e) => e.type === 'op' && e.result.op.op === 'route-replace' && e.result.op.route.metric === 0 && e.atMs >= 20_000,
      );
      assert.ok(route < when(world, (e) => e.type === 'note' && e.text.startsWith('end IPv4')));
      assert.match(
        world
          .records('flows')
          .map((r) => r.text)
          .join('\n'),
        /7 connections by fast were ended: it is no longer in the file/,
      );
      assert.doesNotMatch(world.kernel.render(), /7100/, 'its table is gone, and given to nobody');
    },
  };
});

story('failback move ends them at once, stay never', () => ({
  topology: remembering({ failback: 'move' }),
  configs: { stay: remembering({ failback: 'stay' }).config },
  timeline: `
    0s    start
    20s   cut fast upstream
    40s   mend fast
    120s  reload stay
    130s  cut fast upstream
    150s  mend fast
    800s  end`,
  check(world) {
    const backups = world.endedFlows.filter((ask) => ask.selector.mark === BACKUP);
    assert.equal(backups.length, 1, 'the one of the move');
    assert.notEqual(world.engine?.view(world.nowMs).uplinks[1]?.paths[0]?.draining, undefined);
  },
}));

story('three that share: a member that fails leaves the set and comes back to it', () => {
  const made = separate(['a', 'b', 'c']);
  const uplinks = made.config.uplinks.map((u, i) => (i < 2 ? { ...u, tier: 1, weight: i === 0 ? 3 : 1 } : u));
  return {
    topology: withDefault({ ...made, config: config(uplinks, { connections: POLICY }) }, '10.0.0.1', 'wan0'),
    timeline: `
      0s   start
      20s  cut b upstream
      40s  mend b
      100s cut a upstream
      120s mend a
      200s end`,
    check(world: VirtualWorld) {
      const sets = world.log.flatMap((e) =>
        e.type === 'op' && e.result.op.op === 'route-replace' && e.result.op.route.table === 254 && e.result.op.route.metric === 0
          ? [e.result.op.route.nexthops.map((h) => `${h.gateway}*${h.weight ?? 1}`).join(' ')]
          : [],
      );
      const both = '10.0.0.1*3 10.1.0.1*1';
      assert.equal(sets.at(-1), both);
      assert.ok(sets.includes('10.0.0.1*1') || sets.includes('10.0.0.1*3'), `a alone while b was down: ${sets.join(' | ')}`);
      assert.ok(sets.includes('10.1.0.1*1'), 'b alone while a was down');
      assert.deepEqual(
        [...new Set(world.endedFlows.map((ask) => ask.selector.mark))],
        [BACKUP, FAST],
        'only those of the member that failed are ended',
      );
      const shares = world.records('share').map((r) => r.text);
      assert.ok(
        shares.some((text) => text === 'IPv4 is shared by a (3 of 4), b (1 of 4)'),
        shares.join('\n'),
      );
      assert.ok(
        shares.some((text) => text === 'IPv4 goes by a alone now'),
        shares.join('\n'),
      );
      const hashed = world.log.some(
        (e) => e.type === 'op' && e.result.op.op === 'sysctl-set' && e.result.op.key === 'net/ipv4/fib_multipath_hash_policy',
      );
      assert.ok(hashed, 'two connections between the same two hosts may go different ways');
    },
  };
});

story('via: by its uplink while that works, then blocked or like everything else', () => {
  const made = separate(['fast', 'backup']);
  const any = { families: [4], source: null, destination: null, protocols: [], ports: null } as const;
  const via = [
    { ...any, name: 'voip', uplink: 'backup', source: '192.168.1.32/28', fallback: 'block' },
    { ...any, name: 'mail', uplink: 'backup', protocols: ['tcp'], ports: { first: 25, last: 25 }, fallback: 'balance' },
  ] as const;
  return {
    topology: withDefault({ ...made, config: config(made.config.uplinks, { via }) }, '10.0.0.1', 'wan0'),
    timeline: `
      0s   start
      20s  cut backup upstream
      60s  end`,
    check(world: VirtualWorld) {
      const rules = world.kernel.state.rules.filter((r) => r.priority >= 956);
      assert.deepEqual(
        rules.map((r) => [r.priority, r.source, r.table, r.suppress, r.action]),
        [
          [956, '192.168.1.32/28', 254, 0, undefined],
          [957, '192.168.1.32/28', 0, undefined, 'unreachable'],
        ],
      );
      assert.deepEqual(
        world.engine?.view(world.nowMs).via.map((v) => v.now),
        ['block', 'balance'],
      );
      const stood = world.log.some(
        (e) =>
          e.type === 'op' &&
          e.result.op.op === 'rule-add' &&
          e.result.op.rule.ports?.first === 25 &&
          e.result.op.rule.table === 7165,
      );
      assert.ok(stood, 'mail went by the backup while that worked');
    },
  };
});

const auto = (names: readonly string[]): Topology => {
  const made = separate(names);
  const uplinks = made.config.uplinks.map((u, i) => ({
    ...u,
    interface: `wan${i}`,
    gateways: [{ family: 4, host: { kind: 'auto' } }] as const,
  }));
  return { ...made, config: config(uplinks) };
};

story('gateway auto: from the routes that stand, over a change that only the lease tells of', () => ({
  topology: withDefault(withDefault(auto(['fast', 'backup']), '10.0.0.1', 'wan0', 16), '10.1.0.1', 'wan1', 16, 200),
  timeline: `
    0s   start
    30s  move fast 10.0.0.9
    40s  hint wan0 10.0.0.9 lease
    90s  end`,
  check(world) {
    const gateways = world.records('gateway').map((r) => r.text);
    assert.match(gateways.join('\n'), /the gateway on wan0 is 10\.0\.0\.1 \(route of dhcp\)/);
    assert.match(gateways.join('\n'), /the gateway on wan0 is 10\.0\.0\.9 \(lease\)/);
    assert.equal(world.wayOut(4).to, 'fast');
    assert.ok(world.wayOut(4).works);
    assert.equal(told(world, 'health').filter((t) => t.startsWith('backup') && t.includes('down')).length, 0);
  },
}));
