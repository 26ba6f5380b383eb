/** An outbox in a directory of its own, with a clock driven by hand and a deliverer that does as the test says. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Outbox, type OutboxOptions, type OutboxReport } from '../../../src/action/outbox.js';
import type { OutboxClock } from '../../../src/action/outbox-lane.js';
import type { Attempt, Verdict } from '../../../src/action/verdict.js';
import type { Notice } from '../../../src/core/action.js';
import type { ChannelConfig } from '../../../src/core/services.js';
import { until as poll } from '../../../src/lab/until.js';

export const DAY_MS = 24 * 3_600_000;

export function notice(id: string, change: Partial<Notice> = {}): Notice {
  return {
    id,
    thread: id,
    wallMs: 1_700_000_000_000,
    topic: 'switch',
    severity: 'warning',
    uplink: 'fast',
    family: 4,
    from: 'fast',
    to: 'backup',
    reason: 'upstream-silent',
    sinceWallMs: 1_699_999_999_000,
    outageMs: null,
    subject: `subject of ${id}`,
    text: ['The fast uplink is silent.'],
    active: [{ family: 4, uplink: 'backup' }],
    figures: [{ uplink: 'fast', family: 4, health: 'down', loss: 1, rttMs: null }],
    folded: 1,
    ...change,
  };
}

export function mailChannel(name: string, change: Partial<ChannelConfig> = {}): ChannelConfig {
  return {
    name,
    topics: ['switch'],
    maxAgeMs: 7 * DAY_MS,
    transport: { kind: 'mail', from: 'gw@example.net', to: ['admin@example.net'], smtp: null, sendmail: '/usr/sbin/sendmail' },
    ...change,
  };
}

/** Timers ring when `advance` passes them. */
export class HandClock implements OutboxClock {
  nowMs = 1000;
  wallOffsetMs = 1_700_000_000_000;
  #timers: { readonly atMs: number; readonly callback: () => void }[] = [];

  now(): number {
    return this.nowMs;
  }

  wallMs(): number {
    return this.nowMs + this.wallOffsetMs;
  }

  setTimer(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.nowMs + delayMs, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** ms until the next timer rings; null = none is set */
  get nextMs(): number | null {
    const next = Math.min(...this.#timers.map(({ atMs }) => atMs));
    return Number.isFinite(next) ? next - this.nowMs : null;
  }

  advance(ms: number): void {
    this.nowMs += ms;
    const due = this.#timers.filter((timer) => timer.atMs <= this.nowMs);
    this.#timers = this.#timers.filter((timer) => timer.atMs > this.nowMs);
    for (const timer of due) timer.callback();
  }
}

export interface Tried {
  readonly channel: string;
  readonly id: string;
  readonly served: readonly string[];
  readonly attempt: Attempt;
}

export class OutboxBench {
  readonly directory: string;
  readonly clock = new HandClock();
  readonly reports: OutboxReport[] = [];
  readonly tried: Tried[] = [];
  /** what the server says; replaced by the test */
  answer: (tried: Tried) => Verdict | Promise<Verdict> = () => ({ kind: 'delivered', text: '250 ok' });
  channels: readonly ChannelConfig[] = [mailChannel('admin')];
  readonly #open: Outbox[] = [];

  constructor(t: TestContext, directory?: string) {
    this.directory = directory ?? join(mkdtempSync(join(tmpdir(), 'backroute-outbox-')), 'outbox');
    t.after(async () => {
      await Promise.all(this.#open.map((outbox) => outbox.close()));
      if (directory === undefined) rmSync(join(this.directory, '..'), { recursive: true, force: true });
    });
  }

  start(change: Partial<OutboxOptions> = {}): Outbox {
    const outbox = new Outbox({
      directory: this.directory,
      channels: this.channels,
      clock: this.clock,
      random: () => 0,
      report: (report) => void this.reports.push(report),
      deliver: async (channel, { id }, attempt) => {
        const tried = { channel: channel.name, id, served: attempt.served, attempt };
        this.tried.push(tried);
        return await this.answer(tried);
      },
      ...change,
    });
    this.#open.push(outbox);
    return outbox;
  }

  ids(): string[] {
    return this.tried.map(({ id }) => id);
  }

  told(what: OutboxReport['what']): string[] {
    return this.reports.filter((report) => report.what === what).map(({ text }) => text);
  }
}

export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  // A thousand files are synced to a disk that may be busy.
  assert.ok(await poll(condition, 60_000), `never seen: ${what}`);
}
