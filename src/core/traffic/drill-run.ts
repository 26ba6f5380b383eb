/**
 * One uplink being tried: what is wished meanwhile, what ends it, and what went by it. Looks at paths and counts; neither
 * schedules nor reports. Probes alone do not prove a backup, since they bear this machine's own address: connections that
 * nobody answers are a sign of trouble as good as a lost probe.
 */

import type { PathFigures } from '../detect/health.js';
import type { FlowCount } from '../flow.js';
import type { Family } from '../model.js';
import type { DrillFigures, DrillOutcome } from './drill-report.js';
import { type DrillPath, type DrillScene, forcedUplink, inUse, pathOf, trouble } from './drill-scene.js';

/** Connections are counted this often. */
export const COUNT_EVERY_MS = 5_000;
/** So many connections without a single answer, seen twice in a row, are no accident. */
export const UNANSWERED = 5;
/** What went by it already is counted first, so that it is not mistaken for the drill's; for no longer than this. */
const BASELINE_MS = 2_000;
/** Past its end by this much, nobody was there to watch it. */
const OVERSLEPT_MS = 10_000;

/** What the routes shall do for the drill's sake. `some`: the uplink joins those in use, see {@link drillWeights}. */
export interface DrillWish {
  readonly uplink: string;
  readonly families: readonly Family[];
  readonly traffic: 'some' | 'all';
}

export interface DrillEnd {
  readonly outcome: DrillOutcome;
  readonly why: string | null;
}

interface Counts {
  asked: number | null;
  /** the first one */
  before: FlowCount | null;
  /** the last two */
  former: FlowCount | null;
  last: FlowCount | null;
}

export class DrillRun implements DrillWish {
  readonly uplink: string;
  readonly families: readonly Family[];
  readonly traffic: 'some' | 'all';
  readonly startedMs: number;
  readonly untilMs: number;
  /** what is to be said of its families that were dead already */
  readonly dead: readonly string[];
  /** who had the traffic before */
  readonly #homes: ReadonlyMap<Family, string | null>;
  /** … and who shared it */
  readonly #carried: readonly DrillPath[];
  readonly #before: ReadonlyMap<Family, PathFigures>;
  #after: ReadonlyMap<Family, PathFigures> | null = null;
  readonly #counts: ReadonlyMap<Family, Counts>;
  readonly #ask: (family: Family) => number | null;
  #countMs: number;
  #ready: boolean;
  #overdue: Family | null = null;

