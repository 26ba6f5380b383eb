/**
 * A process that carries out one ask and may be killed at a step of it: `node follow-agent.js JSON` with {stateDirectory, ask,
 * killAt}. Prints each step and then the outcome, as JSON lines.
 */
import { writeSync } from 'node:fs';
import { FollowRunner } from '../../src/action/follow-runner.js';
import type { FollowAsk } from '../../src/core/action.js';

export interface AgentJob {
  readonly stateDirectory: string;
  readonly ask: FollowAsk;
  /** the process ends itself by SIGKILL right after this step; null = it lives */
  readonly killAt: string | null;
}

const say = (value: unknown): void => {
  writeSync(1, `${JSON.stringify(value)}\n`);
};

const job = JSON.parse(process.argv[2] ?? '') as AgentJob;
const runner = new FollowRunner(
  {
    stateDirectory: job.stateDirectory,
    afterStep: (step) => {
      say({ step });
      if (step === job.killAt) process.kill(process.pid, 'SIGKILL');
    },
  },
  (outcome) => say({ outcome }),
);
runner.follow(job.ask);
