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
  LinkState,
  NeighbourState,
  OpResult,
  RouteState,
  SnapshotRequest,
} from '../../src/core/kernel.js';
import { applyOp, samePlace, sameRoute } from '../../src/core/kernel-model.js';
import type { Family } from '../../src/core/model.js';
import { lookUp, type Verdict } from './fake-fib.js';
import { FakeSysctls } from './fake-sysctls.js';
import { renderKernel } from './render-kernel.js';

export const MAIN_TABLE = 254;
const PROTOCOL_KERNEL = 2;
const SCOPE_LINK = 253;

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
  /** verdicts of `lookup` as long as nothing changes: it is asked for every probe and every instant */
  #known = new Map<string, Verdict>();
  #knownAt = -1;

  addLink(name: string, flags: Partial<LinkState> = {}): number {
    const index = flags.index ?? this.#state.links.length + 1;
    const link = { index, name, adminUp: true, carrier: true, loopback: name === 'lo', pointToPoint: false, ...flags };
    this.#set({ links: [...this.#state.links, link] }, 'link');
    return index;
  }

  addAddress(name: string, network: string): void {
    const [address = '', length = ''] = network.split('/');
    const parsed = parseAddress(address);
    if (parsed === null) throw new Error(`not an address: ${network}`);
    const link = this.link(name);
    const entry: AddressState = {
      ifindex: link.index,
      family: familyOf(parsed),
      address,
      prefixLength: Number(length),
      peer: null,
      tentative: false,
    };
    this.#set({ addresses: [...this.#state.addresses, entry] }, 'address');
    this.#connect(entry);
  }

  removeAddresses(name: string, family: Family): void {
    const { index } = this.link(name);
    const addresses = this.#state.addresses.filter((entry) => entry.ifindex !== index || entry.family !== family);
    this.#set({ addresses }, 'address');
    // the last address takes every route of the device with it (fib_disable_ip)
    this.#flush(index, [family]);
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
  }

  /** `ip link set down`: IPv4 routes go without a word, IPv6 static addresses go as well. `up` brings back connected networks only. */
  setAdmin(name: string, adminUp: boolean): void {
    const link = this.link(name);
    if (link.adminUp === adminUp) return;
    this.#changeLink(name, { adminUp });
    if (adminUp) {
      for (const entry of this.#state.addresses) if (entry.ifindex === link.index) this.#connect(entry);
      return;
    }
    this.#set(
      { addresses: this.#state.addresses.filter((entry) => entry.ifindex !== link.index || entry.family === 4) },
      'address',
    );
    this.#set({ neighbours: this.#state.neighbours.filter((entry) => entry.ifindex !== link.index) }, 'neighbour');
    this.#flush(link.index, [4, 6]);
  }

  removeLink(name: string): void {
    const { index } = this.link(name);
    this.setAdmin(name, false);
    this.#set({ addresses: this.#state.addresses.filter((entry) => entry.ifindex !== index) }, 'address');
    this.#set({ links: this.#state.links.filter((link) => link.index !== index) }, 'link');
    this.#sysctls.dropDevice(name);
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
   * What the kernel does with a packet of this machine: rules by priority, in each table the longest prefix, then the
   * lowest metric, dead next hops skipped. A bound device limits it to routes of that device.
   */
  lookup(destination: string, mark: number, device: string | null): Verdict {
    if (this.#knownAt !== this.version) {
      this.#known.clear();
      this.#knownAt = this.version;
    }
    const key = `${destination} ${mark} ${device}`;
    const verdict = this.#known.get(key) ?? lookUp(this.#state, (path) => this.#sysctls.get(path), destination, mark, device);
    this.#known.set(key, verdict);
    return verdict;
  }

  #carryOut(op: KernelOp): { errno: string | null; message: string | null } {
    if (op.op === 'sysctl-set') {
      if (this.sysctl(op.key) === null) return { errno: 'ENOENT', message: null };
      this.setSysctl(op.key, op.value);
      return { errno: null, message: null };
    }
    const { state, errno, message } = applyOp(this.#state, op);
    if (state !== this.#state) this.#set(state, op.op.startsWith('rule') ? 'rule' : 'route');
    return { errno, message };
  }

  #connect(entry: AddressState): void {
    const link = this.#state.links.find((candidate) => candidate.index === entry.ifindex);
    if (link === undefined || link.loopback || !link.adminUp) return;
    const route: RouteState = {
      family: entry.family,
      table: MAIN_TABLE,
      destination: `${networkOf(entry)}/${entry.prefixLength}`,
      type: 'unicast',
      protocol: PROTOCOL_KERNEL,
      metric: entry.family === 6 ? 256 : 0,
      tos: 0,
      scope: entry.family === 6 ? 0 : SCOPE_LINK,
      prefsrc: entry.family === 6 ? null : entry.address,
      nexthops: [{ ifindex: entry.ifindex, gateway: null, onlink: false }],
      expires: false,
      rest: '',
    };
    const applied = applyOp(this.#state, { op: 'route-append', route });
    if (applied.errno === null) this.#set(applied.state, 'route');
  }

  #flush(ifindex: number, families: readonly Family[]): void {
    const routes = this.#state.routes.flatMap((route) => {
      if (!families.includes(route.family) || !route.nexthops.some((hop) => hop.ifindex === ifindex)) return [route];
      const nexthops = route.nexthops.filter((hop) => hop.ifindex !== ifindex);
      return nexthops.length === 0 ? [] : [{ ...route, nexthops }];
    });
    // IPv4 tells nobody: only the link event is there (the watchers get one either way)
    if (routes.length !== this.#state.routes.length) this.#set({ routes }, families.includes(6) ? 'route' : 'link');
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

function networkOf(entry: AddressState): string {
  if (entry.family === 4) {
    const bytes = [...(parseAddress(entry.address) ?? [])];
    return bytes.map((byte, index) => byte & (0xff << Math.max(0, 8 - Math.max(0, entry.prefixLength - index * 8)))).join('.');
  }
  if (entry.prefixLength !== 64) throw new Error('the fake kernel knows IPv6 networks of /64 only');
  return `${entry.address.slice(0, entry.address.indexOf('::'))}::`;
}
