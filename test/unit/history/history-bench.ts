/** A history in a folder of its own: entries and batches as the daemon would make them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HistoryEntry } from '../../../src/core/entry.js';
import type { Family, Health } from '../../../src/core/model.js';
import type { HistoryBatch, HistoryLimits, MinuteSamples, Standing } from '../../../src/history/batch.js';
import { openHistoryFile } from '../../../src/history/history-file.js';
import { type History, openHistory } from '../../../src/history/reader.js';
import { HISTORY_FILE, MINUTE_MS } from '../../../src/history/schema.js';
import { HistoryStore } from '../../../src/history/store.js';

export const DAY_MS = 86_400_000;
/** a full minute */
export const T0 = Date.UTC(2026, 2, 1);
export const LIMITS: HistoryLimits = { keepMs: 400 * DAY_MS, rawMs: 2 * DAY_MS, maxBytes: 100_000_000 };

export class HistoryBench {
  readonly directory = mkdtempSync(join(tmpdir(), 'backroute-history-'));
  readonly path = join(this.directory, HISTORY_FILE);
  readonly #open: { close(): unknown }[] = [];

  store(limits: HistoryLimits = LIMITS): HistoryStore {
    return new HistoryStore(openHistoryFile(this.path, limits));
  }

  read(): History {
    const history = openHistory(this.path);
    this.#open.push(history);
    return history;
  }

  [Symbol.dispose](): void {
    for (const one of this.#open) one.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export function batch(nowMs: number, change: Partial<HistoryBatch> = {}): HistoryBatch {
  return { nowMs, entries: [], samples: [], standing: [], limits: LIMITS, ...change };
}

export function entry(kind: HistoryEntry['kind'], wallMs: number, change: Partial<HistoryEntry> = {}): HistoryEntry {
  return {
    kind,
    wallMs,
    severity: 'info',
    uplink: null,
    family: null,
    from: null,
    to: null,
    reason: null,
    durationMs: null,
    text: '',
    data: {},
    ...change,
  };
}

export function health(
  wallMs: number,
  from: Health,
  to: Health,
  change: Partial<HistoryEntry> & { readonly silentMs?: number } = {},
): HistoryEntry {
  const { silentMs, ...rest } = change;
  const data = { silentMs: silentMs ?? null, ...rest.data };
  const reason = to === 'down' ? 'upstream-silent' : to === 'degraded' ? 'loss-high' : 'answers';
  return entry('health', wallMs, { uplink: 'fast', family: 4, from, to, reason, ...rest, data });
}

export function silence(
  beganWallMs: number,
  lengthMs: number,
  change: { readonly borne?: boolean; readonly cause?: string; readonly severity?: number; readonly uplink?: string } = {},
): HistoryEntry {
  const { borne = false, cause = 'upstream', severity = 1, uplink = 'fast' } = change;
  return entry('silence', beganWallMs + lengthMs, {
    uplink,
    family: 4,
    data: { cause, severity, beganWallMs, lengthMs, borne },
  });
}

export function switched(wallMs: number, from: string | null, to: string, change: Partial<HistoryEntry> = {}): HistoryEntry {
  return entry('switch', wallMs, { family: 4, from, to, reason: 'upstream-silent', ...change });
}

export function standing(change: Partial<Standing> = {}): Standing {
  return { uplink: 'fast', family: 4, health: 'up', reason: 'answers', sinceMs: T0, watchedSinceMs: T0, ...change };
}

/** One minute of one target at 1 s. @param rttOf ms, or null = lost */
export function minuteOf(
  minuteMs: number,
  rttOf: (second: number) => number | null,
  target: { readonly uplink?: string; readonly family?: Family; readonly label?: string } = {},
): MinuteSamples {
  const values = Array.from({ length: 60 }, (_, second) => [second * 1000, rttOf(second) ?? -1]).flat();
  return { minute: minuteMs / MINUTE_MS, target: { uplink: 'fast', family: 4, label: '192.0.2.1', ...target }, values };
}
