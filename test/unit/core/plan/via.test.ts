/** `via`: the entry in force, the rules it becomes, and what holds while its uplink does not work. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Agenda } from '../../../../src/core/agenda.js';
import type { ViaConfig } from '../../../../src/core/config.js';
import type { Family } from '../../../../src/core/model.js';
import { Path } from '../../../../src/core/paths/path.js';
import { flowRules, viaRules } from '../../../../src/core/plan/plan-rules.js';
import { viaPlans, viaViews } from '../../../../src/core/plan/via.js';
import { planPath } from '../../../support/plan-inputs.js';
import { config, gateway, NUMBERS, noSilences, uplinkConfig } from '../../../support/topology.js';

const ANY: ViaConfig = {
  name: 'voip',
  uplink: 'backup',
  families: [4],
  source: null,
  destination: null,
  protocols: [],
  ports: null,
  fallback: 'balance',
};

function backup(family: Family, connected = true): Path {
  const port = {
    agenda: new Agenda(),
    random: () => 0,
    ask: () => 1,
    changed: () => {},
    suspected: () => {},
    lossElsewhere: () => 1,
  };
  const gateways = [gateway('10.1.0.1'), gateway('fe80::1')];
  const uplink = uplinkConfig('backup', { gateways });
  const path = new Path(uplink, family, 1, port, noSilences(uplink), 0);
  path.connected = connected;
  return path;
}

const plans = (via: readonly ViaConfig[], paths: readonly Path[], works = true) =>
  viaPlans(config([], { via }), paths, () => works).map((p) => [p.index, p.family, p.slot, p.guarded]);

test('by its uplink while that works and can be reached; then blocked, or no rule at all', () => {
  const block = { ...ANY, name: 'bank', fallback: 'block' } as const;
  assert.deepEqual(plans([ANY, block], [backup(4)]), [
    [0, 4, 1, false],
    [1, 4, 1, true],
  ]);
  assert.deepEqual(plans([ANY, block], [backup(4)], false), [[1, 4, null, true]]);
  assert.deepEqual(plans([ANY, block], [backup(4, false)]), [[1, 4, null, true]]);
  assert.deepEqual(plans([ANY, block], []), [[1, 4, null, true]], 'its uplink has no such family');
});

test('each family for itself, at the entry’s own place', () => {
  const both = { ...ANY, families: [4, 6] } as const;
  assert.deepEqual(plans([ANY, both], [backup(4), backup(6)]), [
    [0, 4, 1, false],
    [1, 4, 1, false],
    [1, 6, 1, false],
  ]);
});

test('status says what holds now', () => {
  const via = [ANY, { ...ANY, name: 'bank', fallback: 'block' }] as const;
  const now = (works: boolean): string[] => viaViews(config([], { via }), [backup(4)], () => works).map((v) => v.now);
  assert.deepEqual(now(true), ['uplink', 'uplink']);
  assert.deepEqual(now(false), ['balance', 'block']);
});

const rulesOf = (change: Partial<ViaConfig>, slot: number | null = 1, guarded = false) =>
  viaRules({ index: 2, family: 4, match: { ...ANY, ...change }, slot, guarded }, NUMBERS);

test('main’s own ways go first, for each protocol that is named', () => {
  const rules = rulesOf({ source: '192.168.1.32/28', protocols: ['tcp', 'udp'], ports: { first: 5060, last: 5061 } });
  assert.deepEqual(
    rules.map((r) => [r.priority, r.table, r.suppress, r.ipProtocol, r.ports?.first, r.ports?.last, r.source, r.mask]),
    [
      [964, 254, 0, 6, 5060, 5061, '192.168.1.32/28', 0],
      [965, 7165, undefined, 6, 5060, 5061, '192.168.1.32/28', 0],
      [966, 254, 0, 17, 5060, 5061, '192.168.1.32/28', 0],
      [967, 7165, undefined, 17, 5060, 5061, '192.168.1.32/28', 0],
    ],
  );
});

test('blocked is told "unreachable"; with `block` a lost carrier is caught by the guard, else it falls through', () => {
  assert.deepEqual(
    rulesOf({}, null).map((r) => [r.table, r.action]),
    [
      [254, undefined],
      [0, 'unreachable'],
    ],
  );
  assert.equal(rulesOf({}, 1, true)[1]?.table, 7101);
  assert.equal(rulesOf({}, 1, false)[1]?.table, 7165);
});

test('connections by mark: main’s own ways first, then the table without a guard', () => {
  const rules = flowRules(planPath(6, 62, null), NUMBERS);
  assert.deepEqual(
    rules.map((r) => [r.family, r.priority, r.table, r.mark, r.mask, r.suppress]),
    [
      [6, 952, 254, 0x3f000000, 0x7f000000, 0],
      [6, 953, 7226, 0x3f000000, 0x7f000000, undefined],
    ],
  );
});
