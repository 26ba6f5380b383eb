/**
 * Recorded misbehaviour of real links, played back: a list of outages, or a trace of round-trip times. Reads the CSV text
 * and answers what held at a time. Pure: no files, no clock.
 */

/** What a recording says of one moment. null = nothing: the link's own profile holds. */
export type ReplayedMoment = { readonly kind: 'outage' } | { readonly kind: 'delay'; readonly delayMs: number };

export interface Replay {
  /** `nowMs` on the clock that the replay was started with */
  at(nowMs: number): ReplayedMoment | null;
}

/** Milliseconds since the recording began; sorted, merged, none empty. */
export interface Outage {
  readonly startMs: number;
  readonly endMs: number;
}

/** One line of a trace; rttMs null = that probe was lost. Sorted by time. */
export interface TracePoint {
  readonly atMs: number;
  readonly rttMs: number | null;
}

export type Recording =
  | { readonly kind: 'outages'; readonly outages: readonly Outage[] }
  | { readonly kind: 'trace'; readonly points: readonly TracePoint[] };

export interface ReplayOptions {
  /** recording's milliseconds per real millisecond: 10 = ten times as fast */
  readonly timeScale?: number;
  /** where in the recording to begin, in its own milliseconds */
  readonly fromMs?: number;
  /** begin again after the last line; otherwise the link is itself again */
  readonly loop?: boolean;
}

/**
 * Recognises the kind by its columns: `start_ms,duration_ms,…` is a list of outages, `t_ms,rtt_ms` a trace (an empty
 * rtt is a lost packet). Other columns are ignored. Throws an Error that names the line.
 */
export function parseRecording(csv: string): Recording {
  const lines = csv.split(/\r?\n/);
  const header = (lines[0] ?? '').split(',').map((name) => name.trim());
  const rows = (first: number, second: number) =>
    lines.slice(1).flatMap((line, at) => {
      if (line.trim() === '') return [];
      const cells = line.split(',');
      const start = numberIn(cells[first], at + 2, header[first] ?? '');
      const value = (cells[second] ?? '').trim() === '' ? null : numberIn(cells[second], at + 2, header[second] ?? '');
      return [{ start, value }];
    });
  const startAt = header.indexOf('start_ms');
  const durationAt = header.indexOf('duration_ms');
  if (startAt >= 0 && durationAt >= 0) {
    return {
      kind: 'outages',
      outages: mergeOutages(
        rows(startAt, durationAt).map(({ start, value }) => ({ startMs: start, endMs: start + (value ?? 0) })),
      ),
    };
  }
  const timeAt = header.indexOf('t_ms');
  const rttAt = header.indexOf('rtt_ms');
  if (timeAt >= 0 && rttAt >= 0) {
    const points = rows(timeAt, rttAt).map(({ start, value }) => ({ atMs: start, rttMs: value }));
    return { kind: 'trace', points: points.sort((a, b) => a.atMs - b.atMs) };
  }
  throw new Error('line 1: the columns must be start_ms,duration_ms (a list of outages) or t_ms,rtt_ms (a trace)');
}

function numberIn(cell: string | undefined, line: number, column: string): number {
  const value = Number((cell ?? '').trim() === '' ? Number.NaN : cell);
  if (!Number.isFinite(value)) throw new Error(`line ${line}: ${column} is not a number: ${JSON.stringify(cell ?? '')}`);
  return value;
}

/** Sorts, joins what overlaps or touches, leaves out what has no length or ended before the recording began. */
export function mergeOutages(outages: readonly Outage[]): Outage[] {
  const merged: Outage[] = [];
  for (const outage of outages.toSorted((a, b) => a.startMs - b.startMs)) {
    if (outage.endMs <= Math.max(0, outage.startMs)) continue;
    const last = merged.at(-1);
    if (last !== undefined && outage.startMs <= last.endMs) {
      merged[merged.length - 1] = { startMs: last.startMs, endMs: Math.max(last.endMs, outage.endMs) };
    } else merged.push({ startMs: Math.max(0, outage.startMs), endMs: outage.endMs });
  }
  return merged;
}

/** Plays a recording from `startedMs` on. A trace gives half of its RTT to each direction. */
export function startReplay(recording: Recording, options: ReplayOptions, startedMs: number): Replay {
  const { timeScale = 1, fromMs = 0, loop = false } = options;
  const starts = recording.kind === 'outages' ? recording.outages.map((o) => o.startMs) : recording.points.map((p) => p.atMs);
  const endMs = recording.kind === 'outages' ? (recording.outages.at(-1)?.endMs ?? 0) : traceEndMs(recording.points);
  return {
    at(nowMs) {
      let playedMs = fromMs + (nowMs - startedMs) * timeScale;
      if (playedMs >= endMs) {
        if (!loop || endMs <= 0) return null;
        playedMs %= endMs;
      }
      const index = lastAtOrBefore(starts, playedMs);
      if (index < 0) return null;
      if (recording.kind === 'outages') {
        const outage = recording.outages[index];
        return outage !== undefined && playedMs < outage.endMs ? { kind: 'outage' } : null;
      }
      const rttMs = recording.points[index]?.rttMs ?? null;
      return rttMs === null ? { kind: 'outage' } : { kind: 'delay', delayMs: rttMs / 2 };
    },
  };
}

/** The last line holds as long as the line before it did. */
function traceEndMs(points: readonly TracePoint[]): number {
  const last = points.at(-1);
  if (last === undefined) return 0;
  return last.atMs + Math.max(1, last.atMs - (points.at(-2)?.atMs ?? last.atMs - 1000));
}

/** Index of the greatest value <= wanted in an ascending list, -1 when all are greater. */
function lastAtOrBefore(ascending: readonly number[], wanted: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ascending[middle] ?? 0) <= wanted) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
