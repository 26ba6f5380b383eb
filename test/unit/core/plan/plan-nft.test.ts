/** What our nftables table shall do for which paths, and when it counts as another one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Family } from '../../../../src/core/model.js';
import { fingerprintOf, isWhole, type NftWish, nftRules } from '../../../../src/core/plan/plan-nft.js';
import type { PlanPath } from '../../../../src/core/plan/plan-path.js';
import { planPath } from '../../../support/plan-inputs.js';
import { NUMBERS } from '../../../support/topology.js';

const NOTHING: NftWish = { dropRedirects: false, connections: null, masquerade: false, lanPrefix: null, prefixes: new Map() };

function path(family: Family, slot: number, device: string, mac: string | null = null, own = true): PlanPath {
  const gateway = family === 4 ? `192.168.${slot}.1` : `fe80::${slot + 1}`;
  return { ...planPath(family, slot, null), place: { interface: device, gateway, mac, own } };
}

const rules = (paths: readonly PlanPath[], change: Partial<NftWish>) => nftRules(paths, { ...NOTHING, ...change }, NUMBERS);
const ALONE = [path(4, 1, 'wan1'), path(4, 0, 'wan0')];
const TOGETHER = [path(4, 0, 'eth0', '02:00:00:00:00:01'), path(4, 1, 'eth0')];

test('nothing wished is no table', () => {
  assert.equal(rules(ALONE, {}), null);
  assert.equal(fingerprintOf(null), 'absent');
  assert.equal(rules(TOGETHER, { connections: { inbound: true, ends: true } }), null, 'one-armed there is nothing to remember');
  assert.equal(rules([planPath(4, 0, null)], { masquerade: true }), null, 'nowhere yet');
});

test('connections by interface alone where it is the uplink’s own, in the order of the slots', () => {
  const flows = rules(ALONE, { connections: { inbound: false, ends: true } })?.flows;
  assert.deepEqual([flows?.mask, flows?.inbound, flows?.untrackedMark], [0x7f000000, false, 0x40000000]);
  assert.deepEqual(flows?.ways, [
    { family: 4, interface: 'wan0', gateway: null, mac: null, mark: 0x1000000 },
    { family: 4, interface: 'wan1', gateway: null, mac: null, mark: 0x2000000 },
  ]);
});

test('where the interface is shared and the LAN hidden, by next hop and its MAC', () => {
  const made = rules(TOGETHER, { connections: { inbound: true, ends: true }, masquerade: true });
  assert.deepEqual(
    made?.flows?.ways.map((w) => [w.gateway, w.mac]),
    [
      ['192.168.0.1', '02:00:00:00:00:01'],
      ['192.168.1.1', null],
    ],
  );
  assert.deepEqual(
    made?.masquerade?.map((w) => w.gateway),
    ['192.168.0.1', '192.168.1.1'],
  );
});

test('whole is who has its interface for itself, or hides the LAN; who was never found is not', () => {
  assert.ok(ALONE.every((p) => isWhole(p, ALONE, false)));
  assert.ok(TOGETHER.every((p) => !isWhole(p, TOGETHER, false) && isWhole(p, TOGETHER, true)));
  assert.ok(!isWhole(path(4, 0, 'eth0', null, false), [path(4, 0, 'eth0', null, false)], false), 'the LAN is on it');
  assert.ok(!isWhole(planPath(4, 0, null), [], true));
});

test('what is translated 1:1 is not masqueraded as well; IPv4 and uplinks without a prefix are', () => {
  const paths = [path(4, 0, 'wan0'), path(6, 0, 'wan0'), path(6, 1, 'wan1')];
  const made = rules(paths, { masquerade: true, lanPrefix: 'fd00:1::/64', prefixes: new Map([[0, '2001:db8:5::/64']]) });
  assert.deepEqual(
    made?.masquerade?.map((w) => [w.family, w.interface]),
    [
      [4, 'wan0'],
      [6, 'wan1'],
    ],
  );
  assert.deepEqual(
    made?.prefixes?.map((p) => [p.way.interface, p.inside, p.outside]),
    [['wan0', 'fd00:1::/64', '2001:db8:5::/64']],
  );
});

test('the fingerprint is that of what the table does: not of health, order or a MAC that nobody needs', () => {
  const of = (paths: readonly PlanPath[]): string => fingerprintOf(rules(paths, { connections: { inbound: true, ends: true } }));
  const first = of(ALONE);
  assert.equal(of(ALONE.toReversed()), first);
  assert.equal(of(ALONE.map((p) => ({ ...p, works: !p.works }))), first);
  assert.equal(of([path(4, 1, 'wan1', '02:00:00:00:00:07'), path(4, 0, 'wan0')]), first);
  assert.notEqual(of([path(4, 1, 'wan2'), path(4, 0, 'wan0')]), first);
  assert.ok(first.length <= 128, 'nft takes no longer comment');
  const shared = (mac: string | null): string =>
    fingerprintOf(
      rules([path(4, 0, 'eth0', mac), path(4, 1, 'eth0')], { connections: { inbound: true, ends: true }, masquerade: true }),
    );
  assert.notEqual(shared('02:00:00:00:00:01'), shared('02:00:00:00:00:02'), 'another router answers for the address');
});
