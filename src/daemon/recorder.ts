/**
 * Where records go: log, text file, journal, followers. Each on its own: one that fails or hangs keeps nothing from the
 * others, and nothing from routing. Must not decide what is worth recording.
 */

import type { HistoryEntry } from '../core/entry.js';
import type { HistoryRecord } from '../core/messages.js';
import { describeRecord, plainLine } from '../core/show/describe.js';
import { BatchedFile } from '../history/batched-file.js';
import { localTime } from './local-time.js';
import type { Log } from './log.js';

export interface RecorderParts {
  readonly log: Log;
  readonly journal: { append(entry: HistoryEntry): void };
  readonly wallMs: () => number;
}

export class Recorder {
  readonly #parts: RecorderParts;
  readonly #followers = new Set<(entry: HistoryEntry) => void>();
  #textPath: string | null = null;
  #textFile: BatchedFile | null = null;

  constructor(parts: RecorderParts) {
    this.#parts = parts;
  }

  /** The file that `log:` names; null = none. The old one is finished beside. */
  writeTextTo(path: string | null): void {
    if (path === this.#textPath) return;
    void this.#textFile?.close();
    this.#textPath = path;
    this.#textFile =
      path === null
        ? null
        : new BatchedFile({
            path,
            rotateBytes: null,
            onTrouble: (message) =>
              message === null
                ? this.#parts.log.write('notice', `${path} takes lines again`)
                : this.#parts.log.write('error', `the log file cannot be written: ${message}`),
          });
  }

  /** Never throws, never waits. */
  record(record: HistoryRecord): void {
    // The monotonic clock has fractions that nobody wants to read.
    const durationMs = record.durationMs === null ? null : Math.round(record.durationMs);
    const entry: HistoryEntry = { wallMs: this.#parts.wallMs(), ...record, durationMs };
    const sinks: (() => void)[] = [
      () => this.#parts.log.write(record.severity, describeRecord(record), fieldsOf({ ...record, durationMs })),
      () => this.#textFile?.append(plainLine(record, localTime(entry.wallMs))),
      () => this.#parts.journal.append(entry),
      ...[...this.#followers].map((follower) => () => follower(entry)),
    ];
    for (const sink of sinks) {
      try {
        sink();
      } catch (error) {
        this.#parts.log.write('error', `a record could not be handed on: ${String(error)}`);
      }
    }
  }

  /** @returns how to stop following */
  follow(listener: (entry: HistoryEntry) => void): () => void {
    this.#followers.add(listener);
    return () => {
      this.#followers.delete(listener);
    };
  }

  async close(): Promise<void> {
    await this.#textFile?.close();
  }
}

/** Without the text, which is the message, and without what is not there. */
function fieldsOf(record: HistoryRecord): Readonly<Record<string, unknown>> {
  const { text: _, severity: __, data, ...fields } = record;
  const present = Object.entries(fields).filter(([, value]) => value !== null);
  return Object.keys(data).length === 0 ? Object.fromEntries(present) : { ...Object.fromEntries(present), data };
}
