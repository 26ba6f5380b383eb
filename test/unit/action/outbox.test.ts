import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { listOutbox } from '../../../src/action/outbox.js';
import type { Verdict } from '../../../src/action/verdict.js';
import { DAY_MS, mailChannel, notice, OutboxBench, until } from './outbox-bench.js';

const later: Verdict = { kind: 'retry', text: '451 later' };

function files(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory).filter((name) => name.endsWith('.json')) : [];
}

test('a message is on disk before it is tried and gone before the next one is', async (t) => {
  const bench = new OutboxBench(t);
  const seen: number[] = [];
  bench.answer = () => {
    seen.push(files(bench.directory).length);
    return { kind: 'delivered', text: '250 ok' };
  };
  const outbox = bench.start();
  for (const id of ['a', 'b', 'c']) outbox.put('admin', notice(id));
  await until(() => bench.told('delivered').length === 3, 'three deliveries');
  assert.deepEqual(bench.ids(), ['a', 'b', 'c']);
  assert.ok((seen[0] ?? 0) >= 1);
  assert.equal(seen[2], 1, 'only the last one is left when it is tried');
  assert.deepEqual(files(bench.directory), []);
  assert.deepEqual(outbox.list(), []);
  assert.deepEqual(outbox.problems(), []);
});

test('waits grow from 1 s to 5 min, and nothing overtakes', async (t) => {
  const bench = new OutboxBench(t);
  bench.answer = () => later;
  const outbox = bench.start();
  outbox.put('admin', notice('a'));
  outbox.put('admin', notice('b'));
  const waits: number[] = [];
  for (let round = 1; round <= 12; round += 1) {
    await until(() => bench.tried.length === round && bench.clock.nextMs !== null, `attempt ${round}`);
    // The time limit of the attempt itself may still be set for a moment.
    await until(() => (outbox.list()[0]?.failure ?? null) !== null && bench.clock.nextMs !== 120_000, 'the wait');
    waits.push(bench.clock.nextMs ?? 0);
    bench.clock.advance(bench.clock.nextMs ?? 0);
  }
  assert.deepEqual(waits.slice(0, 5), [1000, 2000, 4000, 8000, 16_000]);
  assert.equal(waits.at(-1), 300_000);
  assert.deepEqual([...new Set(bench.ids())], ['a']);
  assert.match(outbox.problems().join('\n'), /2 messages wait for admin: 451 later/);
  assert.equal(bench.told('failing').length, 1, 'told once, not with every attempt');
  bench.answer = () => ({ kind: 'delivered', text: 'ok' });
  outbox.kick();
  await until(() => bench.told('delivered').length === 2, 'both delivered');
  assert.deepEqual(bench.ids().slice(-1), ['b']);
  assert.equal(bench.told('recovered').length, 1);
});

test('the order holds across restarts and one channel does not hold up another', async (t) => {
  const bench = new OutboxBench(t);
  bench.channels = [mailChannel('admin'), mailChannel('phone')];
  bench.answer = ({ channel }) => (channel === 'admin' ? later : { kind: 'delivered', text: 'ok' });
  const first = bench.start();
  for (const id of ['a', 'b', 'c']) first.put('admin', notice(id));
  first.put('phone', notice('p'));
  await until(() => bench.told('delivered').length === 1 && files(bench.directory).length === 3, 'the phone served');
  await first.close();
  const second = bench.start();
  // Before the directory has been read: it still comes after what lies there.
  second.put('admin', notice('d'));
  await second.ready();
  assert.deepEqual(
    second.list().map(({ id }) => id),
    ['a', 'b', 'c', 'd'],
  );
  bench.tried.length = 0;
  bench.answer = () => ({ kind: 'delivered', text: 'ok' });
  second.kick();
  await until(() => files(bench.directory).length === 0, 'everything delivered');
  assert.deepEqual([...new Set(bench.ids())], ['a', 'b', 'c', 'd']);
});

