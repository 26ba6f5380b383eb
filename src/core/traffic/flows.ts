/**
 * Open connections when the way out changes: those of a lost uplink are ended, those of one that was left may finish there until
 * a deadline. Decides when and which; the kernel's adapter does it, beside the loop, and routing never waits for it.
 */
import type { Agenda, Entry } from '../agenda.js';
import { type ConnectionsConfig, flowMark, type KernelNumbers, type ViaConfig } from '../config.js';
import type { FlowAsk, FlowCount, FlowCountAsk, FlowOutcome, FlowSelector } from '../flow.js';
import type { HistoryRecord } from '../messages.js';
import type { Family, PathKey } from '../model.js';
import type { Path } from '../paths/path.js';
import { formatDuration } from '../show/describe.js';
import { recordOf } from '../show/records.js';

/** After the kill another look for those that were set up in the very moment of the switch, ms after it. */
const STRAGGLERS_AFTER_MS: readonly number[] = [1_000, 5_000];
/** While connections finish they are counted this often. */
const COUNT_EVERY_MS = 10_000;

export interface FlowsPort {
  readonly agenda: Agenda;
  end(ask: FlowAsk): void;
  count(ask: FlowCountAsk): void;
  record(record: HistoryRecord): void;
  /** what must outlive the process has changed */
  changed(): void;
  /** `lingers` has changed */
  emptied(): void;
}

/** How a path stands when the choice has been made. */
export interface FlowSight {
  readonly path: Path;
  /** both directions of its connections come by here */
  readonly remembered: boolean;
  /** its connections may go on */
  readonly works: boolean;
  /** new connections take it: it is the choice of its family, or shares it */
  readonly inUse: boolean;
  /** there is another uplink that works, and it is the choice: somewhere to go */
  readonly elsewhere: boolean;
}

export interface FlowsConfig {
  readonly policy: ConnectionsConfig | null;
  readonly numbers: KernelNumbers;
  readonly via: readonly ViaConfig[];
  /** outside prefixes of the translation, as they are now */
  prefixes(): readonly string[];
}

interface Drain {
  /** null = no deadline */
  readonly untilMs: number | null;
  /** the deadline came while there was nowhere to go */
  overdue: boolean;
  open: number | null;
  readonly timers: Entry[];
}

interface Known {
  path: Path;
  remembered: boolean;
  works: boolean;
  inUse: boolean;
  /** lost, and its connections wait for somewhere to go */
  dying: boolean;
  /** since it stopped working nothing is left on it, or nobody looks after that */
  ended: boolean;
  /** left although it works, for somebody who does not work yet */
  left: boolean;
  elsewhere: boolean;
  drain: Drain | null;
}

type Asked = { readonly path: Path; readonly why: 'lost' | 'removed' | 'straggler' | 'deadline' | 'moved' | 'udp' };

export class Flows {
  readonly #port: FlowsPort;
  #config: FlowsConfig;
  readonly #known = new Map<PathKey, Known>();
  readonly #asked = new Map<number, Asked>();
  readonly #counted = new Map<number, Path>();
  /** no longer in the file; nothing leads their connections any more */
  #removed: readonly Path[] = [];
  /** of an earlier run: monotonic deadlines */
  readonly #restored: Map<PathKey, number | null>;
  #nextId = 1;

  /** @param drains deadlines of an earlier run in the engine's clock; null = none */
  constructor(config: FlowsConfig, drains: ReadonlyMap<PathKey, number | null>, port: FlowsPort) {
    this.#config = config;
    this.#restored = new Map(drains);
    this.#port = port;
  }

