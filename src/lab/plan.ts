/**
 * From a topology to the commands that make it: which namespaces, which cables with which interface indexes, and one
 * script per namespace. Pure: text in, text out; lab.ts runs it.
 */
import { emulatedSegment, type InterfaceSpec, type NodeSpec, type Topology } from './topologies.js';

/** The node that holds the bridges. */
export const SWITCH = 'switch';

/** A port of the switch and the interface at its other end. */
export interface SwitchPort {
  readonly port: string;
  readonly bridge: string;
  readonly node: string;
  readonly interface: string;
}

/** Where an emulated link ends. a is the router's side (the gateway's where it has the modem itself), b the provider's. */
export interface LinkEnds {
  readonly uplink: string;
  readonly a: { readonly node: string; readonly device: string };
  readonly b: { readonly node: string; readonly device: string };
}

/** Every node with its namespace, e.g. `client` -> `br-classic-client`. */
export function namespacesOf(topology: Topology, prefix: string): Record<string, string> {
  const nodes = [...Object.keys(topology.nodes), SWITCH];
  return Object.fromEntries(nodes.map((node) => [node, `${prefix}-${node}`]));
}

export function switchPorts(topology: Topology): SwitchPort[] {
  return Object.entries(topology.nodes).flatMap(([node, spec]) => {
    const bridged = spec.interfaces.filter((one) => topology.bridges.includes(one.segment));
    return bridged.map((one) => ({
      port: bridged.length === 1 ? node : `${node}-${one.name}`,
      bridge: one.segment,
      node,
      interface: one.name,
    }));
  });
}

export function linkEnds(topology: Topology): LinkEnds[] {
  return topology.uplinks.map((uplink) => {
    const ends = Object.entries(topology.nodes).flatMap(([node, spec]) =>
      spec.interfaces.flatMap((one) => (one.segment === emulatedSegment(uplink.name) ? [{ node, device: one.name }] : [])),
    );
    const a = ends.find((end) => end.node !== uplink.isp);
    const b = ends.find((end) => end.node === uplink.isp);
    if (a === undefined || b === undefined) throw new Error(`topology ${topology.name}: the link ${uplink.name} has no two ends`);
    return { uplink: uplink.name, a, b };
  });
}

/**
 * `ip -batch` lines that make the cables, straight into their namespaces: nothing ever appears in the caller's. Each end has
 * an index that no other has: with equal ones carrier events come only once a second (docs/ground.md).
 */
export function cableCommands(topology: Topology, namespaces: Readonly<Record<string, string>>): string[] {
  let index = 100;
  const cable = (a: [string, string], b: [string, string]) =>
    `link add name ${a[1]} index ${index++} netns ${namespaces[a[0]]} type veth peer name ${b[1]} index ${index++} netns ${namespaces[b[0]]}`;
  const ports = switchPorts(topology).map((port) => cable([port.node, port.interface], [SWITCH, port.port]));
  const others = new Map<string, [string, string][]>();
  const emulated = new Set(topology.uplinks.map((uplink) => emulatedSegment(uplink.name)));
  for (const [node, spec] of Object.entries(topology.nodes)) {
    for (const one of spec.interfaces) {
      if (topology.bridges.includes(one.segment) || emulated.has(one.segment)) continue;
      others.set(one.segment, [...(others.get(one.segment) ?? []), [node, one.name]]);
    }
  }
  const straight = [...others].map(([segment, ends]) => {
    const [a, b] = ends;
    if (a === undefined || b === undefined || ends.length > 2) throw new Error(`segment ${segment} needs two ends`);
    return cable(a, b);
  });
  return [...ports, ...straight];
}

