/**
 * Stories as text: `12s  cut fast upstream` and so on, one line an event, played in a virtual world. what there
 * is stands in VERBS. Gives the log of decisions and operations that golden files hold.
 */

import type { Config } from '../../src/core/config.js';
import type { KernelOp, RouteState } from '../../src/core/kernel.js';
import type { Family, LossReason } from '../../src/core/model.js';
import { cleanupRequest, planCleanup } from '../../src/core/plan/cleanup.js';
import { plainLine } from '../../src/core/show/describe.js';
import { USUAL_RTT_MS } from './far-side.js';
import { linkNames, renderOp } from './render-kernel.js';
import { foreignDefault } from './topology.js';
import type { LogEntry, VirtualWorld } from './virtual-world.js';

export type Configs = Readonly<Record<string, Config>>;

interface Step {
  readonly atMs: number;
  readonly text: string;
}

const PROTOCOLS: Readonly<Record<string, number>> = { ra: 9, boot: 3, static: 4, dhcp: 16 };

/** Plays the whole text; the last line is `T end`. @param configs what `reload NAME` names */
export function play(world: VirtualWorld, text: string, configs: Configs = {}): void {
  world.runUntil(prepare(world, text, configs));
}

/** Plans everything and runs nothing. @returns when the end is */
export function prepare(world: VirtualWorld, text: string, configs: Configs = {}): number {
  const steps = parseTimeline(text);
  const end = steps.find((step) => step.text === 'end');
  if (end === undefined) throw new Error('a timeline needs its end');
  for (const step of steps) {
    if (step === end) continue;
    world.at(step.atMs, () => {
      world.note(step.text);
      perform(world, step.text.split(/\s+/), configs);
    });
  }
  return end.atMs;
}

/** `90s`, `1.5s`, `200ms`, `2m` */
export function parseTime(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m)$/.exec(text);
  const factor = { ms: 1, s: 1000, m: 60_000 }[match?.[2] ?? ''];
  if (match === null || factor === undefined) throw new Error(`not a time: ${text}`);
  return Number(match[1]) * factor;
}

/** Blank lines and `#` comments are skipped; times must not run backwards. */
export function parseTimeline(text: string): readonly Step[] {
  const steps = text
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '')
    .map((line) => {
      const [time = '', ...rest] = line.split(/\s+/);
      return { atMs: parseTime(time), text: rest.join(' ') };
    });
  for (const [index, step] of steps.entries()) {
    if (index > 0 && step.atMs < (steps[index - 1]?.atMs ?? 0)) throw new Error(`time runs backwards at: ${step.text}`);
  }
  return steps;
}

type Verb = (world: VirtualWorld, args: readonly [string, string, string], words: readonly string[], configs: Configs) => void;

