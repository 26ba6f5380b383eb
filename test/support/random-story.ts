/**
 * Makes up a network and ten minutes of its life from a seed, as a timeline in text: what fails can be read, cut down and
 * played again.
 */
import { BUILT_IN } from '../../src/config/defaults.js';
import { type Config, flowMark, type UplinkConfig, type ViaConfig } from '../../src/core/config.js';
import type { RouteState } from '../../src/core/kernel.js';
import type { FarSide } from './far-side.js';
import { Random } from './random.js';
import { classic, foreignDefault, icmp, NUMBERS, separate, type Topology } from './topology.js';

export interface RandomStory {
  readonly topology: () => Topology;
  readonly lines: readonly string[];
  readonly configs: Readonly<Record<string, Config>>;
  /** nobody but us touches routes, links and sysctls: afterwards everything must be as before */
  readonly gentle: boolean;
}

const LIFE_S = 420;
/** from here on everything is mended and left alone: it has to find its way back */
export const MENDED_S = 420;
export const END_S = 600;

export function randomStory(seed: number): RandomStory {
  const random = new Random(seed);
  const makeNetwork = random.pick([
    () => classic(),
    () => classic([4, 6]),
    () => separate(['fast', 'backup']),
    () => separate(['fast', 'middle', 'slow']),
    () => separate(['fast', 'middle', 'slow'], [4, 6]),
    () => separate(['one', 'two', 'three', 'four']),
  ]);
  const bystanderSeed = Math.floor(random.next() * 2 ** 32);
  const probing = random.pick([{ failAfterMs: 1000 }, { failAfterMs: 0 }, { failAfterMs: null, recoverAfterMs: null }]);
  const twoTargets = random.chance(0.5);
  const traffic = randomTraffic(random, makeNetwork().config);
  const adjust = (base: Config): Config => {
    const { uplinks, ...rest } = traffic(base);
    return {
      ...rest,
      uplinks: uplinks.map(
        (uplink, index): UplinkConfig => ({
          ...uplink,
          ...probing,
          targets: twoTargets && index === 0 ? [...uplink.targets, icmp('203.0.113.77')] : uplink.targets,
          holdDown: { factor: 2, maxMs: 60_000, decayMs: 120_000 },
        }),
      ),
    };
  };
  const topology = (): Topology => {
    const made = makeNetwork();
    plantBystanders(made, new Random(bystanderSeed));
    return { ...made, config: adjust(made.config) };
  };
  const sample = topology();
  const gentle = random.chance(0.4);
  const events = Array.from({ length: 5 + Math.floor(random.next() * 35) }, () => {
    const atS = random.between(1, LIFE_S - 10);
    return { atS, text: pickEvent(random, sample, gentle).map(guarded) };
  }).sort((a, b) => a.atS - b.atS);
  const devices = sample.kernel.state.links.filter((link) => !link.loopback).map((link) => link.name);
  const lines = [
    ...(random.chance(0.3) ? ['0s unwatchful'] : []),
    '0s start',
    ...events.flatMap(({ atS, text }) => text.map((line, index) => `${(atS + index * 0.001).toFixed(3)}s ${line}`)),
    `${MENDED_S}s mend-all`,
    ...devices.flatMap((name) => [
      `${MENDED_S}s with ${away(name)} rename ${away(name)} ${name}`,
      `${MENDED_S}s replug ${name} ${networksOf(sample, name).join(' ')}`,
      `${MENDED_S}s carrier ${name} on`,
    ]),
    ...sample.farSides.flatMap((far) => [...far.gateways.values()].map((via) => `${MENDED_S}s move ${far.name} ${via}`)),
    // What their clients put back into main does not come by itself.
    ...leases(sample).map((line) => `${MENDED_S + 3}s ${line}`),
    `${MENDED_S + 1}s restart`,
    `${MENDED_S + 2}s auto`,
    `${END_S}s end`,
  ];
  const [first, ...others] = sample.config.uplinks;
  if (first === undefined) throw new Error('a network without uplinks');
  const sixes = first.targets.filter((target) => target.host.kind === 'address' && target.host.family === 6);
  const configs = {
    same: sample.config,
    targets: { ...sample.config, uplinks: [{ ...first, targets: [icmp('203.0.113.99'), ...sixes] }, ...others] },
    short: { ...sample.config, uplinks: others, via: sample.config.via.filter((via) => via.uplink !== first.name) },
    flat: { ...sample.config, uplinks: sample.config.uplinks.map((u) => ({ ...u, tier: null })), via: [], masquerade: false },
    shared: { ...sample.config, uplinks: sample.config.uplinks.map((u, i) => ({ ...u, tier: 1, weight: i + 1 })) },
    hidden: { ...sample.config, masquerade: true, connections: BUILT_IN.connections },
    forgetful: { ...sample.config, connections: null },
  };
  return { topology, lines: sortByTime(lines), configs, gentle };
}

