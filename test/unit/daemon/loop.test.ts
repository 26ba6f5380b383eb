import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Effect, Event } from '../../../src/core/messages.js';
import { realClock } from '../../../src/daemon/clock.js';
import { bench, probe, record, save, settle, sysctl } from './hand-clock.js';

const timer = (atMs: number): Effect => ({ type: 'set-timer', atMs });
const types = (events: readonly Event[]): string[] => events.map((event) => event.type);
const auto: Event = { type: 'command', command: { verb: 'auto' } };

test('the first change waits for the memory of how things were, and probes behind it wait too', async () => {
  const b = bench((event) => (event === null ? [record('hello'), sysctl('1'), probe(1), save()] : []));
  b.loop.start();
  await settle();
  assert.deepEqual(b.done, ['save', 'record hello'], 'the save was asked for first, nothing was changed yet');
  b.releaseDisk();
  await settle();
  assert.deepEqual(b.done.slice(2), ['apply sysctl-set', 'probe 1']);
  assert.deepEqual(types(b.events), ['ops-applied']);
});

test('a disk that hangs holds the first change back for a second, no longer', async () => {
  const b = bench((event) => (event === null ? [save(), sysctl('1'), probe(1)] : []));
  b.loop.start();
  await b.clock.run(999);
  assert.deepEqual(b.done, ['save']);
  await b.clock.run(2);
  assert.deepEqual(b.done, ['save', 'apply sysctl-set', 'probe 1']);
});

test('later changes never wait for the disk', async () => {
  const b = bench((event) => (event === null ? [sysctl('1')] : event.type === 'command' ? [save(), sysctl('0')] : []));
  b.loop.start();
  await settle();
  b.loop.post(auto);
  assert.deepEqual(
    b.done,
    ['apply sysctl-set', 'save', 'apply sysctl-set'],
    'applied within the same turn, while the disk hangs',
  );
});

test('a deadline is judged only after every answer that waits has been read', () => {
  const b = bench((event, now) => (event === null ? [timer(now + 10)] : []));
  b.loop.start();
  const answer = (id: number) => (): void => {
    b.prober.reads += 1;
    b.loop.outcome({ kind: 'answered', id, rttMs: 9, duplicate: false, note: null });
  };
  b.clock.nowMs += 10;
  b.clock.pass(answer(1));
  b.clock.pass(answer(2));
  assert.deepEqual(types(b.events), ['probe-answered', 'probe-answered'], 'answers still come in: not judged');
  b.clock.pass();
  assert.deepEqual(types(b.events), ['probe-answered', 'probe-answered', 'timer']);
});

test('under a flood of answers the judgement comes all the same', () => {
  const b = bench((event, now) => (event === null ? [timer(now + 10)] : []));
  b.loop.start();
  b.clock.nowMs += 10;
  let passes = 0;
  while (!b.events.some((event) => event.type === 'timer')) {
    passes += 1;
    assert.ok(passes < 100, 'never judged');
    b.clock.pass(() => {
      b.prober.reads += 32;
    });
  }
});

test('after a stall the stall is told before anything else, and once', () => {
  const b = bench((event, now) => {
    if (event === null) return [timer(now + 10)];
    // as the engine does: its deadlines lie in the past until the timer runs them
    return event.type === 'stalled' ? [timer(event.fromMs + 100)] : [];
  });
  b.loop.start();
  b.clock.nowMs += 5_000;
  b.loop.outcome({ kind: 'answered', id: 1, rttMs: 4_999, duplicate: false, note: null });
  b.clock.pass();
  b.clock.pass();
  b.clock.pass();
  assert.deepEqual(types(b.events), ['stalled', 'probe-answered', 'timer']);
  assert.deepEqual(b.events[0], { type: 'stalled', cause: 'process-stalled', fromMs: 1_010, toMs: 6_000 });
});

test('a timer that comes late without any other event is a stall too', () => {
  const b = bench((event, now) => (event === null ? [timer(now + 10)] : []));
  b.loop.start();
  b.clock.nowMs += 300;
  b.clock.pass();
  assert.deepEqual(types(b.events), ['stalled', 'timer']);
});

test('a loop that is 200 ms late has not stalled', () => {
  const b = bench((event, now) => (event === null ? [timer(now + 10)] : []));
  b.loop.start();
  b.clock.nowMs += 210;
  b.clock.pass();
  assert.deepEqual(types(b.events), ['timer']);
});

test('a suspended machine is told from a set clock', () => {
  const b = bench(() => []);
  b.loop.start();
  b.clock.nowMs += 20;
  b.clock.wallOffsetMs += 3_600_000;
  b.clock.uptimeOffsetMs += 3_600_000;
  b.loop.post(auto);
  b.clock.wallOffsetMs -= 86_400_000;
  b.loop.post(auto);
  const causes = b.events.flatMap((event) => (event.type === 'stalled' ? [event.cause] : []));
  assert.deepEqual(causes, ['suspended', 'clock-stepped']);
});

test('a clock that is slewed is nothing', () => {
  const b = bench(() => []);
  b.loop.start();
  for (let step = 0; step < 100; step += 1) {
    b.clock.nowMs += 1_000;
    b.clock.wallOffsetMs += 50;
    b.loop.post(auto);
  }
  assert.ok(!types(b.events).includes('stalled'));
});

