/** A clock driven by hand, and a loop's partners that note what they were told. */

import type { Effect, Event, HistoryRecord, SavedState } from '../../../src/core/messages.js';
import type { ProbeAsk } from '../../../src/core/probe.js';
import type { Clock } from '../../../src/daemon/clock.js';
import { Loop, type LoopEngine, type LoopParts } from '../../../src/daemon/loop.js';
import { FakeKernel } from '../../support/fake-kernel.js';

export class HandClock implements Clock {
  nowMs = 1_000;
  wallOffsetMs = 1_700_000_000_000;
  uptimeOffsetMs = 5_000_000;
  #timers: { readonly atMs: number; readonly callback: () => void }[] = [];
  #polls: (() => void)[] = [];

  now(): number {
    return this.nowMs;
  }

  wallMs(): number {
    return this.nowMs + this.wallOffsetMs;
  }

  uptimeMs(): number {
    return this.nowMs + this.uptimeOffsetMs;
  }

  setTimer(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.nowMs + delayMs, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  afterPoll(callback: () => void): void {
    this.#polls.push(callback);
  }

  /** One pass of the event loop: due timers, then `poll` (what the sockets bring), then immediates. */
  pass(poll: () => void = () => undefined): void {
    const due = this.#timers.filter((timer) => timer.atMs <= this.nowMs);
    this.#timers = this.#timers.filter((timer) => timer.atMs > this.nowMs);
    for (const timer of due) timer.callback();
    poll();
    for (const callback of this.#polls.splice(0)) callback();
  }

  /** Lets time pass in steps of 1 ms, one pass each, with promises served in between. */
  async run(ms: number): Promise<void> {
    for (let step = 0; step < ms; step += 1) {
      this.nowMs += 1;
      this.pass();
      await settle();
    }
  }
}

/** Every promise that can resolve without time does. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

export interface Bench {
  readonly loop: Loop;
  readonly clock: HandClock;
  readonly kernel: FakeKernel;
  /** what the engine was told */
  readonly events: Event[];
  /** what was carried out, in order, in words */
  readonly done: string[];
  readonly troubles: string[];
  readonly fatal: unknown[];
  readonly prober: { reads: number };
  /** ends the save that hangs */
  releaseDisk: () => void;
}

/** @param answer the engine: what it makes of each event (null = of the start) */
export function bench(answer: (event: Event | null, now: number) => readonly Effect[], parts: Partial<LoopParts> = {}): Bench {
  const clock = new HandClock();
  const kernel = new FakeKernel();
  const events: Event[] = [];
  const done: string[] = [];
  const troubles: string[] = [];
  const fatal: unknown[] = [];
  let saving = false;
  let release: () => void = () => undefined;
  const disk = new Promise<void>((resolve) => {
    release = resolve;
  });
  const prober = {
    reads: 0,
    ask: (ask: ProbeAsk): void => void done.push(`probe ${ask.id}`),
    forget: (path: string): void => void done.push(`forget ${path}`),
    takeReadCount: (): number => {
      const { reads } = prober;
      prober.reads = 0;
      return reads;
    },
    close: () => undefined,
  };
  const engine: LoopEngine = {
    start: (now) => answer(null, now),
    handle: (event, now) => {
      events.push(event);
      return answer(event, now);
    },
    snapshotRequest: () => ({ tables: [], sysctls: [], nft: false }),
  };
  const applying: LoopParts['kernel'] = {
    snapshot: (request) => kernel.snapshot(request),
    apply: (ops) => {
      done.push(`apply ${ops.map((op) => op.op).join(' ')}`);
      return kernel.apply(ops);
    },
    watch: (onChange) => kernel.watch(onChange),
    close: () => kernel.close(),
  };
  const loop = new Loop({
    engine,
    kernel: applying,
    prober,
    flows: {
      end: ({ id, selector }) => {
        done.push(`end 0x${selector.mark.toString(16)}`);
        return Promise.resolve({ id, entries: 0, resets: 0, sockets: 0, tookMs: 0, problems: [] });
      },
      prepare: () => undefined,
      count: ({ id }) => Promise.resolve({ id, open: 0, replied: 0 }),
    },
    clock,
    following: {
      follow: (ask) => done.push(`follow ${ask.follower.name} ${ask.uplink}`),
      cancel: (run) => done.push(`cancel ${run}`),
      notify: (notice) => done.push(`notify ${notice.subject}`),
    },
    lookup: () => new Promise(() => undefined),
    store: {
      save: (_saved: SavedState) => {
        saving = true;
        done.push('save');
      },
      flushed: () => (saving ? disk : Promise.resolve()),
    },
    record: (record: HistoryRecord) => void done.push(`record ${record.text}`),
    onTrouble: (doing) => void troubles.push(doing),
    onFatal: (error) => void fatal.push(error),
    ...parts,
  });
  return { loop, clock, kernel, events, done, troubles, fatal, prober, releaseDisk: () => release() };
}

export function record(text: string): Effect {
  const data = {};
  return {
    type: 'record',
    record: {
      kind: 'config',
      severity: 'info',
      uplink: null,
      family: null,
      from: null,
      to: null,
      reason: null,
      durationMs: null,
      text,
      data,
    },
  };
}

export function probe(id: number): Effect {
  const path = { key: 'fast/4', family: 4, mark: 1, device: null, interface: 'eth0' } as const;
  return { type: 'probe', ask: { id, path, question: { kind: 'icmp' }, address: '192.0.2.1', giveUpMs: 1_000 } };
}

export function sysctl(value: string): Effect {
  return { type: 'apply', ops: [{ op: 'sysctl-set', key: 'net/ipv4/ip_forward', value }] };
}

export function save(): Effect {
  const restore = { bootId: 'b', routes: [], sysctls: {}, hadDefault: [] };
  return {
    type: 'save',
    saved: { version: 1, slots: {}, forced: null, disabled: [], names: {}, active: {}, failures: {}, restore },
  };
}
