/**
 * Random routes, rules and deletions for a real kernel and its model, and both as text. The links are those of
 * {@link enterTestNamespace} with a point-to-point link beside them.
 */
import type { KernelOp, KernelState, Nexthop, RouteState, RuleState } from '../../src/core/kernel.js';
import type { Family } from '../../src/core/model.js';
import { samePlace } from '../../src/core/plan/kernel-model.js';
import { KernelError } from '../../src/kernel/error.js';
import type { RtnlKernel } from '../../src/kernel/kernel.js';
import { RTM_DELROUTE } from '../../src/kernel/netlink/constants.js';
import { encodeRoute } from '../../src/kernel/netlink/route.js';
import type { RequestSession } from '../../src/kernel/netlink/session.js';
import type { Random } from '../support/random.js';
import { linkNames, renderRoute, renderRule } from '../support/render-kernel.js';
import type { TestNamespace } from './kernel-namespace.js';

export const TABLE = 1000;
/** the first free number of a new namespace */
export const TUN = 2;
/** eth0, eth0.5 and the point-to-point tun0; the first five are what people have */
const WAYS: Readonly<Record<Family, readonly (readonly [number, string | null])[]>> = {
  4: [
    [10, '192.168.1.1'],
    [10, '192.168.1.9'],
    [11, '10.1.0.1'],
    [11, '10.1.0.9'],
    [TUN, '10.64.0.1'],
    [TUN, null],
    [11, '172.30.0.1'],
    [11, null],
    [77, '192.168.1.1'],
  ],
  6: [
    [10, 'fe80::1'],
    [11, 'fe80::1'],
    [10, '2001:db8:1::9'],
    [11, '2001:db8:2::9'],
    [TUN, 'fe80::9'],
    [TUN, null],
    [11, '2001:db8:30::1'],
    [11, null],
    [77, 'fe80::1'],
  ],
};
const METRICS: Readonly<Record<Family, readonly number[]>> = { 4: [0, 0, 0, 7], 6: [1, 1, 1, 7] };
export const OURS = 177;
const PROTOCOLS = [OURS, OURS, 4];

export function randomRoute(random: Random): RouteState {
  const family = random.pick([4, 6] as const);
  const count = random.pick([1, 1, 2, 2, 2, 3]);
  const usual = WAYS[family].slice(0, 5);
  const direct = family === 4 && random.chance(0.15) && WAYS[family].filter(([, gateway]) => gateway === null);
  const nexthops = Array.from({ length: count }, (): Nexthop => {
    const [ifindex, gateway] = random.pick(direct ? direct : random.chance(0.9) ? usual : WAYS[family]);
    const weight = random.pick([1, 1, 2, 3]);
    return { ifindex, gateway, onlink: false, ...(weight === 1 ? {} : { weight }) };
  });
  const unreachable = random.chance(0.05);
  const bare = nexthops.every((hop) => hop.gateway === null);
  const alone = family === 6 && count === 1 && bare;
  return {
    family,
    table: random.pick([254, TABLE]),
    destination: 'default',
    type: unreachable ? 'unreachable' : 'unicast',
    // An IPv6 next hop keeps the protocol and the weight it came with where no dump tells them: see appendsToHidden.
    protocol: family === 6 ? OURS : random.pick(PROTOCOLS),
    // What is no part of it the dump may hide between the hops of an IPv6 multipath route: it has a place of its own.
    metric: unreachable ? 4_294_967_295 : alone ? 9 : random.pick(METRICS[family]),
    tos: 0,
    scope: family === 4 && !unreachable && bare && random.chance(0.5) ? 253 : 0,
    prefsrc: null,
    nexthops: unreachable ? [] : nexthops,
    expires: false,
    rest: '',
  };
}

/** A single IPv6 next hop that is what remains of several still has its weight, though the kernel does not say so. */
export function appendsToHidden(state: KernelState, route: RouteState): boolean {
  return route.family === 6 && state.routes.some((other) => samePlace(other, route) && other.nexthops.length === 1);
}

