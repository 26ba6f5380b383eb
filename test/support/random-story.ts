/**
 * Makes up a network and ten minutes of its life from a seed, as a timeline in text: what fails can be read, cut down and
 * played again.
 */
import { BUILT_IN } from '../../src/config/defaults.js';
import type { Config, UplinkConfig } from '../../src/core/config.js';
import type { RouteState } from '../../src/core/kernel.js';
import { Random } from './random.js';
import { classic, foreignDefault, icmp, separate, type Topology } from './topology.js';

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
  ]);
  const bystanderSeed = Math.floor(random.next() * 2 ** 32);
  const probing = random.pick([{ failAfterMs: 1000 }, { failAfterMs: 0 }, { failAfterMs: 3000 }]);
  const twoTargets = random.chance(0.5);
  const connections = random.chance(0.5) ? BUILT_IN.connections : null;
  const adjust = (base: Config): Config => ({
    ...base,
    connections,
    uplinks: base.uplinks.map(
      (uplink, index): UplinkConfig => ({
        ...uplink,
        ...probing,
        targets: twoTargets && index === 0 ? [...uplink.targets, icmp('203.0.113.77')] : uplink.targets,
        holdDown: { factor: 2, maxMs: 60_000, decayMs: 120_000 },
      }),
    ),
  });
  const topology = (): Topology => {
    const made = makeNetwork();
    plantBystanders(made, new Random(bystanderSeed));
    return { ...made, config: adjust(made.config) };
  };
  const sample = topology();
  const gentle = random.chance(0.4);
  const events = Array.from({ length: 5 + Math.floor(random.next() * 35) }, () => {
    const atS = random.between(1, LIFE_S - 10);
    return { atS, text: pickEvent(random, sample, gentle) };
  }).sort((a, b) => a.atS - b.atS);
  const devices = sample.kernel.state.links.filter((link) => !link.loopback).map((link) => link.name);
  const lines = [
    ...(random.chance(0.3) ? ['0s unwatchful'] : []),
    '0s start',
    ...events.flatMap(({ atS, text }) => text.map((line, index) => `${(atS + index * 0.001).toFixed(3)}s ${line}`)),
    `${MENDED_S}s mend-all`,
    ...devices.flatMap((name) => [`${MENDED_S}s link ${name} up`, `${MENDED_S}s carrier ${name} on`]),
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
    short: { ...sample.config, uplinks: others },
  };
  return { topology, lines: sortByTime(lines), configs, gentle };
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
function pickEvent(random: Random, { farSides, config: { uplinks } }: Topology, gentle: boolean): string[] {
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
  ];
  const rough: (() => string[])[] = [
    () => [`link ${device} down`],
    () => [`link ${device} up`],
    () => [`fail ${random.pick(['ENOBUFS', 'EPERM', 'EEXIST'])} ${random.pick(['1', '3'])}`],
    ...foreignEvents(random, far.gateways.get(4) ?? '', device),
    ...(far.gateways.has(6) ? foreignEvents(random, far.gateways.get(6) ?? '', device) : []),
    () => [`flush rule ${random.pick(['700', '701'])}`],
    () => [`flush table ${random.pick(['7100', '7101'])}`],
  ];
  return random.pick(gentle ? peaceful : [...peaceful, ...rough])();
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
