/**
 * Waiting for a condition: asks again and again, never sleeps for a fixed time. For the lab itself and for tests in it.
 */
import { setTimeout as pause } from 'node:timers/promises';

/** Resolves with true as soon as `condition` holds, with false when it still does not after `timeoutMs`. Asks every `everyMs`. */
export async function until(condition: () => boolean | Promise<boolean>, timeoutMs: number, everyMs = 5): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    if (await condition()) return true;
    if (performance.now() >= deadline) return false;
    await pause(everyMs);
  }
}
