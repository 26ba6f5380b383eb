/**
 * When the demo has to end before its time: a signal, or the death of the `npm start` that began it. Turns each into one
 * AbortSignal; who listens cleans up.
 */
import { identify, isAlive } from './processes.js';

/** Set by `npm start` to its own process id: the demo ends with it, even where it was killed without a chance to say so. */
const STARTER_VARIABLE = 'BACKROUTE_STARTER';
const LOOK_MS = 250;

export class Interrupted extends Error {
  /** @param exitCode 128 + the signal's number */
  constructor(readonly exitCode: number) {
    super('interrupted');
  }
}

export interface Interruption {
  /** its reason is an {@link Interrupted} */
  readonly signal: AbortSignal;
  /** From now on signals have their ordinary effect again. */
  forget(): void;
}

export function listenForInterruption(): Interruption {
  const controller = new AbortController();
  const end = (exitCode: number) => controller.abort(new Interrupted(exitCode));
  const signals = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
  const handlers = Object.entries(signals).map(([name, exitCode]) => [name, () => end(exitCode)] as const);
  for (const [name, handler] of handlers) process.on(name, handler);
  const starter = identify(Number(process.env[STARTER_VARIABLE] ?? Number.NaN));
  const watch = starter === null ? null : setInterval(() => isAlive(starter) || end(129), LOOK_MS);
  watch?.unref();
  return {
    signal: controller.signal,
    forget() {
      if (watch !== null) clearInterval(watch);
      for (const [name, handler] of handlers) process.off(name, handler);
    },
  };
}
