/**
 * Ends and counts the connections of a mark, start to finish, with blocking calls: for the thread beside the loop (worker.ts), whose
 * time is nobody's. What it cannot do it tells, and never throws for it. Knows nothing of uplinks.
 */
import { readFileSync } from 'node:fs';
import type { FlowCount, FlowOutcome, FlowSelector } from '../../core/flow.js';
import type { Family } from '../../core/model.js';
import { KernelError } from '../error.js';
import { DEAD_SETS } from '../nft/expressions.js';
import { type Prod, sendBareAcks } from './bare-ack.js';
import * as ct from './conntrack.js';
import { addDeadTuples } from './dead-set.js';
import { destroySocket, type OwnSocket, ownSockets, socketKey } from './own-sockets.js';
import { NETLINK_NETFILTER, NETLINK_ROUTE, NETLINK_SOCK_DIAG, NetlinkPort } from './port.js';
import * as problem from './problems.js';
import { DEFAULT_TIMEOUTS, idleSeconds, Lowest, type TcpTimeouts } from './recent.js';
import { type Farewell, farewellOf, reachByRoutes } from './side.js';
import { ownAddresses, sparing } from './spare.js';

export interface WorkOptions {
  /** SO_MARK of packets that conntrack shall not see; a socket of our own that bears this bit is a probe's, and is left alone */
  readonly untrackedMark: number;
  /** peers told by a reset in one go */
  readonly resetLimit: number;
  /** lifetime of a 4-tuple in the dead set */
  readonly deadForMs: number;
}

export type WorkOutcome = Omit<FlowOutcome, 'id' | 'tookMs'>;
export type WorkCount = Omit<FlowCount, 'id'>;

/** Those who are asked a second time, some time after the first. */
export interface Again {
  readonly family: Family;
  readonly prods: readonly Prod[];
}

/** Entries deleted by one send. */
const DELETE_BATCH = 200;

interface Gathered {
  entries: number;
  readonly toTell: Lowest<ct.Connection>;
  readonly sockets: Set<OwnSocket>;
}

/** Of the entries that bear the selector's mark, those that it means. */
interface Meant {
  readonly all: boolean;
  is(entry: ct.ConntrackEntry, bytes: Buffer): boolean;
}

/** The kernel listed what it was not asked for. */
class FilterIgnored extends Error {}

export class Work {
  readonly #options: WorkOptions;
  readonly #netfilter = new NetlinkPort(NETLINK_NETFILTER);
  /** entries are deleted while they are being listed on the other */
  readonly #deleting = new NetlinkPort(NETLINK_NETFILTER);
  readonly #sockets = new NetlinkPort(NETLINK_SOCK_DIAG);
  readonly #routes = new NetlinkPort(NETLINK_ROUTE);

  constructor(options: WorkOptions) {
    this.#options = options;
  }

