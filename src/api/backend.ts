/**
 * What the API needs from the program behind it. The daemon implements it; tests bring their own. Shapes only.
 */
import type { HistoryEntry } from '../core/entry.js';
import type { Command, StatusView } from '../core/messages.js';

export interface EventQuery {
  readonly limit: number;
  readonly sinceWallMs: number | null;
}

export interface HealthView {
  /** the loop turns, the kernel can be read, nothing failed lately */
  readonly ok: boolean;
  readonly version: string;
  readonly pid: number;
  readonly uptimeMs: number;
  /** what is wrong, in words; empty when ok */
  readonly problems: readonly string[];
}

/** What came of a command or a reload: `text` is for people. */
export interface Answer {
  readonly ok: boolean;
  readonly text: string;
  /** further lines: the records made on the way, or the problems of a config */
  readonly details: readonly string[];
}

/** None of these may throw, and none may take longer than a look into memory, `command` and `reload` aside. */
export interface ApiBackend {
  view(): StatusView;
  health(): HealthView;
  /** Resolves when the entries of earlier processes have been read. */
  eventsReady(): Promise<void>;
  /** Oldest first. */
  events(query: EventQuery): readonly HistoryEntry[];
  /** Calls `listener` for each new entry until the function returned is called. */
  follow(listener: (entry: HistoryEntry) => void): () => void;
  /** Obeyed before the first await; resolves when it is also kept for the next start. */
  command(command: Command): Promise<Answer>;
  reload(): Promise<Answer>;
}
