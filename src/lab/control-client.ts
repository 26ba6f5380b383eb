/**
 * Asks a helper process of the lab through its control socket (see control-server.ts). Knows nothing of what is asked.
 */
import { createConnection } from 'node:net';
import { LabError } from './errors.js';

export interface ControlAnswer {
  /** CLOCK_MONOTONIC at which the command was in force, see clock.ts */
  readonly atMs: number;
  readonly result: unknown;
}

/** Sends one command and resolves with the answer. Rejects with a LabError when the process is gone, refuses, or is silent for 5 s. */
export function askControl(path: string, command: object): Promise<ControlAnswer> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    const chunks: Buffer[] = [];
    const fail = (message: string) => {
      socket.destroy();
      reject(new LabError(message, 'look at `backroute lab status`; `backroute lab down` removes what is left'));
    };
    socket.setTimeout(5000, () => fail(`the lab's process behind ${path} does not answer`));
    socket.on('error', (error) => fail(`the lab's process behind ${path} is gone (${error.message})`));
    socket.on('close', () => fail(`the lab's process behind ${path} ended`));
    socket.on('connect', () => socket.write(`${JSON.stringify(command)}\n`));
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      if (chunk.at(-1) !== 0x0a) return;
      socket.destroy();
      const answer: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
      if (isAnswer(answer)) resolve({ atMs: answer.atMs, result: answer.result });
      else reject(new LabError(errorOf(answer), null));
    });
  });
}

function isAnswer(value: unknown): value is { ok: true; atMs: number; result: unknown } {
  return typeof value === 'object' && value !== null && 'ok' in value && value.ok === true && 'atMs' in value;
}

function errorOf(value: unknown): string {
  const known = typeof value === 'object' && value !== null && 'error' in value && typeof value.error === 'string';
  return known ? String(value.error) : `the lab's process answered ${JSON.stringify(value)}`;
}