/** Everything that can happen. */
const VERBS: Readonly<Record<string, Verb>> = {
  start: (world) => world.startProcess(),
  kill: (world) => world.killProcess(),
  /** dies in the middle of what it does next, after so many operations */
  'kill-after': (world, [ops]) => {
    world.opsToLive = Number(ops);
  },
  /** started anew, whatever it was doing */
  restart: (world) => {
    world.killProcess();
    world.startProcess();
  },
  stop: (world) => world.order({ type: 'stopping' }),
  cleanup: cleanUp,
  stall: (world, [time]) => world.stall(parseTime(time)),
  suspend: (world, [time]) => world.suspend(parseTime(time)),
  step: (world) => world.order({ type: 'stalled', fromMs: world.nowMs, toMs: world.nowMs, cause: 'clock-stepped' }),
  unwatchful: (world) => {
    world.watchful = false;
  },
  // far away
  cut: (world, [uplink, what, address]) => cut(world, uplink, what, address),
  mend: (world, [uplink]) => mend(world, uplink),
  'mend-all': (world) => {
    for (const far of world.farSides) {
      mend(world, far.name);
      far.gatewayAnswers = true;
      far.rttMs = USUAL_RTT_MS;
    }
    world.kernel.sabotage = null;
  },
  mute: (world, [uplink]) => {
    world.farSide(uplink).gatewayAnswers = false;
  },
  loss: (world, [uplink, share]) => {
    world.farSide(uplink).loss = Number(share);
  },
  rtt: (world, [uplink, time]) => {
    world.farSide(uplink).rttMs = parseTime(time);
  },
  complain: (world, [uplink, reason]) => {
    world.farSide(uplink).complaint = reason as LossReason;
  },
  move: (world, [uplink, gateway]) => {
    world.farSide(uplink).gateways.set(gateway.includes(':') ? 6 : 4, gateway);
  },
  name: (world, [name, address]) => {
    if (address === 'gone') world.names.delete(name);
    else world.names.set(name, [address]);
  },
  // on this machine
  carrier: ({ kernel }, [device, state]) => kernel.setCarrier(device, state === 'on'),
  link: ({ kernel }, [device, state]) => kernel.setAdmin(device, state === 'up'),
  unplug: ({ kernel }, [device]) => kernel.removeLink(device),
  plug: ({ kernel }, [device, network]) => {
    kernel.addLink(device, { index: 90 });
    kernel.addAddress(device, network);
  },
  /** `replug wan0 10.0.0.2/24 fd00::2/64`: it is there and complete afterwards, whatever happened to it; new links have new numbers */
  replug: (world, [device], words) => {
    const { kernel } = world;
    // It is not away, it only has another name.
    if (
      kernel.state.addresses.some(
        (a) => words.includes(`${a.address}/${a.prefixLength}`) && kernel.linkName(a.ifindex) !== device,
      )
    )
      return;
    const unused = Math.max(100 + Math.floor(world.elapsedMs), ...kernel.state.links.map((link) => link.index + 1));
    if (kernel.findLink(device) === undefined) kernel.addLink(device, { index: unused });
    const { index } = kernel.link(device);
    kernel.setAdmin(device, true);
    for (const network of words.slice(2)) {
      const here = kernel.state.addresses.some((a) => a.ifindex === index && `${a.address}/${a.prefixLength}` === network);
      if (!here) kernel.addAddress(device, network);
    }
  },
  rename: ({ kernel }, [device, to]) => {
    if (kernel.findLink(to) === undefined) kernel.renameLink(device, to);
  },
  unaddress: ({ kernel }, [device, family]) => kernel.removeAddresses(device, family === '6' ? 6 : 4),
  /** `with wan0 carrier wan0 off`: only while there is such a link */
  with: (world, [device], words, configs) => {
    if (world.kernel.findLink(device) !== undefined) perform(world, words.slice(2), configs);
  },
  /** so many bytes more have gone by this interface */
  bytes: ({ kernel }, [device, count]) => {
    const { rxBytes = 0, txBytes = 0 } = kernel.link(device).counters ?? {};
    kernel.setCounters(device, { rxBytes: rxBytes + Number(count), txBytes });
  },
  drill: (world, [uplink, traffic, time]) =>
    world.order({
      type: 'command',
      command: {
        verb: 'drill',
        uplink: uplink === 'any' ? null : uplink,
        traffic: traffic === 'some' || traffic === 'all' ? traffic : null,
        forMs: time === '' ? null : parseTime(time),
      },
    }),
  address: ({ kernel }, [device, network]) => kernel.addAddress(device, network),
  sysctl: ({ kernel }, [key, value]) => kernel.setSysctl(key, value),
  ip: (world, _args, words) => foreignRoute(world, words),
  /** somebody flushes a table or the rules that are ours */
  flush: (world, [what, number]) => flush(world, what, Number(number)),
  fail: (world, [errno, count, kind]) => sabotage(world, errno, Number(count), kind),
  // orders
  reload: (world, [name], _words, configs) => world.reload(namedConfig(configs, name)),
  open: (world, [mark, count]) => {
    world.openFlows.set(Number(mark), Number(count));
  },
  hint: (world, [device, gateway, source]) =>
    world.lease({
      interface: device,
      family: gateway.includes(':') || gateway === 'none6' ? 6 : 4,
      source: source === '' ? 'lease' : source,
      gateway: gateway.startsWith('none') ? null : gateway,
      prefix: null,
    }),
  force: (world, [uplink]) => world.order({ type: 'command', command: { verb: 'force', uplink } }),
  disable: (world, [uplink]) => world.order({ type: 'command', command: { verb: 'disable', uplink } }),
  enable: (world, [uplink]) => world.order({ type: 'command', command: { verb: 'enable', uplink } }),
  forget: (world) => world.order({ type: 'command', command: { verb: 'forget', uplink: null } }),
  auto: (world) => world.order({ type: 'command', command: { verb: 'auto' } }),
};

function perform(world: VirtualWorld, words: readonly string[], configs: Configs): void {
  const [verb = '', first = '', second = '', third = ''] = words;
  const run = VERBS[verb];
  if (run === undefined) throw new Error(`unknown event: ${words.join(' ')}`);
  run(world, [first, second, third], words, configs);
}

