/**
 * Which addresses this machine itself may reach only through one uplink: each smarthost through its own. In the window before
 * the relay has followed a switch its mail is then deferred, never refused by the wrong provider's server. Pure.
 */

import { parseAddress } from '../address.js';
import type { KernelState } from '../kernel.js';
import type { Family } from '../model.js';
import type { Path } from '../paths/path.js';
import { isConnectedAddress } from '../paths/topology.js';
import type { FollowerConfig } from '../services.js';
import type { Binding } from './plan-rules.js';

export interface BoundHost {
  readonly uplink: string;
  readonly host: string;
}

/** The hosts that are bound to an uplink, names and addresses as the file has them. */
export function boundHosts(followers: readonly FollowerConfig[]): BoundHost[] {
  return followers.flatMap((f) =>
    f.kind === 'mail-relay' ? Object.entries(f.smarthosts).map(([uplink, s]) => ({ uplink, host: s.host })) : [],
  );
}

/** A host that is an address needs no resolving. */
export function isAddress(host: string): boolean {
  return parseAddress(host) !== null;
}

/** A relay on this machine, such as a tunnel's end: 127.0.0.0/8 and ::1, RFC 6890. */
function isLoopback(address: string): boolean {
  const bytes = parseAddress(address);
  if (bytes === null) return false;
  return bytes.length === 4 ? bytes[0] === 127 : bytes.every((byte, index) => byte === (index === 15 ? 1 : 0));
}

/**
 * @param addressesOf every known address of a name in one family
 * @returns nothing for addresses in connected networks: those are reached without any uplink
 */
export function bindingsOf(
  hosts: readonly BoundHost[],
  paths: readonly Path[],
  state: KernelState,
  addressesOf: (name: string, family: Family) => readonly string[],
): Binding[] {
  const bindings = hosts.flatMap(({ uplink, host }) =>
    paths
      .filter((p) => p.uplink.name === uplink)
      .flatMap((path): Binding[] => {
        const literal = parseAddress(host);
        const addresses =
          literal === null ? addressesOf(host, path.family) : (literal.length === 4 ? 4 : 6) === path.family ? [host] : [];
        return addresses.map((address) => ({ family: path.family, slot: path.slot, address }));
      }),
  );
  const taken = new Set<string>();
  return bindings.filter(({ family, address }) => {
    // Two providers behind one address cannot be told apart by it: the first in the file has it.
    if (taken.has(address) || isLoopback(address) || isConnectedAddress(state, family, address)) return false;
    taken.add(address);
    return true;
  });
}