  close(): void {
    for (const port of [this.#netfilter, this.#deleting, this.#sockets, this.#routes]) port.close();
  }

  /** Ends what the selector names. `again` is for {@link prodAgain}. */
  end(selector: FlowSelector, reset: boolean): { readonly outcome: WorkOutcome; readonly again: Again | null } {
    const problems: string[] = [];
    const nothing = { entries: 0, resets: 0, sockets: 0, problems };
    if (!isOurs(selector)) {
      problems.push(problem.markProblem(selector.mark, selector.mask));
      return { outcome: nothing, again: null };
    }
    try {
      const meant = this.#meant(selector);
      if (selector.udpPorts !== null) return { outcome: { ...nothing, entries: this.#endEach(selector, meant) }, again: null };
      const own = reset ? this.#listOwn(selector.family, problems) : new Map<string, OwnSocket>();
      const gathered = this.#gather(selector, meant, reset, own);
      // Nothing to delete is nothing to ask for: a request that misses its aim cannot hit anything else.
      if (gathered.entries === 0) return { outcome: nothing, again: null };
      const sockets = this.#endOwn(gathered.sockets, problems);
      const told = this.#bury(selector, gathered.toTell, problems);
      const entries = meant.all ? this.#endAll(selector, gathered.entries) : this.#endEach(selector, meant);
      // Only now: what answers while the kernel still knows the connection is none that the dead set means.
      this.#prod(selector.family, told, problems);
      return {
        outcome: { entries, resets: told.length, sockets, problems },
        again: told.length === 0 ? null : { family: selector.family, prods: told },
      };
    } catch (error) {
      problems.push(
        error instanceof FilterIgnored
          ? problem.FILTER_IGNORED
          : problem.conntrackProblem('open connections were not ended', error),
      );
      return { outcome: nothing, again: null };
    }
  }

  /** A packet may have been lost, or its number have been right by chance: once more, half the number space away. */
  prodAgain({ family, prods }: Again): void {
    const others = prods.map((prod) => ({ ...prod, sequence: (prod.sequence + 0x80000000) >>> 0 }));
    try {
      sendBareAcks(family, this.#options.untrackedMark, others);
    } catch {
      // Whatever forbids it has been told the first time.
    }
  }

  count(selector: FlowSelector): WorkCount {
    if (!isOurs(selector)) return { open: null, replied: null };
    let open = 0;
    let replied = 0;
    try {
      const meant = this.#meant(selector);
      this.#each(selector, (entry, bytes) => {
        if (!meant.is(entry, bytes)) return;
        open++;
        if ((entry.status & ct.IPS_SEEN_REPLY) !== 0) replied++;
      });
      return { open, replied };
    } catch {
      return { open: null, replied: null };
    }
  }

  #meant({ family, udpPorts, spare }: FlowSelector): Meant {
    const ports = udpPorts === null ? null : new Set(udpPorts);
    const spares = spare === undefined ? null : sparing(family, spare, () => ownAddresses(this.#routes, family));
    return {
      all: ports === null && spares === null,
      is: (entry, bytes) => (ports === null || isUdpTo(entry, ports)) && (spares === null || !spares(entry, bytes)),
    };
  }

  /** Every entry that the selector's mark and family name, where it lies. */
  #each(selector: FlowSelector, visit: (entry: ct.ConntrackEntry, bytes: Buffer) => void): void {
    const entry = new ct.ConntrackEntry();
    const { family, mark, mask } = selector;
    const sequence = this.#netfilter.sequences(1);
    let strangers = false;
    this.#netfilter.dump('listing connections', sequence, ct.dumpRequest(selector, sequence), (bytes, start, end) => {
      ct.scanEntry(family, bytes, start, end, entry);
      // Its mark may change between the kernel's filter and its listing; other bits than ours never count.
      if (((entry.mark ^ mark) & mask) !== 0) strangers = true;
      else visit(entry, bytes);
    });
    if (strangers) throw new FilterIgnored();
  }

  #gather(selector: FlowSelector, meant: Meant, reset: boolean, own: ReadonlyMap<string, OwnSocket>): Gathered {
    const { family } = selector;
    const size = ct.addressBytes(family);
    const timeouts = reset ? readTimeouts() : DEFAULT_TIMEOUTS;
    const gathered: Gathered = { entries: 0, toTell: new Lowest(this.#options.resetLimit), sockets: new Set() };
    const find = (bytes: Buffer, { source, destination, sourcePort, destinationPort }: ct.TupleView): OwnSocket | undefined =>
      own.get(socketKey(bytes, source, destination, size, sourcePort, destinationPort));
    this.#each(selector, (entry, bytes) => {
      if (!meant.is(entry, bytes)) return;
      gathered.entries++;
      if (!reset || entry.orig.protocol !== ct.IPPROTO_TCP || !entry.orig.complete || !entry.reply.complete) return;
      const socket = own.size === 0 ? undefined : (find(bytes, entry.orig) ?? find(bytes, entry.reply));
      if (socket !== undefined) {
        gathered.sockets.add(socket);
        return;
      }
      const idle = idleSeconds(entry.tcpState, entry.timeout, timeouts);
      if (idle !== null) gathered.toTell.offer(idle, () => new ct.Connection(family, bytes, entry));
    });
    return gathered;
  }

  #listOwn(family: Family, problems: string[]): Map<string, OwnSocket> {
    try {
      return ownSockets(this.#sockets, family, this.#options.untrackedMark);
    } catch (error) {
      problems.push(problem.ownSocketsProblem(error));
      return new Map();
    }
  }

