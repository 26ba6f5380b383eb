/**
 * Where a fake kernel sends a packet: policy rules, tables, longest prefix, metric, dead next hops, shares.
 * Pure; ip-rule(8), ip-sysctl.rst, fib_select_multipath (net/ipv4/fib_semantics.c) say what it copies.
 */
import { covers, familyOf, parseAddress } from '../../src/core/address.js';
import type { KernelState, Nexthop, RuleState } from '../../src/core/kernel.js';
import type { Family } from '../../src/core/model.js';

/** Out by a link, or `refused` at once, or nowhere (`silent`: the kernel only asks for neighbours). */
export type Verdict = { readonly hop: Nexthop } | 'refused' | 'silent';

/** What the choice depends on. Whatever is absent is fitted by no rule that asks for it. */
export interface Packet {
  readonly destination: string;
  readonly mark?: number;
  /** a bound device limits the choice to routes over it */
  readonly device?: string | null;
  readonly source?: string;
  /** the interface it came in by; absent = this machine's own */
  readonly incoming?: string;
  readonly ipProtocol?: number;
  /** of the destination */
  readonly port?: number;
}

export interface Fib {
  readonly state: KernelState;
  sysctl(key: string): string | null;
  /** RTNH_F_DEAD */
  isDead(hop: Nexthop): boolean;
}

const MAIN_TABLE = 254;

/** @param hash in [0, 1): where in the shares of a multipath route this packet's flow falls */
export function lookUp(fib: Fib, packet: Packet, hash: number): Verdict {
  const ways = waysOf(fib, packet);
  return typeof ways === 'string' ? ways : { hop: share(ways, hash) };
}

/** Every next hop that flows like this one may take, in the order of their shares. */
export function waysOf(fib: Fib, packet: Packet): readonly Nexthop[] | 'refused' | 'silent' {
  const address = parseAddress(packet.destination);
  if (address === null) throw new Error(`not an address: ${packet.destination}`);
  const family = familyOf(address);
  const oif = indexOf(fib.state, packet.device ?? null);
  const rules = fib.state.rules.filter((rule) => rule.family === family && fits(rule, packet, address));
  const usable = (hop: Nexthop) => (oif === null || oif === hop.ifindex) && isAlive(fib, hop, family);
  for (const { action, table, suppress } of [...rules, { action: undefined, table: MAIN_TABLE, suppress: undefined }]) {
    if (action === 'unreachable') break;
    const found = lookUpTable(fib.state, table, address, usable);
    if (found === null) continue;
    // only a way that was found is suppressed: an unreachable default in main ends the search
    if (found.hops === 'refused') break;
    if (suppress !== undefined && found.length <= suppress) continue;
    // a bound device has taken the first hop over it already
    return oif === null ? found.hops : found.hops.slice(0, 1);
  }
  // seen on Linux: with a bound device that is up IPv4 takes "no way" for "on that link" and only asks for the neighbour
  const isUp = fib.state.links.some((link) => link.index === oif && link.adminUp);
  return isUp && family === 4 ? 'silent' : 'refused';
}

function indexOf(state: KernelState, device: string | null): number | null {
  return device === null ? null : (state.links.find((link) => link.name === device)?.index ?? -1);
}

function fits(rule: RuleState, packet: Packet, destination: Uint8Array): boolean {
  const { mark = 0, incoming = 'lo', ipProtocol, port } = packet;
  const source = packet.source === undefined ? null : parseAddress(packet.source);
  return (
    !rule.other &&
    ((mark ^ rule.mark) & rule.mask) === 0 &&
    (rule.destination === undefined || covers(rule.destination, destination)) &&
    (rule.source === undefined || (source !== null && covers(rule.source, source))) &&
    (rule.incoming === undefined || rule.incoming === incoming) &&
    (rule.ipProtocol === undefined || rule.ipProtocol === ipProtocol) &&
    (rule.ports === undefined || (port !== undefined && port >= rule.ports.first && port <= rule.ports.last))
  );
}

interface Found {
  /** of the prefix */
  readonly length: number;
  readonly hops: readonly Nexthop[] | 'refused';
}

function lookUpTable(state: KernelState, table: number, address: Uint8Array, usable: (hop: Nexthop) => boolean): Found | null {
  const family = familyOf(address);
  let best: Found | null = null;
  for (const route of state.routes) {
    if (route.table !== table || route.family !== family || route.tos !== 0 || !covers(route.destination, address)) continue;
    const length = route.destination === 'default' ? 0 : Number(route.destination.split('/')[1] ?? address.length * 8);
    if (best !== null && length <= best.length) continue;
    const hops = route.nexthops.filter(usable);
    if (route.type !== 'unicast') best = { length, hops: 'refused' };
    else if (hops.length > 0) best = { length, hops };
  }
  return best;
}

function share(hops: readonly Nexthop[], hash: number): Nexthop {
  const total = hops.reduce((sum, { weight = 1 }) => sum + weight, 0);
  let bound = 0;
  for (const hop of hops) {
    bound += (hop.weight ?? 1) / total;
    if (hash < bound) return hop;
  }
  throw new Error(`no share of ${hops.length} next hops at ${hash}`);
}

function isAlive(fib: Fib, hop: Nexthop, family: Family): boolean {
  const link = fib.state.links.find((candidate) => candidate.index === hop.ifindex);
  if (link === undefined || !link.adminUp || fib.isDead(hop)) return false;
  if (link.carrier) return true;
  // the larger of `all` and the device's own counts
  const base = `net.ipv${family}.conf`;
  return ![`${base}.all`, `${base}.${link.name}`].some((path) => fib.sysctl(`${path}.ignore_routes_with_linkdown`) === '1');
}