/** Mostly something that stands there, or is nearly so: what nothing fits teaches little. */
export function randomDeletion(random: Random, state: KernelState): RouteState {
  const standing = state.routes.filter((route) => route.destination === 'default');
  if (standing.length === 0 || random.chance(0.2)) return randomRoute(random);
  const route = random.pick(standing);
  if (random.chance(0.4)) return route;
  const hops = [...route.nexthops];
  const nexthops = random.pick([hops.slice(0, 1), hops.slice(1), hops.toReversed(), hops.slice(-2), [], [...hops, ...hops]]);
  return {
    ...route,
    nexthops: nexthops.map((hop) => ({ ...hop, weight: random.pick([1, 9]) })),
    metric: random.pick([route.metric, 0]),
    scope: route.family === 6 ? 0 : random.pick([route.scope, route.scope, 0, 255]),
  };
}

export function randomRule(random: Random): RuleState {
  const family = random.pick([4, 6] as const);
  const network = (four: string, six: string): string => (family === 4 ? four : six);
  const maybe = <T extends object>(part: T): T | object => (random.chance(0.3) ? part : {});
  const unreachable = random.chance(0.2);
  const mark = random.pick([0, 0, 0x1000000, 0x2000000]);
  return {
    family,
    priority: random.pick([5000, 5001]),
    table: unreachable ? 0 : random.pick([254, TABLE]),
    mark,
    mask: mark === 0 ? 0 : 0x7f000000,
    protocol: OURS,
    ...maybe({
      destination: random.pick([network('203.0.113.0/24', '2001:db8:77::/48'), network('203.0.0.0/16', '2001:db8::/32')]),
    }),
    ...maybe({ source: random.pick([network('192.168.1.32/28', '2001:db8:1::/64'), network('192.168.0.0/16', 'fd00::/8')]) }),
    ...maybe({ incoming: random.pick(['lo', 'eth0']) }),
    ...maybe(random.pick([{ ipProtocol: 6 }, { ipProtocol: 17, ports: { first: 5060, last: random.pick([5060, 5070]) } }])),
    ...(unreachable ? { action: 'unreachable' as const } : maybe({ suppress: random.pick([0, 16]) })),
    other: false,
  };
}

/** Routes of one destination in the kernel's order, rules of one family too. */
export function render(state: KernelState): string {
  const names = linkNames(state.links);
  const ours = state.routes.filter((route) => route.destination === 'default');
  const places = ([4, 6] as const).flatMap((family) => [254, TABLE].map((table) => ({ family, table })));
  const routes = places.flatMap(({ family, table }) =>
    ours.filter((route) => route.family === family && route.table === table).map((route) => renderRoute(route, names)),
  );
  const rules = state.rules.filter((rule) => rule.priority === 5000 || rule.priority === 5001).map(renderRule);
  return [...routes, ...rules].join('\n');
}

export function addTun(namespace: TestNamespace): void {
  namespace.ip('tuntap add tun0 mode tun');
  namespace.ip('link set tun0 up');
  namespace.ip('addr add 10.64.0.2 peer 10.64.0.1 dev tun0');
}

/** The errno, as the kernel itself answers: the adapter refuses deletions from IPv4 that would take something else. */
export async function carryOutRaw(kernel: RtnlKernel, session: RequestSession, op: KernelOp): Promise<string | null> {
  if (op.op !== 'route-delete') return (await kernel.apply([op]))[0]?.errno ?? null;
  try {
    session.request(op.op, (sequence, flags) => encodeRoute(RTM_DELROUTE, flags, sequence, op.route));
    return null;
  } catch (error) {
    if (error instanceof KernelError) return error.errno;
    throw error;
  }
}

/** Takes away all default routes and our rules; what a dump has hidden shows when the rest is gone. */
export async function clearOfChaos(kernel: RtnlKernel, session: RequestSession): Promise<void> {
  for (;;) {
    const { routes, rules } = await kernel.snapshot({ tables: [TABLE], sysctls: [], nft: false });
    const ops: KernelOp[] = [
      ...routes.filter((route) => route.destination === 'default').map((route): KernelOp => ({ op: 'route-delete', route })),
      ...rules.filter((rule) => rule.protocol === OURS).map((rule): KernelOp => ({ op: 'rule-delete', rule })),
    ];
    if (ops.length === 0) return;
    for (const op of ops) await carryOutRaw(kernel, session, op);
  }
}