/** What an interface is called while it is called otherwise. */
const away = (device: string): string => `${device}x`;
const ANY: Omit<ViaConfig, 'name' | 'uplink' | 'fallback'> = {
  families: [4],
  source: null,
  destination: null,
  protocols: [],
  ports: null,
};

/** What becomes of traffic: tiers, chosen traffic, gateways that the system knows, limits, connections. */
function randomTraffic(random: Random, { uplinks }: Config): (base: Config) => Config {
  const sharing = random.chance(0.4) ? 2 + Math.floor(random.next() * (uplinks.length - 1)) : 0;
  const weights = uplinks.map(() => 1 + Math.floor(random.next() * 4));
  const alone = new Set(uplinks.map((u) => u.interface)).size === uplinks.length || uplinks.length > 2;
  const auto = alone && random.chance(0.3);
  const metered = random.chance(0.3)
    ? { probeBudgetBytes: 50e6, capBytes: 100e6, startsOnDay: 1, atCap: random.pick(['warn', 'disable'] as const) }
    : null;
  const failback = random.pick(['drain', 'drain', 'move', 'stay'] as const);
  const policy = { ...BUILT_IN.connections, failback, drainMs: random.pick([20_000, 60_000]) };
  const connections = random.chance(0.7) ? policy : null;
  const masquerade = random.chance(0.3);
  const via = Array.from({ length: random.chance(0.3) ? 2 : 0 }, (_, i): ViaConfig => {
    const ports = random.chance(0.5) ? { protocols: ['tcp', 'udp'] as const, ports: { first: 25, last: 25 } } : {};
    const source = `192.168.1.${32 * i}/28`;
    return {
      ...ANY,
      ...ports,
      source,
      name: `via${i}`,
      uplink: random.pick(uplinks).name,
      fallback: random.pick(['balance', 'block']),
    };
  });
  return (base) => ({
    ...base,
    connections,
    masquerade,
    via,
    uplinks: base.uplinks.map((uplink, i): UplinkConfig => {
      const last = i === base.uplinks.length - 1;
      const gateways = uplink.gateways.map(({ family, host }) => ({ family, host: auto ? ({ kind: 'auto' } as const) : host }));
      return {
        ...uplink,
        gateways,
        interface: auto ? `wan${i}` : uplink.interface,
        // Metered ones do not share, and the last one is the one that costs.
        tier: i < sharing && !(last && metered !== null) ? 1 : null,
        weight: weights[i] ?? 1,
        metered: last ? metered : null,
      };
    }),
  });
}

function networksOf({ kernel }: Topology, device: string): string[] {
  const { index } = kernel.link(device);
  return kernel.state.addresses.filter((a) => a.ifindex === index).map((a) => `${a.address}/${a.prefixLength}`);
}

function isAuto({ config }: Topology): boolean {
  return config.uplinks.some((u) => u.gateways.some((g) => g.host.kind === 'auto'));
}

/** Every lease, bound anew as it is: the same word once more would be no news. */
function leases(topology: Topology): string[] {
  if (!isAuto(topology)) return [];
  return topology.farSides.flatMap((far) =>
    [...far.gateways.values()].flatMap((via) => [
      `hint ${far.device} ${via.includes(':') ? 'none6' : 'none'} lease`,
      `hint ${far.device} ${via} lease`,
    ]),
  );
}

