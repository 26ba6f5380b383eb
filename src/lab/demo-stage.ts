/**
 * What the parts of the demo share: the lab, the daemon in it, who is told, and small questions to them. No story here.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { HistoryEntry } from '../core/entry.js';
import { monotonicMs } from './clock.js';
import type { Write } from './commands.js';
import type { DemoDaemon } from './demo-daemon.js';
import { clientLine, detail, type Label, type Paint, timelineEntry } from './demo-text.js';
import { LabError } from './errors.js';
import type { Lab } from './lab.js';
import type { Meter } from './meter.js';
import type { MeterStats } from './packet-log.js';

/** The client's traffic. A packet not back after the grace time is lost; the longest round trip here takes 40 ms. */
export const METER = { intervalMs: 5, graceMs: 500 } as const;
/** How long the client goes on after a switch before it is asked what it felt: longer than the grace time. */
export const AFTERMATH_MS = 1500;

export class Stage {
  /** interrupted, or the daemon has ended: whatever waits throws its reason */
  readonly #over: AbortSignal;

  constructor(
    readonly lab: Lab,
    readonly daemon: DemoDaemon,
    interrupted: AbortSignal,
    readonly paint: Paint,
    readonly write: Write,
  ) {
    this.#over = AbortSignal.any([interrupted, daemon.broken]);
  }

  /** One entry of the timeline. */
  tell(wallMs: number, label: Label, ...lines: string[]): void {
    this.write(timelineEntry(wallMs - this.daemon.startedWallMs, label, lines, this.paint));
  }

  /** Tells what the client felt since then (CLOCK_MONOTONIC). Rejects with a LabError when nothing comes back to it now. */
  async tellFelt(meter: Meter, sinceMs: number): Promise<MeterStats> {
    const felt = await meter.stats(sinceMs);
    this.write(detail(clientLine(felt)));
    const lately = await meter.stats(monotonicMs() - METER.graceMs);
    if (lately.received > 0) return felt;
    throw new LabError('nothing comes back to the client, although the routes stand', this.daemon.lastWords());
  }

  /** The default route of main that the kernel obeys, the lowest metric, in the words of `ip route`. */
  async defaultRoute(): Promise<string> {
    const { stdout } = await this.lab.exec('gateway', ['ip', '-j', '-4', 'route', 'show', 'default']);
    const routes = JSON.parse(stdout) as readonly { gateway?: string; dev?: string; metric?: number }[];
    const [first] = routes.toSorted((a, b) => (a.metric ?? 0) - (b.metric ?? 0));
    return first === undefined ? 'no default route' : `default via ${first.gateway} dev ${first.dev}`;
  }

  /** Lets the client's packets flow. Rejects at once when interrupted or when the daemon ends. */
  async rest(ms: number): Promise<void> {
    this.#over.throwIfAborted();
    try {
      await pause(ms, undefined, { signal: this.#over });
    } catch (error) {
      this.#over.throwIfAborted();
      throw error;
    }
  }

  /**
   * The first event that `wanted` accepts, one that has come already included. Rejects with a LabError that tells that `what`
   * did not come within `timeoutMs`, or that the daemon has ended; and when interrupted.
   */
  waitFor(what: string, wanted: (entry: HistoryEntry) => boolean, timeoutMs: number): Promise<HistoryEntry> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        stop();
        this.#over.removeEventListener('abort', onOver);
      };
      const onOver = (): void => {
        done();
        reject(this.#over.reason);
      };
      const onEvent = (entry: HistoryEntry): void => {
        if (!wanted(entry)) return;
        done();
        resolve(entry);
      };
      const timer = setTimeout(() => {
        done();
        reject(new LabError(`${what} did not come within ${timeoutMs / 1000} s`, this.daemon.lastWords()));
      }, timeoutMs);
      const stop = this.daemon.onEvent(onEvent);
      this.#over.addEventListener('abort', onOver);
      const known = this.daemon.find(wanted);
      if (this.#over.aborted) onOver();
      else if (known !== undefined) onEvent(known);
    });
  }
}
