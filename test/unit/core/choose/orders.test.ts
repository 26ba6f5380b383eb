/** Orders of the administrator, and the kernel numbers that uplinks keep. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adminOf, type Orders, obey, ordersFor } from '../../../../src/core/choose/orders.js';
import { MAX_UPLINKS } from '../../../../src/core/config.js';
import { assignSlots, slotsGiven } from '../../../../src/core/paths/slots.js';

const none: Orders = { forced: null, disabled: [] };
const admins = (orders: Orders): string[] => ['a', 'b', 'c'].map((name) => adminOf(orders, name));

test('one is forced at a time; forcing enables, disabling ends the force', () => {
  let orders = obey(none, { verb: 'force', uplink: 'a' });
  assert.deepEqual(admins(orders), ['forced', 'auto', 'auto']);
  orders = obey(orders, { verb: 'force', uplink: 'b' });
  assert.deepEqual(admins(orders), ['auto', 'forced', 'auto']);
  orders = obey(orders, { verb: 'disable', uplink: 'b' });
  assert.deepEqual(admins(orders), ['auto', 'disabled', 'auto']);
  orders = obey(orders, { verb: 'force', uplink: 'b' });
  assert.deepEqual(admins(orders), ['auto', 'forced', 'auto']);
});

test('enable takes back a disable and nothing else, auto everything', () => {
  let orders = obey(obey(none, { verb: 'force', uplink: 'a' }), { verb: 'disable', uplink: 'c' });
  orders = obey(orders, { verb: 'disable', uplink: 'c' });
  assert.deepEqual(orders.disabled, ['c']);
  orders = obey(orders, { verb: 'enable', uplink: 'a' });
  assert.deepEqual(admins(orders), ['forced', 'auto', 'disabled']);
  assert.deepEqual(admins(obey(orders, { verb: 'enable', uplink: 'c' })), ['forced', 'auto', 'auto']);
  assert.deepEqual(obey(orders, { verb: 'auto' }), none);
});

test('orders for uplinks that are not in the file are dropped', () => {
  assert.deepEqual(ordersFor({ forced: 'x', disabled: ['a', 'y'] }, ['a', 'b']), { forced: null, disabled: ['a'] });
});

// ---- slots -----------------------------------------------------------------------------------------------------------

const slots = (names: readonly string[], current: Record<string, number> = {}, remembered: Record<string, number> = {}) =>
  Object.fromEntries(assignSlots(names, new Map(Object.entries(current)), remembered));

test('the first free slots, in the order of the file', () => {
  assert.deepEqual(slots(['fast', 'backup']), { fast: 0, backup: 1 });
});

test('who has a slot keeps it, whatever becomes of the others', () => {
  assert.deepEqual(slots(['backup', 'fast'], { fast: 0, backup: 1 }), { fast: 0, backup: 1 });
});

test('who is new takes a slot that nobody had: the mark may still be on open connections', () => {
  assert.deepEqual(slots(['new', 'backup'], { fast: 0, backup: 1 }), { backup: 1, new: 2 });
  assert.deepEqual(slots(['new', 'backup'], {}, { fast: 0, backup: 1 }), { backup: 1, new: 2 });
  const all = Object.fromEntries(Array.from({ length: MAX_UPLINKS }, (_, i) => [`u${i}`, i]));
  const [, ...others] = Object.keys(all);
  assert.equal(slots([...others, 'new'], all).new, 0, 'when all have been given, that of one who left');
});

test('who comes back finds the own slot, unless it has passed on', () => {
  const both = new Map(Object.entries({ fast: 0, backup: 1 }));
  const without = slotsGiven(both, assignSlots(['backup', 'new'], both, {}));
  assert.deepEqual(Object.fromEntries(assignSlots(['fast', 'backup', 'new'], without, {})), { fast: 0, backup: 1, new: 2 });
  const passedOn = slotsGiven(both, new Map([['heir', 0]]));
  assert.deepEqual(Object.fromEntries(passedOn), { backup: 1, heir: 0 });
});

test('a restart takes the slots of before, also when the file has another order', () => {
  assert.deepEqual(slots(['backup', 'fast', 'new'], {}, { fast: 0, backup: 1 }), { backup: 1, fast: 0, new: 2 });
});

test("nonsense in a state file is nobody's slot", () => {
  const made = slots(['a', 'b', 'c', 'd'], {}, { a: -1, b: 63, c: 0.5, d: 7 });
  assert.deepEqual(made, { d: 7, a: 0, b: 1, c: 2 });
  assert.deepEqual(slots(['a', 'b'], {}, { a: 3, b: 3 }), { a: 3, b: 0 });
});

test('63 uplinks fit', () => {
  const names = Array.from({ length: MAX_UPLINKS }, (_, i) => `u${i}`);
  assert.deepEqual(
    Object.values(slots(names)).sort((a, b) => a - b),
    names.map((_, i) => i),
  );
});