test('what is too old is given up, told, and kept nowhere', async (t) => {
  const bench = new OutboxBench(t);
  bench.answer = () => later;
  const first = bench.start();
  first.put('admin', notice('a'));
  await until(() => bench.tried.length === 1, 'the first attempt');
  await first.close();
  // The machine was off for a week; the monotonic clock began anew.
  bench.clock.wallOffsetMs += 7 * DAY_MS;
  const second = bench.start();
  second.put('admin', notice('b'));
  await until(() => bench.told('expired').length === 1, 'the expiry');
  assert.match(bench.told('expired')[0] ?? '', /"subject of a" for admin is given up undelivered after 7 d/);
  await until(() => bench.ids().includes('b'), 'the next one tried');
  await until(() => files(bench.directory).length === 1, 'the file gone');
  assert.equal(bench.ids().filter((id) => id === 'a').length, 1);
  // And within one run, when the timer says so, whatever the wall clock does meanwhile.
  bench.clock.wallOffsetMs -= 30 * DAY_MS;
  bench.clock.advance(7 * DAY_MS);
  await until(() => bench.told('expired').length === 2, 'the second expiry');
  await until(() => files(bench.directory).length === 0, 'nothing kept');
});

test('a wall clock that is set right makes no message old', async (t) => {
  const bench = new OutboxBench(t);
  bench.clock.wallOffsetMs = 0;
  bench.answer = () => later;
  const outbox = bench.start();
  outbox.put('admin', notice('a'));
  await until(() => bench.tried.length === 1, 'the first attempt');
  bench.clock.wallOffsetMs = 1_700_000_000_000;
  bench.answer = () => ({ kind: 'delivered', text: 'ok' });
  outbox.kick();
  await until(() => bench.told('delivered').length === 1, 'the delivery');
  assert.deepEqual(bench.told('expired'), []);
});

test('what is refused for good is kept apart, told, bounded, and blocks nothing', async (t) => {
  const bench = new OutboxBench(t);
  bench.answer = ({ id }) => (id === 'last' ? { kind: 'delivered', text: 'ok' } : { kind: 'refused', text: '550 no such user' });
  const outbox = bench.start();
  for (let count = 0; count < 104; count += 1) outbox.put('admin', notice(`r${count}`));
  outbox.put('admin', notice('last'));
  await until(() => bench.told('delivered').length === 1, 'the one behind them');
  assert.deepEqual(files(bench.directory), []);
  const kept = files(join(bench.directory, 'refused'));
  assert.equal(kept.length, 100);
  assert.match(readFileSync(join(bench.directory, 'refused', kept[99] ?? ''), 'utf8'), /550 no such user/);
  assert.match(outbox.problems().join('\n'), /100 messages were refused for good, the last by admin: 550 no such user/);
  const { entries } = await listOutbox(bench.directory);
  assert.equal(entries.length, 100);
  assert.deepEqual(entries[99], { ...outbox.list()[99] });
  await outbox.close();
  const second = bench.start();
  await second.ready();
  assert.match(second.problems().join('\n'), /100 messages were refused/);
});

test('a refused login is told first, tried slowly, and at once after a reload', async (t) => {
  const bench = new OutboxBench(t);
  bench.channels = [mailChannel('admin'), mailChannel('phone')];
  bench.answer = ({ channel }) => (channel === 'phone' ? { kind: 'credentials', text: '535 wrong password' } : later);
  const outbox = bench.start();
  outbox.put('admin', notice('a'));
  outbox.put('phone', notice('b'));
  await until(() => outbox.problems().length === 2, 'both told');
  assert.deepEqual(outbox.problems()[0], '1 message waits for phone: 535 wrong password');
  assert.equal(bench.reports.find(({ channel }) => channel === 'phone')?.severity, 'error');
  const tries = (): number => bench.tried.filter(({ channel }) => channel === 'phone').length;
  bench.clock.advance(599_000);
  await until(() => bench.ids().filter((id) => id === 'a').length === 2, 'the other one tried again');
  assert.equal(tries(), 1);
  outbox.kick();
  await until(() => tries() === 2, 'a try after a switch');
  outbox.kick();
  outbox.kick();
  await until(() => bench.ids().filter((id) => id === 'a').length >= 4, 'the other one kicked');
  assert.equal(tries(), 2, 'but not with every switch of a flapping line');
  bench.answer = () => ({ kind: 'delivered', text: 'ok' });
  outbox.reload(bench.channels);
  await until(() => bench.told('delivered').length === 2, 'delivery after the cure');
});

