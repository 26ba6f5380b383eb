/**
 * Random main tables with default routes of everybody, in any order, for the tests of diff, keeper and cleanup. All are
 * made through the kernel's own rules: what stands here can stand in Linux.
 */
import type { RouteState } from '../../../../src/core/kernel.js';
import type { Family } from '../../../../src/core/model.js';
import { sameRoute } from '../../../../src/core/plan/kernel-model.js';
import type { PlanInput } from '../../../../src/core/plan/plan.js';
import type { PlanPath } from '../../../../src/core/plan/plan-path.js';
import { FakeKernel, MAIN_TABLE } from '../../../support/fake-kernel.js';
import { planInput, planPath } from '../../../support/plan-inputs.js';
import type { Random } from '../../../support/random.js';
import { foreignDefault, NUMBERS } from '../../../support/topology.js';

const GATEWAYS: Readonly<Record<Family, readonly (readonly [string, string])[]>> = {
  4: [
    ['192.168.1.253', 'eth0'],
    ['192.168.1.1', 'eth0'],
    ['192.168.1.77', 'eth0'],
    ['10.0.0.1', 'wan0'],
    ['10.0.0.9', 'wan0'],
  ],
  6: [
    ['fe80::253', 'eth0'],
    ['fe80::1', 'eth0'],
    ['fe80::77', 'eth0'],
    ['fe80::a', 'wan0'],
    ['fe80::b', 'wan0'],
  ],
};
const METRICS: Readonly<Record<Family, readonly number[]>> = { 4: [0, 0, 0, 1, 2, 100], 6: [1, 1, 1, 2, 3, 1024] };
const FOREIGN_PROTOCOLS = [3, 4, 16, 9];

/** Three links, addresses of both families, no default. */
export function bareKernel(): FakeKernel {
  const kernel = new FakeKernel();
  kernel.addLink('lo');
  kernel.addLink('eth0');
  kernel.addLink('wan0');
  kernel.addAddress('eth0', '192.168.1.2/24');
  kernel.addAddress('wan0', '10.0.0.2/24');
  kernel.addAddress('eth0', 'fd00:1::2/64');
  kernel.addAddress('wan0', 'fd00:2::2/64');
  return kernel;
}

export function randomDefault(kernel: FakeKernel, random: Random, family: Family, protocols = FOREIGN_PROTOCOLS): RouteState {
  const [via, device] = random.pick(GATEWAYS[family]);
  return foreignDefault(kernel, via, device, { protocol: random.pick(protocols), metric: random.pick(METRICS[family]) });
}

/** Up to `most` defaults per family, added, appended and prepended at random; what the kernel refuses is not there. */
export function strewDefaults(kernel: FakeKernel, random: Random, most: number, withOurs: boolean): void {
  const protocols = withOurs ? [...FOREIGN_PROTOCOLS, NUMBERS.protocol, NUMBERS.protocol] : FOREIGN_PROTOCOLS;
  for (const family of [4, 6] as const) {
    const count = Math.floor(random.between(0, most + 1));
    for (let i = 0; i < count; i += 1) {
      const route = randomDefault(kernel, random, family, protocols);
      // IPv6 has no prepend: a route of the same metric joins the others.
      if (family === 4 && random.chance(0.3)) {
        // Linux refuses the very same route twice (EEXIST).
        if (!defaultsOf(kernel, 4).some((r) => sameRoute(r, route))) kernel.prepend(route);
      } else kernel.foreign({ op: random.pick(['route-add', 'route-append'] as const), route });
    }
  }
}

/** Two or three paths in one or both families, one-armed or not, some of them without a way at the moment. */
export function randomInput(kernel: FakeKernel, random: Random): PlanInput {
  const paths = ([4, 6] as const).flatMap((family) => {
    const ways = [...GATEWAYS[family]].sort(() => random.next() - 0.5).slice(0, 2 + Math.floor(random.between(0, 2)));
    return ways.map(([gateway, device], slot): PlanPath => {
      const hop = { ifindex: kernel.link(device).index, interface: device, gateway, onlink: false };
      return random.chance(0.15)
        ? planPath(family, slot, null, { place: { ...hop, mac: null, own: true } })
        : planPath(family, slot, hop);
    });
  });
  const shares = (family: Family): PlanInput['sharing'][Family] =>
    random.chance(0.6)
      ? []
      : paths.flatMap((p) => (p.family === family ? [{ slot: p.slot, weight: 1 + Math.floor(random.next() * 3) }] : []));
  return planInput({
    paths,
    chosen: { 4: random.chance(0.85), 6: random.chance(0.85) },
    sharing: { 4: shares(4), 6: shares(6) },
  });
}

/** Default routes of main in the kernel's order. */
export function defaultsOf(kernel: FakeKernel, family: Family): RouteState[] {
  return kernel.state.routes.filter((r) => r.table === MAIN_TABLE && r.family === family && r.destination === 'default');
}