  #endOwn(sockets: ReadonlySet<OwnSocket>, problems: string[]): number {
    let ended = 0;
    try {
      for (const socket of sockets) if (destroySocket(this.#sockets, socket)) ended++;
    } catch (error) {
      problems.push(problem.ownSocketsProblem(error));
    }
    return ended;
  }

  /** Into the dead set: whatever a peer sends once its entry is deleted is answered by a reset. @returns how each is made to send */
  #bury({ family, mark }: FlowSelector, chosen: Lowest<ct.Connection>, problems: string[]): Prod[] {
    const { deadForMs, resetLimit, untrackedMark } = this.#options;
    const reach = reachByRoutes(this.#routes, family);
    const farewells: Farewell[] = [];
    for (const connection of chosen.take()) {
      const farewell = farewellOf(connection, reach, (untrackedMark | mark) >>> 0);
      if (farewell !== null) farewells.push(farewell);
    }
    if (farewells.length === 0) return [];
    try {
      addDeadTuples(
        this.#netfilter,
        family,
        farewells.map(({ tuple }) => tuple),
        deadForMs,
      );
    } catch (error) {
      problems.push(problem.deadSetProblem(DEAD_SETS[family], error));
      return [];
    }
    if (chosen.offered > resetLimit) problems.push(problem.limitProblem(resetLimit, chosen.offered));
    return farewells.map(({ prod }) => ({ ...prod, sequence: Math.floor(Math.random() * 0x100000000) }));
  }

  #prod(family: Family, prods: readonly Prod[], problems: string[]): void {
    try {
      sendBareAcks(family, this.#options.untrackedMark, prods);
    } catch (error) {
      problems.push(problem.bareAckProblem(error));
    }
  }

  /** At once, by mark. @param entries how many were listed: the kernel does not count */
  #endAll(selector: FlowSelector, entries: number): number {
    const sequence = this.#netfilter.sequences(1);
    this.#netfilter.ask('deleting connections by mark', sequence, ct.flushRequest(selector, sequence));
    return entries;
  }

  /** One by one, by tuple and id. How many were there to delete. */
  #endEach(selector: FlowSelector, meant: Meant): number {
    const doing = 'deleting connections one by one';
    let batch: Buffer[] = [];
    let first = 0;
    let deleted = 0;
    const send = (): void => {
      const refused = this.#deleting.askMany(doing, first, batch);
      deleted += batch.length - refused.length;
      batch = [];
      // Gone by itself meanwhile: ENOENT.
      const grave = refused.find(({ errno }) => errno !== 'ENOENT');
      if (grave !== undefined) throw new KernelError(grave.errno, doing, grave.text);
    };
    this.#each(selector, (entry, bytes) => {
      if (!meant.is(entry, bytes)) return;
      if (batch.length === 0) first = this.#deleting.sequences(DELETE_BATCH);
      batch.push(ct.deleteRequest(selector.family, bytes, entry, first + batch.length));
      if (batch.length === DELETE_BATCH) send();
    });
    send();
    return deleted;
  }
}

function isUdpTo({ orig }: ct.ConntrackEntry, ports: ReadonlySet<number>): boolean {
  return orig.protocol === ct.IPPROTO_UDP && orig.complete && ports.has(orig.destinationPort);
}

/** A mark of zero would be every connection that nobody marked; one beyond its mask is none at all. */
function isOurs({ mark, mask }: FlowSelector): boolean {
  return (mark & mask) !== 0 && (mark & ~mask) === 0;
}

/** proc(5): those of the network namespace of this thread. */
function readTimeouts(): TcpTimeouts {
  const read = (name: string, otherwise: number): number => {
    try {
      const value = Number(readFileSync(`/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_${name}`, 'latin1'));
      return Number.isInteger(value) && value > 0 ? value : otherwise;
    } catch {
      return otherwise;
    }
  };
  return {
    established: read('established', DEFAULT_TIMEOUTS.established),
    unanswered: read('max_retrans', DEFAULT_TIMEOUTS.unanswered),
    synRecv: read('syn_recv', DEFAULT_TIMEOUTS.synRecv),
    finWait: read('fin_wait', DEFAULT_TIMEOUTS.finWait),
    closeWait: read('close_wait', DEFAULT_TIMEOUTS.closeWait),
    lastAck: read('last_ack', DEFAULT_TIMEOUTS.lastAck),
  };
}
