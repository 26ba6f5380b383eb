/**
 * A prober under test with its outcomes collected, and the asking made short. Polls with a deadline, never sleeps.
 */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { TargetQuestion } from '../../src/core/config.js';
import type { ProbeOutcome, ProbePath, Prober } from '../../src/core/probe.js';
import { kernelSockets } from '../../src/kernel/sockets.js';
import { createProber, type ProberOptions } from '../../src/probe/prober.js';
import type { ProbeSockets } from '../../src/probe/sockets.js';

const POLL_MS = 2;
const DEADLINE_MS = 5_000;

/** Resolves as soon as `condition` holds; fails after five seconds. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadlineMs = performance.now() + DEADLINE_MS;
  while (!condition()) {
    assert.ok(performance.now() < deadlineMs, `waited in vain: ${what}`);
    await delay(POLL_MS);
  }
}

export function probePath(change: Partial<ProbePath> = {}): ProbePath {
  return { key: 'fast/4', family: 4, mark: 0, device: null, interface: 'lo', ...change };
}

export type Told = ProbeOutcome & { readonly nowMs: number };

export class ProbeBench {
  readonly prober: Prober;
  readonly outcomes: Told[] = [];
  #lastId = 0;

  constructor(options: ProberOptions = {}, sockets: ProbeSockets = kernelSockets) {
    this.prober = createProber(sockets, (outcome, nowMs) => this.outcomes.push({ ...outcome, nowMs }), options);
  }

  /** Returns the id; asserts that nothing was told meanwhile. */
  ask(question: TargetQuestion, address: string, path: ProbePath = probePath(), giveUpMs = 4_000): number {
    const id = ++this.#lastId;
    const before = this.outcomes.length;
    this.prober.ask({ id, path, question, address, giveUpMs });
    assert.equal(this.outcomes.length, before, 'an outcome came before ask() had returned');
    return id;
  }

  of(id: number): Told[] {
    return this.outcomes.filter((outcome) => outcome.id === id);
  }

  /** The first outcome of a probe. */
  async first(id: number): Promise<Told> {
    await until(() => this.of(id).length > 0, `an outcome of probe ${id}`);
    const [outcome] = this.of(id);
    assert.ok(outcome);
    return outcome;
  }

  /** The outcome as a line: `answered`, `answered (note)` or `reason: detail`. */
  async told(id: number): Promise<string> {
    const outcome = await this.first(id);
    if (outcome.kind === 'failed') return `${outcome.reason}: ${outcome.detail}`;
    return outcome.note === null ? 'answered' : `answered (${outcome.note})`;
  }
}
