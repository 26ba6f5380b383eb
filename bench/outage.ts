/**
 * The heart of the benchmark: an uplink fails at a chosen phase of the prober's interval, a client measures what it feels, the
 * uplink is mended, the client measures the failback; again and again with the same program in the same lab.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { monotonicMs } from '../src/lab/clock.js';
import type { FailureName } from '../src/lab/failures.js';
import type { Lab } from '../src/lab/lab.js';
import type { Meter } from '../src/lab/meter.js';
import { until } from '../src/lab/until.js';
import { activeUplink, type Running } from './contender.js';
import { evenPhases } from './figures.js';
import type { Tap } from './tap.js';

export interface OutageRun {
  /** from the last probe that reached the upstream to the failure; null = unknown */
  readonly phaseMs: number | null;
  /** longest time in which the client heard nothing */
  readonly gapMs: number;
  /** the same less the time that the first answer afterwards was under way: what is left on a path without delay */
  readonly routelessMs: number;
  readonly lost: number;
  /** before the failure, as the program itself tells */
  readonly deadlineMs: number | null;
  /** longest pause of the client itself: far above its interval, the machine was too busy for this run to mean much */
  readonly heldUpMs: number;
  /** null = it did not come back in time */
  readonly failback: { readonly lost: number; readonly gapMs: number; readonly afterMs: number } | null;
}

export interface OutageOptions {
  readonly lab: Lab;
  readonly running: Running;
  readonly failure: FailureName;
  readonly intervalMs: number;
  readonly runs: number;
  /** null where probes do not matter */
  readonly tap: Tap | null;
  /** of the client; default 5 */
  readonly sendEveryMs?: number;
  /** called before each run */
  readonly progress: (run: number) => void;
}

const GRACE_MS = 500;
const FAILOVER_MS = 30_000;
const FAILBACK_MS = 60_000;
/** Commands to the lab take a moment: asked for so much earlier, they are in force at about the wanted time. */
const CUT_LEAD_MS = 2;

/** Rejects when the program never recovers from a failure: the runs after it would mean nothing. */
export async function outageRuns(options: OutageOptions): Promise<OutageRun[]> {
  const { lab, intervalMs, runs, sendEveryMs = 5 } = options;
  const results: OutageRun[] = [];
  try {
    for (const [at, phaseMs] of evenPhases(runs, intervalMs).entries()) {
      options.progress(at);
      // A client of its own for each run: one that keeps its beat through all of them, where probes and failures keep theirs too,
      // would round every gap in the same direction.
      const meter = await lab.meter({ intervalMs: sendEveryMs, graceMs: GRACE_MS });
      results.push(await outageRun(options, meter, phaseMs));
      await meter.stop();
    }
  } finally {
    await lab.mend(first(lab).name);
  }
  return results;
}

async function outageRun(options: OutageOptions, meter: Meter, wantedPhaseMs: number): Promise<OutageRun> {
  const { lab, running, intervalMs, tap, failure } = options;
  const { name } = first(lab);
  if (!(await until(() => running.settled(), FAILBACK_MS, 50))) throw new Error('it does not settle on the fast uplink any more');
  const deadlineMs = await running.deadlineMs();
  const anchorMs = (await tap?.cadence(intervalMs)) ?? monotonicMs();
  const earliestMs = monotonicMs() + 20;
  const turns = Math.max(0, Math.ceil((earliestMs - anchorMs - wantedPhaseMs) / intervalMs));
  await untilInstant(anchorMs + wantedPhaseMs + turns * intervalMs - CUT_LEAD_MS);

  const cut = await lab.cut(name, failure);
  const phase = tap?.lastBefore(cut.monotonicMs) ?? null;
  const sinceMs = cut.askedAtMs - 50;
  const through = await until(async () => await flows(lab, meter, name, cut.monotonicMs), FAILOVER_MS, 50);
  if (!through) throw new Error(`no packet comes through ${FAILOVER_MS / 1000} s after the failure`);
  // What is under way at the end of the gap shall arrive before it is counted.
  await pause(100);
  const felt = await meter.stats(sinceMs);
  const routelessMs = felt.longestGapMs - (await firstAnswerMs(meter, sinceMs, felt.longestGapMs));

  const mended = await lab.mend(name);
  const back = await until(async () => (await activeUplink(lab)) === name, FAILBACK_MS, 50);
  const afterMs = monotonicMs() - mended.monotonicMs;
  await pause(GRACE_MS + 100);
  const after = await meter.stats(mended.monotonicMs);
  return {
    phaseMs: phase === null ? null : cut.monotonicMs - phase,
    gapMs: felt.longestGapMs,
    routelessMs,
    lost: felt.sent - felt.received,
    deadlineMs,
    heldUpMs: Math.max(felt.longestSendGapMs, after.longestSendGapMs),
    failback: back ? { lost: after.lost, gapMs: after.longestGapMs, afterMs } : null,
  };
}

/** The default route has moved away, and the client hears something that it sent after the failure. */
async function flows(lab: Lab, meter: Meter, from: string, cutMs: number): Promise<boolean> {
  const lately = await meter.stats(Math.max(cutMs + 1, monotonicMs() - 100));
  return lately.received > 0 && (await activeUplink(lab)) !== from;
}

/** Round trip time of the packet that ended the longest gap. */
async function firstAnswerMs(meter: Meter, sinceMs: number, gapMs: number): Promise<number> {
  const packets = (await meter.packets(sinceMs - 1000)).flatMap(({ sentMs, arrivedMs }) =>
    arrivedMs === null ? [] : [{ sentMs, arrivedMs }],
  );
  const arrivals = packets.toSorted((a, b) => a.arrivedMs - b.arrivedMs);
  const end = arrivals.find((one, at) => {
    const before = Math.max(sinceMs, arrivals[at - 1]?.arrivedMs ?? sinceMs);
    return one.arrivedMs >= sinceMs && one.arrivedMs - before >= gapMs - 0.001;
  });
  return end === undefined ? 0 : end.arrivedMs - end.sentMs;
}

async function untilInstant(atMs: number): Promise<void> {
  // Timers know whole milliseconds and come up to one too early.
  for (let leftMs = atMs - monotonicMs(); leftMs > 0; leftMs = atMs - monotonicMs()) await pause(Math.max(1, Math.floor(leftMs)));
}

function first(lab: Lab): { readonly name: string } {
  const [uplink] = lab.uplinks;
  if (uplink === undefined) throw new Error(`${lab.topology.name} has no uplink`);
  return uplink;
}
