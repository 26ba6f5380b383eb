/**
 * The thread beside the loop (worker_threads): answers one ask after the other. keeper.ts speaks to it; nobody else imports it.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { FlowSelector } from '../../core/flow.js';
import { Work, type WorkCount, type WorkOptions, type WorkOutcome } from './work.js';

export type WorkerAsk =
  | { readonly kind: 'end'; readonly selector: FlowSelector; readonly reset: boolean }
  | { readonly kind: 'count'; readonly selector: FlowSelector };
export type WorkerAnswer =
  | { readonly kind: 'end'; readonly outcome: WorkOutcome }
  | { readonly kind: 'count'; readonly count: WorkCount };

/** Linux answers a wrong number at most twice a second on one connection (tcp_invalid_ratelimit). */
const AGAIN_MS = 700;

const work = new Work(workerData as WorkOptions);

parentPort?.on('message', (ask: WorkerAsk) => {
  if (ask.kind === 'count') {
    answer({ kind: 'count', count: work.count(ask.selector) });
    return;
  }
  const { outcome, again } = work.end(ask.selector, ask.reset);
  answer({ kind: 'end', outcome });
  if (again !== null) setTimeout(() => work.prodAgain(again), AGAIN_MS);
});

function answer(message: WorkerAnswer): void {
  parentPort?.postMessage(message);
}
