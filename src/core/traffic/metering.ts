/**
 * What metered uplinks cost in the running month: everything by their interface's counters, their probes by our own. Warns
 * before the cap, says when an uplink is closed, and how often it may be asked. Counts and judges only: what follows is the
 * engine's. Months are local ones (month.ts).
 */

import type { MeteredConfig, UplinkConfig } from '../config.js';
import type { LinkCounters } from '../kernel.js';
import type { HistoryRecord, SavedCounters, SavedUsage, UsageView } from '../messages.js';
import { formatBytes } from '../show/bytes.js';
import { formatDuration } from '../show/describe.js';
import { recordOf } from '../show/records.js';
import { type Month, monthAround, type UtcOffset } from './month.js';
import { ProbePace } from './probe-pace.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Told once a month each, % of the cap. */
const WARN_AT = [75, 95, 100];
/** A day must have been seen before anything is said of the month: nights are not like days. */
const FORECAST_AFTER_MS = DAY_MS;
/** A clock that shows a time before the month under count is probably not set yet; after this it is believed. */
const BELIEVED_AFTER_MS = HOUR_MS;
/** Another time zone moves the beginning of a month by no more than this: still the same month. */
const ZONES_APART_MS = 14 * HOUR_MS;
/** What was counted is worth the disk this often. */
const SAVE_EVERY_MS = 300_000;

export interface MeteringPort {
  wallMs(monotonicMs: number): number;
  readonly utcOffsetMs: UtcOffset;
  record(record: HistoryRecord): void;
}

/** What an interface has counted, and which one that is. */
export interface LinkReading extends LinkCounters {
  readonly link: { readonly name: string; readonly ifindex: number };
}

export interface MeteringNews {
  /** `closed` or `intervalMs` says something else than before */
  readonly changed: boolean;
  /** `saved` is worth being written */
  readonly save: boolean;
}

interface Meter {
  uplink: UplinkConfig;
  config: MeteredConfig;
  pace: ProbePace;
  month: Month;
  /** since when it is counted: the month's beginning, or later where it was first seen in the middle of one */
  sinceWallMs: number;
  probeBytes: number;
  bytes: number;
  counters: SavedCounters | null;
  toldPercent: number;
  toldClosed: boolean;
  toldShort: boolean;
  /** traffic went by it at the last look */
  carrying: boolean;
  /** since when the clock has shown a time before the month (monotonic); null = it does not */
  strayedMs: number | null;
}

export class Metering {
  readonly #port: MeteringPort;
  readonly #meters = new Map<string, Meter>();
  /** of uplinks that are not metered, or not in the file, just now */
  readonly #shelf: Map<string, SavedUsage>;
  #lookedMs: number | null = null;
  #savedMs = Number.NEGATIVE_INFINITY;
  #news = false;

  constructor(saved: Readonly<Record<string, SavedUsage>>, port: MeteringPort) {
    this.#shelf = new Map(Object.entries(saved));
    this.#port = port;
  }

