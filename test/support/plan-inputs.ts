/** What a plan is made of, with the plainest value for everything a test does not speak of. */
import type { Family } from '../../src/core/model.js';
import type { PlanInput } from '../../src/core/plan/plan.js';
import type { Hop, PlanPath } from '../../src/core/plan/plan-path.js';
import { NUMBERS } from './topology.js';

export function planPath(family: Family, slot: number, hop: Hop | null, change: Partial<PlanPath> = {}): PlanPath {
  const place = hop === null ? null : { interface: hop.interface, gateway: hop.gateway, mac: null, own: true };
  return { family, slot, hop, place, works: hop !== null, ...change };
}

export function planInput(change: Partial<PlanInput> & Pick<PlanInput, 'paths'>): PlanInput {
  return {
    numbers: NUMBERS,
    chosen: { 4: true, 6: true },
    sharing: { 4: [], 6: [] },
    bindings: [],
    via: [],
    nft: { dropRedirects: true, connections: null, masquerade: false, lanPrefix: null, prefixes: new Map() },
    setSysctls: true,
    gid: 0,
    ...change,
  };
}
