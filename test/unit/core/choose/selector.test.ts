/**
 * The choice between two uplinks in every combination of what can be known of them, against a specification written
 * from the words of the documentation, not from the code.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Candidate, type Choice, selectSharing, selectUplink, tiersOf } from '../../../../src/core/choose/selector.js';
import type { Admin, Health } from '../../../../src/core/model.js';

/** By their places in the lists of this file. */
const tierOf = (uplink: string): number => ['fast', 'backup', 'a', 'b', 'c'].indexOf(uplink);

const BOOLEANS = [true, false] as const;
const STATES: readonly (readonly [Health, boolean])[] = [
  ['unknown', true],
  ['up', true],
  ['degraded', true],
  ['degraded', false],
  ['down', true],
];
const ADMINS: readonly Admin[] = ['auto', 'forced', 'disabled'];

function everyCandidate(uplink: string): Candidate[] {
  return STATES.flatMap(([health, yields]) =>
    ADMINS.flatMap((admin) =>
      BOOLEANS.flatMap((held) =>
        BOOLEANS.flatMap((doubtful) =>
          BOOLEANS.map(
            (routable): Candidate => ({
              uplink,
              tier: tierOf(uplink),
              admin,
              closed: null,
              health,
              reason:
                health === 'down'
                  ? 'upstream-silent'
                  : health === 'degraded'
                    ? 'loss-high'
                    : health === 'up'
                      ? 'answers'
                      : 'starting',
              yields,
              held,
              doubtful,
              routable,
              joins: true,
              likelyBackInMs: () => null,
            }),
          ),
        ),
      ),
    ),
  );
}

const works = (c: Candidate): boolean => c.health === 'up' || (c.health === 'degraded' && !c.yields);
/** Traffic may be sent to it now. */
const ready = (c: Candidate): boolean => c.admin === 'auto' && c.routable && !c.doubtful;

/** Where the default route shall be; null = left as the kernel has it. */
function expected(all: readonly Candidate[], active: string | null, hasDefault: boolean, mayWait: boolean): string | null {
  const forced = all.find((c) => c.admin === 'forced');
  if (forced !== undefined) return forced.uplink;
  const current = all.find((c) => c.uplink === active);
  const others = all.filter((c) => c !== current);
  const proven = others.find((c) => ready(c) && works(c) && c.held);
  const working = proven ?? others.find((c) => ready(c) && works(c));
  const limping = others.find((c) => ready(c) && c.health === 'degraded');

  if (current === undefined) {
    if (working !== undefined) {
      // What the kernel does may go on until the better one has had its say.
      const better = all.slice(0, all.indexOf(working)).some((c) => c.health === 'unknown' && c.admin !== 'disabled');
      return hasDefault && mayWait && better ? null : working.uplink;
    }
    if (hasDefault) return null;
    return (limping ?? others.find((c) => ready(c) && c.health === 'unknown') ?? others.find(ready))?.uplink ?? null;
  }
  if (current.admin === 'disabled' || !current.routable || current.health === 'down')
    return (working ?? limping ?? current).uplink;
  if (works(current)) {
    const preferred = others.find((c) => all.indexOf(c) < all.indexOf(current) && ready(c) && works(c) && c.held);
    return (preferred ?? current).uplink;
  }
  // no verdict yet: stay. Degraded still carries something: only for one that has proven itself.
  return current.health === 'degraded' ? (proven ?? current).uplink : current.uplink;
}

function everyCase(
  check: (all: readonly Candidate[], active: string | null, hasDefault: boolean, choice: Choice, mayWait: boolean) => void,
): void {
  for (const fast of everyCandidate('fast')) {
    for (const backup of everyCandidate('backup')) {
      const all = [fast, backup];
      for (const active of ['fast', 'backup', null]) {
        for (const hasDefault of BOOLEANS) {
          for (const mayWait of BOOLEANS) {
            check(all, active, hasDefault, selectUplink(all, active, hasDefault, mayWait), mayWait);
          }
        }
      }
    }
  }
}

const shown = (all: readonly Candidate[], active: string | null, ...more: readonly unknown[]): string =>
  JSON.stringify([active, all, ...more]);

test('in all 172,800 combinations the choice is the one specified', () => {
  everyCase((all, active, hasDefault, choice, mayWait) => {
    const want = expected(all, active, hasDefault, mayWait);
    if (choice.uplink !== want) assert.equal(choice.uplink, want, shown(all, active, { hasDefault, mayWait, choice }));
  });
});

test('nobody is moved to an uplink that is disabled, in doubt or has no route, unless it is forced', () => {
  everyCase((all, active, _hasDefault, choice) => {
    const chosen = all.find((c) => c.uplink === choice.uplink);
    if (chosen === undefined || chosen.uplink === active || chosen.admin === 'forced') return;
    assert.ok(chosen.admin !== 'disabled' && !chosen.doubtful && chosen.routable, shown(all, active, choice));
  });
});

test('a choice that stands is never given up for nothing', () => {
  everyCase((all, active, _hasDefault, choice) => {
    if (active !== null) assert.notEqual(choice.uplink, null, shown(all, active));
  });
});

test('the reason says why: forced, disabled, preferred, or the trouble of the one that is left', () => {
  everyCase((all, active, _hasDefault, choice) => {
    const where = shown(all, active, choice);
    const current = all.find((c) => c.uplink === active);
    const chosen = all.find((c) => c.uplink === choice.uplink);
    if (chosen?.admin === 'forced') assert.equal(choice.reason, 'forced', where);
    else if (current !== undefined && chosen !== undefined && chosen !== current) {
      if (current.admin === 'disabled') assert.equal(choice.reason, 'disabled', where);
      else if (choice.reason === 'preferred') assert.ok(works(current) && all.indexOf(chosen) < all.indexOf(current), where);
      else assert.equal(choice.reason, current.reason, where);
    } else if (chosen === undefined) assert.ok(['starting', 'no-choice'].includes(choice.reason), where);
  });
});

