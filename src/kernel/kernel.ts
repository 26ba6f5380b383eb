/**
 * `Kernel` on a real Linux: snapshot, apply and watch over rtnetlink, /proc/sys and nft. Carries out and tells; never
 * decides what should be there, and touches nothing it was not asked to. See docs/adr/0002.
 */
import type {
  Kernel,
  KernelChange,
  KernelOp,
  KernelState,
  NftState,
  OpResult,
  RouteState,
  RuleState,
  SnapshotRequest,
} from '../core/kernel.js';
import type { Family } from '../core/model.js';
import { deletedByIpv4 } from '../core/plan/kernel-model.js';
import { KernelError } from './error.js';
import * as nl from './netlink/constants.js';
import { decodeNexthop, encodeNexthopDump, expandNexthop } from './netlink/nexthop.js';
import {
  decodeAddress,
  decodeLink,
  decodeNeighbour,
  encodeAddressDump,
  encodeLinkDump,
  encodeNeighbourDelete,
  encodeNeighbourDump,
  encodeRuleDump,
} from './netlink/objects.js';
import { decodeRoute, encodeRoute, encodeRouteDump, glanceRoute, nexthopObjectOf } from './netlink/route.js';
import { decodeRule, encodeRule } from './netlink/rule.js';
import { RequestSession } from './netlink/session.js';
import { NftWatcher } from './nft/watcher.js';
import { readNftTable, writeNftTable } from './nft.js';
import { readSysctl, writeSysctl } from './sysctl.js';
import { ChangeWatcher } from './watcher.js';

const FAMILIES: readonly Family[] = [4, 6];

export class RtnlKernel implements Kernel {
  readonly #session = new RequestSession();
  #tables: ReadonlySet<number> = new Set();
  /** `ifindex address` of every next hop, as read last */
  #gateways: ReadonlySet<string> = new Set();
  #watcher: ChangeWatcher | null = null;
  #onChange: (change: KernelChange) => void = () => undefined;
  /** as read or written last, for whoever watches; null = not known yet */
  #nft: NftState | null = null;
  #readingNft = false;
  #nftReads = 0;
  #nftWrites = 0;
  #nftTurn: Promise<unknown> = Promise.resolve();
  /** once nft is of interest, for whoever watches; undefined = not tried yet, null = cannot be had: then it is read now and then */
  #nftWatcher: NftWatcher | null | undefined = undefined;

