/** The history with its thread, on a clock driven by hand: minutes pass as fast as the disk takes them. */
import type { HistoryConfig } from '../../../src/core/config.js';
import type { Family } from '../../../src/core/model.js';
import type { ProbeAsk } from '../../../src/core/probe.js';
import { HistoryKeeper } from '../../../src/history/history.js';
import { MINUTE_MS } from '../../../src/history/schema.js';
import { health, LIMITS, T0 } from './history-bench.js';

export class HandClock {
  atMs: number;
  #timers: { readonly atMs: number; readonly callback: () => void }[] = [];

  constructor(atMs = T0) {
    this.atMs = atMs;
  }

  wallMs = (): number => this.atMs;

  setTimer = (delayMs: number, callback: () => void): (() => void) => {
    const timer = { atMs: this.atMs + delayMs, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  };

  /** Rings what is due on the way, in order. */
  advanceTo(atMs: number): void {
    for (;;) {
      const [next] = this.#timers.filter((timer) => timer.atMs <= atMs).sort((a, b) => a.atMs - b.atMs);
      if (next === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.atMs = Math.max(this.atMs, next.atMs);
      next.callback();
    }
    this.atMs = atMs;
  }
}

export interface Told {
  readonly severity: 'notice' | 'error';
  readonly text: string;
}

export class KeeperBench {
  readonly clock: HandClock;
  readonly keeper: HistoryKeeper;
  readonly told: Told[] = [];
  #id = 0;

  constructor(directory: string, config: HistoryConfig | null = LIMITS, atMs = T0) {
    this.clock = new HandClock(atMs);
    this.keeper = new HistoryKeeper(config, {
      directory,
      clock: this.clock,
      report: (severity, text) => void this.told.push({ severity, text }),
    });
  }

  /** Both uplinks work from now on. */
  begin(): void {
    this.keeper.start();
    for (const uplink of ['fast', 'backup']) this.keeper.record(health(this.clock.atMs, 'unknown', 'up', { uplink }));
  }

  ask(label: string | null, uplink = 'fast', family: Family = 4): number {
    this.#id += 1;
    const path = { key: `${uplink}/${family}`, family, mark: 1, device: null, interface: 'eth0' };
    const ask: ProbeAsk = {
      id: this.#id,
      path,
      question: { kind: 'icmp' },
      address: '192.0.2.1',
      giveUpMs: 20_000,
      sample: label,
    };
    this.keeper.asked(ask);
    return this.#id;
  }

  answer(id: number, rttMs: number): void {
    this.keeper.outcome({ kind: 'answered', id, rttMs, duplicate: false, note: null });
  }

  /** A minute of probes at 1 s of two targets on two uplinks, and the writing that is due in it. */
  async minute(): Promise<void> {
    const untilMs = (Math.floor(this.clock.atMs / MINUTE_MS) + 1) * MINUTE_MS;
    while (this.clock.atMs < untilMs) {
      for (const uplink of ['fast', 'backup']) {
        for (const label of ['a', 'b']) this.answer(this.ask(label, uplink), 20);
      }
      this.clock.advanceTo(this.clock.atMs + 1_000);
      if (!this.keeper.idle) await this.landed();
    }
  }

  landed(): Promise<void> {
    return until(() => this.keeper.idle, 'the thread has answered');
  }

  /** Past the writing of the minute that is over. */
  async settle(): Promise<void> {
    this.clock.advanceTo(this.clock.atMs + 10_000);
    await this.landed();
  }
}

export async function until(done: () => boolean, what: string, withinMs = 10_000): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (!done()) {
    if (performance.now() > endMs) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
