/** Config files for the proofs: the uplinks of a lab's topology as a person would write them down, asked more often than by default. */
import type { Family } from '../../../src/core/model.js';
import { type TopologyName, topologies } from '../../../src/lab/topologies.js';

type Section = Readonly<Record<string, unknown>>;

/** The file as an object, with its keys as docs/config.md names them. */
export interface ConfigFile {
  readonly uplinks: Readonly<Record<string, Section>>;
  readonly defaults?: Section;
  readonly [key: string]: unknown;
}

export interface Change {
  /** default IPv4 alone */
  readonly families?: readonly Family[];
  /** keys of `defaults` beyond, or instead of, the quick ones */
  readonly defaults?: Section;
  /** keys of single uplinks */
  readonly uplinks?: Readonly<Record<string, Section>>;
  /** keys of the top level */
  readonly top?: Section;
}

/** Five probes a second, a silence acted upon as soon as the burst is sure, back after a second of health. */
const QUICK: Section = { probe: { interval: '200ms' }, 'fail-after': '0s', 'recover-after': '1s' };

/** Every uplink of the topology in its order, each with its provider's router as target. */
export function quick(topology: TopologyName, change: Change = {}): ConfigFile {
  const families = change.families ?? [4];
  const uplinks = topologies[topology].uplinks.map((uplink) => {
    const six = families.includes(6);
    const section: Section = {
      ...(families.includes(4) && { gateway: uplink.gateway4 }),
      // A link-local address says nothing of the interface.
      ...(six && { gateway6: uplink.gateway6, interface: uplink.gatewayInterface }),
      targets: families.map((family) => (family === 4 ? uplink.upstream4 : uplink.upstream6)),
      ...change.uplinks?.[uplink.name],
    };
    return [uplink.name, section] as const;
  });
  return { uplinks: Object.fromEntries(uplinks), defaults: { ...QUICK, ...change.defaults }, ...change.top };
}
