/**
 * Where a flow of traffic runs: from which node of a lab to which, on which addresses; and by which uplink somebody came,
 * judged by the address that the far side saw. Pure.
 */
import { BlockList, isIPv4 } from 'node:net';
import type { Lab } from '../lab.js';
import { SERVER4, SERVER6, type Topology } from '../topologies.js';

/** Ends of a flow. Without any of it: from the client to the server in `internet`. {@link forwardPort} gives the other way round. */
export interface Place {
  /** default 4 */
  readonly family?: 4 | 6;
  /** node of the program that opens the flow; default `client` */
  readonly from?: string;
  /** the address that it binds to; default: the kernel's choice, in `internet` the server's */
  readonly localAddress?: string;
  /** node of the program that answers; default `internet` */
  readonly to?: string;
  /** where that listens; default: the server's address, and a free port */
  readonly listen?: { readonly address?: string; readonly port?: number };
  /** where the one who opens sends to; default: where the other listens */
  readonly via?: { readonly address: string; readonly port?: number };
}

/** A {@link Place} with its gaps filled. */
export interface Ends {
  readonly family: 4 | 6;
  readonly from: string;
  readonly localAddress: string | null;
  readonly to: string;
  readonly listen: { readonly address: string; readonly port: number };
  /** where to send to, once it is known on which port the other listens */
  target(listening: { readonly port: number }): { readonly address: string; readonly port: number };
}

export function endsOf(place: Place): Ends {
  const { family = 4, from = 'client', to = 'internet', listen = {}, via } = place;
  const server = family === 4 ? SERVER4 : SERVER6;
  const { address = server, port = 0 } = listen;
  return {
    family,
    from,
    localAddress: place.localAddress ?? (from === 'internet' ? server : null),
    to,
    listen: { address, port },
    target: (listening) => ({ address: via?.address ?? address, port: via?.port ?? listening.port }),
  };
}

/** The uplink whose public address or delegated prefix this is; null where it is none's. */
export function uplinkOf(topology: Topology, address: string): string | null {
  const found = topology.uplinks.find(({ public4, public6, delegated6 }) => {
    if (address === public4 || address === public6) return true;
    return delegated6 !== null && !isIPv4(address) && within(address, delegated6.prefix);
  });
  return found?.name ?? null;
}

/** How many of these came by each uplink; every uplink is named. `elsewhere` counts the rest. */
export function sharesOf(lab: Lab, addresses: readonly string[]): Record<string, number> {
  const shares: Record<string, number> = Object.fromEntries(lab.uplinks.map((uplink) => [uplink.name, 0]));
  for (const address of addresses) {
    const name = uplinkOf(lab.topology, address) ?? 'elsewhere';
    shares[name] = (shares[name] ?? 0) + 1;
  }
  return shares;
}

function within(address: string, prefix: string): boolean {
  const [network = '', length = ''] = prefix.split('/');
  const list = new BlockList();
  list.addSubnet(network, Number(length), 'ipv6');
  return list.check(address, 'ipv6');
}
