/**
 * A record with its time, as history, the log, the API and the CLI hand it on. The engine gives records without a wall
 * clock; the loop stamps them. Knows no file, no format.
 */
import type { HistoryRecord } from './messages.js';

export interface HistoryEntry extends HistoryRecord {
  /** Unix time at which the engine said it */
  readonly wallMs: number;
}
