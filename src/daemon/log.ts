/**
 * The log on standard output: JSON lines for the journal, plain lines for a person at a terminal. Asynchronous and bounded:
 * a reader that has stopped reading (^S, a full pipe) costs lines, never time. Knows no event's meaning.
 */
import { isatty } from 'node:tty';
import type { HistoryRecord } from '../core/messages.js';
import { localTime } from './local-time.js';

export type Severity = HistoryRecord['severity'];
export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  /** Never throws, never waits. */
  write(severity: Severity, message: string, fields?: LogFields): void;
  /** Loads pino; until then lines wait in memory. */
  open(): Promise<void>;
  /** Gives the lines half a second to leave. */
  close(): Promise<void>;
}

type Line = readonly [severity: Severity, message: string, fields: LogFields, wallMs: number];

const LEVELS = { info: 30, notice: 35, warning: 40, error: 50 } as const;
const MAX_WAITING_LINES = 1_000;
const MAX_BUFFER_BYTES = 1 << 20;
const CLOSE_MS = 500;

/** @param plain null = plain text when `fd` is a terminal, else JSON */
export function createLog(fd: number, plain: boolean | null = null): Log {
  const forPeople = plain ?? isatty(fd);
  const waiting: Line[] = [];
  let put: ((line: Line) => void) | null = null;
  let flush: (done: () => void) => void = (done) => done();

  return {
    write(severity, message, fields = {}) {
      const line: Line = [severity, message, fields, Date.now()];
      if (put !== null) put(line);
      else if (waiting.length < MAX_WAITING_LINES) waiting.push(line);
    },
    async open() {
      const { pino } = await import('pino');
      const destination = pino.destination({ fd, sync: false, maxLength: MAX_BUFFER_BYTES });
      // EPIPE, a full disk behind a redirect: there is nobody left to tell.
      destination.on('error', () => undefined);
      flush = (done) => destination.flush(done);
      if (forPeople) {
        put = ([severity, message, , wallMs]) => {
          destination.write(`${localTime(wallMs)} ${severity.padEnd(7)} ${message}\n`);
        };
      } else {
        const options = { base: null, customLevels: LEVELS, useOnlyCustomLevels: true, level: 'info', timestamp: false } as const;
        const logger = pino({ ...options, formatters: { level: (label) => ({ level: label }) } }, destination);
        put = ([severity, message, fields, wallMs]) =>
          logger[severity]({ time: new Date(wallMs).toISOString(), ...fields }, message);
      }
      for (const line of waiting.splice(0)) put(line);
    },
    async close() {
      if (put === null) await this.open().catch(() => undefined);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, CLOSE_MS);
        flush(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    },
  };
}