/** The shell script (sh -e) that sets a node up, to be run inside its namespace. */
export function nodeScript(topology: Topology, node: string): string {
  const spec = topology.nodes[node];
  if (node === SWITCH) return switchScript(topology);
  if (spec === undefined) throw new Error(`topology ${topology.name} has no node ${node}`);
  const lines = [
    'link set dev lo up',
    ...spec.loopback.map((address) => addAddress(address, 'lo')),
    ...interfaceLines(spec.interfaces),
    ...spec.routes.map((route) => `route add ${route}`),
  ];
  return [sysctls(spec), heredoc('ip -batch -', lines), masquerade(spec), sourceFilter(spec)].join('');
}

/** `ip -batch` lines that bring interfaces up with their addresses. */
export function interfaceLines(interfaces: readonly InterfaceSpec[]): string[] {
  return [
    // Link-local addresses are given, so that routes and tests can name them; duplicate detection would only delay. Two steps: in
    // one the kernel brings the device up first, and a TUN device has given itself a random address by then.
    ...interfaces.flatMap((one) => [`link set dev ${one.name} addrgenmode none`, `link set dev ${one.name} up`]),
    ...interfaces.flatMap((one) => one.addresses.map((address) => addAddress(address, one.name))),
  ];
}

function addAddress(address: string, device: string): string {
  return address.includes(':') ? `addr add ${address} dev ${device} nodad` : `addr add ${address} dev ${device}`;
}

function sysctls(spec: NodeSpec): string {
  const forwards = spec.forwards ? 1 : 0;
  const values = {
    'ipv6/conf/all/disable_ipv6': 0,
    'ipv6/conf/default/disable_ipv6': 0,
    'ipv6/conf/all/accept_ra': 0,
    'ipv6/conf/default/accept_ra': 0,
    'ipv4/conf/all/rp_filter': 0,
    'ipv4/conf/default/rp_filter': 0,
    'ipv4/ip_forward': forwards,
    'ipv6/conf/all/forwarding': forwards,
  };
  return Object.entries(values)
    .map(([key, value]) => `echo ${value} > /proc/sys/net/${key}\n`)
    .join('');
}

function switchScript(topology: Topology): string {
  const ports = switchPorts(topology);
  const lines = [
    ...topology.bridges.map((bridge) => `link add name ${bridge} type bridge stp_state 0 mcast_snooping 0`),
    ...topology.bridges.map((bridge) => `link set dev ${bridge} up`),
    ...ports.map((port) => `link set dev ${port.port} master ${port.bridge} up`),
  ];
  return (
    ['all', 'default'].map((key) => `echo 1 > /proc/sys/net/ipv6/conf/${key}/disable_ipv6\n`).join('') +
    heredoc('ip -batch -', lines)
  );
}

function masquerade({ masqueradeOn, masqueradeFor = {} }: NodeSpec): string {
  if (masqueradeOn.length === 0) return '';
  const { ipv4Only = false, exceptTo = [] } = masqueradeFor;
  const names = masqueradeOn.map((name) => `"${name}"`).join(', ');
  return heredoc('nft -f -', [
    'table inet backroute_lab {',
    '  chain postrouting {',
    '    type nat hook postrouting priority 100;',
    ...exceptTo.map((network) => `    ${network.includes(':') ? 'ip6' : 'ip'} daddr ${network} return`),
    `    ${ipv4Only ? 'meta nfproto ipv4 ' : ''}oifname { ${names} } masquerade`,
    '  }',
    '}',
  ]);
}

/** As providers do against forged sources; its counter tells how many packets took the wrong way out. */
function sourceFilter({ sourceFilter6 }: NodeSpec): string {
  if (sourceFilter6 === undefined) return '';
  const { interface: name, prefixes } = sourceFilter6;
  return heredoc('nft -f -', [
    'table ip6 backroute_lab_sources {',
    '  chain prerouting {',
    '    type filter hook prerouting priority -300;',
    `    iifname "${name}" ip6 saddr != { ${prefixes.join(', ')}, fe80::/10, ::/128 } counter drop`,
    '  }',
    '}',
  ]);
}

function heredoc(command: string, lines: readonly string[]): string {
  return `${command} <<'END'\n${lines.join('\n')}\nEND\n`;
}
