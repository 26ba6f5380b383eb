/**
 * The one clock of the lab: CLOCK_MONOTONIC in milliseconds, the same in every process of the machine, so that the time of
 * a cut and the arrival of a packet can be subtracted although two processes took them. (performance.now() alone starts at
 * zero in each process, and Date steps.)
 */

/** Milliseconds of CLOCK_MONOTONIC, with fractions; comparable across processes, not across machines or reboots. */
export function monotonicMs(): number {
  // Not performance.now() plus an offset taken once: whoever is preempted while taking it is wrong for the rest of its life.
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}

/** One instant on both clocks: the monotonic one to calculate with, the wall clock to print. */
export interface Moment {
  readonly monotonicMs: number;
  readonly date: Date;
}

/** The moment that `atMs` of {@link monotonicMs} was on the wall clock, as that stands now. */
export function momentAt(atMs: number): Moment {
  return { monotonicMs: atMs, date: new Date(Date.now() - (monotonicMs() - atMs)) };
}