test('a kick during an attempt hurries it, and the next one follows at once', async (t) => {
  const bench = new OutboxBench(t);
  bench.answer = ({ attempt }) =>
    new Promise((resolve) => {
      attempt.hurry.addEventListener('abort', () => resolve({ kind: 'retry', text: 'the way out has changed' }));
    });
  const outbox = bench.start();
  outbox.put('admin', notice('a'));
  await until(() => bench.tried.length === 1, 'the attempt that hangs');
  bench.answer = () => ({ kind: 'delivered', text: 'ok' });
  outbox.kick();
  await until(() => bench.told('delivered').length === 1, 'the delivery, without a timer');
  assert.equal(bench.tried.length, 2);
});

test('an attempt that never ends is cut off', async (t) => {
  const bench = new OutboxBench(t);
  bench.answer = () => new Promise(() => undefined);
  const outbox = bench.start();
  outbox.put('admin', notice('a'));
  await until(() => bench.tried.length === 1, 'the attempt that hangs');
  bench.clock.advance(120_000);
  await until(() => outbox.problems().length === 1, 'the failure told');
  assert.equal(bench.tried[0]?.attempt.stop.aborted, true);
  assert.match(outbox.problems()[0] ?? '', /took too long/);
});

test('recipients that have it are remembered across restarts', async (t) => {
  const bench = new OutboxBench(t);
  bench.answer = () => ({ kind: 'retry', text: 'one of two', served: ['x@example.net'] });
  const first = bench.start();
  first.put('admin', notice('a'));
  await until(() => first.problems().length === 1, 'the failure');
  await first.close();
  const second = bench.start();
  await until(() => bench.tried.length === 2, 'the next attempt');
  assert.deepEqual(bench.tried[1]?.served, ['x@example.net']);
  await second.close();
});

test('damaged files are put aside and told; what a crash left half written is removed', async (t) => {
  const bench = new OutboxBench(t);
  bench.answer = () => later;
  const first = bench.start();
  for (const id of ['a', 'b', 'c']) first.put('admin', notice(id));
  await until(() => files(bench.directory).length === 3, 'three files');
  await first.close();
  const [one, two] = files(bench.directory).sort();
  const whole = readFileSync(join(bench.directory, one ?? ''), 'utf8');
  writeFileSync(join(bench.directory, one ?? ''), whole.slice(0, whole.length / 2));
  writeFileSync(join(bench.directory, two ?? ''), JSON.stringify({ ...JSON.parse(whole), notice: { id: 'x' } }));
  writeFileSync(join(bench.directory, '000000000009.json'), Buffer.alloc(300_000, 'x'));
  mkdirSync(join(bench.directory, '000000000010.json'));
  writeFileSync(join(bench.directory, '000000000011.json.tmp'), '{');
  writeFileSync(join(bench.directory, 'README'), 'not ours');
  const looked = await listOutbox(bench.directory);
  assert.equal(looked.problems.length, 4);
  assert.equal(readdirSync(bench.directory).length, 7, 'who only looks changes nothing');
  bench.tried.length = 0;
  const second = bench.start();
  second.put('admin', notice('d'));
  await second.ready();
  assert.deepEqual(
    second.list().map(({ id }) => id),
    ['c', 'd'],
  );
  await until(() => files(bench.directory).length === 2, 'the new one written');
  assert.equal(bench.told('damaged').length, 4);
  assert.match(second.problems().join('\n'), /4 damaged files were put aside/);
  const names = readdirSync(bench.directory);
  assert.equal(names.filter((name) => name.endsWith('.damaged')).length, 4);
  assert.ok(!names.some((name) => name.endsWith('.tmp')));
  assert.ok(names.includes('README'));
});

