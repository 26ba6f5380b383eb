/**
 * Routers that offer themselves by router advertisement (RFC 4861) where only this gateway should be: clients believe them and
 * go around it. Told once when one appears and once when it is gone. Never answers and never changes anything.
 */

import type { RouterAdvert } from '../hint.js';
import type { HistoryRecord, RogueView } from '../messages.js';
import { sameAddress, splitZone } from '../net.js';
import { formatDuration } from '../show/describe.js';
import { recordOf } from '../show/records.js';

/** A router may be late with its next advertisement: it has come and gone only when it was away for longer than this. */
const LEAST_GONE_MS = 60_000;
/** Who floods a network with forged advertisements shall not fill logs and memory. */
const MAX_ROUTERS = 32;

/** An interface by which uplinks are reached. */
export interface UplinkGround {
  readonly interface: string;
  /** more than one uplink is reached by it, so the clients are there as well (one-armed); else its routers may advertise */
  readonly shared: boolean;
  /** the uplinks' routers on it: an IPv6 address, with or without zone, and the MAC where the neighbour table has it */
  readonly routers: readonly { readonly uplink: string; readonly address: string; readonly mac: string | null }[];
}

export interface RoguesPort {
  wallMs(monotonicMs: number): number;
  record(record: HistoryRecord): void;
  /** `look` wants to be called then. */
  wakeAt(atMs: number): void;
}

interface Router {
  advert: RouterAdvert;
  lastMs: number;
  untilMs: number;
}

export class Rogues {
  readonly #port: RoguesPort;
  readonly #routers = new Map<string, Router>();
  #ground: readonly UplinkGround[] = [];
  #floodTold = false;

  constructor(port: RoguesPort) {
    this.#port = port;
  }

  /** @param ground null = nothing is watched */
  configure(ground: readonly UplinkGround[] | null): void {
    this.#ground = ground ?? [];
    for (const [key, { advert }] of this.#routers) if (ground === null || this.#belongs(advert)) this.#routers.delete(key);
  }

  take(advert: RouterAdvert, nowMs: number): void {
    if (this.#belongs(advert)) return;
    this.look(nowMs);
    const key = `${splitZone(advert.from)[0]} ${advert.interface}`;
    const known = this.#routers.get(key);
    if (advert.lifetimeS === 0) {
      if (known !== undefined) this.#gone(key, known, 'it no longer offers itself');
      return;
    }
    if (known === undefined && this.#routers.size >= MAX_ROUTERS) {
      this.#flooded(advert);
      return;
    }
    const router: Router = { advert, lastMs: nowMs, untilMs: nowMs + Math.max(LEAST_GONE_MS, advert.lifetimeS * 1000) };
    this.#routers.set(key, router);
    this.#port.wakeAt(router.untilMs);
    if (known === undefined) this.#tell('warning', advert, this.#accusation(advert));
  }

  /** Looks who is gone; when `wakeAt` said so, or more often. */
  look(nowMs: number): void {
    for (const [key, router] of this.#routers) {
      if (nowMs < router.untilMs) continue;
      this.#gone(key, router, `nothing was heard of it for ${formatDuration(nowMs - router.lastMs)}`);
    }
    if (this.#routers.size === 0) this.#floodTold = false;
  }

  view(): RogueView[] {
    return [...this.#routers.values()].map(({ advert, lastMs }) => ({
      interface: advert.interface,
      from: advert.from,
      mac: advert.mac,
      lastWallMs: Math.round(this.#port.wallMs(lastMs)),
    }));
  }

  /** A provider's router on an interface that an uplink has for itself. */
  #belongs(advert: RouterAdvert): boolean {
    return this.#ground.some((g) => g.interface === advert.interface && !g.shared);
  }

  #accusation(advert: RouterAdvert): string {
    const { interface: name, prefixes } = advert;
    const harm = `clients on ${name} may leave by it and bypass this gateway`;
    const handsOut = prefixes.length === 0 ? '' : `, with addresses of ${prefixes.join(', ')}`;
    const ground = this.#ground.find((g) => g.interface === name);
    // It advertises by its link-local address, whatever the address by which the uplink knows it.
    const own = ground?.routers.find(
      (r) => sameAddress(splitZone(r.address)[0], splitZone(advert.from)[0]) || (r.mac !== null && r.mac === advert.mac),
    );
    const remedy =
      own === undefined
        ? 'Find it by its MAC and end its advertisements, or have the switch drop them (RA guard)'
        : 'Set the lifetime in its advertisements to 0, or end them, and advertise this gateway instead';
    const who = own === undefined ? `router ${named(advert)}` : `the router of ${own.uplink}, ${named(advert)},`;
    return `${who} on ${name} offers itself to the network${handsOut}: ${harm}. ${remedy}`;
  }

  #gone(key: string, { advert }: Router, why: string): void {
    this.#routers.delete(key);
    this.#tell('notice', advert, `router ${named(advert)} on ${advert.interface} is gone: ${why}`);
  }

  #flooded(advert: RouterAdvert): void {
    if (this.#floodTold) return;
    this.#floodTold = true;
    const text = `more than ${MAX_ROUTERS} routers offer themselves, the last on ${advert.interface}: probably forged. No more are told`;
    this.#tell('error', advert, text);
  }

  #tell(severity: HistoryRecord['severity'], advert: RouterAdvert, text: string): void {
    const { interface: name, from, mac, lifetimeS } = advert;
    this.#port.record(
      recordOf('rogue', severity, text, null, { interface: name, from, mac, lifetimeS, present: severity !== 'notice' }),
    );
  }
}

function named({ from, mac }: RouterAdvert): string {
  return mac === null ? from : `${from} (${mac})`;
}
