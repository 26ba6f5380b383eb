/**
 * `gateway: auto`: which next hop the system itself knows on an interface. Several may say so (routes of a DHCP client, of the
 * kernel's router discovery, of networkd; lease files; a point-to-point link itself); the newest word counts, since a client's own
 * route may be refused unseen while ours stands. Pure look-ups; knows nothing of health.
 */
import type { UplinkHint } from '../hint.js';
import type { LinkState, RouteState } from '../kernel.js';
import type { Family } from '../model.js';
import { isLinkLocal, sameAddress } from '../net.js';
import { protocolName } from '../plan/protocols.js';
import { isConnectedBy, MAIN_TABLE, onlinkHops, type RouteSight } from './topology.js';

export interface FoundGateway {
  /** null = none is needed: the link has only one other end */
  readonly address: string | null;
  /** who says so, for people */
  readonly source: string;
}

interface Claim extends FoundGateway {
  /** counts words heard: the highest is the newest */
  readonly heard: number;
  /** among words heard at the same time: a route in force before a lease, a lease before a route of former times */
  readonly weight: number;
}

/** What an RA, a DHCP client or an administrator put in main: in force now. */
const IN_FORCE = 4;
const LEASE = 3;
/** What an earlier run, or this one before a reload, went by. */
const LAST_KNOWN = 2;
/** A default that we took the place of. */
const DISPLACED = 1;
const LINK_ITSELF = 0;
const LAST_KEY = 'last known';

/** Our own routes name nobody here. */
export interface GatewaySight extends RouteSight {
  readonly link: LinkState;
}

/** A claim as somebody makes it now; `key` tells the claims apart. */
type Word = Omit<Claim, 'heard'> & { readonly key: string };

interface RouteHop {
  readonly route: RouteState;
  readonly address: string | null;
}

export class AutoGateway {
  readonly #family: Family;
  readonly #claims = new Map<string, Claim>();
  /** sources of hints: their claims stand until they say otherwise */
  readonly #hints = new Set<string>();
  /** routers whose neighbour entry has failed, until one is seen that has not */
  readonly #silent = new Set<string>();
  #heard = 0;
  #current: FoundGateway | null;
  /** of an earlier run, until the kernel was looked at */
  #last: string | null;

  /** @param last as an earlier run knew it; null = it knew none */
  constructor(family: Family, last: string | null) {
    this.#family = family;
    this.#last = last;
    this.#current = last === null ? null : { address: last, source: 'an earlier run' };
  }

  get current(): FoundGateway | null {
    return this.#current;
  }

  /** What it makes of it shows with the next look. */
  hear(hint: UplinkHint): void {
    this.#hints.add(hint.source);
    this.#heard += 1;
    if (hint.gateway === null) this.#claims.delete(hint.source);
    else this.#claim({ key: hint.source, address: hint.gateway, source: hint.source, weight: LEASE });
  }