/** Links come and go in these lives: what happens to one that is away just now happens to nobody. */
function guarded(line: string): string {
  const words = line.split(' ');
  const device = words[0] === 'ip' ? words[words.indexOf('dev') + 1] : words[1];
  const touches = ['ip', 'carrier', 'link', 'unplug', 'rename', 'unaddress', 'bytes'].includes(words[0] ?? '');
  return touches ? `with ${device} ${line}` : line;
}

function sortByTime(lines: readonly string[]): string[] {
  return lines.toSorted((a, b) => Number.parseFloat(a) - Number.parseFloat(b));
}

/** Things of others that nobody may touch, and the default route that was there before us. */
function plantBystanders({ kernel, farSides }: Topology, random: Random): void {
  const plant = (via: string, device: string, change: Partial<RouteState>) => {
    kernel.foreign({ op: 'route-append', route: foreignDefault(kernel, via, device, change) });
  };
  for (const side of farSides) {
    for (const [family, via] of side.gateways) {
      const lowest = family === 4 ? 0 : 1024;
      if (side === farSides[0] ? random.chance(0.8) : random.chance(0.2)) {
        plant(via, side.device, { protocol: random.pick([3, 4, 9, 16]), metric: random.pick([lowest, lowest, 100, 600]) });
      }
      plant(via, side.device, { protocol: 16, metric: 4000 });
      plant(via, side.device, { protocol: 4, table: 9999 });
      if (family === 4) plant(via, side.device, { protocol: 4, destination: '10.99.0.0/16' });
    }
  }
  kernel.foreign({
    op: 'rule-add',
    rule: { family: 4, priority: 650, table: 9999, mark: 1, mask: 0xff, protocol: 4, other: false },
  });
  kernel.foreign({
    op: 'rule-add',
    rule: { family: 4, priority: 705, table: 9999, mark: 2, mask: 0xff, protocol: 3, other: true },
  });
  if (random.chance(0.5)) kernel.setSysctl('net.ipv4.conf.all.rp_filter', '1');
  if (random.chance(0.3)) kernel.setSysctl('net.ipv4.conf.all.send_redirects', '0');
}

