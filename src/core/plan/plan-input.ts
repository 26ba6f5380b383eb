/**
 * Gathers what the plan is made of from the configuration, the paths and the choices. Decides nothing but the order in which
 * the kernel shall fall back to the uplinks that were not chosen.
 */
import type { FamilyChoice } from '../choose/choice.js';
import type { Config } from '../config.js';
import type { KernelState } from '../kernel.js';
import type { Admin, Family } from '../model.js';
import { isLinkLocal, splitZone } from '../net.js';
import type { Path } from '../paths/path.js';
import type { PlanInput, PlanShare } from './plan.js';
import type { NftWish } from './plan-nft.js';
import type { PlanPath } from './plan-path.js';
import type { Binding } from './plan-rules.js';
import { viaPlans } from './via.js';

export interface PlanParts {
  readonly config: Config;
  readonly families: readonly FamilyChoice[];
  readonly pathsOf: (family: Family) => readonly Path[];
  /** by order, or because its cap is reached */
  readonly adminOf: (uplink: string) => Admin;
  readonly bindings: readonly Binding[];
  /** the prefix delegated to us on an interface */
  readonly delegatedPrefix: (device: string | null) => string | null;
  /** interfaces that a LAN was seen on */
  readonly lans: ReadonlySet<string>;
  /** its connections are still to be ended, and go on until then */
  readonly lingers: (path: Path) => boolean;
  readonly gid: number;
  readonly state: KernelState;
}

/** Connections by this path may go on, and new ones may be sent by it: nobody has shut it, and it is not down. */
export function pathWorks(path: Path, adminOf: (uplink: string) => Admin): boolean {
  return path.verdict.health !== 'down' && adminOf(path.uplink.name) !== 'disabled';
}

/**
 * Whether the choice of a family is a place for connections that leave this path. One that is just being asked again may fail with this
 * one: its answer is waited for.
 */
export function isSomewhereToGo(path: Path, chosen: Path | undefined, works: (path: Path) => boolean): boolean {
  return chosen !== undefined && chosen !== path && chosen.verdict.health !== 'unknown' && !chosen.doubtful && works(chosen);
}

export function planInput(parts: PlanParts): PlanInput {
  const { config, families, adminOf } = parts;
  const works = (path: Path): boolean => pathWorks(path, adminOf);
  const mayLeave = (path: Path): boolean => {
    const active = families.find((f) => f.family === path.family)?.active;
    const chosen = parts.pathsOf(path.family).find((p) => p.uplink.name === active);
    return isSomewhereToGo(path, chosen, works);
  };
  // What is not ended yet goes on where it is. On a path that is down it waits there for somewhere to go: sent another way before
  // that, it would be reset (or forgotten) for nothing.
  const carries = (path: Path): boolean =>
    works(path) || (parts.lingers(path) && (path.verdict.health !== 'down' || !mayLeave(path)));
  const all = families.flatMap((f) => parts.pathsOf(f.family));
  const owns = (path: Path): boolean => ownsInterface(path, all, parts.state, parts.lans);
  return {
    numbers: config.kernel,
    paths: families.flatMap((f) => fallbackOrder(parts, f).map((p) => planPath(p, carries(p), owns(p)))),
    chosen: { 4: holdsFirstPlace(parts, 4), 6: holdsFirstPlace(parts, 6) },
    sharing: { 4: sharing(parts, 4), 6: sharing(parts, 6) },
    bindings: parts.bindings,
    via: viaPlans(config, all, works),
    nft: nftWish(config, all, parts.delegatedPrefix),
    setSysctls: config.sysctls === 'set',
    gid: parts.gid,
  };
}

/** Whether anything is wished of nft: only then is it asked. */
export function needsNft(config: Config, paths: readonly Path[]): boolean {
  const drops = config.sysctls === 'set' && paths.filter((p) => p.family === 6).length > 1;
  return drops || config.masquerade || config.lanPrefix !== null || (config.connections !== null && paths.length > 1);
}