  /** @param ask asks for the number of its connections; returns the ask's id, null = they are not remembered */
  constructor(
    wish: DrillWish,
    dead: readonly string[],
    scene: DrillScene,
    span: { readonly fromMs: number; readonly untilMs: number },
    ask: (family: Family) => number | null,
  ) {
    this.uplink = wish.uplink;
    this.families = wish.families;
    this.traffic = wish.traffic;
    this.dead = dead;
    this.startedMs = span.fromMs;
    this.untilMs = span.untilMs;
    this.#homes = new Map(scene.families.map((f) => [f.family, f.active]));
    this.#carried = scene.paths.filter((p) => inUse(scene, p.uplink.name, p.family));
    this.#before = this.#figures(scene, span.fromMs);
    this.#ask = ask;
    this.#countMs = span.fromMs + COUNT_EVERY_MS;
    this.#counts = new Map(
      this.families.map((family) => [family, { asked: ask(family), before: null, former: null, last: null }]),
    );
    this.#ready = this.#counted();
  }

  /** Traffic may go by it now. */
  get ready(): boolean {
    return this.#ready;
  }

  /** When it is to be looked at again, at the latest. */
  get nextMs(): number {
    return Math.min(this.untilMs, this.#ready ? this.#countMs : this.startedMs + BASELINE_MS);
  }

  /** It had traffic before, and will have it again: what is open on it has not been left. */
  standsInFor(uplink: string, family: Family): boolean {
    return this.families.includes(family) && this.#carried.some((p) => p.uplink.name === uplink && p.family === family);
  }

  /**
   * The drill is over, and this one, which had traffic before, has not got it again yet: it is just being asked, or must be good for
   * a while. One that is not good, or less preferred than what was tried, does not get it again.
   */
  awaitsReturnOf(uplink: string, family: Family, scene: DrillScene): boolean {
    const path = pathOf(scene, uplink, family);
    if (!this.standsInFor(uplink, family) || path?.good !== true || inUse(scene, uplink, family)) return false;
    if (scene.adminOf(uplink) === 'disabled' || forcedUplink(scene) !== null) return false;
    const tried = pathOf(scene, this.uplink, family);
    // Who shared may join again with its next answer.
    if (tried === undefined || !inUse(scene, this.uplink, family)) return path.doubtful;
    return scene.paths.indexOf(path) < scene.paths.indexOf(tried);
  }

  /** Nobody's return is awaited. */
  hasReturned(scene: DrillScene): boolean {
    return !this.#carried.some((p) => this.awaitsReturnOf(p.uplink.name, p.family, scene));
  }

  /** An answer is overdue: a confirm burst has begun. The traffic does not wait for what it says. */
  suspected(family: Family): void {
    this.#overdue ??= family;
  }

  get wasSuspected(): boolean {
    return this.#overdue !== null;
  }

  /** Why it is over; null = it goes on. */
  watch(scene: DrillScene, nowMs: number): DrillEnd | null {
    if (nowMs >= this.startedMs + BASELINE_MS) this.#ready = true;
    for (const family of this.families) {
      const path = pathOf(scene, this.uplink, family);
      if (path === undefined || path.verdict.health === 'unknown') return brokenOff('it is being judged anew');
      if (!path.good) return { outcome: 'fails', why: trouble(path) };
      if (path.suspicion === 'silent') this.suspected(family);
      const counts = this.#counts.get(family);
      if (counts !== undefined && unanswered(counts, counts.former) && unanswered(counts, counts.last))
        return { outcome: 'fails', why: `probes are answered, but none of ${counts.last?.open} connections is` };
    }
    if (this.#overdue !== null) return brokenOff(`an answer was overdue (IPv${this.#overdue})`);
    const other = this.#whatElse(scene);
    if (other !== null) return brokenOff(other);
    if (nowMs > this.untilMs + OVERSLEPT_MS) return brokenOff('nobody was awake to watch it');
    if (nowMs >= this.untilMs) return { outcome: 'works', why: null };
    if (nowMs >= this.#countMs) {
      this.#countMs = nowMs + COUNT_EVERY_MS;
      for (const [family, counts] of this.#counts) counts.asked ??= this.#ask(family);
    }
    return null;
  }

  counted(count: FlowCount): void {
    for (const counts of this.#counts.values()) {
      if (counts.asked !== count.id) continue;
      counts.asked = null;
      // What is counted after the end tells nothing of before the beginning.
      if (this.#after === null) counts.before ??= count;
      counts.former = counts.last;
      counts.last = count;
    }
    this.#ready ||= this.#counted();
  }

  /** The traffic is off it again: the last figures, and a last count. */
  end(scene: DrillScene, nowMs: number): void {
    this.#after = this.#figures(scene, nowMs);
    // One that is under way may have been taken too early to show the last ones.
    for (const [family, counts] of this.#counts) counts.asked = this.#ask(family);
  }

  /** Whether counts, or the outcome of a confirm burst, are still to come. */
  awaits(scene: DrillScene): boolean {
    if (!this.#counted()) return true;
    return this.wasSuspected && this.#paths(scene).some((p) => p.suspicion === 'suspect');
  }

  /** What the last figures make of its end. */
  judged(end: DrillEnd, scene: DrillScene): DrillEnd {
    const bad = this.wasSuspected ? this.#paths(scene).find((p) => !p.good || p.suspicion === 'silent') : undefined;
    if (bad !== undefined) {
      const how = bad.good ? `IPv${bad.family} has fallen silent` : trouble(bad);
      return { outcome: 'fails', why: how };
    }
    if (end.outcome !== 'works') return end;
    const mute = [...this.#counts.values()].some((counts) => unanswered(counts, counts.last));
    if (mute) return { outcome: 'fails', why: 'probes are answered, but none of its connections was' };
    return this.dead.length > 0 ? { outcome: 'fails', why: `${this.dead.join('; ')}; the rest of it works` } : end;
  }

  /** Ended entries stay in conntrack for a while, so that short connections are in the last count too. */
  figures(): DrillFigures[] {
    return this.families.map((family) => {
      const counts = this.#counts.get(family);
      const after = this.#after?.get(family);
      return {
        family,
        connections: more(counts, 'open'),
        answered: more(counts, 'replied'),
        loss: after?.loss ?? null,
        rttMs: after?.rttMs ?? null,
        rttBeforeMs: this.#before.get(family)?.rttMs ?? null,
      };
    });
  }

  /** Something more important than the drill has happened; null = nothing has. */
  #whatElse(scene: DrillScene): string | null {
    const forced = forcedUplink(scene);
    if (forced !== null) return `the administrator forced ${forced}`;
    // Closed by its cap it is disabled too: as with an attempt, the cap is told.
    if (scene.closed(this.uplink)) return 'what it may cost in a month is used up';
    if (scene.adminOf(this.uplink) === 'disabled') return 'the administrator disabled it';
    for (const family of this.families) {
      const home = this.#homes.get(family) ?? null;
      const path = home === null ? undefined : pathOf(scene, home, family);
      if (path === undefined) return 'what it stands in for is gone';
      if (!path.good) return `${home} failed meanwhile: ${trouble(path)}`;
      const active = scene.families.find((f) => f.family === family)?.active;
      if (active !== home && active !== this.uplink) return `IPv${family} went to ${active ?? 'nobody'} meanwhile`;
    }
    return null;
  }

  /** Nothing that was asked for is still to come. */
  #counted(): boolean {
    return [...this.#counts.values()].every((c) => c.asked === null);
  }

  #paths(scene: DrillScene): DrillPath[] {
    return this.families.flatMap((family) => pathOf(scene, this.uplink, family) ?? []);
  }

  #figures(scene: DrillScene, nowMs: number): ReadonlyMap<Family, PathFigures> {
    return new Map(this.#paths(scene).map((path) => [path.family, path.figures(nowMs)]));
  }
}

function brokenOff(why: string): DrillEnd {
  return { outcome: 'broken-off', why };
}

/** Many came by it, and none was ever answered. */
function unanswered({ before }: Counts, count: FlowCount | null): boolean {
  return count !== null && count.replied === 0 && (count.open ?? 0) - (before?.open ?? 0) >= UNANSWERED;
}

function more(counts: Counts | undefined, of: 'open' | 'replied'): number | null {
  const first = counts?.before?.[of] ?? null;
  const last = counts?.last?.[of] ?? null;
  return first === null || last === null ? null : Math.max(0, last - first);
}
