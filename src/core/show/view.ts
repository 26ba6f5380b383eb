/**
 * The one view of everything, for `status`, the control socket and later the HTTP API: built from the engine's objects,
 * deciding nothing.
 */
import type { FamilyChoice } from '../choose/choice.js';
import { tiersOf } from '../choose/selector.js';
import { type Config, probeMark, tableOf } from '../config.js';
import type { Target } from '../detect/target.js';
import type { FamilyView, FollowerView, PathView, PatienceView, StatusView, TargetView, UplinkView } from '../messages.js';
import { type Admin, reasonText } from '../model.js';
import type { Path } from '../paths/path.js';
import { pathWorks, prefixOf } from '../plan/plan-input.js';
import { viaViews } from '../plan/via.js';
import type { Traffic } from '../traffic/traffic.js';
import { formatDuration } from './describe.js';

export interface ViewSource {
  readonly now: number;
  readonly wallMs: (monotonicMs: number) => number;
  readonly config: Config;
  readonly families: readonly FamilyChoice[];
  readonly paths: readonly Path[];
  readonly adminOf: (uplink: string) => Admin;
  readonly services: readonly FollowerView[];
  readonly traffic: Traffic;
  /** the prefix delegated to us on an interface */
  readonly delegatedPrefix: (device: string | null) => string | null;
  /** sentences of the keeper */
  readonly refusals: readonly string[];
  readonly rationed: boolean;
}

export function buildView(source: ViewSource): StatusView {
  const { config, paths, families } = source;
  return {
    version: 1,
    wallMs: Math.round(source.wallMs(source.now)),
    dryRun: false,
    families: families.map((f) => familyView(f, source)),
    uplinks: config.uplinks.map((uplink): UplinkView => {
      const mine = paths.filter((p) => p.uplink.name === uplink.name);
      const slot = mine[0]?.slot ?? 0;
      return {
        name: uplink.name,
        admin: source.adminOf(uplink.name),
        slot,
        table: tableOf(config.kernel, slot),
        mark: probeMark(config.kernel, slot),
        tier: uplink.tier,
        weight: uplink.weight,
        usage: source.traffic.usageView(uplink.name, source.now),
        prefix: prefixView(mine, source),
        paths: mine.map((p) => pathView(p, families.find((f) => f.family === p.family)?.active === uplink.name, source)),
      };
    }),
    services: source.services,
    via: viaViews(config, paths, (path) => pathWorks(path, source.adminOf) && !source.traffic.closed(path.uplink.name)),
    drill: source.traffic.drillView(source.now),
    rogues: source.traffic.rogueViews(),
    // The engine does not know it: the daemon puts it in.
    outbox: { waiting: 0, refused: 0 },
    problems: problemsOf(source),
  };
}

function prefixView(paths: readonly Path[], { config, delegatedPrefix }: ViewSource): string | null {
  const path = paths.find((p) => p.family === 6);
  return path === undefined ? null : prefixOf(path, config.lanPrefix, delegatedPrefix);
}

function familyView(family: FamilyChoice, source: ViewSource): FamilyView {
  return {
    family: family.family,
    active: family.active,
    sharing: family.sharing,
    reason: family.reason,
    sinceWallMs: Math.round(source.wallMs(family.sinceMs)),
    next: nextSwitch(family, source),
  };
}

/** Failback that will come if nothing changes. */
function nextSwitch(family: FamilyChoice, source: ViewSource): { readonly uplink: string; readonly inMs: number } | null {
  if (source.paths.some((p) => source.adminOf(p.uplink.name) === 'forced')) return null;
  const mine = source.paths.filter((p) => p.family === family.family);
  const tiers = tiersOf(mine.map((p) => p.uplink.tier));
  const activeTier = tiers[mine.findIndex((p) => p.uplink.name === family.active)];
  for (const [i, path] of mine.entries()) {
    // One of the same tier will share, and the active one stays what it is.
    if (tiers[i] === activeTier) return null;
    const { name } = path.uplink;
    const leftMs = path.holdDownLeftMs(source.now);
    if (path.good && leftMs !== null && source.adminOf(name) === 'auto' && !source.traffic.closed(name))
      return { uplink: name, inMs: Math.ceil(leftMs) };
  }
  return null;
}