  /**
   * Rejects with a KernelError. Everything but nft is read before the first await. nft is a process, and may take its time:
   * whoever watches is told what is known of it (null at first), and of a change when it has been read beside.
   */
  async snapshot(request: SnapshotRequest): Promise<KernelState> {
    this.#tables = new Set(request.tables);
    const links = this.#session.dump('link dump', encodeLinkDump, decodeLink);
    const addresses = this.#session.dump('address dump', encodeAddressDump, decodeAddress);
    const routes = this.#expanded(FAMILIES.flatMap((family) => this.#routes(family, request.tables)));
    const hops = routes.flatMap((route) => route.nexthops);
    this.#gateways = new Set(hops.map(({ ifindex, gateway }) => `${ifindex} ${gateway}`));
    const rules = FAMILIES.flatMap((family) =>
      this.#dumpOf(family, 'rule dump', (sequence, flags) => encodeRuleDump(sequence, flags, family), decodeRule),
    );
    const neighbours = FAMILIES.flatMap((family) =>
      this.#dumpOf(family, 'neighbour dump', (sequence, flags) => encodeNeighbourDump(sequence, flags, family), decodeNeighbour),
    );
    const sysctls: Record<string, string | null> = {};
    for (const key of request.sysctls) sysctls[key] = readSysctl(key);
    const state = { links, addresses, routes, rules, neighbours, sysctls };
    return { ...state, nft: request.nft ? await this.#nftState() : null };
  }

  async apply(ops: readonly KernelOp[]): Promise<readonly OpResult[]> {
    const results: (OpResult | null)[] = ops.map((op) => (op.op === 'nft-table' ? null : this.#attempt(op)));
    for (const [index, op] of ops.entries()) {
      if (op.op !== 'nft-table') continue;
      // One after the other: of two processes the one that was begun first may well be done last, and its table would stay.
      const turn = this.#nftTurn.then(() => this.#writeNft(op));
      this.#nftTurn = turn;
      results[index] = await turn;
    }
    return results.filter((result) => result !== null);
  }

  /** Never rejects. */
  async #writeNft(op: Extract<KernelOp, { op: 'nft-table' }>): Promise<OpResult> {
    try {
      this.#nftWrites += 1;
      await writeNftTable(op.fingerprint, op.rules);
      this.#nft = { fingerprint: op.rules === null ? 'absent' : op.fingerprint };
      return succeeded(op);
    } catch (error) {
      return failed(op, error);
    } finally {
      // Counted again: what was read meanwhile may have seen either.
      this.#nftWrites += 1;
    }
  }

  /** Throws a KernelError when the kernel refuses the subscription. Only one watcher: a second call takes the first's place. */
  watch(onChange: (change: KernelChange) => void): void {
    this.#watcher?.close();
    this.#onChange = onChange;
    this.#watcher = new ChangeWatcher(
      () => ({ tables: this.#tables, isGateway: (ifindex, address) => this.#gateways.has(`${ifindex} ${address}`) }),
      onChange,
    );
    this.#watcher.open();
  }

  async close(): Promise<void> {
    this.#watcher?.close();
    this.#watcher = null;
    this.#nftWatcher?.close();
    this.#session.close();
  }

  #nftState(): NftState | null | Promise<NftState> {
    if (this.#watcher === null) return readNftTable();
    this.#watchNft();
    if (!this.#readingNft) void this.#readNftBeside();
    return this.#nft;
  }

  #watchNft(): void {
    if (this.#nftWatcher !== undefined) return;
    // A write of ours that is under way may take it away to make it anew: what stands is read after it.
    const watcher = new NftWatcher(() => void this.#nftTurn.then(() => this.#readNftBeside()));
    try {
      watcher.open();
      this.#nftWatcher = watcher;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.#nftWatcher = null;
    }
  }

  async #readNftBeside(): Promise<void> {
    this.#readingNft = true;
    this.#nftReads += 1;
    const [reads, writes] = [this.#nftReads, this.#nftWrites];
    // What cannot be read counts as absent: writing it will tell why, and routes are not kept waiting.
    const state = await readNftTable().catch((): NftState => this.#nft ?? { fingerprint: 'absent' });
    // Of two processes the one that looked first may well be done last.
    if (reads !== this.#nftReads) return;
    this.#readingNft = false;
    // Overtaken by a write of ours, it tells the past.
    if (this.#watcher === null || writes !== this.#nftWrites || state.fingerprint === this.#nft?.fingerprint) return;
    this.#nft = state;
    this.#onChange({ what: new Set(), lost: false });
  }

  #attempt(op: Exclude<KernelOp, { op: 'nft-table' }>): OpResult {
    try {
      this.#carryOut(op);
      return succeeded(op);
    } catch (error) {
      return failed(op, error);
    }
  }

  #carryOut(op: Exclude<KernelOp, { op: 'nft-table' }>): void {
    switch (op.op) {
      case 'route-replace':
        this.#newRoute(op.op, nl.NLM_F_CREATE | nl.NLM_F_REPLACE, op.route);
        break;
      case 'route-add':
        this.#newRoute(op.op, nl.NLM_F_CREATE | nl.NLM_F_EXCL, op.route);
        break;
      case 'route-append':
        this.#newRoute(op.op, nl.NLM_F_CREATE | nl.NLM_F_APPEND, op.route);
        break;
      case 'route-delete':
        this.#deleteRoute(op.route);
        break;
      case 'rule-add':
        this.#rule(op.op, nl.RTM_NEWRULE, nl.NLM_F_CREATE | nl.NLM_F_EXCL, op.rule);
        break;
      case 'rule-delete':
        this.#rule(op.op, nl.RTM_DELRULE, 0, op.rule);
        break;
      case 'sysctl-set':
        writeSysctl(op.key, op.value);
        break;
      case 'neighbour-delete':
        this.#session.request(op.op, (sequence, flags) => encodeNeighbourDelete(sequence, flags, op));
        break;
    }
  }

  #newRoute(doing: string, how: number, route: RouteState): void {
    this.#session.request(doing, (sequence, flags) => encodeRoute(nl.RTM_NEWROUTE, flags | how, sequence, route));
  }

  #deleteRoute(route: RouteState): void {
    // IPv4 takes the first route that fits, and fits loosely (fib_nh_match): metric 0 means "any metric", and several next hops
    // mean "any route that has the first of them". So look first, lest what stands in its stead goes.
    if (route.family === 4 && (route.metric === 0 || route.nexthops.length > 1) && !this.#isFirstToGo(route)) {
      throw new KernelError('ESRCH', 'route-delete', 'no such route, only others that look like it');
    }
    this.#session.request('route-delete', (sequence, flags) => encodeRoute(nl.RTM_DELROUTE, flags, sequence, route));
  }

  /** Whether the route that a deletion would take is the one that is meant. */
  #isFirstToGo(wanted: RouteState): boolean {
    const isDefault = wanted.destination === 'default';
    const table = this.#table(4, wanted.table, (glance) => glance.isDefault === isDefault, wanted.protocol);
    // Next hops that an object stands for are never compared with others.
    const object = nexthopObjectOf(wanted);
    const routes = this.#expanded(table.filter((route) => nexthopObjectOf(route) === object));
    const taken = routes[deletedByIpv4(routes, wanted)];
    const isWhole = wanted.nexthops.length === 0 || taken?.nexthops.length === wanted.nexthops.length;
    return taken?.metric === wanted.metric && isWhole;
  }

  #rule(doing: string, type: number, how: number, rule: RuleState): void {
    this.#session.request(doing, (sequence, flags) => encodeRule(type, flags | how, sequence, rule));
  }

  /** Main first, then the tables asked for, each in the kernel's order. */
  #routes(family: Family, tables: readonly number[]): RouteState[] {
    const all = new Set(tables);
    const routes = all.has(nl.RT_TABLE_MAIN)
      ? []
      : this.#table(family, nl.RT_TABLE_MAIN, (glance) => glance.isDefault || glance.onLink);
    for (const table of all) routes.push(...this.#table(family, table, () => true));
    return routes;
  }

  /** Routes by nexthop object say only its number where net.ipv4.nexthop_compat_mode=0: then the objects are asked as well. */
  #expanded(routes: RouteState[]): RouteState[] {
    const bare = (route: RouteState): boolean => route.nexthops.length === 0 && nexthopObjectOf(route) !== null;
    if (!routes.some(bare)) return routes;
    const found = this.#session.dump('nexthop dump', encodeNexthopDump, decodeNexthop);
    const objects = new Map(found.map((object) => [object.id, object]));
    return routes.map((route) => {
      const id = nexthopObjectOf(route);
      return id === null || !bare(route) ? route : { ...route, nexthops: expandNexthop(objects, id) };
    });
  }

  #table(
    family: Family,
    table: number,
    wanted: (glance: { isDefault: boolean; onLink: boolean }) => boolean,
    protocol = 0,
  ): RouteState[] {
    return this.#dumpOf(
      family,
      `route dump of table ${table}`,
      (sequence, flags) => encodeRouteDump(sequence, flags, family, table, protocol),
      (body) => {
        const glance = glanceRoute(body);
        // A kernel without the strict filter (before 4.20) answers with every table.
        if (glance === null || glance.family !== family || glance.table !== table || !wanted(glance)) return null;
        return decodeRoute(body);
      },
    );
  }

  /** A dump of one family; empty where the kernel has no such family or no such table. */
  #dumpOf<T>(
    family: Family,
    doing: string,
    build: (sequence: number, flags: number) => Buffer,
    each: (body: Buffer) => T | null,
  ): T[] {
    try {
      return this.#session.dump(`IPv${family} ${doing}`, build, each);
    } catch (error) {
      // ENOENT: "FIB table does not exist". EOPNOTSUPP, EAFNOSUPPORT: IPv6 is switched off at boot.
      if (error instanceof KernelError && ['ENOENT', 'EOPNOTSUPP', 'EAFNOSUPPORT'].includes(error.errno)) return [];
      throw error;
    }
  }
}

function succeeded(op: KernelOp): OpResult {
  return { op, ok: true, errno: null, message: null };
}

function failed(op: KernelOp, error: unknown): OpResult {
  if (error instanceof KernelError) return { op, ok: false, errno: error.errno, message: error.kernelText };
  return { op, ok: false, errno: 'EIO', message: error instanceof Error ? error.message : String(error) };
}
