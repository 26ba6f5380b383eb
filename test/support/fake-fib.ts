/**
 * Where a fake kernel sends a packet of its own machine: policy rules, tables, longest prefix, metric, dead next hops.
 * Pure; ip-rule(8) and ip-sysctl.rst say what it copies.
 */
import { covers, familyOf, parseAddress } from '../../src/core/address.js';
import type { KernelState, Nexthop } from '../../src/core/kernel.js';
import type { Family } from '../../src/core/model.js';

/** Out by a link, or `refused` at once, or nowhere (`silent`: the kernel only asks for neighbours). */
export type Verdict = { readonly hop: Nexthop } | 'refused' | 'silent';

const MAIN_TABLE = 254;

type Sysctl = (key: string) => string | null;

/** @param device a bound device limits the choice to routes over it */
export function lookUp(state: KernelState, sysctl: Sysctl, destination: string, mark: number, device: string | null): Verdict {
  const address = parseAddress(destination);
  if (address === null) throw new Error(`not an address: ${destination}`);
  const family = familyOf(address);
  const oif = device === null ? null : (state.links.find((link) => link.name === device)?.index ?? -1);
  const tables = state.rules
    .filter((rule) => rule.family === family && !rule.other && ((mark ^ rule.mark) & rule.mask) === 0)
    .map((rule) => rule.table);
  const usable = (hop: Nexthop) => (oif === null || oif === hop.ifindex) && isAlive(state, sysctl, hop, family);
  for (const table of [...tables, MAIN_TABLE]) {
    const found = lookUpTable(state, table, address, usable);
    if (found === 'refused') break;
    if (found !== null) return found;
  }
  // seen on Linux: with a bound device IPv4 takes "no way" for "on that link" and only asks for the neighbour
  return oif !== null && family === 4 ? 'silent' : 'refused';
}

function lookUpTable(state: KernelState, table: number, address: Uint8Array, usable: (hop: Nexthop) => boolean): Verdict | null {
  const family = familyOf(address);
  let best: { length: number; verdict: Verdict } | null = null;
  for (const route of state.routes) {
    if (route.table !== table || route.family !== family || route.tos !== 0 || !covers(route.destination, address)) continue;
    const length = route.destination === 'default' ? 0 : Number(route.destination.split('/')[1] ?? address.length * 8);
    if (best !== null && length <= best.length) continue;
    const hop = route.nexthops.find(usable);
    if (route.type !== 'unicast') best = { length, verdict: 'refused' };
    else if (hop !== undefined) best = { length, verdict: { hop } };
  }
  return best?.verdict ?? null;
}

function isAlive(state: KernelState, sysctl: Sysctl, hop: Nexthop, family: Family): boolean {
  const link = state.links.find((candidate) => candidate.index === hop.ifindex);
  if (link === undefined || !link.adminUp) return false;
  if (link.carrier) return true;
  // the larger of `all` and the device's own counts
  const base = `net.ipv${family}.conf`;
  return ![`${base}.all`, `${base}.${link.name}`].some((path) => sysctl(`${path}.ignore_routes_with_linkdown`) === '1');
}
