/**
 * The routes that a fake kernel makes by itself for an address: connected networks and peers. Pure.
 */
import { parseAddress } from '../../src/core/address.js';
import type { AddressState, RouteState } from '../../src/core/kernel.js';

export const MAIN_TABLE = 254;
export const PROTOCOL_KERNEL = 2;
const SCOPE_LINK = 253;

export function connectedRoutes(entry: AddressState): RouteState[] {
  if (entry.peer === null) return [connectedRoute(entry, `${networkOf(entry)}/${entry.prefixLength}`)];
  if (entry.family === 4) return [connectedRoute(entry, `${entry.peer}/32`)];
  // IPv6 keeps a route to its own address on the link beside the one to the peer
  return [connectedRoute(entry, `${entry.peer}/128`), connectedRoute(entry, `${entry.address}/128`)];
}

function connectedRoute(entry: AddressState, destination: string): RouteState {
  return {
    family: entry.family,
    table: MAIN_TABLE,
    destination,
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
}

function networkOf(entry: AddressState): string {
  if (entry.family === 4) {
    const bytes = [...(parseAddress(entry.address) ?? [])];
    return bytes.map((byte, index) => byte & (0xff << Math.max(0, 8 - Math.max(0, entry.prefixLength - index * 8)))).join('.');
  }
  if (entry.prefixLength !== 64) throw new Error('the fake kernel knows IPv6 networks of /64 only');
  return `${entry.address.slice(0, entry.address.indexOf('::'))}::`;
}