  configure(uplinks: readonly UplinkConfig[], nowMs: number): void {
    const wallMs = this.#port.wallMs(nowMs);
    for (const [name, meter] of this.#meters) {
      if (uplinks.some((u) => u.name === name && u.metered !== null)) continue;
      this.#shelf.set(name, savedUsage(meter));
      this.#meters.delete(name);
    }
    for (const uplink of uplinks) if (uplink.metered !== null) this.#configure(uplink, uplink.metered, wallMs, nowMs);
    for (const [name, usage] of this.#shelf) if (wallMs - usage.monthWallMs > 31 * DAY_MS) this.#shelf.delete(name);
  }

  /** A probe has left by this uplink. @param bytes its own and its answer's (probe-bytes.ts) */
  probeSent(uplink: string, bytes: number): void {
    const meter = this.#meters.get(uplink);
    if (meter !== undefined) meter.probeBytes += bytes;
  }

  /** What the uplink's interface has counted. @param reading null = unknown; `shared` = the interface is not the uplink's alone */
  counters(uplink: string, reading: LinkReading | 'shared' | null, bootId: string, nowMs: number): void {
    const meter = this.#meters.get(uplink);
    if (meter === undefined || reading === null) return;
    // What goes by meanwhile is never this uplink's, once it has its interface to itself again either.
    if (reading === 'shared') {
      meter.counters = null;
      return;
    }
    const { link, rxBytes, txBytes } = reading;
    const last = meter.counters;
    const now: SavedCounters = { bootId, link, rxBytes, txBytes };
    meter.counters = now;
    // The first reading of all, or of another interface: how much of it is this uplink's, and of this month, cannot be known.
    if (last === null || isAnother(last, now)) {
      if (meter.bytes === 0) meter.sinceWallMs = Math.max(meter.sinceWallMs, this.#port.wallMs(nowMs));
      return;
    }
    const anew = isMadeAnew(last, now) || rxBytes < last.rxBytes || txBytes < last.txBytes;
    meter.bytes += anew ? rxBytes + txBytes : rxBytes - last.rxBytes + (txBytes - last.txBytes);
  }

  /**
   * Judges what was counted; to be called every second or so, and when the choice has changed.
   * @param carrying uplinks by which traffic goes: chosen, sharing, or being tried by a drill
   */
  look(nowMs: number, carrying: ReadonlySet<string>): MeteringNews {
    const wallMs = this.#port.wallMs(nowMs);
    let changed = false;
    for (const meter of this.#meters.values()) {
      if (!this.#inTime(meter, wallMs, nowMs)) continue;
      const closed = isClosed(meter);
      const before = meter.toldClosed;
      this.#warn(meter, wallMs);
      if (closed !== before) changed = true;
      if (this.#pace(meter, carrying.has(meter.uplink.name), wallMs, nowMs)) changed = true;
    }
    this.#lookedMs = nowMs;
    const save = this.#news || (this.#meters.size > 0 && nowMs - this.#savedMs >= SAVE_EVERY_MS);
    if (save) this.#savedMs = nowMs;
    this.#news = false;
    return { changed, save };
  }

  /** Its cap is reached and it shall carry nothing more in this month. */
  closed(uplink: string): boolean {
    const meter = this.#meters.get(uplink);
    return meter !== undefined && isClosed(meter);
  }

  /** The interval of its probes that is in force: the configured one, or longer. */
  intervalMs(uplink: UplinkConfig): number {
    return this.#meters.get(uplink.name)?.pace.intervalMs ?? uplink.probe.intervalMs;
  }

  view(uplink: string, nowMs: number): UsageView | null {
    const meter = this.#meters.get(uplink);
    if (meter === undefined) return null;
    const known = meter.counters !== null || meter.bytes > 0;
    return {
      monthWallMs: meter.month.startMs,
      monthEndsWallMs: meter.month.endMs,
      probeBytes: meter.probeBytes,
      probeBudgetBytes: meter.config.probeBudgetBytes,
      intervalMs: meter.pace.intervalMs,
      bytes: known ? meter.bytes : null,
      capBytes: meter.config.capBytes,
      forecastBytes: known ? forecast(meter, this.#port.wallMs(nowMs)) : null,
      closed: isClosed(meter),
    };
  }

  get saved(): Readonly<Record<string, SavedUsage>> {
    const current = [...this.#meters].map(([name, meter]): [string, SavedUsage] => [name, savedUsage(meter)]);
    return Object.fromEntries([...this.#shelf, ...current]);
  }

  // ---- months ------------------------------------------------------------------------------------------------------

  #configure(uplink: UplinkConfig, config: MeteredConfig, wallMs: number, nowMs: number): void {
    const { name } = uplink;
    const former = this.#meters.get(name);
    const meter = former ?? this.#restore(uplink, config, wallMs);
    this.#meters.set(name, meter);
    this.#shelf.delete(name);
    if (former !== undefined) {
      if (config.startsOnDay !== former.config.startsOnDay) this.#turn(meter, config, wallMs, nowMs);
      if (paceOf(uplink, config) !== paceOf(former.uplink, former.config)) meter.pace = new ProbePace(uplink);
    }
    meter.uplink = uplink;
    meter.config = config;
    // With a larger cap the same warnings are still to come.
    meter.toldPercent = Math.min(meter.toldPercent, percentReached(meter));
    const leftBytes = config.probeBudgetBytes - meter.probeBytes;
    meter.pace.review({ leftBytes, leftMs: meter.month.endMs - wallMs }, meter.carrying, nowMs);
  }

  #restore(uplink: UplinkConfig, config: MeteredConfig, wallMs: number): Meter {
    const saved = this.#shelf.get(uplink.name);
    const month = monthAround(wallMs, config.startsOnDay, this.#port.utcOffsetMs);
    const fresh: Meter = {
      uplink,
      config,
      pace: new ProbePace(uplink),
      month,
      sinceWallMs: wallMs,
      probeBytes: 0,
      bytes: 0,
      counters: null,
      toldPercent: 0,
      toldClosed: false,
      toldShort: false,
      carrying: false,
      strayedMs: null,
    };
    if (saved === undefined) return fresh;
    // Of an earlier month: what went by since it was last read belongs to nobody knows which.
    if (saved.monthWallMs < month.startMs - ZONES_APART_MS) {
      if (saved.toldPercent >= 100 && config.atCap === 'disable') this.#reopened(uplink.name);
      return fresh;
    }
    const { monthWallMs: sinceWallMs, probeBytes, bytes, counters, toldPercent } = saved;
    const meter = { ...fresh, sinceWallMs, probeBytes, bytes, counters, toldPercent };
    // A machine without a clock of its own may still live in another year.
    if (sinceWallMs >= month.endMs) meter.month = monthAround(sinceWallMs, config.startsOnDay, this.#port.utcOffsetMs);
    return meter;
  }

  /** Begins a new month where one has begun. @returns whether the clock can be believed */
  #inTime(meter: Meter, wallMs: number, nowMs: number): boolean {
    if (wallMs >= meter.month.startMs) meter.strayedMs = null;
    else {
      meter.strayedMs ??= nowMs;
      if (nowMs - meter.strayedMs < BELIEVED_AFTER_MS) return false;
      meter.month = monthAround(wallMs, meter.config.startsOnDay, this.#port.utcOffsetMs);
      meter.sinceWallMs = wallMs;
      meter.strayedMs = null;
      this.#news = true;
    }
    if (wallMs >= meter.month.endMs) this.#turn(meter, meter.config, wallMs, nowMs);
    return true;
  }

  /** Counts from nothing if the month in which we are began after the one that was counted. */
  #turn(meter: Meter, config: MeteredConfig, wallMs: number, nowMs: number): void {
    const month = monthAround(wallMs, config.startsOnDay, this.#port.utcOffsetMs);
    const later = month.startMs > meter.month.startMs;
    meter.month = month;
    this.#news = true;
    if (!later) return;
    // Of a month that began unseen (the clock was set) only what came after the last look is known.
    meter.sinceWallMs = Math.max(month.startMs, wallMs - (nowMs - (this.#lookedMs ?? nowMs)));
    meter.probeBytes = 0;
    meter.bytes = 0;
    meter.toldPercent = 0;
    meter.toldShort = false;
  }

  // ---- telling -----------------------------------------------------------------------------------------------------

  #warn(meter: Meter, wallMs: number): void {
    const { uplink, config } = meter;
    const closed = isClosed(meter);
    const percent = percentReached(meter);
    if (meter.toldClosed && !closed) this.#reopened(uplink.name);
    meter.toldClosed = closed;
    if (config.capBytes === null || percent <= meter.toldPercent) return;
    meter.toldPercent = percent;
    const forecastBytes = forecast(meter, wallMs);
    const used = `${formatBytes(meter.bytes)} of ${formatBytes(config.capBytes)} used (${percentOf(meter)} %)`;
    const leftMs = meter.month.endMs - wallMs;
    const pace = forecastBytes === null ? '' : `; at this pace the month ends at ${formatBytes(forecastBytes)}`;
    const text = closed
      ? `${used}: it carries nothing more until the month ends, in ${formatDuration(leftMs)}`
      : `${used}${pace}`;
    this.#tell(uplink.name, closed ? 'error' : 'warning', text, {
      bytes: meter.bytes,
      capBytes: config.capBytes,
      percent,
      forecastBytes: forecastBytes === null ? null : Math.round(forecastBytes),
      closed,
    });
  }

  #reopened(uplink: string): void {
    this.#tell(uplink, 'notice', 'open again: it is below its cap', { closed: false });
  }

  /** @returns whether the interval has changed */
  #pace(meter: Meter, carrying: boolean, wallMs: number, nowMs: number): boolean {
    const { uplink, config, pace } = meter;
    const former = pace.intervalMs;
    const leftBytes = config.probeBudgetBytes - meter.probeBytes;
    meter.carrying = carrying;
    const changed = pace.review({ leftBytes, leftMs: meter.month.endMs - wallMs }, carrying, nowMs);
    const budget = `its probe budget of ${formatBytes(config.probeBudgetBytes)}`;
    const figures = { intervalMs: pace.intervalMs, probeBytes: meter.probeBytes, probeBudgetBytes: config.probeBudgetBytes };
    if (changed) {
      const text = `asked every ${formatDuration(pace.intervalMs)} instead of ${formatDuration(former)}: so ${budget} lasts`;
      this.#tell(uplink.name, 'info', text, figures);
    }
    if (pace.short && !meter.toldShort) {
      meter.toldShort = true;
      const text = `${budget} does not last: even one round of probes every ${formatDuration(pace.intervalMs)} takes more`;
      this.#tell(uplink.name, 'notice', text, figures);
    }
    return changed;
  }

  #tell(uplink: string, severity: HistoryRecord['severity'], text: string, data: HistoryRecord['data']): void {
    this.#news = true;
    this.#port.record({ ...recordOf('usage', severity, text, null, data), uplink });
  }
}

/** Another device: another name, and not the same one renamed (within a boot no number is given twice). */
function isAnother(last: SavedCounters, now: SavedCounters): boolean {
  if (last.link === undefined || last.link.name === now.link?.name) return false;
  return last.bootId !== now.bootId || last.link.ifindex !== now.link?.ifindex;
}

/** It began at zero since: a stick plugged in again, a line dialled again, a reboot. */
function isMadeAnew(last: SavedCounters, now: SavedCounters): boolean {
  return last.bootId !== now.bootId || (last.link !== undefined && last.link.ifindex !== now.link?.ifindex);
}

function isClosed({ config, bytes }: Meter): boolean {
  return config.atCap === 'disable' && config.capBytes !== null && bytes >= config.capBytes;
}

function percentOf({ config, bytes }: Meter): number {
  return config.capBytes === null ? 0 : Math.floor((bytes * 100) / config.capBytes);
}

/** The highest of {@link WARN_AT} that is reached; 0 = none. */
function percentReached(meter: Meter): number {
  return WARN_AT.findLast((percent) => percentOf(meter) >= percent) ?? 0;
}

/** What is used, and as much a day until the month ends as there was since it is counted. */
function forecast(meter: Meter, wallMs: number): number | null {
  const seenMs = wallMs - meter.sinceWallMs;
  if (seenMs < FORECAST_AFTER_MS) return null;
  return meter.bytes + (meter.bytes / seenMs) * Math.max(0, meter.month.endMs - wallMs);
}

/** What the interval of the probes follows from, but for what was spent. */
function paceOf(uplink: UplinkConfig, config: MeteredConfig): string {
  return JSON.stringify([uplink.gateways, uplink.targets, uplink.probe, config.probeBudgetBytes]);
}

function savedUsage({ sinceWallMs, probeBytes, bytes, counters, toldPercent }: Meter): SavedUsage {
  return { monthWallMs: sinceWallMs, probeBytes, bytes, counters, toldPercent };
}
