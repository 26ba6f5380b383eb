/** The doctor's look at `gateway: auto`: who names the gateway, and who would tell of another one. Pure. */
import type { AutoFact, Facts, Finding } from './facts.js';
import { finding, sysctlFinding } from './finding.js';

const DHCP_DOCS = 'docs/dhcp.md has it for each client';

/** The sysctls that these checks look at. */
export function gatewaySysctls(interfaces: readonly string[]): string[] {
  return ['all', ...interfaces].flatMap((name) => [acceptRaOf(name), forwardingOf(name)]);
}

export function gatewayFindings(facts: Facts): Finding[] {
  return facts.autos.flatMap((auto) => {
    const cause = deaf(auto, facts);
    return [...(cause.length > 0 ? cause : nameless(auto, facts)), ...routeAlone(auto)];
  });
}

/** A router does not listen to router advertisements, unless told so: ip-sysctl.rst, accept_ra. */
function deaf(auto: AutoFact, { kernel }: Facts): Finding[] {
  if (auto.family !== 6 || kernel.sysctls[acceptRaOf(auto.interface)] !== '1') return [];
  const forwards = kernel.sysctls[forwardingOf(auto.interface)] ?? kernel.sysctls[forwardingOf('all')];
  if (forwards !== '1') return [];
  const what = `${auto.interface} forwards IPv6 and does not listen to router advertisements (accept_ra is 1)`;
  const why = `${auto.uplink} gets neither gateway nor address by them: with forwarding on, only 2 listens`;
  return [sysctlFinding('accept-ra', 'problem', what, why, [[acceptRaOf(auto.interface), '2']])];
}

function nameless(auto: AutoFact, facts: Facts): Finding[] {
  const { uplink, family, interface: name } = auto;
  // An interface that is not there yet is told of as such.
  if (auto.source !== null || !facts.kernel.links.some((link) => link.name === name || link.altNames?.includes(name) === true))
    return [];
  const what = `nothing names the IPv${family} gateway of ${uplink}: no lease, no hook and no route of ${name} does`;
  const why = 'gateway: auto takes it from what the system knows; without it the uplink is down';
  if (family === 6) {
    const accepts = facts.kernel.sysctls[acceptRaOf(name)] ?? 'not there';
    const remedy = `see whether its router advertises itself: rdisc6 ${name}; and whether anything here listens: accept_ra of ${name} is ${accepts}`;
    return [finding('auto-gateway', 'problem', what, why, remedy)];
  }
  const remedy = facts.hintHook
    ? `start its DHCP client, or renew the lease: the hook is there, but has said nothing of ${name} yet; ${DHCP_DOCS}`
    : `start its DHCP client, and install the hook that tells us of its leases: ${DHCP_DOCS}`;
  return [finding('auto-gateway', 'problem', what, why, remedy)];
}

/** The client's own `route add` for another gateway fails unseen while our default stands. */
function routeAlone({ uplink, family, interface: name, source, hinted }: AutoFact): Finding[] {
  if (family !== 4 || hinted || (source !== 'route of boot' && source !== 'route of dhcp')) return [];
  const what = `only a route names the gateway of ${uplink} (${source} on ${name})`;
  const why =
    'when its DHCP client learns of another gateway, its route is refused because ours stands there, and nobody hears of it';
  return [finding('auto-route-only', 'advice', what, why, `install the hook of its DHCP client: ${DHCP_DOCS}`)];
}

function acceptRaOf(name: string): string {
  return `net/ipv6/conf/${name}/accept_ra`;
}

function forwardingOf(name: string): string {
  return `net/ipv6/conf/${name}/forwarding`;
}
