/**
 * The rows about the process itself: how soon it is ready, what it costs, and whether it errs under load.
 */
import type { Lab } from '../src/lab/lab.js';
import { until } from '../src/lab/until.js';
import type { Effort } from './failover.js';
import { withLab } from './labs.js';
import { watchLoad } from './load.js';
import { Daemon, ourConfig } from './ours.js';
import { type Row, row } from './row.js';

const SETTLE_MS = 30_000;

/** From the request for the process to READY=1: probing has begun, the routes are adopted. */
export async function startUp(wanted: ReadonlySet<string>, effort: Effort): Promise<Row[]> {
  if (!wanted.has('start')) return [];
  const samples = await withLab('classic', async (lab) => {
    const times: number[] = [];
    for (let at = 0; at < effort.runs; at += 1) {
      effort.progress('start', `${at + 1}/${effort.runs}`);
      const daemon = await Daemon.start(lab, ourConfig(lab, { intervalMs: 1000 }));
      times.push(daemon.readyMs);
      await daemon.stop();
    }
    return times;
  });
  return [
    row({
      id: 'start',
      what: 'start of the process until READY=1',
      unit: 'ms',
      limit: { median: 500, p95: 500 },
      floor: null,
      samples,
      notes: ['the first run finds the routes of the lab, the others adopt their own; the time of `ip netns exec` is in it'],
      detail: samples,
    }),
  ];
}

/** Two uplinks, two targets each, one second. */
export async function ordinaryLoad(wanted: ReadonlySet<string>, effort: Effort, seconds: number): Promise<Row[]> {
  if (!wanted.has('load')) return [];
  effort.progress('load', `${seconds} s`);
  const load = await withLab('classic', async (lab) => {
    const targets = lab.uplinks.map((uplink, i) => [uplink.upstream4, ['1.1.1.1', '9.9.9.9'][i] ?? '8.8.8.8']);
    const daemon = await settledDaemon(lab, ourConfig(lab, { intervalMs: 1000, targets }));
    try {
      return await watchLoad(daemon, { totalMs: seconds * 1000, slices: Math.min(20, seconds), window: null });
    } finally {
      await daemon.stop();
    }
  });
  return [
    row({
      id: 'load',
      what: 'two uplinks, two targets each, 1 s: CPU of one core',
      unit: '%',
      limit: { mean: 1 },
      floor: null,
      samples: load.slices,
      notes: [`${load.cpuPercent.toFixed(2)} % over the whole ${seconds} s; the runs are slices of that time`],
      detail: load,
    }),
    row({
      id: 'load-memory',
      what: 'the same: resident memory',
      unit: 'MB',
      limit: { max: 90 },
      floor: null,
      samples: [load.rssMb],
      notes: [`at its highest ${load.peakRssMb.toFixed(1)} MB, during the start`],
      detail: null,
    }),
  ];
}

const MANY = { targetsPerUplink: 256, intervalMs: 100, windowSamples: 60 } as const;

/** 512 targets in one process, ten times a second each: what it costs, and whether an answer is ever missed that came. */
export async function manyTargets(wanted: ReadonlySet<string>, effort: Effort, seconds: number): Promise<Row[]> {
  if (!wanted.has('load-512')) return [];
  effort.progress('load-512', `${seconds} s`);
  const { load, dropped } = await withLab('classic', async (lab) => {
    const targets = lab.uplinks.map((_, i) => Array.from({ length: MANY.targetsPerUplink }, (__, n) => `100.${80 + i}.0.${n}`));
    for (const [i, uplink] of lab.uplinks.entries()) {
      await lab.exec(uplink.isp, ['ip', 'route', 'add', 'local', `100.${80 + i}.0.0/24`, 'dev', 'lo']);
    }
    const daemon = await settledDaemon(lab, ourConfig(lab, { intervalMs: MANY.intervalMs, targets }));
    try {
      const droppedBefore = await lostByTheLab(lab);
      const window = { samples: MANY.windowSamples, intervalMs: MANY.intervalMs };
      const seen = await watchLoad(daemon, { totalMs: seconds * 1000, slices: Math.min(20, seconds), window });
      return { load: seen, dropped: (await lostByTheLab(lab)) - droppedBefore };
    } finally {
      await daemon.stop();
    }
  });
  return [
    row({
      id: 'load-512',
      what: '512 targets, 100 ms: CPU of one core',
      unit: '%',
      limit: { mean: 40 },
      floor: null,
      samples: load.slices,
      notes: [
        `${load.cpuPercent.toFixed(1)} % over the whole ${seconds} s, ${load.rssMb.toFixed(1)} MB resident; the runs are slices of that time`,
      ],
      detail: load,
    }),
    row({
      id: 'load-512-loss',
      what: 'the same: samples lost, silences, changes of health',
      unit: 'samples',
      limit: { max: 0 },
      floor: 0,
      samples: [load.lostSamples, load.silences, load.healthChanges],
      notes: [
        `${load.lostSamples} of ${load.samples} samples lost, ${load.silences} silences, ${load.healthChanges} changes of health; the emulated links themselves dropped ${dropped} packets`,
      ],
      detail: null,
    }),
  ];
}

async function settledDaemon(lab: Lab, configText: string): Promise<Daemon> {
  const daemon = await Daemon.start(lab, configText);
  if (await until(() => daemon.settled(), SETTLE_MS, 100)) {
    // What the start costs is not what running costs: code that is compiled, memory that is collected.
    await new Promise((resolve) => setTimeout(resolve, 3000));
    return daemon;
  }
  await daemon.stop();
  throw new Error(`not all uplinks were up within ${SETTLE_MS / 1000} s`);
}

async function lostByTheLab(lab: Lab): Promise<number> {
  const reports = await Promise.all(lab.uplinks.map((uplink) => lab.linkReport(uplink.name)));
  return reports
    .flatMap((report) => [report.out.counters, report.in.counters])
    .reduce((sum, counters) => sum + counters.droppedByQueue + counters.lostInOutage + counters.lostAtRandom, 0);
}
