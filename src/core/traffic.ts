/**
 * What happens to the traffic itself when choices are made: open connections kept, drained or ended. Joins the flows to the paths
 * and choices; routing never waits for any of it.
 */
import type { Agenda } from './agenda.js';
import type { FamilyChoice } from './choice.js';
import type { Config } from './config.js';
import type { FlowCount, FlowOutcome } from './flow.js';
import { type FlowSight, Flows, type FlowsConfig } from './flows.js';
import type { Effect, HistoryRecord, SavedState } from './messages.js';
import type { Admin, PathKey } from './model.js';
import type { Path } from './path.js';
import { pathWorks, prefixOf } from './plan-input.js';
import { isWhole } from './plan-nft.js';
import type { PlanPath } from './plan-path.js';

export interface TrafficPort {
  readonly agenda: Agenda;
  wallMs(monotonicMs: number): number;
  emit(effect: Effect): void;
  record(record: HistoryRecord): void;
  families(): readonly FamilyChoice[];
  paths(): readonly Path[];
  adminOf(uplink: string): Admin;
  delegatedPrefix(device: string | null): string | null;
  /** something that outlives the process has changed */
  save(): void;
}

export class Traffic {
  readonly #port: TrafficPort;
  #config: Config;
  readonly #flows: Flows;

  constructor(config: Config, saved: SavedState | null, nowMs: number, port: TrafficPort) {
    this.#config = config;
    this.#port = port;
    const nowWallMs = port.wallMs(nowMs);
    const drains = Object.entries(saved?.drains ?? {}).map(([key, untilWallMs]): [PathKey, number | null] => [
      key,
      untilWallMs === null ? null : nowMs + untilWallMs - nowWallMs,
    ]);
    this.#flows = new Flows(this.#flowsConfig(), new Map(drains), {
      agenda: port.agenda,
      end: (ask) => port.emit({ type: 'end-flows', ask }),
      count: (ask) => port.emit({ type: 'count-flows', ask }),
      record: (record) => port.record(record),
      changed: () => port.save(),
    });
  }

  /** After the paths have been built. */
  configure(config: Config): void {
    this.#config = config;
    this.#flows.configure(
      this.#flowsConfig(),
      this.#port.paths().map((path) => path.key),
    );
  }

  /** Choices are made and the routes that follow from them handed out: the kernel's adapters work in this order. */
  routed(planned: readonly PlanPath[], nowMs: number): void {
    const sights = this.#port.families().flatMap((family) => {
      const paths = this.#port.paths().filter((p) => p.family === family.family);
      const works = (path: Path): boolean => pathWorks(path, (uplink) => this.#port.adminOf(uplink));
      const chosen = paths.find((p) => p.uplink.name === family.active);
      return paths.map((path): FlowSight => {
        const place = planned.find((p) => p.family === path.family && p.slot === path.slot);
        return {
          path,
          remembered: place !== undefined && isWhole(place, planned, this.#config.masquerade),
          works: works(path),
          inUse: path === chosen || family.sharing.some((s) => s.uplink === path.uplink.name),
          elsewhere: chosen !== undefined && chosen !== path && works(chosen),
        };
      });
    });
    this.#flows.chosen(sights, nowMs);
  }

  flowsEnded(outcome: FlowOutcome): void {
    this.#flows.finished(outcome);
  }

  flowsCounted(count: FlowCount): void {
    this.#flows.counted(count);
  }

  /** For SavedState: deadlines as Unix ms. */
  drains(): Readonly<Record<PathKey, number | null>> {
    const wall = [...this.#flows.drains].map(([key, untilMs]) => [
      key,
      untilMs === null ? null : Math.round(this.#port.wallMs(untilMs)),
    ]);
    return Object.fromEntries(wall);
  }

  drainingOn(path: Path): { readonly open: number | null; readonly untilWallMs: number | null } | null {
    const drain = this.#flows.drainOf(path.key);
    if (drain === null) return null;
    return { open: drain.open, untilWallMs: drain.untilMs === null ? null : Math.round(this.#port.wallMs(drain.untilMs)) };
  }

  #flowsConfig(): FlowsConfig {
    const { connections, kernel, via, lanPrefix } = this.#config;
    const prefixes = this.#port.paths().flatMap((path) => {
      const prefix = path.family === 6 ? prefixOf(path, lanPrefix, (device) => this.#port.delegatedPrefix(device)) : null;
      return prefix === null ? [] : [prefix];
    });
    return { policy: connections, numbers: kernel, via, prefixes };
  }
}
