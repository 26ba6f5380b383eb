/**
 * The recorded history as links: outages as they were, the minutes' loss between them, round trips from the minutes' medians; and
 * what the daemon really did then, to compare with. Knows how history is read, not where it lies.
 */
import { setImmediate } from 'node:timers/promises';
import type { Family } from '../../core/model.js';
import type { History } from '../../history/reader.js';
import type { MinuteRow, OutageRow } from '../../history/rows.js';
import type { Link, Lossy, Silence, Span } from '../link.js';
import type { Step } from '../score/course.js';
import { Silences } from './cut.js';
import { SourceError } from './problem.js';
import type { ReadRun } from './read.js';
import { RttSteps } from './rtt-steps.js';

const MINUTE_MS = 60_000;
/** So many minutes are read before others in this process are let run. */
const AT_ONCE = 5_000;
/** Of fewer probes in a minute no share can be told. */
const LEAST_PROBES = 5;
/** Less is a packet now and then. */
const LEAST_SHARE = 0.005;
/** Spans of loss do not touch each other. */
const APART_MS = 1;

export interface Recorded {
  /** of the wanted uplinks, in the wanted order; those of which nothing is recorded are left out */
  readonly links: readonly Link[];
  /** the wanted uplinks' places of `links` */
  readonly places: readonly number[];
  /** what was in use, from the beginning on, by the wanted uplinks' places; null = no switch is recorded */
  readonly course: readonly Step[] | null;
  readonly notes: readonly string[];
}

/**
 * @param uplinks names, in the order of preference
 * @param sinceMs Unix ms; null = all there is
 * @throws SourceError where nothing of these uplinks is recorded; HistoryError; the signal's reason
 */
export async function fromHistory(
  history: History,
  uplinks: readonly string[],
  sinceMs: number | null,
  run: ReadRun = {},
): Promise<Recorded> {
  const whole = history.span();
  if (whole === null) throw new SourceError('the history is empty', 'The daemon writes it; wait a while.');
  const fromMs = Math.max(whole.fromMs, sinceMs ?? Number.NEGATIVE_INFINITY);
  if (fromMs >= whole.toMs) {
    throw new SourceError(`the history ends ${new Date(whole.toMs).toISOString()}: nothing was recorded since then`);
  }
  const { toMs } = whole;
  const known = history.paths().filter(({ uplink }) => uplinks.includes(uplink));
  const family: Family = known.some((path) => path.family === 4) ? 4 : 6;
  const places = uplinks.flatMap((name, place) =>
    known.some((path) => path.uplink === name && path.family === family) ? [place] : [],
  );
  if (places.length === 0) {
    const recorded = [...new Set(history.paths().map(({ uplink }) => uplink))];
    throw new SourceError(
      `the history knows nothing of ${uplinks.join(', ')}`,
      recorded.length === 0 ? null : `It knows ${recorded.join(', ')}: name their configuration with --config.`,
    );
  }
  const notes: string[] = [];
  const span: Span = { fromMs: 0, toMs: toMs - fromMs };
  const builders = new Map(places.map((place) => [uplinks[place] ?? '', new LinkBuilder(uplinks[place] ?? '', fromMs, span)]));
  for (const row of history.outages(fromMs, toMs)) if (row.family === family) builders.get(row.uplink)?.outage(row);
  for (const row of history.watched(fromMs, toMs)) {
    if (row.family === family) builders.get(row.uplink)?.watched(row.fromMs, row.toMs);
  }
  let left = AT_ONCE;
  for (const row of history.minutes(fromMs, toMs)) {
    if (row.family === family) builders.get(row.uplink)?.minute(row);
    left -= 1;
    if (left > 0) continue;
    left = AT_ONCE;
    run.progress?.((row.minuteMs - fromMs) / (toMs - fromMs));
    await setImmediate();
    run.signal?.throwIfAborted();
  }
  if (known.some((path) => path.family !== family)) notes.push(`only IPv${family} is played`);
  const without = uplinks.filter((_, place) => !places.includes(place));
  if (without.length > 0) notes.push(`${without.join(', ')}: nothing is recorded: taken as never failing`);
  const links = [...builders.values()].map((builder) => builder.link());
  return { links, places, course: courseOf(history, uplinks, family, fromMs, toMs), notes };
}

function courseOf(history: History, uplinks: readonly string[], family: Family, fromMs: number, toMs: number): Step[] | null {
  const rows = history.switches(fromMs, toMs).filter((row) => row.family === family);
  const first = rows[0];
  if (first === undefined) return null;
  const steps = [{ atMs: fromMs, uplink: first.from ?? first.to }, ...rows.map(({ atMs, to }) => ({ atMs, uplink: to }))];
  return steps.flatMap(({ atMs, uplink }) => {
    const to = uplinks.indexOf(uplink);
    return to < 0 ? [] : [{ atMs: atMs - fromMs, to }];
  });
}