test('a file damaged while the program runs costs that message alone', async (t) => {
  const bench = new OutboxBench(t);
  bench.answer = () => later;
  const outbox = bench.start();
  outbox.put('admin', notice('a'));
  outbox.put('admin', notice('b'));
  await until(() => files(bench.directory).length === 2 && bench.tried.length === 1, 'the first attempt');
  writeFileSync(join(bench.directory, files(bench.directory).sort()[0] ?? ''), '');
  bench.answer = () => ({ kind: 'delivered', text: 'ok' });
  outbox.kick();
  await until(() => bench.told('delivered').length === 1, 'the second one');
  assert.equal(bench.told('damaged').length, 1);
});

test('more than 1,000 messages or 10 MB: the oldest go, and that is told', async (t) => {
  const bench = new OutboxBench(t);
  bench.answer = () => later;
  const outbox = bench.start();
  for (let count = 0; count < 1010; count += 1) outbox.put('admin', notice(`n${count}`));
  await until(() => files(bench.directory).length === 1000, 'a thousand files');
  assert.equal(outbox.list().length, 1000);
  assert.equal(bench.told('dropped').length, 10);
  assert.match(outbox.problems().join('\n'), /10 undelivered messages were dropped/);
  assert.equal(outbox.list().at(-1)?.id, 'n1009');
  for (let count = 0; count < 60; count += 1) outbox.put('admin', notice(`big${count}`, { text: ['x'.repeat(200_000)] }));
  const bytes = (): number =>
    // One that goes between being listed and being looked at weighs nothing any more.
    readdirSync(bench.directory).reduce(
      (sum, name) => sum + (statSync(join(bench.directory, name), { throwIfNoEntry: false })?.size ?? 0),
      0,
    );
  await until(() => files(bench.directory).length === outbox.list().length && bytes() <= 10 * 1024 * 1024, 'within 10 MB');
  assert.equal(outbox.list().at(-1)?.id, 'big59');
  outbox.put('admin', notice('huge', { text: ['x'.repeat(300_000)] }));
  assert.match(bench.told('dropped').at(-1) ?? '', /too large/);
});

test('messages for a channel that is no longer configured wait and are told', async (t) => {
  const bench = new OutboxBench(t);
  bench.answer = () => later;
  const outbox = bench.start();
  outbox.put('admin', notice('a'));
  await until(() => bench.tried.length === 1, 'the attempt');
  outbox.reload([]);
  await until(() => /no longer configured/.test(outbox.problems().join()), 'told');
  bench.answer = () => ({ kind: 'delivered', text: 'ok' });
  outbox.reload(bench.channels);
  await until(() => bench.told('delivered').length === 1, 'delivered once it is back');
});

test('a listener that throws and a deliverer that throws stop nothing', async (t) => {
  const bench = new OutboxBench(t);
  let calls = 0;
  const outbox = bench.start({
    report: () => {
      throw new Error('listener');
    },
    deliver: () => {
      calls += 1;
      if (calls === 1) throw new Error('at once');
      if (calls === 2) return Promise.reject(new Error('later'));
      return Promise.resolve({ kind: 'delivered', text: 'ok' });
    },
  });
  outbox.put('admin', notice('a'));
  await until(() => calls === 1 && outbox.problems().length === 1, 'the first failure');
  outbox.kick();
  await until(() => calls === 2 && /later/.test(outbox.problems().join()), 'the second failure');
  outbox.kick();
  await until(() => outbox.list().length === 0, 'the delivery');
});
