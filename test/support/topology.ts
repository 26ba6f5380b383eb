/**
 * The networks the tests play in: a fake kernel with its links, the far sides, and a configuration that fits.
 */
import type { Config, KernelNumbers, TargetConfig, UplinkConfig } from '../../src/core/config.js';
import type { Nexthop, RouteState } from '../../src/core/kernel.js';
import type { Family } from '../../src/core/model.js';
import { judgementOptions, Silences } from '../../src/core/paths/silences.js';
import { noServices } from '../../src/core/services.js';
import { FakeKernel, MAIN_TABLE } from './fake-kernel.js';
import { FarSide } from './far-side.js';

export interface Topology {
  readonly kernel: FakeKernel;
  readonly farSides: readonly FarSide[];
  readonly config: Config;
}

export const NUMBERS: KernelNumbers = { protocol: 110, tableBase: 7100, ruleBase: 700, markMask: 0x7f000000 };

/** The product's own defaults, except that nothing here comes from a file. */
export function uplinkConfig(name: string, change: Partial<UplinkConfig> & Pick<UplinkConfig, 'gateways'>): UplinkConfig {
  return {
    name,
    interface: null,
    targets: [],
    probe: { intervalMs: 1000, burstCount: 3, burstPaceMs: 10, timeoutMs: 1000, deadlineFloorMs: 40, windowSamples: 60 },
    failAfterMs: 1000,
    patienceBounds: { minMs: 0, maxMs: 3_600_000 },
    recoverAfterMs: 30_000,
    holdBounds: { minMs: 0, maxMs: 86_400_000 },
    backupCost: 0.02,
    holdDown: { factor: 2, maxMs: 600_000, decayMs: 600_000 },
    degraded: { loss: { high: 0.2, low: 0.1 }, rttMs: null, jitterMs: null, policy: 'yield' },
    quorum: 1,
    tier: null,
    weight: 1,
    metered: null,
    prefix: null,
    ...change,
  };
}

/** What a path without a past knows. */
export function noSilences(uplink: UplinkConfig): Silences {
  return new Silences(judgementOptions(uplink, [], 2_500), null);
}

export function config(uplinks: readonly UplinkConfig[], change: Partial<Config> = {}): Config {
  return {
    uplinks,
    switchCostMs: 2_500,
    log: null,
    onStop: 'keep',
    socket: { group: null, mode: 0o660 },
    kernel: NUMBERS,
    sysctls: 'set',
    via: [],
    connections: null,
    masquerade: false,
    lanPrefix: null,
    drill: null,
    routerAdvertisements: 'ignore',
    services: noServices,
    history: null,
    ...change,
  };
}

export function gateway(address: string): UplinkConfig['gateways'][number] {
  const family: Family = address.includes(':') ? 6 : 4;
  return { family, host: { kind: 'address', address, family } };
}

export function icmp(address: string): TargetConfig {
  const family: Family = address.includes(':') ? 6 : 4;
  return { label: address, host: { kind: 'address', address, family }, kind: 'icmp' };
}

/** A default route as another program would install it. */
export function foreignDefault(kernel: FakeKernel, via: string, device: string, change: Partial<RouteState> = {}): RouteState {
  const hop: Nexthop = { ifindex: kernel.link(device).index, gateway: via, onlink: false };
  return {
    family: via.includes(':') ? 6 : 4,
    table: MAIN_TABLE,
    destination: 'default',
    type: 'unicast',
    protocol: 3,
    metric: 0,
    tos: 0,
    scope: 0,
    prefsrc: null,
    nexthops: [hop],
    expires: false,
    rest: '',
    ...change,
  };
}

/** One NIC, both routers on its network: the seed of this project. */
export function classic(families: readonly Family[] = [4]): Topology {
  const kernel = new FakeKernel();
  kernel.addLink('lo');
  kernel.addLink('eth0');
  const with4 = families.includes(4);
  const with6 = families.includes(6);
  if (with4) kernel.addAddress('eth0', '192.168.1.2/24');
  if (with6) kernel.addAddress('eth0', 'fd00:1::2/64');
  const side = (name: string, four: string, six: string, target: string, target6: string) => {
    const gateways = new Map<Family, string>();
    if (with4) gateways.set(4, four);
    if (with6) gateways.set(6, six);
    const targets = [...(with4 ? [icmp(target)] : []), ...(with6 ? [icmp(target6)] : [])];
    return {
      far: new FarSide(name, 'eth0', gateways),
      uplink: uplinkConfig(name, { gateways: [...gateways.values()].map(gateway), interface: with6 ? 'eth0' : null, targets }),
    };
  };
  const fast = side('fast', '192.168.1.253', 'fe80::253', '212.254.0.1', '2001:db8:1::1');
  const backup = side('backup', '192.168.1.1', 'fe80::1', '198.51.100.1', '2001:db8:2::1');
  return { kernel, farSides: [fast.far, backup.far], config: config([fast.uplink, backup.uplink]) };
}

/** One interface per uplink (wan0, wan1, …) beside the LAN. IPv6 routers are `fe80::1` on every link, as providers like it. */
export function separate(names: readonly string[], families: readonly Family[] = [4]): Topology {
  const kernel = new FakeKernel();
  kernel.addLink('lo');
  kernel.addLink('lan');
  kernel.addAddress('lan', '192.168.1.1/24');
  const farSides: FarSide[] = [];
  const uplinks: UplinkConfig[] = [];
  for (const [index, name] of names.entries()) {
    const device = `wan${index}`;
    kernel.addLink(device);
    kernel.addAddress(device, `10.${index}.0.2/24`);
    const via = `10.${index}.0.1`;
    const with6 = families.includes(6);
    if (with6) kernel.addAddress(device, `fd00:${index + 10}::2/64`);
    const gateways = new Map<Family, string>([[4, via], ...(with6 ? ([[6, 'fe80::1']] as const) : [])]);
    farSides.push(new FarSide(name, device, gateways));
    uplinks.push(
      uplinkConfig(name, {
        gateways: [...gateways.values()].map(gateway),
        interface: with6 ? device : null,
        targets: [icmp(`198.51.100.${index + 1}`), ...(with6 ? [icmp(`2001:db8:${index + 1}::1`)] : [])],
      }),
    );
  }
  return { kernel, farSides, config: config(uplinks) };
}