class LinkBuilder {
  readonly #silences: Silences;
  readonly #partial: Lossy[] = [];
  readonly #lossy: Lossy[] = [];
  readonly #rtts = new RttSteps();
  #watchedMs = 0;
  #watchedUntilMs = 0;
  #minuteMs = Number.NaN;
  #leastShare = 1;
  /** lost in the last minute that had no silence */
  #usualShare = 0;
  #leastRttMs = Number.POSITIVE_INFINITY;
  /** silences are in order as minutes are: the first that may still concern a minute */
  #silence = 0;

  constructor(
    private readonly name: string,
    private readonly originMs: number,
    private readonly span: Span,
  ) {
    this.#silences = new Silences(name);
  }

  outage({ beganMs, endedMs, severity, cause }: OutageRow): void {
    const fromMs = Math.max(this.span.fromMs, beganMs - this.originMs);
    const toMs = Math.min(this.span.toMs, (endedMs ?? this.originMs + this.span.toMs) - this.originMs);
    if (severity === 1) this.#silences.add(fromMs, toMs, cause === 'other' ? 'upstream' : cause);
    else if (severity !== null && toMs > fromMs) this.#partial.push({ fromMs, toMs, share: severity });
  }

  watched(fromMs: number, toMs: number): void {
    const from = Math.max(this.#watchedUntilMs, fromMs - this.originMs);
    const to = Math.min(this.span.toMs, toMs - this.originMs);
    if (to <= from) return;
    this.#watchedMs += to - from;
    this.#watchedUntilMs = to;
  }

  /** Minutes come in order, target by target; the best target says what the link itself loses. All outages came before. */
  minute({ minuteMs, sent, lost, p50Ms }: MinuteRow): void {
    if (minuteMs !== this.#minuteMs) {
      this.#minuteDone();
      this.#minuteMs = minuteMs;
    }
    if (sent >= LEAST_PROBES) this.#leastShare = Math.min(this.#leastShare, lost / sent);
    else if (lost < sent) this.#leastShare = 0;
    if (p50Ms !== null) this.#leastRttMs = Math.min(this.#leastRttMs, p50Ms);
  }

  link(): Link {
    this.#minuteDone();
    return {
      name: this.name,
      originWallMs: this.originMs,
      span: this.span,
      silences: this.#silences.all,
      lossy: laidOut([...this.#partial, ...this.#lossy]),
      rtts: this.#rtts.steps,
      unwatchedMs: Math.max(0, this.span.toMs - this.span.fromMs - this.#watchedMs),
    };
  }

  #minuteDone(): void {
    if (Number.isNaN(this.#minuteMs)) return;
    const fromMs = Math.max(this.span.fromMs, this.#minuteMs - this.originMs);
    const toMs = Math.min(this.span.toMs, this.#minuteMs - this.originMs + MINUTE_MS);
    // What the silences within the minute explain is no loss beside them. After one more probes are sent than before it, so that it weighs
    // more than its time: beside silences no more is lost than in the last minute without any.
    const silent = this.#silentMs(fromMs, toMs) / (toMs - fromMs);
    const beside = silent >= 1 ? 0 : (this.#leastShare - silent) / (1 - silent);
    const share = silent > 0 ? Math.min(beside, this.#usualShare) : beside;
    if (silent === 0) this.#usualShare = beside;
    if (toMs > fromMs && share >= LEAST_SHARE && share < 1) this.#lossy.push({ fromMs, toMs, share });
    if (Number.isFinite(this.#leastRttMs)) this.#rtts.add(fromMs, this.#leastRttMs);
    this.#leastShare = 1;
    this.#leastRttMs = Number.POSITIVE_INFINITY;
  }

  #silentMs(fromMs: number, toMs: number): number {
    const all: readonly Silence[] = this.#silences.all;
    while ((all[this.#silence]?.toMs ?? Number.POSITIVE_INFINITY) <= fromMs) this.#silence += 1;
    let sum = 0;
    for (let i = this.#silence; (all[i]?.fromMs ?? toMs) < toMs; i += 1) {
      sum += Math.min(toMs, all[i]?.toMs ?? 0) - Math.max(fromMs, all[i]?.fromMs ?? 0);
    }
    return sum;
  }
}

/** In order, the earlier one wins where two overlap, none touches another. */
function laidOut(spans: readonly Lossy[]): Lossy[] {
  const result: Lossy[] = [];
  for (const span of spans.toSorted((a, b) => a.fromMs - b.fromMs || b.toMs - a.toMs)) {
    const last = result.at(-1);
    const fromMs = last === undefined ? span.fromMs : Math.max(span.fromMs, last.toMs + APART_MS);
    if (span.toMs > fromMs) result.push({ ...span, fromMs });
  }
  return result;
}
