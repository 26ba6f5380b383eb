/**
 * Gathers what the daemon's loop sees until the history's thread takes it: a few hundred nanoseconds a probe, bounded memory, no disk,
 * no promise. Knows neither the thread nor the file.
 */
import type { HistoryEntry } from '../core/entry.js';
import type { Family, Health, PathKey } from '../core/model.js';
import type { ProbeAsk, ProbeOutcome } from '../core/probe.js';
import type { MinuteSamples, PathName, Standing } from './batch.js';
import { MINUTE_MS } from './schema.js';

/** An answer that takes longer is none: nobody waits for it. What the engine makes of late ones is its own business. */
export const LATE_MS = 5_000;
/** Numbers kept, two a sample: 16 MB. Beyond, the oldest minutes go. */
const MAX_NUMBERS = 2_000_000;
const MAX_ENTRIES = 2_000;
/** Handed over at once: to clone more would hold up the loop, 2 ms by this many. */
const NUMBERS_AT_ONCE = 100_000;

export interface Gathered {
  readonly entries: readonly HistoryEntry[];
  readonly samples: readonly MinuteSamples[];
  /** there is more that is complete: it is for the next time */
  readonly more: boolean;
}

/** What the disk did not take in time. */
export interface Lost {
  readonly entries: number;
  readonly minutes: number;
}

interface Asked {
  readonly path: PathKey;
  readonly label: string;
  readonly atMs: number;
}

type Minute = Map<string, number[]>;

export class HistoryCollector {
  readonly #wallMs: () => number;
  readonly #maxNumbers: number;
  readonly #asked = new Map<number, Asked>();
  /** by Unix minute, then by target */
  #minutes = new Map<number, Minute>();
  #numbers = 0;
  #entries: HistoryEntry[] = [];
  readonly #standing = new Map<PathKey, Standing>();
  #lost = { entries: 0, minutes: new Set<number>() };

  constructor(wallMs: () => number, maxNumbers = MAX_NUMBERS) {
    this.#wallMs = wallMs;
    this.#maxNumbers = maxNumbers;
  }

  /** Only regular probes of targets bear a label. */
  asked(ask: ProbeAsk): void {
    if (ask.sample === null || ask.sample === undefined) return;
    const atMs = this.#wallMs();
    this.#asked.set(ask.id, { path: ask.path.key, label: ask.sample, atMs });
    this.#giveUp(atMs);
  }

  outcome(outcome: ProbeOutcome): void {
    const asked = this.#asked.get(outcome.id);
    if (asked === undefined) return;
    this.#asked.delete(outcome.id);
    if (outcome.kind === 'answered') this.#add(asked, outcome.rttMs > LATE_MS ? -1 : outcome.rttMs);
    // This machine itself refused to send: that says nothing of the uplink.
    else if (outcome.reason !== 'local-fault') this.#add(asked, -1);
  }

