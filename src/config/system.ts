/**
 * A configuration held against the machine it is to run on: gateways against networks, interfaces against links, our
 * numbers against those in use. Pure: the kernel's state and the resolver's answers are handed in.
 */
import type { Config, UplinkConfig } from '../core/config.js';
import type { KernelState, LinkState, RouteState } from '../core/kernel.js';
import type { Family } from '../core/model.js';
import { inNetwork, isLinkLocal, sameAddress, splitZone } from '../core/net.js';
import { hostText } from './host.js';
import { complaint, formatPath, type Path, type Problem, type Report } from './problem.js';
import type { Source } from './source.js';
import { checkNumbers, MAIN_TABLE } from './system-numbers.js';
import { checkTools, type Tools } from './system-tools.js';
import { checkWays, type Ways } from './system-ways.js';
import { gatewayKey } from './uplink.js';

/** A network that this machine is in. */
interface Network {
  readonly interface: string;
  readonly family: Family;
  readonly address: string;
  readonly length: number;
}

/**
 * @param resolve addresses of a name, both families; empty = it does not resolve
 * @param tools which programs there are; null = nobody looked
 * @param source where things stand in the file; without it problems carry no line
 */
export function checkAgainstSystem(
  config: Config,
  state: KernelState,
  resolve: (name: string) => readonly string[],
  source: Source | null = null,
  tools: Tools | null = null,
): Problem[] {
  const problems: Problem[] = [];
  const report: Report = (path, found, wrong, severity = 'error') => {
    const place = (path.length > 0 ? source?.place(path) : null) ?? { line: 0, column: 0 };
    problems.push({ severity, file: source?.file ?? 'configuration', ...place, path: formatPath(path), found, ...wrong });
  };
  const networks = connectedNetworks(state);
  const taken = new Map<string, string>();
  const ways: Ways = new Map();
  const said = (path: Path): boolean => source !== null && source.textAt(path) !== null;
  for (const uplink of config.uplinks) {
    checkInterface(uplink, state, report);
    const devices = checkGateways(uplink, state, networks, resolve, taken, report);
    ways.set(uplink.name, new Set(devices.map((device) => linkNamed(state, device)?.name ?? device)));
    checkTargets(uplink, state, networks, source, report);
  }
  checkWays(config, ways, state, said, report);
  checkNumbers(config.kernel, state, report);
  if (tools !== null) checkTools(config, tools, said, report);
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
    // A gateway installed with `onlink` is on its link, whatever networks are there.
    if (route.table === MAIN_TABLE)
      for (const { ifindex, gateway, onlink } of route.nexthops)
        if (onlink && gateway !== null) add(ifindex, route.family, gateway, fullLength(route.family));
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

/** By its name, or another one that it has. */
function linkNamed(state: KernelState, name: string): LinkState | undefined {
  return state.links.find((link) => link.name === name) ?? state.links.find((link) => link.altNames?.includes(name));
}

function checkInterface(uplink: UplinkConfig, state: KernelState, report: Report): void {
  const name = uplink.interface;
  if (name === null || linkNamed(state, name) !== undefined) return;
  const others = state.links.filter((link) => !link.loopback).map((link) => link.name);
  const wrong = complaint('there is no such interface now; it may come', null, `There are ${others.join(', ') || 'none'}.`);
  report(['uplinks', uplink.name, 'interface'], name, wrong, 'warning');
}

/** On which interfaces the uplink leaves, as far as that is known. */
function checkGateways(
  uplink: UplinkConfig,
  state: KernelState,
  networks: readonly Network[],
  resolve: (name: string) => readonly string[],
  taken: Map<string, string>,
  report: Report,
): string[] {
  const devices = uplink.interface === null ? [] : [uplink.interface];
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
      if (device !== null) devices.push(device);
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
  return devices;
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
  const device = uplink.interface === null ? null : (linkNamed(state, uplink.interface)?.name ?? uplink.interface);
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
