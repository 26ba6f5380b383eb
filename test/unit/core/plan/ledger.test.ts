/** What is promised, what is known: operations handed out, their results, and readings in between. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KernelOp, OpResult } from '../../../../src/core/kernel.js';
import { Ledger } from '../../../../src/core/plan/ledger.js';
import { foreignDefault } from '../../../support/topology.js';
import { bareKernel } from './route-chaos.js';

const kernel = bareKernel();
const ours = foreignDefault(kernel, '192.168.1.253', 'eth0', { protocol: 110 });
const other = foreignDefault(kernel, '192.168.1.1', 'eth0', { protocol: 110, metric: 1 });
const replace = (route: typeof ours): KernelOp => ({ op: 'route-replace', route });

const ledger = (): Ledger => {
  const made = new Ledger((op) => JSON.stringify(op));
  made.read(kernel.state);
  return made;
};
const ways = (it: Ledger): string[] =>
  (it.state?.routes ?? []).filter((r) => r.destination === 'default').map((r) => r.nexthops[0]?.gateway ?? '');
/** as the answer comes back: another object of the same content */
const result = (op: KernelOp, ok: boolean): OpResult => ({
  op: JSON.parse(JSON.stringify(op)) as KernelOp,
  ok,
  errno: ok ? null : 'EPERM',
  message: null,
});

test('before the first reading nothing is known', () => {
  const it = new Ledger(() => '');
  it.handedOut([replace(ours)]);
  assert.equal(it.state, null);
});

test('what is handed out is expected; refused, it is taken back', () => {
  const it = ledger();
  it.handedOut([replace(ours), replace(other)]);
  assert.deepEqual(ways(it), ['192.168.1.253', '192.168.1.1']);
  it.settled([result(replace(ours), false), result(replace(other), true)]);
  assert.deepEqual(ways(it), ['192.168.1.1']);
  assert.deepEqual(it.pending, []);
});

test('a reading from before the operation does not undo the promise', () => {
  const it = ledger();
  it.handedOut([replace(ours)]);
  it.read(kernel.state);
  assert.deepEqual(ways(it), ['192.168.1.253']);
  it.settled([result(replace(ours), true)]);
  assert.deepEqual(ways(it), ['192.168.1.253']);
});

test('a reading from after it does not count it twice, a delete neither', () => {
  const it = ledger();
  it.handedOut([replace(ours)]);
  const after = bareKernel();
  after.foreign(replace(ours));
  it.read(after.state);
  it.settled([result(replace(ours), true)]);
  assert.deepEqual(ways(it), ['192.168.1.253']);

  // The kernel's delete matches loosely: done again on a state without its route it would hit the standby that looks alike.
  const standby = { ...ours, metric: 1 };
  const both = bareKernel();
  both.foreign(replace(ours));
  both.foreign(replace(standby));
  it.read(both.state);
  it.handedOut([{ op: 'route-delete', route: ours }]);
  both.foreign({ op: 'route-delete', route: ours });
  it.read(both.state);
  it.settled([result({ op: 'route-delete', route: ours }, true)]);
  assert.deepEqual(
    it.state?.routes.filter((r) => r.destination === 'default').map((r) => r.metric),
    [1],
  );
});

test('results may come in another order than they were handed out', () => {
  const it = ledger();
  it.handedOut([replace(ours)]);
  it.handedOut([replace(other)]);
  it.settled([result(replace(other), true)]);
  assert.deepEqual(
    it.pending.map((op) => (op.op === 'route-replace' ? op.route.nexthops[0]?.gateway : '')),
    ['192.168.1.253'],
  );
});