test('an exception in the engine does not stop the loop, and time goes on without its wish', async () => {
  const b = bench((event, now) => {
    if (event === null) return [timer(now + 10)];
    if (b.events.length === 1) throw new Error('bug');
    return [record('alive')];
  });
  b.loop.start();
  await b.clock.run(200);
  assert.deepEqual(b.troubles, ['timer']);
  assert.deepEqual(types(b.events).slice(0, 2), ['timer', 'timer']);
  assert.ok(b.done.includes('record alive'));
  assert.deepEqual(b.fatal, []);
});

test('five exceptions within ten seconds end the process', async () => {
  const b = bench(() => {
    throw new Error('bug');
  });
  b.loop.start();
  for (let count = 0; count < 4; count += 1) b.loop.post(auto);
  assert.equal(b.fatal.length, 1);
});

test('five exceptions in an hour do not', async () => {
  const b = bench((event) => {
    if (event?.type === 'command') throw new Error('bug');
    return [];
  });
  b.loop.start();
  for (let count = 0; count < 8; count += 1) {
    b.loop.post(auto);
    b.clock.nowMs += 600_000;
  }
  assert.equal(b.troubles.length, 8);
  assert.deepEqual(b.fatal, []);
});

test('an effect that throws keeps the next ones from nothing', () => {
  const b = bench((event) => (event === null ? [record('lost'), probe(7)] : []), {
    record: () => {
      throw new Error('disk on fire');
    },
  });
  b.loop.start();
  assert.deepEqual(b.done, ['probe 7']);
  assert.deepEqual(b.troubles, ['effect record']);
});

test('a kernel that rejects what it must not reject still gives every apply its answer', async () => {
  const b = bench((event) => (event === null ? [sysctl('1')] : []));
  b.kernel.apply = () => Promise.reject(new Error('bug'));
  b.loop.start();
  await settle();
  const [applied] = b.events;
  assert.ok(applied?.type === 'ops-applied' && applied.results.length === 1 && applied.results[0]?.ok === false);
});

test('a name that never resolves holds nothing up and is asked once at a time', async () => {
  const asked: string[] = [];
  const answers: (() => void)[] = [];
  const b = bench(
    (event) => {
      if (event?.type !== 'command') return [];
      return [4, 4, 6].map((family) => ({ type: 'resolve', name: 'gw', family: family === 4 ? 4 : 6 }));
    },
    {
      lookup: (name, family) => {
        asked.push(`${name}/${family}`);
        return new Promise((resolve) => answers.push(() => resolve(['192.0.2.1'])));
      },
    },
  );
  b.loop.start();
  b.loop.post(auto);
  b.loop.post(auto);
  await settle();
  assert.deepEqual(asked, ['gw/4'], 'one at a time');
  answers[0]?.();
  await settle();
  assert.deepEqual(asked, ['gw/4', 'gw/6']);
  assert.deepEqual(b.events.at(-1), { type: 'name-resolved', name: 'gw', family: 4, addresses: ['192.0.2.1'] });
});

test('ask gives the records of its own event only', () => {
  const b = bench((event) => (event?.type === 'command' ? [record('decided')] : [record('other')]));
  b.loop.start();
  assert.deepEqual(
    b.loop.ask(auto).map(({ text }) => text),
    ['decided'],
  );
});

test('a change in the kernel is read at once and handed on', async () => {
  const b = bench(() => []);
  b.loop.start();
  b.kernel.addLink('eth0');
  await settle();
  const [seen] = b.events;
  assert.ok(seen?.type === 'kernel-seen' && seen.state.links[0]?.name === 'eth0');
});

test('stop carries out the last words, and nothing after', async () => {
  const b = bench((event) => (event?.type === 'stopping' ? [sysctl('0'), record('bye')] : []));
  b.loop.start();
  await b.loop.stop({ type: 'stopping' });
  b.loop.post(auto);
  assert.deepEqual(b.done, ['record bye', 'apply sysctl-set']);
  assert.deepEqual(types(b.events), ['stopping', 'ops-applied']);
});

test('with the real clock: a busy process stalls, its answers count first, its deadline last', async () => {
  const order: string[] = [];
  let rang: () => void = () => undefined;
  const done = new Promise<void>((resolve) => {
    rang = resolve;
  });
  const b = bench(
    (event, now) => {
      if (event === null) return [timer(now + 20)];
      order.push(event.type);
      if (event.type === 'timer') rang();
      return [];
    },
    { clock: realClock },
  );
  b.loop.start();
  const untilMs = performance.now() + 320;
  while (performance.now() < untilMs);
  await done;
  await b.loop.stop(null);
  assert.deepEqual(order, ['stalled', 'timer']);
});

test('connections are ended after the routes that replace their way, also when the first of these wait for the disk', async () => {
  const selector = { family: 4, mark: 0x1000000, mask: 0x7f000000, udpPorts: null } as const;
  const end: Effect = { type: 'end-flows', ask: { id: 1, selector, reset: true } };
  const b = bench((event) => (event === null ? [save(), sysctl('1'), end] : []));
  b.loop.start();
  await settle();
  assert.deepEqual(b.done, ['save']);
  b.releaseDisk();
  await settle();
  assert.deepEqual(b.done, ['save', 'apply sysctl-set', 'end 0x1000000']);
  assert.deepEqual(types(b.events).sort(), ['flows-ended', 'ops-applied']);
});
