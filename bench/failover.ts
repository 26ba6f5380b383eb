/**
 * The rows about failover and failback: ours first, then the others under the same failures, each in a lab of its own.
 */
import type { FailureName } from '../src/lab/failures.js';
import type { TopologyName } from '../src/lab/topologies.js';
import type { Contender } from './contender.js';
import { figuresOf } from './figures.js';
import { RTT_MS, withLab } from './labs.js';
import { ours } from './ours.js';
import { type OutageRun, outageRuns } from './outage.js';
import { type Beside, floorMs, type Row, row } from './row.js';
import { Tap } from './tap.js';

export interface Effort {
  readonly runs: number;
  /** of each other program */
  readonly besideRuns: number;
  readonly besides: readonly Contender[];
  readonly progress: (stage: string, step: string) => void;
}

interface Story {
  readonly id: string;
  readonly what: string;
  readonly failure: FailureName;
  readonly limit: { readonly median: number; readonly p95: number };
}

const GAP_1S = { median: 750, p95: 1200 };
/** A client that pauses this much by itself was measured on a machine without time. */
const HELD_UP_MS = 25;

/** One-second interval: a silent upstream, a dead router, and the failbacks of both. */
export async function atOneSecond(wanted: ReadonlySet<string>, effort: Effort): Promise<Row[]> {
  const stories: Story[] = [
    { id: 'silent-1s', what: 'silent upstream, 1 s interval: gap', failure: 'silent', limit: GAP_1S },
    { id: 'router-1s', what: 'fast router dead, 1 s interval: gap', failure: 'router', limit: GAP_1S },
  ];
  const needed = stories.filter((story) => wanted.has(story.id) || (story.id === 'silent-1s' && wanted.has('failback')));
  if (needed.length === 0) return [];
  const { rows, all } = await stage(needed, 1000, effort);
  return [...rows.filter((one) => wanted.has(one.id)), ...(wanted.has('failback') ? [failbackRow(all)] : [])];
}

export async function atHundredMs(wanted: ReadonlySet<string>, effort: Effort): Promise<Row[]> {
  if (!wanted.has('silent-100ms')) return [];
  const story: Story = {
    id: 'silent-100ms',
    what: 'silent upstream, 100 ms interval: gap',
    failure: 'silent',
    limit: { median: 200, p95: 280 },
  };
  return (await stage([story], 100, effort)).rows;
}

type ByContender = ReadonlyMap<Contender, ReadonlyMap<string, readonly OutageRun[] | Error>>;

async function stage(stories: readonly Story[], intervalMs: number, effort: Effort): Promise<{ rows: Row[]; all: ByContender }> {
  const all = new Map<Contender, ReadonlyMap<string, readonly OutageRun[] | Error>>();
  for (const contender of [ours, ...effort.besides]) {
    if (contender.unable(intervalMs) === null) all.set(contender, await measure(contender, stories, intervalMs, effort));
  }
  const rows = stories.map((story) => {
    const mine = all.get(ours)?.get(story.id) ?? [];
    const beside = effort.besides.map((contender) =>
      besideFigure(contender, contender.unable(intervalMs) ?? all.get(contender)?.get(story.id) ?? []),
    );
    return gapRow(story, intervalMs, mine, beside);
  });
  return { rows, all };
}

async function measure(
  contender: Contender,
  stories: readonly Story[],
  intervalMs: number,
  effort: Effort,
): Promise<Map<string, readonly OutageRun[] | Error>> {
  const results = new Map<string, readonly OutageRun[] | Error>();
  const runs = contender === ours ? effort.runs : effort.besideRuns;
  try {
    await withLab('classic', async (lab) => {
      const running = await contender.start(lab, intervalMs);
      const tap = new Tap(lab, 'fast', contender.probes);
      try {
        for (const { id, failure } of stories) {
          const progress = (at: number): void => effort.progress(`${id}: ${contender.name}`, `${at + 1}/${runs}`);
          results.set(id, await outageRuns({ lab, running, failure, intervalMs, runs, tap, progress }));
        }
      } finally {
        tap.close();
        await running.stop();
      }
    });
  } catch (error) {
    const problem = error instanceof Error ? error : new Error(String(error));
    for (const { id } of stories) if (!results.has(id)) results.set(id, problem);
  }
  return results;
}

