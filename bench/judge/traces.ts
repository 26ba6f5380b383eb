/**
 * Reads what the traces' folder holds: lists of outages (start_ms, duration_ms[, cause]; or state, duration_s) and traces of
 * probes (t_ms, rtt_ms). Cuts outages out of probes as judge.py beside the traces does. Bad input is told with its line.
 */
import type { Outage } from './model.js';

/** A later answer counts as lost. */
const LATE_MS = 1_000;
/** Probes further apart than this: nobody probed, which is no outage. */
const UNWATCHED_S = 60;

export class TraceError extends Error {}

/** @param name the file's, for complaints */
export function readOutages(text: string, name: string): Outage[] {
  const lines = text.split(/\r?\n/);
  const columns = (lines[0] ?? '').split(',');
  const rows = lines.slice(1).flatMap((line, index) => (line === '' ? [] : [{ cells: line.split(','), line: index + 2 }]));
  const cell = (row: (typeof rows)[number], column: string): string => row.cells[columns.indexOf(column)] ?? '';
  const number = (row: (typeof rows)[number], column: string): number => {
    const value = Number(cell(row, column));
    if (cell(row, column).trim() === '' || !Number.isFinite(value) || value < 0) {
      throw new TraceError(`${name}:${row.line}: ${column} "${cell(row, column)}" is not a number from 0 on`);
    }
    return value;
  };
  if (columns.includes('duration_ms')) {
    const real = rows.filter((row) => cell(row, 'cause') !== 'BOOTING');
    return merged(real.map((row) => ({ startS: number(row, 'start_ms') / 1000, lengthS: number(row, 'duration_ms') / 1000 })));
  }
  if (columns.includes('duration_s')) {
    let startS = 0;
    return merged(
      rows.flatMap((row) => {
        const outage = { startS, lengthS: number(row, 'duration_s') };
        startS += outage.lengthS;
        return cell(row, 'state') === 'down' ? [outage] : [];
      }),
    );
  }
  if (!columns.includes('t_ms') || !columns.includes('rtt_ms')) {
    throw new TraceError(`${name}:1: neither t_ms,rtt_ms nor start_ms,duration_ms nor state,duration_s among the columns`);
  }
  const probes = rows.map((row) => {
    const lost = cell(row, 'rtt_ms') === '' || number(row, 'rtt_ms') > LATE_MS;
    return { atS: number(row, 't_ms') / 1000, lost, line: row.line };
  });
  return merged(cut(probes, name));
}

function cut(probes: readonly { atS: number; lost: boolean; line: number }[], name: string): Outage[] {
  const outages: Outage[] = [];
  let startS: number | null = null;
  let formerS: number | null = null;
  for (const { atS, lost, line } of probes) {
    if (formerS !== null && atS < formerS) throw new TraceError(`${name}:${line}: time runs backwards`);
    if (formerS !== null && atS - formerS > UNWATCHED_S) {
      if (startS !== null) outages.push({ startS, lengthS: Math.max(formerS - startS, 0.2) });
      startS = null;
    }
    if (lost && startS === null) startS = atS;
    if (!lost && startS !== null) {
      outages.push({ startS, lengthS: atS - startS });
      startS = null;
    }
    formerS = atS;
  }
  if (startS !== null && formerS !== null) outages.push({ startS, lengthS: formerS - startS });
  return outages;
}

function merged(outages: readonly Outage[]): Outage[] {
  const result: Outage[] = [];
  for (const outage of outages.toSorted((a, b) => a.startS - b.startS || a.lengthS - b.lengthS)) {
    const last = result.at(-1);
    if (last === undefined || outage.startS > last.startS + last.lengthS) result.push(outage);
    else {
      const endS = Math.max(last.startS + last.lengthS, outage.startS + outage.lengthS);
      result[result.length - 1] = { startS: last.startS, lengthS: endS - last.startS };
    }
  }
  return result;
}
