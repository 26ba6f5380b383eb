/**
 * Kernel operations as the commands that would do the same, with what each is for: what `--dry-run` prints.
 * Pure; carries nothing out.
 */
import type { KernelNumbers } from '../config.js';
import type { KernelOp, KernelState, NftRules, RouteState, RuleState, WayOut } from '../kernel.js';

const MAIN_TABLE = 254;

/** `ip route replace default via 192.168.1.253 dev eth0 proto 77   # the way out` */
export function describeOp(op: KernelOp, state: KernelState, numbers: KernelNumbers): string {
  return `${commandOf(op, state)}   # ${purposeOf(op, numbers)}`;
}

function commandOf(op: KernelOp, state: KernelState): string {
  switch (op.op) {
    case 'route-replace':
    case 'route-add':
    case 'route-append':
    case 'route-delete':
      return `${ip(op.route.family)} route ${op.op.slice('route-'.length)} ${routeText(op.route, state)}`;
    case 'rule-add':
    case 'rule-delete':
      return `${ip(op.rule.family)} rule ${op.op === 'rule-add' ? 'add' : 'del'} ${ruleText(op.rule)}`;
    case 'sysctl-set':
      return `sysctl -w ${dotted(op.key)}='${op.value}'`;
    case 'neighbour-delete':
      return `${ip(op.family)} neighbour del ${op.address} dev ${deviceName(op.ifindex, state)}`;
    case 'nft-table':
      return op.rules === null
        ? 'nft delete table inet backroute'
        : `nft: table inet backroute, ${nftParts(op.rules).join('; ')}`;
  }
}

function purposeOf(op: KernelOp, numbers: KernelNumbers): string {
  switch (op.op) {
    case 'route-replace':
    case 'route-add':
    case 'route-append': {
      const { route } = op;
      if (route.table !== MAIN_TABLE) {
        if (route.type !== 'unicast') return 'no probe may ever take another way';
        const ofProbes = route.table < numbers.tableBase + 64;
        return ofProbes ? "the way of this uplink's probes" : "the way of this uplink's open connections";
      }
      if (route.protocol !== numbers.protocol) return 'puts back what was there before';
      return route.metric <= 1 ? 'the way out' : 'the kernel falls back to it by itself when a link loses its carrier';
    }
    case 'route-delete':
      return op.route.protocol === numbers.protocol ? 'ours, no longer wanted' : 'foreign, in our place: remembered for cleanup';
    case 'rule-add':
      return rulePurpose(op.rule, numbers);
    case 'rule-delete':
      return 'ours, no longer wanted';
    case 'sysctl-set':
      return sysctlPurpose(op.key);
    case 'neighbour-delete':
      return 'the neighbour is asked for anew';
    case 'nft-table':
      return op.rules === null ? 'ours, no longer wanted' : nftPurpose(op.rules);
  }
}

function nftParts({ dropNdRedirectsOn, flows, masquerade, prefixes }: NftRules): string[] {
  const on = (ways: readonly WayOut[]): string =>
    ways.map((way) => `${way.interface} (IPv${way.family}${way.gateway === null ? '' : ` via ${way.gateway}`})`).join(', ');
  return [
    dropNdRedirectsOn.length === 0 ? '' : `drop nd-redirect on ${dropNdRedirectsOn.join(', ')}`,
    flows === undefined ? '' : `remember connections by ${on(flows.ways)}`,
    masquerade === undefined ? '' : `masquerade on ${on(masquerade)}`,
    ...(prefixes ?? []).map(({ way, inside, outside }) => `${inside} is ${outside} on ${way.interface}`),
  ].filter((part) => part !== '');
}

function nftPurpose({ flows, masquerade, prefixes }: NftRules): string {
  if (prefixes !== undefined) return "the LAN's addresses become those of each provider";
  if (masquerade !== undefined) return "the LAN appears under this machine's own address";
  return flows === undefined
    ? 'IPv6 has no sysctl against sending redirects'
    : 'open connections stay on the uplink they began on';
}

