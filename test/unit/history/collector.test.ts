import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProbeAsk, ProbeOutcome } from '../../../src/core/probe.js';
import { HistoryCollector, LATE_MS } from '../../../src/history/collector.js';
import { MINUTE_MS } from '../../../src/history/schema.js';
import { entry, health, T0 } from './history-bench.js';

class Bench {
  nowMs = T0;
  readonly collector: HistoryCollector;

  constructor(maxNumbers?: number) {
    this.collector = new HistoryCollector(() => this.nowMs, maxNumbers);
  }

  ask(id: number, sample: string | null = 'a', key = 'fast/4'): void {
    const path = { key, family: 4, mark: 1, device: null, interface: 'eth0' } as const;
    this.collector.asked({
      id,
      path,
      question: { kind: 'icmp' },
      address: '192.0.2.1',
      giveUpMs: 20_000,
      sample,
    } satisfies ProbeAsk);
  }

  outcome(id: number, change: Partial<Extract<ProbeOutcome, { kind: 'answered' }>> = {}): void {
    this.collector.outcome({ kind: 'answered', id, rttMs: 20, duplicate: false, note: null, ...change });
  }

  /** [uplink/family label, values] of all that is complete */
  samples(all = true): [string, readonly number[]][] {
    const { samples } = this.collector.take(all);
    return samples.map(({ target, values }) => [`${target.uplink}/${target.family} ${target.label}`, values]);
  }
}

test('regular samples alone count: bursts, watches and the gateway bear no label', () => {
  const bench = new Bench();
  bench.ask(1);
  bench.ask(2, null);
  bench.outcome(2);
  bench.outcome(1, { rttMs: 7.5 });
  bench.outcome(1, { duplicate: true });
  bench.outcome(99);
  assert.deepEqual(bench.samples(), [['fast/4 a', [0, 7.5]]]);
});

test('no answer within five seconds is a loss; an answer after that changes nothing', () => {
  const bench = new Bench();
  bench.ask(1);
  bench.nowMs += LATE_MS - 1;
  bench.ask(2);
  bench.outcome(1, { rttMs: LATE_MS - 1 });
  bench.nowMs += LATE_MS;
  bench.ask(3);
  bench.outcome(2, { rttMs: LATE_MS });
  bench.outcome(3);
  bench.ask(4);
  // Measured, not counted by the time of day, which may be set meanwhile.
  bench.outcome(4, { rttMs: LATE_MS + 1 });
  const at = 2 * LATE_MS - 1;
  assert.deepEqual(bench.samples(), [['fast/4 a', [0, LATE_MS - 1, LATE_MS - 1, -1, at, 20, at, -1]]]);
});

test('a failure is a loss at once, but for one that this machine is to blame for', () => {
  const bench = new Bench();
  bench.ask(1);
  bench.ask(2);
  bench.collector.outcome({ kind: 'failed', id: 1, reason: 'unreachable', detail: '' });
  bench.collector.outcome({ kind: 'failed', id: 2, reason: 'local-fault', detail: '' });
  bench.nowMs += 2 * LATE_MS;
  assert.deepEqual(bench.samples(), [['fast/4 a', [0, -1]]]);
});

test('what was outstanding when the process stood still, or when its socket was closed, proves nothing', () => {
  const bench = new Bench();
  bench.ask(1);
  bench.ask(2, 'a', 'backup/4');
  bench.collector.forget('backup/4');
  bench.collector.record(entry('stall', T0 + 60_000, { data: { cause: 'suspended', spanMs: 60_000 } }));
  bench.nowMs += 2 * LATE_MS;
  bench.outcome(1, { rttMs: 3 });
  assert.deepEqual(bench.samples(), []);
});

test('a minute is handed over when its last probe can be answered no more', () => {
  const bench = new Bench();
  bench.nowMs += MINUTE_MS - 1;
  bench.ask(1);
  bench.outcome(1);
  bench.nowMs = T0 + MINUTE_MS + LATE_MS - 1;
  assert.deepEqual(bench.samples(false), []);
  bench.ask(2);
  bench.outcome(2);
  bench.nowMs += 1;
  assert.deepEqual(bench.samples(false), [['fast/4 a', [MINUTE_MS - 1, 20]]]);
  assert.deepEqual(bench.samples(), [['fast/4 a', [LATE_MS - 1, 20]]]);
});

test('memory is bounded: the oldest minutes and entries go, and are counted', () => {
  const bench = new Bench(1_000);
  for (let second = 0; second < 3_000; second += 1) {
    bench.ask(second);
    bench.outcome(second);
    bench.nowMs += 1_000;
  }
  for (let count = 0; count < 2_100; count += 1) bench.collector.record(entry('config', T0 + count));
  const taken = bench.collector.take(true);
  assert.ok(taken.samples.flatMap(({ values }) => values).length <= 1_000);
  assert.equal(taken.samples.at(-1)?.minute, T0 / MINUTE_MS + 49);
  assert.equal(taken.entries.length, 2_000);
  assert.equal(taken.entries[0]?.wallMs, T0 + 100);
  assert.deepEqual(bench.collector.takeLost(), { entries: 100, minutes: 50 - taken.samples.length });
  // Put back, it counts again, and the bound holds.
  bench.collector.record(entry('config', T0 + 5_000));
  bench.collector.putBack(taken);
  const again = bench.collector.take(true);
  assert.equal(again.entries.length, 2_000);
  assert.equal(again.entries.at(-1)?.wallMs, T0 + 5_000);
  assert.equal(again.samples.length, taken.samples.length);
  assert.deepEqual(bench.collector.takeLost(), { entries: 1, minutes: 0 });
});

test('how things stand: the last health, since the silence began, and since when it is watched', () => {
  const { collector } = new Bench();
  collector.record(health(T0, 'unknown', 'up'));
  collector.record(health(T0 + 10_000, 'up', 'down', { silentMs: 2_000 }));
  collector.record(health(T0 + 20_000, 'down', 'down', { silentMs: 12_000, reason: 'gateway-silent' }));
  const path = { uplink: 'fast', family: 4 } as const;
  const down = { ...path, health: 'down', reason: 'gateway-silent', sinceMs: T0 + 8_000, watchedSinceMs: T0 };
  assert.deepEqual(collector.standing(), [down]);
  collector.record(entry('stall', T0 + 30_000, { data: { cause: 'process-stalled', spanMs: 5_000 } }));
  assert.deepEqual(collector.standing(), [{ ...down, watchedSinceMs: T0 + 30_000 }]);
  collector.keepOnly([{ uplink: 'other', family: 4 }]);
  assert.deepEqual(collector.standing(), []);
});
