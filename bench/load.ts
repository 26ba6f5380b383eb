/**
 * What a running daemon costs and whether its judgement holds under load: CPU and memory from proc(5), lost samples and silences
 * from its own status and events.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { Daemon } from './ours.js';

export interface LoadRun {
  /** of one core, percent, per slice of the time */
  readonly slices: readonly number[];
  /** over the whole time */
  readonly cpuPercent: number;
  /** resident set at the end, and its highest value ever */
  readonly rssMb: number;
  readonly peakRssMb: number;
  /** regular samples seen in the windows, and those of them that were lost */
  readonly samples: number;
  readonly lostSamples: number;
  readonly silences: number;
  readonly healthChanges: number;
}

/** Watches for `totalMs` in `slices` parts. @param windowSamples as configured; null = lost samples are not counted */
export async function watchLoad(
  daemon: Daemon,
  { totalMs, slices, window }: { totalMs: number; slices: number; window: { samples: number; intervalMs: number } | null },
): Promise<LoadRun> {
  const pid = daemon.child.pid ?? 0;
  const startedWallMs = Date.now();
  const started = processTimes(pid);
  const percents: number[] = [];
  let samples = 0;
  let lostSamples = 0;
  let nextCountMs = window === null ? Number.POSITIVE_INFINITY : started.atMs + window.samples * window.intervalMs;
  let before = started;
  for (let slice = 1; slice <= slices; slice += 1) {
    await pause(Math.max(1, started.atMs + (slice * totalMs) / slices - performance.now()));
    const now = processTimes(pid);
    percents.push((100 * (now.cpuMs - before.cpuMs)) / (now.atMs - before.atMs));
    before = now;
    // Once a window's length: each sample is then counted about once.
    if (window !== null && now.atMs >= nextCountMs) {
      nextCountMs += window.samples * window.intervalMs;
      const targets = (await daemon.status()).uplinks.flatMap((uplink) => uplink.paths.flatMap((path) => path.targets));
      samples += targets.length * window.samples;
      lostSamples += targets.reduce((sum, target) => sum + Math.round((target.loss ?? 0) * window.samples), 0);
    }
  }
  const events = (await daemon.events(startedWallMs)).filter((entry) => entry.wallMs >= startedWallMs);
  return {
    slices: percents,
    cpuPercent: (100 * (before.cpuMs - started.cpuMs)) / (before.atMs - started.atMs),
    rssMb: memoryMb(pid, 'VmRSS'),
    peakRssMb: memoryMb(pid, 'VmHWM'),
    samples,
    lostSamples,
    silences: events.filter((entry) => entry.kind === 'silence').length,
    healthChanges: events.filter((entry) => entry.kind === 'health' || entry.kind === 'switch').length,
  };
}

/** Time on a CPU of all threads. From the scheduler in nanoseconds: the ticks of /proc/PID/stat are as long as a slice's whole work. */
function processTimes(pid: number): { cpuMs: number; atMs: number } {
  const dir = `/proc/${pid}/task`;
  const nanoseconds = readdirSync(dir).map((thread) =>
    Number(readFileSync(`${dir}/${thread}/schedstat`, 'latin1').split(' ')[0]),
  );
  return { cpuMs: nanoseconds.reduce((sum, one) => sum + one, 0) / 1e6, atMs: performance.now() };
}

function memoryMb(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const found = new RegExp(`^${field}:\\s*(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
  return Number(found?.[1] ?? Number.NaN) / 1024;
}