/** One event, sometimes with those that belong to it. */
function pickEvent(random: Random, topology: Topology, gentle: boolean): string[] {
  const { farSides, config } = topology;
  const { uplinks } = config;
  const far = random.pick(farSides);
  const name = far.name;
  const target = random.pick(uplinks.flatMap((uplink) => uplink.targets));
  const device = far.device;
  const address = target.host.kind === 'address' ? target.host.address : '';
  const peaceful: (() => string[])[] = [
    () => [`cut ${name} upstream`],
    () => [`cut ${name} upstream`],
    () => [`cut ${name} gateway`],
    () => [`cut ${name} target ${address}`],
    () => [`loss ${name} ${random.pick(['0.05', '0.2', '0.5', '0.9'])}`],
    () => [`rtt ${name} ${random.pick(['20ms', '300ms', '700ms'])}`],
    () => [`complain ${name} ${random.pick(['unreachable', 'portal', 'no-route'])}`],
    () => [`mend ${name}`],
    () => [`mend ${name}`],
    () => [`mend ${name}`],
    () => ['mend-all'],
    () => [`mute ${name}`],
    () => [`carrier ${device} off`],
    () => [`carrier ${device} on`],
    () => [`stall ${random.pick(['200ms', '400ms', '1.5s', '5s', '30s'])}`],
    () => [`stall ${random.pick(['300ms', '3s'])}`],
    () => [`suspend ${random.pick(['2s', '60s'])}`],
    () => ['step'],
    () => ['restart'],
    () => ['kill-after 1'],
    () => ['kill-after 3', 'reload short', 'restart'],
    () => [`force ${name}`],
    () => [`disable ${name}`],
    () => [`enable ${name}`],
    () => ['auto'],
    () => ['reload same'],
    () => [random.pick(['reload targets', 'reload short', 'reload same'])],
    () => [`reload ${random.pick(['flat', 'shared', 'hidden', 'forgetful', 'same'])}`],
    () => [`drill ${random.pick(['any', name])} ${random.pick(['some', 'all'])} ${random.pick(['10s', '30s'])}`],
    () => [`drill ${name} ${random.pick(['some', 'all'])} 30s`],
    () => [
      `open ${flowMark(
        NUMBERS,
        uplinks.findIndex((u) => u.name === name),
      )} ${random.pick(['0', '1', '100'])}`,
    ],
    () => [`open ${flowMark(NUMBERS, Math.floor(random.next() * uplinks.length))} 7`],
    ...(uplinks.at(-1)?.metered == null ? [] : [() => [`bytes ${farSides.at(-1)?.device} ${random.pick(['1e6', '6e7'])}`]]),
    ...(isAuto(topology) ? leaseEvents(random, far, gentle) : []),
  ];
  const rough: (() => string[])[] = [
    () => [`link ${device} down`],
    () => [`link ${device} up`],
    () => [`fail ${random.pick(['ENOBUFS', 'EPERM', 'EEXIST'])} ${random.pick(['1', '3'])}`],
    ...foreignEvents(random, far.gateways.get(4) ?? '', device),
    ...(far.gateways.has(6) ? foreignEvents(random, far.gateways.get(6) ?? '', device) : []),
    () => [`flush rule ${random.pick(['700', '701'])}`],
    () => [`flush table ${random.pick(['7100', '7101'])}`],
    () => [`flush table ${random.pick(['7164', '7165'])}`],
    () => [`flush rule ${random.pick(['828', '831', '956'])}`],
    () => [`unaddress ${device} ${random.pick(['4', '6'])}`],
    () => [`unaddress ${random.pick(['lan', 'eth0'])} 4`],
    () => [`unplug ${device}`],
    () => [`rename ${device} ${away(device)}`],
    () => [`replug ${device} ${networksOf(topology, device).join(' ')}`],
    () => [`replug ${device} ${networksOf(topology, device).join(' ')}`],
  ];
  return random.pick(gentle ? peaceful : [...peaceful, ...rough])();
}

/** A client renews its lease: the same, another router, none; by hint or by route, with or without the other. */
function leaseEvents(random: Random, far: FarSide, gentle: boolean): (() => string[])[] {
  const via = far.gateways.get(4) ?? '';
  const other = via.replace(/\d+$/, '9');
  const route = (to: string): string[] => (gentle ? [] : [routeBy(to)]);
  const routeBy = (to: string): string => `ip route replace default via ${to} dev ${far.device} proto dhcp metric 200`;
  return [
    () => [`hint ${far.device} ${via} lease`],
    () => [`move ${far.name} ${other}`, `hint ${far.device} ${other} lease`],
    () => [`move ${far.name} ${other}`, ...route(other)],
    () => [`move ${far.name} ${via}`, `hint ${far.device} ${via} lease`, ...route(via)],
    () => [`hint ${far.device} ${random.pick(['none', '172.16.0.1'])} ${random.pick(['lease', 'hook'])}`],
  ];
}

function foreignEvents(random: Random, via: string, device: string): (() => string[])[] {
  const six = via.includes(':');
  const proto = random.pick(['dhcp', 'static', 'boot']);
  const metric = six ? 'metric 1' : '';
  const stranger = six ? 'fe80::77' : via.replace(/\d+$/, '77');
  return [
    () => [`ip route replace default via ${stranger} dev ${device} proto ${proto} ${metric}`],
    () => [`ip route replace default via ${via} dev ${device} proto ${proto} ${metric}`],
    () => [`ip route prepend default via ${stranger} dev ${device} proto ${proto} ${metric}`],
    () => [`ip route append default via ${stranger} dev ${device} proto ${proto} ${metric}`],
    () => [`ip route del default via ${via} dev ${device}`],
    () => [`ip route del default via ${via} dev ${device}`, `ip route del default via ${via} dev ${device}`],
  ];
}
