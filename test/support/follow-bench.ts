/**
 * Followers under test: asks that resolve to their outcome, and asks in a process of their own that is killed on the way.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { FollowRunner, type FollowRunnerOptions } from '../../src/action/follow-runner.js';
import type { FollowOutcome } from '../../src/core/action.js';
import type { FollowerConfig } from '../../src/core/services.js';
import type { AgentJob } from './follow-agent.js';

const AGENT = fileURLToPath(new URL('./follow-agent.js', import.meta.url));

export class FollowBench {
  readonly runner: FollowRunner;
  /** in the order in which they came */
  readonly outcomes: FollowOutcome[] = [];
  readonly steps: string[] = [];
  readonly #waiting = new Map<number, (outcome: FollowOutcome) => void>();
  #run = 0;

  constructor(options: FollowRunnerOptions) {
    const afterStep = (step: string): void => {
      this.steps.push(step);
      options.afterStep?.(step);
    };
    this.runner = new FollowRunner({ ...options, afterStep }, (outcome) => {
      this.outcomes.push(outcome);
      this.#waiting.get(outcome.run)?.(outcome);
    });
  }

  /** the run's number of the latest ask */
  get lastRun(): number {
    return this.#run;
  }

  ask(follower: FollowerConfig, uplink: string): Promise<FollowOutcome> {
    const run = ++this.#run;
    const outcome = new Promise<FollowOutcome>((resolve) => this.#waiting.set(run, resolve));
    this.runner.follow({ run, follower, uplink });
    return outcome;
  }
}

export interface AgentStory {
  readonly steps: readonly string[];
  /** null = it did not live to tell */
  readonly outcome: FollowOutcome | null;
  readonly signal: string | null;
}

/** Carries the ask out in another process. */
export async function followInAgent(job: AgentJob): Promise<AgentStory> {
  const child = spawn(process.execPath, [AGENT, JSON.stringify(job)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [said, [, signal]] = await Promise.all([
    text(child.stdout),
    once(child, 'exit') as Promise<[number | null, string | null]>,
  ]);
  const lines = said.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as unknown]));
  const steps = lines.flatMap((line) => (isObject(line) && typeof line.step === 'string' ? [line.step] : []));
  const last = lines.at(-1);
  return { steps, signal, outcome: isObject(last) && isObject(last.outcome) ? (last.outcome as unknown as FollowOutcome) : null };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