function pathView(path: Path, active: boolean, source: ViewSource): PathView {
  const figures = path.figures(source.now);
  const leftMs = path.good ? path.holdDownLeftMs(source.now) : null;
  return {
    family: path.family,
    active,
    health: path.verdict.health,
    reason: path.verdict.reason,
    sinceWallMs: Math.round(source.wallMs(path.sinceMs)),
    suspicion: path.suspicion,
    interface: path.interface,
    gateway: path.gateway,
    gatewaySource: path.auto?.current?.source ?? null,
    draining: source.traffic.drainingOn(path),
    loss: figures.loss,
    rttMs: figures.rttMs,
    jitterMs: figures.jitterMs,
    holdDownLeftMs: leftMs === null || leftMs === 0 ? null : Math.ceil(leftMs),
    holdDownMs: path.holdDownMs(),
    holdDownGround: leftMs === null || leftMs === 0 ? null : path.holdGround(),
    patience: patienceView(path, source.now),
    targets: path.detector.targets.map((t) => targetView(t, source.now)),
  };
}

function patienceView(path: Path, now: number): PatienceView {
  const endsMs = path.patienceEndsMs();
  const leftMs = endsMs === null ? null : Math.max(0, Math.ceil(endsMs - now));
  const given = path.uplink.failAfterMs;
  if (given !== null) return { learned: false, ms: given, ground: null, leftMs };
  return { learned: true, ...path.silences.patience(now), leftMs };
}

function targetView(target: Target, now: number): TargetView {
  const summary = target.window.summarize(now);
  return {
    label: target.spec.label,
    kind: target.spec.question.kind,
    address: target.spec.address,
    alive: target.everAnswered || target.lastFailure !== null ? !target.silent && target.everAnswered : null,
    loss: summary.loss,
    rttMs: summary.rttMs,
    jitterMs: summary.jitterMs,
    deadlineMs: target.deadlineMs,
    lastFailure: target.lastFailure === null ? null : `${target.lastFailure.reason}: ${target.lastFailure.detail}`,
    note: target.note,
  };
}

function problemsOf(source: ViewSource): string[] {
  const problems: string[] = [];
  const { paths, families, now } = source;
  for (const family of families) {
    const mine = paths.filter((p) => p.family === family.family && source.adminOf(p.uplink.name) !== 'disabled');
    if (mine.length > 1 && mine.every((p) => p.verdict.health === 'down')) {
      problems.push(
        `no uplink works for IPv${family.family}: if all fell silent at once, look at this machine first (LAN port, switch, firewall)`,
      );
    }
  }
  for (const path of paths) {
    const name = `${path.uplink.name} (IPv${path.family})`;
    if (source.adminOf(path.uplink.name) === 'forced' && path.verdict.health === 'down') {
      problems.push(`${name} is forced although ${reasonText[path.verdict.reason]}`);
    }
    for (const target of path.detector.targets) {
      if (target.reportedDead)
        problems.push(
          `${name}: target ${target.spec.label} has not answered for ${formatDuration(now - (target.silentSinceMs ?? now))}`,
        );
      if (target.note !== null) problems.push(`${name}: target ${target.spec.label}: ${target.note}`);
    }
  }
  for (const { name, metered } of source.config.uplinks) {
    const device = source.traffic.uncountedOn(name);
    if (metered !== null && metered.capBytes !== null && device !== null)
      problems.push(`${name}: the LAN or another uplink is on ${device} too: what ${name} costs cannot be counted`);
  }
  for (const refusal of source.refusals) problems.push(`the kernel refuses ${refusal}`);
  for (const service of source.services) {
    if (service.failures > 0) problems.push(`${service.name} does not follow ${service.desired}: ${service.text}`);
  }
  if (source.rationed) problems.push('another program keeps changing our routes: they are put back once a minute');
  return problems;
}