function cut(world: VirtualWorld, name: string, what: string, address: string): void {
  const far = world.farSide(name);
  if (what === 'upstream') far.upstreamAlive = false;
  else if (what === 'gateway') far.gatewayAlive = false;
  else if (what === 'target') far.deadTargets.add(address);
  else throw new Error(`cut what? ${what}`);
}

function mend(world: VirtualWorld, name: string): void {
  const far = world.farSide(name);
  far.upstreamAlive = true;
  far.gatewayAlive = true;
  far.loss = 0;
  far.complaint = null;
  far.deadTargets.clear();
}

function cleanUp(world: VirtualWorld): void {
  const { kernel, config, saved } = world;
  const seen = kernel.snapshotNow(cleanupRequest(config.kernel, saved));
  for (const op of planCleanup(seen, config.kernel, saved)) world.carryOut(op);
}

function namedConfig(configs: Configs, name: string): Config {
  const found = configs[name];
  if (found === undefined) throw new Error(`no config ${name}`);
  return found;
}

/** `ip route add|replace|append|prepend|del default via A dev D [proto P] [metric M]` by some other program */
function foreignRoute(world: VirtualWorld, words: readonly string[]): void {
  const value = (word: string) => (words.includes(word) ? words[words.indexOf(word) + 1] : undefined);
  const verb = words[2] ?? '';
  const proto = value('proto') ?? 'boot';
  const change: Partial<RouteState> = { protocol: PROTOCOLS[proto] ?? Number(proto), metric: Number(value('metric') ?? 0) };
  const route = foreignDefault(world.kernel, value('via') ?? '', value('dev') ?? '', change);
  if (verb === 'prepend') {
    world.kernel.prepend(route);
    return;
  }
  const ops: Readonly<Record<string, KernelOp['op']>> = {
    add: 'route-add',
    replace: 'route-replace',
    append: 'route-append',
    del: 'route-delete',
  };
  const op = ops[verb];
  if (op !== 'route-add' && op !== 'route-replace' && op !== 'route-append' && op !== 'route-delete')
    throw new Error(`ip route ${verb}?`);
  // `ip route del` without a protocol matches any
  const errno = world.kernel.foreign({
    op,
    route: op === 'route-delete' && value('proto') === undefined ? { ...route, protocol: 0 } : route,
  });
  if (errno !== null) world.note(`  ${errno}`);
}

function flush(world: VirtualWorld, what: string, number: number): void {
  const { kernel } = world;
  world.tampered();
  if (what === 'rule')
    for (const rule of kernel.state.rules) if (rule.priority === number) kernel.foreign({ op: 'rule-delete', rule });
  if (what === 'table')
    for (const route of kernel.state.routes) if (route.table === number) kernel.foreign({ op: 'route-delete', route });
}

/** The next `count` operations of this kind fail. */
function sabotage(world: VirtualWorld, errno: string, count: number, kind: string): void {
  let left = count;
  world.kernel.sabotage = (op) => {
    if (kind !== '' && op.op !== kind) return null;
    left -= 1;
    if (left <= 0) world.kernel.sabotage = null;
    return errno;
  };
}

// ---- the log ---------------------------------------------------------------------------------------------------------

/** One line per entry, times in seconds; at the end what a client felt and how the kernel looks. */
export function renderLog(world: VirtualWorld): string {
  const names = linkNames(world.kernel.state.links);
  const lines = world.log.map((entry) => `${(entry.atMs / 1000).toFixed(2).padStart(8)}  ${renderEntry(entry, names)}`);
  const felt = [...world.meters].map(([family, meter]) => {
    const { outageMs, longestMs, noRouteMs } = meter.feltMs(world.nowMs);
    const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;
    return `felt IPv${family}: ${seconds(outageMs)} in all, longest ${seconds(longestMs)}, without a route ${seconds(noRouteMs)}; ways: ${ways(world, family).join(' ')}`;
  });
  return `${[...lines, '', ...felt, '', world.kernel.render()].join('\n')}`;
}

function renderEntry(entry: LogEntry, names: (ifindex: number) => string): string {
  if (entry.type === 'note') return `> ${entry.text}`;
  if (entry.type === 'record') return `${entry.record.severity} ${plainLine(entry.record, '').trim()}`;
  const { op, errno } = entry.result;
  return `  ${renderOp(op, names)}${errno === null ? '' : ` = ${errno}`}`;
}

/** The uplinks that a client's packets took, one after the other. */
export function ways(world: VirtualWorld, family: Family): string[] {
  return world
    .meter(family)
    .stretches(world.nowMs)
    .map((stretch) => stretch.to)
    .filter((to, index, all) => to !== all[index - 1]);
}