  configure(config: FlowsConfig, keys: readonly PathKey[]): void {
    this.#config = config;
    for (const key of [...this.#known.keys(), ...this.#restored.keys()]) {
      if (keys.includes(key) && config.policy !== null) continue;
      this.#stopDrain(key);
      const known = this.#known.get(key);
      this.#known.delete(key);
      if (known?.remembered === true && !keys.includes(key)) this.#removed = [...this.#removed, known.path];
    }
    this.#removed = this.#removed.filter((path) => config.policy?.failover === 'end' && !keys.includes(path.key));
  }

  /** Deadlines of the drains that run, in the engine's clock. */
  get drains(): ReadonlyMap<PathKey, number | null> {
    const running = [...this.#known].flatMap(([key, { drain }]): [PathKey, number | null][] =>
      drain === null ? [] : [[key, drain.untilMs]],
    );
    return new Map([...this.#restored, ...running]);
  }

  drainOf(key: PathKey): { readonly open: number | null; readonly untilMs: number | null } | null {
    return this.#known.get(key)?.drain ?? null;
  }

  /**
   * Connections by it are still to be ended. One that was closed although its link works shall carry them until they are: sent
   * another way, their packets would have the kernel forget them (masquerade), and their peers would not be told.
   */
  lingers(key: PathKey): boolean {
    const known = this.#known.get(key);
    return known !== undefined && !known.ended && this.#config.policy?.failover === 'end';
  }

  /** The choices have been made, and the routes that follow from them are handed out. */
  chosen(sights: readonly FlowSight[], nowMs: number): void {
    const policy = this.#config.policy;
    if (policy === null) return;
    for (const sight of sights) this.#look(sight, policy, nowMs);
    this.#endRemoved(sights);
  }

  /** As with a lost one: not before there is somewhere to go. */
  #endRemoved(sights: readonly FlowSight[]): void {
    const ready = this.#removed.filter(({ family }) => sights.some((s) => s.path.family === family && s.inUse && s.works));
    this.#removed = this.#removed.filter((path) => !ready.includes(path));
    for (const path of ready) this.#end(path, 'removed', null, true);
  }

  #look(sight: FlowSight, policy: ConnectionsConfig, nowMs: number): void {
    const { path, works, inUse, elsewhere } = sight;
    // At first sight: an earlier run may have left connections by it. If it is lost, it was lost while nobody was there.
    const known: Known = this.#known.get(path.key) ?? {
      path,
      remembered: false,
      works: true,
      inUse,
      dying: false,
      ended: !works,
      left: false,
      elsewhere,
      drain: null,
    };
    this.#known.set(path.key, known);
    const [worked, wasInUse] = [known.works, known.inUse];
    known.path = path;
    known.remembered = sight.remembered;
    known.works = works;
    known.inUse = inUse;
    known.elsewhere = elsewhere;
    known.left = works && !inUse && (known.left || wasInUse);
    // Whatever else: nobody is hurried off an uplink that is in use again.
    if (inUse) this.#stopDrain(path.key);
    if (!sight.remembered) return;
    if (works) {
      known.dying = false;
      known.ended = false;
    } else if (policy.failover === 'keep') {
      // Whatever was said when it was lost. What was kept once is not ended by a later reload.
      known.dying = false;
      known.ended = true;
    }
    if (!works && worked && policy.failover === 'end') known.dying = true;
    if (known.dying && elsewhere) {
      known.dying = false;
      this.#stopDrain(path.key);
      this.#end(path, 'lost', null, true);
      for (const afterMs of STRAGGLERS_AFTER_MS) {
        this.#port.agenda.at(nowMs + afterMs, () => {
          // It may have come back meanwhile, or its mark be another uplink's by now: what goes by it then is welcome.
          if (known.works || !known.elsewhere || this.#known.get(path.key) !== known) return;
          if (this.#config.policy?.failover === 'end') this.#end(path, 'straggler', null, true);
        });
      }
      return;
    }
    if (known.drain?.overdue === true && elsewhere) this.#deadline(path);
    if (!works || inUse || known.drain !== null) return;
    const restored = this.#restored.get(path.key);
    if (restored !== undefined) {
      this.#restored.delete(path.key);
      this.#drain(path, known, restored, nowMs);
    } else if (known.left && elsewhere) {
      known.left = false;
      this.#leave(path, known, policy, nowMs);
    }
  }

  finished(outcome: FlowOutcome): void {
    const asked = this.#asked.get(outcome.id);
    this.#asked.delete(outcome.id);
    if (asked === undefined) return;
    const { path, why } = asked;
    const known = this.#known.get(path.key);
    if (why === 'lost' && known !== undefined && !known.works) {
      known.ended = true;
      this.#port.emptied();
    }
    const data = {
      why,
      entries: outcome.entries,
      resets: outcome.resets,
      sockets: outcome.sockets,
      tookMs: Math.round(outcome.tookMs),
    };
    for (const problem of outcome.problems) this.#port.record(recordOf('flows', 'warning', problem, path, data));
    if (outcome.entries === 0) return;
    const what: Record<Asked['why'], string> = {
      lost: `connections by ${path.uplink.name} were ended: it is lost`,
      removed: `connections by ${path.uplink.name} were ended: it is no longer in the file`,
      straggler: `late connections by ${path.uplink.name} were ended`,
      deadline: `connections still on ${path.uplink.name} were ended: their time to finish is over`,
      moved: `connections by ${path.uplink.name} were ended: they go by the new uplink when they are set up again`,
      udp: `UDP flows without an end were moved away from ${path.uplink.name}`,
    };
    this.#port.record(recordOf('flows', 'info', `${outcome.entries} ${what[why]}`, path, data));
  }