export function nftWish(config: Config, paths: readonly Path[], delegated: (device: string | null) => string | null): NftWish {
  const prefixes = paths.flatMap((p): [number, string][] => {
    if (p.family !== 6) return [];
    const prefix = prefixOf(p, config.lanPrefix, delegated);
    return prefix === null ? [] : [[p.slot, prefix]];
  });
  return {
    dropRedirects: config.sysctls === 'set',
    connections:
      config.connections === null
        ? null
        : { inbound: config.connections.inbound === 'same', ends: config.connections.failover === 'end' },
    masquerade: config.masquerade,
    lanPrefix: config.lanPrefix,
    prefixes: new Map(prefixes),
  };
}

/**
 * What the LAN's prefix becomes on this path: the fixed one, or of the delegated one (often a /56) the first network as large as the
 * LAN's; null = none, not known, or too small.
 */
export function prefixOf(
  path: Path,
  lanPrefix: string | null,
  delegated: (device: string | null) => string | null,
): string | null {
  if (lanPrefix === null || path.uplink.prefix !== 'auto') return lanPrefix === null ? null : path.uplink.prefix;
  const [network, length] = delegated(path.interface)?.split('/') ?? [];
  const wanted = lanPrefix.split('/')[1];
  if (network === undefined || length === undefined || wanted === undefined) return null;
  return Number(length) <= Number(wanted) ? `${network}/${wanted}` : null;
}

function fallbackOrder({ pathsOf, adminOf }: PlanParts, { family, active }: FamilyChoice): Path[] {
  const fallback = (p: Path): number => {
    if (p.uplink.name === active) return -1;
    return adminOf(p.uplink.name) === 'disabled' ? 2 : p.verdict.health === 'down' ? 1 : 0;
  };
  return pathsOf(family).toSorted((a, b) => fallback(a) - fallback(b));
}

function holdsFirstPlace({ families, pathsOf }: PlanParts, family: Family): boolean {
  return families.some((f) => f.family === family && f.holdsFirstPlace(pathsOf(family)));
}

function sharing({ families, pathsOf }: PlanParts, family: Family): PlanShare[] {
  const shares = families.find((f) => f.family === family)?.sharing ?? [];
  return shares.flatMap(({ uplink, weight }) => {
    const path = pathsOf(family).find((p) => p.uplink.name === uplink);
    return path === undefined ? [] : [{ slot: path.slot, weight }];
  });
}

/** A path as far as this question goes; two with the same `uplink` are one uplink's. */
export interface Located {
  readonly uplink: unknown;
  readonly interface: string | null;
}

/** Bridges and ends of containers' cables: a network of this machine itself, which proves no LAN. */
const INNER = /^(docker|br-[0-9a-f]{12}$|veth|virbr|vnet|cni|flannel|cali|lxc|lxd|podman|ifb|dummy)/;

/** Interfaces on which a LAN may be: up, with an address, and no uplink on them. */
export function lansOf(all: readonly Located[], state: KernelState): string[] {
  const mayBe = state.links.filter((l) => !l.loopback && !l.pointToPoint && l.adminUp && !INNER.test(l.name));
  return mayBe
    .filter((l) => !all.some((p) => p.interface === l.name))
    .filter((l) => state.addresses.some((a) => a.ifindex === l.index && !isLinkLocal(a.address)))
    .map((l) => l.name);
}

/**
 * Neither another uplink nor the LAN is on its interface. The LAN must be somewhere: where no other interface is left, it is here.
 * @param former interfaces that a LAN was seen on: while they exist it has not come here, even if they have lost their addresses
 */
export function ownsInterface(
  path: Located,
  all: readonly Located[],
  state: KernelState,
  former: ReadonlySet<string> = new Set(),
): boolean {
  if (all.some((other) => other.uplink !== path.uplink && other.interface === path.interface)) return false;
  if (state.links.some((l) => l.name === path.interface && l.pointToPoint)) return true;
  const still = state.links.some((l) => former.has(l.name) && !all.some((p) => p.interface === l.name));
  return still || lansOf(all, state).length > 0;
}

function planPath(path: Path, works: boolean, own: boolean): PlanPath {
  const gateway = path.gateway === null ? null : splitZone(path.gateway)[0];
  return {
    family: path.family,
    slot: path.slot,
    hop: path.hop(),
    place: path.interface === null ? null : { interface: path.interface, gateway, mac: path.mac, own },
    works,
  };
}
