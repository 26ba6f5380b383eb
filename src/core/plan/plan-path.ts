/** One path as the plan needs it, and which paths share an interface. Pure data; knows nothing of how it came about. */
import type { Family } from '../model.js';

export interface Hop {
  readonly ifindex: number;
  readonly interface: string;
  /** null = the link has only one other end */
  readonly gateway: string | null;
  /** the gateway is on the link though no network there may hold it */
  readonly onlink: boolean;
}

export interface Place {
  readonly interface: string;
  readonly gateway: string | null;
  readonly mac: string | null;
  /** the interface is this uplink's alone: neither another uplink nor the LAN is on it */
  readonly own: boolean;
}

export interface PlanPath {
  readonly family: Family;
  readonly slot: number;
  /** null where no route can be installed now; its guard and rule stand all the same */
  readonly hop: Hop | null;
  /** where it was last, with or without a way through it now; null = never found */
  readonly place: Place | null;
  /** connections that go by it may go on: it is not down, and not disabled */
  readonly works: boolean;
}

/** Interfaces that an uplink of the family has not for itself: the one-armed topology, where redirects would bend clients and probes. */
export function sharedInterfaces(paths: readonly PlanPath[], family: Family): string[] {
  const names = paths.flatMap((p) => (p.family === family && p.place !== null ? [p.place.interface] : []));
  const mixed = paths.flatMap((p) => (p.family === family && p.place?.own === false ? [p.place.interface] : []));
  return [...new Set([...names.filter((name, i) => names.indexOf(name) !== i), ...mixed])].sort();
}