function rulePurpose(rule: RuleState, numbers: KernelNumbers): string {
  if (rule.suppress !== undefined) return 'what has a way of its own (LAN, VPN) goes there first';
  if (rule.action === 'unreachable') return 'via: blocked while its uplink does not work';
  if (rule.incoming !== undefined) return 'this smarthost is reached through its uplink only';
  if (rule.mark === 0) return 'via: chosen traffic by a chosen uplink';
  const isProbe = rule.priority < numbers.ruleBase + 64;
  return isProbe ? "sends this uplink's probes through its table" : 'open connections stay on this uplink';
}

function sysctlPurpose(key: string): string {
  if (key.includes('send_redirects')) return 'clients must not learn a way around this gateway';
  if (key.includes('accept_redirects')) return 'a router must not bend our probes';
  if (key.includes('rp_filter')) return 'answers through the inactive uplink must not be dropped';
  if (key.includes('ignore_routes_with_linkdown')) return 'the kernel skips routes over a link without carrier';
  if (key.includes('fib_multipath_hash_policy')) return 'connections are shared out, not hosts';
  if (key.includes('ping_group_range')) return 'ICMP probes without raw sockets';
  return 'the topology needs it';
}

function routeText(route: RouteState, state: KernelState): string {
  const parts = [route.type === 'unicast' ? '' : route.type, route.destination];
  if (route.tos !== 0) parts.push(`tos ${route.tos}`);
  const hops = route.type === 'unicast' ? route.nexthops : [];
  for (const hop of hops) {
    if (hops.length > 1) parts.push('nexthop');
    if (hop.gateway !== null) parts.push(`via ${hop.gateway}`);
    parts.push(`dev ${deviceName(hop.ifindex, state)}`);
    if (hop.weight !== undefined && hops.length > 1) parts.push(`weight ${hop.weight}`);
    if (hop.onlink) parts.push('onlink');
  }
  if (route.table !== MAIN_TABLE) parts.push(`table ${route.table}`);
  parts.push(`proto ${route.protocol}`);
  if (route.prefsrc !== null) parts.push(`src ${route.prefsrc}`);
  if (route.metric !== 0) parts.push(`metric ${route.metric}`);
  return parts.filter((part) => part !== '').join(' ');
}

function ruleText(rule: RuleState): string {
  const hex = (value: number): string => `0x${value.toString(16)}`;
  const selectors = [
    rule.source === undefined ? '' : `from ${rule.source}`,
    rule.incoming === undefined ? '' : `iif ${rule.incoming}`,
    rule.destination === undefined ? '' : `to ${rule.destination}`,
    rule.mask === 0 ? '' : `fwmark ${hex(rule.mark)}/${hex(rule.mask)}`,
    rule.ipProtocol === undefined
      ? ''
      : `ipproto ${rule.ipProtocol === 6 ? 'tcp' : rule.ipProtocol === 17 ? 'udp' : rule.ipProtocol}`,
    rule.ports === undefined ? '' : `dport ${rule.ports.first}-${rule.ports.last}`,
  ];
  const does =
    rule.action ?? `table ${rule.table}${rule.suppress === undefined ? '' : ` suppress_prefixlength ${rule.suppress}`}`;
  return ['priority', rule.priority, ...selectors.filter((text) => text !== ''), does].join(' ');
}

function ip(family: 4 | 6): string {
  return family === 4 ? 'ip' : 'ip -6';
}

function deviceName(ifindex: number, state: KernelState): string {
  return state.links.find((link) => link.index === ifindex)?.name ?? `if${ifindex}`;
}

/** Keys are paths; people know them with dots (sysctl(8): a slash for a dot within a name). */
function dotted(key: string): string {
  return key.includes('/') ? key.replace(/[./]/g, (separator) => (separator === '/' ? '.' : '/')) : key;
}