  counted(count: FlowCount): void {
    const path = this.#counted.get(count.id);
    this.#counted.delete(count.id);
    const drain = path === undefined ? undefined : this.#known.get(path.key)?.drain;
    if (path === undefined || drain === undefined || drain === null) return;
    drain.open = count.open;
    if (count.open !== 0) return;
    this.#stopDrain(path.key);
    this.#port.record(recordOf('flows', 'info', `no connection is left on ${path.uplink.name}`, path));
    this.#port.changed();
  }

  /** Counts all connections of a path, for whoever asks. @returns the id under which the count comes back */
  countFor(path: Path): number {
    const id = this.#id();
    this.#port.count({ id, selector: this.#selector(path, null) });
    return id;
  }

  /** Its family has another choice although it still works. */
  #leave(path: Path, known: Known, policy: ConnectionsConfig, nowMs: number): void {
    if (policy.failback === 'move') {
      this.#end(path, 'moved', null, false);
      return;
    }
    if (policy.failback === 'drain' && policy.moveUdpPorts.length > 0) this.#end(path, 'udp', policy.moveUdpPorts, false);
    this.#drain(path, known, policy.failback === 'drain' ? nowMs + policy.drainMs : null, nowMs);
    const until = policy.failback === 'drain' ? `, for ${formatDuration(policy.drainMs)} at most` : '';
    this.#port.record(recordOf('flows', 'info', `open connections finish on ${path.uplink.name}${until}`, path));
    this.#port.changed();
  }

  #drain(path: Path, known: Known, untilMs: number | null, nowMs: number): void {
    const drain: Drain = { untilMs, overdue: false, open: null, timers: [] };
    known.drain = drain;
    const count = (atMs: number): void => {
      if (known.drain !== drain) return;
      const id = this.#id();
      this.#counted.set(id, path);
      this.#port.count({ id, selector: this.#selector(path, null, true) });
      drain.timers[1] = this.#port.agenda.at(atMs + COUNT_EVERY_MS, count);
    };
    if (untilMs !== null) {
      drain.timers[0] = this.#port.agenda.at(Math.max(nowMs, untilMs), () => {
        if (known.drain !== drain) return;
        if (known.elsewhere) this.#deadline(path);
        else drain.overdue = true;
      });
    }
    // Those that are about to end anyway shall not be called open: the first count waits a little.
    this.#port.agenda.at(nowMs + 1_000, count);
  }

  #deadline(path: Path): void {
    this.#stopDrain(path.key);
    this.#end(path, 'deadline', null, false);
  }

  #stopDrain(key: PathKey): void {
    this.#restored.delete(key);
    const known = this.#known.get(key);
    if (known === undefined || known.drain === null) return;
    for (const timer of known.drain.timers) if (timer !== undefined) timer.cancelled = true;
    known.drain = null;
    this.#port.changed();
  }

  /** @param whole what came in and what `via` sends there is ended too */
  #end(path: Path, why: Asked['why'], udpPorts: readonly number[] | null, whole: boolean): void {
    const id = this.#id();
    this.#asked.set(id, { path, why });
    this.#port.end({ id, selector: this.#selector(path, udpPorts, !whole), reset: why !== 'udp' });
  }

  #selector(path: Path, udpPorts: readonly number[] | null, spare = false): FlowSelector {
    const { numbers, via, prefixes, policy } = this.#config;
    const family: Family = path.family;
    const selector = { family, mark: flowMark(numbers, path.slot), mask: numbers.markMask, udpPorts };
    const sent = via.filter((v) => v.uplink === path.uplink.name && v.families.includes(family));
    if (!spare) return selector;
    return { ...selector, spare: { inbound: policy?.inbound === 'same', prefixes: prefixes(), via: sent } };
  }

  #id(): number {
    const id = this.#nextId;
    this.#nextId += 1;
    return id;
  }
}
