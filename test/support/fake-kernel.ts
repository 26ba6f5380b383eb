/**
 * A kernel in memory that plays the part of src/kernel/: core's kernel model plus what links, addresses and other
 * programs do to it. Everything is synchronous and without a clock; VirtualWorld brings the time.
 */
import { familyOf, parseAddress } from '../../src/core/address.js';
import type {
  AddressState,
  Kernel,
  KernelChange,
  KernelOp,
  KernelState,
  LinkCounters,
  LinkState,
  NeighbourState,
  Nexthop,
  OpResult,
  RouteState,
  SnapshotRequest,
} from '../../src/core/kernel.js';
import type { Family } from '../../src/core/model.js';
import { applyOp, keptHops, samePlace, sameRoute } from '../../src/core/plan/kernel-model.js';
import { connectedRoutes, MAIN_TABLE, PROTOCOL_KERNEL } from './fake-connected.js';
import { type Fib, lookUp, type Packet, type Verdict, waysOf } from './fake-fib.js';
import { FakeSysctls } from './fake-sysctls.js';
import { renderKernel } from './render-kernel.js';

export { MAIN_TABLE } from './fake-connected.js';

/** Decides whether an operation fails: its errno, or null. `index` counts every operation since the kernel was made. */
export type Sabotage = (op: KernelOp, index: number) => string | null;

