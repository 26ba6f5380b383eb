/** How long to wait before the next attempt. Knows neither clock nor what is attempted. */

export const FIRST_WAIT_MS = 1000;
export const LONGEST_WAIT_MS = 5 * 60_000;
/** A wrong password must not lock the account by being tried every second. */
export const CREDENTIALS_WAIT_MS = 10 * 60_000;

/** 1 s after the first failure, doubled with each further one up to 5 min; up to a quarter is taken off at random. */
export function backoffMs(failures: number, random: () => number): number {
  const whole = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(30, Math.max(0, failures - 1)));
  return jittered(whole, random);
}

/** Between three quarters of it and all of it: machines that failed together do not come back together. */
export function jittered(ms: number, random: () => number): number {
  return ms * (1 - random() / 4);
}