test('"no uplink works" is said only when none does: not of one that is just being asked again', () => {
  everyCase((all, active, _hasDefault, choice) => {
    if (choice.reason !== 'no-choice' || active === null) return;
    const other = all.find((c) => c.uplink !== active);
    const mayWork = other !== undefined && other.admin === 'auto' && other.routable && works(other);
    assert.ok(!mayWork, shown(all, active, choice));
  });
});

const candidate = (uplink: string, change: Partial<Candidate> = {}): Candidate => ({
  uplink,
  tier: tierOf(uplink),
  admin: 'auto',
  closed: null,
  health: 'up',
  reason: 'answers',
  yields: true,
  held: true,
  doubtful: false,
  routable: true,
  joins: true,
  likelyBackInMs: () => null,
  ...change,
});

test('of three, the most preferred that is proven; one only just recovered comes after it', () => {
  const down = candidate('a', { health: 'down', reason: 'carrier-lost' });
  assert.deepEqual(selectUplink([down, candidate('b', { held: false }), candidate('c')], 'a', true), {
    uplink: 'c',
    reason: 'carrier-lost',
  });
  assert.deepEqual(selectUplink([down, candidate('b', { held: false }), candidate('c', { held: false })], 'a', true), {
    uplink: 'b',
    reason: 'carrier-lost',
  });
});

test('failback skips no step: straight to the most preferred one that is held', () => {
  assert.equal(selectUplink([candidate('a'), candidate('b'), candidate('c')], 'c', true).uplink, 'a');
  assert.equal(selectUplink([candidate('a', { held: false }), candidate('b'), candidate('c')], 'c', true).uplink, 'b');
});

test('of two forced ones the preferred counts, and it is obeyed though it is down', () => {
  const all = [candidate('a'), candidate('b', { admin: 'forced', health: 'down', routable: false })];
  assert.deepEqual(selectUplink(all, 'a', true), { uplink: 'b', reason: 'forced' });
});

// ---- several of one tier ---------------------------------------------------------------------------------------------

const peer = (uplink: string, change: Partial<Candidate> = {}): Candidate => candidate(uplink, { tier: 0, ...change });

test('neighbours that name the same tier share one; everybody else has his own', () => {
  assert.deepEqual(tiersOf([]), []);
  assert.deepEqual(tiersOf([null, null]), [0, 1]);
  assert.deepEqual(tiersOf([1, 1, 2, 2, null, 3]), [0, 0, 1, 1, 2, 3]);
  assert.deepEqual(tiersOf([5, 5, 1]), [0, 0, 1], 'order in the file is the preference, the number only a name');
  assert.deepEqual(tiersOf([1, null, 1]), [0, 1, 2], 'who does not stand beside it is another tier');
});

test('nobody fails back within a tier: one is as good as the other', () => {
  assert.equal(selectUplink([peer('a'), peer('b')], 'b', true).uplink, 'b');
  assert.equal(selectUplink([peer('a'), peer('b'), candidate('c', { tier: 1 })], 'c', true).uplink, 'a');
});

test('the good ones of the tier of the chosen one share, in the order of the file, wherever it stands', () => {
  const all = [peer('a'), peer('b'), candidate('c', { tier: 1 })];
  assert.deepEqual(selectSharing(all, 'a', ['a']), ['a', 'b']);
  assert.deepEqual(selectSharing(all, 'b', ['b']), ['a', 'b']);
  assert.deepEqual(selectSharing(all, 'c', ['c']), ['c']);
  assert.deepEqual(selectSharing(all, 'gone', []), ['gone']);
});

test('who joins must have proven itself; who shares already may bear a silence', () => {
  for (const change of [{ held: false }, { doubtful: true }, { health: 'unknown' } as const]) {
    assert.deepEqual(selectSharing([peer('a'), peer('b', change)], 'a', ['a']), ['a'], JSON.stringify(change));
    assert.deepEqual(selectSharing([peer('a'), peer('b', change)], 'a', ['a', 'b']), ['a', 'b'], JSON.stringify(change));
  }
});

test('who is down, yields, is shut, refused by the kernel or cannot be joined leaves at once', () => {
  const changes: Partial<Candidate>[] = [
    { health: 'down' },
    { health: 'degraded' },
    { admin: 'disabled' },
    { routable: false },
    { joins: false },
  ];
  for (const change of changes)
    assert.deepEqual(selectSharing([peer('a'), peer('b', change)], 'a', ['a', 'b']), ['a'], JSON.stringify(change));
  assert.deepEqual(selectSharing([peer('a'), peer('b', { health: 'degraded', yields: false })], 'a', ['a']), ['a', 'b']);
});

test('a chosen one that cannot be joined, is forced, or is kept for want of anything better, is alone', () => {
  assert.deepEqual(selectSharing([peer('a', { joins: false }), peer('b')], 'a', ['a', 'b']), ['a']);
  assert.deepEqual(selectSharing([peer('a', { admin: 'forced' }), peer('b')], 'a', ['a', 'b']), ['a']);
  assert.deepEqual(selectSharing([peer('a', { admin: 'disabled' }), peer('b')], 'a', ['a', 'b']), ['a']);
  assert.deepEqual(selectSharing([peer('a'), peer('b'), candidate('c', { tier: 1, admin: 'forced' })], 'a', ['a', 'b']), ['a']);
});
