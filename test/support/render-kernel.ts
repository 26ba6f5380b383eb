/**
 * Kernel objects as the lines `ip` would print: for golden files, and to compare kernels byte for byte.
 * Routes of one destination keep the kernel's order, since that order decides; everything else is sorted.
 */
import type { KernelOp, KernelState, LinkState, NftRules, RouteState, RuleState, WayOut } from '../../src/core/kernel.js';

const TABLES: ReadonlyMap<number, string> = new Map([[254, 'main']]);
const PROTOCOLS: ReadonlyMap<number, string> = new Map([
  [2, 'kernel'],
  [3, 'boot'],
  [4, 'static'],
  [9, 'ra'],
  [16, 'dhcp'],
]);

const IP_PROTOCOLS: ReadonlyMap<number, string> = new Map([
  [6, 'tcp'],
  [17, 'udp'],
]);

type Names = (ifindex: number) => string;

export function linkNames(links: readonly LinkState[]): Names {
  return (ifindex) => links.find((link) => link.index === ifindex)?.name ?? `if${ifindex}`;
}

export function renderRoute(route: RouteState, names: Names): string {
  const type = route.type === 'unicast' ? '' : `${route.type} `;
  const hops = route.nexthops.map((hop) => {
    const weight = hop.weight === undefined || hop.weight === 1 ? '' : ` weight ${hop.weight}`;
    return `${hop.gateway === null ? '' : ` via ${hop.gateway}`} dev ${names(hop.ifindex)}${weight}${hop.onlink ? ' onlink' : ''}`;
  });
  const via = hops.length > 1 ? hops.map((hop) => ` nexthop${hop}`).join('') : (hops[0] ?? '');
  const rest = [
    `proto ${PROTOCOLS.get(route.protocol) ?? route.protocol}`,
    route.metric === 0 ? '' : `metric ${route.metric}`,
    route.tos === 0 ? '' : `tos ${route.tos}`,
    route.prefsrc === null ? '' : `src ${route.prefsrc}`,
    route.rest === '' ? '' : `rest ${route.rest}`,
  ];
  const table = TABLES.get(route.table) ?? String(route.table);
  return `ip${route.family === 6 ? ' -6' : ''} route ${table}: ${type}${route.destination}${via} ${rest.filter(Boolean).join(' ')}`;
}

export function renderRule(rule: RuleState): string {
  const { incoming, source, destination, mark, mask, ipProtocol, ports, suppress } = rule;
  const range = ports === undefined ? '' : ports.first === ports.last ? `${ports.first}` : `${ports.first}-${ports.last}`;
  const words = [
    incoming === undefined ? '' : `iif ${incoming}`,
    source === undefined ? '' : `from ${source}`,
    destination === undefined ? '' : `to ${destination}`,
    mask === 0 ? '' : `fwmark 0x${mark.toString(16)}/0x${mask.toString(16)}`,
    ipProtocol === undefined ? '' : `ipproto ${IP_PROTOCOLS.get(ipProtocol) ?? ipProtocol}`,
    range === '' ? '' : `dport ${range}`,
    rule.action ?? `lookup ${rule.table}`,
    suppress === undefined ? '' : `suppress_prefixlength ${suppress}`,
    `proto ${rule.protocol}`,
    rule.other ? '(other)' : '',
  ];
  return `ip${rule.family === 6 ? ' -6' : ''} rule ${rule.priority}: ${words.filter(Boolean).join(' ')}`;
}

export function renderOp(op: KernelOp, names: Names): string {
  switch (op.op) {
    case 'route-replace':
    case 'route-add':
    case 'route-append':
    case 'route-delete':
      return `${op.op.slice(6)} ${renderRoute(op.route, names)}`;
    case 'rule-add':
    case 'rule-delete':
      return `${op.op.slice(5)} ${renderRule(op.rule)}`;
    case 'sysctl-set':
      return `sysctl ${op.key} = ${op.value}`;
    case 'neighbour-delete':
      return `delete ip neigh ${op.address} dev ${names(op.ifindex)}`;
    case 'nft-table':
      return op.rules === null ? 'nft delete table' : `nft table: ${renderNft(op.rules)}`;
  }
}

function renderWay(way: WayOut): string {
  const words = [`IPv${way.family} ${way.interface}`, way.gateway === null ? '' : `via ${way.gateway}`, way.mac ?? ''];
  return words.filter(Boolean).join(' ');
}

function renderNft({ dropNdRedirectsOn, flows, masquerade = [], prefixes = [] }: NftRules): string {
  const marked = (flows?.ways ?? []).map((way) => `0x${way.mark.toString(16)} = ${renderWay(way)}`);
  const parts = [
    flows === undefined ? '' : `flows ${flows.inbound ? 'in and out' : 'out'}: ${marked.join(', ')}`,
    masquerade.length === 0 ? '' : `masquerade: ${masquerade.map(renderWay).join(', ')}`,
    ...prefixes.map(({ way, inside, outside }) => `${inside} = ${outside} on ${renderWay(way)}`),
  ].filter(Boolean);
  // Where nothing else is said there must be this to say.
  const redirects =
    dropNdRedirectsOn.length > 0 || parts.length === 0 ? [`no ND redirects on ${dropNdRedirectsOn.join(' ')}`] : [];
  return [...redirects, ...parts].join('; ');
}

export function renderKernel(state: KernelState, sysctls: ReadonlyMap<string, string>): string {
  const names = linkNames(state.links);
  const groups = new Map<string, string[]>();
  for (const route of state.routes) {
    const key = `${route.family} ${String(route.table).padStart(10, '0')} ${route.destination}`;
    groups.set(key, [...(groups.get(key) ?? []), renderRoute(route, names)]);
  }
  const routes = [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, lines]) => lines);
  const rules = state.rules.map(renderRule).sort();
  const settings = [...sysctls].map(([key, value]) => `sysctl ${key} = ${value}`).sort();
  const nft = state.nft === null || state.nft.fingerprint === 'absent' ? [] : [`nft table ${state.nft.fingerprint}`];
  return [...routes, ...rules, ...settings, ...nft].map((line) => `${line}\n`).join('');
}