  /** Looks at a new snapshot. @returns whether the next hop is another one than before */
  see(sight: GatewaySight): boolean {
    this.#heard += 1;
    const present = new Set<string>();
    const former = new Map(this.#claims);
    for (const word of this.#readKernel(sight)) {
      if (present.has(word.key)) continue;
      present.add(word.key);
      this.#claim(word, former);
    }
    for (const [key, { weight }] of this.#claims) {
      if (!present.has(key) && !this.#hints.has(key) && weight !== LAST_KNOWN) this.#claims.delete(key);
    }
    this.#recall();
    const before = this.#current;
    this.#current = this.#choose(sight, before);
    // Refuted once, it is no claim any more.
    const known = this.#claims.get(LAST_KEY);
    if (known !== undefined && !sameGateway(known, this.#current)) this.#claims.delete(LAST_KEY);
    return !sameGateway(before, this.#current);
  }

  /** At first sight nothing in the kernel is news: who says what was last known has said so last, and is believed on. */
  #recall(): void {
    const last = this.#last;
    this.#last = null;
    if (last === null) return;
    const confirmed = [...this.#claims].filter(([, claim]) => sameHop(claim.address, last) && !this.#isOvertaken(claim));
    for (const [key, claim] of confirmed) this.#claims.set(key, { ...claim, heard: this.#heard + 1 });
    // A router's link-local address is good for nothing once the router does not offer itself.
    if (confirmed.length === 0 && !isLinkLocal(last))
      this.#claim({ key: LAST_KEY, address: last, source: 'an earlier run', weight: LAST_KNOWN });
    this.#heard += 1;
  }

  /** A route of former times says nothing beside what its program has in force. */
  #isOvertaken({ weight, source }: Claim): boolean {
    return weight === DISPLACED && this.#claims.has(source);
  }

  /** @param former the claims before this look */
  #claim({ key, ...word }: Word, former: ReadonlyMap<string, Claim> = this.#claims): void {
    const said = [former.get(key)];
    // A route whose place we take says what it said in force, and one that comes back as it was has no news.
    if (word.weight === DISPLACED) said.push(former.get(word.source));
    if (word.weight === IN_FORCE) said.push(newestDisplaced(former, word.source));
    // What was said before stays as old as it is; a word that changes is new.
    const same = said.find((claim) => claim !== undefined && sameHop(claim.address, word.address));
    this.#claims.set(key, { ...word, heard: same?.heard ?? this.#heard });
  }

  #readKernel(sight: GatewaySight): Word[] {
    const { state, link, displaced } = sight;
    const saying = (hops: readonly RouteHop[], weight: number): Word[] =>
      hops.map(({ route, address }) => {
        const source = `route of ${protocolName(route.protocol)}`;
        return { key: weight === DISPLACED ? `former ${source} by ${address}` : source, address, source, weight };
      });
    const standing = this.#hopsOf(state.routes, sight);
    this.#noteNeighbours(sight, standing);
    const itself = link.pointToPoint && state.addresses.some((a) => a.ifindex === link.index && a.family === this.#family);
    return [
      ...saying(this.#byRank(standing), IN_FORCE),
      // The newest of those that stood in our place stands last.
      ...saying(this.#hopsOf([...displaced].reverse(), sight), DISPLACED),
      ...(itself ? [{ key: 'link', address: null, source: 'point-to-point link', weight: LINK_ITSELF }] : []),
    ];
  }

  /** Next hops on the link of others' defaults in main, those of the lowest metric first. */
  #hopsOf(routes: readonly RouteState[], { link, ownProtocol }: GatewaySight): RouteHop[] {
    return routes
      .filter((r) => r.family === this.#family && r.table === MAIN_TABLE && r.destination === 'default' && r.type === 'unicast')
      .filter((r) => r.protocol !== ownProtocol)
      .toSorted((a, b) => a.metric - b.metric)
      .flatMap((route) =>
        route.nexthops.filter((hop) => hop.ifindex === link.index).map((hop) => ({ route, address: hop.gateway })),
      );
  }

  /** Of several the kernel would take the better one (RFC 4191), but none that is gone; among equals the one in use stays. */
  #byRank(hops: readonly RouteHop[]): RouteHop[] {
    const silent = ({ address }: RouteHop): number => (address !== null && this.#silent.has(address) ? 1 : 0);
    const rank = ({ route }: RouteHop): number => (route.preference === 'high' ? 0 : route.preference === 'low' ? 2 : 1);
    const other = ({ address }: RouteHop): number => (this.#current !== null && sameHop(this.#current.address, address) ? 0 : 1);
    return hops.toSorted(
      (a, b) => silent(a) - silent(b) || a.route.metric - b.route.metric || rank(a) - rank(b) || other(a) - other(b),
    );
  }

  /**
   * Nobody asks for a router that is passed over, and its entry is forgotten in time: it stays silent until it shows itself, as by its
   * next advertisement.
   */
  #noteNeighbours({ state, link }: GatewaySight, hops: readonly RouteHop[]): void {
    const addresses = hops.flatMap(({ address }) => address ?? []);
    for (const silent of this.#silent) if (!addresses.includes(silent)) this.#silent.delete(silent);
    if (addresses.length < 2) return;
    for (const address of addresses) {
      const entry = state.neighbours.find((n) => n.ifindex === link.index && sameAddress(n.address, address));
      if (entry?.state === 'failed') this.#silent.add(address);
      else if (entry !== undefined && entry.state !== 'incomplete' && entry.state !== 'none') this.#silent.delete(address);
    }
  }

  #choose(sight: GatewaySight, before: FoundGateway | null): FoundGateway | null {
    const { state, link } = sight;
    const onlink = onlinkHops(sight, this.#family);
    const reachable = (address: string | null): boolean =>
      address === null || isConnectedBy(state, this.#family, address, link, onlink);
    const counting = [...this.#claims.values()].filter((claim) => !this.#isOvertaken(claim));
    const byNews = counting.sort((a, b) => b.heard - a.heard || b.weight - a.weight);
    const best =
      byNews.find((claim) => claim.weight !== LINK_ITSELF && reachable(claim.address)) ??
      byNews.find((c) => reachable(c.address));
    // However it is spelled: the same router is no other one.
    const spelled = ({ address, source }: Claim): FoundGateway =>
      before !== null && sameHop(before.address, address) ? { address: before.address, source } : { address, source };
    if (best !== undefined) return spelled(best);
    // Nobody says anything now that the link could reach: what was true is still worth a try while it can. A router that has
    // taken its advertisement back is gone, though, and its address is reachable on any link.
    if (before !== null && before.address !== null && !isLinkLocal(before.address) && reachable(before.address)) return before;
    const [any] = byNews;
    if (any !== undefined) return spelled(any);
    return before !== null && before.address !== null && !link.adminUp ? before : null;
  }
}

function newestDisplaced(claims: ReadonlyMap<string, Claim>, source: string): Claim | undefined {
  const displaced = [...claims.values()].filter((claim) => claim.weight === DISPLACED && claim.source === source);
  return displaced.toSorted((a, b) => b.heard - a.heard)[0];
}

function sameHop(a: string | null, b: string | null): boolean {
  return a === null || b === null ? a === b : sameAddress(a, b);
}

function sameGateway(a: FoundGateway | null, b: FoundGateway | null): boolean {
  return a === null || b === null ? a === b : sameHop(a.address, b.address);
}
