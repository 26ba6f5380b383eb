/**
 * The benchmark's table and notes as text for people. Pure.
 */
import { type Row, verdictOf } from './row.js';

const COLUMNS = ['what', 'at most', 'floor', 'median', 'p95', 'runs', ''] as const;

export function tableText(rows: readonly Row[]): string {
  const cells = rows.flatMap((one) => [ownCells(one), ...one.beside.map((peer) => besideCells(one, peer))]);
  const widths = COLUMNS.map((title, at) => Math.max(title.length, ...cells.map((line) => line[at]?.length ?? 0)));
  const format = (line: readonly string[]): string =>
    line
      .map((cell, at) => (at === 0 || at === 6 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '-'.repeat(width)).join('  ');
  return [format(COLUMNS), rule, ...cells.map(format)].map((line) => `${line}\n`).join('');
}

export function notesText(rows: readonly Row[]): string {
  return rows
    .flatMap((one) => [
      ...one.notes.map((note) => `   ${one.id}: ${note}\n`),
      ...one.beside.flatMap((peer) => (peer.note === null ? [] : [`   ${one.id}, ${peer.name}: ${peer.note}\n`])),
    ])
    .join('');
}

/** Programs that were measured, and how they were set up. */
export function settingsText(rows: readonly Row[]): string {
  const settings = new Map(rows.flatMap((one) => one.beside.map((peer) => [peer.name, peer.settings] as const)));
  return [...settings].map(([name, text]) => `   ${name}: ${text}\n`).join('');
}

function ownCells(one: Row): string[] {
  const { figures, unit, limit, floor } = one;
  const value = (number: number | undefined | null): string =>
    number === undefined || number === null ? '' : amount(number, unit);
  return [
    `${one.id}: ${one.what}`,
    limit === null ? '' : [limit.median ?? limit.mean, limit.p95 ?? limit.max].map(value).filter(Boolean).join(' / '),
    value(floor),
    value(figures?.median),
    value(figures?.p95),
    String(figures?.count ?? 0),
    verdictOf(one),
  ];
}

function besideCells(one: Row, peer: Row['beside'][number]): string[] {
  const { figures } = peer;
  const value = (number: number | undefined): string => (number === undefined ? '-' : amount(number, one.unit));
  return [`   beside: ${peer.name}`, '', '', value(figures?.median), value(figures?.p95), String(figures?.count ?? 0), ''];
}

export function amount(value: number, unit: Row['unit']): string {
  if (unit === 'packets' || unit === 'samples') return String(Math.round(value * 10) / 10);
  if (unit === 'ms') return value >= 100 ? `${Math.round(value)} ms` : `${value.toFixed(1)} ms`;
  return `${value.toFixed(value < 10 ? 2 : 1)} ${unit}`;
}
