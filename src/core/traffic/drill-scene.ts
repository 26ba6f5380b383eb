/**
 * How things are, as far as a drill is concerned, and whether an uplink can be tried in it. Pure questions: knows no time of
 * day, no schedule and no running drill.
 */
import { DRILL_SHARE } from '../config.js';
import type { PathFigures, Verdict } from '../detect/health.js';
import { type Admin, type Family, reasonText } from '../model.js';
import { formatDuration } from '../show/describe.js';

/** After a switch, and between two uplinks of one drill, the dust shall settle. */
export const CALM_MS = 600_000;

/** What a drill looks at of a path: core/paths/path.ts has it all. */
export interface DrillPath {
  readonly uplink: { readonly name: string };
  readonly family: Family;
  readonly good: boolean;
  readonly doubtful: boolean;
  readonly suspicion: 'none' | 'suspect' | 'silent';
  readonly verdict: Verdict;
  figures(nowMs: number): PathFigures;
}

/** … and of the choice of a family: core/choose/choice.ts. */
export interface DrillChoice {
  readonly family: Family;
  readonly active: string | null;
  readonly sinceMs: number;
}

export interface DrillScene {
  /** in order of preference */
  readonly paths: readonly DrillPath[];
  readonly families: readonly DrillChoice[];
  readonly adminOf: (uplink: string) => Admin;
  /** its cap is reached */
  readonly closed: (uplink: string) => boolean;
  /** connections finish on it */
  readonly draining: (uplink: string) => boolean;
  /** it takes its share of the new connections in this family anyway */
  readonly shares: (uplink: string, family: Family) => boolean;
}

/** `go`: by these paths now. `dead`: it could not take over. `wait`: perhaps later. `skip`: not this time. */
export type Feasibility =
  | { readonly kind: 'go'; readonly paths: readonly DrillPath[]; readonly dead: readonly string[] }
  | { readonly kind: 'wait' | 'skip' | 'dead'; readonly why: string };

/** @param ordered somebody wants it now: the dust of the last switch is his own business */
export function canTry(uplink: string, scene: DrillScene, ordered: boolean, nowMs: number): Feasibility {
  const mine = scene.paths.filter((p) => p.uplink.name === uplink);
  if (mine.length === 0) return { kind: 'skip', why: 'there is no such uplink' };
  if (scene.closed(uplink)) return { kind: 'skip', why: 'what it may cost in a month is used up' };
  if (scene.adminOf(uplink) === 'disabled') return { kind: 'skip', why: 'the administrator disabled it' };
  const forced = forcedUplink(scene);
  if (forced !== null) return { kind: 'wait', why: `${forced} is forced by the administrator` };
  const unused = mine.filter((p) => !inUse(scene, uplink, p.family));
  if (unused.length === 0) return { kind: 'skip', why: 'it is in use: that is trial enough' };
  for (const { family } of unused) {
    const why = unrest(family, scene, ordered ? 0 : CALM_MS, nowMs);
    if (why !== null) return { kind: 'wait', why };
  }
  if (scene.draining(uplink)) return { kind: 'wait', why: 'connections still finish on it' };
  if (unused.some((p) => p.verdict.health === 'unknown')) return { kind: 'wait', why: 'it has not been judged yet' };
  const good = unused.filter((p) => p.good);
  const dead = unused.filter((p) => !p.good).map((p) => `it could not take over: ${trouble(p)}`);
  if (good.length === 0) return { kind: 'dead', why: dead.join('; ') };
  if (good.some((p) => p.doubtful)) return { kind: 'wait', why: 'its own answers are just being confirmed' };
  return { kind: 'go', paths: good, dead };
}

/** Why nothing may be tried with the traffic of this family now; null = all is calm. */
function unrest(family: Family, scene: DrillScene, calmMs: number, nowMs: number): string | null {
  const choice = scene.families.find((f) => f.family === family);
  const active = choice?.active ?? null;
  const path = active === null ? undefined : pathOf(scene, active, family);
  if (choice === undefined || active === null || path === undefined)
    return `nothing carries IPv${family}, to which it could go back`;
  if (!path.good) return `${active} itself is in trouble: ${trouble(path)}`;
  if (path.doubtful) return `${active} itself is in doubt`;
  const sinceMs = nowMs - choice.sinceMs;
  return sinceMs < calmMs ? `IPv${family} came to ${active} only ${formatDuration(sinceMs)} ago` : null;
}

export function pathOf(scene: DrillScene, uplink: string, family: Family): DrillPath | undefined {
  return scene.paths.find((p) => p.uplink.name === uplink && p.family === family);
}

export function forcedUplink(scene: DrillScene): string | null {
  return scene.paths.find((p) => scene.adminOf(p.uplink.name) === 'forced')?.uplink.name ?? null;
}

/** It carries traffic all day long: that needs no drill. */
export function inUse(scene: DrillScene, uplink: string, family: Family): boolean {
  return scene.shares(uplink, family) || scene.families.some((f) => f.family === family && f.active === uplink);
}

/** `IPv4 is down, the gateway itself does not answer` */
export function trouble({ family, verdict }: DrillPath): string {
  return `IPv${family} is ${verdict.health}, ${reasonText[verdict.reason]}`;
}

/**
 * Weights of the uplinks in use and of one that joins them for a drill, so that one new connection of {@link DRILL_SHARE} goes
 * by it: all of them 1..256, as the kernel has them.
 */
export function drillWeights<T>(
  members: readonly { readonly uplink: T; readonly weight: number }[],
  joins: T,
): readonly { readonly uplink: T; readonly weight: number }[] {
  const total = members.reduce((sum, m) => sum + m.weight, 0);
  const largest = Math.max(total, ...members.map((m) => (DRILL_SHARE - 1) * m.weight));
  const scaled = (weight: number): number => Math.max(1, Math.round(weight * Math.min(1, 256 / largest)));
  const others = members.map(({ uplink, weight }) => ({ uplink, weight: scaled((DRILL_SHARE - 1) * weight) }));
  return [...others, { uplink: joins, weight: scaled(total) }];
}
