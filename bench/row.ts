/**
 * One row of the benchmark's table: what is promised, what was measured, what is the least that is possible. Pure.
 */
import { type Figures, figuresOf } from './figures.js';

export type RowId = 'silent-1s' | 'silent-100ms' | 'carrier' | 'router-1s' | 'failback' | 'start' | 'load' | 'load-512' | 'flows';

export interface Beside {
  readonly name: string;
  readonly settings: string;
  readonly figures: Figures | null;
  readonly samples: readonly number[];
  /** why there is no figure, or what the figure does not show */
  readonly note: string | null;
}

export interface Row {
  readonly id: string;
  readonly what: string;
  readonly unit: 'ms' | '%' | 'MB' | 'packets' | 'samples';
  /** null = told for information */
  readonly limit: { readonly median?: number; readonly p95?: number; readonly mean?: number; readonly max?: number } | null;
  /** the least that the method allows; null = there is none worth a number */
  readonly floor: number | null;
  readonly figures: Figures | null;
  readonly samples: readonly number[];
  readonly notes: readonly string[];
  readonly beside: readonly Beside[];
  /** everything measured, for --json */
  readonly detail: unknown;
}

export type Verdict = 'ok' | 'MISSED' | 'not measured' | '';

export function row(options: Omit<Row, 'figures' | 'beside'> & { readonly beside?: readonly Beside[] }): Row {
  return { beside: [], ...options, figures: figuresOf(options.samples) };
}

/** A row that could not be measured. */
export function failedRow(id: string, what: string, error: unknown): Row {
  const note = error instanceof Error ? error.message : String(error);
  return row({ id, what, unit: 'ms', limit: {}, floor: null, samples: [], notes: [note], detail: null });
}

export function verdictOf({ limit, figures }: Row): Verdict {
  if (figures === null) return 'not measured';
  if (limit === null) return '';
  const within = (value: number, bound: number | undefined): boolean => bound === undefined || value <= bound;
  const kept = (['median', 'p95', 'mean', 'max'] as const).every((which) => within(figures[which], limit[which]));
  return kept ? 'ok' : 'MISSED';
}

/** Half an interval, two deadlines, and the burst's pace: what detection by probes takes in the median at the least. */
export function floorMs(intervalMs: number, deadlineMs: number): number {
  return intervalMs / 2 + 2 * deadlineMs + BURST_MS;
}

/** Three probes at 10 ms pace, as the configuration's defaults have it. */
const BURST_MS = 20;
