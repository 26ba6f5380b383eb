/**
 * What others know and the routing tables do not show: the next hop in a lease whose route could not be added, a delegated
 * prefix, a stranger's router advertisement. Read by src/kernel/lease/ and src/kernel/router-adverts.ts.
 */
import type { Family } from './model.js';

/** One source's present word on one interface and family. A later word of the same source replaces it. */
export interface UplinkHint {
  readonly interface: string;
  readonly family: Family;
  /** who says so, as people would name it: `dhclient's lease`, `exit hook`, `networkd's lease` */
  readonly source: string;
  /** the next hop; null = this source knows none (any more): expired, released */
  readonly gateway: string | null;
  /** IPv6 prefix delegated to us, `address/length`; null = none */
  readonly prefix: string | null;
}

/** A router advertisement that came in by an interface, from somebody else. RFC 4861, 4.2. */
export interface RouterAdvert {
  readonly interface: string;
  /** its link-local source */
  readonly from: string;
  /** as the frame or the option says; null = unknown */
  readonly mac: string | null;
  /** 0 = it does not offer itself as a default router (any more) */
  readonly lifetimeS: number;
  /** of its prefix information options, `address/length` */
  readonly prefixes: readonly string[];
}
