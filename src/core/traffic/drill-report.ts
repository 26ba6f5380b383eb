/** What came of a drill, as figures and as one sentence. Pure words: decides only what the figures amount to. */

import type { HistoryRecord } from '../messages.js';
import type { Family } from '../model.js';
import { formatDuration } from '../show/describe.js';
import { recordOf } from '../show/records.js';

/**
 * Not final: `begun`, it runs; `put-off`, it will be tried (again) by itself. Final: `works`, `fails`; `broken-off`, a sign of
 * trouble that came to nothing each time, or something was more important; `not-tried`.
 */
export type DrillOutcome = 'begun' | 'works' | 'fails' | 'broken-off' | 'put-off' | 'not-tried';

/** Of one family, while traffic went by the uplink. Null = not known. */
export interface DrillFigures {
  readonly family: Family;
  /** connections that went by it, and how many of them were answered */
  readonly connections: number | null;
  readonly answered: number | null;
  /** share 0..1 */
  readonly loss: number | null;
  readonly rttMs: number | null;
  readonly rttBeforeMs: number | null;
}

export interface DrillResult {
  /** null = it was not said which */
  readonly uplink: string | null;
  readonly outcome: DrillOutcome;
  /** why, without a full stop; null where it works and nothing is to be added */
  readonly why: string | null;
  readonly families: readonly Family[];
  readonly traffic: 'some' | 'all';
  readonly lastedMs: number;
  /** empty where no traffic went by it */
  readonly figures: readonly DrillFigures[];
  /** how many uplinks are still to be tried in this drill */
  readonly left: number;
}

const HEADS: Readonly<Record<DrillOutcome, string>> = {
  begun: 'is being tried',
  works: 'works',
  fails: 'does not work',
  'broken-off': 'broken off',
  'put-off': 'put off',
  'not-tried': 'not tried',
};

const SEVERITIES: Readonly<Record<DrillOutcome, HistoryRecord['severity']>> = {
  begun: 'notice',
  works: 'notice',
  fails: 'error',
  'broken-off': 'warning',
  'put-off': 'notice',
  'not-tried': 'warning',
};

export function drillRecord(result: DrillResult): HistoryRecord {
  const { uplink, outcome, why, families, lastedMs, figures, traffic, left } = result;
  const head = why === null ? HEADS[outcome] : `${HEADS[outcome]}: ${why}`;
  const [first, second] = families;
  const parts = figures.map((f) => `${figures.length > 1 ? `IPv${f.family} ` : ''}${figuresText(f)}`);
  const share = traffic === 'all' ? 'all new traffic' : 'some of the new traffic';
  const text = parts.length === 0 ? head : `${head} (${share} for ${formatDuration(lastedMs)}: ${parts.join('; ')})`;
  const data: Record<string, string | number | boolean | null> = { outcome, left, traffic, lastedMs: Math.round(lastedMs) };
  for (const f of figures) {
    data[`connections${f.family}`] = f.connections;
    data[`answered${f.family}`] = f.answered;
    data[`loss${f.family}`] = f.loss;
    data[`rttMs${f.family}`] = f.rttMs;
    data[`rttBeforeMs${f.family}`] = f.rttBeforeMs;
  }
  return {
    ...recordOf('drill', SEVERITIES[outcome], text, null, data),
    uplink,
    family: second === undefined ? (first ?? null) : null,
  };
}

function figuresText({ connections, answered, loss, rttMs, rttBeforeMs }: DrillFigures): string {
  const of = connections === 1 ? '1 connection' : `${connections} connections`;
  const flows = connections === null ? [] : [connections === 0 ? 'no connection went by it' : `${of}, ${answered ?? 0} answered`];
  const lost = loss === null ? [] : [`${Math.round(loss * 100)} % of the probes lost`];
  const before = rttBeforeMs === null ? '' : ` (${roundMs(rttBeforeMs)} before)`;
  const rtt = rttMs === null ? [] : [`round trip ${roundMs(rttMs)}${before}`];
  return [...flows, ...lost, ...rtt].join(', ') || 'no figures';
}

function roundMs(ms: number): string {
  return `${ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms)} ms`;
}
