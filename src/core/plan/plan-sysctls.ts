/**
 * Which sysctls the topology needs, and which of them a snapshot must hold. Pure; what they were before is remembered elsewhere.
 */
import type { KernelState } from '../kernel.js';
import type { Family } from '../model.js';
import { type PlanPath, sharedInterfaces } from './plan-path.js';

const conf = (family: Family, name: string, key: string): string => `net/ipv${family}/conf/${name}/${key}`;
const hashPolicy = (family: Family): string => `net/ipv${family}/fib_multipath_hash_policy`;
const FAMILIES: readonly Family[] = [4, 6];
/** Addresses, protocol and ports: two connections between the same two hosts may go different ways. */
const HASH_LAYER_4 = '1';
export const PING_GROUP_RANGE = 'net/ipv4/ping_group_range';

/** Every sysctl that a plan over these interfaces may look at: what a snapshot has to hold. */
export function sysctlKeys(interfaces: readonly string[]): string[] {
  const names = ['all', ...interfaces];
  return [
    PING_GROUP_RANGE,
    ...FAMILIES.map(hashPolicy),
    ...names.flatMap((name) => [
      conf(4, name, 'send_redirects'),
      conf(4, name, 'accept_redirects'),
      conf(4, name, 'rp_filter'),
      conf(4, name, 'ignore_routes_with_linkdown'),
      conf(6, name, 'accept_redirects'),
      conf(6, name, 'ignore_routes_with_linkdown'),
    ]),
  ];
}

/** @param shared families in which several uplinks share new connections */
export function sysctlsFor(
  paths: readonly PlanPath[],
  shared: readonly Family[],
  seen: KernelState,
  gid: number,
): { key: string; value: string }[] {
  const wanted: { key: string; value: string }[] = [];
  const want = (key: string, value: string): void => {
    if (typeof seen.sysctls[key] === 'string') wanted.push({ key, value });
  };
  const pingRange = seen.sysctls[PING_GROUP_RANGE];
  if (typeof pingRange === 'string' && !rangeHolds(pingRange, gid)) want(PING_GROUP_RANGE, `${gid} ${gid}`);

  const interfaces = [...new Set(paths.flatMap((p) => (p.hop === null ? [] : [p.hop.interface])))].sort();
  const shared4 = sharedInterfaces(paths, 4);
  const shared6 = sharedInterfaces(paths, 6);
  // With all uplinks on one interface answers come in where they are expected, whoever is active.
  const several = new Set(paths.flatMap((p) => (p.family === 4 && p.place !== null ? [p.place.interface] : []))).size > 1;
  for (const name of interfaces) {
    want(conf(4, name, 'ignore_routes_with_linkdown'), '1');
    want(conf(6, name, 'ignore_routes_with_linkdown'), '1');
    // Strict filtering drops the replies to probes of every uplink but the active one. The kernel takes the higher of
    // `all` and the interface's own: 2 (loose) on the interface outranks a 1 anywhere.
    const strictest = Math.max(
      Number(seen.sysctls[conf(4, 'all', 'rp_filter')] ?? 0),
      Number(seen.sysctls[conf(4, name, 'rp_filter')] ?? 0),
    );
    if (several && strictest !== 0) want(conf(4, name, 'rp_filter'), '2');
  }
  if (shared4.length > 0) {
    want(conf(4, 'all', 'send_redirects'), '0');
    want(conf(4, 'all', 'accept_redirects'), '0');
    for (const name of shared4) {
      want(conf(4, name, 'send_redirects'), '0');
      want(conf(4, name, 'accept_redirects'), '0');
    }
  }
  for (const name of shared6) want(conf(6, name, 'accept_redirects'), '0');
  for (const family of shared) want(hashPolicy(family), HASH_LAYER_4);
  return wanted;
}

function rangeHolds(range: string, gid: number): boolean {
  const [low, high] = range.split(/\s+/).map(Number);
  return low !== undefined && high !== undefined && low <= gid && gid <= high;
}
