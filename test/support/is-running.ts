/**
 * Whether a process still runs: one that has ended and waits to be reaped, by whomever, does not.
 */
import { readFileSync } from 'node:fs';

export function isRunning(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
}