function gapRow(story: Story, intervalMs: number, measured: readonly OutageRun[] | Error, beside: readonly Beside[]): Row {
  const runs = measured instanceof Error ? [] : measured;
  const deadlineMs = figuresOf(runs.flatMap((run) => run.deadlineMs ?? []))?.median ?? null;
  const { id, what, limit } = story;
  return row({
    id,
    what,
    unit: 'ms',
    limit,
    floor: deadlineMs === null ? null : floorMs(intervalMs, deadlineMs),
    samples: runs.map((run) => run.gapMs),
    notes: [
      ...(measured instanceof Error ? [measured.message] : []),
      ...(deadlineMs === null ? [] : [`answers were waited for ${deadlineMs.toFixed(1)} ms (median of what status showed)`]),
      ...heldUp(runs),
    ],
    beside,
    detail: runs,
  });
}

/** A machine that had no time for the client makes figures that nobody should trust. */
function heldUp(runs: readonly OutageRun[]): string[] {
  const bad = runs.filter((run) => run.heldUpMs > HELD_UP_MS).length;
  return bad === 0
    ? []
    : [`in ${bad} of ${runs.length} runs the client itself was held up for more than ${HELD_UP_MS} ms: a busy machine`];
}

function besideFigure(contender: Contender, measured: readonly OutageRun[] | Error | string): Beside {
  const { name, settings } = contender;
  if (typeof measured === 'string' || measured instanceof Error) {
    return { name, settings, figures: null, samples: [], note: typeof measured === 'string' ? measured : measured.message };
  }
  const samples = measured.map((run) => run.gapMs);
  return { name, settings, figures: figuresOf(samples), samples, note: null };
}

function failbackRow(all: ByContender): Row {
  const runsOf = (contender: Contender): OutageRun[] =>
    [...(all.get(contender)?.values() ?? [])].flatMap((runs) => (runs instanceof Error ? [] : runs));
  const lost = (runs: readonly OutageRun[]): number[] => runs.flatMap((run) => run.failback?.lost ?? []);
  const mine = runsOf(ours);
  const gaps = figuresOf(mine.flatMap((run) => run.failback?.gapMs ?? []));
  return row({
    id: 'failback',
    what: 'failback, classic: packets lost of 200/s',
    unit: 'packets',
    limit: { median: 0, max: 0 },
    floor: 0,
    samples: lost(mine),
    notes:
      gaps === null ? [] : [`longest time without an answer meanwhile: ${gaps.max.toFixed(1)} ms (a packet comes every 5 ms)`],
    beside: [...all.keys()]
      .filter((contender) => contender !== ours)
      .map((contender) => ({
        name: contender.name,
        settings: contender.settings,
        figures: figuresOf(lost(runsOf(contender))),
        samples: lost(runsOf(contender)),
        note: null,
      })),
    detail: mine.map((run) => run.failback),
  });
}

const CARRIER_TOPOLOGY: TopologyName = 'two-nic';
/** Finer than the limit in question. */
const CARRIER_SEND_EVERY_MS = 1;

/** The cable of the uplink in use is out, in two-nic; and the failbacks. */
export async function carrierLoss(wanted: ReadonlySet<string>, effort: Effort): Promise<Row[]> {
  if (!wanted.has('carrier')) return [];
  const runs = await withLab(CARRIER_TOPOLOGY, async (lab) => {
    const running = await ours.start(lab, 1000);
    try {
      return await outageRuns({
        lab,
        running,
        failure: 'carrier',
        intervalMs: 1000,
        runs: effort.runs,
        tap: null,
        sendEveryMs: CARRIER_SEND_EVERY_MS,
        progress: (at) => effort.progress('carrier', `${at + 1}/${effort.runs}`),
      });
    } finally {
      await running.stop();
    }
  });
  return [
    row({
      id: 'carrier',
      what: 'carrier loss in two-nic: no way out',
      unit: 'ms',
      limit: { median: 10, p95: 30 },
      floor: null,
      samples: runs.map((run) => run.routelessMs),
      notes: [
        `what the client felt less the round trip of the answer that ended it; it sends every ${CARRIER_SEND_EVERY_MS} ms here`,
        ...heldUp(runs),
      ],
      detail: runs,
    }),
    row({
      id: 'carrier-gap',
      what: 'the same: gap felt by the client',
      unit: 'ms',
      limit: null,
      floor: RTT_MS,
      samples: runs.map((run) => run.gapMs),
      notes: [],
      detail: null,
    }),
    row({
      id: 'carrier-back',
      what: `failback in two-nic: packets lost of ${1000 / CARRIER_SEND_EVERY_MS}/s`,
      unit: 'packets',
      limit: null,
      floor: 1,
      samples: runs.flatMap((run) => run.failback?.lost ?? []),
      notes: [
        `the kernel ends the masqueraded flow when its way out changes: one packet, and with it the answers still under way to the former address (${RTT_MS / CARRIER_SEND_EVERY_MS} here)`,
      ],
      detail: null,
    }),
  ];
}