export class FakeKernel implements Kernel {
  /** goes up with every change of anything: a cheap key for caches */
  version = 0;
  sabotage: Sabotage | null = null;
  #state: KernelState = {
    links: [],
    addresses: [],
    routes: [],
    rules: [],
    neighbours: [],
    sysctls: {},
    nft: { fingerprint: 'absent' },
  };
  readonly #sysctls = new FakeSysctls((name) => this.findLink(name) !== undefined);
  #watchers: ((change: KernelChange) => void)[] = [];
  #opCount = 0;
  /** RTNH_F_DEAD: next hops over a link that is down, or, in IPv4, has lost its last address */
  readonly #dead = new WeakSet<Nexthop>();
  /** verdicts of `lookup` as long as nothing changes: it is asked for every probe and every instant */
  #known = new Map<string, Verdict>();
  #knownAt = -1;

  addLink(name: string, flags: Partial<LinkState> = {}): number {
    const index = flags.index ?? this.#state.links.length + 1;
    const link = { index, name, adminUp: true, carrier: true, loopback: name === 'lo', pointToPoint: false, ...flags };
    this.#set({ links: [...this.#state.links, link] }, 'link');
    return index;
  }

  /** `peer`: of a point-to-point link, whose own address is then that of a host */
  addAddress(name: string, network: string, peer: string | null = null): void {
    const [address = '', length = ''] = network.split('/');
    const parsed = parseAddress(address);
    if (parsed === null) throw new Error(`not an address: ${network}`);
    const link = this.link(name);
    const entry: AddressState = {
      ifindex: link.index,
      family: familyOf(parsed),
      address,
      prefixLength: Number(length),
      peer,
      tentative: false,
    };
    this.#set({ addresses: [...this.#state.addresses, entry] }, 'address');
    this.#connect(entry);
    if (entry.family === 4) this.#revive(link, 4);
  }

  /** IPv4: with the last address every next hop over the link is dead (fib_disable_ip). IPv6 keeps all but its connected networks. */
  removeAddresses(name: string, family: Family): void {
    const { index } = this.link(name);
    const gone = this.#state.addresses.filter((entry) => entry.ifindex === index && entry.family === family);
    this.#set({ addresses: this.#state.addresses.filter((entry) => !gone.includes(entry)) }, 'address');
    if (family === 6) {
      const connected = (route: RouteState) => route.family === 6 && route.protocol === PROTOCOL_KERNEL && isOver(route, index);
      this.#setRoutes(this.#state.routes.filter((route) => !connected(route)));
      return;
    }
    this.#kill(index, 4);
  }

  link(name: string): LinkState {
    const link = this.findLink(name);
    if (link === undefined) throw new Error(`no link ${name}`);
    return link;
  }

  findLink(name: string): LinkState | undefined {
    return this.#state.links.find((candidate) => candidate.name === name);
  }

  linkName(index: number): string {
    return this.#state.links.find((candidate) => candidate.index === index)?.name ?? `if${index}`;
  }

  /** A pulled cable: routes stay, flagged linkdown. */
  setCarrier(name: string, carrier: boolean): void {
    this.#changeLink(name, { carrier });
    this.#revive(this.link(name), 6);
  }

  /**
   * `ip link set down`: routes go when their last next hop is dead, IPv4's without a word; IPv6 static addresses go as well.
   * `up` revives the next hops of what is left (IPv6's with the carrier) and brings back connected networks only.
   */
  setAdmin(name: string, adminUp: boolean): void {
    const link = this.link(name);
    if (link.adminUp === adminUp) return;
    this.#changeLink(name, { adminUp });
    if (adminUp) {
      this.#revive(this.link(name), 4);
      this.#revive(this.link(name), 6);
      for (const entry of this.#state.addresses) if (entry.ifindex === link.index) this.#connect(entry);
      return;
    }
    this.#set(
      { addresses: this.#state.addresses.filter((entry) => entry.ifindex !== link.index || entry.family === 4) },
      'address',
    );
    this.#set({ neighbours: this.#state.neighbours.filter((entry) => entry.ifindex !== link.index) }, 'neighbour');
    this.#kill(link.index, 4);
    this.#kill(link.index, 6);
  }

  /** Takes IPv4 routes with any next hop over it whole; IPv6 loses that next hop. */
  removeLink(name: string): void {
    const { index } = this.link(name);
    this.setAdmin(name, false);
    this.#set({ addresses: this.#state.addresses.filter((entry) => entry.ifindex !== index) }, 'address');
    const routes = this.#state.routes.flatMap((route) => {
      if (!isOver(route, index)) return [route];
      if (route.family === 4) return [];
      const nexthops = route.nexthops.filter((hop) => hop.ifindex !== index);
      return nexthops.length === 0 ? [] : [{ ...route, nexthops: keptHops(nexthops) }];
    });
    this.#setRoutes(routes);
    this.#set({ links: this.#state.links.filter((link) => link.index !== index) }, 'link');
    this.#sysctls.dropDevice(name);
  }

  /** Keeps its number, its routes and its settings. */
  renameLink(name: string, to: string): void {
    this.#changeLink(name, { name: to });
    this.#sysctls.renameDevice(name, to);
  }

  setAltNames(name: string, altNames: readonly string[]): void {
    this.#changeLink(name, { altNames });
  }

  /** The kernel says nothing of it: counters are read, not told. */
  setCounters(name: string, counters: LinkCounters): void {
    this.#state = { ...this.#state, links: this.#state.links.map((link) => (link.name === name ? { ...link, counters } : link)) };
    this.version += 1;
  }

  setNeighbour(neighbour: NeighbourState): void {
    const others = this.#state.neighbours.filter((n) => n.ifindex !== neighbour.ifindex || n.address !== neighbour.address);
    this.#set({ neighbours: [...others, neighbour] }, 'neighbour');
  }

  setSysctl(key: string, value: string): void {
    this.#sysctls.set(key, value);
    this.version += 1;
  }

  sysctl(key: string): string | null {
    return this.#sysctls.get(key);
  }

  /** Another program at work: the same rules, no permission asked, and everybody is told. Returns the errno. */
  foreign(op: KernelOp): string | null {
    return this.#carryOut(op).errno;
  }

  /** `ip route prepend`: another program puts its route before the others of the same metric (NLM_F_CREATE alone). */
  prepend(route: RouteState): void {
    const rivals = this.#state.routes.filter((other) => samePlace(other, route));
    if (rivals.some((other) => sameRoute(other, route))) return;
    const first = this.#state.routes.findIndex((other) => rivals.includes(other));
    // in IPv6 every further one joins the multipath route
    if (route.family === 6) this.foreign({ op: 'route-append', route });
    else if (first < 0) this.foreign({ op: 'route-add', route });
    else this.#set({ routes: this.#state.routes.toSpliced(first, 0, route) }, 'route');
  }

  applyNow(ops: readonly KernelOp[]): OpResult[] {
    return ops.map((op) => {
      const index = this.#opCount;
      this.#opCount += 1;
      const planned = this.sabotage?.(op, index) ?? null;
      if (planned !== null) return { op, ok: false, errno: planned, message: 'sabotaged' };
      const { errno, message } = this.#carryOut(op);
      return { op, ok: errno === null, errno, message };
    });
  }

  snapshotNow(request: SnapshotRequest): KernelState {
    const tables = new Set(request.tables);
    const inMain = (route: RouteState) =>
      route.table === MAIN_TABLE && (route.destination === 'default' || route.nexthops.some((hop) => hop.gateway === null));
    return {
      ...this.#state,
      routes: this.#state.routes.filter((route) => inMain(route) || tables.has(route.table)),
      sysctls: Object.fromEntries(request.sysctls.map((key) => [key, this.sysctl(key)])),
      nft: request.nft ? this.#state.nft : null,
    };
  }

  async snapshot(request: SnapshotRequest): Promise<KernelState> {
    return this.snapshotNow(request);
  }

  async apply(ops: readonly KernelOp[]): Promise<readonly OpResult[]> {
    return this.applyNow(ops);
  }

  watch(onChange: (change: KernelChange) => void): void {
    this.#watchers.push(onChange);
  }

  async close(): Promise<void> {
    this.#watchers = [];
  }

  /** Everything at once, unfiltered. */
  get state(): KernelState {
    return this.#state;
  }

  /** Sorted `ip route`, `ip rule` and sysctl lines: equal text means an equal kernel. */
  render(): string {
    return renderKernel(this.#state, this.#sysctls.changed);
  }

  /**
   * What the kernel does with a packet: rules by priority, in each table the longest prefix, then the lowest metric, dead next
   * hops skipped. A bound device limits it to routes of that device. `hash` in [0, 1) is where its flow falls among shares.
   */
  lookup(destination: string, mark: number, device: string | null, more: Partial<Packet> & { hash?: number } = {}): Verdict {
    if (this.#knownAt !== this.version) {
      this.#known.clear();
      this.#knownAt = this.version;
    }
    const { hash = 0, ...packet } = more;
    const key = `${destination} ${mark} ${device} ${hash} ${JSON.stringify(packet)}`;
    const verdict = this.#known.get(key) ?? lookUp(this.#fib(), { ...packet, destination, mark, device }, hash);
    this.#known.set(key, verdict);
    return verdict;
  }

  /** Every next hop that packets like this one may take. */
  ways(packet: Packet): readonly Nexthop[] | 'refused' | 'silent' {
    return waysOf(this.#fib(), packet);
  }

  #fib(): Fib {
    return { state: this.#state, sysctl: (key) => this.#sysctls.get(key), isDead: (hop) => this.#dead.has(hop) };
  }

  #carryOut(op: KernelOp): { errno: string | null; message: string | null } {
    if (op.op === 'sysctl-set') {
      if (this.sysctl(op.key) === null) return { errno: 'ENOENT', message: null };
      this.setSysctl(op.key, op.value);
      return { errno: null, message: null };
    }
    const { state, errno, message } = applyOp(this.#state, op);
    if (op.op === 'route-delete' || op.op === 'route-append') this.#keepDead(this.#state.routes, state.routes);
    if (state !== this.#state) this.#set(state, op.op.startsWith('rule') ? 'rule' : 'route');
    return { errno, message };
  }

  /** Where IPv6 next hops come to or leave a route, the others are what they were. */
  #keepDead(before: readonly RouteState[], after: readonly RouteState[]): void {
    for (const route of after) {
      if (route.family === 4 || before.includes(route)) continue;
      const hops = before.filter((other) => samePlace(other, route)).flatMap((other) => other.nexthops);
      const wasDead = (hop: Nexthop) =>
        hops.some((other) => other.ifindex === hop.ifindex && other.gateway === hop.gateway && this.#dead.has(other));
      for (const hop of route.nexthops) if (wasDead(hop)) this.#dead.add(hop);
    }
  }

  #connect(entry: AddressState): void {
    const link = this.#state.links.find((candidate) => candidate.index === entry.ifindex);
    if (link === undefined || link.loopback || !link.adminUp) return;
    for (const route of connectedRoutes(entry)) {
      const applied = applyOp(this.#state, { op: 'route-append', route });
      if (applied.errno === null) this.#set(applied.state, 'route');
    }
  }

  #hopsOver(ifindex: number, family: Family): readonly Nexthop[] {
    return this.#state.routes.flatMap((route) =>
      route.family === family ? route.nexthops.filter((hop) => hop.ifindex === ifindex) : [],
    );
  }

  #revive(link: LinkState, family: Family): void {
    if (!link.adminUp || (family === 6 && !link.carrier)) return;
    for (const hop of this.#hopsOver(link.index, family)) this.#dead.delete(hop);
    this.version += 1;
  }

  /** A route stands as long as one of its next hops lives. */
  #kill(ifindex: number, family: Family): void {
    for (const hop of this.#hopsOver(ifindex, family)) this.#dead.add(hop);
    const stands = (route: RouteState) =>
      route.family !== family || route.nexthops.length === 0 || route.nexthops.some((hop) => !this.#dead.has(hop));
    this.#setRoutes(this.#state.routes.filter(stands), family === 4 ? 'link' : 'route');
  }

  /** `what`: IPv4 tells nobody of routes that go with a link: only the link's own event is there. */
  #setRoutes(routes: readonly RouteState[], what: 'route' | 'link' = 'route'): void {
    if (routes.length !== this.#state.routes.length || routes.some((route, index) => route !== this.#state.routes[index])) {
      this.#set({ routes }, what);
    }
  }

  #changeLink(name: string, change: Partial<LinkState>): void {
    this.#set({ links: this.#state.links.map((link) => (link.name === name ? { ...link, ...change } : link)) }, 'link');
  }

  #set(change: Partial<KernelState>, what: 'link' | 'address' | 'route' | 'rule' | 'neighbour'): void {
    this.#state = { ...this.#state, ...change };
    this.version += 1;
    for (const watcher of this.#watchers) watcher({ what: new Set([what]), lost: false });
  }
}

function isOver(route: RouteState, ifindex: number): boolean {
  return route.nexthops.some((hop) => hop.ifindex === ifindex);
}
