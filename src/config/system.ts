/**
 * A configuration held against the machine it is to run on: gateways against networks, interfaces against links, our
 * numbers against those in use. Pure: the kernel's state and the resolver's answers are handed in.
 */
import type { Config, KernelNumbers, UplinkConfig } from '../core/config.js';
import type { KernelState, RouteState, RuleState } from '../core/kernel.js';
import type { Family } from '../core/model.js';
import { inNetwork, isLinkLocal, sameAddress, splitZone } from '../core/net.js';
import { hostText } from './host.js';
import { PROTOCOL_NAMES, TABLES } from './numbers.js';
import { complaint, formatPath, type Path, type Problem, type Report } from './problem.js';
import type { Source } from './source.js';
import { gatewayKey } from './uplink.js';

const MAIN_TABLE = 254;

/** A network that this machine is in. */
interface Network {
  readonly interface: string;
  readonly family: Family;
  readonly address: string;
  readonly length: number;
}

/**
 * @param resolve addresses of a name, both families; empty = it does not resolve
 * @param source where things stand in the file; without it problems carry no line
 */
export function checkAgainstSystem(
  config: Config,
  state: KernelState,
  resolve: (name: string) => readonly string[],
  source: Source | null = null,
): Problem[] {
  const problems: Problem[] = [];
  const report: Report = (path, found, wrong, severity = 'error') => {
    const place = source?.place(path) ?? { line: 0, column: 0 };
    problems.push({ severity, file: source?.file ?? 'configuration', ...place, path: formatPath(path), found, ...wrong });
  };
  const networks = connectedNetworks(state);
  const taken = new Map<string, string>();
  for (const uplink of config.uplinks) {
    checkInterface(uplink, state, report);
    checkGateways(uplink, state, networks, resolve, taken, report);
    checkTargets(uplink, state, networks, source, report);
  }
  checkNumbers(config.kernel, state, report);
  return problems;
}

function connectedNetworks(state: KernelState): Network[] {
  const names = new Map(state.links.filter((link) => !link.loopback).map((link) => [link.index, link.name]));
  const networks = new Map<string, Network>();
  const add = (ifindex: number, family: Family, address: string, length: number): void => {
    const name = names.get(ifindex);
    if (name !== undefined) networks.set(`${name} ${address}/${length}`, { interface: name, family, address, length });
  };
  // The kernel makes the route of a network only once its link is up: addresses count as well.
  for (const { ifindex, family, address, prefixLength, peer } of state.addresses) {
    const known = state.routes.some((route) => onLinkOf(route, ifindex) && route.family === family && routeHolds(route, address));
    if (!known) add(ifindex, family, peer ?? address, prefixLength);
  }
  for (const route of state.routes) {
    const [nexthop] = route.nexthops;
    if (nexthop === undefined || !onLinkOf(route, nexthop.ifindex)) continue;
    const [address, length] = route.destination.split('/');
    if (address !== undefined)
      add(nexthop.ifindex, route.family, address, length === undefined ? fullLength(route.family) : Number(length));
  }
  return [...networks.values()];
}

function fullLength(family: Family): number {
  return family === 4 ? 32 : 128;
}

function onLinkOf(route: RouteState, ifindex: number): boolean {
  const [nexthop] = route.nexthops;
  return (
    route.table === MAIN_TABLE &&
    route.type === 'unicast' &&
    route.destination !== 'default' &&
    nexthop?.gateway === null &&
    nexthop.ifindex === ifindex
  );
}

function routeHolds(route: RouteState, address: string): boolean {
  const [network, length] = route.destination.split('/');
  return network !== undefined && inNetwork(address, network, length === undefined ? fullLength(route.family) : Number(length));
}

function checkInterface(uplink: UplinkConfig, state: KernelState, report: Report): void {
  const name = uplink.interface;
  if (name === null || state.links.some((link) => link.name === name)) return;
  const others = state.links.filter((link) => !link.loopback).map((link) => link.name);
  const wrong = complaint('there is no such interface now; it may come', null, `There are ${others.join(', ') || 'none'}.`);
  report(['uplinks', uplink.name, 'interface'], name, wrong, 'warning');
}

function checkGateways(
  uplink: UplinkConfig,
  state: KernelState,
  networks: readonly Network[],
  resolve: (name: string) => readonly string[],
  taken: Map<string, string>,
  report: Report,
): void {
  for (const { family, host } of uplink.gateways) {
    const path: Path = ['uplinks', uplink.name, gatewayKey(uplink, family)];
    if (host.kind === 'auto') continue;
    const isName = host.kind === 'name';
    const addresses = isName ? resolve(host.name).filter((one) => familyOfText(one) === family) : [host.address];
    if (addresses.length === 0) {
      report(
        path,
        hostText(host),
        complaint(`this name has no IPv${family} address now`, null, 'Add it to /etc/hosts, or write the address.'),
        'warning',
      );
      continue;
    }
    for (const address of addresses) {
      const found = isName ? `${hostText(host)} (${address})` : address;
      const device = gatewayInterface(uplink, family, address, found, path, isName, state, networks, report);
      const key = `${address} ${device ?? ''}`;
      const other = taken.get(key);
      // The same text is refused when the file is read; here it is another spelling, or an interface that was found.
      if (other !== undefined && other !== uplink.name) {
        report(
          path,
          found,
          complaint(
            `uplink ${other} has the same gateway${device === null ? '' : ` on ${device}`}`,
            null,
            'Two uplinks need two ways out.',
          ),
        );
      }
      taken.set(key, other ?? uplink.name);
    }
  }
}

