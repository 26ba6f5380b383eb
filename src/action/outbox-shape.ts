/**
 * What a file of the outbox holds, and whether it does, as far as delivering it must not throw. Files may be cut, edited, or
 * from another version. Knows no file.
 */
import type { Notice } from '../core/action.js';

/** What one file holds. No secrets: channels are named, not described. */
export interface StoredMessage {
  readonly version: 1;
  readonly channel: string;
  /** Unix ms at which it was put here: its age counts from then */
  readonly queuedWallMs: number;
  /** recipients that have it already */
  readonly served: readonly string[];
  readonly notice: Notice;
  /** only in the folder of refused ones */
  readonly refused?: { readonly wallMs: number; readonly text: string };
}

export function isStoredMessage(value: unknown): value is StoredMessage {
  return (
    isObject(value) &&
    value.version === 1 &&
    isText(value.channel) &&
    isFiniteNumber(value.queuedWallMs) &&
    isTexts(value.served) &&
    isNotice(value.notice) &&
    (value.refused === undefined ||
      (isObject(value.refused) && isFiniteNumber(value.refused.wallMs) && isText(value.refused.text)))
  );
}

function isNotice(value: unknown): boolean {
  return (
    isObject(value) &&
    [value.id, value.thread, value.topic, value.severity, value.subject].every(isText) &&
    isFiniteNumber(value.wallMs) &&
    isFiniteNumber(value.sinceWallMs) &&
    isFiniteNumber(value.folded) &&
    (value.outageMs === null || isFiniteNumber(value.outageMs)) &&
    [value.uplink, value.from, value.to, value.reason].every((one) => one === null || isText(one)) &&
    isFamilyOrNull(value.family) &&
    isTexts(value.text) &&
    isList(value.active, (one) => isFamily(one.family) && (one.uplink === null || isText(one.uplink))) &&
    isList(value.figures, isFigures)
  );
}

function isFigures(one: Record<string, unknown>): boolean {
  return (
    isText(one.uplink) &&
    isFamily(one.family) &&
    isText(one.health) &&
    [one.loss, one.rttMs].every((figure) => figure === null || isFiniteNumber(figure))
  );
}

function isList(value: unknown, good: (one: Record<string, unknown>) => boolean): boolean {
  return Array.isArray(value) && value.every((one) => isObject(one) && good(one));
}

function isFamily(value: unknown): boolean {
  return value === 4 || value === 6;
}

function isFamilyOrNull(value: unknown): boolean {
  return value === null || isFamily(value);
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every(isText);
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isFiniteNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
