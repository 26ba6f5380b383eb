/**
 * Port forwards in a lab: who connects to the public address of an uplink reaches a program in the LAN, as home and office
 * servers are reached. Destination NAT by nftables in the router, and in the gateway, which sees both directions of it.
 */
import { LabError } from '../errors.js';
import type { Lab } from '../lab.js';
import { run } from '../run.js';
import { CLIENT4, CLIENT6 } from '../topologies.js';
import type { Place } from './places.js';

export interface ForwardOptions {
  /** the same outside and inside */
  readonly port: number;
  /** default 4 */
  readonly family?: 4 | 6;
  /** where the gateway is on the router's network; default: its address there as the lab was built (none where it is bare) */
  readonly gatewayAddress?: string;
  /** false: the gateway is left alone, somebody else forwards there. Default true */
  readonly atGateway?: boolean;
}

/**
 * TCP and UDP. Resolves with the place of a flow from `internet` by this uplink to a server in the client; give it to any
 * generator. Where the provider routes a prefix to the gateway, IPv6 needs no forwards: the place is the client's translated
 * address. Several uplinks can forward the same port.
 */
export async function forwardPort(lab: Lab, uplinkName: string, options: ForwardOptions): Promise<Place> {
  const { port, family = 4, atGateway = true } = options;
  const uplink = lab.uplink(uplinkName);
  const server = family === 4 ? CLIENT4 : CLIENT6;
  const inside = { family, from: 'internet', to: 'client', listen: { address: server, port } } as const;
  if (family === 6 && uplink.delegated6 !== null) {
    return { ...inside, via: { address: uplink.delegated6.lan.replace(/::\/64$/, '::10'), port } };
  }
  const outside = family === 4 ? uplink.public4 : uplink.public6;
  if (uplink.pointToPoint) {
    if (atGateway) await addForward(lab, 'gateway', uplink.gatewayInterface, outside, server, port);
    return { ...inside, via: { address: outside, port } };
  }
  const gateway = options.gatewayAddress ?? addressOf(lab, uplink.gatewayInterface, family);
  await addForward(lab, uplink.router, 'wan0', outside, gateway, port);
  if (atGateway) await addForward(lab, 'gateway', uplink.gatewayInterface, gateway, server, port);
  return { ...inside, via: { address: outside, port } };
}

async function addForward(lab: Lab, node: string, device: string, from: string, to: string, port: number): Promise<void> {
  const family = from.includes(':') ? 'ip6' : 'ip';
  const target = family === 'ip6' ? `[${to}]` : to;
  const rules = [
    `table ${family} backroute_lab_forwards {`,
    '  chain prerouting {',
    '    type nat hook prerouting priority -100;',
    `    iifname "${device}" ${family} daddr ${from} meta l4proto { tcp, udp } th dport ${port} dnat to ${target}:${port}`,
    '  }',
    '}',
    '',
  ];
  await run(['ip', 'netns', 'exec', lab.ns(node), 'nft', '-f', '-'], { input: rules.join('\n') });
}

function addressOf(lab: Lab, device: string, family: 4 | 6): string {
  const own = lab.topology.nodes.gateway?.interfaces.find((one) => one.name === device);
  const found = own?.addresses.find((address) => address.includes(':') === (family === 6) && !address.startsWith('fe80:'));
  if (found !== undefined) return found.replace(/[ /].*$/, '');
  throw new LabError(`the gateway's ${device} has no IPv${family} address that a router could forward to`, 'give gatewayAddress');
}
