/**
 * Short words for the kernel adapter's tests: routes of ours, operations that must succeed, what stands now. The links are
 * those of {@link enterTestNamespace}.
 */
import assert from 'node:assert/strict';
import type { KernelOp, KernelState, OpResult, RouteState } from '../../src/core/kernel.js';
import type { Family } from '../../src/core/model.js';
import { RtnlKernel } from '../../src/kernel/kernel.js';
import type { TestNamespace } from './kernel-namespace.js';

export const OURS = 177;
export const kernel = new RtnlKernel();

export function route(over: Partial<RouteState> & { via?: string; family?: Family }): RouteState {
  const { via, ...rest } = over;
  return {
    family: 4,
    table: 254,
    destination: 'default',
    type: 'unicast',
    protocol: OURS,
    metric: 0,
    tos: 0,
    scope: 0,
    prefsrc: null,
    nexthops: via === undefined ? [] : [{ ifindex: 10, gateway: via, onlink: false }],
    expires: false,
    rest: '',
    ...rest,
  };
}

export async function one(op: KernelOp): Promise<OpResult> {
  const [result] = await kernel.apply([op]);
  assert.ok(result);
  return result;
}

export async function must(op: KernelOp): Promise<void> {
  const result = await one(op);
  assert.ok(result.ok, `${op.op}: ${result.errno} ${result.message}`);
}

export const read = (): Promise<KernelState> => kernel.snapshot({ tables: [1000], sysctls: [], nft: false });

export async function defaults(family: Family = 4, table = 254): Promise<RouteState[]> {
  return (await read()).routes.filter((r) => r.family === family && r.table === table && r.destination === 'default');
}

export const gateways = (routes: readonly RouteState[]): (string | null | undefined)[] =>
  routes.map((r) => r.nexthops[0]?.gateway);

/** Takes away the defaults of main and everything in table 1000. */
export function clear(namespace: TestNamespace): void {
  for (const words of ['route flush default', '-6 route flush default', 'route flush table 1000', '-6 route flush table 1000']) {
    try {
      namespace.ip(words);
    } catch {
      // An empty table cannot be flushed.
    }
  }
}