  /** Its probes end without an outcome. */
  forget(path: PathKey): void {
    for (const [id, asked] of this.#asked) if (asked.path === path) this.#asked.delete(id);
  }

  record(entry: HistoryEntry): void {
    this.#entries.push(entry);
    if (this.#entries.length > MAX_ENTRIES) {
      this.#entries.shift();
      this.#lost.entries += 1;
    }
    if (entry.kind === 'health') this.#health(entry);
    else if (entry.kind === 'stall') {
      // What was outstanding proves nothing, and nobody watched.
      this.#asked.clear();
      for (const [key, standing] of this.#standing) this.#standing.set(key, { ...standing, watchedSinceMs: entry.wallMs });
    }
  }

  /** These are all the paths that there are now. */
  keepOnly(paths: readonly PathName[]): void {
    const keys = new Set(paths.map(({ uplink, family }) => `${uplink}/${family}`));
    for (const key of this.#standing.keys()) if (!keys.has(key)) this.#standing.delete(key);
  }

  /** Everything that is complete; `all`: the running minute too, without what is still to be answered. */
  take(all: boolean): Gathered {
    const nowMs = this.#wallMs();
    this.#giveUp(nowMs);
    // A minute whose last probe may still be answered waits.
    const open = all ? Number.POSITIVE_INFINITY : Math.floor((nowMs - LATE_MS) / MINUTE_MS);
    const samples: MinuteSamples[] = [];
    let taken = 0;
    let more = false;
    for (const [minute, targets] of this.#minutes) {
      // A minute of the future: the clock has been set back since.
      if (minute >= open && minute <= nowMs / MINUTE_MS) continue;
      for (const [key, values] of targets) {
        if (taken >= NUMBERS_AT_ONCE) break;
        targets.delete(key);
        taken += values.length;
        samples.push({ minute, target: nameOf(key), values });
      }
      if (targets.size === 0) this.#minutes.delete(minute);
      else more = true;
    }
    this.#numbers -= taken;
    const entries = this.#entries;
    this.#entries = [];
    return { entries, samples, more };
  }

  /** The disk did not take it: it is kept for the next time, as far as there is room. */
  putBack({ entries, samples }: Pick<Gathered, 'entries' | 'samples'>): void {
    const room = Math.max(0, MAX_ENTRIES - this.#entries.length);
    this.#lost.entries += Math.max(0, entries.length - room);
    this.#entries = [...entries.slice(Math.max(0, entries.length - room)), ...this.#entries];
    for (const { minute, target, values } of samples) {
      const targets = this.#minuteOf(minute);
      const key = keyOf(`${target.uplink}/${target.family}`, target.label);
      const later = targets.get(key);
      targets.set(key, later === undefined ? [...values] : [...values, ...later]);
      this.#numbers += values.length;
    }
    this.#makeRoom();
  }

  standing(): readonly Standing[] {
    return [...this.#standing.values()];
  }

  /** Since the last call. */
  takeLost(): Lost {
    const { entries, minutes } = this.#lost;
    this.#lost = { entries: 0, minutes: new Set() };
    return { entries, minutes: minutes.size };
  }

  #health({ uplink, family, to, from, reason, data, wallMs }: HistoryEntry): void {
    if (uplink === null || family === null) return;
    const key = `${uplink}/${family}`;
    const former = this.#standing.get(key);
    const health = to as Health;
    if (health === 'unknown') {
      this.#standing.delete(key);
      return;
    }
    const silentMs = health === 'down' && typeof data.silentMs === 'number' ? data.silentMs : 0;
    const same = former !== undefined && from === to;
    this.#standing.set(key, {
      uplink,
      family,
      health,
      reason,
      sinceMs: same ? former.sinceMs : wallMs - silentMs,
      watchedSinceMs: former?.watchedSinceMs ?? wallMs,
    });
  }

  /** Probes are in the order in which they were asked. */
  #giveUp(nowMs: number): void {
    for (const [id, asked] of this.#asked) {
      if (nowMs - asked.atMs < LATE_MS && asked.atMs <= nowMs) return;
      this.#asked.delete(id);
      this.#add(asked, -1);
    }
  }

  #add({ path, label, atMs }: Asked, rttMs: number): void {
    const minute = Math.floor(atMs / MINUTE_MS);
    const targets = this.#minuteOf(minute);
    const key = keyOf(path, label);
    const values = targets.get(key);
    if (values === undefined) targets.set(key, [atMs - minute * MINUTE_MS, rttMs]);
    else values.push(atMs - minute * MINUTE_MS, rttMs);
    this.#numbers += 2;
    if (this.#numbers > this.#maxNumbers) this.#makeRoom();
  }

  #minuteOf(minute: number): Minute {
    const known = this.#minutes.get(minute);
    if (known !== undefined) return known;
    const targets: Minute = new Map();
    this.#minutes.set(minute, targets);
    return targets;
  }

  #makeRoom(): void {
    const oldestFirst = [...this.#minutes.keys()].sort((a, b) => a - b);
    for (const minute of oldestFirst) {
      if (this.#numbers <= this.#maxNumbers) return;
      for (const values of this.#minutes.get(minute)?.values() ?? []) this.#numbers -= values.length;
      this.#minutes.delete(minute);
      this.#lost.minutes.add(minute);
    }
  }
}

/** A label may hold anything but a line break; a path's key has no blank. */
function keyOf(path: PathKey, label: string): string {
  return `${path}\n${label}`;
}

function nameOf(key: string): MinuteSamples['target'] {
  const [path = '', label = ''] = key.split('\n');
  const slash = path.lastIndexOf('/');
  return { uplink: path.slice(0, slash), family: Number(path.slice(slash + 1)) as Family, label };
}
