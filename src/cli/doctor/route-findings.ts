/** The doctor's look at routes and rules: who else makes default routes, and what stands ahead of ours. Pure. */
import type { RouteState, RuleState } from '../../core/kernel.js';
import type { Facts, Finding } from './facts.js';

const MAIN_TABLE = 254;
/** Priority 0 looks into the table `local`; every machine has it (ip-rule(8)). */
const LOCAL_PRIORITY = 0;

export function routeFindings(facts: Facts): Finding[] {
  const { config, kernel } = facts;
  if (config === null) return [];
  const { protocol, ruleBase, markMask } = config.kernel;
  const families = new Set(facts.paths.map((path) => path.family));
  const defaults = kernel.routes.filter(
    (route) =>
      route.table === MAIN_TABLE && route.destination === 'default' && route.protocol !== protocol && families.has(route.family),
  );
  const ahead = kernel.rules.filter(
    (rule) =>
      families.has(rule.family) && rule.priority !== LOCAL_PRIORITY && rule.priority < ruleBase && rule.protocol !== protocol,
  );
  const marked = kernel.rules.filter(
    (rule) => rule.protocol !== protocol && rule.mask !== 0 && (rule.mask & markMask) !== 0 && rule.mark !== 0,
  );
  return [
    ...defaults.map((route) => foreignDefault(route, facts)),
    ...ahead.filter((rule) => !marked.includes(rule)).map((rule) => foreignRule(rule)),
    ...marked.map((rule) => markConflict(rule, markMask)),
  ];
}

function foreignDefault(route: RouteState, facts: Facts): Finding {
  const hop = route.nexthops[0];
  const device = facts.kernel.links.find((link) => link.index === hop?.ifindex)?.name ?? 'nowhere';
  const gateway = hop?.gateway ?? 'the link itself';
  const maker = makers(route.protocol, facts);
  const name = facts.protocols.get(route.protocol) ?? `protocol ${route.protocol}`;
  const which = `a default route by ${gateway} on ${device} (metric ${route.metric}) made by ${name}${maker === '' ? '' : `, probably ${maker}`}`;
  const remedy = `ip${route.family === 6 ? ' -6' : ''} route del default via ${gateway} dev ${device} metric ${route.metric}`;
  if (route.tos !== 0) {
    const why = `packets of tos ${route.tos} follow it whatever we choose: no metric outranks a tos`;
    return { id: 'default-tos', level: 'problem', what: which, why, remedy: `${remedy} tos ${route.tos}`, fix: [] };
  }
  if (facts.daemon === null) {
    const why = 'the daemon takes its place and remembers it; `backroute cleanup` puts it back';
    return { id: 'default-foreign', level: 'advice', what: which, why, remedy: null, fix: [] };
  }
  const why = 'its maker may come back and take our place: each time is repaired at once and told, but it is better not made';
  return { id: 'default-foreign', level: 'advice', what: which, why, remedy: tameRemedy(maker, device) ?? remedy, fix: [] };
}

/** Which of the running programs leave routes of this protocol behind. */
function makers(protocol: number, facts: Facts): string {
  const suspects: Readonly<Record<number, readonly string[]>> = {
    3: ['dhclient', 'udhcpc', 'pppd', 'ifup'],
    4: ['NetworkManager', 'systemd-networkd'],
    9: ['NetworkManager', 'systemd-networkd'],
    11: ['zebra'],
    12: ['bird'],
    16: ['NetworkManager', 'systemd-networkd', 'dhcpcd', 'dhclient'],
    18: ['keepalived'],
  };
  const running = facts.programs.filter(({ name }) => suspects[protocol]?.includes(name) === true);
  if (running.length === 0 && protocol === 9) return 'the kernel itself';
  return running.map(({ name, pid }) => `${name} (${pid})`).join(' or ');
}

function tameRemedy(maker: string, device: string): string | null {
  if (maker.startsWith('NetworkManager')) return `nmcli device modify ${device} ipv4.never-default yes ipv6.never-default yes`;
  if (maker.startsWith('systemd-networkd'))
    return `in the .network file of ${device}: [DHCPv4] UseGateway=no, [IPv6AcceptRA] UseGateway=no`;
  if (maker.startsWith('dhcpcd')) return `in /etc/dhcpcd.conf: interface ${device}, then: nogateway`;
  if (maker.startsWith('dhclient')) return `in /etc/dhcp/dhclient.conf, leave "routers" out of: request`;
  return null;
}

function foreignRule(rule: RuleState): Finding {
  const what = `a routing rule of somebody else stands ahead of ours: priority ${rule.priority} to table ${rule.table}`;
  const why = 'what it matches, probes included, never comes to our rules; a VPN often wants that, a forgotten rule does not';
  return { id: 'rule-ahead', level: 'advice', what, why, remedy: `ip${v6(rule)} rule show priority ${rule.priority}`, fix: [] };
}

function markConflict(rule: RuleState, markMask: number): Finding {
  const hex = (value: number): string => `0x${value.toString(16)}`;
  const what = `the rule of priority ${rule.priority} uses mark ${hex(rule.mark)}/${hex(rule.mask)}, which shares bits with ours (${hex(markMask)})`;
  const why = 'its packets may be taken for our probes, or ours for its own';
  return {
    id: 'mark-conflict',
    level: 'problem',
    what,
    why,
    remedy: 'choose other bits in the config: kernel: mark-mask:',
    fix: [],
  };
}

function v6(rule: RuleState): string {
  return rule.family === 6 ? ' -6' : '';
}