/** Tells what is wrong with the gateway, and on which interface it is reached; null where that is not known. */
function gatewayInterface(
  uplink: UplinkConfig,
  family: Family,
  address: string,
  found: string,
  path: Path,
  isName: boolean,
  state: KernelState,
  networks: readonly Network[],
  report: Report,
): string | null {
  const device = uplink.interface;
  if (state.addresses.some((own) => sameAddress(own.address, address) && (device === null || !isLinkLocal(address)))) {
    report(path, found, complaint('this is an address of this machine itself'));
    return device;
  }
  if (isLinkLocal(address)) {
    if (device === null)
      report(
        path,
        found,
        complaint('a link-local address says nothing without its interface', null, 'Add interface: to the uplink.'),
      );
    return device;
  }
  if (device !== null) {
    const link = state.links.find((one) => one.name === device);
    // A link that is not there yet brings its network along; a point-to-point link needs none.
    if (link === undefined || link.pointToPoint) return device;
  }
  const candidates = networks.filter((network) => network.family === family && (device === null || network.interface === device));
  const home = candidates.find((network) => inNetwork(address, network.address, network.length));
  if (home !== undefined) return home.interface;
  const where = device === null ? 'on no connected network' : `on no network of ${device}`;
  const shown = candidates
    .filter((network) => !isLinkLocal(network.address))
    .map((network) => `${network.address}/${network.length} on ${network.interface}`);
  const hint =
    shown.length > 0
      ? `Connected are ${shown.join(', ')}.`
      : `There is no IPv${family} network${device === null ? '' : ' there'} yet.`;
  // A name may get another address, and an interface without any address may still be waiting for DHCP.
  const mayCome = isName || (device !== null && shown.length === 0);
  report(path, found, complaint(`this gateway is ${where}`, null, hint), mayCome ? 'warning' : 'error');
  return device;
}

function familyOfText(address: string): Family {
  return address.includes(':') ? 6 : 4;
}

function checkTargets(
  uplink: UplinkConfig,
  state: KernelState,
  networks: readonly Network[],
  source: Source | null,
  report: Report,
): void {
  const own = source?.textAt(['uplinks', uplink.name, 'targets']) !== null;
  const base: Path = own ? ['uplinks', uplink.name, 'targets'] : ['defaults', 'targets'];
  for (const [index, { host }] of uplink.targets.entries()) {
    if (host.kind !== 'address') continue;
    const { address, family } = host;
    const path = [...base, index];
    if (state.addresses.some((one) => sameAddress(one.address, splitZone(address)[0]))) {
      report(path, address, complaint('this is an address of this machine itself: it proves nothing of the uplink'));
      continue;
    }
    const isGateway = uplink.gateways.some(
      (gateway) => gateway.host.kind === 'address' && sameAddress(gateway.host.address, address),
    );
    const near = networks.find(
      (network) => network.family === family && network.length > 0 && inNetwork(address, network.address, network.length),
    );
    if (near !== undefined && !isGateway && near.length < fullLength(family)) {
      const wrong = complaint(
        `this target is on the connected network ${near.address}/${near.length}`,
        null,
        'It proves nothing of the way beyond the gateway.',
      );
      report(path, address, wrong, 'warning');
    }
  }
}

function checkNumbers(numbers: KernelNumbers, state: KernelState, report: Report): void {
  const { protocol, tableBase, ruleBase, markMask } = numbers;
  const within = (value: number, base: number): boolean => value >= base && value < base + TABLES;
  const isOurs = (rule: RuleState): boolean => rule.protocol === protocol && !rule.other && within(rule.table, tableBase);
  const once = new Set<string>();
  const tell = (key: string, found: number | string, message: string, severity: 'error' | 'warning'): void => {
    if (once.has(`${key} ${message}`)) return;
    once.add(`${key} ${message}`);
    report(['kernel', key], String(found), complaint(message, null, `Choose another ${key} under kernel:.`), severity);
  };
  for (const rule of state.rules) {
    if (isOurs(rule)) continue;
    const owner = protocolName(rule.protocol);
    if (within(rule.priority, ruleBase))
      tell('rule-base', ruleBase, `rule ${rule.priority}, made by ${owner}, stands among ours`, 'error');
    if (within(rule.table, tableBase))
      tell('table-base', tableBase, `rule ${rule.priority}, made by ${owner}, uses table ${rule.table} of ours`, 'error');
    if ((rule.mark & rule.mask & markMask) !== 0) {
      tell(
        'mark-mask',
        hex(markMask),
        `rule ${rule.priority}, made by ${owner}, looks for the mark ${hex(rule.mark)}/${hex(rule.mask)}, which shares bits with ours`,
        'error',
      );
    }
  }
  for (const route of state.routes) {
    const owner = protocolName(route.protocol);
    if (within(route.table, tableBase) && route.protocol !== protocol) {
      tell('table-base', tableBase, `table ${route.table} holds a route made by ${owner}`, 'error');
    }
    if (
      route.protocol === protocol &&
      !within(route.table, tableBase) &&
      !(route.table === MAIN_TABLE && route.destination === 'default')
    ) {
      tell(
        'protocol',
        protocol,
        `the route to ${route.destination} in table ${route.table} has this number, and is none of ours`,
        'warning',
      );
    }
  }
}

function protocolName(protocol: number): string {
  const name = PROTOCOL_NAMES[protocol];
  return name === undefined ? `protocol ${protocol}` : `${name} (protocol ${protocol})`;
}

function hex(bits: number): string {
  return `0x${(bits >>> 0).toString(16)}`;
}
